"""Digitize: the charge of a hit in ADC counts."""

import math

from lartpc.kernels.launch import device, kernel


@device
def counts(charge, gain, offset, full_scale, adc_counts):
    """ADC counts of a charge [e] before clipping and rounding: (charge gain + offset) adc_counts/full_scale."""
    return (charge * gain + offset) * adc_counts / full_scale


@kernel("adc")
def digitize(i, hit_charge, gain, offset, full_scale, adc_counts, rounded, adc):
    """adc = clip((charge gain + offset) adc_counts/full_scale, 0, adc_counts - 1), rounded where `rounded`.

    hit_charge [e], gain [mV/e], adc (n_hits,); offset = v_pedestal - v_cm [mV], full_scale = v_ref - v_cm [mV].
    """
    T = type(hit_charge[i])
    value = counts(hit_charge[i], gain[i], offset, full_scale, adc_counts)
    value = min(max(value, T(0.0)), adc_counts - T(1.0))
    adc[i] = math.floor(value + T(0.5)) if rounded else value

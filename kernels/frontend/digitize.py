"""Digitize: the charge of a hit in ADC counts."""

import math

from lartpc.kernels.runtime.launch import device, kernel


@device
def counts(charge, gain, offset, full_scale, adc_counts):
    """ADC counts of a charge [e] before clipping and rounding: (charge gain + offset) adc_counts/full_scale."""
    return (charge * gain + offset) * adc_counts / full_scale


@kernel("adc", light=True)
def digitize(i, hit_charge, read_count, gain, offset, full_scale, adc_counts, rounded, adc):
    """adc = clip((charge gain + offset) adc_counts/full_scale, 0, adc_counts - 1), rounded where `rounded`.

    Pixel i: hit_charge (n_pixels, max_hits) [e], of which the first read_count[i] are used; gain [mV/e] and offset =
    v_pedestal - v_cm [mV] (n_pixels,); full_scale = (v_ref - v_cm) adc_scale_factor [mV]; adc (n_pixels, max_hits), 0
    where there is no hit.
    """
    T = type(full_scale)
    for n in range(read_count[i]):
        value = counts(hit_charge[i, n], gain[i], offset[i], full_scale, adc_counts)
        value = min(max(value, T(0.0)), adc_counts - T(1.0))
        adc[i, n] = math.floor(value + T(0.5)) if rounded else value
    for n in range(read_count[i], adc.shape[1]):
        adc[i, n] = T(0.0)

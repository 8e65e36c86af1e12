"""Adjoint of digitize."""

from lartpc.kernels.frontend.digitize import counts
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_hit_charge", "grad_gain", "grad_offset", light=True)
def digitize_adjoint(
    i,
    # forward inputs
    hit_charge,
    read_count,
    gain,
    offset,
    full_scale,
    adc_counts,
    # gradients of outputs
    grad_adc,
    # gradients of inputs
    grad_hit_charge,
    grad_gain,
    grad_offset,
):
    """Gradients of pixel i: those of the counts before rounding, 0 where they are clipped.

    d(adc)/d(charge) = gain c, d(adc)/d(gain) = charge c, d(adc)/d(offset) = c, with c = adc_counts/full_scale
    """
    T = type(full_scale)
    c = adc_counts / full_scale
    for n in range(read_count[i]):
        value = counts(hit_charge[i, n], gain[i], offset[i], full_scale, adc_counts)
        if value < T(0.0) or value > adc_counts - T(1.0):
            continue
        grad_hit_charge[i, n] += grad_adc[i, n] * gain[i] * c
        grad_gain[i] += grad_adc[i, n] * hit_charge[i, n] * c
        grad_offset[i] += grad_adc[i, n] * c

"""Adjoint of adjust."""

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import GAIN_FACTOR, PEDESTAL_OFFSET, THRESHOLD_OFFSET


@kernel("grad_base_threshold", "grad_base_gain", "grad_base_offset", "grad_electronics", light=True)
def adjust_adjoint(
    i,
    # forward inputs
    base_gain,
    electronics,
    # gradients of outputs
    grad_threshold,
    grad_gain,
    grad_offset,
    # gradients of inputs
    grad_base_threshold,
    grad_base_gain,
    grad_base_offset,
    grad_electronics,
):
    """Gradients of pixel i: sums pass on, the gain's goes to both of its factors."""
    grad_base_threshold[i] += grad_threshold[i]
    grad_base_offset[i] += grad_offset[i]
    grad_base_gain[i] += grad_gain[i] * electronics[i, GAIN_FACTOR]
    grad_electronics[i, THRESHOLD_OFFSET] += grad_threshold[i]
    grad_electronics[i, GAIN_FACTOR] += grad_gain[i] * base_gain[i]
    grad_electronics[i, PEDESTAL_OFFSET] += grad_offset[i]

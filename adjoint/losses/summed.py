"""Adjoint of summed."""

from lartpc.kernels.losses.summed import at_or_after, tick_of
from lartpc.kernels.runtime.launch import device


@device
def add_to(slope, ticks, first, low, high, t, fraction, value):
    """Add `value`, a derivative by the charge up to a fraction of tick t, to those by the sums `slope`."""
    j = at_or_after(ticks, first, low, high, t)
    inside = j < first[high] and tick_of(ticks, first, low, high, j) <= t
    part = fraction if inside else type(fraction)(0.0)
    if inside:
        slope[j] += part * value
    if j > first[low]:
        slope[j - 1] += (type(fraction)(1.0) - part) * value

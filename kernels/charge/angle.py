"""Angle: between a segment and the drift axis."""

import math

from lartpc.kernels.runtime.launch import device, kernel


@device
def length(start, end, segment):
    """Components and length of a segment [cm]."""
    dx = end[segment, 0] - start[segment, 0]
    dy = end[segment, 1] - start[segment, 1]
    dz = end[segment, 2] - start[segment, 2]
    return dx, dy, dz, math.sqrt(dx * dx + dy * dy + dz * dz)


@kernel("step_cos", light=True)
def angle(i, start, end, step_segment, step_cos):
    """The cosine of the angle between segment and drift axis, (z_end - z_start)/length: step_cos (n_steps,).

    A segment of no length has no direction and counts as perpendicular, 0. start, end (n_segments, 3) [cm];
    step_segment (n_steps,).
    """
    _, _, dz, r = length(start, end, step_segment[i])
    T = type(r)
    step_cos[i] = dz / r if r > T(0.0) else T(0.0)

"""Maximum mean discrepancy: how similar a point is to a set of points, by Gaussian kernels.

Source: Gretton et al., J. Mach. Learn. Res. 13 (2012) 723, eq. 5 (of which this is an inner sum).
"""

import numpy as np

from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.special import exp_negative


@device
def gaussian(a, b, c, d, rate):
    """exp(-rate (a^2 + b^2 + c^2 + d^2))."""
    return exp_negative(-rate * (a * a + b * b + c * c + d * d))


@kernel("similarity")
def mmd(i, point, point_event, other, other_first, width, similarity):
    """similarity[i] = sum_j mean_w exp(-|p_i - o_j|^2/(2 w^2)) over the points o_j of `other` in the event of point i.

    point (4, n), other (4, m): scaled x, y, time and charge, ordered by event; point_event (n,); other_first
    (n_events + 1,); width (n_widths,) in the same scale; similarity (n,).
    """
    T = type(width[0])
    event = point_event[i]
    x = point[0, i]
    y = point[1, i]
    t = point[2, i]
    q = point[3, i]
    total = T(0.0)
    for w in range(len(width)):
        rate = T(0.5) / (width[w] * width[w])
        for j in range(other_first[event], other_first[event + 1]):
            at = np.uint64(j)
            total += gaussian(x - other[0, at], y - other[1, at], t - other[2, at], q - other[3, at], rate)
    similarity[i] = total / T(len(width))

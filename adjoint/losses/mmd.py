"""Adjoint of mmd."""

import numpy as np

from lartpc.kernels.losses.mmd import gaussian
from lartpc.kernels.runtime.launch import kernel


@kernel("grad_point", "grad_other")
def mmd_adjoint(
    i,
    # forward inputs
    point,
    point_event,
    other,
    other_first,
    width,
    # beyond the forward kernel
    point_first,
    other_event,
    # gradients of outputs
    grad_similarity,
    # gradients of inputs
    grad_point,
    grad_other,
):
    """Gradient of point i, or of point i - n of the other set; where both are one set, its gradient is the sum.

    n + m threads; point_first (n_events + 1,), other_event (m,). With k the Gaussian of width w of point p and other o,
    d(similarity)/d(p) = -d(similarity)/d(o) = -mean_w k (p - o)/w^2, summed over the other set.
    """
    T = type(width[0])
    n = point.shape[1]
    for w in range(len(width)):
        rate = T(0.5) / (width[w] * width[w])
        scale = T(-2.0) * rate / T(len(width))
        gx = T(0.0)
        gy = T(0.0)
        gt = T(0.0)
        gq = T(0.0)
        if i < n:
            event = point_event[i]
            for j in range(other_first[event], other_first[event + 1]):
                at = np.uint64(j)
                a = point[0, i] - other[0, at]
                b = point[1, i] - other[1, at]
                c = point[2, i] - other[2, at]
                d = point[3, i] - other[3, at]
                k = gaussian(a, b, c, d, rate)
                gx += k * a
                gy += k * b
                gt += k * c
                gq += k * d
            scale *= grad_similarity[i]
            grad_point[0, i] += scale * gx
            grad_point[1, i] += scale * gy
            grad_point[2, i] += scale * gt
            grad_point[3, i] += scale * gq
        else:
            o = i - n
            event = other_event[o]
            for j in range(point_first[event], point_first[event + 1]):
                at = np.uint64(j)
                a = other[0, o] - point[0, at]
                b = other[1, o] - point[1, at]
                c = other[2, o] - point[2, at]
                d = other[3, o] - point[3, at]
                k = gaussian(a, b, c, d, rate) * grad_similarity[at]
                gx += k * a
                gy += k * b
                gt += k * c
                gq += k * d
            grad_other[0, o] += scale * gx
            grad_other[1, o] += scale * gy
            grad_other[2, o] += scale * gt
            grad_other[3, o] += scale * gq

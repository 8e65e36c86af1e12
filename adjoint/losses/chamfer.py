"""Adjoint of chamfer."""

from lartpc.kernels.runtime.launch import kernel


@kernel("grad_point", "grad_other")
def chamfer_adjoint(
    i,
    # forward inputs
    point,
    other,
    # forward outputs
    nearest,
    # beyond the forward kernel
    point_first,
    other_event,
    # gradients of outputs
    grad_square,
    # gradients of inputs
    grad_point,
    grad_other,
):
    """Gradient of point i, or of point i - n of the other set, which sums over the points that it is nearest to.

    n + m threads; point_first (n_events + 1,), other_event (m,). d(square)/d(point) = 2 (point - other[nearest]) =
    -d(square)/d(other[nearest]); d(square)/d(point[3]) = 2 point[3] where there is no nearest.
    """
    T = type(point[0, 0])
    n = point.shape[1]
    if i < n:
        j = nearest[i]
        weight = T(2.0) * grad_square[i]
        if j < 0:
            grad_point[3, i] += weight * point[3, i]
        else:
            for axis in range(4):
                grad_point[axis, i] += weight * (point[axis, i] - other[axis, j])
        return
    j = i - n
    event = other_event[j]
    for k in range(point_first[event], point_first[event + 1]):
        if nearest[k] == j:
            weight = T(2.0) * grad_square[k]
            for axis in range(4):
                grad_other[axis, j] -= weight * (point[axis, k] - other[axis, j])

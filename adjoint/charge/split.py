"""Adjoint of split: from steps back to the segments that they came from."""

from lartpc.kernels.charge.split import DIRECTION, clip, rule
from lartpc.kernels.runtime.launch import device, kernel


@device
def clipping_axis(start, end, segment, tpcs, tpc, u0, u1):
    """The axes whose borders set u0 and u1; -1 where the segment's own end does."""
    T = type(u0)
    axis0 = -1
    axis1 = -1
    for axis in range(3):
        p0 = start[segment, axis]
        d = end[segment, axis] - p0
        if d == T(0.0):
            continue
        a = (tpcs[tpc, 2 * axis] - p0) / d
        b = (tpcs[tpc, 2 * axis + 1] - p0) / d
        if u0 > T(0.0) and min(a, b) == u0:
            axis0 = axis
        if u1 < T(1.0) and max(a, b) == u1:
            axis1 = axis
    return axis0, axis1


@device
def clip_adjoint(start, end, segment, axis, u, grad_u, i, grad_start, grad_end):
    """Border crossing u = (border - p0)/(p1 - p0): du/dp0 = (u - 1)/(p1 - p0), du/dp1 = -u/(p1 - p0), to row i."""
    if axis >= 0:
        T = type(u)
        d = end[segment, axis] - start[segment, axis]
        grad_start[i, axis] += grad_u * (u - T(1.0)) / d
        grad_end[i, axis] -= grad_u * u / d


@device
def borders_adjoint(start, end, segment, tpcs, tpc, u0, u1, grad_u0, grad_u1, i, grad_start, grad_end):
    """What the ends u0 and u1 of a piece bring to row i, where borders set them."""
    axis0, axis1 = clipping_axis(start, end, segment, tpcs, tpc, u0, u1)
    clip_adjoint(start, end, segment, axis0, u0, grad_u0, i, grad_start, grad_end)
    clip_adjoint(start, end, segment, axis1, u1, grad_u1, i, grad_start, grad_end)


@device
def place(k, panels, points, gauss_point, gauss_weight):
    """Where step k of a piece lies, f = 0 at its begin and 1 at its end, and its share of the piece's energy."""
    T = type(gauss_point[0, 0])
    f = (T(k // points) + T(0.5) * (T(1.0) + gauss_point[points, k % points])) / T(panels)
    return f, T(0.5) * gauss_weight[points, k % points] / T(panels)


@device
def point_adjoint(start, end, segment, u, grad_x, grad_y, grad_z, i, grad_start, grad_end):
    """p = start + u (end - start): adds the gradients by start and end to row i, gives that by u."""
    T = type(u)
    grad_u = T(0.0)
    for axis in range(3):
        if axis == 0:
            grad_p = grad_x
        elif axis == 1:
            grad_p = grad_y
        else:
            grad_p = grad_z
        grad_start[i, axis] += grad_p * (T(1.0) - u)
        grad_end[i, axis] += grad_p * u
        grad_u += grad_p * (end[segment, axis] - start[segment, axis])
    return grad_u


@kernel("grad_start", "grad_end", "grad_dE", "grad_dEdx", "grad_time", light=True)
def split_adjoint(
    i,
    # forward inputs
    start,
    end,
    dE,
    tpcs,
    step_length,
    gauss_point,
    gauss_weight,
    first_piece,
    piece_tpc,
    first_step,
    # gradients of outputs
    grad_x,
    grad_y,
    grad_distance,
    grad_step_dE,
    grad_step_dEdx,
    grad_step_time,
    # gradients of inputs
    grad_start,
    grad_end,
    grad_dE,
    grad_dEdx,
    grad_time,
):
    """Gradients of segment i, summed over the steps of its pieces, first_piece[i] to first_piece[i + 1].

    With p = start + u (end - start), u = u0 + (u1 - u0) f:

    dp/dstart = 1 - u, dp/dend = u, dp/du = end - start, du/du0 = 1 - f, du/du1 = f
    d(step_dE)/d(dE) = (u1 - u0) w, d(step_dE)/du1 = -d(step_dE)/du0 = dE w
    u0 and u1 depend on start and end where a border cuts the segment (`clip_adjoint`).
    """
    T = type(dE[i])
    for piece in range(first_piece[i], first_piece[i + 1]):
        tpc = piece_tpc[piece]
        n = first_step[piece + 1] - first_step[piece]
        u0, u1 = clip(start, end, i, tpcs, tpc)
        panels, points = rule(start, end, i, tpcs, tpc, u0, u1, step_length)
        grad_u0 = T(0.0)
        grad_u1 = T(0.0)
        for k in range(n):
            step = first_step[piece] + k
            f, w = place(k, panels, points, gauss_point, gauss_weight)
            u = u0 + (u1 - u0) * f
            grad_z = grad_distance[step] * tpcs[tpc, DIRECTION]
            grad_u = point_adjoint(start, end, i, u, grad_x[step], grad_y[step], grad_z, i, grad_start, grad_end)
            grad_energy = grad_step_dE[step] * w
            grad_u0 += grad_u * (T(1.0) - f) - grad_energy * dE[i]
            grad_u1 += grad_u * f + grad_energy * dE[i]
            grad_dE[i] += grad_energy * (u1 - u0)
            grad_dEdx[i] += grad_step_dEdx[step]
            grad_time[i] += grad_step_time[step]
        borders_adjoint(start, end, i, tpcs, tpc, u0, u1, grad_u0, grad_u1, i, grad_start, grad_end)

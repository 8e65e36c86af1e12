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
def extent(start, end, segment):
    """The vector from a segment's start to its end."""
    x = end[segment, 0] - start[segment, 0]
    y = end[segment, 1] - start[segment, 1]
    return x, y, end[segment, 2] - start[segment, 2]


@device
def point_adjoint(along, u, x, y, z, by_start, by_end):
    """Gradients of p = start + u along by start and end, added to what these had, and by u; x, y, z: those by p."""
    rest = type(u)(1.0) - u
    start = by_start[0] + x * rest, by_start[1] + y * rest, by_start[2] + z * rest
    end = by_end[0] + x * u, by_end[1] + y * u, by_end[2] + z * u
    return start, end, x * along[0] + y * along[1] + z * along[2]


@device
def add_to_row(i, vector, grad):
    """Add a vector to row i of grad."""
    grad[i, 0] += vector[0]
    grad[i, 1] += vector[1]
    grad[i, 2] += vector[2]


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
    along = extent(start, end, i)
    energy = dE[i]
    by_start = T(0.0), T(0.0), T(0.0)
    by_end = by_start
    by_dE = T(0.0)
    by_dEdx = T(0.0)
    by_time = T(0.0)
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
            by_start, by_end, grad_u = point_adjoint(along, u, grad_x[step], grad_y[step], grad_z, by_start, by_end)
            grad_energy = grad_step_dE[step] * w
            grad_u0 += grad_u * (T(1.0) - f) - grad_energy * energy
            grad_u1 += grad_u * f + grad_energy * energy
            by_dE += grad_energy * (u1 - u0)
            by_dEdx += grad_step_dEdx[step]
            by_time += grad_step_time[step]
        borders_adjoint(start, end, i, tpcs, tpc, u0, u1, grad_u0, grad_u1, i, grad_start, grad_end)
    add_to_row(i, by_start, grad_start)
    add_to_row(i, by_end, grad_end)
    grad_dE[i] += by_dE
    grad_dEdx[i] += by_dEdx
    grad_time[i] += by_time

"""Segments: gradients of the losses of single pixels by the deposits that they see, from those by pairs."""

from lartpc.adjoint.charge.angle import cos_adjoint
from lartpc.adjoint.charge.split import add_to_row, borders_adjoint, extent, place, point_adjoint
from lartpc.adjoint.pixels.rows import BY_ARRIVAL, BY_LOG_CHARGE, BY_SIGMA_LONG, BY_SIGMA_TRAN, BY_X, BY_Y
from lartpc.kernels.charge.split import DIRECTION, clip, rule
from lartpc.kernels.runtime.launch import device, kernel

# Columns of step_slope: the numbers of a deposit on which its step depends.
DISTANCE = 0
STEP_DE = 1
STEP_DEDX = 2
STEP_TIME = 3
STEP_COS = 4


@device
def by_number(by_pair, p, slope, step, c):
    """Pair p's derivative by the number of column c, on which charge, arrival, sigma_t and sigma_T of its step depend.

    slope (n_steps, n_columns, 4): d(log charge), d(arrival), d(sigma_t), d(sigma_T) by the numbers.
    """
    early = by_pair[p, BY_LOG_CHARGE] * slope[step, c, 0] + by_pair[p, BY_ARRIVAL] * slope[step, c, 1]
    late = by_pair[p, BY_SIGMA_LONG] * slope[step, c, 2] + by_pair[p, BY_SIGMA_TRAN] * slope[step, c, 3]
    return early + late


@kernel("grad_start", "grad_end", "grad_dE", "grad_dEdx", "grad_time")
def segments(
    i,
    slot,
    slot_segment,
    slot_first,
    slot_pair,
    pair_step,
    by_pair,
    step_slope,
    # split
    start,
    end,
    dE,
    tpcs,
    step_length,
    gauss_point,
    gauss_weight,
    step_tpc,
    step_number,
    # gradients, of zeros
    grad_start,
    grad_end,
    grad_dE,
    grad_dEdx,
    grad_time,
):
    """Gradients of the loss of a pixel by one segment that it sees: row i of grad_..., from slot[i].

    slot_segment (n_slots,) the segment of a slot, slot_pair (n_pairs,) the pairs of all slots, those of one from
    slot_first (n_slots + 1,) on, by step; by_pair (n_pairs, 7) of `pull`, step_slope (n_steps, 5, 4): d(log charge),
    d(arrival), d(sigma_t), d(sigma_T) by distance, step_dE, step_dEdx, step_time and step_cos. grad_start, grad_end
    (n_rows, 3) [1/cm], grad_dE [1/MeV], grad_dEdx [cm/MeV], grad_time [1/us] (n_rows,). How the numbers of a step
    depend on its segment: see `split_adjoint`, of which this is one segment, and `angle_adjoint`.
    """
    T = type(by_pair[0, 0])
    segment = slot_segment[slot[i]]
    begin = slot_first[slot[i]]
    along = extent(start, end, segment)
    by_start = T(0.0), T(0.0), T(0.0)
    by_end = by_start
    tpc = -1
    u0 = T(0.0)
    u1 = T(1.0)
    grad_u0 = T(0.0)
    grad_u1 = T(0.0)
    grad_cos = T(0.0)
    panels = 1
    points = 1
    for j in range(begin, slot_first[slot[i] + 1]):
        p = slot_pair[j]
        step = pair_step[p]
        if step_tpc[step] != tpc:  # the first step of a piece
            if tpc >= 0:
                borders_adjoint(start, end, segment, tpcs, tpc, u0, u1, grad_u0, grad_u1, i, grad_start, grad_end)
            tpc = step_tpc[step]
            u0, u1 = clip(start, end, segment, tpcs, tpc)
            panels, points = rule(start, end, segment, tpcs, tpc, u0, u1, step_length)
            grad_u0 = T(0.0)
            grad_u1 = T(0.0)
        f, w = place(step_number[step], panels, points, gauss_point, gauss_weight)
        u = u0 + (u1 - u0) * f
        grad_z = by_number(by_pair, p, step_slope, step, DISTANCE) * tpcs[tpc, DIRECTION]
        by_x, by_y = by_pair[p, BY_X], by_pair[p, BY_Y]
        by_start, by_end, grad_u = point_adjoint(along, u, by_x, by_y, grad_z, by_start, by_end)
        grad_energy = by_number(by_pair, p, step_slope, step, STEP_DE) * w
        grad_u0 += grad_u * (T(1.0) - f) - grad_energy * dE[segment]
        grad_u1 += grad_u * f + grad_energy * dE[segment]
        grad_dE[i] += grad_energy * (u1 - u0)
        grad_dEdx[i] += by_number(by_pair, p, step_slope, step, STEP_DEDX)
        grad_time[i] += by_number(by_pair, p, step_slope, step, STEP_TIME)
        grad_cos += by_number(by_pair, p, step_slope, step, STEP_COS)
    borders_adjoint(start, end, segment, tpcs, tpc, u0, u1, grad_u0, grad_u1, i, grad_start, grad_end)
    add_to_row(i, by_start, grad_start)
    add_to_row(i, by_end, grad_end)
    if grad_cos != T(0.0):
        cos_adjoint(start, end, segment, grad_cos, i, grad_start, grad_end)

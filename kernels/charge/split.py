"""Split: cut segments at the borders of the TPCs and into steps, the points of a Gauss-Legendre rule along the line."""

import math

from lartpc.kernels.runtime.launch import device, kernel

# Columns of the table `tpcs`, one row a TPC [cm].
X_LOW = 0
X_HIGH = 1
Y_LOW = 2
Y_HIGH = 3
Z_LOW = 4
Z_HIGH = 5
Z_ANODE = 6
DIRECTION = 7  # +1 where z grows away from the anode, -1 where it falls
PITCH = 8

# Below these lengths, in units of the nominal diffusion width, one point or two stand for a whole piece.
ONE_POINT = 0.1
TWO_POINTS = 0.9
# Step counts must not depend on a fit parameter: nominal widths at distance d are these times sqrt(d) [cm^0.5].
NOMINAL_TRANSVERSE = 0.0105
NOMINAL_LONGITUDINAL = 0.0071
COARSE = 4096.0  # so many panels of a cm: a pitch in these, times any column, has less than 24 bits
NEAREST = 0.25  # distance [cm] below which a step does not get shorter


@device
def clip_axis(p0, p1, low, high, u0, u1):
    """Narrow (u0, u1) to where p0 + u (p1 - p0) lies in [low, high); u0 > u1 where nowhere."""
    T = type(p0)
    d = p1 - p0
    if d == T(0.0):
        if p0 < low or p0 >= high:
            return T(2.0), T(-1.0)
        return u0, u1
    a = (low - p0) / d
    b = (high - p0) / d
    return max(u0, min(a, b)), min(u1, max(a, b))


@device
def clip(start, end, segment, tpcs, tpc):
    """The part (u0, u1) of a segment, 0 at its start and 1 at its end, that lies in a TPC; u0 > u1 if none does."""
    T = type(start[segment, 0])
    u0 = T(0.0)
    u1 = T(1.0)
    for axis in range(3):
        low = tpcs[tpc, 2 * axis]
        high = tpcs[tpc, 2 * axis + 1]
        u0, u1 = clip_axis(start[segment, axis], end[segment, axis], low, high, u0, u1)
    return u0, u1


@device
def rule(start, end, segment, tpcs, tpc, u0, u1, step_length):
    """Number of equal panels of a piece and of Gauss-Legendre points in each."""
    T = type(u0)
    span = u1 - u0
    dx = (end[segment, 0] - start[segment, 0]) * span
    dy = (end[segment, 1] - start[segment, 1]) * span
    dz = (end[segment, 2] - start[segment, 2]) * span
    z = start[segment, 2] + u0 * (end[segment, 2] - start[segment, 2])
    near = abs(z - tpcs[tpc, Z_ANODE])
    far = abs(z + dz - tpcs[tpc, Z_ANODE])
    distance = max(min(near, far) + T(0.25) * abs(dz), T(NEAREST))
    transverse = (dx * dx + dy * dy) / T(NOMINAL_TRANSVERSE * NOMINAL_TRANSVERSE)
    longitudinal = dz * dz / T(NOMINAL_LONGITUDINAL * NOMINAL_LONGITUDINAL)
    length = math.sqrt((transverse + longitudinal) / distance)
    if length < T(ONE_POINT):
        return 1, 1
    if length < T(TWO_POINTS):
        return 1, 2
    return int(math.ceil(length / step_length)), 3


@kernel("piece_count", light=True)
def count_pieces(i, start, end, tpcs, wanted, piece_count):
    """Number of the TPCs in `wanted` that segment i passes: piece_count (n_segments,).

    start, end (n_segments, 3) [cm]; tpcs (n_tpcs, 9); wanted (n_wanted,): rows of `tpcs`, ascending.
    """
    n = 0
    for w in range(wanted.shape[0]):
        u0, u1 = clip(start, end, i, tpcs, wanted[w])
        if u0 < u1:
            n += 1
    piece_count[i] = n


@kernel("piece_segment", "piece_tpc", light=True)
def pieces(i, start, end, tpcs, wanted, first_piece, piece_segment, piece_tpc):
    """The TPCs in `wanted` that segment i passes, from first_piece[i] on: segment and TPC of each piece (n_pieces,)."""
    p = first_piece[i]
    for w in range(wanted.shape[0]):
        u0, u1 = clip(start, end, i, tpcs, wanted[w])
        if u0 < u1:
            piece_segment[p] = i
            piece_tpc[p] = wanted[w]
            p += 1


@kernel("step_count", light=True)
def count_steps(i, start, end, tpcs, step_length, piece_segment, piece_tpc, step_count):
    """Number of steps of piece i, the part of a segment in a TPC: step_count (n_pieces,).

    start, end (n_segments, 3) [cm]; tpcs (n_tpcs, 9); step_length: length of three points in units of the
    nominal diffusion width. Depends on geometry alone, so that gradients with respect to parameters stay exact.
    """
    segment = piece_segment[i]
    tpc = piece_tpc[i]
    u0, u1 = clip(start, end, segment, tpcs, tpc)
    panels, points = rule(start, end, segment, tpcs, tpc, u0, u1, step_length)
    step_count[i] = panels * points


@device
def in_pixel(start, low, along, pitch):
    """The pixel in which start - low + along lies, and the distance from its lower edge, as exact as `along`.

    start - low is followed by what rounding took from it (Knuth's sum of two), and a multiple of the pitch taken off
    in two panels, of which the first has so few bits that the product is exact. Helpers are compiled as written.
    """
    T = type(start)
    position = start - low
    added = position - start
    rest = (start - (position - added)) - (low + added)
    pixel = math.floor((position + along) / pitch)
    coarse = T(math.floor(pitch * T(COARSE) + T(0.5))) / T(COARSE)
    offset = (position - T(pixel) * coarse) - T(pixel) * (pitch - coarse)
    return int(pixel), offset + (rest + along)


@kernel("column", "row", "x", "y", "distance", "step_dE", "step_dEdx", "step_time", light=True)
def split(
    i,
    start,
    end,
    dE,
    dEdx,
    time,
    tpcs,
    step_length,
    gauss_point,
    gauss_weight,
    step_segment,
    step_tpc,
    step_number,
    column,
    row,
    x,
    y,
    distance,
    step_dE,
    step_dEdx,
    step_time,
):
    """Position, energy and time of step i, one of the Gauss-Legendre points along a segment's piece in a TPC.

    p = start + u (end - start), u = u0 + (u1 - u0) (panel + (1 + g)/2) / panels, step_dE = dE (u1 - u0) w / (2 panels)

    Inputs: start, end (n_segments, 3) [cm], dE [MeV], dEdx [MeV/cm], time [us] (n_segments,); segment, TPC and number
    in its piece of each step (n_steps,); gauss_point, gauss_weight (4, 4), row k the rule of k points on [-1, 1].
    Outputs (n_steps,): column and row, int64, of the pixel below, which may lie beyond the plane's, and x, y from its
    lower corner [cm], where single precision is much finer than on the whole plane; distance to the anode [cm],
    step_dE [MeV], step_dEdx [MeV/cm], step_time [us].
    """
    T = type(dE[0])
    segment = step_segment[i]
    tpc = step_tpc[i]
    k = step_number[i]
    u0, u1 = clip(start, end, segment, tpcs, tpc)
    panels, points = rule(start, end, segment, tpcs, tpc, u0, u1, step_length)
    fraction = (T(k // points) + T(0.5) * (T(1.0) + gauss_point[points, k % points])) / T(panels)
    u = u0 + (u1 - u0) * fraction
    pitch = tpcs[tpc, PITCH]
    along = u * (end[segment, 0] - start[segment, 0])
    column[i], x[i] = in_pixel(start[segment, 0], tpcs[tpc, X_LOW], along, pitch)
    along = u * (end[segment, 1] - start[segment, 1])
    row[i], y[i] = in_pixel(start[segment, 1], tpcs[tpc, Y_LOW], along, pitch)
    z = start[segment, 2] - tpcs[tpc, Z_ANODE] + u * (end[segment, 2] - start[segment, 2])
    distance[i] = tpcs[tpc, DIRECTION] * z
    step_dE[i] = dE[segment] * (u1 - u0) * T(0.5) * gauss_weight[points, k % points] / T(panels)
    step_dEdx[i] = dEdx[segment]
    step_time[i] = time[segment]

"""Chamfer: the distance from a point to the nearest one of another set."""

from lartpc.kernels.runtime.launch import device, kernel


@device
def square_distance(point, i, other, j):
    """Squared distance of point i of one set and point j of another, coordinates (4, n)."""
    a = point[0, i] - other[0, j]
    b = point[1, i] - other[1, j]
    c = point[2, i] - other[2, j]
    d = point[3, i] - other[3, j]
    return a * a + b * b + c * c + d * d


@kernel("nearest", "square")
def chamfer(i, point, point_event, other, other_first, nearest, square):
    """nearest[i] = the point of `other` that is nearest to point i in the same event, square[i] its squared distance.

    point (4, n), other (4, m): scaled x, y, time and charge, ordered by event; point_event (n,); other_first
    (n_events + 1,). Outputs (n,), nearest int64. Where the other set has no point in the event, nearest = -1, and the
    distance is to the same position without charge: square = point[3, i]^2.
    """
    event = point_event[i]
    best = point[3, i] * point[3, i]
    found = -1
    for j in range(other_first[event], other_first[event + 1]):
        distance = square_distance(point, i, other, j)
        if found < 0 or distance < best:
            best = distance
            found = j
    nearest[i] = found
    square[i] = best

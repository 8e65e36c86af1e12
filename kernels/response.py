"""The parametric pixel response: its four coefficients as functions of the position on the pixel.

R(x, y, u) = a E(u - s; b) + (1 - a) E(u - s; c),  E(w; b) = exp(w/b)/b for w < 0, else 0
a, b, c, s = p0 + p1|x| + p2|y| + p3|xy| + p4 x^2 + p5 y^2, x and y [cm] from the pixel centre, s, b, c [us];
a is capped at 1. Source: the parametrised response of larnd-sim, as used by the differentiable simulator's paper.
Every polynomial is symmetric in x and y, so p2 = p1 and p5 = p4.
"""

from lartpc.kernels.launch import device

# The slow decay rate 1/c [1/us] over a pixel of up to 0.4434 cm.
RATE_LOW = 1.0 / 3.76
RATE_HIGH = 1.0 / 1.84


@device
def weight(x, y):
    """a(x, y) before the cap at 1; x, y >= 0 [cm]."""
    T = type(x)
    return T(1.060) - T(0.909) * (x + y) + T(5.856) * x * y + T(0.207) * (x * x + y * y)


@device
def fast(x, y):
    """b(x, y) [us]; x, y >= 0 [cm]."""
    T = type(x)
    return T(0.679) - T(1.083) * (x + y) + T(8.772) * x * y - T(5.521) * (x * x + y * y)


@device
def slow(x, y):
    """c(x, y) [us]; x, y >= 0 [cm]."""
    T = type(x)
    return T(2.644) - T(9.174) * (x + y) + T(13.483) * x * y + T(45.887) * (x * x + y * y)


@device
def shift(x, y):
    """s(x, y) [us]; x, y >= 0 [cm]."""
    T = type(x)
    return T(2.948) - T(2.705) * (x + y) + T(4.825) * x * y + T(20.814) * (x * x + y * y)


@device
def shift_slope(x, y):
    """ds/dx [us/cm]; x, y >= 0 [cm]."""
    T = type(x)
    return T(-2.705) + T(4.825) * y + T(2.0 * 20.814) * x


@device
def shift_bounds(x0, x1, y0, y1):
    """Bounds of s [us] over x0 <= x <= x1, y0 <= y <= y1, all >= 0 [cm]; s is convex along each axis."""
    T = type(x0)
    lowest = T(2.705 / (2.0 * 20.814))
    low = shift(min(max(lowest, x0), x1), T(0.0)) + shift(T(0.0), min(max(lowest, y0), y1)) - T(2.948)
    high = max(shift(x0, T(0.0)), shift(x1, T(0.0))) + max(shift(T(0.0), y0), shift(T(0.0), y1)) - T(2.948)
    return low + T(4.825) * x0 * y0, high + T(4.825) * x1 * y1


@device
def fast_bound(x0, x1, y0, y1):
    """An upper bound of b [us] over x0 <= x <= x1, y0 <= y <= y1, all >= 0 [cm]: its corners and its curvature."""
    T = type(x0)
    corners = max(max(fast(x0, y0), fast(x1, y0)), max(fast(x0, y1), fast(x1, y1)))
    return corners + T(5.521 / 4.0) * ((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0))

"""Slopes of the parametric response's coefficients along x, x, y >= 0; along y exchange the arguments."""

from lartpc.kernels.launch import device


@device
def weight_slope(x, y):
    """da/dx [1/cm], without the cap at 1."""
    T = type(x)
    return T(-0.909) + T(5.856) * y + T(2.0 * 0.207) * x


@device
def fast_slope(x, y):
    """db/dx [us/cm]."""
    T = type(x)
    return T(-1.083) + T(8.772) * y - T(2.0 * 5.521) * x


@device
def slow_slope(x, y):
    """dc/dx [us/cm]."""
    T = type(x)
    return T(-9.174) + T(13.483) * y + T(2.0 * 45.887) * x

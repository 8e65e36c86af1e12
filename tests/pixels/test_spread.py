import numpy as np
import pytest
from helpers import PITCH, launches, make_segments, one_tpc
from numpy.polynomial.chebyshev import chebval
from scipy import integrate, stats

from lartpc.kernels.pixels.pair import node_count, nominal_half_width
from lartpc.parameters import Parameters
from lartpc.settings import Settings

FINE = Settings(width=6.5, nodes=28)


def spread(x, y, z=10.0, dtype=np.float64, settings=FINE):
    """Moments of a point deposit by pixel, {(column, row): (moment_x, moment_y)}, and its step."""
    arguments, result = launches(make_segments((x, y, z), (x, y, z)), dtype=dtype, settings=settings)
    a = arguments["spread"]
    (degree,) = a["degree"][a["step_table"]]
    moments = a["moment_x"].astype(float), a["moment_y"].astype(float)
    assert not any(moment[:, degree:].any() for moment in moments)
    pixels = zip(result.pairs.x, result.pairs.y, strict=True)
    return {p: tuple(moment[i, :degree] for moment in moments) for i, p in enumerate(pixels)}, result.steps


def charge(moments):
    return moments[0][0] * moments[1][0]


POINTS = [(0.0, 0.0), (0.2217, 0.2217), (0.41, -0.03), (1.3302, 0.6), (1e-4, 0.44)]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("settings", [Settings(), FINE])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-12)])
def test_each_pixel_gets_the_gaussians_integral(point, settings, dtype, tolerance):
    pixels, steps = spread(*point, dtype=dtype, settings=settings)
    gauss = stats.truncnorm(-settings.width, settings.width)
    total = 0.0
    for (column, row), moments in pixels.items():
        inside = 1.0
        for index, position in ((column, point[0]), (row, point[1])):
            edges = (np.array([index, index + 1]) - 5) * PITCH
            inside *= np.diff(gauss.cdf((edges - position) / float(steps.sigma_T[0])))[0]
        # float32 positions are exact to 1e-7 cm, 3e-6 of the spread
        assert charge(moments) / steps.charge[0] == pytest.approx(inside, rel=1e2 * tolerance, abs=tolerance)
        total += charge(moments)
    assert total == pytest.approx(steps.charge[0], rel=0.3 * tolerance)


def test_charge_beyond_the_plane_is_left_out():
    for distance in (0.0, 0.01, 0.05):
        pixels, steps = spread(5 * PITCH - distance - 1e-9, 0.2)
        sigma = steps.sigma_T[0]
        inside = sum(map(charge, pixels.values())) / steps.charge[0]
        assert inside == pytest.approx(stats.norm.cdf(distance / sigma), abs=1e-6)


def expectation(function, position, sigma):
    """Integral over the pixel of function(u) times the Gaussian around `position`."""

    def integrand(u):
        return function(u) * stats.norm.pdf(u, position, sigma)

    kinks = [p for p in (0.0, position) if abs(p) < PITCH / 2]
    return integrate.quad(integrand, -PITCH / 2, PITCH / 2, points=kinks, epsabs=1e-12)[0]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS[1:])
def test_moments_are_integrals_of_polynomials(point):
    """Chebyshev polynomials in the distance from the centre times the Gaussian over the main pixel, against scipy."""
    pixels, steps = spread(*point, settings=FINE._replace(nodes=40))
    sigma = steps.sigma_T[0]
    column, row = int(point[0] // PITCH) + 5, int(point[1] // PITCH) + 5
    centre = (np.array([column, row]) - 4.5) * PITCH
    for moment, amount, position in zip(pixels[column, row], (steps.charge[0], 1.0), point - centre, strict=True):
        assert len(moment) > 6
        for n in range(len(moment)):
            one = np.eye(len(moment))[n]
            expected = expectation(lambda u: chebval(4 * abs(u) / PITCH - 1, one), position, sigma)  # noqa: B023
            assert moment[n] / amount == pytest.approx(expected, abs=1e-6)


def test_mirrored_positions_have_mirrored_charges():
    pixels, steps = spread(0.11, -0.37)
    for mirrored, sign_x, sign_y in ((spread(-0.11, -0.37), -1, 1), (spread(0.11, 0.37), 1, -1)):
        assert len(mirrored[0]) == len(pixels)
        for (column, row), (x, y) in mirrored[0].items():
            same_x, same_y = pixels[column if sign_x > 0 else 9 - column, row if sign_y > 0 else 9 - row]
            np.testing.assert_allclose(x, same_x, rtol=1e-9, atol=1e-12 * steps.charge[0])
            np.testing.assert_allclose(y, same_y, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [2, 5, 8])
@pytest.mark.parametrize("tran_diff", [1e-6, 8.8e-6, 5e-5])
def test_nodes_fit_into_the_rules(nodes, tran_diff):
    """Whatever the diffusion: how many there are follows from the nominal one. The rules have up to `nodes` + 3."""
    positions = np.random.default_rng(0).uniform((-1.6, -1.6, 0), (1.6, 1.6, 31), (300, 3))
    detector = one_tpc(parameters=Parameters(tran_diff=tran_diff))
    arguments, result = launches(make_segments(positions, positions), detector, settings=Settings(nodes=nodes))
    assert len(arguments["spread"]["gauss_point"]) > nodes + 3
    low = np.random.default_rng(1).uniform(-0.4, 0.2, 300)
    half_width = [nominal_half_width(distance, 3.6) for distance in result.steps.distance.astype(float)]
    used = [node_count(edge, edge + PITCH / 2, half, nodes) for edge, half in zip(low, half_width, strict=True)]
    assert min(used) == 2 and nodes <= max(used) <= nodes + 3
    assert 0.1 * result.current.sum(dtype=float) == pytest.approx(result.steps.charge.sum(dtype=float), rel=1e-6)

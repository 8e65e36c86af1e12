import numpy as np
import pytest
from helpers import PITCH, launches, make_segments, one_plane
from scipy import integrate, stats

from lartpc.parameters import Parameters
from lartpc.settings import Settings

FINE = Settings(width=6.5, nodes=28)


def spread(x, y, z=10.0, dtype=np.float64, settings=FINE):
    """Charge of a point deposit by pixel, {(column, row): (node_x, weight_x, node_y, weight_y)}, and its step."""
    arguments, result = launches(make_segments((x, y, z), (x, y, z)), dtype=dtype, settings=settings)
    a, pixels = arguments["spread"], {}
    for i, (column, row) in enumerate(zip(result.pairs.x, result.pairs.y, strict=True)):
        n, m = a["nodes_x"][i], a["nodes_y"][i]
        pixels[column, row] = a["node_x"][i, :n], a["weight_x"][i, :n], a["node_y"][i, :m], a["weight_y"][i, :m]
    return pixels, result.steps


def mass(nodes):
    return nodes[1].sum(dtype=float) * nodes[3].sum(dtype=float)


PLACES = [(0.0, 0.0), (0.2217, 0.2217), (0.41, -0.03), (1.3302, 0.6), (1e-4, 0.44)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("settings", [Settings(), FINE])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-12)])
def test_each_pixel_gets_the_gaussians_integral(place, settings, dtype, tolerance):
    pixels, steps = spread(*place, dtype=dtype, settings=settings)
    gauss = stats.truncnorm(-settings.width, settings.width)
    total = 0.0
    for (column, row), nodes in pixels.items():
        part = 1.0
        for index, position in ((column, place[0]), (row, place[1])):
            edges = (np.array([index, index + 1]) - 5) * PITCH
            part *= np.diff(gauss.cdf((edges - position) / float(steps.sigma_T[0])))[0]
        # float32 places are exact to 1e-7 cm, 3e-6 of the spread
        assert mass(nodes) / steps.charge[0] == pytest.approx(part, rel=1e2 * tolerance, abs=tolerance)
        total += mass(nodes)
    assert total == pytest.approx(steps.charge[0], rel=0.3 * tolerance)


def test_charge_beyond_the_plane_is_left_out():
    for distance in (0.0, 0.01, 0.05):
        pixels, steps = spread(5 * PITCH - distance - 1e-9, 0.2)
        sigma = steps.sigma_T[0]
        inside = sum(map(mass, pixels.values())) / steps.charge[0]
        assert inside == pytest.approx(stats.norm.cdf(distance / sigma), abs=1e-6)


def expectation(function, position, sigma):
    """Integral over the pixel of function(u) times the Gaussian around `position`."""

    def integrand(u):
        return function(u) * stats.norm.pdf(u, position, sigma)

    kinks = [p for p in (0.0, position) if abs(p) < PITCH / 2]
    return integrate.quad(integrand, -PITCH / 2, PITCH / 2, points=kinks, epsabs=1e-12)[0]


@pytest.mark.parametrize("place", PLACES[1:])
def test_nodes_integrate_functions_of_the_place(place):
    """Integral of a smooth function times the Gaussian over the main pixel, against scipy."""
    pixels, steps = spread(*place)
    sigma = steps.sigma_T[0]
    column, row = int(place[0] // PITCH) + 5, int(place[1] // PITCH) + 5
    X, wx, Y, wy = pixels[column, row]
    centre = (np.array([column, row]) - 4.5) * PITCH
    for power in (1, 2, 3):
        found = (wx @ np.abs(X) ** power) * (wy @ np.cos(5 * Y)) / steps.charge[0]
        x, y = place - centre
        along_x = expectation(lambda u: abs(u) ** power, x, sigma)  # noqa: B023
        assert found == pytest.approx(along_x * expectation(lambda u: np.cos(5 * u), y, sigma), rel=1e-6)


def test_mirrored_places_have_mirrored_charges():
    pixels, _ = spread(0.11, -0.37)
    for mirrored, sign_x, sign_y in ((spread(-0.11, -0.37), -1, 1), (spread(0.11, 0.37), 1, -1)):
        assert len(mirrored[0]) == len(pixels)
        for (column, row), nodes in mirrored[0].items():
            X, wx, Y, wy = pixels[column if sign_x > 0 else 9 - column, row if sign_y > 0 else 9 - row]
            assert np.allclose(nodes[0][::sign_x], sign_x * X) and np.allclose(nodes[1][::sign_x], wx, rtol=1e-9)
            assert np.allclose(nodes[2][::sign_y], sign_y * Y) and np.allclose(nodes[3][::sign_y], wy, rtol=1e-9)


@pytest.mark.parametrize("nodes", [2, 5, 8])
@pytest.mark.parametrize("tran_diff", [1e-6, 8.8e-6, 5e-5])
def test_nodes_fit_into_their_arrays(nodes, tran_diff):
    """Whatever the diffusion: how many there are follows from the nominal one."""
    places = np.random.default_rng(0).uniform((-1.6, -1.6, 0), (1.6, 1.6, 31), (300, 3))
    detector = one_plane(parameters=Parameters(tran_diff=tran_diff))
    arguments, result = launches(make_segments(places, places), detector, settings=Settings(nodes=nodes))
    for used in (arguments["spread"]["nodes_x"], arguments["spread"]["nodes_y"]):
        assert used.min() >= 2 and nodes <= used.max() <= nodes + 3
    assert 0.1 * result.current.sum(dtype=float) == pytest.approx(result.steps.charge.sum(dtype=float), rel=1e-6)

"""Scans: the loss along parameters and over planes, its derivatives, and their figures."""

import dataclasses

import numpy as np
import pytest
from samples import protons

from lartpc.exceptions import InputError
from lartpc.fit.calibrate import Journal
from lartpc.fit.scan import Scan, scan
from lartpc.fit.target import Target
from lartpc.losses.objective import Objective
from lartpc.parameters import TABLE, Parameters
from lartpc.plots import scan as scanplot
from lartpc.simulation.simulation import Simulation

RANGES = {"kb": (0.045, 0.052), "eField": (0.497, 0.504), "lifetime": (1500.0, 3500.0)}


@pytest.fixture(scope="module")
def segments():
    return protons(1)


@pytest.fixture(scope="module")
def hits(segments):
    return Simulation()(segments).hits


@pytest.fixture(scope="module")
def noisy(segments):
    return Simulation(noise=True, seed=2)(segments).hits


@pytest.mark.slow
def test_a_closure_is_lowest_at_the_truth(segments, hits):
    """Without noise the residuals vanish there, and the loss falls towards it from both sides."""
    found = scan(Simulation(), segments, Target(hits, truth=Parameters()), over=RANGES, points=4, loss="residuals")
    assert found.names == tuple(RANGES) and not found.plane and len(found.loss) == 3 * 5
    for i, name in enumerate(RANGES):
        x, loss, slope = found.line(name)
        nominal = TABLE[name].nominal
        np.testing.assert_allclose(x, np.sort(np.append(np.linspace(*RANGES[name], 4), nominal)), rtol=1e-15)
        least = int(np.argmin(loss))
        assert x[least] == found.truth[i] == found.fixed[i] == nominal
        assert loss[least] < 1e-4 * np.delete(loss, least).min()
        assert (np.delete(slope, least) * np.delete(x - nominal, least) > 0.0).all()
        row = found.values[found.along == i]
        assert (np.delete(row, i, axis=1) == np.delete(found.fixed, i)).all()


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["likelihood", "residuals"])
@pytest.mark.parametrize("name", ["Ab", "lifetime", "tran_diff"])
def test_the_gradient_is_the_slope_of_the_loss(loss, name, segments, noisy):
    """Central differences on a fine line off the minimum, in double precision, right to second order."""
    nominal = TABLE[name].nominal
    line = {name: (1.050 * nominal, 1.054 * nominal)}
    simulation = Simulation(dtype=np.float64)
    x, value, slope = scan(simulation, segments, noisy, over=line, points=5, loss=loss).line(name)
    np.testing.assert_allclose(np.gradient(value, x)[1:-1], slope[1:-1], rtol=3e-4)


def test_a_plane(segments, hits):
    """The second parameter varies fastest; a row of it is a line of that parameter."""
    over = {"kb": (0.0436, 0.0536), "lifetime": (1200.0, 3200.0)}
    plane = scan(Simulation(), segments, hits, over=over, points=3, plane=True)
    assert plane.plane and plane.values.shape == plane.gradient.shape == (9, 2) and plane.loss.shape == (9,)
    np.testing.assert_array_equal(plane.values[:, 0], np.repeat(np.linspace(*over["kb"], 3), 3))
    np.testing.assert_array_equal(plane.values[:, 1], np.tile(np.linspace(*over["lifetime"], 3), 3))
    assert "9 points" in str(plane) and plane.truth is None
    at = Simulation(parameters=Parameters(kb=plane.values[3, 0]))
    row = scan(at, segments, hits, over={"lifetime": over["lifetime"]}, points=3)
    np.testing.assert_array_equal(row.loss[[0, -1]], plane.loss[[3, 5]])
    np.testing.assert_allclose(row.gradient[[0, -1], 0], plane.gradient[[3, 5], 1], rtol=1e-12)


def test_what_is_known_is_not_evaluated_again(monkeypatch, segments, noisy):
    over, seen = {"kb": (0.045, 0.052)}, []
    arguments = {"over": over, "points": 3}
    whole = scan(Simulation(), segments, noisy, **arguments, journal=Journal(report=seen.append))
    assert [evaluation.phase for evaluation in seen] == ["scan"] * 4
    rest = scan(Simulation(), segments, noisy, **arguments, journal=Journal(seen[:2]))
    monkeypatch.setattr(Objective, "__call__", lambda *_: pytest.fail("evaluated"))
    known = scan(Simulation(), segments, noisy, **arguments, journal=Journal(seen))
    for again in (rest, known):
        np.testing.assert_array_equal(again.loss, whole.loss)
        np.testing.assert_array_equal(again.gradient, whole.gradient)


def test_default_is_the_six_over_their_ranges(monkeypatch, segments, hits):
    monkeypatch.setattr("lartpc.fit.scan.Problem.__call__", lambda self, values: evaluation(values))
    found = scan(Simulation(), segments, hits)
    assert found.names == ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
    for name in found.names:
        x = found.line(name)[0]
        assert (x[0], x[-1]) == TABLE[name].range and TABLE[name].nominal in x and len(x) in (21, 22)


def evaluation(values):
    from lartpc.fit.problem import Evaluation

    square = np.zeros((len(values), len(values)))
    return Evaluation("scan", -1, values, 1.0, 0.0 * values, square, square, 0, 1, 0, 0.0)


@pytest.mark.parametrize(
    "more, found",
    [
        ({"over": {}}, "no parameter is named"),
        ({"over": {"lifetim": (1.0, 2.0)}}, "parameter lifetim is not known, nearest is lifetime"),
        ({"over": {"alpha": (0.9, 1.0)}}, "nothing depends on alpha"),
        ({"over": {"kb": (0.05, 0.04)}}, "range of kb: found 0.05 to 0.04, allowed is from a lower to a higher value"),
        ({"over": {"kb": (0.05, 0.05)}}, "range of kb: found 0.05 to 0.05"),
        ({"over": {"kb": (-1.0, 0.05)}}, "range of kb: found -1.0, allowed is a number above 0"),
        ({"over": {"kb": (0.04, np.nan)}}, "range of kb: found nan"),
        ({"over": {"kb": (0.04, 0.05)}, "plane": True}, "plane: needs two parameters, found 1: kb"),
        ({"points": 1}, "points: found 1, allowed are 2 or more"),
        ({"loss": "chi2"}, "loss: found 'chi2', allowed is likelihood or residuals"),
    ],
)
def test_wrong_input(more, found, segments, hits):
    with pytest.raises(InputError, match=found):
        scan(Simulation(), segments, hits, **more)


def test_hits_of_something_else(segments, hits):
    with pytest.raises(InputError, match="hits of event 9, which the segments do not have"):
        scan(Simulation(), segments, dataclasses.replace(hits, event_id=np.full(len(hits), 9)), over=RANGES)
    far = dataclasses.replace(hits, pixel_id=(hits.pixel_id + 20000) % 78400)
    with pytest.raises(InputError, match="no hit is on a pixel where the segments give charge"):
        scan(Simulation(), segments, far, over={"kb": (0.045, 0.052)}, points=2)


def test_copies_of_hits_are_left_out_and_told(segments, noisy):
    over = {"lifetime": (1500.0, 3000.0)}
    found = [scan(Simulation(), segments, hits, over=over, points=2) for hits in (noisy, twice(noisy, 3))]
    np.testing.assert_array_equal(found[0].loss, found[1].loss)
    assert str(found[1]) == f"left out: 3 hits that occur twice\n{found[0]}"


def twice(hits, n):
    return hits.select(np.append(np.arange(len(hits)), np.arange(n)))


# --- figures


def valley(points=9):
    """The plane of f = 5000 a^2 + 20 a b + b^2 with a, b the relative changes of field and lifetime from the truth."""
    truth = np.array([0.5, 2200.0])
    x, y = np.linspace(0.46, 0.53, points), np.linspace(1000.0, 4000.0, points)
    values = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    a, b = (values / truth - 1.0).T
    gradient = np.stack((10000.0 * a + 20.0 * b, 20.0 * a + 2.0 * b), axis=1) / truth
    loss = 5000.0 * a**2 + 20.0 * a * b + b**2
    return Scan(("eField", "lifetime"), np.full(len(a), -1), values, loss, gradient, truth, truth, "likelihood")


def test_between_the_points_is_the_cubic():
    """Exact for a quadratic, so that the bottom of a valley is found that lies between the points."""
    plane = valley(4)
    x, y = plane.values[::4, 0], plane.values[:4, 1]
    fine_x, fine_y, loss = scanplot.bicubic(x, y, plane.loss.reshape(4, 4), plane.gradient.reshape(4, 4, 2))
    a, b = fine_x[:, None] / 0.5 - 1.0, fine_y / 2200.0 - 1.0
    np.testing.assert_allclose(loss, 5000.0 * a**2 + 20.0 * a * b + b**2, rtol=1e-9, atol=1e-9)
    assert loss.min() < 0.1 * plane.loss.min()


def test_the_landscape():
    """Arrows point down in units of the ranges, the star is at the truth, the circle at the lowest point."""
    plane = valley()
    ax = scanplot.figure(plane).axes[0]
    (arrows,) = (c for c in ax.collections if hasattr(c, "U"))
    down = -plane.gradient * [0.07, 3000.0]
    down = (down / np.linalg.norm(down, axis=1, keepdims=True)).reshape(9, 9, 2)[1:-1, 1:-1]
    np.testing.assert_allclose(np.reshape(arrows.U, (7, 7)).T, down[..., 0], rtol=1e-12)
    np.testing.assert_allclose(np.reshape(arrows.V, (7, 7)).T, down[..., 1], rtol=1e-12)
    circle, star = (np.ravel(line.get_data()) for line in ax.lines)
    np.testing.assert_array_equal(star, plane.truth)
    np.testing.assert_array_equal(circle, plane.values[np.argmin(plane.loss)])
    assert len(scanplot.figure(plane._replace(truth=None)).axes[0].lines) == 1


def test_slopes_touch_the_curves():
    """Every short line goes through its point, with the slope of the loss there."""
    x = np.linspace(1000.0, 4000.0, 7)
    b = x / 2000.0 - 1.0
    found = Scan(("lifetime",), np.zeros(7, int), x[:, None], 30 * b**2, (60 * b / 2e3)[:, None], [2e3], None, "mse")
    ax = scanplot.figure(found).axes[0]
    tangents = [line for line in ax.lines if line.get_color() == "black" and len(line.get_xdata())]
    assert len(tangents) == 7
    for line, percent in zip(tangents, 100.0 * b, strict=True):
        left, middle, right = np.array(line.get_data()).T[[0, 4, 8]]
        np.testing.assert_allclose(middle, (percent, 30.0 * (percent / 100.0) ** 2), rtol=1e-12, atol=1e-12)
        assert (right - left)[1] / (right - left)[0] == pytest.approx(60.0 * percent / 1e4, abs=1e-12)

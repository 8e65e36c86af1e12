"""Profiles along parameters and over planes, against those of fits and against known ones."""

import numpy as np
import pytest
from samples import protons

from lartpc.exceptions import InputError
from lartpc.fit.calibrate import calibrate
from lartpc.fit.profile import outwards, profile_scan
from lartpc.fit.scan import Scan, plane_of, rise_of
from lartpc.parameters import Parameters
from lartpc.plots.scan import figure
from lartpc.simulation.simulation import Simulation

NAMES = ("Ab", "kb", "eField")


@pytest.fixture(scope="module")
def segments():
    return protons(2)


@pytest.fixture(scope="module")
def hits(segments):
    return Simulation(parameters=Parameters(Ab=0.82), noise=True, seed=3)(segments).hits


@pytest.mark.slow
def test_lines_agree_with_the_errors_of_a_profile(segments, hits, one_thread):
    """Ends of the 68 % intervals, to 2 % of an error, of two parameters of which each alone would be far surer."""
    result = calibrate(Simulation(), segments, hits, NAMES, errors="profile")
    found = profile_scan(Simulation(), segments, hits, NAMES, over={"kb": None, "Ab": None}, points=10)
    assert found.fitted == NAMES and found.profiled.shape == (22, 3)
    for name in ("Ab", "kb"):
        k = NAMES.index(name)
        np.testing.assert_allclose(
            found.interval(name, 0.6827), result.intervals[k], atol=0.02 * result.errors[k], rtol=0.0
        )
        low, high = found.interval(name, 0.95)
        assert (high - low) / np.diff(found.interval(name, 0.6827))[0] == pytest.approx(1.96, rel=0.05)
    # the others have followed: no gradient is left there, and kb moves with Ab
    line = found.along == found.names.index("Ab")
    correlation = np.corrcoef(found.profiled[line][:, :2].T)[0, 1]
    assert correlation == pytest.approx(result.correlation[0, 1], abs=0.1) and abs(correlation) > 0.5
    x, loss, slope = found.line("Ab")
    inner = slice(1, -1)
    np.testing.assert_allclose(slope[inner], np.gradient(loss, x)[inner], atol=0.15 * np.abs(slope).max())
    assert "68% from" in str(found) and "95% to" in str(found)
    figure(found)


@pytest.mark.slow
def test_a_plane_of_two_of_three(segments, hits, one_thread):
    """The rise is that of the Gaussian of their covariance, where it is not far from the best."""
    result = calibrate(Simulation(), segments, hits, NAMES)
    found = profile_scan(Simulation(), segments, hits, NAMES, over={"Ab": None, "kb": None}, points=4, plane=True)
    assert found.plane and len(found.loss) == 16
    off = found.values - result.values[:2]
    wanted = 0.5 * np.einsum("ni,ij,nj->n", off, np.linalg.inv(result.covariance[:2, :2]), off)
    near = wanted < 6.0
    assert near.sum() >= 2
    np.testing.assert_allclose((found.loss - found.minimum)[near], wanted[near], rtol=0.15, atol=0.05)
    figure(found)


def test_edges_are_those_of_chi_squared():
    assert rise_of(0.6827, 1) == pytest.approx(0.5, abs=1e-4)
    assert rise_of(0.95, 2) == pytest.approx(-np.log(0.05), rel=1e-12)


def test_intervals_of_a_skewed_profile():
    """Of one count of 22: -log L = mu - n log mu, with its best value among the points."""
    n, x = 22.0, np.unique(np.append(np.linspace(10.0, 38.0, 41), 22.0))
    loss = x - n * np.log(x)
    nothing = np.zeros(len(x))
    scan = Scan(
        ("Ab",), np.zeros(len(x), int), x[:, None], loss, nothing[:, None], np.array([n]), None, "likelihood",
        n - n * np.log(n),
    )  # fmt: skip
    low, high = scan.interval("Ab", 0.6827)
    for end in (low, high):
        assert (end - n * np.log(end)) - scan.minimum == pytest.approx(0.5, abs=0.01)
    assert high - n > 1.05 * (n - low)
    assert np.isnan(scan.interval("Ab", 0.9999)).all()


def test_each_point_of_a_plane_has_a_neighbour_before_it():
    along, values = plane_of({"Ab": (0.0, 3.0), "kb": (0.0, 3.0)}, 4)
    order = outwards(along, values, np.array([1.2, 2.9]))
    assert sorted(k for k, _ in order) == list(range(16)) and order[0] == (1 * 4 + 3, -1)
    done = set()
    for k, before in order:
        assert before == -1 or before in done
        assert before == -1 or np.abs(values[k] - values[before]).sum() == 1.0
        done.add(k)


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"over": {"lifetime": None}}, "profile: lifetime is not fitted, allowed are Ab, kb, eField"),
        (
            {"over": {"Ab": (0.9, 0.8)}},
            "range of Ab: found 0.9 to 0.8, allowed is from a lower to a higher value within",
        ),
        ({"points": 1}, "points: found 1, allowed are 2 or more"),
        ({"plane": True}, "plane: needs two parameters, found 3"),
    ],
)
def test_what_is_refused(segments, hits, keywords, message):
    with pytest.raises(InputError, match=message):
        profile_scan(Simulation(), segments, hits, NAMES, **keywords)


def test_pixels_that_are_off_say_nothing(segments, hits, one_thread):
    """Three errors off the best value the loss is 4.5 higher, whatever the hits on them."""
    off = Simulation().without_pixels(np.unique(hits.pixel_id)[:2])
    best = calibrate(off, segments, hits, ("Ab",))
    found = profile_scan(off, segments, hits, ("Ab",), points=3)
    assert best.verdicts[0].cleaning.bad > 0 and found.minimum == pytest.approx(best.value)
    assert np.ptp(found.loss) == pytest.approx(4.5, rel=0.1)

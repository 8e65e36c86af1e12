"""Fits from the library: closure, errors, what the data leave open, and what is refused."""

import dataclasses

import numba
import numpy as np
import pytest
from helpers import make_segments, one_tpc
from samples import protons

from lartpc.data.selection import separate_tracks
from lartpc.exceptions import InputError
from lartpc.fit.calibrate import SIX, Journal, calibrate
from lartpc.fit.optimizers import OPTIMIZERS, GaussNewton
from lartpc.fit.target import Target
from lartpc.fit.unknowns import unknowns_of
from lartpc.parameters import TABLE, Parameters
from lartpc.simulation.simulation import Simulation

TRUTH = Parameters(Ab=0.83, kb=0.053, eField=0.52, lifetime=1500.0, long_diff=5e-6, tran_diff=9e-6)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def segments():
    """208 segments of four stopping protons."""
    return protons(4)


@pytest.fixture(scope="module")
def hits(segments):
    return Simulation(parameters=TRUTH)(segments).hits


def of(parameters, names=SIX):
    return np.array([parameters.as_dict()[name] for name in names])


# --- values and errors


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_closure(segments, seed):
    """Six parameters anywhere in their ranges from nominal values, without noise, in single precision."""
    rng = np.random.default_rng(seed)
    truth = Parameters(**{name: rng.uniform(*TABLE[name].range) for name in SIX})
    hits = Simulation(parameters=truth)(segments).hits
    result = calibrate(Simulation(), segments, Target(hits, truth=truth), loss="residuals")
    assert result.converged and result.message == "converged"
    np.testing.assert_allclose(result.values, of(truth), rtol=5e-5)
    assert (result.hits, result.unmatched) == (len(hits), 0)
    np.testing.assert_array_equal(result.start, of(Parameters()))
    assert "this target has none" in result.errors_from


@pytest.mark.slow
def test_noise(segments):
    """Every parameter within four of its errors, and the errors of the size that the noise of 100 hits makes."""
    for seed in (1, 2, 3):
        hits = Simulation(parameters=TRUTH, noise=True, seed=seed)(segments).hits
        result = calibrate(Simulation(), segments, hits)
        assert result.converged
        assert (np.abs(result.values - of(TRUTH)) < 4.0 * result.errors).all()
        relative = dict(zip(SIX, result.errors / result.values, strict=True))
        assert relative["eField"] < 1e-4 < relative["Ab"] < 1e-2 < relative["long_diff"] < 0.5
        correlation = result.correlation
        np.testing.assert_allclose(np.diag(correlation), 1.0)
        assert (np.abs(correlation) < 1.0 + 1e-12).all()
        np.testing.assert_allclose(correlation, correlation.T, atol=1e-12)
        np.testing.assert_allclose(result.errors**2, np.diag(result.covariance))


@pytest.mark.slow
def test_errors_fall_with_the_size_of_the_sample(hits, segments):
    """Twice the same tracks: errors smaller by the square root of two."""
    twice = segments.select(np.tile(np.arange(len(segments)), 2))
    twice.event_id = np.repeat([0, 1], len(segments))
    both = Simulation(parameters=TRUTH)(twice).hits
    start = {name: TRUTH.as_dict()[name] for name in SIX}
    one = calibrate(Simulation(), segments, hits, unknowns_of(Simulation(), SIX, start), loss="residuals")
    two = calibrate(Simulation(), twice, both, unknowns_of(Simulation(), SIX, start), loss="residuals")
    np.testing.assert_allclose(two.errors * np.sqrt(2.0), one.errors, rtol=1e-3)


@pytest.mark.slow
def test_fixed_parameters_stay(segments, hits):
    """Those not named are what the simulation has; fixed wrongly they bias the others, the fit of all does not."""
    right = Simulation(parameters=Parameters().replace(**{n: TRUTH.as_dict()[n] for n in SIX[2:]}))
    two = calibrate(right, segments, hits, unknowns=("kb", "Ab"), loss="residuals")
    np.testing.assert_allclose(two.values, [TRUTH.kb, TRUTH.Ab], rtol=5e-5)
    wrong = Simulation(parameters=right.parameters.replace(lifetime=2500.0))
    biased = calibrate(wrong, segments, hits, unknowns=("kb", "Ab"), loss="residuals")
    assert np.abs(biased.values / two.values - 1.0).max() > 5e-3


# --- what the data leave open


def points(n=20, **values):
    """Points of one dE/dx at the middle of pixels, at several drift distances."""
    at = np.array([(0.2217 + 0.4434 * (i % 5 - 2), 0.2217 + 0.4434 * (i // 5 - 2), 5.0 + i) for i in range(n)])
    return make_segments(at, at, **{"dE": 1.0, "dEdx": 8.0, **values})


@pytest.mark.slow
@pytest.mark.parametrize("noise", [False, True])
def test_one_dEdx_leaves_a_direction_open(noise):
    """A_B/(1 + k_B dE/dx/(E rho)) is one number there: raising both changes nothing (the paper's eq. 13)."""
    segments = points()
    hits = Simulation(one_tpc(), TRUTH, noise=noise, seed=1)(segments).hits
    assert len(hits) >= 15
    fixed = TRUTH.replace(Ab=0.8, kb=0.05)
    loss = "likelihood" if noise else "residuals"
    result = calibrate(Simulation(one_tpc(), fixed), segments, hits, unknowns=("Ab", "kb", "lifetime"), loss=loss)
    assert not result.converged
    assert np.isinf(result.errors[:2]).all() and np.isfinite(result.errors[2])
    # d ln Ab = d ln(1 + kb x) = kb x/(1 + kb x) d ln kb
    kx = result.values[1] * 8.0 / (TRUTH.eField * TRUTH.lArDensity)
    assert set(result.open_direction) == {"Ab", "kb"}
    assert result.open_direction["Ab"] / result.open_direction["kb"] == pytest.approx(kx / (1.0 + kx), rel=1e-2)
    assert "the data leave a direction open: relative changes Ab" in str(result)
    as_dict = result.as_dict()
    assert as_dict["parameters"]["Ab"]["error"] is None and as_dict["converged"] is False
    assert np.isfinite(result.correlation).all()
    # what is fixed is found, whatever the direction does
    R = result.values[0] / (1.0 + kx)
    truth = 0.83 / (1.0 + 0.053 * 8.0 / (TRUTH.eField * TRUTH.lArDensity))
    assert R == pytest.approx(truth, rel=0.05 if noise else 1e-4)


def test_two_values_of_dEdx_close_it():
    segments = points(dEdx=np.where(np.arange(20) % 2, 3.0, 15.0))
    hits = Simulation(one_tpc(), TRUTH)(segments).hits
    fixed = TRUTH.replace(Ab=0.8, kb=0.05)
    result = calibrate(Simulation(one_tpc(), fixed), segments, hits, unknowns=("Ab", "kb"), loss="residuals")
    assert result.converged and result.open_direction is None
    np.testing.assert_allclose(result.values, [0.83, 0.053], rtol=5e-5)


@pytest.mark.slow
def test_a_result_at_its_bound_is_marked(segments):
    """The target's lifetime is below the bounds: the fit ends at the edge and says so, for that one alone."""
    hits = Simulation(parameters=TRUTH.replace(lifetime=450.0))(segments).hits
    fixed = Simulation(parameters=TRUTH.replace(lifetime=2200.0))
    unknowns = unknowns_of(fixed, ("lifetime", "Ab"), bounds={"lifetime": (500.0, 5000.0)})
    result = calibrate(fixed, segments, hits, unknowns, loss="residuals")
    assert result.values[0] == 500.0 and result.pushed == ("lifetime",)
    marked = [line.split()[1] for line in str(result).splitlines() if line.endswith("at its bound")]
    assert marked == ["lifetime"]


@pytest.mark.slow
def test_not_converged_is_said(segments):
    hits = Simulation(parameters=TRUTH, noise=True, seed=1)(segments).hits
    result = calibrate(Simulation(), segments, hits, optimizer=GaussNewton(1))
    assert not result.converged
    assert "not converged in 1 iterations" in result.message and "not converged" in str(result)


# --- the same bits


def bits(result):
    fields = (result.values, result.errors, result.covariance, np.float64(result.value))
    return b"".join(np.asarray(field).tobytes() for field in fields)


def runs(optimizer, iterations):
    """A function that fits a small noisy target: the result's bits and the evaluations, from given ones on."""
    segments = separate_tracks(protons(2))
    hits = Simulation(parameters=TRUTH, noise=True, seed=1)(segments).hits
    options = (iterations, 1.0) if optimizer == "adam" else (iterations,)

    def run(history=(), threads=1, calls=None):
        numba.set_num_threads(threads)
        lines = []
        result = calibrate(
            Simulation(),
            segments,
            hits,
            optimizer=OPTIMIZERS[optimizer](*options),
            journal=Journal(
                history, lines.append, lambda batches: batches if calls is None else (calls.append(1), batches)[1]
            ),
        )
        return bits(result), lines

    return run


def same(lines, others):
    return [b"".join(np.asarray(field).tobytes() for field in line[1:]) for line in lines] == [
        b"".join(np.asarray(field).tobytes() for field in line[1:]) for line in others
    ] and [line.phase for line in lines] == [line.phase for line in others]


@pytest.mark.slow
def test_same_bits_again_with_more_threads_and_from_any_iteration():
    run = runs("gauss-newton", 3)
    first, lines = run()
    phases = [line.phase for line in lines]
    assert phases == sorted(phases, reverse=True) and set(phases) == {"warm-up", "fit"}
    assert run()[0] == first
    assert run(threads=min(2, numba.config.NUMBA_NUM_THREADS))[0] == first
    for k in range(1, len(lines) + 1):
        calls = []
        again, rest = run(history=lines[:k], calls=calls)
        assert again == first and same(rest, lines), k
        assert len(calls) == sum(phase == "fit" for phase in phases[k:])  # what is known is not done again


@pytest.mark.slow
@pytest.mark.parametrize("optimizer, iterations", [("l-bfgs-b", 12), ("minuit", 30), ("trust-region", 8), ("adam", 3)])
def test_same_bits_from_some_iteration(optimizer, iterations):
    if optimizer == "minuit":
        pytest.importorskip("iminuit")
    run = runs(optimizer, iterations)
    first, lines = run()
    assert len(lines) > 5
    for k in (len(lines) // 2, len(lines) - 1):
        again, rest = run(history=lines[:k])
        assert again == first and same(rest, lines), k


@pytest.mark.slow
def test_the_history_of_another_fit_is_not_believed():
    """Handed the evaluations of another target's values, it does them itself from the first that differs."""
    run = runs("gauss-newton", 3)
    first, lines = run()
    wrong = [lines[0], lines[1]._replace(values=lines[1].values * 1.01, value=0.0), *lines[2:]]
    again, rest = run(history=wrong)
    assert again == first and same(rest, lines)


@pytest.mark.slow
def test_the_epochs_of_adam_are_of_the_same_batches():
    """A batch a track here; the robust start and the end are of all."""
    _, lines = runs("adam", 3)()
    batches = [line.batch for line in lines if line.phase == "fit"]
    assert batches == [0, 1] * 3 + [-1]
    hits = [line.hits for line in lines if line.phase == "fit"]
    assert hits[0] + hits[1] == hits[-1] and hits[:2] == hits[2:4] and min(hits) > 0


# --- where it starts does not matter


@pytest.mark.slow
def test_random_starts(segments, hits):
    """Anywhere in the ranges, the same minimum."""
    rng = np.random.default_rng(7)
    for _ in range(5):
        start = {name: rng.uniform(*TABLE[name].range) for name in SIX}
        result = calibrate(Simulation(), segments, hits, unknowns_of(Simulation(), SIX, start), loss="residuals")
        assert result.converged, str(result)
        np.testing.assert_allclose(result.values, of(TRUTH), rtol=5e-5)


# --- refused


@pytest.mark.slow
@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"names": ("lifetim",)}, "fit: parameter lifetim is not known, nearest is lifetime"),
        ({"names": ("efield",)}, "fit: parameter efield is not known, nearest is eField"),
        ({"names": ("Ab", "alpha")}, "fit: nothing depends on alpha with recombination birks"),
        ({"names": ("vdrift",)}, "fit: nothing depends on vdrift .* linked to the field"),
        ({"names": ("Ab", "kb", "Ab")}, "fit: a parameter is named twice in Ab, kb, Ab"),
        ({"names": ()}, "fit: no parameter is named"),
        ({"start": {"lifetime": 0.1}}, "start of lifetime: found 0.1, allowed is 1 to 1e.06"),
        ({"start": {"lifetime": np.nan}}, "start of lifetime: found nan, allowed is 1 to 1e.06"),
        ({"start": {"lifetim": 2000.0}}, "start: lifetim is not fitted, allowed are Ab, kb"),
        ({"start": {"lifetime": 2000.0}, "names": ("Ab",)}, "start: lifetime is not fitted, allowed are Ab"),
        ({"loss": "chi2"}, "loss: found 'chi2', allowed is likelihood or residuals"),
        ({"errors": "minos"}, "errors: found 'minos', allowed is gauss-newton or hessian or profile"),
        ({"errors": "profile", "loss": "residuals"}, "errors: profile needs the loss likelihood, found residuals"),
        ({"optimizer": "newton"}, "optimizer: found 'newton', allowed is gauss-newton or"),
        ({"optimizer": "gauss-newton", "loss": "mse"}, "gauss-newton needs the loss likelihood or residuals"),
    ],
)
def test_wrong_settings(segments, hits, keywords, message):
    with pytest.raises(InputError, match=message) as caught:
        names, start = (keywords.get(name, default) for name, default in (("names", SIX), ("start", None)))
        options = {name: value for name, value in keywords.items() if name not in ("names", "start")}
        calibrate(Simulation(), segments, hits, unknowns_of(Simulation(), names, start), **options)
    assert "\n" not in str(caught.value)


def test_a_simulation_outside_the_bounds_is_no_start(segments, hits):
    with pytest.raises(InputError, match="start of lifetime: found 0.4, allowed is 1 to 1e.06"):
        calibrate(Simulation(parameters=Parameters(lifetime=0.4)), segments, hits)


def test_wrong_targets(segments, hits):
    with pytest.raises(InputError, match="target: has no hits, so there is nothing to fit"):
        calibrate(Simulation(), segments, hits.select(slice(0)))
    others = dataclasses.replace(hits, event_id=hits.event_id + 7)
    with pytest.raises(InputError, match="target: has hits of event 7, which the segments do not have"):
        calibrate(Simulation(), segments, others)
    outside = make_segments((0.0, 90.0, 3.0), (0.0, 91.0, 3.0))
    with pytest.raises(InputError, match="target: no hit is on a pixel where the segments give charge"):
        calibrate(Simulation(), outside, hits)
    elsewhere = dataclasses.replace(hits, pixel_id=np.where(hits.pixel_id > 0, 0, 1) + np.arange(len(hits)))
    with pytest.raises(InputError, match="target: no hit is on a pixel"):
        calibrate(Simulation(), segments, elsewhere)

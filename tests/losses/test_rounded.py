"""Targets of ticks and ADC counts."""

import dataclasses

import numpy as np
import pytest
from helpers import make_segments, one_tpc
from objectives import SIX, STEP, TRUTH, moved, objective
from traces import smooth

from lartpc.detector.digitization import charge_of, whole_ticks
from lartpc.exceptions import InputError
from lartpc.fit.unknowns import unknowns_of
from lartpc.kernels.runtime import slots
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
@pytest.mark.parametrize("name", SIX)
def test_gradient_of_the_rounded_likelihood(segments, noisy, name):
    of = objective("likelihood", segments, noisy, names=(name,), rounded=True)
    linear = of(Parameters().vector(np.float64))
    high, low = (of(moved(name, h)).value for h in (STEP, -STEP))
    nominal = Parameters().as_dict()[name]
    assert linear.gradient[0] * nominal == pytest.approx((high - low) / (2.0 * STEP), rel=1e-5)
    assert len(linear.residual) == 2 * linear.hits == 2 * (len(noisy) - linear.unmatched) > 60


def test_a_rounded_target_uses_ticks_and_counts_alone(segments, noisy):
    vector = Parameters().vector(np.float64)
    tick = np.ceil(noisy.t / 0.1)
    other = dataclasses.replace(noisy, t=(tick - 0.9) * 0.1, charge=np.full(len(noisy), np.nan))
    for kind in ("likelihood", "residuals", "matched"):
        a, b = (objective(kind, segments, hits, rounded=True)(vector) for hits in (noisy, other))
        assert a.value == b.value and np.isfinite(a.value)
        np.testing.assert_array_equal(a.jacobian, b.jacobian)


def test_rounding_loses_information(segments, noisy):
    """But not much: a count of 988 e beside 500 e of noise, a tick of some 1000 e beside 900 e."""
    exact, rounded = (objective("likelihood", segments, noisy, rounded=k)(TRUTH.vector(np.float64)) for k in (0, 1))
    fraction = np.diag(rounded.information) / np.diag(exact.information)
    assert (fraction < 1.0).all() and (fraction > 0.2).all()
    assert np.linalg.eigvalsh(rounded.information / np.sqrt(np.outer(*[np.diag(rounded.information)] * 2)))[0] > 0.0


def test_fine_rounding_is_no_rounding(segments, noisy):
    """Noise far larger than the charges of counts and ticks: the same likelihood but for a constant."""
    rough = smooth().detector
    detector = dataclasses.replace(rough, adc_counts=65536, reset_noise=9e4, uncorrelated_noise=5e4)
    counts = (noisy.charge.astype(np.float64) * rough.gain + rough.v_pedestal - rough.v_cm) * 65536 / 1012.0
    middle = (np.ceil(noisy.t / 0.1) - 0.5) * 0.1
    hits = dataclasses.replace(noisy, adc=np.floor(counts + 0.5), t=middle)
    simulation = smooth(detector=detector)
    exact, rounded = (objective("likelihood", segments, hits, simulation, rounded=k) for k in (False, True))
    a, b = (TRUTH.vector(np.float64), Parameters().vector(np.float64))
    assert rounded(a).value - rounded(b).value == pytest.approx(exact(a).value - exact(b).value, rel=1e-2)
    np.testing.assert_allclose(rounded(b).gradient, exact(b).gradient, rtol=1e-2)
    np.testing.assert_allclose(rounded(b).information, exact(b).information, rtol=1e-2)


def test_fit_of_a_rounded_target(segments, noisy):
    """The truth, within its errors, and noise of the size that is expected."""
    names = ("eField", "Ab")
    truth = np.array([TRUTH.eField, TRUTH.Ab])
    vector = TRUTH.vector(np.float64)
    at = [slots.PARAMETERS.index(name) for name in names]
    of = objective("likelihood", segments, noisy, names=names, rounded=True)
    for _ in range(6):
        linear = of(vector)
        vector[at] -= np.linalg.solve(linear.information, linear.gradient)
    pull = (vector[at] - truth) / np.sqrt(np.diag(np.linalg.inv(linear.information)))
    assert (np.abs(pull) < 3.0).all() and (pull != 0.0).all()
    assert 0.5 < np.mean(linear.residual**2) < 1.3


def test_ticks():
    """A time on a tick belongs to it, early in the run or after a day of it."""
    for first in (0, 7, 10**9):
        k = first + np.arange(1000)
        np.testing.assert_array_equal(whole_ticks(k * 0.1, 0.1), k)
        np.testing.assert_array_equal(whole_ticks(k / 10.0, 0.1), k)
        np.testing.assert_array_equal(whole_ticks((k + 0.01) * 0.1, 0.1), k + 1)
        np.testing.assert_array_equal(whole_ticks((k + 0.99) * 0.1, 0.1), k + 1)


def test_counts_hold_their_charges():
    simulation = smooth()
    d = simulation.detector
    middle, low, high = charge_of(np.arange(256.0), d)
    assert low[0] == -np.inf and high[255] == np.inf and np.isfinite(middle).all()
    np.testing.assert_array_equal(low[1:], high[:-1])
    np.testing.assert_allclose(np.diff(middle), 988.28125)
    charge = np.random.default_rng(0).uniform(-9e4, 2e5, 4000)
    counts = np.clip(np.floor((charge * d.gain + d.v_pedestal - d.v_cm) * 256 / (d.v_ref - d.v_cm) + 0.5), 0, 255)
    at = counts.astype(int)
    assert {0, 255} <= set(at)
    assert ((low[at] <= charge) & (charge < high[at])).all()


@pytest.mark.parametrize("value", [-1.0, 256.0, 80.5])
def test_counts_that_the_adc_does_not_have(noiseless, value):
    adc = noiseless.adc.copy()
    adc[3] = value
    with pytest.raises(InputError, match=f"target: found an adc of {value:g}, allowed are whole counts from 0 to 255"):
        TargetHits(dataclasses.replace(noiseless, adc=adc), smooth().detector, rounded=True)


def test_the_count_of_the_threshold_holds_no_charge_below_it():
    """Reads below threshold are vetoed: the part of the count below is no evidence for less charge."""
    simulation = smooth(detector=one_tpc())
    segments = make_segments((0.22, 0.22, 10.0), (0.22, 0.22, 10.0), dE=0.35)
    hits = simulation(segments).hits
    assert len(hits) == 1 and hits.adc[0] > 81.0
    vector = Parameters().vector(np.float64)
    values = []
    for threshold in (6900.0, 7000.0, 7100.0, 7500.0):
        with_veto = smooth(detector=one_tpc(threshold=threshold))
        at_threshold = dataclasses.replace(hits, adc=np.array([81.0]))
        target = TargetHits(at_threshold, with_veto.detector, True)
        values.append(
            Objective("likelihood", with_veto, with_veto.batches(segments), target, unknowns_of(with_veto, SIX))
            .at(vector)
            .value
        )
    assert (np.diff(values) > 0.0).all()  # the higher the threshold, the less of the count is left

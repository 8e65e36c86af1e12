"""Targets that do not fit the simulation, and targets that are refused."""

import dataclasses

import numpy as np
import pytest
from helpers import make_segments
from objectives import joined, objective
from traces import smooth

from lartpc.exceptions import InputError
from lartpc.losses.catalogue import SQUARES
from lartpc.losses.target import TargetHits
from lartpc.parameters import Parameters

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
def test_hits_without_charge_are_counted_apart(segments, noiseless):
    vector = Parameters().vector(np.float64)
    stray = noiseless.select(slice(0, 2))
    used = set(smooth()(segments, waveforms=True).waveforms.pixel_id)
    stray.pixel_id = np.full(2, next(p for p in range(1000) if p not in used))
    stray.t = stray.t + np.array([0.0, 5.0])
    for kind in SQUARES:
        alone = objective(kind, segments, noiseless)(vector)
        with_stray = objective(kind, segments, joined(noiseless, stray))(vector)
        assert with_stray.unmatched == alone.unmatched + 2
        assert with_stray.hits == alone.hits
        np.testing.assert_array_equal(with_stray.residual, alone.residual)
        assert with_stray.value == alone.value


@pytest.mark.parametrize("kind", SQUARES)
def test_a_target_of_strays_only(segments, noiseless, kind):
    stray = noiseless.select(slice(0, 1))
    stray.pixel_id = np.array([39000])
    linear = objective(kind, segments, stray)(Parameters().vector(np.float64))
    assert (linear.hits, linear.unmatched, len(linear.residual)) == (0, 1, 0)
    assert linear.jacobian.shape == (0, 6)
    assert (linear.value > 0.0) == (kind == "likelihood")


@pytest.mark.parametrize("kind", SQUARES)
def test_segments_without_charge(noiseless, kind):
    outside = make_segments((0.0, 90.0, 3.0), (0.0, 91.0, 3.0))
    linear = objective(kind, outside, noiseless)(Parameters().vector(np.float64))
    assert (linear.value, linear.hits, linear.unmatched) == (0.0, 0, len(noiseless))
    np.testing.assert_array_equal(linear.gradient, 0.0)


def test_a_hit_where_no_current_is_expected_is_unlikely_but_possible(segments, noiseless):
    late = noiseless.select(slice(0, 1))
    late.t = late.t + 500.0
    linear = objective("likelihood", segments, late)(Parameters().vector(np.float64))
    assert linear.hits == 1 and np.isfinite(linear.value) and np.isfinite(linear.gradient).all()


def test_targets_that_are_refused(noiseless):
    detector = smooth().detector
    with pytest.raises(InputError, match="target: has no hits"):
        TargetHits(noiseless.select(slice(0, 0)), detector)
    many = joined(*[noiseless.select(slice(0, 1))] * 11)
    message = f"target: event {many.event_id[0]} has 11 hits on pixel {many.pixel_id[0]}, allowed are up to 10: see"
    with pytest.raises(InputError, match=message):
        TargetHits(many, dataclasses.replace(detector, max_hits=10))
    assert len(TargetHits(many, detector).t) == 11


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("charge", np.nan, "target: charge of hit 3 is nan, not finite"),
        ("t", np.inf, "target: t of hit 3 is inf, not finite"),
        ("t", -1e300, "target: t of hit 3 is -1e.300, allowed are up to 5e.15 us"),
        ("pixel_id", -5, "target: pixel -5 is not on detector module0"),
        ("pixel_id", 78400, "target: pixel 78400 is not on detector module0"),
    ],
)
def test_damaged_hits_are_refused(noiseless, column, value, message):
    values = getattr(noiseless, column).copy()
    values[3] = value
    with pytest.raises(InputError, match=message):
        TargetHits(dataclasses.replace(noiseless, **{column: values}), smooth().detector)


@pytest.mark.slow
def test_order_of_the_target_does_not_matter(segments, noisy):
    vector = Parameters().vector(np.float64)
    shuffled = noisy.select(np.random.default_rng(0).permutation(len(noisy)))
    for kind in SQUARES:
        a, b = (objective(kind, segments, hits)(vector) for hits in (noisy, shuffled))
        np.testing.assert_array_equal(a.residual, b.residual)
        assert a.value == b.value

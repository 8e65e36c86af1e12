"""What a target says of the model that made it, and of models that did not."""

import dataclasses
import re

import numpy as np
import pytest
from spoilt_targets import changed, hits_of, joined, on_pixel, one_an_event

from lartpc.exceptions import InputError
from lartpc.fit.compare import compare, examined
from lartpc.fit.target import Target
from lartpc.goodness.cleaning import SURE, Cleaning, find_spoilt
from lartpc.goodness.items import Examined
from lartpc.goodness.statistics import checks, trends
from lartpc.goodness.verdict import LIMIT
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
MODEL = Simulation()


@pytest.fixture(scope="module")
def segments():
    return one_an_event(6)


@pytest.fixture(scope="module")
def hits(segments):
    return hits_of(segments)


@pytest.fixture(scope="module")
def repeated(segments, hits):
    """The target, and 40 drawn from the model."""
    return examined(MODEL, segments, Target(hits), MODEL.vector(), 40)


@pytest.fixture(scope="module")
def sure(repeated):
    """Events and pixels (n, 2) that must have hits, with those that have most charge first."""
    spots = repeated.spots
    order = np.argsort(-spots.charge)
    order = order[(spots.log_silence < SURE)[order]]
    return np.stack((spots.event_id, spots.pixel_id), axis=1)[order]


def left_out(segments, hits):
    """By a comparison at the truth."""
    return compare(MODEL, segments, hits).cleaning


def assert_left_out(found, **expected):
    """That, and nothing else."""
    wanted = {**Cleaning().as_dict(), **{k: np.asarray(v).tolist() for k, v in expected.items()}}
    assert found.as_dict() == wanted


# --- clean targets


@pytest.mark.slow
def test_numbers_of_clean_targets_are_standard_normal(repeated, segments):
    """Each drawn target next to the others."""
    found = {}
    for k, target in enumerate(repeated.drawn):
        one = Examined(repeated.spots, target, repeated.drawn[:k] + repeated.drawn[k + 1 :])
        for check in checks(one):
            found.setdefault(check.name, []).append(check.significance)
        for trend in trends(one, segments, MODEL.detector):
            found.setdefault(f"{trend.what} by {trend.by}", []).append(trend.significance)
    assert len(found) == 22
    for name, values in found.items():
        assert abs(np.mean(values)) < 0.6, name
        assert 0.6 < np.std(values) < 1.45, name
        assert np.max(np.abs(values)) < LIMIT, name


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("seed", range(2, 10))
def test_clean_target_is_described(segments, seed, rounded):
    verdict = compare(MODEL, segments, Target(hits_of(segments, seed), rounded=rounded))
    assert verdict.describes and verdict.reasons == () and verdict.common == ()
    assert_left_out(verdict.cleaning)
    assert str(verdict) == "the model describes the target"


def test_target_without_noise(segments):
    hits = Simulation()(segments).hits
    assert compare(MODEL, segments, Target(hits, noise=False)).describes
    other = Simulation(parameters=MODEL.parameters.replace(lifetime=1900.0))
    verdict = compare(other, segments, Target(hits, noise=False))
    assert not verdict.describes and "mean square of the charges" in " ".join(verdict.reasons)


# --- what is left out


def test_hits_twice(segments, hits):
    found = compare(MODEL, segments, joined(hits, hits.select(np.arange(0, len(hits), 17))))
    assert found.describes
    assert_left_out(found.cleaning, twice=len(range(0, len(hits), 17)))


def test_dead_pixels(segments, hits, sure):
    _, first = np.unique(sure[:, 0], return_index=True)
    dead = np.unique(sure[first[:3], 1])
    found = compare(MODEL, segments, hits.select(~np.isin(hits.pixel_id, dead)))
    assert found.describes and str(found).startswith(f"left out: {len(dead)} dead pixels\n")
    assert_left_out(found.cleaning, dead=dead)


def test_event_missing(segments, hits):
    assert_left_out(left_out(segments, hits.select(hits.event_id != 2)), events=[2])


def test_half_an_event_missing(segments, hits):
    of_event = np.flatnonzero(hits.event_id == 2)
    kept = np.setdiff1d(np.arange(len(hits)), of_event[: len(of_event) // 2])
    assert_left_out(left_out(segments, hits.select(kept)), events=[2])


def test_two_events_swapped(segments, hits):
    other = np.where(hits.event_id == 1, 3, np.where(hits.event_id == 3, 1, hits.event_id))
    assert left_out(segments, joined(changed(hits, event_id=other))).events.tolist() == [1, 3]


def test_noise_on_pixels_without_charge(segments, hits, repeated):
    """One hit each is told, three on a pixel make it noisy."""
    free = np.setdiff1d(np.arange(1000), np.concatenate((repeated.spots.pixel_id, hits.pixel_id)))
    noise = on_pixel(hits.select(np.arange(3)), free[:3], MODEL.detector)
    assert_left_out(left_out(segments, joined(hits, noise)), noise=3)
    noise = changed(on_pixel(noise, np.full(3, free[0]), MODEL.detector), t=np.array([20.0, 60.0, 90.0]))
    assert_left_out(left_out(segments, joined(hits, noise)), noisy=free[:1])


def test_hits_of_noise_on_pixels_with_charge(segments, hits, sure):
    """Long after the charge: nothing of those pixels is used, in that event."""
    spots = sure[:2][np.lexsort(sure[:2].T[::-1])]
    chosen = [np.flatnonzero((hits.event_id == e) & (hits.pixel_id == p))[0] for e, p in spots]
    late = hits.select(np.array(chosen))
    found = left_out(segments, joined(hits, changed(late, t=late.t + 150.0)))
    assert_left_out(found, spots=spots)


def test_nothing_is_left_out_where_it_would_be_most(segments, hits):
    """Then it is the model that is wrong."""
    few = hits.select(hits.event_id < 2)
    verdict = compare(MODEL, segments, few)
    assert_left_out(verdict.cleaning)
    assert not verdict.describes
    assert "events without any hit: 2, 3, 4, 5" in verdict.reasons
    assert any(re.match(r"\d+ pixels that must have hits have none", reason) for reason in verdict.reasons)


def test_find_spoilt_of_a_clean_target(repeated, hits):
    assert_left_out(find_spoilt(repeated, hits))


# --- what is named


def doubled(detector):
    return dataclasses.replace(
        detector, reset_noise=2.0 * detector.reset_noise, uncorrelated_noise=2.0 * detector.uncorrelated_noise
    )


SPOILT = {
    "noise doubled": (lambda s, h: hits_of(s, detector=doubled(MODEL.detector)), "mean square of the charges"),
    "times 0.5 us later": (lambda s, h: changed(h, t=h.t + 0.5), "mean of the times"),
    "times in ticks": (lambda s, h: changed(h, t=h.t * 10.0), "hits are more than"),
    "charges 5 % larger": (lambda s, h: changed(h, charge=1.05 * h.charge), "mean of the charges"),
    "lifetime": (
        lambda s, h: hits_of(s, parameters=MODEL.parameters.replace(lifetime=700.0)),
        r"residuals of the charges depend on .*drift \(",
    ),
    "other pixels": (
        lambda s, h: on_pixel(h, (h.pixel_id + 3000) % MODEL.detector.n_pixels, MODEL.detector),
        "hits are on pixels without charge",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPOILT)
def test_reason_is_named(name, segments, hits):
    spoil, reason = SPOILT[name]
    verdict = compare(MODEL, segments, spoil(segments, hits))
    assert not verdict.describes
    assert any(re.search(reason, one) for one in verdict.reasons), verdict.reasons
    printed = str(verdict).splitlines()
    assert "the model does not describe the target" in printed
    assert [line.strip() for line in printed if line.strip() in verdict.reasons] == list(verdict.reasons)


def test_place_is_named(segments, hits):
    """Charges of one event off by four times the noise: most of what is off is there."""
    noise = MODEL.detector.uncorrelated_noise
    verdict = compare(MODEL, segments, changed(hits, charge=hits.charge + 4.0 * noise * (hits.event_id == 4)))
    assert not verdict.describes and "event 4" in verdict.common
    assert next(iter(verdict.where["event"])) == "4" and verdict.where["event"]["4"] > 0.5


def test_refusals(segments, hits):
    with pytest.raises(InputError, match="target: has hits of event 9"):
        compare(MODEL, segments, changed(hits, event_id=np.full(len(hits), 9)))
    with pytest.raises(InputError, match="target: has no hits"):
        compare(MODEL, segments, hits.select(np.zeros(0, dtype=int)))


def test_rounded_target_without_noise(segments):
    """Its residuals are those that rounding makes."""
    exact = Simulation()(segments).hits
    assert compare(MODEL, segments, Target(exact, rounded=True, noise=False)).describes
    late = changed(exact, t=exact.t + 0.5)
    assert not compare(MODEL, segments, Target(late, rounded=True, noise=False)).describes


def test_hits_on_pixels_that_are_off(segments, hits, sure):
    """They are counted, and say nothing of the model."""
    off = sure[:2, 1]
    found = compare(MODEL.without_pixels(np.unique(off)), segments, hits)
    assert found.describes
    assert_left_out(found.cleaning, bad=np.sum(np.isin(hits.pixel_id, off)))

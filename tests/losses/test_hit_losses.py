"""Losses of hit lists against slow references, their limits and rules, and their derivatives; in float64."""

import numpy as np
import pytest
from hit_lists import COLUMNS, DETECTOR, PEDESTAL, each, event_of, hit_list, joined, scaled, similarity
from scipy.spatial import cKDTree

from lartpc.losses.hit_losses import CHARGE_SCALE, LOSSES, chamfer, mmd, mse
from lartpc.losses.hitlist import HitList


def test_chamfer_by_a_tree(sides):
    expected = []
    for s, t in each(sides):
        p, o = scaled(s), scaled(t)
        expected.append(np.mean(cKDTree(o).query(p)[0] ** 2) + np.mean(cKDTree(p).query(o)[0] ** 2))
    np.testing.assert_allclose(chamfer(*sides, DETECTOR).value, expected, rtol=1e-12)


def test_mmd_by_its_formula(sides):
    expected = []
    for s, t in each(sides):
        p, o = scaled(s), scaled(t)
        expected.append(similarity(p, p) - 2.0 * similarity(p, o) + similarity(o, o))
    np.testing.assert_allclose(mmd(*sides, DETECTOR).value, expected, rtol=1e-10)
    assert min(expected) > 1e-3


@pytest.mark.parametrize("name", LOSSES)
def test_equal_sides_and_exchanged_sides(sides, name):
    """Exchanged sides have the same loss; equal ones none, and no slope. (Soft-DTW of equal sides is below 0.)"""
    loss = LOSSES[name]
    np.testing.assert_allclose(loss(*sides, DETECTOR).value, loss(*sides[::-1], DETECTOR).value, rtol=1e-11)
    equal = loss(sides[0], sides[0], DETECTOR)
    if name == "soft-dtw":
        assert (equal.value <= 0.0).all()
    else:
        assert (loss(*sides, DETECTOR).value > 0.0).all()
        np.testing.assert_array_equal(equal.value, 0.0)
        np.testing.assert_allclose(np.concatenate(equal[1:]), 0.0, atol=1e-15)


def test_mse_by_hand():
    """Two events; on pixel 3 the hits come in another order than on the target, and one is left over."""
    x, y = np.zeros(4), np.zeros(4)
    s = HitList(
        np.array([0, 3, 4]),
        np.array([3, 5, 3, 3]),
        x,
        y,
        time=np.array([9.0, 1.0, 2.0, 5.0]),
        charge=np.array([1e4, 2e4, 3e4, 4e4]),
        adc=np.zeros(4),
    )
    t = HitList(
        np.array([0, 2, 4]),
        np.array([3, 4, 3, 3]),
        x,
        y,
        time=np.array([2.5, 1.0, 7.0, 9.0]),
        charge=np.array([2.5e4, 1.5e4, 3.5e4, 1e4]),
        adc=np.zeros(4),
    )
    # Event 0: 2.0 us with 2.5 us on pixel 3; alone are 1e4 e and 2e4 e, and 1.5e4 e.
    # Event 1: 5 us with 7 us; alone are 1e4 e.
    expected = [(2 * (0.5**2 + 1.0**2) + 2.0**2 + 4.0**2 + 3.0**2) / 5, (2 * (2.0**2 + 1.0**2) + 2.0**2) / 3]
    loss = mse(s, t, DETECTOR)
    np.testing.assert_allclose(loss.value, expected, rtol=1e-14)
    np.testing.assert_allclose(loss.time, [0.0, 0.0, 2 * 2 * -0.5 / 5, 2 * 2 * -2.0 / 3], rtol=1e-14)
    np.testing.assert_allclose(loss.charge * 5000.0, [2 * 2.0 / 5, 2 * 4.0 / 5, 4 * 1.0 / 5, 4 * 1.0 / 3], rtol=1e-14)
    np.testing.assert_array_equal(loss.adc, 0.0)


# --- all of them


def with_empty_events(sides):
    """An event without target hits, one without simulated ones, one without any, and a full one after them."""
    s, t = sides
    nothing = event_of(hit_list([0], np.random.default_rng(0)), 0)
    simulated = joined([event_of(s, 0), nothing, nothing, event_of(s, 3)])
    return simulated, joined([nothing, event_of(t, 0), nothing, event_of(t, 3)])


def alone(name, hits):
    """The loss of hits against nothing."""
    if name == "soft-dtw":
        return np.abs(hits.adc - PEDESTAL).sum()
    if name == "mmd":
        return similarity(scaled(hits), scaled(hits))
    return np.mean((hits.charge / CHARGE_SCALE) ** 2)


@pytest.mark.parametrize("name", LOSSES)
def test_empty_sides(sides, name):
    simulated, target = with_empty_events(sides)
    loss = LOSSES[name](simulated, target, DETECTOR)
    np.testing.assert_allclose(loss.value[0], alone(name, event_of(simulated, 0)), rtol=1e-11)
    np.testing.assert_allclose(loss.value[1], alone(name, event_of(target, 1)), rtol=1e-11)
    assert loss.value[2] == 0.0
    assert loss.value[3] == LOSSES[name](*each(sides)[3], DETECTOR).value[0]


@pytest.mark.parametrize("name", LOSSES)
def test_no_hits_at_all(name):
    nothing = hit_list([0, 0], np.random.default_rng(0))
    loss = LOSSES[name](nothing, nothing, DETECTOR)
    np.testing.assert_array_equal(loss.value, [0.0, 0.0])
    assert [len(column) for column in loss[1:]] == [0, 0, 0]


@pytest.mark.parametrize("name", LOSSES)
def test_events_do_not_see_each_other(sides, name):
    """In any order of events each has the same loss and derivatives, to the bit, as it has alone."""
    order = [3, 0, 4, 2, 1]
    events = each(sides)
    together = LOSSES[name](*(joined([events[k][side] for k in order]) for side in (0, 1)), DETECTOR)
    alone = [LOSSES[name](*events[k], DETECTOR) for k in order]
    for column, parts in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_array_equal(column, np.concatenate(parts))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("sample", ["full", "with empty events"])
def test_derivatives(sides, name, sample):
    """Of every event's own loss by every hit, by central differences."""
    simulated, target = sides if sample == "full" else with_empty_events(sides)
    loss = LOSSES[name](simulated, target, DETECTOR)
    event = np.repeat(np.arange(len(loss.value)), np.diff(simulated.first))
    acts = {"soft-dtw": ("adc",)}.get(name, ("time", "charge"))
    for column in COLUMNS:
        if column not in acts:
            np.testing.assert_array_equal(getattr(loss, column), 0.0)
            continue
        difference = np.zeros(len(event))
        step = 1e-5 * {"charge": CHARGE_SCALE}.get(column, 1.0)
        for i in range(len(event)):
            ends = []
            for h in (step, -step):
                values = getattr(simulated, column).copy()
                values[i] += h
                ends.append(LOSSES[name](simulated._replace(**{column: values}), target, DETECTOR).value)
            change = (ends[0] - ends[1]) / (2.0 * step)
            assert (np.delete(change, event[i]) == 0.0).all()
            difference[i] = change[event[i]]
        found = getattr(loss, column)
        np.testing.assert_allclose(found, difference, rtol=1e-6, atol=1e-7 * np.abs(difference).max())
        assert np.abs(found).max() > 0.0


@pytest.mark.parametrize("name", LOSSES)
def test_taylor_remainder(sides, name):
    """The remainder of a step along a random direction falls as its square."""
    simulated, target = sides
    rng = np.random.default_rng(2)
    size = {"time": 1.0, "charge": CHARGE_SCALE, "adc": 1.0}
    directions = {column: size[column] * rng.normal(size=len(simulated.time)) for column in COLUMNS}
    loss = LOSSES[name](simulated, target, DETECTOR)
    slope = sum(np.sum(getattr(loss, column) * direction) for column, direction in directions.items())
    h = 10.0 ** -np.arange(2.5, 5.0, 0.5)
    remainder = []
    for step in h:
        moved = {column: getattr(simulated, column) + step * direction for column, direction in directions.items()}
        change = np.sum(LOSSES[name](simulated._replace(**moved), target, DETECTOR).value - loss.value)
        remainder.append(abs(change - step * slope))
    slopes = np.diff(np.log(remainder)) / np.diff(np.log(h))
    np.testing.assert_allclose(slopes, 2.0, atol=0.1)

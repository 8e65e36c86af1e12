"""Losses of hit lists against slow references, their limits and rules, and their derivatives; in float64."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers import make_segments
from scipy.spatial import cKDTree

from lartpc.arrays import offsets
from lartpc.detector.detector import Detector
from lartpc.gradients.trace import Trace
from lartpc.kernels.losses import soft_dtw as soft_dtw_kernel
from lartpc.losses.hit_losses import CHARGE_SCALE, LOSSES, TIME_SCALE, WIDTHS, chamfer, mmd, mse, soft_dtw
from lartpc.losses.hitlist import HitList, make_hit_list, present_events, simulated_hits
from lartpc.losses.target import Target
from lartpc.simulation.simulation import Simulation

DETECTOR = Detector.module0()
PITCH = DETECTOR.pitch[0]
PEDESTAL = 292.0 * 256.0 / 1012.0
COLUMNS = ("time", "charge", "adc")


def hit_list(counts, rng):
    """Random hits, some of them on the same pixels: counts (n_events,)."""
    n = int(np.sum(counts))
    pixel = 20000 + rng.integers(0, 4, n) + 140 * rng.integers(0, 3, n)
    _, _, _, x, y = DETECTOR.locate(pixel)
    values = {"time": rng.uniform(0.0, 8.0, n), "charge": rng.uniform(5e3, 3e4, n), "adc": rng.uniform(76.0, 200.0, n)}
    event = np.repeat(np.arange(len(counts)), counts)
    return make_hit_list(np, len(counts), event, pixel=pixel, x=x, y=y, **values)[0]


def event_of(hits, event):
    """One event as a list of its own."""
    at = slice(hits.first[event], hits.first[event + 1])
    return HitList(np.array([0, at.stop - at.start]), *(column[at] for column in hits[1:]))


def joined(parts):
    """Events one after the other."""
    columns = (np.concatenate([getattr(p, name) for p in parts]) for name in HitList._fields[1:])
    return HitList(offsets(np.array([len(p.time) for p in parts])), *columns)


@pytest.fixture
def sides():
    """Events of many sizes; none has an empty side."""
    rng = np.random.default_rng(0)
    return hit_list([7, 1, 12, 5, 3], rng), hit_list([9, 4, 10, 1, 3], rng)


def each(sides):
    return [tuple(event_of(side, k) for side in sides) for k in range(len(sides[0].first) - 1)]


# --- soft dynamic time warping


def slow_soft_dtw(v, t, gamma):
    R = np.full((len(v) + 1, len(t) + 1), np.inf)
    R[0, 0] = 0.0
    for i, a in enumerate(v):
        for j, b in enumerate(t):
            before = [R[i, j + 1], R[i + 1, j], R[i, j]]
            low = min(before)
            soft = low - (gamma * np.log(sum(np.exp(-(r - low) / gamma) for r in before)) if gamma else 0.0)
            R[i + 1, j + 1] = abs(a - b) + soft
    return R[-1, -1]


def run_soft_dtw(pairs, gamma):
    """The kernel on pairs of sequences."""
    n, m = (np.array([len(pair[side]) for pair in pairs]) for side in (0, 1))
    value, target = (np.concatenate([pair[side] for pair in pairs]).astype(float) for side in (0, 1))
    table_first = offsets(n * m)
    table, loss = np.zeros(table_first[-1]), np.zeros(len(n))
    soft_dtw_kernel.soft_dtw(len(n), value, offsets(n), target, offsets(m), table_first, gamma, table, loss)
    return loss


@pytest.fixture
def sequences():
    rng = np.random.default_rng(1)
    shapes = [(1, 1), (1, 6), (5, 1), (2, 2), (7, 4), (4, 7), (30, 21)]
    return [(rng.uniform(0.0, 10.0, n), rng.uniform(0.0, 10.0, m)) for n, m in shapes]


@pytest.mark.parametrize("gamma", [0.05, 1.0, 20.0])
def test_soft_dtw_of_sequences(sequences, gamma):
    expected = [slow_soft_dtw(v, t, gamma) for v, t in sequences]
    np.testing.assert_allclose(run_soft_dtw(sequences, gamma), expected, rtol=1e-10, atol=1e-10 * gamma)


def test_soft_dtw_becomes_hard(sequences):
    """The soft minimum of three is at most gamma log 3 below the minimum, in each of up to n + m - 2 steps."""
    hard = np.array([slow_soft_dtw(v, t, 0.0) for v, t in sequences])
    steps = np.array([len(v) + len(t) - 2 for v, t in sequences])
    for gamma in (1.0, 1e-2, 1e-4):
        below = hard - run_soft_dtw(sequences, gamma)
        assert (below >= -1e-10).all() and (below <= gamma * np.log(3.0) * steps + 1e-10).all()
    np.testing.assert_allclose(run_soft_dtw(sequences, 1e-6), hard, atol=1e-4)


def test_soft_dtw_counts_alignments():
    """Where all distances are 0 the loss is -gamma log of the number of monotone paths, the Delannoy number."""
    zeros = [(np.zeros(n), np.zeros(m)) for n, m in ((1, 5), (2, 2), (3, 3), (4, 3))]
    np.testing.assert_allclose(run_soft_dtw(zeros, 2.0), -2.0 * np.log([1, 3, 13, 25]), atol=1e-11)


def test_soft_dtw_of_exchanged_reversed_and_shifted(sequences):
    loss = run_soft_dtw(sequences, 1.0)
    for change in (
        lambda v, t: (t, v),
        lambda v, t: (v[::-1], t[::-1]),
        lambda v, t: (v + 50.0, t + 50.0),
        lambda v, t: (-v, -t),
    ):
        np.testing.assert_allclose(run_soft_dtw([change(*pair) for pair in sequences], 1.0), loss, rtol=1e-10)
    assert (run_soft_dtw([(v + 50.0, t) for v, t in sequences], 1.0) > loss).all()


def test_soft_dtw_of_hits(sides):
    expected = [slow_soft_dtw(s.adc, t.adc, 1.0) for s, t in each(sides)]
    np.testing.assert_allclose(soft_dtw(*sides, DETECTOR).value, expected, rtol=1e-10)


def test_soft_dtw_has_no_slope_where_values_agree():
    values = np.array([100.0, 120.0])
    hits = hit_list([2], np.random.default_rng(0))
    loss = soft_dtw(hits._replace(adc=values), hits._replace(adc=values[:1], first=np.array([0, 1])), DETECTOR)
    np.testing.assert_array_equal(loss.adc, [0.0, 1.0])


# --- Chamfer distance, maximum mean discrepancy, squared error


def scaled(hits):
    return np.stack((hits.x / PITCH, hits.y / PITCH, hits.time / TIME_SCALE, hits.charge / CHARGE_SCALE), axis=1)


def test_chamfer_by_a_tree(sides):
    expected = []
    for s, t in each(sides):
        p, o = scaled(s), scaled(t)
        expected.append(np.mean(cKDTree(o).query(p)[0] ** 2) + np.mean(cKDTree(p).query(o)[0] ** 2))
    np.testing.assert_allclose(chamfer(*sides, DETECTOR).value, expected, rtol=1e-12)


def similarity(p, o):
    square = np.sum((p[:, None] - o) ** 2, axis=2)
    return np.mean([np.exp(-square / (2.0 * w**2)) for w in WIDTHS])


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


# --- the hits of a simulation and of a target


@pytest.fixture(scope="module")
def simulated():
    """Four events, the third without charge in the detector, in batches of which the second starts at event 1."""
    starts = [(3.0, 5.0, 12.0), (3.0, 5.0, 12.0), (99.0, 5.0, 12.0), (-8.0, 5.0, -9.0)]
    ends = [(4.0, 4.3, 12.3), (3.6, 7.0, 14.0), (99.5, 5.0, 12.0), (-9.5, 4.0, -12.0)]
    segments = make_segments(starts, ends, dE=4.0, event_id=np.array([5, 7, 8, 11]), t0=np.array([0.0, 3.3, 0.1, 9.9]))
    simulation = Simulation(dtype=np.float64)
    first, rest = (simulation.batches(segments)[0]._replace() for _ in range(2))
    rest = rest.select(slice(1, None))
    return SimpleNamespace(simulation=simulation, hits=simulation(segments).hits, batches=(first, rest))


def lists(simulated, batch, target):
    simulation = simulated.simulation
    trace = Trace(simulation, batch)
    hits, place = simulated_hits(simulation, batch, trace.waveforms.windows, trace.reads, trace.adc)
    return trace, hits, place, target.hit_list(batch)


@pytest.mark.parametrize("batch", [0, 1])
def test_hit_lists(simulated, batch):
    """The list of the reads and that of the same hits as a target are one: same events, order and values."""
    batch = simulated.batches[batch]
    trace, hits, place, target = lists(simulated, batch, Target(simulated.hits, simulated.simulation.detector))
    ids = batch.event_id[present_events(batch)]
    table = simulated.hits
    np.testing.assert_array_equal(np.diff(hits.first), [np.sum(table.event_id == k) for k in ids])
    assert np.diff(hits.first)[list(ids).index(8)] == 0 and np.diff(hits.first).max() > 5
    for column, of_target in zip(hits, target, strict=True):
        np.testing.assert_allclose(column, of_target, rtol=1e-12)
    for first, last in zip(hits.first[:-1], hits.first[1:], strict=True):
        rows = list(zip(*(column[first:last] for column in hits[2:5]), strict=True))
        assert rows == sorted(rows)
    np.testing.assert_array_equal(trace.reads.charge[place], hits.charge)
    np.testing.assert_array_equal(trace.adc[place], hits.adc)
    windows = trace.waveforms.windows
    np.testing.assert_array_equal(windows.pixel[place[0]], hits.pixel)
    number = np.searchsorted(present_events(batch), windows.event)[place[0]]
    np.testing.assert_array_equal(number, np.repeat(np.arange(len(ids)), np.diff(hits.first)))


def test_target_hits_without_a_window_count(simulated):
    """A target hit far from all charge, and a hit in the event that has none."""
    hits = simulated.hits
    extra = {name: np.append(column, column[:2]) for name, column in vars(hits).items()}
    extra["pixel_id"][-2:], extra["event_id"][-2:] = 30, (5, 8)
    target = Target(type(hits)(**extra), simulated.simulation.detector)
    _, own, _, found = lists(simulated, simulated.batches[0], target)
    np.testing.assert_array_equal(np.diff(found.first) - np.diff(own.first), [1, 0, 1, 0])
    assert (found.pixel == 30).sum() == 2
    np.testing.assert_allclose(found.x[found.pixel == 30], DETECTOR.x_lo[0] + 30.5 * PITCH)
    np.testing.assert_allclose(found.adc, simulated.simulation.detector.adc(found.charge))


def test_vetoed_reads_are_no_hits(simulated):
    batch = simulated.batches[0]
    trace, hits, *_ = lists(simulated, batch, Target(simulated.hits, simulated.simulation.detector))
    valid = trace.reads.valid.copy()
    valid[np.flatnonzero(trace.reads.count)[0], 0] = 0
    reads = trace.reads._replace(valid=valid)
    fewer, _ = simulated_hits(simulated.simulation, batch, trace.waveforms.windows, reads, trace.adc)
    assert len(fewer.time) == len(hits.time) - 1


@pytest.mark.parametrize("charge, adc", [(0.0, PEDESTAL), (25_300.0, 99.47), (-1e5, 0.0), (1e6, 255.0)])
def test_adc_of_a_charge(charge, adc):
    """25300 e are 101.2 mV, a tenth of full scale: 25.6 counts above the pedestal."""
    assert DETECTOR.adc(np.array([charge]))[0] == pytest.approx(adc, abs=0.01)

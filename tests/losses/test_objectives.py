"""Values, residuals and derivatives of what a fit minimises, in float64."""

import dataclasses

import numpy as np
import pytest
from helpers import make_segments, one_plane, small_table
from samples import protons

from lartpc.autodiff.tape import TapeError
from lartpc.data.hits import Hits
from lartpc.detector.digitization import charge_of, whole_ticks
from lartpc.exceptions import InputError
from lartpc.fit.unknowns import unknowns_of
from lartpc.gradients.gradcheck import SMOOTH
from lartpc.gradients.jacobian import Jacobian
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime import slots
from lartpc.losses.catalogue import OBJECTIVES, SQUARES
from lartpc.losses.objective import Objective
from lartpc.losses.probability import log_no_hit
from lartpc.losses.target import Target
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

SIX = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
TRUTH = Parameters(Ab=0.83, kb=0.053, eField=0.501, lifetime=1500.0, long_diff=5e-6, tran_diff=9e-6)
STEP = 1e-6  # relative, of central differences


pytestmark = pytest.mark.usefixtures("one_thread")


def smooth(parameters=None, detector=None, **keywords):
    return Simulation(detector, parameters, dtype=np.float64, settings=SMOOTH, **keywords)


def objective(kind, segments, hits, simulation=None, names=SIX, rounded=False):
    simulation = smooth() if simulation is None else simulation
    target = Target(hits, simulation.detector, rounded)
    return Objective(kind, simulation, simulation.batches(segments), target, unknowns_of(simulation, names)).at


def rows(hits, keep):
    """Some of the rows of a table of hits."""
    return Hits(**{name: column[keep] for name, column in vars(hits).items()})


def joined(*tables):
    return Hits(**{name: np.concatenate([getattr(t, name) for t in tables]) for name in vars(tables[0])})


@pytest.fixture(scope="module")
def segments():
    """102 segments of two stopping protons."""
    return protons(2)


@pytest.fixture(scope="module")
def noiseless(segments):
    return smooth(TRUTH)(segments).hits


@pytest.fixture(scope="module")
def noisy(segments):
    return smooth(TRUTH, noise=True, seed=3)(segments).hits


def moved(name, h):
    vector = Parameters().vector(np.float64)
    vector[slots.PARAMETERS.index(name)] *= 1.0 + h
    return vector


def assert_column(column, difference):
    """To 1e-5; where an entry all but vanishes, to 1e-8 of the largest, which is the rounding of a difference."""
    np.testing.assert_allclose(column, difference, rtol=1e-5, atol=1e-7 * np.abs(difference).max())
    assert np.abs(difference).max() > 0.0


# --- derivatives


def kept_reads(segments, hits, ends):
    """Rows of `matched` whose reads keep their tick: time and charge of first hits, of second hits, ..."""
    simulation = smooth()
    batch = simulation.batch(segments)
    traces = [Trace(simulation, batch, vector) for vector in (Parameters().vector(np.float64), *ends)]
    windows = traces[0].waveforms.windows
    for t in traces[1:]:
        np.testing.assert_array_equal(t.waveforms.windows.pixel, windows.pixel)
    ticks = [t.waveforms.windows.tick[t.reads.window] + t.reads.tick for t in traces]
    kept = np.all([at == ticks[0] for at in ticks], axis=0)
    target = Target(hits, simulation.detector).align(windows, batch, np.float64)
    count = traces[0].reads.count
    parts = []
    for n in range(count.max()):
        chosen = (count == target.count) & (target.count > n)
        parts += [kept[chosen, n]] * 2
    return np.concatenate(parts)


@pytest.mark.parametrize("name", SIX)
def test_jacobian_of_matched(segments, noiseless, name):
    of = objective("matched", segments, noiseless, names=(name,))
    linear = of(Parameters().vector(np.float64))
    ends = [moved(name, h) for h in (STEP, -STEP)]
    high, low = (of(vector).residual for vector in ends)
    assert len(high) == len(low) == len(linear.residual) == 2 * linear.hits > 60
    kept = kept_reads(segments, noiseless, ends)
    assert kept.mean() > 0.95
    nominal = Parameters().as_dict()[name]
    difference = (high - low) / (2.0 * STEP)
    assert_column(linear.jacobian[kept, 0] * nominal, difference[kept])


@pytest.mark.parametrize("kind", ["residuals", "likelihood"])
@pytest.mark.parametrize("name", SIX)
def test_derivatives_of_the_hit_list(segments, noisy, kind, name):
    """The noiseless charge at measured times is smooth: every row counts, without exception."""
    of = objective(kind, segments, noisy, names=(name,))
    linear = of(Parameters().vector(np.float64))
    high, low = (of(moved(name, h)) for h in (STEP, -STEP))
    nominal = Parameters().as_dict()[name]
    assert len(linear.residual) == 2 * linear.hits == 2 * (len(noisy) - linear.unmatched) > 60
    assert_column(linear.jacobian[:, 0] * nominal, (high.residual - low.residual) / (2.0 * STEP))
    by_value = (high.value - low.value) / (2.0 * STEP)
    assert linear.gradient[0] * nominal == pytest.approx(by_value, rel=1e-5)
    by_rest = (high.rest - low.rest) / (2.0 * STEP)
    assert linear.gradient_rest[0] * nominal == pytest.approx(by_rest, rel=1e-5)
    assert (by_rest != 0.0) == (kind == "likelihood")
    assert linear.information[0, 0] == pytest.approx(np.sum(linear.jacobian**2))


def test_gradient_is_that_of_each_parameter_alone(segments, noisy):
    vector = Parameters().vector(np.float64)
    together = objective("likelihood", segments, noisy)(vector)
    for i, name in enumerate(SIX):
        alone = objective("likelihood", segments, noisy, names=(name,))(vector)
        np.testing.assert_allclose(together.jacobian[:, i], alone.jacobian[:, 0], rtol=1e-12)
        assert together.gradient[i] == pytest.approx(alone.gradient[0], rel=1e-12)


def test_rows_of_an_overwritten_chain_are_refused(segments):
    simulation = smooth()
    trace = Trace(simulation, simulation.batch(segments))
    trace.waveforms.steps.arrival[0] += 1e-9
    with pytest.raises(TapeError, match="drift, argument arrival: overwritten"):
        Jacobian(trace.tape, trace.waveforms, [0])


@pytest.mark.parametrize("tabulated", [False, True])
def test_rows_of_pixels_add_up_to_the_gradient(segments, tabulated):
    simulation = smooth(response=small_table() if tabulated else "parametric")
    trace = Trace(simulation, simulation.batch(segments))
    windows = trace.waveforms.windows
    grad = np.random.default_rng(0).normal(size=len(trace.waveforms.current))
    everyone = np.arange(len(windows.pixel))
    jacobian = Jacobian(trace.tape, windows, range(len(trace.names)))
    found = jacobian.rows(grad, everyone)
    expected = list(trace.backward(current=grad).parameters.values())
    size = np.abs(found).sum(axis=0)  # terms of either sign cancel to rounding of their size
    assert (np.abs(found.sum(axis=0) - expected) <= 1e-12 * size).all()
    assert np.count_nonzero(size) >= len(SIX)
    # one pixel's row is the gradient of what depends on that pixel alone, whichever others are asked for
    some = np.array([1, 7, 20])
    np.testing.assert_array_equal(jacobian.rows(grad, some), found[some])
    np.testing.assert_array_equal(jacobian.rows(grad, everyone), found)
    only = np.zeros_like(grad)
    window = slice(windows.first[windows.of_pixel[7]], windows.first[windows.of_pixel[8]])
    only[window] = grad[window]
    alone = list(trace.backward(current=only).parameters.values())
    np.testing.assert_allclose(alone, found[7], rtol=1e-9, atol=1e-12 * np.abs(found[7]).max())


# --- values


@pytest.mark.parametrize("kind", ["residuals", "matched"])
def test_residuals_vanish_at_the_truth(segments, noiseless, kind):
    of = objective(kind, segments, noiseless)
    at_truth = of(TRUTH.vector(np.float64))
    assert at_truth.hits == len(noiseless) and at_truth.unmatched == 0
    assert len(at_truth.residual) == 2 * len(noiseless)
    assert np.abs(at_truth.residual).max() < 1e-8
    assert np.abs(of(Parameters().vector(np.float64)).residual).max() > 1.0


def by_hand(segments, hits, simulation):
    """-log L from the waveforms' running sums, pixel by pixel."""
    found = simulation(segments, waveforms=True).waveforms
    d = simulation.detector
    value = 0.0
    for event, pixel in sorted(set(zip(found.event_id, found.pixel_id, strict=True))):
        mine = (found.event_id == event) & (found.pixel_id == pixel)
        start = found.start_tick[mine].min()
        current = np.zeros((found.start_tick + found.ticks)[mine].max() - start)
        for k in np.flatnonzero(mine):
            at = found.start_tick[k] - start
            current[at : at + found.ticks[k]] = found.current[found.offset[k] : found.offset[k] + found.ticks[k]]
        charge = np.concatenate(([0.0], np.cumsum(current, dtype=np.float64))) * d.tick
        edges = (start - 1 + np.arange(len(charge))) * d.tick  # the charge of tick k arrives from k - 1 to k
        last = 0.0
        chosen = (hits.event_id == event) & (hits.pixel_id == pixel)
        for t, q in zip(hits.t[chosen], hits.charge[chosen], strict=True):
            crossing, read = np.interp([t, t + d.hold_ticks * d.tick], edges, charge)
            k = int(np.ceil(t / d.tick)) - start
            rate = current[k] if 0 <= k < len(current) else 0.0
            r = (d.threshold - (crossing - last)) / d.reset_noise
            u = (q - d.threshold - (read - crossing)) / d.uncorrelated_noise
            value += 0.5 * (r**2 + u**2) - np.log(rate + 1.0)
            last = read
        left = np.array([d.threshold - (charge[-1] - last)])
        value -= log_no_hit(left, d.reset_noise, d.uncorrelated_noise)[0][0]
    return value


def test_likelihood_by_hand(segments, noisy):
    value = objective("likelihood", segments, noisy)(Parameters().vector(np.float64)).value
    assert value == pytest.approx(by_hand(segments, noisy, smooth()), rel=1e-5)  # waveforms are kept as float32


def test_pixels_without_hits_count():
    """Charge of one pixel, and no hit on it: -log P0(threshold - charge), although the only hit is elsewhere."""
    simulation = smooth(detector=one_plane())
    segments = make_segments([(0.22, 0.22, 10.0), (1.55, 1.55, 10.0)], [(0.22, 0.22, 10.0), (1.55, 1.55, 10.0)], dE=1.0)
    found = simulation(segments, waveforms=True)
    pixels = found.hits.pixel_id
    assert len(pixels) == 2
    left_out = rows(found.hits, pixels == pixels[0])
    vector = Parameters().vector(np.float64)
    whole = objective("likelihood", segments, found.hits, simulation)(vector)
    part = objective("likelihood", segments, left_out, simulation)(vector)
    w = found.waveforms
    charge = {}
    for k in range(len(w)):
        current = w.current[w.offset[k] : w.offset[k] + w.ticks[k]]
        charge[w.pixel_id[k]] = charge.get(w.pixel_id[k], 0.0) + np.sum(current, dtype=np.float64) * 0.1
    silent = log_no_hit(np.array([7000.0 - charge[pixels[1]]]), 900.0, 500.0)[0][0]
    assert silent < -50.0
    missing = whole.rest - part.rest - silent
    # what the missing hit said: the logarithm of its current, and that nothing came after it
    t = found.hits.t[1]
    k = np.flatnonzero((w.pixel_id == pixels[1]) & (w.start_tick <= np.ceil(t / 0.1)))[-1]
    current = w.current[w.offset[k] + int(np.ceil(t / 0.1)) - w.start_tick[k]]
    assert missing == pytest.approx(-np.log(current + 1.0), abs=1e-4)
    assert part.hits == 1 and whole.hits == 2
    # more silent charge is less likely: the gradient pulls the charge down
    assert part.gradient_rest[0] > whole.gradient_rest[0]


def test_no_end_after_the_last_of_the_allowed_hits():
    """Where the number of hits is capped, what arrives after the last says nothing."""
    detector = one_plane(max_hits=1)
    simulation = smooth(detector=detector)
    segments = make_segments((0.22, 0.22, 10.0), (0.22, 0.22, 20.0), dE=20.0)
    hits = simulation(segments).hits
    linear = objective("likelihood", segments, hits, simulation)(Parameters().vector(np.float64))
    longer = dataclasses.replace(detector, max_hits=2)
    other = objective("likelihood", segments, hits, smooth(detector=longer))(Parameters().vector(np.float64))
    assert other.value > linear.value + 100.0  # with two allowed, that there is no second hit is unlikely


# --- targets that do not fit


def test_hits_without_charge_are_counted_apart(segments, noiseless):
    vector = Parameters().vector(np.float64)
    stray = rows(noiseless, slice(0, 2))
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
    stray = rows(noiseless, slice(0, 1))
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
    late = rows(noiseless, slice(0, 1))
    late.t = late.t + 500.0
    linear = objective("likelihood", segments, late)(Parameters().vector(np.float64))
    assert linear.hits == 1 and np.isfinite(linear.value) and np.isfinite(linear.gradient).all()


def test_batches_add_up():
    """Of several events: one batch or three, and each hit belongs to one of them."""
    one = protons(1)
    segments = one.select(np.tile(np.arange(len(one)), 3))
    segments.event_id = np.repeat([4, 9, 2], len(one))
    simulation = smooth()
    hits = smooth(TRUTH)(segments).hits
    vector = Parameters().vector(np.float64)
    for kind in OBJECTIVES:
        whole = objective(kind, segments, hits)(vector)
        batches = simulation.batches(segments, 1)
        assert len(batches) == 3
        parts = Objective(
            kind, simulation, batches, Target(hits, simulation.detector), unknowns_of(simulation, SIX)
        ).at(vector)
        assert (parts.hits, parts.unmatched) == (whole.hits, whole.unmatched)
        assert parts.value == pytest.approx(whole.value, rel=1e-9)
        np.testing.assert_allclose(parts.gradient, whole.gradient, rtol=1e-7)


def test_targets_that_are_refused(noiseless):
    detector = smooth().detector
    with pytest.raises(InputError, match="target: has no hits"):
        Target(rows(noiseless, slice(0, 0)), detector)
    many = joined(*[rows(noiseless, slice(0, 1))] * 11)
    message = f"target: event {many.event_id[0]} has 11 hits on pixel {many.pixel_id[0]}, allowed are up to 10"
    with pytest.raises(InputError, match=message):
        Target(many, detector)


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("charge", np.nan, "target: charge of hit 3 is nan, not finite"),
        ("t", np.inf, "target: t of hit 3 is inf, not finite"),
        ("pixel_id", -5, "target: pixel -5 is not on detector module0"),
        ("pixel_id", 78400, "target: pixel 78400 is not on detector module0"),
    ],
)
def test_damaged_hits_are_refused(noiseless, column, value, message):
    values = getattr(noiseless, column).copy()
    values[3] = value
    with pytest.raises(InputError, match=message):
        Target(dataclasses.replace(noiseless, **{column: values}), smooth().detector)


def test_order_of_the_target_does_not_matter(segments, noisy):
    vector = Parameters().vector(np.float64)
    shuffled = rows(noisy, np.random.default_rng(0).permutation(len(noisy)))
    for kind in SQUARES:
        a, b = (objective(kind, segments, hits)(vector) for hits in (noisy, shuffled))
        np.testing.assert_array_equal(a.residual, b.residual)
        assert a.value == b.value


# --- rounded targets


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
    share = np.diag(rounded.information) / np.diag(exact.information)
    assert (share < 1.0).all() and (share > 0.2).all()
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
        Target(dataclasses.replace(noiseless, adc=adc), smooth().detector, rounded=True)


def test_the_count_of_the_threshold_holds_no_charge_below_it():
    """Reads below threshold are vetoed: the part of the count below is no evidence for less charge."""
    simulation = smooth(detector=one_plane())
    segments = make_segments((0.22, 0.22, 10.0), (0.22, 0.22, 10.0), dE=0.35)
    hits = simulation(segments).hits
    assert len(hits) == 1 and hits.adc[0] > 81.0
    vector = Parameters().vector(np.float64)
    values = []
    for threshold in (6900.0, 7000.0, 7100.0, 7500.0):
        with_veto = smooth(detector=one_plane(threshold=threshold))
        at_threshold = dataclasses.replace(hits, adc=np.array([81.0]))
        target = Target(at_threshold, with_veto.detector, True)
        values.append(
            Objective("likelihood", with_veto, with_veto.batches(segments), target, unknowns_of(with_veto, SIX))
            .at(vector)
            .value
        )
    assert (np.diff(values) > 0.0).all()  # the higher the threshold, the less of the count is left

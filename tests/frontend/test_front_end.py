"""The front end: rise time, discriminator noise, busy and reset cycles, and values of single pixels."""

import dataclasses

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import make_segments, one_plane
from samples import generated, protons

from lartpc.autodiff.kernelcheck import relative
from lartpc.cli.main import main
from lartpc.detector.detector import Detector
from lartpc.detector.pixelvalues import PixelValues, values_of, with_values
from lartpc.exceptions import InputError
from lartpc.fit.forecast import expected_errors
from lartpc.fit.unknowns import unknowns_of
from lartpc.frontend.frontend import buffer_factors
from lartpc.generator.generate import generate
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.kernels.frontend.buffer import buffer
from lartpc.losses.objective import Objective
from lartpc.losses.target import Target, until_deferred
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")

TICK = 0.1
LARNDSIM = {"buffer_risetime": 0.1, "discriminator_noise": 650.0, "adc_busy_delay": 9, "reset_cycles": 1}
SMOOTH_PART = {name: value for name, value in LARNDSIM.items() if name != "discriminator_noise"}
NAMES = ("Ab", "eField", "lifetime")


def module0(**front_end):
    return dataclasses.replace(Detector.module0(), **front_end)


def smooth(detector, parameters=None, **keywords):
    return Simulation(detector, parameters, dtype=np.float64, settings=SMOOTH, **keywords)


def used(trace):
    """Which of the reads are used, (n_pixels, max_hits)."""
    return np.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]


def end_on(dE=2.0, length=10.0, events=1):
    """Segments along the drift above one pixel, dE a cm: 9000 e/us for 6.3 us a cm of length, an event each."""
    start, end = (np.tile((0.22, 0.22, z), (events, 1)) for z in (10.0, 10.0 + length))
    return make_segments(start, end, dE * length, event_id=np.arange(events))


# --- rise time


def buffered(current, risetime, dtype=np.float64):
    """The current of one window behind the buffer."""
    factors = buffer_factors(one_plane(buffer_risetime=risetime), dtype)
    current, result = current.astype(dtype), np.zeros(len(current), dtype=dtype)
    buffer(1, np.array([0, len(current)]), current, *factors, result)
    return result


@pytest.mark.parametrize("risetime", [0.02, 0.1, 0.7])
def test_charge_rises_as_an_exponential(risetime):
    """Each bit of charge has risen by 1 - exp(-t/tau) after t: summed over ticks in which the current is even."""
    current = np.random.default_rng(0).exponential(3e3, 60)
    edge = np.arange(61) * TICK
    since = np.maximum(edge[:, None] - edge, 0.0)  # from edge j to edge k
    # integral of 1 - exp(-(t - s)/tau) over s from the edge to t
    risen = since + risetime * np.expm1(-since / risetime)
    charge = (risen[:, :-1] - risen[:, 1:]) @ current
    found = np.append(0.0, np.cumsum(buffered(current, risetime))) * TICK
    np.testing.assert_allclose(found[:-1], charge[:-1], rtol=1e-12, atol=1e-9 * charge[-1])
    assert found[-1] == pytest.approx(current.sum() * TICK, rel=1e-14)  # what has not risen comes in the last tick
    assert found[-1] > charge[-1]


@pytest.mark.parametrize("dtype, rtol", [(np.float32, 2e-6), (np.float64, 1e-14)])
def test_the_buffer_conserves_charge(dtype, rtol):
    simulation = Simulation(module0(buffer_risetime=0.3), dtype=dtype)
    waveforms = simulation.waveforms(simulation.batch(protons(1)), simulation.vector())
    first = waveforms.windows.first[:-1]
    sums = [np.add.reduceat(array, first, dtype=np.float64) for array in (waveforms.buffered, waveforms.current)]
    np.testing.assert_allclose(*sums, rtol=rtol)
    # windows go on until all but nothing is left to rise
    last = np.maximum.reduceat(waveforms.buffered, first) * 1e-3
    assert (waveforms.buffered[waveforms.windows.first[1:] - 1] <= last).all()
    assert (waveforms.buffered != waveforms.current).any()


def test_a_short_rise_time_is_none_and_a_long_one_delays():
    segments = protons(1)
    plain, short, long = (smooth(module0(buffer_risetime=tau))(segments).hits for tau in (0.0, 1e-4, 0.05))
    np.testing.assert_array_equal(short.pixel_id, plain.pixel_id)
    np.testing.assert_allclose(short.t, plain.t, rtol=0, atol=2e-4)
    np.testing.assert_allclose(short.charge, plain.charge, rtol=1e-3)
    np.testing.assert_array_equal(long.pixel_id, plain.pixel_id)
    assert np.median(long.t - plain.t) == pytest.approx(0.05, rel=0.2)


# --- off


def test_without_noise_the_discriminator_has_none():
    segments = protons(1)
    plain, noisy = (Simulation(module0(discriminator_noise=s))(segments).hits for s in (0.0, 650.0))
    for name, column in vars(plain).items():
        np.testing.assert_array_equal(column, getattr(noisy, name), err_msg=name)


# --- busy and reset


def test_charge_of_hits_and_resets_is_all():
    """Read, lost in resets, or left: nothing else happens to the charge of a pixel."""
    simulation = smooth(one_plane(reset_cycles=5, adc_busy_delay=9, buffer_risetime=0.1, max_hits=40))
    trace = Trace(simulation, simulation.batch(end_on()))
    reads, windows = trace.reads, trace.waveforms.windows
    p = np.argmax(reads.count)
    n, w = reads.count[p], windows.of_pixel[p]
    assert 5 < n < 40 and windows.of_pixel[p + 1] == w + 1
    samples = trace.waveforms.buffered[windows.first[w] : windows.first[w + 1]]
    edges = windows.tick[w] - 1.0 + np.arange(len(samples) + 1)
    charge = np.append(0.0, np.cumsum(samples)) * TICK
    read = windows.tick[w] - 1.0 + reads.tick[p, :n] + reads.part[p, :n] + simulation.detector.hold_ticks
    at_read, at_end = (np.interp(read + late, edges, charge) for late in (0.0, 5.0))
    lost = (at_end - at_read).sum()
    left = charge[-1] - at_end[-1]
    assert reads.charge[p, :n].sum() + lost + left == pytest.approx(charge[-1], rel=1e-12)
    assert 0.1 < lost / charge[-1] < 0.25 and left < 7000.0
    np.testing.assert_allclose(np.diff(read).min(), 5.0 + 9.0 + simulation.detector.hold_ticks)  # as soon as it may


def test_a_busy_adc_loses_no_charge():
    """Without busy time the pixel would read every time the threshold is reached; both read all the charge."""
    found = {}
    for busy in (0, 20):
        hits = smooth(one_plane(adc_busy_delay=busy, max_hits=40))(end_on()).hits
        found[busy] = hits
        np.testing.assert_array_less(18.0 + busy - 1e-6, np.diff(hits.t) / TICK)
    assert len(found[20]) < len(found[0])
    assert found[20].charge.sum() == pytest.approx(found[0].charge.sum(), abs=7000.0)
    assert found[20].charge[1:-1].mean() > found[0].charge[1:-1].mean() + 5000.0


# --- values of pixels


def test_a_table_of_pixels():
    table = PixelValues(np.array([3, 7]), np.array([1.0, 2.0]), 5.0)
    np.testing.assert_array_equal(values_of(table, np.array([7, 0, 3, 9])), [2.0, 5.0, 1.0, 5.0])
    changed = with_values(table, np.array([1, 7]), 8.0)
    np.testing.assert_array_equal(changed.keys, [1, 3, 7])
    np.testing.assert_array_equal(values_of(changed, np.arange(8)), [5, 8, 5, 1, 5, 5, 5, 8])


@pytest.mark.parametrize("name, factor", [("gains", 1.2), ("pedestals", 1.05)])
def test_a_value_changes_the_counts_of_its_pixel_alone(name, factor):
    segments = protons(1)
    plain = Simulation()(segments).hits
    pixel = plain.pixel_id[len(plain) // 2]
    nominal = {"gains": 4e-3, "pedestals": 580.0}[name]
    table = PixelValues(np.array([pixel]), np.array([nominal * factor]), nominal)
    changed = Simulation(**{name: table})(segments).hits
    at = plain.pixel_id == pixel
    np.testing.assert_array_equal(plain.adc[~at], changed.adc[~at])
    np.testing.assert_array_equal(plain.charge, changed.charge)
    expected = {"gains": 0.2 * 4e-3 * plain.charge[at], "pedestals": np.full(at.sum(), 29.0)}[name] * 256 / 1012.0
    np.testing.assert_allclose((changed.adc - plain.adc)[at], expected, atol=1.0)
    assert (expected > 2.0).all()


def random_tables(pixel, seed=0):
    """Thresholds, gains and pedestals that differ from pixel to pixel."""
    rng, pixel = np.random.default_rng(seed), np.unique(pixel)
    columns = {"thresholds": 7000.0, "gains": 4e-3, "pedestals": 580.0}
    return {
        name: PixelValues(pixel, value * rng.uniform(0.9, 1.1, len(pixel)), value) for name, value in columns.items()
    }


def test_counts_are_read_back_by_the_pixel():
    """A rounded target: each charge is in the middle of the count of its own pixel."""
    segments = protons(1)
    tables = random_tables(Simulation()(segments).hits.pixel_id)
    simulation = Simulation(**tables)
    hits = simulation(segments).hits
    assert len(np.unique(hits.pixel_id)) > 10
    target = Target(hits, simulation.detector, rounded=True)
    order = np.lexsort((hits.t, hits.pixel_id, hits.event_id))
    inside = hits.adc[order] < 255.0
    charge = hits.charge[order][inside]
    assert ((target.low[inside] - 1e-2 <= charge) & (charge <= target.high[inside] + 1e-2)).all()
    np.testing.assert_allclose(target.high - target.low, 1012.0 / 256 / values_of(tables["gains"], target.pixel))
    wrong = Target(hits, Detector.module0(), rounded=True)
    assert not ((wrong.low[inside] <= charge) & (charge <= wrong.high[inside])).all()
    # the ADC values of charges, for losses that compare these
    counts = simulation.detector.adc(hits.charge, hits.pixel_id)
    np.testing.assert_allclose(counts, hits.adc, atol=0.51)


@pytest.mark.parametrize("name, field", [("thresholds", "threshold"), ("gains", "gain"), ("pedestals", "offset")])
def test_gradient_by_values_of_pixels(name, field):
    """Central differences to 1e-5, and a Taylor remainder that falls as h^2, on all that the front end does."""
    batch = smooth(module0()).batch(generated(4))
    keywords = {"noise": True, "seed": 2}
    plain = smooth(module0(**LARNDSIM))
    tables = random_tables(Trace(plain, batch).waveforms.windows.pixel)
    table = tables[name]
    direction = table.values * np.random.default_rng(1).normal(size=len(table.keys))

    def at(h):
        moved = {**tables, name: table._replace(values=table.values + h * direction)}
        return Trace(smooth(module0(**LARNDSIM), **moved, **keywords), batch)

    trace, steps = at(0.0), 1e-3 * 10.0 ** -np.arange(0.0, 2.5, 0.5)
    ends = [at(h) for h in (1e-6, -1e-6, *steps)]
    place = trace.waveforms.windows.tick[trace.reads.window] + trace.reads.tick
    kept = used(trace)
    for t in ends:
        moved = t.waveforms.windows.tick[t.reads.window] + t.reads.tick
        same = ((moved == place) & (used(t) == used(trace))).all(axis=1) & (t.reads.valid == trace.reads.valid).all(
            axis=1
        )
        kept &= same[:, None]
    assert kept.sum() > 0.6 * used(trace).sum() > 10

    def loss(t):
        time = t.waveforms.windows.tick[t.reads.window] * TICK + t.reads.time
        values = (((t.reads.charge - 2e4) / 1e3) ** 2 + (time - 100.0) ** 2 + t.adc**2)[kept]
        return float(np.sum(values))

    time = trace.waveforms.windows.tick[trace.reads.window] * TICK + trace.reads.time
    seeds = {
        "charge": 2e-6 * (trace.reads.charge - 2e4) * kept,
        "time": 2.0 * (time - 100.0) * kept,
        "adc": 2.0 * trace.adc * kept,
    }
    found = getattr(trace.backward(**seeds).pixels, field)
    slope = np.sum(found * direction[np.searchsorted(table.keys, trace.waveforms.windows.pixel)])
    values = [loss(t) for t in ends]
    assert relative(slope, (values[0] - values[1]) / 2e-6) < 1e-5
    remainder = np.abs(np.array(values[2:]) - loss(trace) - steps * slope)
    slopes = np.diff(np.log(remainder)) / np.diff(np.log(steps))
    assert np.median(slopes) == pytest.approx(2.0, abs=0.1), remainder


# --- gradients and likelihood with all of it


@pytest.mark.parametrize("noise", [False, True])
def test_gradient_by_parameters(noise):
    """With noise a threshold of its own for each tick: a constant, as the other noise."""
    simulation = smooth(module0(**LARNDSIM), noise=noise, seed=1)
    report = gradcheck(simulation, generated(4), NAMES)
    for row in report.rows:
        assert row.passed, row
        assert row.adjoint != 0.0
    assert report.left_out < 0.4 * report.hits


def deferred_hits(detector, segments, rounded=False, **keywords):
    """Hits of the segments, and the pixels of the target with and without a deferred hit."""
    simulation = smooth(detector, **keywords)
    hits = simulation(segments).hits
    batch = simulation.batch(segments)
    windows = simulation.waveforms(batch, simulation.vector()).windows
    whole = Target(hits, detector, rounded).align(windows, batch, np.float64)
    return hits, whole, until_deferred(whole, detector)


@pytest.mark.parametrize("rounded", [False, True])
def test_a_pixel_counts_up_to_its_first_deferred_hit(rounded):
    detector = one_plane(**SMOOTH_PART, max_hits=40)
    hits, whole, kept = deferred_hits(detector, end_on(), rounded)
    wait = np.diff(hits.t) / TICK
    first = np.flatnonzero(np.abs(wait - 28.0) < 1e-6)[0] + 1  # hold 18, reset 1, busy 9
    assert 1 <= first < len(hits) - 2
    assert (kept.count[0], kept.deferred[0]) == (first + 1, 1)
    assert kept.unmatched == len(hits) - first
    assert kept.part[0, first] == (1.0 if rounded else whole.part[0, first])
    np.testing.assert_array_equal(kept.part[0, :first], whole.part[0, :first])
    # currents that do not reach the threshold while the ADC is busy: nothing is deferred
    _, whole, kept = deferred_hits(detector, end_on(dE=0.8), rounded)
    assert whole.count[0] > 3 and kept.count[0] == whole.count[0] and not kept.deferred.any()


@pytest.mark.parametrize("kind", ["residuals", "matched"])
def test_residuals_vanish_at_the_truth(kind):
    truth = Parameters(Ab=0.83, lifetime=1500.0)
    detector, segments = module0(**SMOOTH_PART), protons(2)
    simulation = smooth(detector, truth)
    hits = simulation(segments).hits
    objective = Objective(
        kind, simulation, simulation.batches(segments), Target(hits, detector), unknowns_of(simulation, NAMES)
    )
    linear = objective.at(truth.vector(np.float64))
    assert linear.hits > 0.8 * len(hits) and np.abs(linear.residual).max() < 1e-8
    assert np.abs(objective.at(Parameters().vector(np.float64)).residual).max() > 0.1


@pytest.mark.parametrize("rounded", [False, True])
def test_gradient_of_the_likelihood(rounded):
    """Of tracks and of a pixel with a deferred hit, for each parameter."""
    detector = one_plane(20, **SMOOTH_PART)
    track = make_segments((-3.0, -2.0, 20.0), (3.0, 2.5, 14.0), dE=14.0, event_id=1)
    columns = {name: np.concatenate((v, vars(track)[name])) for name, v in vars(end_on()).items() if v is not None}
    segments = dataclasses.replace(track, **columns)
    simulation = smooth(detector, noise=True, seed=3)
    hits = simulation(segments).hits
    objective = Objective(
        "likelihood",
        simulation,
        simulation.batches(segments),
        Target(hits, detector, rounded),
        unknowns_of(simulation, NAMES),
    )
    at = Parameters(Ab=0.81).vector(np.float64)
    linear = objective.at(at)
    assert 0 < linear.unmatched < len(hits) - 10
    for i, name in enumerate(NAMES):
        values = []
        for sign in (1.0, -1.0):
            moved = dataclasses.replace(
                Parameters(Ab=0.81), **{name: getattr(Parameters(Ab=0.81), name) * (1.0 + sign * 1e-6)}
            )
            values.append(objective.at(moved.vector(np.float64)).value)
        size = getattr(Parameters(Ab=0.81), name)
        assert linear.gradient[i] * size == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_likelihood_is_not_biased(rounded):
    """At the truth its gradient over many draws of the noise is 0 within the square root of the information."""
    events, names = 150, ("Ab",)
    detector = one_plane(**SMOOTH_PART)
    # 7500 e/us: the threshold is sometimes reached while the ADC is busy
    segments = end_on(dE=1.6, length=2.0, events=events)
    simulation = Simulation(detector, dtype=np.float64, noise=True, seed=5)
    target = Target(simulation(segments).hits, detector, rounded)
    batch = simulation.batch(segments)
    windows = simulation.waveforms(batch, simulation.vector()).windows
    deferred = until_deferred(target.align(windows, batch, np.float64), detector).deferred.sum()
    assert 0.2 * events < deferred < 0.95 * events
    linear = Objective("likelihood", simulation, [batch], target, unknowns_of(simulation, names)).at(
        Parameters().vector(np.float64)
    )
    pull = linear.gradient / np.sqrt(np.diag(linear.information))
    assert (np.abs(pull) < 3.0).all()


def test_discriminator_noise_is_refused_by_the_likelihood():
    detector, segments = one_plane(discriminator_noise=650.0), end_on()
    simulation = Simulation(detector)
    with pytest.raises(InputError, match="discriminator_noise: found 650 e, the likelihood has no term for it"):
        expected_errors(simulation, segments, NAMES)
    hits = simulation(segments).hits
    Objective(
        "residuals", simulation, simulation.batches(segments), Target(hits, detector), unknowns_of(simulation, NAMES)
    )


# --- commands


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("in.h5", "w") as file:
        file["segments"] = generate("muons", Detector.module0(), events=1, seed=1)[:40]
    for name, value in {"thresholds": 7000.0, "gains": 4e-3, "pedestals": 580.0}.items():
        np.savez(f"{name}.npz", keys=np.arange(0, 70000, 2), values=np.full(35000, 1.1 * value), default=value)
    return tmp_path


def run(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done


def test_commands_take_values_of_pixels(folder):
    given = [part for name in ("thresholds", "gains", "pedestals") for part in (f"--{name}", f"{name}.npz")]
    assert run("simulate", "in.h5", "-o", "hits.h5", *given).exit_code == 0
    fit = ("calibrate", "in.h5", "hits.h5", "-o", "fit", "--fit", "eField", "--rounded")
    for name in ("thresholds", "gains", "pedestals"):
        others = [part for part in given if name not in part]
        refused = run(*fit, *others)
        assert refused.exit_code == 2
        expected = f"hits.h5: hits with {name} of pixels, which are not in the file: give --{name} FILE"
        assert refused.stderr == f"lartpc: {expected}\n"
    assert run(*fit, *given).exit_code == 0
    scan = ("scan", "in.h5", "hits.h5", "-o", "scan", "--over", "eField=0.499:0.501", "--points", "3")
    assert run(*scan, *given).exit_code == 0
    plain, of_pixels = (run("errors", "in.h5", "--fit", "eField", *more).stdout for more in ((), given))
    assert plain != of_pixels
    np.savez("gains.npz", keys=[1], values=[0.0], default=4e-3)
    refused = run("errors", "in.h5", *given)
    assert refused.stderr == "lartpc: gains.npz: values: found 0, allowed are finite values above 0 [mV/e]\n"


def test_the_keys_of_a_file_switch_it_on(folder):
    (folder / "detector.yaml").write_text("".join(f"{name}: {value}\n" for name, value in LARNDSIM.items()))
    detector = Detector.load(folder / "detector.yaml")
    assert {name: getattr(detector, name) for name in LARNDSIM} == LARNDSIM
    assert {getattr(Detector.module0(), name) for name in LARNDSIM} == {0}
    (folder / "detector.yaml").write_text("adc_busy_delay: -1\n")
    with pytest.raises(InputError, match="adc_busy_delay: found -1, allowed is a whole number from 0"):
        Detector.load(folder / "detector.yaml")

"""The gradient of the whole chain, in float64 and with `SMOOTH` settings where it is compared with differences."""

import dataclasses

import numba
import numpy as np
import pytest
from helpers import VELOCITY, make_segments, one_plane
from samples import SPECIAL, generated, real

from lartpc.autodiff.kernelcheck import relative
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime import slots
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

FITTED = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
LOSSES = ("squares", "charges", "times", "adc")


pytestmark = pytest.mark.usefixtures("one_thread")


def smooth(detector=None, parameters=None, **keywords):
    return Simulation(detector, parameters, dtype=np.float64, settings=SMOOTH, **keywords)


def used(trace):
    """Which of the reads are used, (n_pixels, max_hits)."""
    return np.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]


def losses(simulation, trace):
    """Sums over all samples of the squared current and over all reads of charge, time and squared ADC value."""
    reads, tick = trace.reads, simulation.detector.tick
    time = trace.waveforms.windows.tick[reads.window] * tick + reads.time
    squares = np.sum(trace.waveforms.current**2)
    values = (squares, *(np.sum(x[used(trace)]) for x in (reads.charge, time, trace.adc**2)))
    return dict(zip(LOSSES, values, strict=True))


def gradient(trace, loss):
    """The gradient of one of `losses`."""
    ones = used(trace).astype(trace.reads.time.dtype)
    seeds = {
        "squares": {"current": 2.0 * trace.waveforms.current},
        "charges": {"charge": ones},
        "times": {"time": ones},
        "adc": {"adc": 2.0 * trace.adc * ones},
    }
    return trace.backward(**seeds[loss])


def difference(simulation, at, step):
    """Central difference of each loss between the traces at(step) and at(-step), which have the same reads."""
    ends = [at(step), at(-step)]
    np.testing.assert_array_equal(ends[0].reads.count, ends[1].reads.count)
    high, low = (losses(simulation, trace) for trace in ends)
    return {loss: (high[loss] - low[loss]) / (2.0 * step) for loss in LOSSES}


def moved(simulation, batch, name):
    """h -> trace with the parameter `name` times 1 + h."""

    def at(h):
        vector = simulation.vector()
        vector[slots.PARAMETERS.index(name)] *= 1.0 + h
        return Trace(simulation, batch, vector)

    return at


# --- parameters


@pytest.fixture(scope="module", params=["generated", "real"])
def sample(request):
    """Some 25 to 40 segments of ten tracks."""
    return generated(4) if request.param == "generated" else real(request.getfixturevalue("reference"), 3, 10)


@pytest.mark.parametrize(
    "names, recombination, vdrift, noise",
    [
        (FITTED, "birks", None, False),
        (("alpha", "beta", "eField"), "box", None, False),
        (("vdrift",), "birks", 0.158, False),
        (("lifetime",), "birks", None, True),  # noise is a constant
    ],
    ids=["birks", "box", "vdrift", "noise"],
)
def test_parameters(sample, names, recombination, vdrift, noise):
    """All four losses: difference to 1e-5 and slope of the Taylor remainder 2.0 +- 0.1 (`gradcheck.Row.passed`).

    Reads that move to another tick within the steps are left out there; no sample need be chosen for the slope.
    """
    simulation = smooth(parameters=Parameters(vdrift=vdrift), recombination=recombination, noise=noise, seed=1)
    report = gradcheck(simulation, sample, names)
    assert [(row.parameter, row.loss) for row in report.rows] == [
        (name, loss) for name in names for loss in ("waveforms", "charges", "times", "hits")
    ]
    for row in report.rows:
        assert row.passed, row
        assert row.adjoint != 0.0
        if row.slope is None:
            # Charge is proportional to Ab; a crossing's place in its tick, to 1/R, is linear in kb for equal dE/dx.
            assert (row.parameter, row.loss) in (("Ab", "charges"), ("kb", "times"))
    assert report.passed
    assert report.hits > 20
    assert report.left_out < 0.25 * report.hits


def test_all_that_act_are_checked_and_no_other():
    segments = make_segments((0.3, 0.2, 10.0), (0.5, 0.3, 10.2), dE=2.0)
    report = gradcheck(smooth(one_plane()), segments)
    assert {row.parameter for row in report.rows} == {*FITTED, "MeVToElectrons", "lArDensity", "temperature"}
    assert report.passed


@pytest.mark.parametrize("name", ["alpha", "vdrift", "Abb"])
def test_a_parameter_without_effect_is_refused(name):
    segments = make_segments((0.3, 0.2, 10.0), (0.5, 0.3, 10.2))
    with pytest.raises(InputError, match=f"parameter: found '{name}', allowed is Ab or kb or eField"):
        gradcheck(smooth(one_plane()), segments, [name])


def test_float32_and_nothing_to_check_are_refused():
    segments = make_segments((0.3, 0.2, 10.0), (0.5, 0.3, 10.2))
    with pytest.raises(InputError, match="dtype: found float32, allowed is float64"):
        gradcheck(Simulation(one_plane()), segments)
    with pytest.raises(InputError, match="no gradient to check"):
        gradcheck(smooth(one_plane()), make_segments((0.3, 0.2, 40.0), (0.5, 0.3, 40.0)))


def test_hits_near_an_edge_are_counted():
    """Charge of a pixel 1e-4 above the threshold: its hit nearly vanishes."""
    segments = make_segments((0.22, 0.22, 10.0), (0.22, 0.22, 10.0), dE=1.0)
    charge = gradcheck(smooth(one_plane()), segments, ["Ab"])
    assert charge.near == 0
    total = Simulation(one_plane(), dtype=np.float64, settings=SMOOTH)(segments, waveforms=True).hits.charge
    assert len(total) == 1
    for share, near in ((1 - 1e-4, 1), (1 - 1e-2, 0)):
        detector = one_plane(threshold=float(total[0]) * share)
        assert gradcheck(smooth(detector), segments, ["Ab"]).near == near


def test_collected_charge_does_not_depend_on_transverse_diffusion():
    """Diffusion moves charge from pixel to pixel and loses none inside the plane: d ln Q/d ln tran_diff = 0.

    Programs that cut the diffused charge at a fixed width without normalising find +0.06 to +0.10, and so fit the
    diffusion to the total charge.
    """
    simulation = smooth(one_plane(n=20))
    for end, expected in (((1.4, -0.9, 20.5), 0.0), ((6.0, 0.1, 20.0), -1.0)):  # the second leaves the plane at 4.43
        batch = simulation.batch(make_segments((0.1, 0.05, 20.0), end, dE=6.0))
        trace = Trace(simulation, batch)
        current, tick = trace.waveforms.current, simulation.detector.tick
        by_charge = trace.backward(current=np.full_like(current, tick)).parameters["tran_diff"]
        logarithmic = by_charge * simulation.parameters.tran_diff / (np.sum(current) * tick)
        if expected == 0.0:
            assert abs(logarithmic) < 1e-5
            assert abs(gradient(trace, "squares").parameters["tran_diff"]) > 0
        else:
            assert -0.1 < logarithmic < -1e-4


def test_hits_come_earlier_at_higher_field():
    """d(time of each hit)/d(eField) is negative, equal to the difference, and near that of the drift time.

    Where hit times come from sorting or rounding, their gradient by the field is exactly 0 and a fit to times is blind.
    """
    simulation = smooth(one_plane())
    batch = simulation.batch(make_segments((0.1, 0.05, 15.0), (1.4, -0.6, 18.0), dE=8.0))
    trace = Trace(simulation, batch)
    at, step = moved(simulation, batch, "eField"), 1e-7
    ends = [at(step), at(-step)]
    read = np.argwhere(used(trace))
    assert len(read) >= 4
    times = []
    for t in ends:
        np.testing.assert_array_equal(t.reads.count, trace.reads.count)
        times.append(t.waveforms.windows.tick[t.reads.window] * 0.1 + t.reads.time)
    by_difference = (times[0] - times[1]) / (2.0 * step * simulation.parameters.eField)
    drift = 16.0 / VELOCITY
    for pixel, n in read:
        seed = np.zeros_like(trace.reads.time)
        seed[pixel, n] = 1.0
        by_field = trace.backward(time=seed).parameters["eField"]
        assert by_field < 0.0
        assert relative(by_field, by_difference[pixel, n]) < 1e-5
        # ln v over ln E is 0.57 at 0.5 kV/cm
        assert by_field == pytest.approx(-0.57 * drift / 0.5, rel=0.3)


# --- segments

INPUTS = [("start", 0), ("start", 1), ("start", 2), ("end", 0), ("end", 1), ("end", 2), "dE", "dEdx", "time"]


@pytest.mark.parametrize("name", SPECIAL)
def test_each_coordinate_of_a_segment(name):
    """The step of 2e-6 cm, MeV, MeV/cm and us is so small that no number of steps or nodes changes within it."""
    start, end = SPECIAL[name]
    simulation = smooth()
    batch = simulation.batch(make_segments(start, end, dE=3.0, dEdx=4.0, t0=0.73))
    trace = Trace(simulation, batch)
    found = {loss: gradient(trace, loss) for loss in LOSSES}
    for field in INPUTS:
        column, axis = field if isinstance(field, tuple) else (field, ...)

        def at(h, column=column, axis=axis):
            values = getattr(batch, column).copy()
            values[0 if axis is ... else (0, axis)] += h
            return Trace(simulation, batch._replace(**{column: values}))

        expected = difference(simulation, at, 2e-6)
        for loss in LOSSES:
            by_adjoint = getattr(found[loss], "t0" if column == "time" else column)[0]
            by_adjoint = float(by_adjoint if axis is ... else by_adjoint[axis])
            # where the derivative all but vanishes, rounding and the jumps of cut tails are more than 1e-5 of it
            natural = losses(simulation, trace)[loss]
            assert by_adjoint == pytest.approx(expected[loss], rel=1e-5, abs=1e-7 * natural), (field, loss)


def test_all_segments_together(sample):
    """Along a random direction of each input; positions move so little that no step and no hit's tick changes."""
    simulation = smooth()
    batch = simulation.batch(sample)
    trace = Trace(simulation, batch)
    found = {loss: gradient(trace, loss) for loss in LOSSES}
    rng = np.random.default_rng(0)
    for column, size in {"start": 1.0, "end": 1.0, "dE": batch.dE, "dEdx": batch.dEdx, "time": 1.0}.items():
        values = getattr(batch, column)
        direction = rng.normal(size=values.shape) * size
        expected = difference(
            simulation,
            lambda h, c=column, v=values, d=direction: Trace(simulation, batch._replace(**{c: v + h * d})),
            3e-7,
        )
        for loss in LOSSES:
            by_adjoint = np.sum(getattr(found[loss], "t0" if column == "time" else column) * direction)
            assert relative(by_adjoint, expected[loss]) < 1e-5, (column, loss)


def test_a_later_deposit_gives_later_hits():
    """One event of one time: its hits move with it, but for what the sampling at ticks adds."""
    simulation = smooth(one_plane())
    trace = Trace(simulation, simulation.batch(make_segments((0.1, 0.05, 15.0), (1.4, -0.6, 18.0), dE=8.0)))
    assert gradient(trace, "times").t0.sum() == pytest.approx(np.sum(used(trace)), rel=0.03)


# --- pixels


def test_thresholds():
    simulation = smooth()
    batch = simulation.batch(generated(4))
    trace = Trace(simulation, batch)
    pixel = np.sort(trace.waveforms.windows.pixel)
    direction = np.random.default_rng(0).normal(size=len(pixel)) * 7000.0

    def at(h):
        return Trace(smooth(thresholds=(pixel, 7000.0 + h * direction, 0.0)), batch)

    expected = difference(simulation, at, 1e-7)
    place = np.searchsorted(pixel, trace.waveforms.windows.pixel)
    for loss in ("charges", "times", "adc"):
        by_adjoint = np.sum(gradient(trace, loss).pixels.threshold * direction[place])
        assert relative(by_adjoint, expected[loss]) < 1e-5
    assert not gradient(trace, "squares").pixels.threshold.any()


@pytest.mark.parametrize("name, key", [("gain", "gain"), ("offset", "v_pedestal")])
def test_gain_and_offset(name, key):
    detector = Detector.module0()
    simulation = smooth(detector)
    batch = simulation.batch(generated(4))
    trace = Trace(simulation, batch)
    value = getattr(detector, key)

    def at(h):
        return Trace(smooth(dataclasses.replace(detector, **{key: value * (1.0 + h)})), batch)

    expected = difference(simulation, at, 1e-6)["adc"]
    assert relative(value * np.sum(getattr(gradient(trace, "adc").pixels, name)), expected) < 1e-6
    for loss in ("squares", "charges", "times"):
        assert not getattr(gradient(trace, loss).pixels, name).any()


def test_adc_by_parameters():
    simulation = smooth()
    batch = simulation.batch(generated(4))
    trace = Trace(simulation, batch)
    for name in ("lifetime", "kb"):
        expected = difference(simulation, moved(simulation, batch, name), 1e-6)["adc"]
        by_adjoint = gradient(trace, "adc").parameters[name] * getattr(simulation.parameters, name)
        assert relative(by_adjoint, expected) < 1e-5


def test_a_clipped_adc_value_has_no_gradient():
    """More than 720 mV, or 180,000 e, above the pedestal."""
    simulation = smooth(one_plane())
    batch = simulation.batch(make_segments((0.22, 0.22, 10.0), (0.22, 0.22, 10.0), dE=12.0))
    trace = Trace(simulation, batch)
    clipped = trace.adc == 255.0
    assert np.count_nonzero(clipped) == 1
    assert set(trace.backward(adc=np.where(clipped, 1.0, 0.0)).parameters.values()) == {0.0}
    assert trace.backward(charge=np.where(clipped, 1.0, 0.0)).parameters["Ab"] > 0.0


# --- precision and order


def everything(found):
    """All numbers of a `Gradient`: {name: array}."""
    columns = {k: v for k, v in found._asdict().items() if k not in ("parameters", "pixels")}
    return {"parameters": np.array(list(found.parameters.values())), **columns, **found.pixels._asdict()}


def hundred_cm(seed=0):
    """Some 100 cm of ten tracks."""
    return generated(40, seed=seed)


def test_single_precision_agrees_with_double():
    """Each parameter to 1e-3, and the segments' gradients to 1e-3 of their norm."""
    traces = []
    for dtype in (np.float32, np.float64):
        simulation = Simulation(dtype=dtype)
        traces.append(Trace(simulation, simulation.batch(hundred_cm())))
    for loss in LOSSES:
        single, double = (everything(gradient(trace, loss)) for trace in traces)
        acts = [name in simulation.acting() for name in slots.PARAMETERS]
        assert all(single["parameters"][acts] != 0.0)
        np.testing.assert_allclose(single["parameters"], double["parameters"], rtol=1e-3, err_msg=loss)
        for name in ("start", "end", "dE", "dEdx", "t0"):
            assert single[name].dtype == np.float32
            assert np.linalg.norm(single[name] - double[name]) < 1e-3 * np.linalg.norm(double[name]), (loss, name)


def same_bits(a, b):
    for name, array in everything(a).items():
        np.testing.assert_array_equal(array, everything(b)[name], err_msg=name)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core")
def test_any_number_of_threads_gives_the_same_bits():
    simulation = Simulation(noise=True, seed=1)
    batch = simulation.batch(hundred_cm())
    found = []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        trace = Trace(simulation, batch)
        found.append([gradient(trace, loss) for loss in LOSSES])
    for one, two in zip(*found, strict=True):
        same_bits(one, two)


def test_backward_again_gives_the_same_bits():
    simulation = Simulation()
    trace = Trace(simulation, simulation.batch(generated(4)))
    first = {loss: gradient(trace, loss) for loss in LOSSES}
    for loss in reversed(LOSSES):
        same_bits(gradient(trace, loss), first[loss])


def test_a_batch_is_the_sum_of_its_events():
    """Parameters to rounding; each segment belongs to one event, so its gradient has the same bits."""
    simulation = Simulation(dtype=np.float64, noise=True, seed=1)
    segments = generated(4, events=3)
    whole = Trace(simulation, simulation.batch(segments))
    parts = [segments.select(segments.event_id == e) for e in segments.events]
    traces = [Trace(simulation, simulation.batch(part)) for part in parts]
    for loss in LOSSES:
        together = everything(gradient(whole, loss))
        alone = [everything(gradient(trace, loss)) for trace in traces]
        for name, array in together.items():
            if name == "parameters":
                scale = np.sum(np.abs([part[name] for part in alone]), axis=0)
                assert np.all(np.abs(array - np.sum([part[name] for part in alone], axis=0)) <= 1e-13 * scale)
            else:
                np.testing.assert_array_equal(array, np.concatenate([part[name] for part in alone]), err_msg=name)


def test_any_order_of_batches_and_events_gives_the_same_bits():
    segments = generated(4, events=3)
    simulation = Simulation(noise=True, seed=1, settings=SMOOTH._replace(steps_per_batch=1))
    batches = simulation.batches(segments)
    assert len(batches) == 3
    forward = [gradient(Trace(simulation, batch), "charges") for batch in batches]
    for batch, expected in zip(batches[::-1], forward[::-1], strict=True):
        same_bits(gradient(Trace(simulation, batch), "charges"), expected)
    swapped = segments.select(np.argsort(-segments.event_id, kind="stable"))
    whole = [gradient(Trace(simulation, simulation.batch(s)), "charges") for s in (segments, swapped)]
    same_bits(*whole)

"""The gradient of the whole chain by parameters and segments, in float64 and with `SMOOTH` settings."""

import numpy as np
import pytest
from helpers import VELOCITY, make_segments, one_tpc
from samples import SPECIAL, generated, real
from traces import LOSSES, difference, gradient, losses, moved, smooth, used

from lartpc.autodiff.kernelcheck import relative
from lartpc.exceptions import InputError
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

FITTED = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")
pytestmark = pytest.mark.usefixtures("one_thread")


# --- parameters


@pytest.fixture(scope="module", params=["generated", "real"])
def sample(request):
    """Some 25 to 40 segments of ten tracks."""
    return generated(4) if request.param == "generated" else real(request.getfixturevalue("reference"), 3, 10)


@pytest.mark.slow
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
            # Charge is proportional to Ab; a crossing's moment in its tick, to 1/R, is linear in kb for equal dE/dx.
            assert (row.parameter, row.loss) in (("Ab", "charges"), ("kb", "times"))
    assert report.passed
    assert report.hits > 20
    assert report.left_out < 0.25 * report.hits


@pytest.mark.slow
def test_all_that_act_are_checked_and_no_other():
    segments = make_segments((0.3, 0.2, 10.0), (0.5, 0.3, 10.2), dE=2.0)
    report = gradcheck(smooth(one_tpc()), segments)
    assert {row.parameter for row in report.rows} == {
        *FITTED,
        *("MeVToElectrons", "lArDensity", "temperature", "t0_offset", "threshold_offset"),
    }
    assert report.passed


@pytest.mark.parametrize("name", ["alpha", "vdrift", "Abb"])
def test_a_parameter_without_effect_is_refused(name):
    segments = make_segments((0.3, 0.2, 10.0), (0.5, 0.3, 10.2))
    with pytest.raises(InputError, match=f"parameter: found '{name}', allowed is Ab or kb or eField"):
        gradcheck(smooth(one_tpc()), segments, [name])


def test_float32_and_nothing_to_check_are_refused():
    segments = make_segments((0.3, 0.2, 10.0), (0.5, 0.3, 10.2))
    with pytest.raises(InputError, match="dtype: found float32, allowed is float64"):
        gradcheck(Simulation(one_tpc()), segments)
    with pytest.raises(InputError, match="no gradient to check"):
        gradcheck(smooth(one_tpc()), make_segments((0.3, 0.2, 40.0), (0.5, 0.3, 40.0)))


def test_hits_near_an_edge_are_counted():
    """Charge of a pixel 1e-4 above the threshold: its hit nearly vanishes."""
    segments = make_segments((0.22, 0.22, 10.0), (0.22, 0.22, 10.0), dE=1.0)
    charge = gradcheck(smooth(one_tpc()), segments, ["Ab"])
    assert charge.near == 0
    total = Simulation(one_tpc(), dtype=np.float64, settings=SMOOTH)(segments, waveforms=True).hits.charge
    assert len(total) == 1
    for fraction, near in ((1 - 1e-4, 1), (1 - 1e-2, 0)):
        detector = one_tpc(threshold=float(total[0]) * fraction)
        assert gradcheck(smooth(detector), segments, ["Ab"]).near == near


def test_collected_charge_does_not_depend_on_transverse_diffusion():
    """Diffusion moves charge from pixel to pixel and loses none inside the plane: d ln Q/d ln tran_diff = 0.

    Programs that cut the diffused charge at a fixed width without normalising find +0.06 to +0.10, and so fit the
    diffusion to the total charge.
    """
    simulation = smooth(one_tpc(n=20))
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
    simulation = smooth(one_tpc())
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    simulation = smooth(one_tpc())
    trace = Trace(simulation, simulation.batch(make_segments((0.1, 0.05, 15.0), (1.4, -0.6, 18.0), dE=8.0)))
    assert gradient(trace, "times").t0.sum() == pytest.approx(np.sum(used(trace)), rel=0.03)

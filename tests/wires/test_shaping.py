"""Gain and shaping time of amplifiers as parameters: voltages, their derivatives, fits."""

import dataclasses

import numpy as np
import pytest
from wire_samples import few, small_response, small_simulation, small_wires

from lartpc.exceptions import InputError
from lartpc.fit.unknowns import unknowns_of
from lartpc.gradients.waveforms import WireTrace, waveform_slopes
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation
from lartpc.simulation.wires import dense
from lartpc.wires.electronics import impulse
from lartpc.wires.fieldresponse import with_charge
from lartpc.wires.readout import ORDERS
from lartpc.wires.shaping import make_shaping

BOTH = ("gain", "shaping")


def with_electronics(detector, **values):
    return dataclasses.replace(detector, electronics=detector.electronics._replace(**values))


def with_values(simulation, **values):
    """The vector of its parameters with others."""
    vector = simulation.vector()
    for name, value in values.items():
        vector[simulation.parameters.names.index(name)] = value
    return vector


@pytest.fixture(scope="module")
def simulation():
    return small_simulation(small_wires(rc=(30.0,)), dtype=np.float64)


def voltage_of(simulation, vector):
    return simulation.waveforms(simulation.batch(few()), vector).voltage


@pytest.mark.parametrize("kind", ["cold", "warm"])
@pytest.mark.parametrize("shaping", [1.5, 1.9, 2.1, 2.5])
def test_voltages_are_those_of_a_detector_with_that_shaping_time(kind, shaping):
    """To what the tables are exact to, a part of 10^4; with one of 2.0 they would be 2 to 40 % off."""
    detector = with_electronics(small_wires(), kind=kind)
    near = small_simulation(detector, dtype=np.float64)
    made = small_simulation(with_electronics(detector, shaping=shaping, gain=7.8), dtype=np.float64)
    batch, vector = near.batch(few()), with_values(near, shaping=shaping, gain=7.8)
    found, expected = (s.waveforms(batch, v) for s, v in ((near, vector), (made, made.vector())))
    channels, ticks = np.arange(detector.n_channels), range(-100, 800)
    a, b = (dense(one, 0, channels, ticks) for one in (found, expected))
    assert np.abs(a - b).max() < 5e-4 * np.abs(b).max()
    assert a.sum() == pytest.approx(b.sum(), rel=1e-5)


def test_at_their_own_values_tables_stay_and_are_what_a_projection_gives(simulation):
    table = simulation.readout.table
    (shaping,) = table.shapings
    own = shaping.electronics
    assert table.amplified(own.gain, own.shaping) is table
    for plane, waveform in zip(shaping.planes, shaping.waveforms(own.gain, own.shaping), strict=True):
        expected = plane.space @ plane.waveform
        np.testing.assert_allclose(plane.space @ waveform, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    near = voltage_of(simulation, with_values(simulation, shaping=own.shaping * (1.0 + 1e-12)))
    expected = voltage_of(simulation, simulation.vector())
    np.testing.assert_allclose(near, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    with pytest.raises(FloatingPointError, match="shaping 3 us is more than 30 % from that of the simulation, 2"):
        simulation.waveforms(simulation.batch(few()), with_values(simulation, shaping=3.0))


def test_charge_is_exact_at_any_gain_and_shaping_time():
    """Of a response with more than its table keeps, so that sums over time need the last of its functions."""
    detector = small_wires()
    response, rng = small_response(detector), np.random.default_rng(0)
    rough = [one + 3e-5 * rng.standard_normal(one.shape) for one in response.current]
    charge = response.charge
    made = dataclasses.replace(
        response, current=tuple(map(with_charge, rough, charge, [response.sampling] * len(charge)))
    )
    shaping = make_shaping(made, detector.electronics, detector.tick)
    pulse = impulse(shaping.electronics, shaping.time)
    for gain, time in ((14.0, 2.0), (7.0, 2.0), (10.0, 2.3)):
        area = impulse(shaping.electronics._replace(gain=gain, shaping=time), shaping.time).sum() / pulse.sum()
        for plane, waveform in zip(shaping.planes, shaping.waveforms(gain, time), strict=True):
            found, expected = plane.space @ waveform.sum(axis=1), plane.space @ plane.waveform.sum(axis=1)
            size = np.abs(plane.space @ plane.waveform).sum(axis=1).max()
            np.testing.assert_allclose(found, area * expected, rtol=0, atol=1e-11 * size)
        lacking = np.abs(plane.space[:, :-1] @ plane.waveform[:-1].sum(axis=1) - expected).max()
        assert lacking > 1e-9 * size  # of the plane that collects


@pytest.mark.parametrize("order", ORDERS)
def test_derivatives_are_those_of_differences(simulation, order):
    """Of all voltages, and of a loss by the tape, away from where the tables were made."""
    chain = simulation.in_order(order)
    batch, values = chain.batch(few()), {"gain": 13.0, "shaping": 2.2}
    vector = with_values(chain, **values)
    slots = [chain.parameters.names.index(name) for name in ("shaping", "lifetime", "gain")]
    waveforms, slopes = waveform_slopes(chain, batch, vector, slots)
    assert "shaping" not in WireTrace(chain, batch, vector).backward(0.0)[0]
    trace = WireTrace(chain, batch, vector, shaping=True)
    of_loss, _ = trace.backward(2.0 * trace.waveforms.voltage)
    for name, slope in zip(("shaping", "gain"), slopes[[0, 2]], strict=True):
        h = 1e-5 * values[name]
        changed = [with_values(chain, **values | {name: values[name] + s * h}) for s in (1, -1)]
        high, low = (chain.in_order("pairs").waveforms(batch, vector) for vector in changed)
        difference = (high.voltage - low.voltage) / (2.0 * h)
        np.testing.assert_allclose(slope, difference, rtol=0, atol=1e-6 * np.abs(difference).max())
        high, low = (chain.waveforms(batch, vector) for vector in changed)  # of other windows than those of pairs
        expected = (np.sum(high.voltage**2) - np.sum(low.voltage**2)) / (2.0 * h)
        assert of_loss[name] == pytest.approx(expected, rel=1e-6)


def test_values_are_the_detectors_unless_they_are_given():
    detector = small_wires()
    simulation = small_simulation(detector)
    assert [simulation.parameters.value(name) for name in BOTH] == [14.0, 2.0]
    assert set(BOTH) <= set(simulation.acting())
    unknowns = unknowns_of(simulation, BOTH)
    assert unknowns.start.tolist() == [14.0, 2.0] and unknowns.units == ("mV/fC", "us")
    given = small_simulation(detector, parameters=detector.parameters.replace(shaping=1.0))
    own = small_simulation(with_electronics(detector, shaping=1.0))
    np.testing.assert_array_equal(voltage_of(given, given.vector()), voltage_of(own, own.vector()))
    with pytest.raises(InputError, match="shaping: found 0.05 us, allowed is from the sampling of the response on"):
        small_simulation(detector, parameters=detector.parameters.replace(shaping=0.05))
    with pytest.raises(InputError, match="parameter gain: found 14 with pixels, allowed only with wires"):
        Simulation(parameters=Parameters(gain=14.0))

"""The rise time of the buffer."""

import numpy as np
import pytest
from front_ends import TICK, module0
from samples import protons
from traces import smooth

from lartpc.kernels.frontend.buffer import buffer
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")


def buffered(current, risetime, dtype=np.float64):
    """The current of one window behind the buffer."""
    electronics = np.array([[risetime, 0.0, 1.0, 0.0]], dtype=dtype)
    current, result = current.astype(dtype), np.zeros(len(current), dtype=dtype)
    inputs = {"waveform": current, "electronics": electronics, "tick": dtype(TICK)}
    windows = {"window_first": np.array([0, len(current)]), "window_pixel": np.zeros(1, dtype=np.int64)}
    buffer(1, **windows, **inputs, buffered=result)
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


@pytest.mark.slow
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

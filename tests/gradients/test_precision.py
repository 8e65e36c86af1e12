"""Gradients in single precision, on any number of threads, and of any order of batches and events."""

import numba
import numpy as np
import pytest
from samples import generated
from traces import LOSSES, gradient

from lartpc.gradients.gradcheck import SMOOTH
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime import slots
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")


def everything(found):
    """All numbers of a `Gradient`: {name: array}."""
    columns = {k: v for k, v in found._asdict().items() if k not in ("parameters", "pixels")}
    return {"parameters": np.array(list(found.parameters.values())), **columns, **found.pixels._asdict()}


def hundred_cm(seed=0):
    """Some 100 cm of ten tracks."""
    return generated(40, seed=seed)


@pytest.mark.slow
def test_single_precision_agrees_with_double():
    """Each parameter to 1e-3, and the segments' gradients to 1e-3 of their norm.

    The gradient by t0_offset is the sum of those by the segments' t0, most of which cancel: to 1e-3 of their norm.
    """
    traces = []
    for dtype in (np.float32, np.float64):
        simulation = Simulation(dtype=dtype)
        traces.append(Trace(simulation, simulation.batch(hundred_cm())))
    for loss in LOSSES:
        single, double = (everything(gradient(trace, loss)) for trace in traces)
        acts = [name in simulation.acting() for name in slots.PARAMETERS]
        assert all(single["parameters"][: len(acts)][acts] != 0.0)
        found, expected = (np.delete(one["parameters"], slots.T0_OFFSET) for one in (single, double))
        np.testing.assert_allclose(found, expected, rtol=1e-3, err_msg=loss)
        offset = abs(single["parameters"][slots.T0_OFFSET] - double["parameters"][slots.T0_OFFSET])
        assert offset < 1e-3 * np.linalg.norm(double["t0"]), loss
        for name in ("start", "end", "dE", "dEdx", "t0"):
            assert single[name].dtype == np.float32
            assert np.linalg.norm(single[name] - double[name]) < 1e-3 * np.linalg.norm(double[name]), (loss, name)


def same_bits(a, b):
    for name, array in everything(a).items():
        np.testing.assert_array_equal(array, everything(b)[name], err_msg=name)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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

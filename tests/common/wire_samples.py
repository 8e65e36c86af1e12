"""A small detector of wires, a response for it, segments in it, and what its channels read."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lartpc.data.segments import Segments
from lartpc.detector.wires import WireDetector
from lartpc.gradients.waveforms import WireTrace, waveform_slopes
from lartpc.simulation.wires import WireSimulation
from lartpc.wires.fieldresponse import FieldResponse, with_charge
from lartpc.wires.readout import ORDERS

BINS, REACH, SAMPLES, SAMPLING = 4, 2, 120, 0.1
TEXT = """
name: small
anodes:
  - {{anode: -20.0, cathode: -0.5, y: [-15.0, 15.0], z: [0.0, 30.0]}}
  - {{anode: 20.0, cathode: 0.5, y: [-15.0, 15.0], z: [0.0, 30.0]}}
planes:
  - {{name: U, kind: induction, angle: {angle}, pitch: 0.5{of_u}}}
  - {{name: W, kind: collection, angle: 0.0, pitch: 0.5}}
readout: {{tick: 0.5, ticks: 600, first_tick: -20}}
field_response:
  field: 0.5
  height: 2.0
  radius: 0.0075
  ground: 3.0
  planes:
    - {{distance: 0.3, pitch: 0.5, bias: -200.0}}
    - {{distance: 0.0, pitch: 0.5, bias: 440.0}}
electronics: {{kind: cold, gain: 14.0, shaping: 2.0, rc: {rc}}}
adc: {{bits: 12, low: 0.0, high: 1800.0, baseline: [880.0, 286.0]}}
noise: {{charge: [[[0.0, 165.0], [40.0, 474.0]], 377.0], group: 8}}
parameters: {{eField: 0.5, lifetime: 3000.0, long_diff: 7.2e-06, tran_diff: 1.2e-05, vdrift: 0.16}}
"""
SMALL = TEXT.format(rc=[], angle=35.0, of_u="")


def of(made):
    """The options of commands on the detector of files that were `made`."""
    return "--detector", made["detector"], "--response", made["response"]


def small_wires(rc=(), angle=35.0, of_u=""):
    """Two anodes back to back of two planes; `of_u`: more of the first, as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.yaml"
        path.write_text(TEXT.format(rc=list(rc), angle=angle, of_u=of_u))
        return WireDetector.load(path)


def small_response(detector, bins=BINS):
    """Currents that look like real ones: a pulse up and down on the first plane, one on the wire that collects."""
    offset = (np.arange((2 * REACH + 1) * bins) + 0.5) / bins - REACH - 0.5
    t = (np.arange(SAMPLES) + 0.5) * SAMPLING
    narrow = np.exp(-0.5 * (t - 8.0) ** 2 / 0.8**2) - np.exp(-0.5 * (t - 9.5) ** 2 / 0.6**2)
    induced = np.exp(-(offset[:, None] ** 2)) * narrow
    collected = np.exp(-0.5 * (t - 10.0 + 0.3 * offset[:, None] ** 2) ** 2 / 0.7**2) * np.exp(-(offset[:, None] ** 2))
    charge = (np.abs(offset) < 0.5).astype(np.float64)
    planes = (with_charge(induced, 0.0 * charge, SAMPLING), with_charge(collected, charge, SAMPLING))
    return FieldResponse(planes, (0.5, 0.5), SAMPLING, detector.drift_start, 0.16, bins)


def segments_of(start, end, dEdx=2.1, event=0, t0=0.0):
    """Segments from points (n, 3) to others [cm], in the simulation frame; dEdx, event and t0 a number or (n,)."""
    start, end = np.broadcast_arrays(np.atleast_2d(start).astype(float), np.atleast_2d(end).astype(float))
    n = len(start)
    dEdx, event, t0 = (np.broadcast_to(column, n) for column in (dEdx, event, t0))
    places = {
        f"{axis}_{name}": of[:, k] for name, of in (("start", start), ("end", end)) for k, axis in enumerate("xyz")
    }
    length = np.linalg.norm(end - start, axis=1)
    ids = np.arange(n)
    return Segments(
        event.astype(np.int64), ids, ids, np.full(n, 13), **places, dE=dEdx * length, dEdx=dEdx + 0.0, t0=t0 + 0.0
    )


def track(n, start=(4.0, -6.0, -3.0), direction=(0.5, 0.55, -0.67), length=0.3, **more):
    """A line of n segments."""
    points = np.array(start) + np.outer(np.arange(n + 1) * length, np.array(direction) / np.linalg.norm(direction))
    return segments_of(points[:-1], points[1:], **more)


def joined(*parts):
    """Segments of several together."""
    names = [name for name, column in vars(parts[0]).items() if isinstance(column, np.ndarray)]
    return dataclasses.replace(parts[0], **{n: np.concatenate([getattr(one, n) for one in parts]) for n in names})


def small_simulation(detector=None, **more):
    detector = small_wires() if detector is None else detector
    return WireSimulation(detector, response=small_response(detector), **more)


def run_wires(launch, dtype):
    """From segments to voltages behind high passes."""
    for order in ORDERS:
        simulation = small_simulation(small_wires(rc=(30.0,)), dtype=dtype, order=order)
        found = simulation.waveforms(simulation.batch(few()), simulation.vector(), launch)
    return found


def differentiate_wires(dtype):
    """The same, backwards by a tape, and with all samples' derivatives by a parameter."""
    simulation = small_simulation(small_wires(rc=(30.0,)), dtype=dtype)
    batch = simulation.batch(few())
    for order in ORDERS:
        trace = WireTrace(simulation.in_order(order), batch)
        trace.backward(trace.waveforms.voltage)
    waveform_slopes(simulation, batch, simulation.vector(), [simulation.parameters.names.index("tran_diff")])


def assert_differences(batch, by_segments, loss):
    """Derivatives by the columns of a batch's segments are those of differences of `loss(batch)`."""
    for name, grad in by_segments.items():
        column = getattr(batch, name)
        for at in np.ndindex(column.shape):
            sides = []
            for sign in (-1.0, 1.0):
                moved = column.copy()
                moved[at] += sign * 1e-5
                sides.append(loss(batch._replace(**{name: moved})))
            assert grad[at] == pytest.approx((sides[1] - sides[0]) / 2e-5, abs=2e-6 * np.abs(grad).max())


def few():
    return track(6, dEdx=np.linspace(1.5, 6.0, 6))

"""Small detectors, segments and views of waveforms that several tests share, and the memory that work takes."""

import tracemalloc

import numpy as np

from lartpc.autodiff.launch import Recorder, plain
from lartpc.data.segments import Segments
from lartpc.detector.detector import Detector
from lartpc.kernels.runtime.launch import in_order
from lartpc.parameters import Parameters
from lartpc.pixels.response import Response
from lartpc.simulation.attribution import BY_PAIRS, contributions
from lartpc.simulation.collect import valid
from lartpc.simulation.simulation import Simulation

PITCH = 0.4434
VELOCITY = 0.1596452482154287  # [cm/us] at the nominal field and temperature


def one_tpc(n=10, **values):
    """A detector of one TPC: n x n pixels around x = y = 0, anode at z = 0, cathode at z = 31 cm."""
    edge = np.array([0.5 * n * PITCH])
    geometry = {
        "x_lo": -edge,
        "x_hi": edge,
        "y_lo": -edge,
        "y_hi": edge,
        "z_anode": np.array([0.0]),
        "z_cathode": np.array([31.0]),
        "pitch": np.array([PITCH]),
        "n_x": np.array([n]),
        "n_y": np.array([n]),
        "first_pixel": np.array([0]),
        "module": np.array([0]),
    }
    return Detector(name="one TPC", **{"parameters": Parameters(), **geometry, **values})


def back_to_back(overlap, n=10):
    """Two TPCs whose anodes are beyond one another by `overlap` [cm]: z from -10 to overlap/2, and from -overlap/2."""
    half = 0.5 * overlap
    d = one_tpc(n)
    both = {
        name: np.concatenate([getattr(d, name)] * 2) for name in ("x_lo", "x_hi", "y_lo", "y_hi", "pitch", "n_x", "n_y")
    }
    anode = np.array([half, -half])
    first = {"first_pixel": np.array([0, n * n]), "module": np.array([0, 1])}
    return Detector("two", d.parameters, **both, z_anode=anode, z_cathode=anode + [-10.0, 10.0], **first)


def make_segments(start, end, dE=1.0, dEdx=2.0, t0=0.0, event_id=0):
    """Segments from `start` to `end`, (n, 3) or (3,); the other values are of all or one each."""
    start, end = (np.atleast_2d(np.asarray(p, dtype=np.float64)) for p in (start, end))
    n = len(start)
    columns = {"dE": dE, "dEdx": dEdx, "t0": t0, "event_id": event_id}
    return Segments(
        segment_id=np.arange(n),
        traj_id=np.zeros(n, dtype=np.int64),
        pdg_id=np.full(n, 13),
        **{f"{axis}_start": start[:, k] for k, axis in enumerate("xyz")},
        **{f"{axis}_end": end[:, k] for k, axis in enumerate("xyz")},
        **{k: np.broadcast_to(np.asarray(v, dtype=int if k == "event_id" else float), n) for k, v in columns.items()},
    )


def small_table():
    """A response of the module0 detector: two neighbours on each side, two samples a clock cycle."""
    return Response.electrostatic(Detector.module0(), bins=4, reach=10, height=1.0, time_tick=0.05)


def local(n, dtype=np.float64, **values):
    """Field, parameters and module of n steps in one module, as quench and drift take them."""
    p = Parameters(**values)
    field, module = np.full(n, p.eField, dtype), np.zeros(n, dtype=np.int64)
    return {"step_field": field, "parameters": p.table(1, dtype), "step_module": module}


def waveforms(segments, detector=None, **keywords):
    """The chain's waveforms, in the precision of the simulation; one TPC unless `detector` says otherwise."""
    simulation = Simulation(one_tpc() if detector is None else detector, **keywords)
    return simulation.waveforms(simulation.batch(segments), simulation.vector())


def attributed(simulation, segments):
    """Waveforms, reads, where hits are among the reads, and what each segment contributes to them."""
    batch, recorder = simulation.batch(segments), Recorder(BY_PAIRS)
    found = simulation.waveforms(batch, simulation.vector(), recorder)
    reads = simulation.reads(found, batch, simulation.pixels(found))
    at = valid(reads)
    return found, reads, at, contributions(recorder.launched, found, reads, at, simulation.detector)


def launches(segments, detector=None, **keywords):
    """The arguments of every kernel of the chain by name, as they are after it has run: {kernel: {name: value}}."""
    simulation = Simulation(one_tpc() if detector is None else detector, **keywords)
    arguments = {}

    def launch(kernel, threads, *, adjoint_threads=None, **arrays):
        plain(kernel, threads, **arrays)
        arguments[kernel.name] = in_order(kernel, arrays)

    result = simulation.waveforms(simulation.batch(segments), simulation.vector(), launch)
    return arguments, result


def sample(waveforms, pixel, ticks):
    """Current of `pixel` [e/us] at the given ticks, 0 outside its windows; one event."""
    windows = waveforms.windows
    current = np.zeros(len(ticks))
    for p in np.flatnonzero(windows.pixel == pixel):
        for w in range(windows.of_pixel[p], windows.of_pixel[p + 1]):
            at = ticks - windows.tick[w]
            inside = (at >= 0) & (at < windows.first[w + 1] - windows.first[w])
            current[inside] = waveforms.current[windows.first[w] + at[inside]]
    return current


def peak_of(work):
    """What `work` gives, and the largest memory of its arrays [bytes]."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

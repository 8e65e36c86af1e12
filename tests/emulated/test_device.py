"""`Simulation(device="cuda")` from end to end on a stand-in for the device: the CPU's results, and few waits."""

import dataclasses
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from commands import succeeds
from modules import TWO_BY_TWO, tracks

from lartpc.fit.calibrate import LOSSES, SIX, calibrate
from lartpc.fit.compare import compare
from lartpc.fit.forecast import forecast
from lartpc.fit.scan import scan
from lartpc.fit.unknowns import unknowns_of
from lartpc.formats.edepsim import from_table
from lartpc.formats.hitfile import read_hits
from lartpc.generator.generate import generate
from lartpc.gradients.gradcheck import SMOOTH, gradcheck
from lartpc.gradients.trace import Trace
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation

pytestmark = [
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.filterwarnings("default"),  # those of numba-cuda are not ours
    pytest.mark.slow,
    pytest.mark.usefixtures("device"),
]
CLOSE = 1e-5  # of the largest value


def muons(detector, n=20):
    return from_table(generate("muons", detector, 1, 0)[:n], "generated")


def both(**keywords):
    """The same simulation on both devices."""
    return [Simulation(**keywords, device=device) for device in ("cpu", "cuda")]


def assert_close(cuda, cpu, most=CLOSE):
    cuda, cpu = np.asarray(cuda, np.float64), np.asarray(cpu, np.float64)
    np.testing.assert_allclose(cuda, cpu, rtol=0.0, atol=most * np.abs(cpu).max(initial=0.0))


def assert_same_hits(cuda, cpu):
    assert len(cpu.hits) > 10
    for name in ("event_id", "pixel_id", "hit", "adc"):
        np.testing.assert_array_equal(getattr(cuda.hits, name), getattr(cpu.hits, name), err_msg=name)
    assert_close(cuda.hits.t, cpu.hits.t, 1e-6)
    assert_close(cuda.hits.charge, cpu.hits.charge)


def table(detector):
    return Response.electrostatic(detector, bins=4, reach=6, height=1.0)


CHAINS = {
    "parametric, noise": lambda: {"noise": True},
    "ellipsoid, buffer": lambda: {
        "recombination": "ellipsoid",
        "detector": dataclasses.replace(Simulation().detector, buffer_risetime=0.1, adc_busy_delay=9, reset_cycles=1),
    },
    "table in levels": lambda: {"response": "electrostatic"},
    "table": lambda: {"response": table(Simulation().detector)},
    "modules": lambda: {"detector": TWO_BY_TWO},
}


def chain(name, dtype=np.float32):
    """Both simulations of a chain, and segments."""
    cpu, cuda = both(**CHAINS[name](), dtype=dtype)
    return cpu, cuda, tracks(TWO_BY_TWO) if name == "modules" else muons(cpu.detector)


@pytest.mark.parametrize("name", CHAINS)
def test_hits_waveforms_and_attribution(name):
    cpu, cuda, segments = chain(name)
    cpu, cuda = (one(segments, waveforms=True, attribution=True) for one in (cpu, cuda))
    assert_same_hits(cuda, cpu)
    np.testing.assert_array_equal(cuda.waveforms.start_tick, cpu.waveforms.start_tick)
    assert_close(cuda.waveforms.current, cpu.waveforms.current)
    assert cuda.summary.hits == cpu.summary.hits
    for of in ("segment", "trajectory"):
        assert_close(shares(cuda.attribution, of), shares(cpu.attribution, of))
    assert_close(cuda.attribution.electrons, cpu.attribution.electrons)
    np.testing.assert_array_equal(cuda.attribution.tpc, cpu.attribution.tpc)


def shares(attribution, of):
    """Fractions by hit and number of the segment or trajectory: which of two like ones is first may differ."""
    number = getattr(attribution, of) + 1
    fraction = attribution.fraction if of == "segment" else attribution.fraction_traj
    result = np.zeros((len(number), number.max() + 1))
    np.add.at(result, (np.arange(len(number))[:, None], number), fraction)
    return result


def gradient(simulation, batch):
    trace = Trace(simulation, batch)
    used = simulation.xp.arange(trace.reads.time.shape[1]) < trace.reads.count[:, None]
    seeds = {name: used.astype(simulation.dtype) for name in ("time", "charge", "adc")}
    return trace.backward(current=trace.waveforms.current, **seeds)


@pytest.mark.parametrize("name", CHAINS)
def test_value_and_gradient(name):
    """Sums over segments cancel in those by parameters: in float32 they may differ by as much as from float64."""
    *sides, segments = chain(name)
    single = [gradient(one, one.batch(segments)) for one in sides]
    *sides, segments = chain(name, np.float64)
    double = [gradient(one, one.batch(segments)) for one in sides]
    for (cpu, cuda), most in ((single, CLOSE), (double, 1e-9)):
        for field in ("start", "end", "dE", "dEdx", "t0"):
            assert np.abs(getattr(cpu, field)).max() > 0.0
            assert_close(getattr(cuda, field), getattr(cpu, field), most)
    for parameter, exact in double[0].parameters.items():
        assert_close(double[1].parameters[parameter], exact, 1e-9)
        cpu, cuda = (one.parameters[parameter] for one in single)
        assert abs(cuda - cpu) <= CLOSE * abs(cpu) + abs(cpu - exact), parameter


@pytest.fixture(scope="module")
def measured():
    """Segments and the hits that they made."""
    simulation = Simulation(noise=True, seed=1)
    segments = muons(simulation.detector, 40)
    return segments, simulation(segments).hits


@pytest.mark.parametrize("loss", LOSSES)
def test_calibrate(loss, measured):
    segments, hits = measured
    cpu, cuda = (calibrate(one, segments, hits, unknowns=("Ab", "lifetime"), loss=loss) for one in both())
    assert (np.abs(cuda.values - cpu.values) < 0.05 * cpu.errors).all()
    np.testing.assert_allclose(cuda.errors, cpu.errors, rtol=0.05)


@pytest.mark.parametrize("errors", ["hessian", "profile"])
def test_errors(errors, measured):
    cpu, cuda = (calibrate(one, *measured, unknowns=("lifetime",), errors=errors) for one in both())
    np.testing.assert_allclose(cuda.errors, cpu.errors, rtol=0.01)


def test_scan(measured):
    over = {"Ab": (0.75, 0.85), "lifetime": (1500.0, 3000.0)}
    cpu, cuda = (scan(one, *measured, over=over, points=2) for one in both())
    np.testing.assert_allclose(cuda.loss, cpu.loss, rtol=CLOSE)
    assert_close(cuda.gradient[:, 0], cpu.gradient[:, 0], 1e-4)
    assert_close(cuda.gradient[:, 1], cpu.gradient[:, 1], 1e-4)


def test_compare_and_forecast(measured):
    cpu, cuda = both()
    assert str(compare(cuda, *measured)) == str(compare(cpu, *measured))
    cpu, cuda = (forecast(one, measured[0], ("Ab", "lifetime")) for one in (cpu, cuda))
    np.testing.assert_allclose(cuda.errors, cpu.errors, rtol=1e-4)


def test_commands(tmp_path):
    succeeds("generate", "stopping-protons", "-o", tmp_path / "protons.h5", "--events", 1)
    for name in ("cpu", "cuda"):
        segments, options = tmp_path / "protons.h5", ("--seed", 1, "--device", name)
        succeeds("simulate", segments, "-o", tmp_path / f"{name}.h5", *options)
    cpu, cuda = (SimpleNamespace(hits=read_hits(tmp_path / f"{name}.h5")) for name in ("cpu", "cuda"))
    assert_same_hits(cuda, cpu)


def test_gradcheck():
    simulation = Simulation(dtype=np.float64, settings=SMOOTH, device="cuda")
    report = gradcheck(simulation, muons(simulation.detector, 4), ("Ab", "eField"))
    assert report.passed, [row for row in report.rows if not row.passed]


# Of a value and gradient of the voltages, and of a step of a fit: a way back for each kind of residual.
MOST = {
    "gradient": {"waits": 12, "transfers": 5, "launches": 39, "operations": 95},
    "step": {"waits": 29, "transfers": 19, "launches": 73, "operations": 198},
}


def of_gradient(simulation, segments):
    """What makes a value and gradient."""
    batch = simulation.cut(simulation.batch(segments))
    return lambda: gradient(simulation, batch)


def of_step(simulation, segments):
    """What makes the likelihood of hits and its Jacobian by six parameters."""
    hits = Simulation(noise=True, seed=3)(segments).hits
    batch, target = simulation.cut(simulation.batch(segments)), TargetHits(hits, simulation.detector)
    objective = Objective("likelihood", simulation, [batch], target, unknowns_of(simulation, SIX))
    return lambda: objective(objective.unknowns.start)


@pytest.mark.parametrize("kind, prepare", [("gradient", of_gradient), ("step", of_step)])
def test_few_waits(kind, prepare, device):
    """No more waits, transfers, launches and operations than there were: each costs microseconds on a device."""
    from tests.emulated.device import LAUNCHES

    simulation = Simulation(device="cuda")
    run = prepare(simulation, muons(simulation.detector))
    device.forget()
    LAUNCHES.clear()
    run()
    counters = {"waits": device.WAITS, "transfers": device.TRANSFERS, "operations": device.OPERATIONS}
    found = {name: counter.total() for name, counter in counters.items()} | {"launches": LAUNCHES.total()}
    assert all(found[name] <= most for name, most in MOST[kind].items()), (found, counters)

"""Every kernel compiles for CUDA, and float32 kernels hold no float64 instruction; needs no GPU."""

import dataclasses
import re
from importlib.util import find_spec
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from enumeration import all_kernels
from loss_cases import LOSS_CASES

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.autodiff.tape import LARGE, mark
from lartpc.detector.detector import Detector
from lartpc.files.hdf5 import new_hdf5
from lartpc.fit.calibrate import calibrate
from lartpc.formats.edepsim import read_segments
from lartpc.generator.generate import generate
from lartpc.gradients.jacobian import Jacobian
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime.launch import Kernel, cuda_helper, in_order
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation

pytestmark = [
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.filterwarnings("default"),  # those of numba-cuda are not ours
]


def record_runs(folder):
    """Run every stage once in float32, forwards and backwards; only the launches matter."""
    detector = dataclasses.replace(Detector.module0(), buffer_risetime=0.1, adc_busy_delay=9, reset_cycles=1)
    simulation = Simulation(detector, noise=True)
    with new_hdf5(folder / "segments.h5") as file:
        file.create_dataset("segments", data=generate("muons", simulation.detector, 1, 0)[:20])
    segments = read_segments(folder / "segments.h5")
    result = simulation(segments, truth=True)
    table = Response.electrostatic(simulation.detector, bins=4, reach=6, height=1.0)
    tabulated = Simulation(response=table, recombination="ellipsoid")
    trace = Trace(tabulated, tabulated.batch(segments))
    trace.backward(current=trace.waveforms.current)
    jacobian = Jacobian(trace.tape, trace.waveforms.windows, [0])
    jacobian.rows(trace.waveforms.current, np.arange(len(trace.waveforms.windows.pixel)))
    calibrate(simulation, segments, result.hits, names=("eField",), iterations=1)
    trace = Trace(simulation, simulation.batch(segments))
    reads = trace.reads
    seeds = {"current": trace.waveforms.current, "time": reads.time, "charge": reads.charge, "adc": trace.adc}
    trace.backward(**{name: np.zeros_like(array) for name, array in seeds.items()})
    mark(np.zeros(2 * LARGE))
    run_losses()


def run_losses():
    """The kernels of the losses, which the library runs in float64."""
    kernels = {kernel.name: kernel for kernel in ADJOINTS}
    for name, make in LOSS_CASES.items():
        threads, arguments, adjoint_threads, more = make(np.random.default_rng(0), np.float32)
        kernels[name](threads, *arguments.values())
        bound = {**arguments, **(more or {})}
        bound |= {f"grad_{key}": np.zeros_like(value) for key, value in arguments.items()}
        adjoint = ADJOINTS[kernels[name]].kernel
        adjoint(adjoint_threads or threads, *(bound[argument] for argument in adjoint.arguments))


def as_on_device(argument):
    """The Numba type of a kernel's argument, without what is special to main memory (read-only, unaligned)."""
    found = numba.typeof(argument)
    if isinstance(found, numba.types.Array):
        return numba.types.Array(found.dtype, found.ndim, found.layout)
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Kernel to the set of tuples of argument types with which the run called it."""
    signatures = {}
    launch = Kernel.__call__

    def record(kernel, threads, *arguments, **named):
        arguments = in_order(kernel, arguments, named)
        types = (numba.types.int64, *(as_on_device(argument) for argument in arguments))
        signatures.setdefault(kernel, set()).add(types)
        launch(kernel, threads, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "__call__", record)
        record_runs(tmp_path_factory.mktemp("ptx"))
    return signatures


def ptx(kernel, types, cc, monkeypatch):
    """The PTX of a kernel for a compute capability; helpers ask for the device, so one stands in."""
    from numba import cuda
    from numba.cuda import dispatcher

    cuda_helper.cache_clear()
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=cc))
    source, _ = cuda.compile(
        kernel.cuda_source(), numba.types.void(*types), cc=cc, device=False, abi="numba", output="ptx"
    )
    return source


def double_lines(source):
    """Lines of PTX that name float64: registers, instructions, conversions."""
    return [line.strip() for line in source.splitlines() if re.search(r"\.f64\b", line)]


@pytest.mark.parametrize("cc", [(8, 0), (9, 0)], ids=["cc80", "cc90"])
@pytest.mark.parametrize("module, name", sorted(all_kernels()))
def test_float32_kernel_compiles_without_float64(module, name, cc, recorded, monkeypatch):
    kernel = all_kernels()[module, name]
    assert kernel in recorded, f"{module}.{name} is called by no run of record_runs"
    for types in recorded[kernel]:
        source = ptx(kernel, types, cc, monkeypatch)
        assert f".target sm_{cc[0]}{cc[1]}" in source
        assert ".entry" in source
        assert double_lines(source) == []


def test_float64_is_seen(recorded, monkeypatch):
    kernel = all_kernels()["lartpc.kernels.charge.quench", "quench"]
    wide = {numba.types.float32: numba.types.float64}
    (types,) = recorded[kernel]
    types = tuple(t.copy(dtype=wide[t.dtype]) if getattr(t, "dtype", None) in wide else t for t in types)
    assert double_lines(ptx(kernel, types, (9, 0), monkeypatch))

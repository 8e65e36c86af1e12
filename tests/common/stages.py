"""Runs of every stage, in which every kernel is launched."""

import dataclasses
import functools

import numpy as np
import pytest
from launches import copies, record_vetoes
from loss_cases import LOSS_CASES
from wire_channels import run_channels
from wire_samples import differentiate_wires

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.autodiff.launch import plain
from lartpc.autodiff.tape import LARGE, Tape, mark
from lartpc.detector.detector import Detector
from lartpc.files.hdf5 import new_hdf5
from lartpc.fit.calibrate import calibrate
from lartpc.fit.optimizers import GaussNewton
from lartpc.formats.edepsim import read_segments
from lartpc.generator.generate import generate
from lartpc.gradients.jacobian import Jacobian
from lartpc.gradients.segments import SegmentJacobian
from lartpc.gradients.trace import Trace
from lartpc.kernels.runtime.launch import Kernel, in_order
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation as AnySimulation


def record_runs(folder, dtype=np.float32):
    """Run every stage once in a precision, forwards and backwards; only the launches matter.

    Kernels that CUDA has in parts are launched whole and then in parts, which give the same.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "__call__", in_parts_too(Kernel.__call__))
        run_all(folder, dtype)


def in_parts_too(call):
    def both(kernel, threads, /, **arrays):
        before = copies(in_order(kernel, arrays)) if kernel.parts else {}
        call(kernel, threads, **arrays)
        if kernel.parts and threads:
            kernel.parts(threads, np, **before)
            for name in kernel.outputs:
                most = 1e4 * np.finfo(arrays[name].dtype).eps * np.abs(arrays[name]).max(initial=0.0)
                np.testing.assert_allclose(before[name], arrays[name], rtol=0.0, atol=most, err_msg=kernel.name)

    return both


def run_all(folder, dtype):
    Simulation = functools.partial(AnySimulation, dtype=dtype)
    detector = dataclasses.replace(Detector.module0(), buffer_risetime=0.1, adc_busy_delay=9, reset_cycles=1)
    simulation = Simulation(detector, noise=True)
    with new_hdf5(folder / "segments.h5") as file:
        file.create_dataset("segments", data=generate("muons", simulation.detector, 1, 0)[:20])
    segments = read_segments(folder / "segments.h5")
    result = simulation(segments, attribution=True)
    table = Response.electrostatic(simulation.detector, bins=4, reach=6, height=1.0)
    tabulated = Simulation(response=table, recombination="ellipsoid")
    for one in (Simulation(response="electrostatic"), tabulated):  # with and without slow waveforms
        trace = Trace(one, one.batch(segments))
        trace.backward(current=trace.waveforms.current)
        jacobian = Jacobian(trace.tape, trace.waveforms, [0])
        jacobian.rows(trace.waveforms.current, np.arange(len(trace.waveforms.windows.pixel)))
        tape = Tape()
        vetoes, lost = record_vetoes(one, one.batch(segments), tape.launch)
        arrays = (vetoes.lost, vetoes.excess, vetoes.log_silence, lost)
        tape.backward([(array, np.ones_like(array)) for array in arrays])
    of_segments = SegmentJacobian(trace.tape, trace.waveforms, [0])
    of_segments.of_seeds([(trace.waveforms.current, trace.waveforms.current)], np.arange(1))
    calibrate(simulation, segments, result.hits, unknowns=("eField",), optimizer=GaussNewton(1))
    trace = Trace(simulation, simulation.batch(segments))
    trace.backward(current=trace.waveforms.current)
    of_segments = SegmentJacobian(trace.tape, trace.waveforms, [0])
    of_segments.of_seeds([(trace.waveforms.current, trace.waveforms.current)], np.arange(1))
    trace = Trace(simulation, simulation.batch(segments))
    reads = trace.reads
    seeds = {"current": trace.waveforms.current, "time": reads.time, "charge": reads.charge, "adc": trace.adc}
    trace.backward(**{name: np.ones_like(array) for name, array in seeds.items()})
    mark(np.zeros(2 * LARGE))
    tape = Tape()
    passed = run_channels(tape.launch, dtype)
    tape.backward([(passed, np.ones_like(passed))])
    differentiate_wires(dtype)
    run_losses(dtype)


def run_losses(dtype):
    """The kernels of the losses, which the library runs in float64."""
    kernels = {kernel.name: kernel for kernel in ADJOINTS}
    for name, make in LOSS_CASES.items():
        threads, arguments, adjoint_threads, more = make(np.random.default_rng(0), dtype)
        kernels[name](threads, **arguments)
        bound = {**arguments, **(more or {})}
        bound |= {f"grad_{key}": np.zeros_like(value) for key, value in arguments.items()}
        bound |= {f"grad_{key}": np.ones_like(arguments[key]) for key in kernels[name].outputs}
        adjoint = ADJOINTS[kernels[name]].kernel
        plain(adjoint, adjoint_threads or threads, **bound)

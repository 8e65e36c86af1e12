"""Launches of kernels as they were recorded when the chain and the losses ran, in float64."""

import dataclasses
import functools
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from samples import generated, special
from wire_channels import run_channels
from wire_samples import run_wires

from lartpc.adjoint.pairs import ADJOINTS, NO_ADJOINT
from lartpc.arrays import namespace, to_numpy
from lartpc.autodiff.launch import plain
from lartpc.detector.detector import Detector
from lartpc.kernels.runtime.launch import Kernel, in_order
from lartpc.losses.charges import lost_to_vetoes, make_charges, make_vetoes
from lartpc.losses.hit_losses import LOSSES
from lartpc.losses.hitlist import HitList, simulated_hits
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

MODELS = {"birks, vdrift linked": ("birks", None), "box, vdrift set": ("box", 0.158)}
IDLE = {("drift", "box, vdrift set"): ("step_field",)}  # inputs of recorded launches that do not act


class Case(NamedTuple):
    """A launch: arguments as they were before it."""

    threads: int
    arguments: dict[str, Any]
    adjoint_threads: int | None = None
    more: dict[str, Any] | None = None


def recorder(cases):
    """A launcher that keeps what it launches: {kernel: `Case`}, the last of each."""

    def launch(kernel, threads, *, adjoint_threads=None, **arrays):
        more = {name: array for name, array in arrays.items() if name not in kernel.arguments}
        cases[kernel.name] = Case(threads, copies(in_order(kernel, arrays)), adjoint_threads, more)
        plain(kernel, threads, **arrays)

    return launch


def record(segments, recombination="birks", vdrift=None, **changes):
    """Every launch of the chain, its front end with all that it can do, and of the losses: {kernel: `Case`}.

    Those of `angle` and `ellipsoid`, which one model alone has, are of the segments that have a direction. Of measured
    hits the likelihood takes the chain's own, the losses
    take some of those of a plain front end, moved.
    """
    keywords = {"parameters": Parameters(vdrift=vdrift, **changes), "recombination": recombination, "dtype": np.float64}
    cases = {}
    launch = recorder(cases)
    for front_end in ({"buffer_risetime": 0.1, "adc_busy_delay": 9, "reset_cycles": 1}, {}):
        detector = dataclasses.replace(Detector.module0(), **front_end)
        simulation = Simulation(detector, **keywords)
        run = launch if front_end else plain
        batch = simulation.batch(segments)
        waveforms = simulation.waveforms(batch, simulation.vector(), run)
        pixels = simulation.pixels(waveforms, run)
        reads = simulation.reads(waveforms, batch, pixels, run)
        adc = simulation.adc(reads, pixels, False, run)
        assert reads.count.sum() > 0
        tick = waveforms.windows.tick[reads.window] + reads.tick
        target = SimpleNamespace(count=reads.count, tick=tick, fraction=reads.fraction)
        make_charges(waveforms, target, detector, run)
    hits, _ = simulated_hits(simulation, batch, waveforms.windows, reads, adc)
    angular = Simulation(**{**keywords, "recombination": "ellipsoid"})
    of_angles = angular.batch(segments)
    of_angles = of_angles.select((of_angles.start != of_angles.end).any(axis=1))
    by_angle = {}
    angular.waveforms(of_angles, angular.vector(), recorder(by_angle))
    cases = by_angle | cases
    tabulated = Simulation(**keywords, response="electrostatic")
    record_vetoes(tabulated, batch, recorder(cases))
    run_channels(recorder(cases), np.float64)
    of_wires = {}
    run_wires(recorder(of_wires), np.float64)
    cases |= {name: of_wires[name] for name in ("share_wires", "couple_wires", "lay_cells", "couple_cells")}
    return cases | record_losses(hits, moved(hits, detector), detector)


def record_vetoes(simulation, batch, launch):
    """The chain, and what vetoed reads mean: as such are taken the first of each pixel, and half the charge goes again.

    `Vetoes`, and the charge that is lost to vetoed reads without noise.
    """
    waveforms = simulation.waveforms(batch, simulation.vector(), launch)
    pixels = simulation.pixels(waveforms)
    reads = simulation.reads(waveforms, batch, pixels)
    current = waveforms.buffered
    later = namespace(current).roll(current, simulation.detector.hold_ticks)
    waveforms = waveforms._replace(buffered=current - current.dtype.type(0.5) * later)
    tick = (waveforms.windows.tick[reads.window] + reads.tick)[:, 1:]
    target = SimpleNamespace(count=np.maximum(reads.count - 1, 0), tick=tick, fraction=reads.fraction[:, 1:].copy())
    vetoes = make_vetoes(waveforms, target, pixels.threshold, simulation.detector, launch)
    assert to_numpy(vetoes.log_silence).any()
    before = make_charges(waveforms, target, simulation.detector)[0]
    detector = dataclasses.replace(simulation.detector, uncorrelated_noise=1e5)
    lost = lost_to_vetoes(waveforms, target, before, pixels.threshold, detector, launch)
    assert to_numpy(lost).any()
    return vetoes, lost


def copies(arrays):
    """The arrays by name, copied; numbers as they are."""
    return {name: a.copy() if isinstance(a, np.ndarray) else a for name, a in arrays.items()}


def moved(hits, detector):
    """Four of five hits, with more charge and later."""
    kept = np.arange(len(hits.time)) % 5 != 3
    first = np.concatenate(([0], np.cumsum(kept)))[hits.first]
    hits = HitList(first, *(column[kept] for column in hits[1:]))
    charge = 1.07 * hits.charge
    return hits._replace(time=hits.time + 0.33, charge=charge, adc=detector.adc(charge))


def record_losses(simulated, target, detector):
    """The launches of the losses that are differentiated."""
    cases, forward = {}, {}
    call = Kernel.__call__

    def record(kernel, threads, /, **arrays):
        bound = copies(arrays)
        name = kernel.name.removesuffix("_adjoint")
        if kernel in ADJOINTS:
            forward[name] = threads, bound
        elif kernel not in NO_ADJOINT:
            before, inputs = forward[name]
            more = {k: v for k, v in bound.items() if k not in inputs and not k.startswith("grad_")}
            cases[name] = Case(before, inputs, threads, more)
        call(kernel, threads, **arrays)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "__call__", record)
        for loss in LOSSES.values():
            loss(simulated, target, detector)
    return cases


@functools.cache
def recorded(sample, model):
    """Launches of a sample; those that each test changes are copied by `run_kernel`."""
    segments = {"generated": lambda: generated(4), "special": special}[sample]()
    return record(segments, *MODELS[model])

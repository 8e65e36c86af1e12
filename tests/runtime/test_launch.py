"""The launcher: one body for every target, its disk cache, and the same bits for any number of threads."""

import os
import types

import numba
import numpy as np
import pytest
from enumeration import modules_of
from helpers import local, make_segments
from programs import ENERGIES, FORKED, in_new_process, scale

import lartpc.adjoint
import lartpc.kernels
from lartpc.autodiff.launch import plain
from lartpc.autodiff.tape import Tape
from lartpc.kernels.charge.drift import drift_velocity
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.charge.recombination import BIRKS
from lartpc.kernels.runtime.launch import Kernel, in_turn, kernel
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation


def test_unknown_output_is_refused():
    with pytest.raises(TypeError, match=r"kernel scale: outputs \['result'\] are no arguments"):
        Kernel(scale.body, ("out", "result"))
    with pytest.raises(TypeError, match=r"kernel scale: work \['state'\] are no arguments"):
        Kernel(scale.body, ("out",), work=("values", "state"))


def test_argument_names_leave_those_of_the_launcher():
    def body(i, _first):
        pass

    with pytest.raises(TypeError, match="must not begin with an underscore"):
        Kernel(body, ())


def test_arguments_by_name_in_any_order():
    values, out = np.arange(3.0), np.zeros(3)
    scale(3, out=out, values=values)
    np.testing.assert_array_equal(out, 2 * values)


@pytest.mark.parametrize(
    ("given", "named", "message"),
    [
        ([], ("values",), "kernel scale: missing out"),
        ([], ("values", "out", "more"), "kernel scale: has no argument more"),
        ([np.zeros(1)], ("out",), "kernel scale: takes its arguments by name alone"),
        ([np.zeros(1)] * 2, (), "kernel scale: takes its arguments by name alone"),
    ],
)
def test_wrong_names_of_arguments_are_refused(given, named, message):
    with pytest.raises(TypeError, match=message):
        scale(1, *given, **{name: np.zeros(1) for name in named})


@pytest.mark.parametrize("launch", [plain, Tape().launch])
def test_launchers_take_names_alone(launch):
    values, out = np.arange(3.0), np.zeros(3)
    with pytest.raises(TypeError, match="positional"):
        launch(scale, 3, values, out)
    with pytest.raises(TypeError, match="kernel scale: missing values"):
        launch(scale, 3, out=out)
    launch(scale, 3, out=out, values=values, more=np.zeros(1))
    np.testing.assert_array_equal(out, 2 * values)


def test_number_of_threads_may_be_zero():
    out = np.zeros(0)
    scale(0, values=np.zeros(0), out=out)
    assert len(out) == 0


@kernel("square", lanes=2)
def squares(i, lane, lanes, values, square):
    for k in range(lane, values.shape[1], lanes):
        square[i, k] = values[i, k] ** 2


@kernel("total", lanes=4, sums=("total",))
def totals(i, lane, lanes, square, times, total):
    for k in range(lane, square.shape[1], lanes):
        total[i, lane] += times * square[i, k]


def test_kernels_in_turn():
    both = in_turn("both", squares, totals)
    assert both.arguments == ("values", "square", "times", "total")
    assert (both.outputs, both.work, both.sums) == (("total",), ("square",), ("total",))
    values, total = np.arange(12.0).reshape(3, 4), np.ones(3)
    both(3, values=values, square=np.empty_like(values), times=2.0, total=total)
    np.testing.assert_array_equal(total, 1.0 + 2.0 * np.sum(values**2, axis=1))


@kernel("runs", "sums")
def counted(i, work, runs, sums):
    """Count the runs of each thread, which take a while of their own."""
    for k in range(work[i]):
        sums[i] += 1.0 / (k + i + 1.0)
    runs[i] += 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", range(1, numba.config.NUMBA_NUM_THREADS + 1))
@pytest.mark.parametrize("threads", [1, 2, 31, 64, 65, 1000, 5001])
def test_every_thread_runs_once_whichever_worker_takes_it(threads, workers):
    work = np.random.default_rng(threads).integers(0, 200, threads) ** 2 // 20
    runs, sums = np.zeros(threads + 1, dtype=np.int64), np.zeros(threads + 1)
    before = numba.get_num_threads()
    numba.set_num_threads(workers)
    try:
        counted(threads, work=work, runs=runs, sums=sums)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(runs, np.arange(threads + 1) < threads)
    terms = [sum(1.0 / (k + i + 1.0) for k in range(work[i])) for i in range(0, threads, 50)]
    np.testing.assert_allclose(sums[:threads:50], terms, rtol=1e-12)


def test_helpers_and_bodies_are_plain_functions():
    helpers = {
        f
        for module in modules_of(lartpc.kernels, lartpc.adjoint)
        for f in vars(module).values()
        if getattr(f, "is_device", False)
    }
    kernels = {
        k
        for module in modules_of(lartpc.kernels, lartpc.adjoint)
        for k in vars(module).values()
        if isinstance(k, Kernel)
    }
    assert len(helpers) > 10
    assert len(kernels) > 10
    assert {type(f) for f in helpers} == {types.FunctionType}
    assert {type(k.body) for k in kernels} == {types.FunctionType}
    assert drift_velocity(0.5, Parameters().table(1), 0) == pytest.approx(0.1596452, rel=1e-6)


def test_compiled_body_does_what_the_plain_body_does():
    inputs = {"step_dE": ENERGIES, "step_dEdx": ENERGIES, **local(len(ENERGIES)), "model": BIRKS}
    compiled, interpreted = np.zeros_like(ENERGIES), np.zeros_like(ENERGIES)
    quench(len(ENERGIES), **inputs, electrons=compiled)
    for i in range(len(ENERGIES)):
        quench.body(i, **inputs, electrons=interpreted)
    assert compiled[1:].min() > 0
    np.testing.assert_allclose(compiled, interpreted, rtol=1e-14)


def test_launchers_have_names_of_their_own():
    """Numba's disk cache tells launchers apart by name, file and line."""
    kernels = {
        k
        for module in modules_of(lartpc.kernels, lartpc.adjoint)
        for k in vars(module).values()
        if isinstance(k, Kernel)
    }
    names = {k.generate("cpu", {"prange": range}).__name__ for k in kernels}
    assert len(names) == len(kernels)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_same_bits_for_one_and_two_threads():
    rng = np.random.default_rng(1)
    start = rng.uniform((-20, -60, 2), (20, 20, 28), (60, 3))
    segments = make_segments(start, start + rng.normal(0, 0.4, (60, 3)), event_id=np.repeat([0, 1, 2], 20))
    simulation = Simulation(noise=True)
    before = numba.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            results.append(simulation(segments, waveforms=True))
    finally:
        numba.set_num_threads(before)
    one, two = results
    assert len(one.hits) > 50
    for table in ("hits", "waveforms"):
        for name, column in vars(getattr(one, table)).items():
            assert column.tobytes() == vars(getattr(two, table))[name].tobytes(), name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_forked_child_gives_the_hits_of_its_parent(threads):
    parent, child, status = in_new_process(FORKED, NUMBA_NUM_THREADS=threads, NUMBA_THREADING_LAYER="default")
    assert status == "0"
    assert len(parent) > 1000
    assert child == parent

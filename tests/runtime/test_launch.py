"""The launcher: one body for every target, its disk cache, and the same bits for any number of threads."""

import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path

import numba
import numpy as np
import pytest
from enumeration import modules_of
from helpers import make_segments

import lartpc.adjoint
import lartpc.kernels
from lartpc.kernels.charge.drift import drift_velocity
from lartpc.kernels.charge.quench import BIRKS, quench
from lartpc.kernels.runtime import launch
from lartpc.kernels.runtime.launch import Kernel, cache_directory, device, kernel
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

ENERGIES = np.linspace(0.0, 5.0, 1000)
# Runs one kernel and prints its result, and where the disk cache is.
ONE_KERNEL = """
import numpy as np
from lartpc.kernels.runtime.launch import cache_directory
from lartpc.kernels.charge.quench import BIRKS, quench
from lartpc.parameters import Parameters
T = np.float32
energy, electrons = np.linspace(1, 5, 1000, dtype=T), np.zeros(1000, dtype=T)
module = np.zeros(1000, dtype=np.int64)
quench(1000, energy, 2 * energy, Parameters().table(1, T), module, BIRKS, electrons)
assert abs(electrons[0] / 29710.7 - 1) < 1e-4, electrons
print(electrons.tobytes().hex(), cache_directory())
"""


@device
def twice(x):
    return x + x


@kernel("out")
def scale(i, values, out):
    """out = 2 values."""
    out[i] = twice(values[i])


def in_new_process(program, **environment):
    """What `program` prints, run by a new Python that finds the same lartpc."""
    home = Path(lartpc.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(home), **{k: str(v) for k, v in environment.items()}}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_unknown_output_is_refused():
    with pytest.raises(TypeError, match=r"kernel scale: outputs \['result'\] are no arguments"):
        Kernel(scale.body, ("out", "result"))


def test_argument_names_leave_those_of_the_launcher():
    def body(i, _first):
        pass

    with pytest.raises(TypeError, match="must not begin with an underscore"):
        Kernel(body, ())


def test_number_of_threads_may_be_zero():
    out = np.zeros(0)
    scale(0, np.zeros(0), out)
    assert len(out) == 0


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
        counted(threads, work, runs, sums)
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
    assert drift_velocity(Parameters().table(1), 0) == pytest.approx(0.1596452, rel=1e-6)


def test_compiled_body_does_what_the_plain_body_does():
    parameters, module = Parameters().table(1), np.zeros(len(ENERGIES), dtype=np.int64)
    compiled, plain = np.zeros_like(ENERGIES), np.zeros_like(ENERGIES)
    quench(len(ENERGIES), ENERGIES, ENERGIES, parameters, module, BIRKS, compiled)
    for i in range(len(ENERGIES)):
        quench.body(i, ENERGIES, ENERGIES, parameters, module, BIRKS, plain)
    assert compiled[1:].min() > 0
    np.testing.assert_allclose(compiled, plain, rtol=1e-14)


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


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A copy of the launcher in a folder of kernels of its own, with a cache of its own: its `cache_directory`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("kernels", "adjoint"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text("FACTOR = 1\n")
    copy = tmp_path / "kernels" / "launch.py"
    copy.write_text(Path(launch.__file__).read_text())
    spec = importlib.util.spec_from_file_location("launch_copy", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.cache_directory


@pytest.mark.parametrize("folder", ["kernels", "adjoint"])
def test_cache_folder_follows_every_kernel_source(folder, sources, tmp_path):
    before = sources()
    assert Path(before).is_dir()
    assert before == sources()
    (tmp_path / folder / "helper.py").write_text("FACTOR = 2\n")
    assert sources() != before


@pytest.mark.slow
def test_second_process_compiles_nothing_and_gives_the_same_bits(tmp_path):
    electrons, folder = in_new_process(ONE_KERNEL, XDG_CACHE_HOME=tmp_path)
    assert Path(folder).parent == tmp_path / "lartpc"
    files = {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*.nb?")}
    assert len(files) == 2  # the index and the code
    assert in_new_process(ONE_KERNEL, XDG_CACHE_HOME=tmp_path) == [electrons, folder]
    assert files == {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*.nb?")}


def test_no_place_for_a_cache(tmp_path, monkeypatch):
    nowhere = tmp_path / "file"
    nowhere.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere))
    assert cache_directory() == ""
    out = np.zeros_like(ENERGIES)
    Kernel(scale.body, ("out",))(len(out), ENERGIES, out)
    np.testing.assert_array_equal(out, 2 * ENERGIES)

"""The launcher: one body for every target, its disk cache, and the same bits for any number of threads."""

import os
import shutil
import signal
import subprocess
import sys
import types
from pathlib import Path
from unittest.mock import Mock

import numba
import numpy as np
import pytest
from enumeration import modules_of
from helpers import local, make_segments

import lartpc.adjoint
import lartpc.kernels
from lartpc.autodiff.launch import plain
from lartpc.autodiff.tape import Tape
from lartpc.kernels.charge.drift import drift_velocity
from lartpc.kernels.charge.quench import quench
from lartpc.kernels.charge.recombination import BIRKS
from lartpc.kernels.runtime import cache
from lartpc.kernels.runtime.cache import cache_directory
from lartpc.kernels.runtime.launch import Kernel, device, kernel
from lartpc.parameters import Parameters
from lartpc.simulation.simulation import Simulation

ENERGIES = np.linspace(0.0, 5.0, 1000)
# Runs one kernel and prints its result, and where the disk cache is.
ONE_KERNEL = """
import numpy as np
from lartpc.kernels.runtime.cache import cache_directory
from lartpc.kernels.charge.recombination import BIRKS
from lartpc.kernels.charge.quench import quench
from lartpc.parameters import Parameters
T = np.float32
energy, electrons = np.linspace(1, 5, 1000, dtype=T), np.zeros(1000, dtype=T)
local = {"step_field": np.full(1000, 0.5, dtype=T), "parameters": Parameters().table(1, T)}
local["step_module"] = np.zeros(1000, dtype=np.int64)
quench(1000, step_dE=energy, step_dEdx=2 * energy, **local, model=BIRKS, electrons=electrons)
assert abs(electrons[0] / 29710.7 - 1) < 1e-4, electrons
print(electrons.tobytes().hex(), cache_directory())
"""
SEGMENTS = """
import numpy as np
from lartpc.generator.generate import generate
from lartpc.data.segments import Segments
from lartpc.simulation.simulation import Simulation
simulation = Simulation(noise=True)
table = generate("muons", simulation.detector, 1, 0)[:200]
segments = Segments(**{name: table[name] for name in Segments.__dataclass_fields__ if name in table.dtype.names})
"""
# Prints the shares of charge at the sites of the lattice, the first numbers whose bits depend on how often code was
# optimised.
SHARES = f"""{SEGMENTS}
from lartpc.autodiff.launch import plain
from lartpc.charge.steps import make_steps
batch, vector = simulation.batch(segments), simulation.vector()
steps = make_steps(batch, vector, 0, simulation.tables, simulation.detector, simulation.settings)
print(simulation.readout.shares(steps, batch, plain).share.tobytes().hex())
"""
# Simulates, in a forked child too, while another thread launches; prints the hits of both.
FORKED = f"""{SEGMENTS}
import os, signal, threading, time
import numba
from lartpc.kernels.runtime.launch import LAUNCH_LOCK
numba.get_num_threads()
def hits():
    return b"".join(column.tobytes() for column in vars(simulation(segments).hits).values()).hex()
print(hits(), flush=True)
def launch_long():
    with LAUNCH_LOCK:
        held.set()
        time.sleep(1)
held, other = threading.Event(), threading.Thread(target=launch_long)
other.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(30)
    print(hits(), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@pytest.fixture(autouse=True)
def found_anew():
    """The folder of the cache is asked for once a process: each test has its own, and the next ones theirs."""
    yield
    cache_directory.cache_clear()
    cache.tell.cache_clear()


@device
def twice(x):
    return x + x


@kernel("out")
def scale(i, values, out):
    """out = 2 values."""
    out[i] = twice(values[i])


def in_new_process(program, heard=None, **environment):
    """What `program` prints, run by a new Python that finds the same lartpc; its lines on stderr are `heard`."""
    home = Path(lartpc.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(home), **{k: str(v) for k, v in environment.items()}}
    done = subprocess.run([sys.executable, "-P", "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if heard is not None:
        heard += done.stderr.splitlines()
    return done.stdout.split()


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
@pytest.mark.parametrize("threads", ["1", "2"])
def test_forked_child_gives_the_hits_of_its_parent(threads):
    parent, child, status = in_new_process(FORKED, NUMBA_NUM_THREADS=threads, NUMBA_THREADING_LAYER="default")
    assert status == "0"
    assert len(parent) > 1000
    assert child == parent


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the package, a function that gives the name of its cache folder, and that name."""
    folder = tmp_path_factory.mktemp("copy")
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(lartpc.__file__).parent, folder / "lartpc", ignore=unwanted)  # follows links
    program = "import lartpc.kernels.runtime.cache as cache; print(cache.cache_directory(), cache.__file__)"

    def name():
        cache, file = in_new_process(program, PYTHONPATH=folder, XDG_CACHE_HOME=folder / "cache")
        assert folder in Path(file).parents and Path(cache).parent == folder / "cache" / "lartpc"
        return Path(cache).name

    return folder / "lartpc", name, name()


@pytest.mark.parametrize("place", ["helper.py", "charge/deeper/helper.py"])
@pytest.mark.parametrize("layer", ["kernels", "adjoint"])
def test_cache_folder_follows_every_kernel_source(layer, place, copied):
    package, name, before = copied
    planted = package / layer / place
    planted.parent.mkdir(parents=True, exist_ok=True)
    names = []
    for factor in (1, 2):
        planted.write_text(f"FACTOR = {factor}\n")
        names.append(name())
    planted.unlink()
    assert len({before, *names}) == 3


def test_sources_are_hashed_once_a_process(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "source_hash", Mock(side_effect=cache.source_hash))
    cache_directory.cache_clear()
    out = np.zeros_like(ENERGIES)
    for _ in range(2):
        Kernel(scale.body, ("out",))(len(out), values=ENERGIES, out=out)
    assert cache_directory() == str(tmp_path / "lartpc" / cache.source_hash())
    assert cache.source_hash.call_count == 2  # ours is one of them


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What the kernel of ONE_KERNEL gives, and a folder with its compiled code."""
    home = tmp_path_factory.mktemp("kept")
    electrons, folder = in_new_process(ONE_KERNEL, XDG_CACHE_HOME=home)
    assert Path(folder).parent == home / "lartpc"
    return electrons, home


def stamps(home):
    """Files in a cache and when they were written."""
    return {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}


def test_second_process_compiles_nothing_and_gives_the_same_bits(kept):
    electrons, home = kept
    before = stamps(home)
    assert [path.name.split("-")[0] for path in before] == ["launch_cpu_lartpc_kernels_quench_quench"]
    assert in_new_process(ONE_KERNEL, XDG_CACHE_HOME=home)[0] == electrons
    assert stamps(home) == before


def test_same_bits_without_a_cache_with_an_empty_one_and_with_a_full_one(tmp_path):
    (tmp_path / "file").touch()
    nowhere, empty, full = (in_new_process(SHARES, XDG_CACHE_HOME=tmp_path / at) for at in ("file", "cache", "cache"))
    assert len(full[0]) > 10000
    assert nowhere == empty == full


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:20], lambda b: b[:-1], lambda b: b[:-9] + bytes(9)])
def test_damaged_file_is_made_anew(damage, kept):
    electrons, home = kept
    ((path, _),) = stamps(home).items()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert in_new_process(ONE_KERNEL, heard := [], XDG_CACHE_HOME=home)[0] == electrons
    assert heard == [f"lartpc: {path.parent}: a compiled kernel is damaged; it is thrown away and made anew"]
    assert in_new_process(ONE_KERNEL, heard, XDG_CACHE_HOME=home)[0] == electrons
    assert len(heard) == 1
    assert path.stat().st_size > len(whole) - 100
    assert list(stamps(home)) == [path]


@pytest.fixture
def small_files():
    """Files cannot grow beyond 1 kB, as on a full disk."""
    resource = pytest.importorskip("resource")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_full_disk_is_told_once_and_named(small_files, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_directory.cache_clear()
    out = np.zeros_like(ENERGIES)
    for _ in range(2):
        Kernel(scale.body, ("out",))(len(out), values=ENERGIES, out=out)
        np.testing.assert_array_equal(out, 2 * ENERGIES)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"lartpc: {cache_directory()}: compiled kernels cannot be kept: File too large; each process compiles its own"
    )
    assert stamps(tmp_path) == {}


def test_file_that_cannot_be_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_directory.cache_clear()
    store = cache.Store(scale.cpu_launcher.py_func, scale.body)
    store.path("key").mkdir()
    assert store.read("key") is None
    store.write("key", b"content")
    reading, writing = capsys.readouterr().err.splitlines()
    assert reading.startswith(f"lartpc: {cache_directory()}: compiled kernels cannot be read: Is a directory;")
    assert writing.startswith(f"lartpc: {cache_directory()}: compiled kernels cannot be kept: Is a directory;")
    assert stamps(tmp_path) == {}


def test_kernel_of_two_bodies_of_one_name_in_one_file(tmp_path, monkeypatch):
    """Their files on disk differ."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_directory.cache_clear()

    def once():
        def body(i, out):
            out[i] = 1.0

        return body

    def again():
        def body(i, out):
            out[i] = 2.0

        return body

    for body, value in ((once(), 1.0), (again(), 2.0)):
        out = np.zeros(3)
        Kernel(body, ("out",))(3, out=out)
        np.testing.assert_array_equal(out, value)
    assert len(stamps(tmp_path)) == 2


def test_no_place_for_a_cache(tmp_path, monkeypatch, capsys):
    nowhere = tmp_path / "file"
    nowhere.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere))
    cache_directory.cache_clear()
    assert cache_directory() == ""
    assert not cache.kept("cpu")
    out = np.zeros_like(ENERGIES)
    Kernel(scale.body, ("out",))(len(out), values=ENERGIES, out=out)
    np.testing.assert_array_equal(out, 2 * ENERGIES)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lartpc: compiled kernels cannot be kept: {nowhere}/lartpc")
    assert line.endswith(": Not a directory; each process compiles its own")


def test_no_home_for_a_cache(monkeypatch, capsys):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError("Could not determine home directory.")))
    cache_directory.cache_clear()
    assert cache_directory() == cache_directory() == ""
    out = np.zeros_like(ENERGIES)
    Kernel(scale.body, ("out",))(len(out), values=ENERGIES, out=out)
    np.testing.assert_array_equal(out, 2 * ENERGIES)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lartpc: there is no home folder to keep compiled kernels in (set XDG_CACHE_HOME)")


def test_relative_cache_home_is_ignored(tmp_path, monkeypatch):
    """As the XDG Base Directory Specification says."""
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    cache_directory.cache_clear()
    assert Path(cache_directory()).parent == tmp_path / ".cache" / "lartpc"

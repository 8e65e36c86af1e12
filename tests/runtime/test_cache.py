"""The cache of compiled kernels: one file a launcher, found again, made anew where damaged."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from commands import program
from programs import ENERGIES, ONE_KERNEL, SHARES, in_new_process, scale

import lartpc
from lartpc.kernels.runtime import cache
from lartpc.kernels.runtime.cache import cache_directory
from lartpc.kernels.runtime.launch import Kernel


@pytest.fixture(autouse=True)
def found_anew():
    """The folder of the cache is asked for once a process: each test has its own, and the next ones theirs."""
    yield
    cache_directory.cache_clear()
    cache.tell.cache_clear()


# Prints where the cache is, before and after each of its arguments is planted as a source, changed, and taken away.
PLANT = """
import sys
from pathlib import Path
from lartpc.kernels.runtime.cache import cache_directory
def tell():
    cache_directory.cache_clear()
    print(cache_directory())
tell()
for path in map(Path, sys.argv[1:]):
    path.parent.mkdir(parents=True, exist_ok=True)
    for factor in (1, 2):
        path.write_text(f"FACTOR = {factor}")
        tell()
    path.unlink()
    tell()
"""


@pytest.mark.slow
def test_cache_folder_follows_every_kernel_source(tmp_path):
    """And them alone: the same sources have the same folder, in any process."""
    copy = tmp_path / "copy"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(lartpc.__file__).parent, copy / "lartpc", ignore=unwanted)  # follows links
    planted = [
        copy / "lartpc" / layer / planted_at
        for layer in ("kernels", "adjoint")
        for planted_at in ("helper.py", "charge/deeper/helper.py")
    ]
    environment = {"PYTHONPATH": str(copy), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    found, again = (program(tmp_path, PLANT, *planted, **environment) for _ in range(2))
    assert found.returncode == 0, found.stderr
    assert again.stdout == found.stdout
    folders = [Path(line) for line in found.stdout.splitlines()]
    assert all(folder.is_dir() and folder.parent == tmp_path / "cache" / "lartpc" for folder in folders)
    assert len(folders) == 1 + 3 * len(planted)
    assert set(folders[::3]) == {folders[0]}
    assert len(set(folders)) == 1 + 2 * len(planted)


@pytest.mark.slow
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


@pytest.mark.slow
def test_second_process_compiles_nothing_and_gives_the_same_bits(kept):
    electrons, home = kept
    before = stamps(home)
    assert [path.name.split("-")[0] for path in before] == ["launch_cpu_lartpc_kernels_charge_quench_quench"]
    assert in_new_process(ONE_KERNEL, XDG_CACHE_HOME=home)[0] == electrons
    assert stamps(home) == before


@pytest.mark.slow
def test_same_bits_without_a_cache_with_an_empty_one_and_with_a_full_one(tmp_path):
    (tmp_path / "file").touch()
    nowhere, empty, full = (in_new_process(SHARES, XDG_CACHE_HOME=tmp_path / at) for at in ("file", "cache", "cache"))
    assert len(full[0]) > 10000
    assert nowhere == empty == full


@pytest.mark.slow
def test_damaged_file_is_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_directory.cache_clear()

    def heard():
        """What is told when the kernel is found anew, and does what it should."""
        cache.tell.cache_clear()
        out = np.zeros_like(ENERGIES)
        Kernel(scale.body, ("out",))(len(out), values=ENERGIES, out=out)
        np.testing.assert_array_equal(out, 2 * ENERGIES)
        return capsys.readouterr().err

    assert heard() == ""
    (path,) = stamps(tmp_path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole[:-9] + bytes(9)):
        path.write_bytes(damaged)
        assert heard() == f"lartpc: {path.parent}: a compiled kernel is damaged; it is thrown away and made anew\n"
        assert heard() == ""
        assert path.stat().st_size > len(whole) - 100
        assert list(stamps(tmp_path)) == [path]


# Files of that process alone cannot grow beyond 1 kB, as on a full disk; it launches a second kernel, too.
FULL_DISK = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
{ONE_KERNEL}
from lartpc.kernels.runtime.gather import gather
gather(1, values=np.zeros(1), slot=np.array([[0]]), module_parameters=np.zeros((1, 1)))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("resource") is None, reason="of Unix")
def test_full_disk_is_told_once_and_named(kept, tmp_path):
    electrons, folder = in_new_process(FULL_DISK, heard := [], XDG_CACHE_HOME=tmp_path)
    assert electrons == kept[0]
    assert heard == [
        f"lartpc: {folder}: compiled kernels cannot be kept: File too large; each process compiles its own"
    ]
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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

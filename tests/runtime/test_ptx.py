"""Every kernel compiles for CUDA, and float32 kernels hold no float64 instruction; needs no GPU."""

import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from enumeration import all_kernels
from ptx_source import as_on_device, ptx
from stages import record_runs

from lartpc.kernels.runtime import cache
from lartpc.kernels.runtime.launch import Kernel, cuda_helper, in_order

pytestmark = [
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.filterwarnings("default"),  # those of numba-cuda are not ours
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Kernel to the set of tuples of argument types with which the run called it."""
    signatures = {}
    launch = Kernel.__call__

    def record(kernel, threads, /, **arrays):
        given = in_order(kernel, arrays | kernel.of_lanes(np, arrays))
        types = (numba.types.int64, *map(as_on_device, given.values()))
        signatures.setdefault(kernel, set()).add(types)
        launch(kernel, threads, **arrays)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "__call__", record)
        record_runs(tmp_path_factory.mktemp("ptx"))
    return signatures


def double_lines(source):
    """Lines of PTX that name float64: registers, instructions, conversions."""
    return [line.strip() for line in source.splitlines() if re.search(r"\.f64\b", line)]


@pytest.mark.parametrize("cc", [(8, 0), (9, 0)], ids=["cc80", "cc90"])
@pytest.mark.parametrize("module, name", sorted(all_kernels()))
def test_float32_kernel_compiles_without_float64(module, name, cc, recorded):
    kernel = all_kernels()[module, name]
    assert kernel in recorded, f"{module}.{name} is called by no run of record_runs"
    for types in recorded[kernel]:
        source = ptx(kernel, types, cc)
        assert f".target sm_{cc[0]}{cc[1]}" in source
        assert ".entry" in source
        assert double_lines(source) == []


def test_float64_is_seen(recorded):
    kernel = all_kernels()["lartpc.kernels.charge.quench", "quench"]
    wide = {numba.types.float32: numba.types.float64}
    (types,) = recorded[kernel]
    types = tuple(t.copy(dtype=wide[t.dtype]) if getattr(t, "dtype", None) in wide else t for t in types)
    assert double_lines(ptx(kernel, types, (9, 0)))


def test_compiled_kernel_is_kept_on_disk(monkeypatch, tmp_path):
    """As a run on a device keeps it; the device has a stand-in."""
    from numba.cuda import dispatcher
    from numba.cuda.cudadrv import devices, runtime

    cc = (9, 0)
    device = SimpleNamespace(compute_capability=cc)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)
    monkeypatch.setattr(devices, "get_context", lambda: SimpleNamespace(device=device))
    monkeypatch.setattr(runtime.runtime, "get_version", lambda: (13, 0))
    bound = []
    monkeypatch.setattr(dispatcher._Kernel, "bind", lambda kernel: bound.append(kernel._codelibrary.get_cubin(cc)))
    cuda_helper.cache_clear()
    cache.cache_directory.cache_clear()
    found = all_kernels()["lartpc.kernels.charge.quench", "quench"]
    energy, number = (numba.types.Array(dtype, 1, "C") for dtype in (numba.types.float32, numba.types.int64))
    of_steps = (energy, energy, energy)
    types = (numba.types.int64, *of_steps, energy.copy(ndim=2), number, numba.types.int64, energy)
    first = Kernel(found.body, found.outputs).cuda_launcher.compile(types)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file.parent == Path(cache.cache_directory())
    assert file.name.startswith("launch_cuda_lartpc_kernels_charge_quench_quench-")
    assert cache.kept("cuda") and not cache.kept("cpu")
    again = Kernel(found.body, found.outputs).cuda_launcher
    kernel = again.compile(types)
    assert len(bound) == 1  # the second was not compiled
    assert kernel.entry_name == first.entry_name
    assert kernel._codelibrary.get_cubin(cc).code == bound[0].code
    file.write_bytes(file.read_bytes()[:-1])
    Kernel(found.body, found.outputs).cuda_launcher.compile(types)
    assert len(bound) == 2
    cache.cache_directory.cache_clear()

"""The PTX of kernels for types of arguments; needs numba-cuda, but no GPU."""

from types import SimpleNamespace
from unittest import mock

import numba

from lartpc.kernels.runtime.cache import Store
from lartpc.kernels.runtime.launch import cuda_helper


def as_on_device(argument):
    """The Numba type of a kernel's argument, without what is special to main memory (read-only, unaligned)."""
    found = numba.typeof(argument)
    if isinstance(found, numba.types.Array):
        return numba.types.Array(found.dtype, found.ndim, found.layout)
    return found


def ptx(kernel, types, cc):
    """The PTX of a kernel for a compute capability, kept with the compiled kernels; tests of several files take it."""
    import numba_cuda
    from numba import cuda
    from numba.cuda import dispatcher

    cuda_helper.cache_clear()
    device = SimpleNamespace(compute_capability=cc)  # helpers ask for the device, so one stands in
    with mock.patch.object(dispatcher, "get_current_device", lambda: device):
        launcher = kernel.cuda_source()
        launcher.__name__ += "_ptx"
        store, key = Store(launcher, kernel.body), (types, cc, numba_cuda.__version__)
        kept = store.read(key)
        if kept is None:
            made, _ = cuda.compile(launcher, numba.types.void(*types), cc=cc, device=False, abi="numba", output="ptx")
            kept = made.encode()
            store.write(key, kept)
    return kept.decode()

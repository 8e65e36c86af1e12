"""Launch kernels, remembering nothing."""

from lartpc.kernels.runtime.launch import in_order


def plain(kernel, threads, *, adjoint_threads=None, **arrays):
    """Launch a kernel and remember nothing; arrays that are no arguments of the kernel are for its adjoint alone."""
    kernel(threads, **in_order(kernel, arrays))

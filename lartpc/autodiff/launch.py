"""Launch kernels, remembering nothing."""

from typing import Any

from lartpc.kernels.runtime.launch import Kernel, in_order


def plain(kernel, threads, *arguments, adjoint_threads=None, **arrays):
    """Launch a kernel and remember nothing; arrays that are no arguments of the kernel are for its adjoint alone."""
    kernel(threads, *in_order(kernel, arguments, arrays))


def call(kernel: Kernel, threads: int, arguments: dict[str, Any]) -> None:
    """Run a kernel with those of the arguments that it takes, by name."""
    kernel(threads, *(arguments[name] for name in kernel.arguments))

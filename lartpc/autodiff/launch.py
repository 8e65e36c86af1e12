"""Launch kernels, remembering nothing."""

from typing import Any

from lartpc.kernels.runtime.launch import Kernel


def plain(kernel, threads, *arguments, **_):
    """Launch a kernel and remember nothing."""
    kernel(threads, *arguments)


def call(kernel: Kernel, threads: int, arguments: dict[str, Any]) -> None:
    """Run a kernel with those of the arguments that it takes, by name."""
    kernel(threads, *(arguments[name] for name in kernel.arguments))

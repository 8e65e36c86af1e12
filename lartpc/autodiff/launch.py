"""Launch kernels without a tape."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lartpc.kernels.runtime.launch import Kernel, in_order


def plain(kernel, threads, *, adjoint_threads=None, **arrays):
    """Launch a kernel and remember nothing; arrays that are no arguments of the kernel are for its adjoint alone."""
    kernel(threads, **in_order(kernel, arrays))


class Recorder:
    """Launches kernels as `plain` does, and keeps the arguments of `kernels`, by their names; None: of all."""

    def __init__(self, kernels: Collection[Kernel] | None = None) -> None:
        self.kernels = kernels
        self.launched: dict[str, dict[str, Any]] = {}

    def __call__(self, kernel: Kernel, threads: int, *, adjoint_threads: int | None = None, **arrays: Any) -> None:
        plain(kernel, threads, **arrays)
        if self.kernels is None or kernel in self.kernels:
            self.launched.setdefault(kernel.name, arrays)

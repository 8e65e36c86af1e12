"""Linear algebra whose bits do not depend on how many threads BLAS has."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

P = ParamSpec("P")
R = TypeVar("R")


def one_blas_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: BLAS, and with it LAPACK, has one thread while `function` runs.

    With more it adds sums in parts, so that their last bits depend on the number. Kernels have their own threads.
    """

    @wraps(function)
    def limited(*arguments: P.args, **keywords: P.kwargs) -> R:
        with threadpool_limits(1, "blas"):
            return function(*arguments, **keywords)

    return limited

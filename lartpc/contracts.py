"""What rooms know of each other."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Unknowns(Protocol):
    """What a fit varies: n numbers, which optimizers, uncertainties and results know by these alone."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    start: np.ndarray  # (n,)
    bounds: np.ndarray  # (n, 2)
    scale: np.ndarray  # (n,) typical size of their changes
    slots: np.ndarray  # (n,) int64: of the chain's vector, by which derivatives are taken

    def apply(self, values: np.ndarray) -> np.ndarray:
        """The vector of the chain's parameters (n_values,) with the unknowns at `values` (n,)."""

    def size(self, values: np.ndarray) -> np.ndarray:
        """What changes of `values` (n,) are told relative to (n,), above 0."""

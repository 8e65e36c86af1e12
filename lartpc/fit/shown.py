"""Which of many names are told one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lartpc.parameters import common_name, event_of

MOST = 5  # of single events that are


def shown(names: Sequence[str]) -> list[int]:
    """Indices of the names that are told: all but those of single events, of which the first few are."""
    of_events = [k for k, name in enumerate(names) if event_of(name) is not None]
    return np.setdiff1d(np.arange(len(names)), of_events[MOST:]).tolist()


def others(names: Sequence[str]) -> list[int]:
    """Indices of those that are not."""
    return np.setdiff1d(np.arange(len(names)), shown(names)).tolist()


def listed(texts: Sequence[str], names: Sequence[str]) -> str:
    """Texts, one a name, of the names that are told, and how many more there are."""
    told = ", ".join(texts[k] for k in shown(names))
    left = len(others(names))
    return f"{told} and {left} more" if left else told


def spread_of(names: Sequence[str], values: np.ndarray, unit: str) -> str:
    """Mean and spread of values (n,) of single events, in words."""
    common = ", ".join(dict.fromkeys(common_name(name) for name in names))
    return f"{common} of {len(names)} events: mean {np.mean(values):.5g}, spread {np.std(values):.3g} {unit}"

"""The names of what is fitted."""

from __future__ import annotations

from collections.abc import Sequence

from lartpc.exceptions import InputError
from lartpc.parameters import SINGLE


def per_module(names: Sequence[str], single: Sequence[str], n_modules: int) -> tuple[str, ...]:
    """`names` with those in `single` replaced by one a module: eField by eField.0, eField.1 ...

    Raises InputError for one that modules do not have, or that is not among `names`.
    """
    for name in single:
        if name not in SINGLE:
            raise InputError(f"per-module {name}: allowed are {', '.join(SINGLE)}")
        if name not in names:
            raise InputError(f"per-module {name}: is not fitted")
    of_modules = {name: tuple(f"{name}.{m}" for m in range(n_modules)) for name in single}
    return tuple(one for name in names for one in of_modules.get(name, (name,)))

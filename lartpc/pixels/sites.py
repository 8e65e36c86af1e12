"""How many sites of a lattice a charge reaches."""

import math
from typing import Any

from lartpc.kernels.pixels.share import NARROWEST
from lartpc.kernels.runtime.special import edge_width


def most_sites(sigma: Any, size: Any) -> int:
    """Sites of `size` (one, or of each) that the widest of the charges of spreads `sigma` may reach.

    Raises FloatingPointError where a spread is not finite.
    """
    widest = float((sigma / size).max()) if len(sigma) else 0.0
    if not math.isfinite(widest):
        raise FloatingPointError("the spread of a charge at the anode is not finite")
    return int(2.0 * float(edge_width(sigma.dtype.type(0.0))) * max(widest, NARROWEST)) + 4

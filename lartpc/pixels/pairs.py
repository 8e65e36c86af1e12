"""Which pixels see which clouds, and when."""

from typing import Any

import numpy as np

from lartpc.arrays import namespace, offsets
from lartpc.contracts import Clouds
from lartpc.kernels.runtime.launch import Kernel
from lartpc.response.windows import Pairs, Windows, group


def find_pairs(
    count: Kernel,
    fill: Kernel,
    reached: dict[str, Any],
    clouds: Clouds,
    batch: Any,
    first_tick: Any,
    last_tick: Any,
    block: int,
) -> tuple[Pairs, Windows]:
    """The pairs that `fill` makes of `reached`, as many of each cloud as `count` says, and their windows.

    reached: arguments of both kernels. Each cloud is seen from first_tick to last_tick, not included (n_clouds,).
    """
    xp, n = namespace(clouds.x), len(clouds.x)
    number = xp.zeros(n, dtype=np.int64)
    count(n, **reached, pair_count=number)
    first_pair = offsets(number)
    names = ("pair_step", "pair_x", "pair_y", "pair_pixel")
    index = {name: xp.zeros(int(first_pair[-1]), dtype=np.int64) for name in names}
    fill(n, **reached, first_pair=first_pair, **index)
    step, column, row, pixel = index.values()
    event = batch.event[clouds.segment[step]]
    return group(step, column, row, pixel, event, first_tick[step], last_tick[step], first_pair, block)

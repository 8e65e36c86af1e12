"""Random launches of `gather`."""

import numpy as np
from launches import Case


def random_gather(rng):
    """Values that are common to three modules and of one each."""
    slot = np.array([[0, 1, 2], [0, 3, 2], [4, 1, 2], [0, 1, 5]])
    return Case(4, {"values": rng.uniform(0.5, 2.0, 6), "slot": slot, "module_parameters": np.zeros((4, 3))}, 6)


RANDOM = {"gather": random_gather}
LINEAR = {"gather": ("values",)}

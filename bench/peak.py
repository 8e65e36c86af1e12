"""What the processor can do at most: single-precision multiply-adds a second, measured by a loop of them.

Usage: python bench/peak.py
"""

import time

import numba
import numpy as np

CHAIN = 32  # multiply-adds on each number
SIZE = 1024  # numbers of a thread: within its first cache
ROUNDS = 20000


@numba.njit(parallel=True, fastmath={"contract"})
def multiply_add(numbers, factor, offset, rounds):
    for thread in numba.prange(numbers.shape[0]):
        row = numbers[thread]
        for _ in range(rounds):
            for k in range(row.shape[0]):
                x = row[k]
                for _ in range(CHAIN):
                    x = x * factor + offset
                row[k] = x


def measure(repeats=5):
    """Operations a second (a multiply-add counts as two), with all of Numba's threads."""
    numbers = np.ones((numba.get_num_threads(), SIZE), dtype=np.float32)
    factor, offset = np.float32(0.999), np.float32(0.001)
    multiply_add(numbers, factor, offset, 1)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        multiply_add(numbers, factor, offset, ROUNDS)
        seconds.append(time.perf_counter() - started)
    return 2.0 * CHAIN * ROUNDS * numbers.size / min(seconds)


if __name__ == "__main__":
    print(f"{measure() / 1e9:.1f} Gflop/s with {numba.get_num_threads()} threads")

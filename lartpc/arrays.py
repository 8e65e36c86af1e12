"""Arrays of NumPy and CuPy alike: where they are, runs of entries, sorting."""

import numpy as np

LINE = 64  # bytes of a line of the processor's cache


def namespace(array):
    """numpy or cupy, whichever made `array`."""
    if isinstance(array, np.ndarray):
        return np
    import cupy

    return cupy


def to_numpy(array):
    """The array in main memory."""
    return array if isinstance(array, np.ndarray) else array.get()


def all_to_numpy(arrays):
    """Arrays of one type in main memory, by a single transfer."""
    xp = namespace(arrays[0])
    if xp is np:
        return arrays
    ends = np.cumsum([array.size for array in arrays])
    parts = np.split(to_numpy(xp.concatenate(arrays, axis=None)), ends[:-1])
    return [part.reshape(array.shape) for part, array in zip(parts, arrays, strict=True)]


def offsets(counts):
    """Where each of several runs starts, and their end: (n + 1,) int64 from the lengths (n,)."""
    xp = namespace(counts)
    result = xp.zeros(len(counts) + 1, dtype=np.int64)
    xp.cumsum(counts, out=result[1:])
    return result


def run_starts(*keys):
    """Where runs of entries with the same keys begin, (n_runs,) of keys (n,)."""
    xp = namespace(keys[0])
    new = xp.zeros(len(keys[0]), dtype=bool)
    new[:1] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return xp.flatnonzero(new)


def run_bounds(key):
    """Where runs of equal entries of key (n,) begin, and their end: (n_runs + 1,)."""
    new = namespace(key).ones(len(key) + 1, dtype=bool)
    new[1:-1] = key[1:] != key[:-1]
    return namespace(key).flatnonzero(new)


def owners(starts, n):
    """The run that each of n entries belongs to, from `offsets`, of which the last is n."""
    xp = namespace(starts)
    if xp is np:
        return np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return xp.searchsorted(starts, xp.arange(n), side="right") - 1  # repeat takes no numbers on a device


def aligned(array):
    """A copy in the order of C which begins where a line of the processor's cache does: wide loads need one line."""
    xp = namespace(array)
    if xp is not np:
        return xp.ascontiguousarray(array)  # a device's memory is aligned
    result = aligned_zeros(np, array.size, array.dtype).reshape(array.shape)
    result[...] = array
    return result


def aligned_zeros(xp, n, dtype):
    """Zeros (n,) of NumPy or CuPy which begin where a line of the processor's cache does."""
    if xp is not np:
        return xp.zeros(n, dtype=dtype)
    size = n * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE, dtype=np.uint8)
    begin = -memory.ctypes.data % LINE
    return memory[begin : begin + size].view(dtype)


def inverse(order):
    """The inverse of a permutation."""
    xp = namespace(order)
    result = xp.empty_like(order)
    result[order] = xp.arange(len(order))
    return result


def extremes(*arrays):
    """The least and the largest entries of arrays of integers (n,), 0 of empty ones: two lists, by one transfer."""
    if not len(arrays[0]):
        return ([0] * len(arrays),) * 2
    xp = namespace(arrays[0])
    found = xp.stack([array.min() for array in arrays] + [array.max() for array in arrays])
    return to_numpy(found).reshape(2, -1).tolist()


def sorting(*keys):
    """The stable order (n,) by integer keys (n,), the first counting most.

    Sorting one number that holds all keys and the place is several times as fast as `lexsort`.
    """
    xp, n = namespace(keys[0]), len(keys[0])
    if n == 0:
        return xp.arange(0)
    low, high = extremes(*keys)
    bits = [(most - least).bit_length() for most, least in zip(high, low, strict=True)]
    bits_of_place = n.bit_length()
    if sum(bits) + bits_of_place > 63:
        return xp.lexsort(xp.stack(keys[::-1]))
    one = keys[0] - low[0]
    for key, least, width in zip(keys[1:], low[1:], bits[1:], strict=True):
        one = (one << width) + (key - least)
    return xp.sort((one << bits_of_place) + xp.arange(n)) & ((1 << bits_of_place) - 1)


def usable_bytes(xp):
    """Bytes of a device that are free, or that this process has taken for its arrays."""
    free, _ = xp.cuda.runtime.memGetInfo()
    return int(free) + int(xp.get_default_memory_pool().total_bytes())

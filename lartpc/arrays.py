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
    memory = np.empty(array.nbytes + LINE, dtype=np.uint8)
    begin = -memory.ctypes.data % LINE
    result = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


def inverse(order):
    """The inverse of a permutation."""
    xp = namespace(order)
    result = xp.empty_like(order)
    result[order] = xp.arange(len(order))
    return result


def sorting(*keys):
    """The stable order (n,) by integer keys (n,), the first counting most.

    Sorting one number that holds all keys and the place is several times as fast as `lexsort`.
    """
    xp, n = namespace(keys[0]), len(keys[0])
    if n == 0:
        return xp.arange(0)
    low = [int(key.min()) for key in keys]
    bits = [(int(key.max()) - least).bit_length() for key, least in zip(keys, low, strict=True)]
    bits_of_place = n.bit_length()
    if sum(bits) + bits_of_place > 63:
        return xp.lexsort(xp.stack(keys[::-1]))
    one = xp.zeros(n, dtype=np.int64)
    for key, least, width in zip(keys, low, bits, strict=True):
        one = (one << width) + key - least
    return xp.sort((one << bits_of_place) + xp.arange(n)) & ((1 << bits_of_place) - 1)


def usable_bytes(xp):
    """Bytes of a device that are free, or that this process has taken for its arrays."""
    free, _ = xp.cuda.runtime.memGetInfo()
    return int(free) + int(xp.get_default_memory_pool().total_bytes())

"""Memory that watches a launch: accesses outside an argument, reads of what nobody wrote, races between threads.

Each argument has an address range of its own, far from the others: an address tells which argument it started from,
however far off it is. Every element has a shadow that remembers the threads that wrote and read it.
"""

from typing import NamedTuple

import numpy as np
from numba import carray, types

SPACE = 48  # bits of an address in the range of an argument
MIDDLE = 1 << (SPACE - 1)  # where in its range the argument begins
KEPT = 20  # problems that are told, of all that are counted
# What unwritten memory holds, by dtype. Bytes have no value that is nothing else.
PATTERNS = {
    np.dtype(kind): np.frombuffer(bytes([byte] * 8), dtype=kind)[0]
    for byte, kinds in {0xFF: (np.float32, np.float64), 0x7B: (np.int32, np.int64, np.uint32, np.uint64)}.items()
    for kind in kinds
}

# The table that the checks work on holds: the thread that runs, the number of problems, that of arguments, where
# harmless bytes are, whether a trap was met; problems of 5 numbers; arguments of 4: where their bytes are, how many,
# bytes of an element, and where their shadows are in the table: who wrote and who read each element.
TRAP, HEAD, PROBLEM, ARGUMENT = 4, 5, 5, 4
ARGUMENTS = HEAD + KEPT * PROBLEM
NEVER, SEVERAL = -1, -2  # in a shadow; 0: nobody since the launch began; else thread + 1
KINDS = (
    "access outside the argument",
    "read of unwritten memory",
    "write where another thread wrote",
    "write where another thread read",
    "read where another thread wrote",
)


class Problem(NamedTuple):
    kind: str
    argument: str
    byte: int
    thread: int
    line: int  # instruction of the PTX


def access(pointer, address, size, line, store):
    """Where the bytes of an access really are; harmless ones where they lie outside the argument."""
    table = carray(pointer, 1 << 40)
    argument = (address >> SPACE) - 1
    byte = address - ((argument + 1) << SPACE) - MIDDLE
    row = ARGUMENTS + ARGUMENT * argument
    me = table[0] + 1
    kind = -1
    inside = 0 <= argument < table[2] and 0 <= byte and byte + size <= table[row + 1]
    if not inside:
        kind = 0
    else:
        width = table[row + 2]
        for element in range(byte // width, (byte + size - 1) // width + 1):
            shadow = table[row + 3] + 2 * element
            wrote, read = table[shadow], table[shadow + 1]
            if store:
                if wrote > 0 and wrote != me:
                    kind = 2
                elif read != 0 and read != me:
                    kind = 3
                table[shadow] = me
            else:
                if wrote == NEVER:
                    kind = 1
                elif wrote > 0 and wrote != me:
                    kind = 4
                table[shadow + 1] = me if read == 0 or read == me else SEVERAL
    if kind >= 0:
        if table[1] < KEPT:
            place = HEAD + PROBLEM * table[1]
            table[place], table[place + 1], table[place + 2] = kind, argument, byte
            table[place + 3], table[place + 4] = me - 1, line
        table[1] += 1
    return table[row] + byte if inside else table[3]


ACCESS = types.int64(types.CPointer(types.int64), types.int64, types.int64, types.int64, types.int64)


class Memory:
    """What the arguments of one launch look like to a checked program: {name: array}, of which none shares memory."""

    def __init__(self, arrays):
        self.names, self.harmless = [*arrays], np.zeros(8, dtype=np.int64)
        begin, rows, self.addresses = ARGUMENTS + ARGUMENT * len(arrays), [], {}
        for k, (name, array) in enumerate(arrays.items()):
            low, high = np.lib.array_utils.byte_bounds(array) if array.size else (array.ctypes.data,) * 2
            self.addresses[name] = ((k + 1) << SPACE) + MIDDLE + array.ctypes.data - low
            rows.append((low, high - low, array.itemsize, begin))
            begin += 2 * (high - low) // array.itemsize
        self.table = np.zeros(begin, dtype=np.int64)
        self.table[2], self.table[3] = len(arrays), self.harmless.ctypes.data
        self.table[ARGUMENTS : ARGUMENTS + ARGUMENT * len(arrays)] = np.ravel(rows)
        for array, (low, size, width, begin) in zip(arrays.values(), rows, strict=True):
            wrote = self.table[begin : begin + 2 * size // width : 2]
            wrote[:] = NEVER  # between the elements of an array with gaps
            elements = [step // width * wrote.itemsize * 2 for step in array.strides]
            first = (array.ctypes.data - low) // width * wrote.itemsize * 2
            own = np.ndarray(array.shape, wrote.dtype, self.table, begin * 8 + first, elements)
            own[...] = np.where(poisoned(array), NEVER, 0)

    @property
    def count(self):
        return int(self.table[1])

    @property
    def problems(self):
        """The first that were met."""
        rows = self.table[HEAD:ARGUMENTS].reshape(KEPT, PROBLEM)[: self.count].tolist()
        return [Problem(KINDS[kind], dict(enumerate(self.names)).get(k, "none"), *rest) for kind, k, *rest in rows]


def poisoned(array):
    """Which elements hold what `poison` fills memory with."""
    words = f"u{array.itemsize}"
    if array.dtype not in PATTERNS:
        return False
    return array.view(words) == PATTERNS[array.dtype].view(words)


def poison(array):
    """Fill memory that nobody wrote: floats with a NaN of their own, integers with a number that is no index."""
    if array.dtype in PATTERNS:
        array[...] = PATTERNS[array.dtype]
    return array

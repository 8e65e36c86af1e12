"""Random numbers by counter: (seed, event, pixel, read) gives the same numbers under any parallelism or batching.

Philox4x32-10 (Salmon et al., SC'11, "Parallel random numbers: as easy as 1, 2, 3") and the Box-Muller transform.
Integers only, so no adjoint: the draws are constants of the chain.
"""

import math

import numpy as np

from lartpc.kernels.runtime.launch import device
from lartpc.kernels.runtime.special import is_single, log_of_fraction

M0 = np.uint64(0xD2511F53)
M1 = np.uint64(0xCD9E8D57)
W0 = np.uint64(0x9E3779B9)
W1 = np.uint64(0xBB67AE85)
MASK = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
DROP = np.uint64(8)
ROUNDS = 10
TWO_PI = 6.283185307179586
FURTHEST = 6.0  # no normal number of `normal` is further from 0
TICKS = np.uint64(1 << 31)  # marks the counters of ticks, so that they differ from those of reads
RESETS = np.uint64(1 << 30)  # and those of periodic resets; both, that of their phase


@device
def philox(c0, c1, c2, c3, k0, k1):
    """Four random 32-bit words (in uint64) of a counter of four words and a key of two."""
    for _ in range(ROUNDS):
        p0 = M0 * c0
        p1 = M1 * c2
        c0, c1, c2, c3 = (p1 >> SHIFT) ^ c1 ^ k0, p1 & MASK, (p0 >> SHIFT) ^ c3 ^ k1, p0 & MASK
        k0 = (k0 + W0) & MASK
        k1 = (k1 + W1) & MASK
    return c0, c1, c2, c3


@device
def cosine(turn):
    """cos(2 pi turn), 0 <= turn < 1. Its own polynomial in float32: CUDA's cosine would reduce the angle in float64."""
    T = type(turn)
    if not is_single(turn):
        return math.cos(T(TWO_PI) * turn)
    s = abs(turn - T(0.5)) - T(0.25)
    q = s * s
    p = T(-76.70427987635678) + q * (T(42.009779307547056) + q * T(-14.393966320652172))
    return s * (T(6.283185307072264) + q * (T(-41.341702116744194) + q * (T(81.60522617404112) + q * p)))


@device
def normal(u, v, one):
    """A standard normal number of two 32-bit words, in the precision of `one`."""
    T = type(one)
    radius = (T(np.int32(u >> DROP)) + T(0.5)) * T(2.0**-24)
    turn = T(np.int32(v >> DROP)) * T(2.0**-24)
    return math.sqrt(T(-2.0) * math.log(radius)) * cosine(turn)


@device
def normals(u, v, one):
    """Two standard normal numbers of two 32-bit words, in the precision of `one`, distributed as `normal`'s.

    No library call keeps loops over them from being vectorised.
    """
    T = type(one)
    radius = math.sqrt(T(-2.0) * log_of_fraction((T(np.int32(u >> DROP)) + T(0.5)) * T(2.0**-24)))
    turn = T(np.int32(v >> DROP)) * T(2.0**-24)
    back = turn - T(0.25) if turn >= T(0.25) else turn + T(0.75)
    return radius * cosine(turn), radius * cosine(back)


@device
def words(seed, event, pixel, number):
    """Four random 32-bit words of a pixel, marked or not, and a number of what is drawn there: of 32 bits, uint64."""
    s = np.uint64(seed)
    e = np.uint64(event)
    return philox(e & MASK, e >> SHIFT, pixel, number, s & MASK, s >> SHIFT)


@device
def draw(seed, event, pixel, read, one):
    """Two standard normal numbers for one read of one pixel: for its reset and for its readout.

    seed, event, pixel: int64; pixel and read must fit in 32 bits.
    """
    u, v, p, q = words(seed, event, np.uint64(pixel), np.uint64(read))
    return normal(u, v, one), normal(p, q, one)


@device
def draw_tick(seed, event, pixel, tick, one):
    """Two standard normal numbers for one tick of one pixel: for the comparisons with its threshold and of its read.

    seed, event, pixel, tick: int64; pixel must fit in 31 bits.
    """
    u, v, p, q = words(seed, event, np.uint64(pixel) | TICKS, np.uint64(tick & 0xFFFFFFFF))
    return normal(u, v, one), normal(p, q, one)


@device
def draw_reset(seed, event, pixel, tick, one):
    """A standard normal number for the periodic reset of one pixel in one tick.

    seed, event, pixel, tick: int64; pixel must fit in 30 bits.
    """
    u, v, _, _ = words(seed, event, np.uint64(pixel) | RESETS, np.uint64(tick & 0xFFFFFFFF))
    return normal(u, v, one)


@device
def reset_phase(seed, event, pixel, cycles):
    """The phase of a pixel's periodic resets in an event, evenly 0 to cycles - 1: int64, as all of its arguments."""
    u, _, _, _ = words(seed, event, np.uint64(pixel) | RESETS | TICKS, np.uint64(0))
    return np.int64(u) % np.int64(cycles)

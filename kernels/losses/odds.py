"""Probabilities of the noise in single precision, down to where they underflow; see losses/probability.py."""

import math

from lartpc.kernels.runtime.launch import device

TERMS = 40  # of a continued fraction
FALL = 0.1  # readout noises by which charge falls, or it does not
NO_FALL = 0.012  # readout noises from which down a fall has odds below 1e-30
PARTS = 16  # of the interval of an integral, an even number


@device
def normal(x):
    T = type(x)
    return T(0.3989422804014327) * math.exp(T(-0.5) * x * x)


@device
def below(x):
    """Phi(x)."""
    T = type(x)
    return T(0.5) * math.erfc(-x * T(0.7071067811865476))


@device
def between(a, b):
    """Phi(b) - Phi(a), a <= b, without cancellation in the tails."""
    T = type(a)
    return below(-a) - below(-b) if a > T(0.0) else below(b) - below(a)


@device
def log_below(x):
    """log Phi(x) and its derivative; far below 0 by the continued fraction of the Mills ratio."""
    T = type(x)
    if x > T(-4.0):
        value = below(x)
        return math.log(value), normal(x) / value
    mills = -x
    for k in range(TERMS, 0, -1):
        mills = T(k) / mills - x
    return T(-0.5) * x * x - T(0.9189385332046727) - math.log(mills), mills


@device
def log_no_hit(x, s_r, s_u):
    """log P0(x) and its derivative [1/e]: [Phi(h) + Phi(k)]/2 + T(k, s_u/s_r), h = x/s_r, k = x/sqrt(s_r^2 + s_u^2).

    Owen's T(k, a) is the integral of exp(-k^2 (1 + t^2)/2)/(1 + t^2)/(2 pi) over t from 0 to a, by Simpson's rule.
    """
    T = type(x)
    total = math.sqrt(s_r * s_r + s_u * s_u)
    h = x / s_r
    k = x / total
    a = s_u / s_r
    end = min(a, T(9.0) / max(abs(k), T(1.0)))  # of the integral: beyond, it is next to nothing
    log_k, _ = log_below(k)
    log_h, _ = log_below(h)
    owen = T(0.0)
    for i in range(PARTS + 1):
        t = end * T(i) / T(PARTS)
        times = T(1.0) if i == 0 or i == PARTS else T(2.0) + T(2.0) * T(i % 2)
        owen += times * math.exp(T(-0.5) * (k * t) ** 2) / (T(1.0) + t * t)
    owen *= end / T(3.0 * PARTS) * T(0.15915494309189535) * math.exp(T(-0.5) * k * k - log_k)
    value = log_k + math.log(T(0.5) + T(0.5) * math.exp(log_h - log_k) + owen)
    slope = math.exp(T(-0.5) * h * h - value) / s_r
    slope += math.exp(T(-0.5) * k * k - value) / total * T(2.0) * below(-a * k)
    return value, T(0.5) * T(0.3989422804014327) * slope


@device
def veto(highest, kept):
    """Odds v of a veto, see reset_odds.py, of the charges H and K in units of the readout noise."""
    T = type(kept)
    if highest - kept <= T(NO_FALL):
        return T(0.0)
    return between(kept, highest) / below(highest) * math.exp(-((T(FALL) / (highest - kept)) ** 2))


@device
def veto_slopes(highest, kept):
    """Derivatives of v by H and K, in units of the readout noise."""
    T = type(kept)
    fall = highest - kept
    if fall <= T(NO_FALL):
        return T(0.0), T(0.0)
    v = veto(highest, kept)
    smooth = math.exp(-((T(FALL) / fall) ** 2))
    rising = T(2.0) * v * T(FALL) ** 2 / fall**3
    by_highest = (smooth - v) * normal(highest) / below(highest) + rising
    return by_highest, -smooth * normal(kept) / below(highest) - rising

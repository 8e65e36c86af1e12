"""Scalar functions of the charge model, branch-free so that loops over ticks vectorise; float32 or float64."""

import math

from lartpc.kernels.runtime.launch import device


@device
def is_single(x):
    """True for float32; a constant to the compiler, which drops the other branch."""
    T = type(x)
    return T(1) + T(1e-9) == T(1)


@device
def polynomial(y, c0, c1, c2, c3, c4, c5, c6, c7):
    """c0 + c1 y + ... + c7 y^7 by Estrin's scheme: its short chain of dependent operations is what makes it fast."""
    y2 = y * y
    low = (c0 + c1 * y) + y2 * (c2 + c3 * y)
    high = (c4 + c5 * y) + y2 * (c6 + c7 * y)
    return low + y2 * y2 * high


@device
def exp_negative(x):
    """exp(x) for x <= 0: Chebyshev fit of exp(x/16)^16 (float32) or exp(x/64)^64 (float64).

    Constant below -20 (float32) or -40 (float64).
    Relative accuracy 3e-6 (float32), 8e-13 (float64).
    """
    T = type(x)
    if is_single(x):
        y = max(x, T(-20.0)) * T(1.0 / 16.0)
        p = polynomial(
            y,
            T(0.9999999974715116),
            T(0.9999997386204262),
            T(0.4999955547873687),
            T(0.16663774696091302),
            T(0.04157365306926878),
            T(0.008168966401605644),
            T(0.0012241928988512105),
            T(0.00010750614010273986),
        )
    else:
        y = max(x, T(-40.0)) * T(1.0 / 64.0)
        high = T(2.4795996168291217e-05) + y * (
            T(2.7462190743900447e-06) + y * (T(2.6519415325812454e-07) + y * T(1.8365838525367234e-08))
        )
        p = T(1.0) + y * polynomial(
            y,
            T(1.0),
            T(0.5),
            T(0.1666666666659729),
            T(0.04166666665592348),
            T(0.008333333235095719),
            T(0.0013888883187185388),
            T(0.00019841051579541194),
            high,
        )
        p = p * p
        p = p * p
    p = p * p
    p = p * p
    p = p * p
    return p * p


@device
def edge_width(x):
    """How many standard deviations a Gaussian edge reaches, in the precision of `x`."""
    T = type(x)
    return T(4.7) if is_single(x) else T(8.5)


@device
def normal_cdf(z):
    """Integral of the standard normal density up to z."""
    T = type(z)
    return T(0.5) * math.erfc(-z * T(0.7071067811865476))


@device
def normal_density(z):
    """Standard normal density at z."""
    T = type(z)
    return T(0.3989422804014327) * math.exp(T(-0.5) * z * z)


@device
def tail_integral(a):
    """Integral of the standard normal distribution's upper tail from a >= 0 on: phi(a) - a Phi(-a).

    In float32 the square of a polynomial, fitted with the weight that makes the error of the square even: no library
    call keeps loops from being vectorised; 7e-9 from 5.5 on. Absolute accuracy 1.5e-7 (float32).
    """
    T = type(a)
    if not is_single(a):
        return normal_density(a) - a * normal_cdf(-a)
    a = min(a, T(5.5))
    a2 = a * a
    last = T(3.1899337585098643e-06) + a * T(-3.0393380291440756e-07) + a2 * T(1.1305467633932e-08)
    p = polynomial(
        a,
        T(0.033882139478894055),
        T(0.02125755734605992),
        T(-0.0008140092890858708),
        T(-0.0015471441479239477),
        T(-5.796006017339851e-05),
        T(0.00011138447377439945),
        T(1.3383166034554653e-05),
        T(-1.4801101021514446e-05),
    )
    p += (a2 * a2) * (a2 * a2) * last
    p = T(0.6316187736162694) + a * (T(-0.39580803101049084) + a * p)
    return p * p


@device
def log_of_fraction(x):
    """log(x) for 2^-26 <= x <= 1: 2 artanh((x - 1)/(x + 1)) after multiplications by powers of 2 to sqrt(1/2) or more.

    Relative accuracy 2e-7 (float32); float64: the library's.
    """
    T = type(x)
    if not is_single(x):
        return math.log(x)
    power = T(0.0)
    if x < T(2.0**-12):
        x *= T(2.0**12)
        power -= T(12.0)
    if x < T(2.0**-7):
        x *= T(2.0**7)
        power -= T(7.0)
    if x < T(2.0**-4):
        x *= T(2.0**4)
        power -= T(4.0)
    if x < T(2.0**-2):
        x *= T(2.0**2)
        power -= T(2.0)
    if x < T(0.5):
        x *= T(2.0)
        power -= T(1.0)
    if x < T(0.7071067811865476):
        x *= T(2.0)
        power -= T(1.0)
    z = (x - T(1.0)) / (x + T(1.0))
    q = z * z
    p = T(2.0 / 3.0) + q * (T(2.0 / 5.0) + q * (T(2.0 / 7.0) + q * (T(2.0 / 9.0) + q * T(2.0 / 11.0))))
    return power * T(0.6931471805599453) + (T(2.0) * z + z * (q * p))


@device
def log_to_three(x):
    """log(x) for 1 <= x <= 3: log(s) + 2 artanh((x - s)/(x + s)), s = sqrt(3), its series fitted by Chebyshev.

    Absolute accuracy 2e-7 (float32), 2e-15 (float64).
    """
    T = type(x)
    z = (x - T(1.7320508075688772)) / (x + T(1.7320508075688772))
    p = polynomial(
        z * z,
        T(1.9999999999999967),
        T(0.666666666672687),
        T(0.39999999825137933),
        T(0.28571447883728407),
        T(0.22221177873770295),
        T(0.18212329830179996),
        T(0.14895792944764294),
        T(0.17307647976475574),
    )
    return T(0.5493061443340549) + z * p

"""Scalar functions of the charge model, branch-free so that loops over ticks vectorise; float32 or float64."""

import math

from lartpc.kernels.launch import device


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
    """exp(x) for x <= 0, constant below exp_limit. Chebyshev fit of exp(x/16)^16 (float32) or exp(x/64)^64 (float64).

    Relative error 3e-6 (float32), 8e-13 (float64).
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
def exp_limit(x):
    """The exponent below which a term is left out, as too small for the precision of `x`."""
    T = type(x)
    return T(-14.0) if is_single(x) else T(-36.0)


@device
def edge_width(x):
    """How many standard deviations a Gaussian edge reaches, in the precision of `x`."""
    T = type(x)
    return T(4.7) if is_single(x) else T(8.5)


@device
def erfcx(x):
    """exp(x^2) erfc(x) for x >= 0: a polynomial in t = (x - K)/(x + K), divided by 1 + 2x; one division for both.

    Relative error 3.4e-7 (float32), 1e-15 (float64). Source: Shepherd & Laframboise, Math. Comp. 36 (1981) 249;
    coefficients fitted here.
    """
    T = type(x)
    if is_single(x):
        k = T(2.0)
        inverse = T(1.0) / ((x + k) * (T(1.0) + T(2.0) * x))
        t = T(1.0) - T(2.0) * k * (T(1.0) + T(2.0) * x) * inverse
        t2 = t * t
        t4 = t2 * t2
        high = T(-0.0013957069461305214) + t * T(-0.00018365443731275987) + t2 * T(0.00016080358172579037)
        low = polynomial(
            t,
            T(1.2769783913176496),
            T(-0.09276308204826599),
            T(-0.16603109565094873),
            T(0.1640358396073588),
            T(-0.05421195449844882),
            T(-0.007942721699062254),
            T(0.008689159658194386),
            T(0.00104314458162079),
        )
        p = low + t4 * t4 * high
    else:
        k = T(3.75)
        inverse = T(1.0) / ((x + k) * (T(1.0) + T(2.0) * x))
        t = T(1.0) - T(2.0) * k * (T(1.0) + T(2.0) * x) * inverse
        top = polynomial(
            t,
            T(1.7419821586224814e-06),
            T(-5.0844653786873e-08),
            T(-2.485712624801673e-07),
            T(1.8790823223700474e-08),
            T(3.197926671666799e-08),
            T(-1.955135886898563e-09),
            T(-2.623107347133471e-09),
            T(0.0),
        )
        middle = polynomial(
            t,
            T(0.0017556261651970656),
            T(0.00029371437804495796),
            T(-0.0002901553524607766),
            T(5.1646529741774155e-05),
            T(2.2387565714911813e-05),
            T(-1.1438048033346895e-05),
            T(-9.792625707303519e-07),
            top,
        )
        low = polynomial(
            t,
            T(0.0035854154854790543),
            T(0.08227673848999509),
            T(-0.10880393014244463),
            T(0.09230432116428125),
            T(-0.058693398576649354),
            T(0.02836227737211114),
            T(-0.009746579683265262),
            middle,
        )
        p = T(1.2375126308378275) + t * (T(-0.14024059858554527) + t * low)
    return p * (x + k) * inverse


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
def log_to_three(x):
    """log(x) for 1 <= x <= 3: log(s) + 2 artanh((x - s)/(x + s)), s = sqrt(3), its series fitted by Chebyshev.

    Absolute error 2e-7 (float32), 2e-15 (float64).
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

"""How much energy the steps of a track may lose: the prior of log dE.

Steps k are counted from the stop backwards. A step loses dE_k = mean_k exp(offset_k + width_k g_k - return_k tau_k),
with g an unknown of scale 1. The unknown is log dE, since what a charge says of it does not depend on the gain (charge
~ gain exp(log dE)); anything linear in dE is biased by its variance.

tau_k = sum_{i < k} (dE_i - mean_i) is by how much the particle has more energy than one of its residual range has in
the mean. It is then faster and loses less: tau returns to 0 as S(s_{k+1})/S(s_k), S the stopping power. Without this
the energy of a stopping proton of given length would spread by a third more than it does.
Landau, J. Phys. USSR 8 (1944) 201; Vavilov, Sov. Phys. JETP 5 (1957) 749.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline, NdBSpline, make_interp_spline
from scipy.special import sici

from lartpc.blas import one_blas_thread
from lartpc.generator.stopping import kinematics, landau_width, max_transfer

LOG_NORMAL = 0.2  # kappa = xi/W_max from which log dE is taken as normal
LANDAU_MODE = -0.2228  # of Landau's density in lambda
LANDAU_WIDTH = 1.7  # full width at half maximum of the same, 4.02, over 2.355
SMALLEST_KAPPA = 5e-4  # below it the shape is Landau's as far as the table goes
FLOOR = 0.05  # least curvature: beyond the edge -log p of log dE grows linearly
DT = 1.6e-3  # steps of t: densities repeat after 2 pi/DT, twice the largest W_max/xi
G = np.arange(-2.1, 10.05, 0.1)  # where a step's -log p(g) is tabulated


def vavilov_exponent(u, beta2):
    """h(u) of Vavilov's characteristic function exp(kappa h(u)) of (dE - mean)/W_max; complex, shapes broadcast.

    h = int_0^1 (1 - beta^2 e)/e^2 (exp(i u e) - 1 - i u e) de, with the sine and cosine integrals
    = 1 + i u - exp(i u) - u (Si + i Cin) + beta^2 (Cin - i Si + i u). u > 0.
    """
    sine, cosine = sici(u)
    cin = np.euler_gamma + np.log(u) - cosine
    return 1 + 1j * u - np.exp(1j * u) - u * (sine + 1j * cin) + beta2 * (cin - 1j * sine + 1j * u)


@lru_cache
@one_blas_thread
def vavilov_table():
    """Spline of ln p(lambda | kappa, beta^2) in (ln kappa, beta^2, ln(lambda + 5)); built once, in half a second.

    lambda = (dE - mean)/xi - 1 + Euler's constant - beta^2 - ln kappa, Landau's variable: its density hardly depends on
    kappa and beta^2 where kappa is small. p = 1/pi int_0^inf Re exp(kappa h(t/kappa) - i t (dE - mean)/xi) dt, which
    falls as exp(-pi t/2). Densities below 1e-8/(lambda + 5)^4, which are lost in rounding, are set to that.
    """
    t = np.arange(1, 12001) * DT
    log_kappa, beta2 = np.linspace(np.log(SMALLEST_KAPPA), np.log(LOG_NORMAL), 24), np.linspace(0, 1, 5)
    log_lambda = np.linspace(np.log(5 - 3.9), np.log(5 + 60), 110)
    kappa, square = np.exp(log_kappa)[:, None, None], beta2[:, None]
    centre = 1 - np.euler_gamma + square + log_kappa[:, None, None]
    transform = np.exp(kappa * vavilov_exponent(t / kappa, square) - 1j * t * centre)
    wave = np.exp(-1j * t[:, None] * (np.exp(log_lambda) - 5))
    density = (0.5 + (transform @ wave).real) * DT / np.pi
    coefficients, knots = np.log(np.maximum(density, 1e-8 * np.exp(-4 * log_lambda))), []
    for axis, grid in enumerate((log_kappa, beta2, log_lambda)):
        spline = make_interp_spline(grid, coefficients, axis=axis)
        coefficients = np.moveaxis(spline.c, 0, axis)
        knots.append(spline.t)
    return NdBSpline(tuple(knots), coefficients, 3)


def log_density(landau, kappa, beta2):
    """ln p of Landau's variable by Vavilov, shapes broadcast; edges of the table where it ends."""
    points = np.broadcast_arrays(
        np.log(np.clip(kappa, SMALLEST_KAPPA, LOG_NORMAL)), np.clip(beta2, 0, 1), np.log(np.clip(landau + 5, 1.1, 65))
    )
    return vavilov_table()(np.stack(points, axis=-1))


@dataclass(frozen=True, eq=False)
class EnergyLoss:
    """dE of the steps of a track, as the module's docstring has it, and -log of the density of g.

    With kappa = xi/W_max above 0.2: g normal, width^2 = ln(1 + xi W_max (1 - beta^2/2)/mean^2), offset =
    -width^2/2, so that the mean of dE is `mean`. Below: Vavilov's density of log dE, about Landau's most probable loss
    in units of 1.7 xi/dE, as a cubic spline in g that goes on as a parabola to the left and a line to the right.
    """

    offset: np.ndarray  # (n,)
    width: np.ndarray  # (n,)
    restoring: np.ndarray  # (n,) return_k [1/MeV]
    landau: np.ndarray  # (m,) the steps with Vavilov's density
    spline: np.ndarray  # (4, len(G) - 1, m) cubic coefficients of -log p(g)

    @classmethod
    def of_steps(cls, kinetic, mass, thickness, mean, shrink=1.0, decay=1.0):
        """From kinetic energies in the middle, mass [MeV], thickness [g/cm2] and mean losses [MeV] of steps, (n,).

        shrink: factor of the loss's fluctuation, what is left at the end of a step of those inside it; decay: factor
        of tau from a step's beginning to its end; both (n,) or one for all.
        """
        beta2, _ = kinematics(kinetic, mass)
        xi, transfer = landau_width(kinetic, mass, thickness), max_transfer(kinetic, np.asarray(mass))
        kappa, xi = xi / transfer, shrink * xi
        width = np.sqrt(np.log1p(shrink * xi * transfer * (1 - beta2 / 2) / mean**2))
        offset = -(width**2) / 2
        (landau,) = np.nonzero(kappa < LOG_NORMAL)
        kappa, beta2, scale = kappa[landau, None], beta2[landau, None], (mean / xi)[landau, None]
        centre = 1 - np.euler_gamma + beta2 + np.log(kappa)
        # A step whose most probable loss would not be positive is thinner than the theory allows.
        mode = np.maximum(scale + LANDAU_MODE + centre, 0.1 * scale)
        offset[landau], width[landau] = np.log(mode / scale)[:, 0], (LANDAU_WIDTH / mode)[:, 0]
        logarithm = np.log(mode / scale) + LANDAU_WIDTH / mode * G
        variable = (np.exp(logarithm) - 1) * scale - centre
        minus = -log_density(variable, kappa, beta2) - logarithm
        spline = CubicSpline(G, minus - minus.min(axis=1, keepdims=True), axis=1)
        return cls(offset, width, (1 - decay) / mean, landau, spline.c)

    def __call__(self, g):
        """-log p(g) up to a constant a step, its slope, and its curvature, not below 0.05; each (n,) of (n,)."""
        value, slope, curvature = g**2 / 2, np.array(g, dtype=float), np.ones(len(g))
        if len(self.landau):
            x = np.clip(g[self.landau], G[0], G[-1])
            beyond = g[self.landau] - x
            k = np.minimum(((x - G[0]) / (G[1] - G[0])).astype(int), len(G) - 2)
            a, b, c, d = self.spline[:, k, np.arange(len(k))]
            y = x - G[k]
            second = 6 * a * y + 2 * b
            bend = np.where(beyond < 0, second, 0.0)  # to the right a line
            first = (3 * a * y + 2 * b) * y + c
            value[self.landau] = ((a * y + b) * y + c) * y + d + (first + bend * beyond / 2) * beyond
            slope[self.landau] = first + bend * beyond
            curvature[self.landau] = np.maximum(np.where(beyond > 0, 0.0, second), FLOOR)
        return value, slope, curvature

    def deposits(self, mean, g):
        """dE (n,) [MeV] of mean losses (n,) [MeV] and g (n,)."""
        free, deposits, tau = mean * np.exp(self.offset + self.width * g), np.empty(len(mean)), 0.0
        for k, (loss, restoring) in enumerate(zip(free.tolist(), self.restoring.tolist(), strict=True)):
            deposits[k] = loss * math.exp(-restoring * tau)
            tau += deposits[k] - mean[k]
        return deposits

    def of_deposits(self, mean, deposits):
        """g (n,) with which mean losses (n,) [MeV] give these deposits (n,) [MeV], all positive."""
        tau = np.cumsum(deposits - mean) - (deposits - mean)
        return (np.log(deposits / mean) - self.offset + self.restoring * tau) / self.width

    def derivatives(self, mean, by_others, deposits):
        """Derivatives of log dE, (n, m + n), by others, by which mean losses change as (n, m), and by g."""
        n, m = by_others.shape
        own = np.concatenate([by_others / mean[:, None], np.diag(self.width)], axis=1)
        expected = np.concatenate([by_others, np.zeros((n, n))], axis=1)
        tau = np.zeros(m + n)
        for k in range(n):
            own[k] -= self.restoring[k] * tau
            tau += deposits[k] * own[k] - expected[k]
        return own

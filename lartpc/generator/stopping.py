"""Stopping of charged particles in liquid argon: mean energy loss, its fluctuation and the range.

Mass stopping powers in [MeV cm2/g] as functions of kinetic energy in [MeV]; masses in [MeV]; ranges in [g/cm2].

Sources: PDG = Particle Data Group, "Passage of particles through matter" (2022 numbering); Sternheimer, Berger and
Seltzer, At. Data Nucl. Data Tables 30 (1984) 261; ICRU Reports 37 (1984) and 49 (1993); Landau, J. Phys. USSR 8 (1944)
201; Vavilov, Sov. Phys. JETP 5 (1957) 749.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.integrate import cumulative_simpson
from scipy.interpolate import CubicHermiteSpline

ELECTRON_MASS = 0.51099895
PROTON_MASS = 938.272088
K = 0.307075  # 4 pi N_A r_e^2 m_e c^2 [MeV cm2/mol]
Z = 18
A = 39.948  # [g/mol]
MEAN_EXCITATION = 188e-6  # I [MeV]: the value of the PDG, PSTAR and ESTAR tables
RADIATION_LENGTH = 19.55  # X0 [g/cm2]
BREMSSTRAHLUNG = Z * (Z + 1) / A / (4 * 716.408)  # alpha r_e^2 N_A/A Z (Z + 1), PDG eq. 34.25 [cm2/g]

# Sternheimer's parameters of liquid argon; the density effect of a non-conductor vanishes below x0.
DENSITY_A, DENSITY_K, DENSITY_X0, DENSITY_X1, DENSITY_C = 0.19559, 3.0, 0.2, 3.0, 5.2146

# ICRU 49, protons in argon: coefficients of the Andersen-Ziegler form, per 1e15 atoms/cm2 and eV.
ICRU49 = (6.500, 4253.0, 530.0, 0.01123)
PROTON_AMU = 1.007276
FIT_LIMIT = 2.0  # [MeV] kinetic energy of a proton up to which the ICRU 49 fit is used
SHELL_LIMIT = 7.9  # [MeV] the same for the shell correction's expansion (beta gamma = 0.13), from above

SMALLEST_CUT = 1e-3  # [MeV] collisions below this are never sampled one by one
COLLISIONS = 10.0  # mean number of collisions of one step that are sampled one by one, at most
MAX_COLLISIONS = 32  # a Poisson number of mean 10 exceeds it once in 1e8; the smallest collisions would be lost


class Particle(NamedTuple):
    """A charged particle of unit charge: PDG number and mass [MeV]."""

    name: str
    pdg: int
    mass: float


PARTICLES = {
    particle.pdg: particle
    for particle in (
        Particle("electron", 11, ELECTRON_MASS),
        Particle("muon", 13, 105.6583755),
        Particle("antimuon", -13, 105.6583755),
        Particle("pion+", 211, 139.57039),
        Particle("pion-", -211, 139.57039),
        Particle("proton", 2212, PROTON_MASS),
    )
}


def kinematics(kinetic, mass):
    """beta^2 and beta*gamma of a particle.

    Parameters: kinetic, mass: arrays that broadcast [MeV]. Returns two arrays of their common shape.
    """
    gamma = 1 + kinetic / mass
    beta_gamma2 = (gamma - 1) * (gamma + 1)
    return beta_gamma2 / gamma**2, np.sqrt(beta_gamma2)


def max_transfer(kinetic, mass):
    """Largest energy given to an atomic electron in one collision [MeV].

    W_max = 2 m_e (beta gamma)^2 / (1 + 2 gamma m_e/M + (m_e/M)^2), PDG eq. 34.4; for electrons T/2, because the faster
    of two equal particles is called the primary (Moller). kinetic, mass: arrays that broadcast [MeV].
    """
    ratio = ELECTRON_MASS / mass
    _, beta_gamma = kinematics(kinetic, mass)
    heavy = 2 * ELECTRON_MASS * beta_gamma**2 / (1 + 2 * (1 + kinetic / mass) * ratio + ratio**2)
    return np.where(mass == ELECTRON_MASS, kinetic / 2, heavy)


def density_effect(beta_gamma):
    """Sternheimer's density-effect correction delta(beta gamma) of liquid argon, PDG eq. 34.7. Any array shape."""
    x = np.log10(beta_gamma)
    rise = DENSITY_A * np.maximum(DENSITY_X1 - x, 0) ** DENSITY_K
    return np.where(x < DENSITY_X0, 0.0, 2 * np.log(10) * x - DENSITY_C + rise)


def shell_correction(kinetic, mass):
    """Shell correction C/Z of argon: Barkas and Berger's expansion in 1/(beta gamma), NASA SP-3013 (1964).

    Below beta gamma = 0.13, where the expansion ends, it falls linearly in ln(T) to 0 at the energy where the ICRU 49
    fit takes over. kinetic, mass: arrays that broadcast [MeV].
    """
    proton = kinetic * (PROTON_MASS / mass)
    _, eta = kinematics(np.maximum(proton, SHELL_LIMIT), PROTON_MASS)
    inverse = 1 / eta**2
    excitation = MEAN_EXCITATION * 1e6  # the expansion has I in eV
    second = 0.422377 * inverse + 0.0304043 * inverse**2 - 0.00038106 * inverse**3
    third = 3.858019 * inverse - 0.1667989 * inverse**2 + 0.00157955 * inverse**3
    fade = np.clip(np.log(proton / FIT_LIMIT) / np.log(SHELL_LIMIT / FIT_LIMIT), 0, 1)
    return fade * (second * 1e-6 * excitation**2 + third * 1e-9 * excitation**3) / Z


def bethe(kinetic, mass):
    """Bethe's mean energy loss of a heavy particle of unit charge [MeV cm2/g].

    S = K Z/A 1/beta^2 [ln(2 m_e (beta gamma)^2 W_max / I^2)/2 - beta^2 - delta/2 - C/Z], PDG eq. 34.5 with the shell
    correction. kinetic, mass: arrays that broadcast [MeV].
    """
    beta2, beta_gamma = kinematics(kinetic, mass)
    log = np.log(2 * ELECTRON_MASS * beta_gamma**2 * max_transfer(kinetic, mass) / MEAN_EXCITATION**2)
    bracket = log / 2 - beta2 - density_effect(beta_gamma) / 2 - shell_correction(kinetic, mass)
    return K * Z / A / beta2 * bracket


def slow_proton(kinetic):
    """Electronic stopping power of slow protons in argon [MeV cm2/g]: ICRU 49, Andersen and Ziegler's form (1977).

    1/S = 1/S_low + 1/S_high, S_low = a T^0.45, S_high = b/T ln(1 + c/T + d T), T in keV/u; proportional to sqrt(T)
    below 10 keV/u. kinetic: any array shape [MeV], meant for less than 2 MeV.
    """
    a, b, c, d = ICRU49
    per_mass = kinetic * 1e3 / PROTON_AMU
    t = np.maximum(per_mass, 10.0)
    low = a * t**0.45
    high = b / t * np.log(1 + c / t + d * t)
    cross_section = low * high / (low + high) * np.sqrt(np.minimum(per_mass / 10.0, 1.0))
    return cross_section * 6.02214076e2 / A  # 1e-15 eV cm2 an atom -> MeV cm2/g: N_A 1e-21 / A


def heavy_stopping_power(kinetic, mass):
    """Mean energy loss of muons, pions and protons [MeV cm2/g]; radiation (0.2 % of it for muons of 1 GeV) left out.

    Below 2 MeV a proton follows the ICRU 49 fit, above it Bethe's formula times 1 + (r - 1) 2 MeV/T, where r joins the
    two (Geant4 Physics Reference Manual, hadron ionisation); other particles scale with velocity.
    kinetic, mass: arrays that broadcast [MeV].
    """
    proton = kinetic * (PROTON_MASS / mass)
    fit_limit = FIT_LIMIT * mass / PROTON_MASS
    join = slow_proton(FIT_LIMIT) / bethe(fit_limit, mass)
    fast = bethe(np.maximum(kinetic, fit_limit), mass) * (1 + (join - 1) * FIT_LIMIT / np.maximum(proton, FIT_LIMIT))
    return np.where(proton < FIT_LIMIT, slow_proton(proton), fast)


def electron_collision(kinetic):
    """Collision stopping power of electrons, Berger and Seltzer [MeV cm2/g]; ICRU 37, PDG eq. 34.24. Any array shape.

    S = K/2 Z/A 1/beta^2 [ln(T/I)^2 + ln(1 + tau/2) + F - delta], F = (1 - beta^2)[1 + tau^2/8 - (2 tau + 1) ln 2],
    tau = T/m_e.
    """
    tau = kinetic / ELECTRON_MASS
    beta2, beta_gamma = kinematics(kinetic, ELECTRON_MASS)
    f = (1 - beta2) * (1 + tau**2 / 8 - (2 * tau + 1) * np.log(2))
    log = 2 * np.log(kinetic / MEAN_EXCITATION) + np.log1p(tau / 2)
    return K / 2 * Z / A / beta2 * (log + f - density_effect(beta_gamma))


def electron_radiation(kinetic):
    """Radiative stopping power of electrons, simple: Bethe and Heitler's limits [MeV cm2/g]. Any array shape.

    S = alpha r_e^2 N_A/A Z(Z+1) (T + m_e) B with B = 4 ln(2E/m_e) - 4/3 without screening, at least 16/3 (slow), at
    most 4 ln(183 Z^-1/3) + 2/9 (complete screening); Heitler, "The Quantum Theory of Radiation", par. 25.
    """
    energy = kinetic + ELECTRON_MASS
    screened = 4 * np.log(183 * Z ** (-1 / 3)) + 2 / 9
    return BREMSSTRAHLUNG * energy * np.clip(4 * np.log(2 * energy / ELECTRON_MASS) - 4 / 3, 16 / 3, screened)


def collision_stopping_power(kinetic, mass):
    """Mean energy loss to the atoms' electrons [MeV cm2/g]. kinetic, mass: arrays that broadcast [MeV]."""
    electron = mass == ELECTRON_MASS
    return np.where(electron, electron_collision(kinetic), heavy_stopping_power(kinetic, mass))


def stopping_power(kinetic, mass):
    """Mean energy loss, radiation of electrons included [MeV cm2/g]. kinetic, mass: arrays that broadcast [MeV]."""
    radiation = np.where(mass == ELECTRON_MASS, electron_radiation(kinetic), 0.0)
    return collision_stopping_power(kinetic, mass) + radiation


class RangeTable:
    """Range in the continuous-slowing-down approximation, R(T) = int_0^T dT'/S(T'), and its inverse.

    Tabulated on a logarithmic grid from 1 keV to 100 GeV and interpolated linearly in ln R, ln T, so that the two
    directions are exact inverses of each other.
    """

    def __init__(self, mass):
        kinetic = np.geomspace(1e-3, 1e5, 8001)
        integrand = kinetic / stopping_power(kinetic, mass)
        # What lies below the grid is less than a micrometre: T/S is near enough.
        ranges = cumulative_simpson(integrand, x=np.log(kinetic), initial=0) + integrand[0]
        self._log_kinetic, self._log_range = np.log(kinetic), np.log(ranges)
        self._smooth = CubicHermiteSpline(self._log_range, self._log_kinetic, ranges / integrand)
        self._smooth_slope = self._smooth.derivative()

    def range(self, kinetic):
        """Range [g/cm2] at a kinetic energy [MeV] between 1 keV and 100 GeV. Any array shape."""
        return np.exp(np.interp(np.log(kinetic), self._log_kinetic, self._log_range))

    def kinetic(self, csda_range):
        """Kinetic energy [MeV] of a range [g/cm2]. Any array shape."""
        return np.exp(np.interp(np.log(csda_range), self._log_range, self._log_kinetic))

    def kinetic_and_slope(self, csda_range):
        """Kinetic energy T [MeV] of a range R [g/cm2] and dT/dR [MeV cm2/g]. Any array shape.

        Cubic in ln R with the slopes of the stopping power, so that T has a continuous derivative, the second value.
        Below the table (1 keV; a ten-thousandth of a millimetre) T is proportional to R, negative where R is.
        """
        log = np.log(np.maximum(csda_range, np.exp(self._log_range[0])))
        kinetic, slope = np.exp(self._smooth(log)), self._smooth_slope(log) * np.exp(self._smooth(log) - log)
        below = log <= self._log_range[0]
        return np.where(below, slope * csda_range, kinetic), slope


@lru_cache
def range_table(mass):
    """The `RangeTable` of a mass [MeV]; built once."""
    return RangeTable(mass)


def landau_width(kinetic, mass, thickness):
    """xi = K/2 Z/A x/beta^2 [MeV], the scale of Landau's distribution, PDG eq. 34.12.

    kinetic, mass [MeV], thickness [g/cm2]: arrays that broadcast.
    """
    beta2, _ = kinematics(kinetic, mass)
    return K / 2 * Z / A * thickness / beta2


def most_probable_loss(kinetic, mass, thickness):
    """Most probable energy loss of Landau, Vavilov and Bichsel [MeV], PDG eq. 34.12.

    xi [ln(2 m_e (beta gamma)^2/I) + ln(xi/I) + 0.200 - beta^2 - delta], for xi much smaller than W_max.
    kinetic, mass [MeV], thickness [g/cm2]: arrays that broadcast.
    """
    beta2, beta_gamma = kinematics(kinetic, mass)
    xi = landau_width(kinetic, mass, thickness)
    log = np.log(2 * ELECTRON_MASS * beta_gamma**2 / MEAN_EXCITATION) + np.log(xi / MEAN_EXCITATION)
    return xi * (log + 0.200 - beta2 - density_effect(beta_gamma))


def straggle(mean, xi, transfer, beta2, normal, exponential, uniform):
    """Energy lost in a step, with Vavilov's fluctuations [MeV].

    Vavilov's model itself, not a fit of its distribution: collisions with energy transfer E come at the rate
    xi (1 - beta^2 E/W_max)/E^2 dE up to W_max, about a mean given by Bethe. Collisions above E_c = xi/10 (not below
    1 keV) are drawn one by one, largest first: 1/E = (sum of exponentials)/xi + 1/W_max, kept with probability
    1 - beta^2 E/W_max. What the many collisions below E_c lose is near to Gaussian (Vavilov's limit for xi > 10 E_c) of
    variance xi E_c (1 - beta^2 E_c/(2 W_max)); a log-normal of the same mean and variance keeps it positive. The mean
    is the given one for any xi/W_max. Electrons are taken with the same rate and W_max = T/2.

    Parameters
    ----------
    mean, xi, transfer: (n,) mean loss, Landau's scale and W_max [MeV]
    beta2: (n,)
    normal: (n,) standard normal numbers
    exponential, uniform: (n, MAX_COLLISIONS) standard exponential and uniform numbers

    Returns (n,) energies [MeV].
    """
    cut = np.minimum(np.maximum(xi / COLLISIONS, SMALLEST_CUT), transfer)
    collision = 1 / (np.cumsum(exponential, axis=-1) / xi[:, None] + 1 / transfer[:, None])
    kept = (collision > cut[:, None]) & (uniform * transfer[:, None] > beta2[:, None] * collision)
    hard = np.sum(collision, axis=-1, where=kept)
    hard_mean = xi * (np.log(transfer / cut) - beta2 * (1 - cut / transfer))
    soft_mean = mean - hard_mean
    log_variance = np.log1p(xi * cut * (1 - beta2 * cut / (2 * transfer)) / soft_mean**2)
    return hard + soft_mean * np.exp(np.sqrt(log_variance) * normal - log_variance / 2)

"""Ellipsoid: how the ellipsoidal modified Box model of recombination sees the angle between track and field."""

import math

from lartpc.kernels.charge.quench import guarded
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import R_ANISOTROPY


@device
def axes(cos, R):
    """sin^2 phi + cos^2 phi/R^2."""
    T = type(cos)
    return (T(1.0) - cos) * (T(1.0) + cos) + cos * cos / (R * R)


@kernel("step_dEdx_90", light=True)
def ellipsoid(i, step_dEdx, step_cos, parameters, step_module, step_dEdx_90):
    """The dE/dx that would recombine alike on a track perpendicular to the field: step_dEdx_90 (n_steps,) [MeV/cm].

    dEdx_90 = dEdx/sqrt(sin^2 phi + cos^2 phi/R_anisotropy^2), phi the angle between track and field: the model's
    beta(phi) = beta_90/sqrt(...) and dEdx enter as a product (ICARUS, JINST 20 (2025) P01033, arXiv:2407.12969).
    Below 1 MeV/cm dEdx is as there: see `quench`.
    step_dEdx [MeV/cm], step_cos = cos phi (n_steps,); parameters (n_modules, n_parameters); step_module (n_steps,).
    """
    R = parameters[step_module[i], R_ANISOTROPY]
    step_dEdx_90[i] = guarded(step_dEdx[i]) / math.sqrt(axes(step_cos[i], R))

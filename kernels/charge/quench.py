"""Quench: the electrons that escape recombination."""

import math

from lartpc.kernels.charge.recombination import BIRKS, BOX, ELLIPSOID
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import AB, ALPHA, ALPHA_EMB, BETA, BETA_90, KB, LAR_DENSITY, MEV_TO_ELECTRONS

LEAST = 1.0  # dE/dx [MeV/cm] below which the Box models, fitted to ionizing tracks, would lose all charge; as LArSoft


@device
def guarded(dEdx):
    """dEdx [MeV/cm], where it is below `LEAST` that."""
    T = type(dEdx)
    return T(LEAST) if dEdx < T(LEAST) else dEdx


@device
def box(xi, alpha):
    """ln(alpha + xi)/xi, but within 0 to 1."""
    T = type(xi)
    R = math.log1p((alpha - T(1.0)) + xi) / xi
    if R < T(0.0):
        return T(0.0)
    return T(1.0) if R > T(1.0) else R


@device
def recombination(dEdx, E, parameters, module, model):
    """The fraction of electrons that escape at field E [kV/cm] in a module.

    Birks: R = Ab / (1 + kb dEdx/(E lArDensity))  (Amoruso et al., NIM A 523 (2004) 275)
    Box:   R = ln(alpha + xi)/xi, xi = beta dEdx/(E lArDensity), 0 <= R <= 1  (Acciarri et al., JINST 8 P08005)
    Ellipsoidal: the same with alpha_emb and beta_90, dEdx that of `ellipsoid`
    Below 1 MeV/cm Box is as there; at dEdx = 0, as files have it for deposits of no length, Birks is Ab.
    Another number is no model and gives NaN.
    """
    T = type(dEdx)
    field = E * parameters[module, LAR_DENSITY]
    if model == BIRKS:
        return parameters[module, AB] / (T(1.0) + parameters[module, KB] * dEdx / field)
    if model == BOX:
        return box(parameters[module, BETA] * guarded(dEdx) / field, parameters[module, ALPHA])
    if model == ELLIPSOID:
        return box(parameters[module, BETA_90] * dEdx / field, parameters[module, ALPHA_EMB])
    return T(math.nan)


@device
def escaping(R, dE, parameters, module):
    """R dE MeVToElectrons; in a helper, whose products keep their order whatever surrounds them."""
    return R * (dE * parameters[module, MEV_TO_ELECTRONS])


@kernel("electrons", light=True)
def quench(i, step_dE, step_dEdx, step_field, parameters, step_module, model, electrons):
    """electrons = R dE MeVToElectrons.

    step_dE [MeV], step_dEdx [MeV/cm], step_field [kV/cm], electrons [e], each (n_steps,);
    parameters (n_modules, n_parameters); step_module (n_steps,).
    """
    module = step_module[i]
    R = recombination(step_dEdx[i], step_field[i], parameters, module, model)
    electrons[i] = escaping(R, step_dE[i], parameters, module)

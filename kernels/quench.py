"""Quench: the electrons that escape recombination."""

import math

from lartpc.kernels.launch import device, kernel
from lartpc.kernels.slots import AB, ALPHA, BETA, EFIELD, KB, LAR_DENSITY, MEV_TO_ELECTRONS

BIRKS = 0
BOX = 1


@device
def recombination(dEdx, parameters, model):
    """The fraction of electrons that escape.

    Birks: R = Ab / (1 + kb dEdx/(eField lArDensity))  (Amoruso et al., NIM A 523 (2004) 275)
    Box:   R = ln(alpha + xi)/xi, xi = beta dEdx/(eField lArDensity), at least 0  (Acciarri et al., JINST 8 P08005)
    """
    T = type(dEdx)
    field = parameters[EFIELD] * parameters[LAR_DENSITY]
    if model == BIRKS:
        return parameters[AB] / (T(1.0) + parameters[KB] * dEdx / field)
    xi = parameters[BETA] * dEdx / field
    if parameters[ALPHA] + xi <= T(1.0):
        return T(0.0)
    return math.log(parameters[ALPHA] + xi) / xi


@kernel("electrons", light=True)
def quench(i, step_dE, step_dEdx, parameters, model, electrons):
    """electrons = R dE MeVToElectrons; step_dE [MeV], step_dEdx [MeV/cm], electrons [e], each (n_steps,)."""
    R = recombination(step_dEdx[i], parameters, model)
    electrons[i] = R * step_dE[i] * parameters[MEV_TO_ELECTRONS]

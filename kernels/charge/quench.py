"""Quench: the electrons that escape recombination."""

import math

from lartpc.kernels.charge.models import BIRKS, BOX
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import AB, ALPHA, BETA, KB, LAR_DENSITY, MEV_TO_ELECTRONS


@device
def recombination(dEdx, E, parameters, module, model):
    """The fraction of electrons that escape at field E [kV/cm] in a module.

    Birks: R = Ab / (1 + kb dEdx/(E lArDensity))  (Amoruso et al., NIM A 523 (2004) 275)
    Box:   R = ln(alpha + xi)/xi, xi = beta dEdx/(E lArDensity), at least 0  (Acciarri et al., JINST 8 P08005)
    Another number is no model and gives NaN.
    """
    T = type(dEdx)
    field = E * parameters[module, LAR_DENSITY]
    if model == BIRKS:
        return parameters[module, AB] / (T(1.0) + parameters[module, KB] * dEdx / field)
    if model == BOX:
        xi = parameters[module, BETA] * dEdx / field
        if parameters[module, ALPHA] + xi <= T(1.0):
            return T(0.0)
        return math.log(parameters[module, ALPHA] + xi) / xi
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

"""Adjoint of quench."""

import math

from lartpc.kernels.charge.quench import BIRKS, recombination
from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import AB, ALPHA, BETA, KB, LAR_DENSITY, MEV_TO_ELECTRONS


@kernel("grad_step_dE", "grad_step_dEdx", "grad_step_field", "grad_parameters", light=True)
def quench_adjoint(
    i,
    # forward inputs
    step_dE,
    step_dEdx,
    step_field,
    parameters,
    step_module,
    model,
    # gradients of outputs
    grad_electrons,
    # gradients of inputs
    grad_step_dE,
    grad_step_dEdx,
    grad_step_field,
    grad_parameters,
):
    """Gradients of step i; grad_parameters (n_steps, n_parameters) by those of its module. electrons = R dE W, with

    x = dEdx/(E lArDensity): dx/d(dEdx) = x/dEdx, dx/dE = -x/E, dx/d(lArDensity) = -x/lArDensity
    Birks, D = 1 + kb x: dR/dAb = 1/D, dR/dkb = -R x/D, dR/dx = -R kb/D
    Box, xi = beta x, A = alpha + xi: dR/dalpha = 1/(A xi), dR/dxi = (1/A - R)/xi; 0 where R is at its floor
    """
    T = type(step_dE[i])
    module = step_module[i]
    W = parameters[module, MEV_TO_ELECTRONS]
    field = step_field[i] * parameters[module, LAR_DENSITY]
    x = step_dEdx[i] / field
    R = recombination(step_dEdx[i], step_field[i], parameters, module, model)
    grad_step_dE[i] += grad_electrons[i] * R * W
    grad_parameters[i, MEV_TO_ELECTRONS] += grad_electrons[i] * R * step_dE[i]
    grad_R = grad_electrons[i] * step_dE[i] * W
    if model == BIRKS:
        D = T(1.0) + parameters[module, KB] * x
        grad_parameters[i, AB] += grad_R / D
        grad_parameters[i, KB] -= grad_R * R * x / D
        grad_x = -grad_R * R * parameters[module, KB] / D
    else:
        xi = parameters[module, BETA] * x
        A = parameters[module, ALPHA] + xi
        if A <= T(1.0):
            return
        grad_xi = grad_R * (T(1.0) / A - math.log(A) / xi) / xi
        grad_parameters[i, ALPHA] += grad_R / (A * xi)
        grad_parameters[i, BETA] += grad_xi * x
        grad_x = grad_xi * parameters[module, BETA]
    grad_step_dEdx[i] += grad_x / field
    grad_step_field[i] -= grad_x * x / step_field[i]
    grad_parameters[i, LAR_DENSITY] -= grad_x * x / parameters[module, LAR_DENSITY]

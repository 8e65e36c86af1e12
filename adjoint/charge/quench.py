"""Adjoint of quench."""

import math

from lartpc.kernels.charge.quench import guarded, recombination
from lartpc.kernels.charge.recombination import BIRKS, BOX, ELLIPSOID
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import AB, ALPHA, ALPHA_EMB, BETA, BETA_90, KB, LAR_DENSITY, MEV_TO_ELECTRONS


# In helpers products keep their order, so that the bits of a model do not depend on what other models there are.
@device
def escaping_adjoint(grad, R, dE, W):
    """Gradients of R dE W by R, dE and W."""
    by = grad * W
    return by * dE, by * R, grad * R * dE


@device
def birks_adjoint(grad_R, R, x, kb):
    """Gradients by Ab, kb and x."""
    T = type(x)
    D = T(1.0) + kb * x
    return grad_R / D, -(grad_R * (R * x)) / D, -(grad_R * (R * kb)) / D


@device
def box_adjoint(grad_R, R, xi, alpha):
    """Gradients by alpha and xi; 0 where R is at its floor or cap."""
    T = type(xi)
    if R == T(0.0) or R == T(1.0):
        return T(0.0), T(0.0)
    A = alpha + xi
    return grad_R / (A * xi), grad_R * (T(1.0) / A - R) / xi


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
    Box and ellipsoidal, xi = beta x, A = alpha + xi: dR/dalpha = 1/(A xi), dR/dxi = (1/A - R)/xi; 0 where R is 0 or 1
    Below 1 MeV/cm these do not depend on dEdx.
    """
    T = type(step_dE[i])
    module = step_module[i]
    field = step_field[i] * parameters[module, LAR_DENSITY]
    dEdx = guarded(step_dEdx[i]) if model == BOX else step_dEdx[i]
    x = dEdx / field
    R = recombination(step_dEdx[i], step_field[i], parameters, module, model)
    W = parameters[module, MEV_TO_ELECTRONS]
    grad_R, by_dE, by_W = escaping_adjoint(grad_electrons[i], R, step_dE[i], W)
    grad_step_dE[i] += by_dE
    grad_parameters[i, MEV_TO_ELECTRONS] += by_W
    if model == BIRKS:
        by_Ab, by_kb, grad_x = birks_adjoint(grad_R, R, x, parameters[module, KB])
        grad_parameters[i, AB] += by_Ab
        grad_parameters[i, KB] += by_kb
    elif model == BOX or model == ELLIPSOID:
        alpha = ALPHA if model == BOX else ALPHA_EMB
        beta = BETA if model == BOX else BETA_90
        by_alpha, by_xi = box_adjoint(grad_R, R, parameters[module, beta] * x, parameters[module, alpha])
        grad_parameters[i, alpha] += by_alpha
        grad_parameters[i, beta] += by_xi * x
        grad_x = by_xi * parameters[module, beta]
    else:
        grad_x = T(math.nan)
    if dEdx == step_dEdx[i]:
        grad_step_dEdx[i] += grad_x / field
    grad_step_field[i] -= grad_x * x / step_field[i]
    grad_parameters[i, LAR_DENSITY] -= grad_x * x / parameters[module, LAR_DENSITY]

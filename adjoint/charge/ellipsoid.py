"""Adjoint of ellipsoid."""

import math

from lartpc.kernels.charge.ellipsoid import axes
from lartpc.kernels.charge.quench import guarded
from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import R_ANISOTROPY


@kernel("grad_step_dEdx", "grad_step_cos", "grad_parameters", light=True)
def ellipsoid_adjoint(
    i,
    # forward inputs
    step_dEdx,
    step_cos,
    parameters,
    step_module,
    # gradients of outputs
    grad_step_dEdx_90,
    # gradients of inputs
    grad_step_dEdx,
    grad_step_cos,
    grad_parameters,
):
    """Gradients of step i; grad_parameters (n_steps, n_parameters) by those of its module.

    y = x/sqrt(s), s = 1 - c^2 + c^2/R^2: dy/dx = 1/sqrt(s), dy/ds = -y/(2 s), ds/dc = -2 c (1 - 1/R^2), ds/dR = -2 c^2/R^3
    """  # noqa: E501  (one line a formula)
    T = type(step_dEdx[i])
    R = parameters[step_module[i], R_ANISOTROPY]
    c = step_cos[i]
    s = axes(c, R)
    scale = T(1.0) / math.sqrt(s)
    dEdx = guarded(step_dEdx[i])
    if dEdx == step_dEdx[i]:
        grad_step_dEdx[i] += grad_step_dEdx_90[i] * scale
    grad = grad_step_dEdx_90[i] * dEdx * scale / s
    grad_step_cos[i] += grad * c * (T(1.0) - T(1.0) / (R * R))
    grad_parameters[i, R_ANISOTROPY] += grad * c * c / (R * R * R)

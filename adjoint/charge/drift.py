"""Adjoint of drift."""

import math

from lartpc.kernels.charge.drift import A0, A1, A2, A3, A4, A5, NEAREST, drift_velocity
from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import LIFETIME, LONG_DIFF, T0_OFFSET, TEMPERATURE, TRAN_DIFF, VDRIFT


@device
def velocity_slope(E, v):
    """dv/dE = v (1/E + N'/N - D'/D) for v = E N/D (...), N and D of the mobility's fraction."""
    T = type(E)
    root = math.sqrt(E)
    N = T(A0) + E * (T(A1) + root * (T(A2) + T(A3) * E))
    D = T(1.0) + E * (T(A1 / A0) + E * (T(A4) + T(A5) * E))
    slope_N = T(A1) + root * (T(1.5 * A2) + T(2.5 * A3) * E)
    slope_D = T(A1 / A0) + E * (T(2.0 * A4) + T(3.0 * A5) * E)
    return v * (T(1.0) / E + slope_N / N - slope_D / D)


@kernel("grad_electrons", "grad_distance", "grad_step_time", "grad_step_field", "grad_parameters", light=True)
def drift_adjoint(
    i,
    # forward inputs
    electrons,
    distance,
    step_field,
    parameters,
    step_module,
    drift_start,
    # forward outputs
    sigma_t,
    sigma_T,
    # gradients of outputs
    grad_charge,
    grad_arrival,
    grad_sigma_t,
    grad_sigma_T,
    # gradients of inputs
    grad_electrons,
    grad_distance,
    grad_step_time,
    grad_step_field,
    grad_parameters,
):
    """Gradients of step i; grad_parameters (n_steps, n_parameters) by those of its module.

    With p = (d - d_r)/v and s = d/v: charge = electrons exp(-p/lifetime), arrival = time + t0_offset + p
    d(charge)/dp = -charge/lifetime, d(charge)/d(lifetime) = charge p/lifetime^2, d(arrival)/dp = 1
    d(sigma_T) = sigma_T (d(tran_diff)/tran_diff + ds/s)/2, d(sigma_t) = sigma_t ((d(long_diff)/long_diff + ds/s)/2 - dv/v)
    dp/dd = ds/dd = 1/v, dp/dv = -p/v, ds/dv = -s/v; below the distance NEAREST s does not depend on d
    dv/d(step_field): `velocity_slope`, dv/d(temperature) = -1.5 v/temperature; dv/d(vdrift) = 1 where that is set
    """  # noqa: E501  (one line a formula)
    T = type(distance[i])
    module = step_module[i]
    v = drift_velocity(step_field[i], parameters, module)
    lifetime = parameters[module, LIFETIME]
    p = (distance[i] - drift_start) / v
    s = max(distance[i], T(NEAREST)) / v
    survival = math.exp(-p / lifetime)
    grad_electrons[i] += grad_charge[i] * survival
    grad_step_time[i] += grad_arrival[i]
    grad_parameters[i, T0_OFFSET] += grad_arrival[i]
    along = grad_charge[i] * electrons[i] * survival / lifetime
    grad_p = grad_arrival[i] - along
    transverse = grad_sigma_T[i] * sigma_T[i]
    longitudinal = grad_sigma_t[i] * sigma_t[i]
    grad_s = T(0.5) * (transverse + longitudinal) / s
    grad_distance[i] += grad_p / v
    if distance[i] > T(NEAREST):
        grad_distance[i] += grad_s / v
    grad_parameters[i, LIFETIME] += along * p / lifetime
    grad_parameters[i, TRAN_DIFF] += T(0.5) * transverse / parameters[module, TRAN_DIFF]
    grad_parameters[i, LONG_DIFF] += T(0.5) * longitudinal / parameters[module, LONG_DIFF]
    grad_v = -(grad_p * p + grad_s * s + longitudinal) / v
    if parameters[module, VDRIFT] != T(0.0):
        grad_parameters[i, VDRIFT] += grad_v
    else:
        grad_step_field[i] += grad_v * velocity_slope(step_field[i], v)
        grad_parameters[i, TEMPERATURE] -= grad_v * T(1.5) * v / parameters[module, TEMPERATURE]

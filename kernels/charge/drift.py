"""Drift: when the electrons of a step arrive, how many survive and how far they spread."""

import math

from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import LIFETIME, LONG_DIFF, T0_OFFSET, TEMPERATURE, TRAN_DIFF, VDRIFT

# Li et al., NIM A 816 (2016) 160, equation 3: coefficients of the mobility, E in kV/cm.
A0 = 551.6
A1 = 7158.3
A2 = 4440.43
A3 = 4.29
A4 = 43.63
A5 = 0.2053
T0 = 89.0  # K

NEAREST = 0.01  # distance [cm] below which the spread does not shrink any more


@device
def drift_velocity(E, parameters, module):
    """v [cm/us] at field E [kV/cm]: the module's vdrift, or where that is 0, mu E with the mobility of Li et al.

    mu = (a0 + a1 E + a2 E^1.5 + a3 E^2.5)/(1 + (a1/a0) E + a4 E^2 + a5 E^3) (T/89 K)^-1.5 / 1000 [cm^2/(kV us)]
    """
    T = type(E)
    if parameters[module, VDRIFT] != T(0.0):
        return parameters[module, VDRIFT]
    root = math.sqrt(E)
    numerator = T(A0) + E * (T(A1) + root * (T(A2) + T(A3) * E))
    denominator = T(1.0) + E * (T(A1 / A0) + E * (T(A4) + T(A5) * E))
    cold = T(T0) / parameters[module, TEMPERATURE]
    return numerator / denominator * E * cold * math.sqrt(cold) / T(1000.0)


@kernel("charge", "arrival", "sigma_t", "sigma_T", light=True)
def drift(
    i,
    electrons,
    distance,
    step_time,
    step_field,
    parameters,
    step_module,
    drift_start,
    charge,
    arrival,
    sigma_t,
    sigma_T,
):
    """Charge, arrival time and spread of step i at the height d_r where the response begins.

    charge = electrons exp(-(d - d_r)/(v lifetime)),  arrival = time + t0_offset + (d - d_r)/v
    sigma_T = sqrt(2 tran_diff d/v),  sigma_t = sqrt(2 long_diff d/v)/v

    electrons [e], distance d [cm], step_time [us], step_field [kV/cm], each (n_steps,); drift_start d_r [cm];
    parameters (n_modules, n_parameters), step_module (n_steps,);
    charge [e], arrival [us], sigma_t [us], sigma_T [cm], each (n_steps,).
    """
    T = type(distance[i])
    module = step_module[i]
    v = drift_velocity(step_field[i], parameters, module)
    drift_time = (distance[i] - drift_start) / v
    charge[i] = electrons[i] * math.exp(-drift_time / parameters[module, LIFETIME])
    arrival[i] = step_time[i] + parameters[module, T0_OFFSET] + drift_time
    spread_time = max(distance[i], T(NEAREST)) / v
    sigma_T[i] = math.sqrt(T(2.0) * parameters[module, TRAN_DIFF] * spread_time)
    sigma_t[i] = math.sqrt(T(2.0) * parameters[module, LONG_DIFF] * spread_time) / v

"""What both dense baselines share, in JAX: the physics of a point charge and of the response, the loss of loss.py.

Fit parameters are a vector in the order of `SIX`; all others are nominal.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from loss import SCALE

from lartpc.fit.calibrate import SIX
from lartpc.parameters import Parameters

NOMINAL = Parameters()
MOBILITY = (551.6, 7158.3, 4440.43, 4.29, 43.63, 0.2053)  # Li et al., NIM A 816 (2016) 160


def vector(parameters, dtype):
    """The six fit parameters of a `Parameters`, (6,)."""
    return np.array([getattr(parameters, name) for name in SIX], dtype=dtype)


def birks(parameters, dEdx):
    """Share of electrons that escape recombination."""
    return parameters[0] / (1.0 + parameters[1] * dEdx / (parameters[2] * NOMINAL.lArDensity))


def velocity(parameters):
    """Drift velocity [cm/us]."""
    E = parameters[2]
    a0, a1, a2, a3, a4, a5 = MOBILITY
    numerator = a0 + E * (a1 + jnp.sqrt(E) * (a2 + a3 * E))
    denominator = 1.0 + E * (a1 / a0 + E * (a4 + a5 * E))
    return numerator / denominator * E * (89.0 / NOMINAL.temperature) ** 1.5 / 1000.0


def drift(parameters, distance, drift_start):
    """Drift time to `drift_start` [us], survival, sigma_T [cm] and sigma_t [us] at `distance` [cm] from the anode."""
    v = velocity(parameters)
    drift_time = (distance - drift_start) / v
    spread = jnp.maximum(distance, 0.01) / v
    sigma_T = jnp.sqrt(2.0 * parameters[5] * spread)
    sigma_t = jnp.sqrt(2.0 * parameters[4] * spread) / v
    return drift_time, jnp.exp(-drift_time / parameters[3]), sigma_T, sigma_t


def response(x, y):
    """Weight a, fast b [us], slow c [us] and shift s [us] at x, y >= 0 [cm] from the pixel's centre."""
    sums, product, squares = x + y, x * y, x * x + y * y
    a = jnp.minimum(1.060 - 0.909 * sums + 5.856 * product + 0.207 * squares, 1.0)
    b = 0.679 - 1.083 * sums + 8.772 * product - 5.521 * squares
    c = 2.644 - 9.174 * sums + 13.483 * product + 45.887 * squares
    s = 2.948 - 2.705 * sums + 4.825 * product + 20.814 * squares
    return a, b, c, s


def loss(current, weights):
    """The scalar that is compared and timed."""
    return jnp.sum(current * (weights + (0.5 / SCALE**2) * current))


class Program:
    """A dense program on batches: `current(parameters, data)` gives the samples of one; data["weights"] are theirs.

    tensor_MB: what the publication estimates for all of it at once.
    """

    def __init__(self, current, batches, tensor_MB=None):
        self.batches = batches
        self.tensor_MB = tensor_MB
        self.current = jax.jit(current)
        value = lambda parameters, data: loss(current(parameters, data), data["weights"])  # noqa: E731
        self.functions = {"forward": jax.jit(value), "gradient": jax.jit(jax.value_and_grad(value))}

    def compile(self, kind, parameters):
        """Compile; returns seconds and the memory [MB] that XLA plans for arrays."""
        started = time.perf_counter()
        self.functions[kind] = self.functions[kind].lower(parameters, self.batches[0]).compile()
        seconds = time.perf_counter() - started
        plan = self.functions[kind].memory_analysis()
        data = plan.argument_size_in_bytes * len(self.batches)
        return seconds, (data + plan.temp_size_in_bytes + plan.output_size_in_bytes) / 1e6

    def value(self, parameters):
        return sum(float(self.functions["forward"](parameters, data)) for data in self.batches)

    def value_and_gradient(self, parameters):
        parts = [jax.device_get(self.functions["gradient"](parameters, data)) for data in self.batches]
        return sum(float(v) for v, _ in parts), np.sum([g for _, g in parts], axis=0, dtype=np.float64)

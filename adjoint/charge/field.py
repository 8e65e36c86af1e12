"""Adjoint of field."""

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import EFIELD


@kernel("grad_parameters", light=True)
def field_adjoint(
    i,
    # gradients of outputs
    grad_step_field,
    # gradients of inputs
    grad_parameters,
):
    """grad_parameters (n_steps, n_parameters) of step i, by those of its module: d(step_field)/d(eField) = 1."""
    grad_parameters[i, EFIELD] += grad_step_field[i]

"""Adjoint of gather."""

from lartpc.kernels.runtime.launch import kernel


@kernel("grad_values", light=True)
def gather_adjoint(
    i,
    # forward inputs
    place,
    # gradients of outputs
    grad_module_parameters,
    # gradients of inputs
    grad_values,
):
    """Gradient of value i: the sum over the places that it was assigned to."""
    for module in range(place.shape[0]):
        for k in range(place.shape[1]):
            if place[module, k] == i:
                grad_values[i] += grad_module_parameters[module, k]

"""Adjoint of gather."""

from lartpc.kernels.runtime.launch import kernel


@kernel("grad_values", light=True)
def gather_adjoint(
    i,
    # forward inputs
    slot,
    # gradients of outputs
    grad_module_parameters,
    # gradients of inputs
    grad_values,
):
    """Gradient of value i: the sum over the slots that it fills."""
    for module in range(slot.shape[0]):
        for k in range(slot.shape[1]):
            if slot[module, k] == i:
                grad_values[i] += grad_module_parameters[module, k]

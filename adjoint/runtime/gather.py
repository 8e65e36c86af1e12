"""Adjoint of gather."""

from lartpc.kernels.runtime.launch import kernel


@kernel("grad_values", light=True, lanes=256, sums=("grad_values",))
def gather_adjoint(
    i,
    lane,
    lanes,
    # forward inputs
    slot,
    # gradients of outputs
    grad_module_parameters,
    # gradients of inputs
    grad_values,
):
    """Gradient of value i: the sum over the slots that it fills, in modules, or pixels with parameters of their own."""
    for module in range(lane, slot.shape[0], lanes):
        for k in range(slot.shape[1]):
            if slot[module, k] == i:
                grad_values[i, lane] += grad_module_parameters[module, k]

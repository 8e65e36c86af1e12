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


@kernel("partial", light=True, lanes=256)
def gather_lanes_adjoint(i, lane, lanes, slot, grad_module_parameters, partial):
    """What every lanes-th module brings to value i, (n_values, lanes)."""
    total = type(partial[i, lane])(0.0)
    for module in range(lane, slot.shape[0], lanes):
        for k in range(slot.shape[1]):
            if slot[module, k] == i:
                total += grad_module_parameters[module, k]
    partial[i, lane] = total


@gather_adjoint.on_cuda
def gather_adjoint_in_parts(threads, xp, slot, grad_module_parameters, grad_values):
    """`gather_adjoint`: the modules are as many as pixels where these have parameters of their own."""
    partial = xp.zeros((threads, gather_lanes_adjoint.lanes), dtype=grad_values.dtype)
    gather_lanes_adjoint(threads, slot=slot, grad_module_parameters=grad_module_parameters, partial=partial)
    grad_values += partial.sum(axis=1)

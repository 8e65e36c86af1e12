"""Gather: the parameters of each module, of values that are common to several and those of single ones."""

from lartpc.kernels.runtime.launch import kernel


@kernel("module_parameters", light=True)
def gather(i, values, slot, module_parameters):
    """module_parameters[i, k] = values[slot[i, k]]: row i of (n_modules, n_parameters); values (n_values,)."""
    for k in range(slot.shape[1]):
        module_parameters[i, k] = values[slot[i, k]]

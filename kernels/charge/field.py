"""Field: the drift field at every step."""

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import EFIELD


@kernel("step_field", light=True)
def field(i, parameters, step_module, step_field):
    """The uniform field of a module: step_field (n_steps,) [kV/cm] = eField of the module of step i.

    parameters (n_modules, n_parameters); step_module (n_steps,).
    """
    step_field[i] = parameters[step_module[i], EFIELD]

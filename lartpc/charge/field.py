"""The drift field at the deposits."""

from typing import Any, NamedTuple

from lartpc.arrays import namespace
from lartpc.contracts import Deposits, Launch
from lartpc.kernels.charge.field import field


class Uniform(NamedTuple):
    """The same field everywhere in a module, along the drift axis: its parameter eField. A `contracts.Field`."""

    parameters: Any  # (n_modules, n_parameters), in the order of `kernels.runtime.slots`

    def at(self, deposits: Deposits, launch: Launch) -> Any:
        n = len(deposits.module)
        strength = namespace(deposits.dE).empty(n, dtype=self.parameters.dtype)
        launch(field, n, parameters=self.parameters, step_module=deposits.module, step_field=strength)
        return strength

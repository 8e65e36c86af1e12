"""The charge that tracks leave, and back."""

import numpy as np

from lartpc.charge.recombination import RECOMBINATION
from lartpc.kernels.charge.quench import escaping, recombination
from lartpc.kernels.runtime.slots import EFIELD
from lartpc.parameters import Parameters

DEDX = np.geomspace(0.5, 100.0, 300)  # [MeV/cm] of the table


def stopping_of(charge: np.ndarray, parameters: Parameters, model: str) -> np.ndarray:
    """dE/dx [MeV/cm] of tracks across the field that free `charge` [e/cm] (n,), by a model of `RECOMBINATION`.

    Inverts charge = R(dE/dx) dE/dx MeVToElectrons, which rises with dE/dx, between 0.5 and 100 MeV/cm. The parameters
    are those of all modules.
    """
    table, number = parameters.vector(np.float64)[None], RECOMBINATION[model].number
    freed = [escaping(recombination(dEdx, table[0, EFIELD], table, 0, number), dEdx, table, 0) for dEdx in DEDX]
    return np.interp(charge, freed, DEDX)


def freed_per_MeV(dEdx: float, table: np.ndarray, model: str) -> np.ndarray:
    """Electrons that escape [e/MeV] in each module (n_modules,), of a deposit of `dEdx` [MeV/cm] across the field.

    table (n_modules, n_parameters), see `Parameters.table`; model: of `RECOMBINATION`.
    """
    number = RECOMBINATION[model].number
    rows = enumerate(table)
    return np.array([escaping(recombination(dEdx, row[EFIELD], table, m, number), 1.0, table, m) for m, row in rows])

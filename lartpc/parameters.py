"""The parameters of the charge chain: meaning, unit, nominal value, range; one name for one thing everywhere."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lartpc.checks import as_number, nearest
from lartpc.exceptions import InputError
from lartpc.kernels.runtime import slots


class Parameter(NamedTuple):
    """One row of `TABLE`; `range` is where detectors are found, and where a fit looks."""

    meaning: str
    unit: str
    nominal: float
    range: tuple[float, float]


TABLE: dict[str, Parameter] = {
    "Ab": Parameter("Birks A_B", "", 0.8, (0.78, 0.88)),
    "kb": Parameter("Birks k_B", "(kV/cm)(g/cm^2)/MeV", 0.0486, (0.04, 0.07)),
    "eField": Parameter("drift field", "kV/cm", 0.5, (0.45, 0.55)),
    "lifetime": Parameter("electron lifetime", "us", 2200.0, (500.0, 5000.0)),
    "long_diff": Parameter("longitudinal diffusion coefficient", "cm^2/us", 4.0e-6, (2e-6, 9e-6)),
    "tran_diff": Parameter("transverse diffusion coefficient", "cm^2/us", 8.8e-6, (4e-6, 14e-6)),
    "vdrift": Parameter("drift velocity, where not linked to the field", "cm/us", 0.1596, (0.14, 0.18)),
    "alpha": Parameter("Box recombination alpha", "", 0.93, (0.85, 1.1)),
    "beta": Parameter("Box recombination beta", "(kV/cm)(g/cm^2)/MeV", 0.207, (0.18, 0.22)),
    "MeVToElectrons": Parameter("1 / W_ion", "e/MeV", 4.237e4, (3.48e4, 5.13e4)),
    "lArDensity": Parameter("density of liquid argon", "g/cm^3", 1.38, (1.37, 1.41)),
    "temperature": Parameter("temperature of liquid argon", "K", 87.17, (84.0, 92.0)),
    "alpha_emb": Parameter("ellipsoidal recombination alpha", "", 0.904, (0.85, 0.96)),
    "beta_90": Parameter("ellipsoidal recombination beta at 90 degrees", "(kV/cm)(g/cm^2)/MeV", 0.204, (0.18, 0.23)),
    "R_anisotropy": Parameter("ellipsoidal recombination beta at 0 over that at 90 degrees", "", 1.25, (1.0, 1.5)),
}
# Of these a module may have a value of its own, named as in eField.0, modules counted from 0.
SINGLE = ("eField", "lifetime")
# Beyond these no detector works: much wider than the ranges, so that a fit may wander; they catch wrong units.
_LIMITS: dict[str, tuple[float, float]] = {
    "Ab": (0.0, 2.0),
    "kb": (0.0, 1.0),
    "eField": (0.0, 10.0),
    "lifetime": (0.0, 1e9),
    "long_diff": (0.0, 1e-3),
    "tran_diff": (0.0, 1e-3),
    "vdrift": (0.0, 2.0),
    "alpha": (0.0, 10.0),
    "beta": (0.0, 10.0),
    "MeVToElectrons": (0.0, 1e6),
    "lArDensity": (0.0, 2.0),
    "temperature": (83.0, 151.0),  # triple and critical point of argon
    "alpha_emb": (0.0, 10.0),
    "beta_90": (0.0, 10.0),
    "R_anisotropy": (0.0, 10.0),
}


def common_name(name: str) -> str:
    """`name` without the number of its module."""
    return name.partition(".")[0]


def parameter(name: str) -> Parameter:
    """The row of `TABLE` of a parameter, also of one of a single module."""
    return TABLE[common_name(name)]


def is_known(name: str) -> bool:
    """Whether `name` is that of a parameter, or of one of a single module, whose number has one way to be written."""
    common, single, module = name.partition(".")
    return common in TABLE and (not single or (common in SINGLE and bool(re.fullmatch("0|[1-9][0-9]{0,8}", module))))


def module_of(name: str) -> int:
    """The module in the name of a single module's parameter."""
    return int(name.partition(".")[2])


def check_parameter(name: str, value: Any, what: str) -> float:
    """`value` of parameter `name` as a float; raises InputError, its line beginning with `what`, where not sane."""
    low, high = _LIMITS[common_name(name)]
    number = as_number(value)
    if number is None or not math.isfinite(number) or not low < number <= high:
        unit = f" [{parameter(name).unit}]" if parameter(name).unit else ""
        raise InputError(f"{what}: found {value!r}, allowed is a number above {low:g} and up to {high:g}{unit}")
    return number


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Values of the parameters of the charge chain; names are larnd-sim's, units are those of `TABLE`.

    `vdrift` None: the drift velocity follows from `eField` and `temperature` (mobility of Li et al.,
    Nucl. Instrum. Meth. A 816 (2016) 160). `modules`: values of single modules, {"eField.0": 0.49}; the others have the
    common one. Raises InputError for what is no finite number or not physical, and unknown names in `modules`.
    """

    Ab: float = TABLE["Ab"].nominal
    kb: float = TABLE["kb"].nominal
    eField: float = TABLE["eField"].nominal
    lifetime: float = TABLE["lifetime"].nominal
    long_diff: float = TABLE["long_diff"].nominal
    tran_diff: float = TABLE["tran_diff"].nominal
    vdrift: float | None = None
    alpha: float = TABLE["alpha"].nominal
    beta: float = TABLE["beta"].nominal
    MeVToElectrons: float = TABLE["MeVToElectrons"].nominal
    lArDensity: float = TABLE["lArDensity"].nominal
    temperature: float = TABLE["temperature"].nominal
    alpha_emb: float = TABLE["alpha_emb"].nominal
    beta_90: float = TABLE["beta_90"].nominal
    R_anisotropy: float = TABLE["R_anisotropy"].nominal
    modules: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in slots.PARAMETERS:
            value = getattr(self, name)
            if name != "vdrift" or value is not None:
                object.__setattr__(self, name, check_parameter(name, value, f"parameter {name}"))
        for name in self.modules:
            if not is_known(name) or name in TABLE:
                raise InputError(f"parameter {name}: allowed for single modules are {_of_modules()}")
        ordered = sorted(self.modules, key=lambda name: (SINGLE.index(common_name(name)), module_of(name)))
        own = {name: check_parameter(name, self.modules[name], f"parameter {name}") for name in ordered}
        object.__setattr__(self, "modules", own)

    def replace(self, **values: Any) -> Parameters:
        """A copy with some values changed: eField is that of all modules, eField.0 that of one.

        InputError for an unknown name, naming the nearest known one.
        """
        for name in values:
            if not is_known(name):
                raise InputError(
                    f"parameter {name}: not known, nearest is {nearest(name, TABLE)}; known are {', '.join(TABLE)}, "
                    f"and of single modules {_of_modules()}"
                )
        common = {name: value for name, value in values.items() if name in TABLE}
        single = {name: value for name, value in values.items() if name not in TABLE}
        kept = {name: value for name, value in self.modules.items() if common_name(name) not in common}
        return dataclasses.replace(self, **common, modules=kept | single)

    def as_dict(self) -> dict[str, float | None]:
        """Name to value, in the order of the vector: the common values, then those of single modules."""
        return {name: getattr(self, name) for name in slots.PARAMETERS} | self.modules

    @property
    def names(self) -> tuple[str, ...]:
        """What `vector` holds."""
        return (*slots.PARAMETERS, *self.modules)

    def value(self, name: str) -> float | None:
        """The value of a parameter; that of a single module is the common one where the module has none of its own."""
        return self.as_dict().get(name, getattr(self, common_name(name)))

    def apart(self, names: Iterable[str]) -> Parameters:
        """The same, with values of their own for the modules that are named in `names`, as eField.0 is."""
        return dataclasses.replace(
            self, modules={name: self.value(name) for name in names if "." in name} | self.modules
        )

    def vector(self, dtype: Any = np.float32) -> np.ndarray:
        """The values as an array (n_values,), in the order of `names`; a linked `vdrift` is 0 there."""
        return np.array([0.0 if value is None else value for value in self.as_dict().values()], dtype=dtype)

    def place(self, n_modules: int) -> np.ndarray:
        """Where in the vector each module has its values: (n_modules, n_parameters) int64, in the order of the slots.

        InputError where a module is named that there is not.
        """
        place = np.tile(np.arange(len(slots.PARAMETERS)), (n_modules, 1))
        for k, name in enumerate(self.modules, start=len(slots.PARAMETERS)):
            if module_of(name) >= n_modules:
                allowed = "module 0" if n_modules == 1 else f"modules 0 to {n_modules - 1}"
                raise InputError(
                    f"parameter {name}: the detector has no module {module_of(name)}, allowed are {allowed}"
                )
            place[module_of(name), slots.PARAMETERS.index(common_name(name))] = k
        return place

    def table(self, n_modules: int, dtype: Any = np.float64) -> np.ndarray:
        """The values of each module as an array (n_modules, n_parameters), in the order of `kernels.slots`."""
        return self.vector(dtype)[self.place(n_modules)]


def _of_modules() -> str:
    return ", ".join(f"{name}.0, {name}.1 ..." for name in SINGLE)

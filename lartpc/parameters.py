"""The parameters of charge, response and electronics: meaning, unit, nominal value, range; one name everywhere."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lartpc.checks import as_number, nearest, short
from lartpc.exceptions import InputError
from lartpc.kernels.runtime import slots


class Parameter(NamedTuple):
    """One row of `TABLE`."""

    meaning: str
    unit: str
    nominal: float
    range: tuple[float, float]  # where most detectors are found: what a scan covers and closures are drawn from
    bounds: tuple[float, float]  # where any detector may be: how far a fit may go
    limits: tuple[float, float]  # above the first and up to the second; beyond no detector works, as with wrong units
    off: float | None = None  # the value at the lower limit that is allowed besides

    @property
    def scale(self) -> float:
        """A typical size of its changes, for steps and tolerances: the nominal value, or half the range about 0."""
        return self.nominal or 0.5 * (self.range[1] - self.range[0])


_FIELD_UNIT = "(kV/cm)(g/cm^2)/MeV"
TABLE: dict[str, Parameter] = {
    "Ab": Parameter("Birks A_B", "", 0.8, (0.78, 0.88), (0.4, 1.6), (0.0, 2.0)),
    "kb": Parameter("Birks k_B", _FIELD_UNIT, 0.0486, (0.04, 0.07), (1e-3, 0.5), (0.0, 1.0)),
    "eField": Parameter("drift field", "kV/cm", 0.5, (0.45, 0.55), (0.05, 2.0), (0.0, 10.0)),
    "lifetime": Parameter("electron lifetime", "us", 2200.0, (500.0, 5000.0), (1.0, 1e6), (0.0, 1e9)),
    "long_diff": Parameter(
        "longitudinal diffusion coefficient", "cm^2/us", 4.0e-6, (2e-6, 9e-6), (1e-7, 1e-4), (0.0, 1e-3)
    ),
    "tran_diff": Parameter(
        "transverse diffusion coefficient", "cm^2/us", 8.8e-6, (4e-6, 14e-6), (1e-7, 1e-4), (0.0, 1e-3)
    ),
    "vdrift": Parameter(
        "drift velocity, where not linked to the field", "cm/us", 0.1596, (0.14, 0.18), (0.01, 1.0), (0.0, 2.0)
    ),
    "alpha": Parameter("Box recombination alpha", "", 0.93, (0.85, 1.1), (0.1, 3.0), (0.0, 10.0)),
    "beta": Parameter("Box recombination beta", _FIELD_UNIT, 0.207, (0.18, 0.22), (0.01, 1.0), (0.0, 10.0)),
    "MeVToElectrons": Parameter("1 / W_ion", "e/MeV", 4.237e4, (3.48e4, 5.13e4), (1e4, 2e5), (0.0, 1e6)),
    "lArDensity": Parameter("density of liquid argon", "g/cm^3", 1.38, (1.37, 1.41), (1.0, 1.6), (0.0, 2.0)),
    # its limits are triple and critical point of argon
    "temperature": Parameter("temperature of liquid argon", "K", 87.17, (84.0, 92.0), (83.5, 120.0), (83.0, 151.0)),
    "alpha_emb": Parameter("ellipsoidal recombination alpha", "", 0.904, (0.85, 0.96), (0.1, 3.0), (0.0, 10.0)),
    "beta_90": Parameter(
        "ellipsoidal recombination beta at 90 degrees", _FIELD_UNIT, 0.204, (0.18, 0.23), (0.01, 1.0), (0.0, 10.0)
    ),
    "R_anisotropy": Parameter(
        "ellipsoidal recombination beta at 0 over that at 90 degrees", "", 1.25, (1.0, 1.5), (0.2, 5.0), (0.0, 10.0)
    ),
    "induction_scale": Parameter(
        "currents induced on the pixels around the one under a charge, over those of the table of the response",
        "",
        1.0,
        (0.5, 1.5),
        (0.01, 10.0),
        (0.0, 10.0),
    ),
    "t0_offset": Parameter("added to the times of all deposits", "us", 0.0, (-5.0, 5.0), (-1e3, 1e3), (-1e4, 1e4)),
    "buffer_risetime": Parameter(
        "rise time of the front end's buffer", "us", 0.1, (0.02, 1.0), (0.01, 10.0), (0.0, 100.0), 0.0
    ),
    "threshold_offset": Parameter("added to the thresholds", "e", 0.0, (-2000.0, 2000.0), (-4000.0, 2e4), (-1e6, 1e6)),
    "gain_factor": Parameter("factor of the gains", "", 1.0, (0.8, 1.25), (0.1, 10.0), (0.0, 100.0)),
    "pedestal_offset": Parameter("added to the pedestals", "mV", 0.0, (-50.0, 50.0), (-500.0, 500.0), (-1e4, 1e4)),
    "gain": Parameter("gain of the amplifiers of wires", "mV/fC", 14.0, (4.0, 30.0), (1.0, 100.0), (0.0, 1e3)),
    "shaping": Parameter("shaping time of the amplifiers of wires", "us", 2.2, (0.5, 4.0), (0.2, 10.0), (0.0, 20.0)),
}

# Of these a module may have a value of its own, named as in eField.0, modules counted from 0.
SINGLE = ("eField", "lifetime", *slots.ELECTRONICS)
# Of those of the electronics a TPC or a pixel may have one, too: threshold_offset.tpc1, gain_factor.pixel1234.
_OF_CHARGE = "(?:0|[1-9][0-9]{0,8})"
_OF_ELECTRONICS = f"(?:tpc|pixel)?{_OF_CHARGE}"
# Of these an event may have a value of its own, named by its id: t0_offset.event12.
OF_EVENTS = ("t0_offset",)
_EVENT = "event(0|[1-9][0-9]{0,17})"
OF_COUNTS = ("gain_factor", "pedestal_offset")  # act on ADC counts alone
COMMON = (*slots.PARAMETERS, *slots.ELECTRONICS, *slots.AMPLIFIER)
# Without a value these follow: the velocity from the field, what is of the electronics from the detector's description.
LINKED = ("vdrift", "buffer_risetime", *slots.AMPLIFIER)


def common_name(name: str) -> str:
    """`name` without the number of its module or event."""
    return name.partition(".")[0]


def parameter(name: str) -> Parameter:
    """The row of `TABLE` of a parameter, also of one of a single module or event."""
    return TABLE[common_name(name)]


def is_known(name: str) -> bool:
    """Whether `name` is that of a parameter, or of one of a single module, TPC, pixel or event, in the one spelling."""
    common, single, of = name.partition(".")
    if common not in TABLE or not single:
        return common in TABLE
    if common in OF_EVENTS:
        return bool(re.fullmatch(_EVENT, of))
    return common in SINGLE and bool(re.fullmatch(_OF_ELECTRONICS if common in slots.ELECTRONICS else _OF_CHARGE, of))


def single_of(name: str) -> tuple[str, int]:
    """What a parameter of single ones is of: 'module', 'tpc', 'pixel' or 'event', and its number."""
    of = name.partition(".")[2]
    kind = of.rstrip("0123456789")
    return kind or "module", int(of.removeprefix(kind))


def event_of(name: str) -> int | None:
    """The id of the event that a parameter is of, None where it is not of a single event."""
    found = re.fullmatch(_EVENT, name.partition(".")[2]) if ".event" in name else None
    return int(found[1]) if found else None


def check_parameter(name: str, value: Any, what: str) -> float:
    """`value` of parameter `name` as a float; raises InputError, its line beginning with `what`, where not sane."""
    row = parameter(name)
    low, high = row.limits
    number = as_number(value)
    if number is None or not math.isfinite(number) or not (low < number <= high or number == row.off):
        unit = f" [{row.unit}]" if row.unit else ""
        off = "" if row.off is None else f", or {row.off:g}"
        raise InputError(
            f"{what}: found {short(value)}, allowed is a number above {low:g} and up to {high:g}{unit}{off}"
        )
    return number


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Values of the parameters of charge, response and electronics; names are larnd-sim's, units are those of `TABLE`.

    `vdrift` None: the drift velocity follows from `eField` and `temperature` (mobility of Li et al.,
    Nucl. Instrum. Meth. A 816 (2016) 160). `buffer_risetime`, `gain` or `shaping` None: as the detector has it.
    `modules`: values of single modules, {"eField.0": 0.49}, of electronics of single TPCs and pixels, too, and
    {"t0_offset.event12": 0.4} of single events; the others have the common one.
    Raises InputError for what is no finite number or not physical, and unknown names in `modules`.
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
    induction_scale: float = TABLE["induction_scale"].nominal
    t0_offset: float = TABLE["t0_offset"].nominal
    buffer_risetime: float | None = None
    threshold_offset: float = TABLE["threshold_offset"].nominal
    gain_factor: float = TABLE["gain_factor"].nominal
    pedestal_offset: float = TABLE["pedestal_offset"].nominal
    gain: float | None = None
    shaping: float | None = None
    modules: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in COMMON:
            value = getattr(self, name)
            if name not in LINKED or value is not None:
                object.__setattr__(self, name, check_parameter(name, value, f"parameter {name}"))
        for name in self.modules:
            if not is_known(name) or name in TABLE:
                raise InputError(f"parameter {name}: allowed for single modules are {_of_modules()}")
        kinds = (*SINGLE, *OF_EVENTS)
        ordered = sorted(self.modules, key=lambda name: (kinds.index(common_name(name)), single_of(name)))
        own = {name: check_parameter(name, self.modules[name], f"parameter {name}") for name in ordered}
        object.__setattr__(self, "modules", own)

    def replace(self, /, **values: Any) -> Parameters:
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
        return {name: getattr(self, name) for name in COMMON} | dict(self.modules)

    @property
    def of_events(self) -> list[str]:
        """The names of those of single events."""
        return [name for name in self.modules if event_of(name) is not None]

    @property
    def names(self) -> tuple[str, ...]:
        """What `vector` holds."""
        return (*COMMON, *self.modules)

    def value(self, name: str) -> float | None:
        """The value of a parameter; that of a single module is the common one where the module has none of its own."""
        return self.as_dict().get(name, getattr(self, common_name(name)))

    def apart(self, names: Iterable[str]) -> Parameters:
        """The same, with values of their own for the modules that are named in `names`, as eField.0 is."""
        own: dict[str, Any] = {name: self.value(name) for name in names if "." in name}
        return dataclasses.replace(self, modules=own | dict(self.modules))

    def vector(self, dtype: Any = np.float32) -> np.ndarray:
        """The values as an array (n_values,), in the order of `names`; what is linked is 0 there."""
        return np.array([0.0 if value is None else value for value in self.as_dict().values()], dtype=dtype)

    def slots_of_modules(self, n_modules: int) -> np.ndarray:
        """The slots of each module's values in the vector, (n_modules, n_parameters) int64, in the order of `slots`."""
        slot = np.tile(np.arange(len(slots.PARAMETERS)), (n_modules, 1))
        for k, name in enumerate(self.modules, start=len(COMMON)):
            if common_name(name) in slots.PARAMETERS and event_of(name) is None:
                slot[single_of(name)[1], slots.PARAMETERS.index(common_name(name))] = k
        return slot

    def slots_of_events(self, events: np.ndarray, slot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slots of the modules' values in `events` (n,), ids ascending: those of all modules in each are together.

        `slot` (n_modules, n_parameters), as `slots_of_modules` gives, comes first, then those in each event that has
        values of its own: (n_rows, n_parameters); and the row (n,) of module 0 in each event.
        """
        ids = [(event_of(name), name, k) for k, name in enumerate(self.modules, start=len(COMMON))]
        own = [(number, slots.PARAMETERS.index(common_name(name)), k) for number, name, k in ids if number is not None]
        event, column, k = np.array(own, dtype=np.int64).reshape(-1, 3).T
        here = np.isin(event, events)
        which, place = np.unique(event[here], return_inverse=True)
        of_events = np.tile(slot, (len(which), 1, 1))
        of_events[place, :, column[here]] = k[here, None]
        at = np.searchsorted(which, events)
        first = np.where(np.isin(events, which), len(slot) * (1 + at), 0)
        return np.concatenate((slot, of_events.reshape(-1, slot.shape[1]))), first

    def slots_of_electronics(self, **single: np.ndarray) -> np.ndarray:
        """The slots of the values of each pixel's electronics, (n_pixels, 4) int64, as `slots` has them.

        `single`: module, tpc and pixel (n_pixels,) of each; the value of the last of these that has one counts.
        """
        first = len(slots.PARAMETERS)
        slot = np.tile(first + np.arange(len(slots.ELECTRONICS)), (len(single["pixel"]), 1))
        own = [(name, k) for k, name in enumerate(self.modules, start=len(COMMON))]
        for kind in ("module", "tpc", "pixel"):
            for name, k in own:
                if common_name(name) in slots.ELECTRONICS and single_of(name)[0] == kind:
                    column = slots.ELECTRONICS.index(common_name(name))
                    slot[single[kind] == single_of(name)[1], column] = k
        return slot

    def check_single(self, **count: int) -> None:
        """Raise InputError where a module, tpc or pixel is named of which the detector has no such number (`count`)."""
        for name in self.modules:
            kind, number = single_of(name)
            if kind in count and number >= count[kind]:
                word = {"tpc": "TPC"}.get(kind, kind)
                allowed = f"{word} 0" if count[kind] == 1 else f"{word}s 0 to {count[kind] - 1}"
                raise InputError(f"parameter {name}: the detector has no {word} {number}, allowed are {allowed}")

    def table(self, n_modules: int, dtype: Any = np.float64) -> np.ndarray:
        """The values of each module as an array (n_modules, n_parameters), in the order of `kernels.runtime.slots`."""
        return self.vector(dtype)[self.slots_of_modules(n_modules)]


def _of_modules() -> str:
    of_events = ", ".join(f"{name}.event0 ..." for name in OF_EVENTS)
    return ", ".join(f"{name}.0, {name}.1 ..." for name in SINGLE) + f", and of single events {of_events}"

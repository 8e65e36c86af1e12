"""What the rooms know of each other: shapes and units of what goes from one to the next, and how kernels are launched.

Arrays are NumPy's or CuPy's; n deposits or clouds, one of each a step.
"""

from __future__ import annotations

from typing import Any, Protocol


class Launch(Protocol):
    """Runs kernels, all arguments by name; arrays that are no arguments of the kernel are for its adjoint alone."""

    def __call__(self, kernel: Any, threads: int, *, adjoint_threads: int | None = None, **arrays: Any) -> Any:
        """`adjoint_threads`: of the adjoint, where not `threads`."""


class Deposits(Protocol):
    """Energy deposits, points along segments in the TPCs; columns (n,)."""

    @property
    def segment(self) -> Any: ...  # int64, index into the batch's segments
    @property
    def tpc(self) -> Any: ...  # int64, TPC
    @property
    def module(self) -> Any: ...  # int64, row of the parameters: that of its module, or of its module in its event
    @property
    def column(self) -> Any: ...  # int64, of the pixel on the TPC's plane, or where it would be beyond it
    @property
    def row(self) -> Any: ...  # likewise
    @property
    def x(self) -> Any: ...  # from the lower corner of that pixel [cm]
    @property
    def y(self) -> Any: ...  # likewise
    @property
    def distance(self) -> Any: ...  # to the anode [cm]
    @property
    def dE(self) -> Any: ...  # [MeV]
    @property
    def dEdx(self) -> Any: ...  # [MeV/cm]
    @property
    def time(self) -> Any: ...  # from the segment's whole tick [us]


class Clouds(Protocol):
    """Clouds of electrons where the response begins; columns (n,)."""

    @property
    def segment(self) -> Any: ...  # int64, index into the batch's segments
    @property
    def tpc(self) -> Any: ...  # int64, TPC
    @property
    def module(self) -> Any: ...  # int64, as that of the deposit
    @property
    def column(self) -> Any: ...  # int64, of the pixel on the TPC's plane, or where it would be beyond it
    @property
    def row(self) -> Any: ...  # likewise
    @property
    def x(self) -> Any: ...  # from the lower corner of that pixel [cm]
    @property
    def y(self) -> Any: ...  # likewise
    @property
    def distance(self) -> Any: ...  # from the anode, where the deposit was [cm]
    @property
    def charge(self) -> Any: ...  # [e]
    @property
    def arrival(self) -> Any: ...  # from the segment's whole tick [us]
    @property
    def sigma_t(self) -> Any: ...  # spread along the drift [us]
    @property
    def sigma_T(self) -> Any: ...  # spread across the drift [cm]


class Field(Protocol):
    """The drift field. Its launches carry gradients back to whatever it depends on."""

    def at(self, deposits: Deposits, launch: Launch) -> Any:
        """The field at every deposit (n,) [kV/cm]."""


class Readout(Protocol):
    """Channels (pixels, wires, sensors) and the currents that clouds induce on them."""

    @property
    def reach(self) -> int: ...  # by which batches are smaller, where clouds reach more channels than their own
    @property
    def name(self) -> str: ...  # of its response
    @property
    def parameters(self) -> tuple[str, ...]: ...  # of `slots.RESPONSE`, those that act with it

    def currents(
        self, clouds: Clouds, batch: Any, parameters: Any, settle: int, launch: Launch
    ) -> tuple[Any, Any, Any]:
        """Current of every channel that sees charge [e/us], `Pairs` and `Windows`, which go on for `settle` ticks.

        parameters (n_modules, n_parameters), row by `Clouds.module`.
        """


class PixelReadout(Readout, Protocol):
    """A readout of which rows of a Jacobian are found channel by channel."""

    @property
    def conserved(self) -> bool: ...  # whether currents are scaled so that each window has the charge it was given

    def slopes(self, forward: dict[str, dict[str, Any]], columns: list[int], places: bool) -> dict[str, Any]:
        """What rows of a Jacobian need: how the launches `forward` of `currents` change with each cloud.

        With its x and y, too, where `places` are asked for, and with those of its parameters that are among `columns`,
        the columns of parameters that are asked for.
        """


class Unknowns(Protocol):
    """What a fit varies: n numbers, which optimizers, uncertainties and results know by these alone."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def units(self) -> tuple[str, ...]: ...
    @property
    def start(self) -> Any: ...  # (n,)
    @property
    def bounds(self) -> Any: ...  # (n, 2)
    @property
    def scale(self) -> Any: ...  # (n,) typical size of their changes
    @property
    def constraints(self) -> Any: ...  # what is known of them besides the target
    @property
    def reach(self) -> Any: ...  # (n,) the longest step by which a linear model may be believed

    def size(self, values: Any) -> Any:
        """What changes of `values` (n,) are told relative to (n,), above 0."""


class ChainUnknowns(Unknowns, Protocol):
    """Unknowns of one chain from segments to hits, and what they are in it."""

    @property
    def slots(self) -> Any: ...  # (n,) int64, of the chain's vector, by which derivatives are taken

    def apply(self, values: Any) -> Any:
        """The vector of the chain's parameters (n_values,) with the unknowns at `values` (n,)."""

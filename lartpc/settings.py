"""How finely the integrals of the model are evaluated; the defaults keep every waveform within 1e-3 of its peak."""

from typing import NamedTuple


class Settings(NamedTuple):
    """Numerical settings, none of them physics."""

    step_length: float = 3.0  # three points of a segment stand for this many nominal diffusion widths
    width: float = 4.0  # transverse standard deviations after which a step's charge is cut (and normalised)
    nodes: int = 10  # quadrature nodes over the whole width of a step's charge, along each axis
    precision: float = 1e-4  # of the parametric response's tables, relative to its peak
    lookback: float = 24.0  # how far back of its edge a response is followed [us]
    block: int = 16  # ticks: windows are whole numbers of blocks
    steps_per_batch: int = 8192  # whole events are simulated together up to about so many; on CUDA, as memory allows

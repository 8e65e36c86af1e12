"""What the kernels need of wires and their response, as arrays of the device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import aligned, namespace
from lartpc.blas import one_blas_thread
from lartpc.charge.velocity import velocity_of
from lartpc.detector.waveforms import Electronics
from lartpc.detector.wires import WireDetector
from lartpc.exceptions import InputError
from lartpc.response.lattice import LANES, Lattice, make_lattice
from lartpc.wires.fieldresponse import FieldResponse
from lartpc.wires.shaping import Shaping, make_shaping

COARSE = 2048.0  # parts of a pitch by which coarse numbers of `places` are told: any sum of them has less than 24 bits
FIRST_LAG = -1  # of waveforms, as they are sharpened
SAME_VELOCITY = 0.05  # relative, by which a response's may differ from that of the detector's field: models do by 2 %
FARTHEST = 0.3  # relative, of a shaping time from that of the tables: errors are 3e-4 of the peak there
SAME_PITCH = 0.02  # relative, by which a response's pitch may differ from the plane's: responses have one of all planes


class WireTables(NamedTuple):
    """Planes and responses; see `kernels.wires.share_wires` and `couple_wires`."""

    per_tpc: int  # planes of a TPC
    bins: int  # a pitch
    reach: int  # wires on either side
    per_tick: int  # sites a tick
    first_lag: int  # of all waveforms [sites]
    last_lag: int
    places: Any  # (n_planes, 9)
    plane_wires: Any  # (n_planes, 5) int64
    of_channel: Any  # (n_channels,) int64, the table of each: those of one response after those of another
    space: Any  # (n_tables, (2 reach + 1) bins, rank)
    lattice: Lattice  # a table for each response and kind of plane, of the same lags and ranks [mV/e]
    shapings: tuple[Shaping, ...]  # of which they are made, one a response

    def amplified(self, gain: float, shaping: float) -> WireTables:
        """The same at a gain [mV/fC] and a shaping time [us]; itself where they are those of the tables, rounded.

        Raises FloatingPointError where the shaping time is further from that of the tables than their functions of
        place allow.
        """
        own, dtype = self.shapings[0].electronics, self.space.dtype
        if not is_near(shaping, own.shaping):
            most = f"{100.0 * FARTHEST:g} %"
            raise FloatingPointError(
                f"shaping {shaping:g} us is more than {most} from that of the simulation, {own.shaping:g}"
            )
        if np.array_equal(np.array((gain, shaping), dtype), np.array((own.gain, own.shaping), dtype)):
            return self
        waveforms = [one for made in self.shapings for one in made.waveforms(gain, shaping)]
        return self._replace(lattice=self.lattice._replace(basis=self._basis(waveforms)))

    def by_shaping(self, gain: float, shaping: float) -> Any:
        """Derivatives of `lattice.basis` by the shaping time [mV/e/us]."""
        return self._basis([one for made in self.shapings for one in made.slopes(gain, shaping)])

    def _basis(self, waveforms: list[np.ndarray]) -> Any:
        """Of waveforms of each table (rank, lags), as `make_lattice` has it."""
        xp, basis = namespace(self.space), np.zeros(self.lattice.basis.shape)
        for latest_first, waveform in zip(basis.reshape(len(basis), -1, self.space.shape[2]), waveforms, strict=True):
            latest_first[len(latest_first) - waveform.shape[1] :, : len(waveform)] = waveform.T[::-1]
        return aligned(xp.asarray(basis.astype(self.space.dtype)))


def is_near(shaping: float, own: float) -> bool:
    """Whether tables of the shaping time `own` may be those of another one."""
    return abs(shaping / own - 1.0) <= FARTHEST * (1.0 + 1e-6)  # of values in single precision


@one_blas_thread
def make_wire_tables(
    detector: WireDetector,
    responses: Sequence[FieldResponse],
    electronics: Electronics,
    per_tick: int,
    dtype: Any,
    xp: Any,
) -> WireTables:
    """Tables of a detector and the field responses of its planes behind `electronics`, at `per_tick` sites a tick.

    responses: the usual one, and those of the detector's `others`, of as many bins and wires. Raises InputError where
    one has another number of planes, another pitch or velocity, or begins at another height.
    """
    for one in responses:
        check_response(detector, one)
    shapings = tuple(make_shaping(one, electronics, detector.tick / per_tick) for one in responses)
    made = [(plane.space, plane.waveform) for shaping in shapings for plane in shaping.planes]
    spaces, waveforms = zip(*made, strict=True)
    n, rank = len(spaces), -(-max(space.shape[1] for space in spaces) // LANES) * LANES
    lags = max(one.shape[1] for one in waveforms)
    space = np.stack([np.pad(one, ((0, 0), (0, rank - one.shape[1]))) for one in spaces])
    filled = [np.pad(one, ((0, rank - len(one)), (0, lags - one.shape[1]))) for one in waveforms]
    none, begin = [np.zeros((rank, 0))] * n, [FIRST_LAG] * n
    lattice = make_lattice(filled, [per_tick] * n, begin, none, np.zeros(0), detector.tick, dtype, xp)
    planes, response = detector.planes, responses[0]
    columns = (planes.wires, planes.first_channel, planes.start, planes.step, planes.wrap)
    return WireTables(
        per_tpc=planes.per_tpc,
        bins=response.bins,
        reach=response.reach,
        per_tick=per_tick,
        first_lag=FIRST_LAG,
        last_lag=FIRST_LAG + lags - 1,
        places=xp.asarray(_places(detector).astype(dtype)),
        plane_wires=xp.asarray(np.stack(columns, axis=1).astype(np.int64)),
        of_channel=xp.asarray(detector.channel_response * planes.per_tpc + detector.channel_kind),
        space=xp.asarray(space.astype(dtype)),
        lattice=lattice,
        shapings=shapings,
    )


def check_response(detector: WireDetector, response: FieldResponse, where: str | os.PathLike = "response") -> None:
    """Raise InputError, beginning with `where`, where a response does not fit a detector's planes or drift field."""
    found, wanted = len(response.current), len(detector.kinds)
    if found != wanted:
        raise InputError(f"{where}: found {found} planes, allowed are those of detector {detector.name}: {wanted}")
    for kind, pitch in zip(detector.kinds, response.pitch, strict=True):
        if abs(pitch / kind.pitch - 1.0) > SAME_PITCH:
            raise InputError(
                f"{where}: plane {kind.name}: found pitch {pitch:g} cm, allowed is that of detector {detector.name}: "
                f"{kind.pitch:g} cm"
            )
    if abs(response.height - detector.drift_start) > 1e-6:
        raise InputError(
            f"{where}: found height {response.height:g} cm, allowed is that of detector {detector.name}: "
            f"{detector.drift_start:g} cm"
        )
    velocity = float(velocity_of(np.array(detector.cage.field), detector.parameters.temperature))
    if abs(response.vdrift / velocity - 1.0) > SAME_VELOCITY:
        raise InputError(
            f"{where}: found vdrift {response.vdrift:g} cm/us, allowed is within {100.0 * SAME_VELOCITY:g} % that of "
            f"detector {detector.name} at {detector.cage.field:g} kV/cm: {velocity:g} cm/us"
        )


def _places(detector: WireDetector) -> np.ndarray:
    """(n_planes, 9) float64, as `share_wires` has them."""
    planes = detector.planes
    across, along = planes.across.T / planes.pitch
    low_x, low_y, cell = (column[planes.tpc] for column in (detector.x_lo, detector.y_lo, detector.pitch))
    exact = (across * cell, along * cell, low_x * across + low_y * along - planes.origin / planes.pitch + 0.5)
    coarse = [np.round(number * COARSE) / COARSE for number in exact]
    both = [part for number, few in zip(exact, coarse, strict=True) for part in (few, number - few)]
    return np.stack((*both, across, along, planes.pitch), axis=1)

"""HDF5 files of LArPix packets with their attribution: what larpix-control, h5flow and larnd-sim users read."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from lartpc.charge.velocity import drift_velocities
from lartpc.data.attribution import STORED, Attribution
from lartpc.data.hits import Hits
from lartpc.data.segments import Segments
from lartpc.detector.channels import Channels
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.edepsim import from_table
from lartpc.formats.eventfile import EventFile
from lartpc.formats.hits_of_packets import Received, find_hits
from lartpc.formats.larndsim_columns import filled_dtype, filled_segments
from lartpc.formats.packets import PACKET, Packets, check_adc
from lartpc.formats.packets_of_hits import Clock, make_packets
from lartpc.kernels.runtime.slots import LIFETIME
from lartpc.parameters import Parameters

VERSION = "2.4"  # of larpix-control's format
ASSOCIATION = np.dtype(
    [
        ("event_ids", "i8", (1,)),
        ("segment_ids", "i8", (STORED,)),
        ("fraction", "f8", (STORED,)),
        ("file_traj_ids", "i8", (STORED,)),
        ("fraction_traj", "f8", (STORED,)),
    ]
)
_MESSAGE = np.dtype([("message", "S64"), ("timestamp", "u8"), ("index", "u4")])
_CONFIG = np.dtype(
    [("timestamp", "u8"), ("io_group", "u1"), ("io_channel", "u1"), ("chip_id", "u1"), ("registers", "u1", (239,))]
)
_TYPES = "data, test, config write, config read, timestamp, message, sync, trigger".split(", ")
# Of edep-sim's converter, for inputs that have none: flow reads these two even when empty.
_IDS = [("event_id", "u4"), ("vertex_id", "u8"), ("file_vertex_id", "u8")]
_EMPTY: dict[str, list[Any]] = {
    "trajectories": [
        *_IDS,
        *(("traj_id", "u4"), ("file_traj_id", "u4"), ("parent_id", "i4"), ("primary", "?")),
        *(("E_start", "f4"), ("pxyz_start", "f4", (3,)), ("xyz_start", "f4", (3,)), ("t_start", "f8")),
        *(("E_end", "f4"), ("pxyz_end", "f4", (3,)), ("xyz_end", "f4", (3,)), ("t_end", "f8")),
        *(("pdg_id", "i4"), ("start_process", "u4"), ("start_subprocess", "u4")),
        *(("end_process", "u4"), ("end_subprocess", "u4"), ("dist_travel", "f4")),
    ],
    "vertices": [*_IDS, *((name, "f4") for name in ("x_vert", "y_vert", "z_vert", "t_vert", "t_event"))],
}


class PacketWriter:
    """Writes packets with their attribution into a new file, some events at a time, and all else that it holds.

    Nothing depends on time or place, so `created` and `modified` are 0. Raises InputError as `check_adc` does.
    """

    def __init__(
        self, file: hdf5.NewFile, deposits: EventFile, channels: Channels, detector: Detector, parameters: Parameters
    ) -> None:
        check_adc(detector)
        self.file, self.channels, self.detector, self.parameters = file, channels, detector, parameters
        self.clock = Clock()
        self.data = self.unread = self.late = 0  # packets of hits, and hits that have none
        header = file.create_group("_header").attrs
        header["created"], header["modified"], header["version"] = 0.0, 0.0, VERSION
        self.packets = file.growing("packets", PACKET)
        self.packets.attrs["packet_types"] = "\n".join(f"{k}: {name!r}," for k, name in enumerate(_TYPES))
        self.associations = file.growing("mc_packets_assn", ASSOCIATION)
        shape, dtype = (deposits.n_segments,), filled_dtype(deposits.dtype)
        self.segments = file.create_dataset("segments", shape, dtype, track_times=False)
        self.segments.attrs["zbeam"] = True
        file.create_dataset("messages", data=np.zeros(0, dtype=_MESSAGE), track_times=False)
        configs = file.create_dataset("configs", data=np.zeros(0, dtype=_CONFIG), track_times=False)
        values = {
            "vdrift": one_or_each(drift_velocities(detector, parameters)),
            "long_diff": parameters.long_diff,
            "tran_diff": parameters.tran_diff,
            "lifetime": one_or_each(parameters.table(detector.n_modules)[:, LIFETIME]),
            "drift_length": abs(detector.z_cathode[0] - detector.z_anode[0]),
            "asic_version": "2",
        }
        for name, value in values.items():
            configs.attrs[name] = value
        deposits.copy_tables(file)
        for name, fields in _EMPTY.items():
            if name not in file:
                file.create_dataset(name, data=np.zeros(0, dtype=fields), track_times=False)

    def append(self, hits: Hits, attribution: Attribution, segments: Segments, index: np.ndarray) -> None:
        """Write events that follow those before; `index`: of their segments among all, as `EventFile.read` gives.

        Raises what writing has failed with.
        """
        packets = make_packets(hits, segments, self.channels, self.detector, self.clock)
        hdf5.append(self.packets, packets.table)
        hdf5.append(self.associations, association(packets, attribution, segments))
        filled = filled_segments(segments, attribution, self.detector, self.parameters)
        hdf5.write_rows(self.segments, index, filled)
        self.data += int((packets.hit >= 0).sum())
        self.unread += packets.unread
        self.late += packets.late
        self.file.check()


def one_or_each(values: np.ndarray) -> float | np.ndarray:
    """The value of all modules, or where they differ that of each."""
    return float(values[0]) if (values == values[0]).all() else values


def association(packets: Packets, attribution: Attribution, segments: Segments) -> np.ndarray:
    """`/mc_packets_assn`: a row a packet, with numbers of segments and trajectories as the file has them."""
    table = np.zeros(len(packets.table), dtype=ASSOCIATION)
    table["event_ids"][:, 0] = packets.event
    data = packets.hit >= 0
    rows = packets.hit[data]
    table["segment_ids"] = table["file_traj_ids"] = -1
    table["segment_ids"][data] = np.append(segments.segment_id, -1)[attribution.segment[rows]]
    table["file_traj_ids"][data] = attribution.trajectory[rows]
    table["fraction"][data], table["fraction_traj"][data] = attribution.fraction[rows], attribution.fraction_traj[rows]
    return table


def has_packets(path: str | os.PathLike) -> bool:
    """Whether an HDF5 file holds packets, and no hits. Raises InputError: no HDF5 file."""
    with hdf5.open_hdf5(path) as file:
        return "packets" in file and "hits" not in file


def read_packets(path: str | os.PathLike, segments: Segments, channels: Channels, detector: Detector) -> Hits:
    """The hits of `/packets`, as `receive` has them."""
    return receive(path, segments, channels, detector)[0]


def receive(
    path: str | os.PathLike, segments: Segments, channels: Channels, detector: Detector, t0: str | None = None
) -> tuple[Hits, Received]:
    """The hits of `/packets`, with the times of `segments` or, where the file has some, of its own, and what else was
    found; `t0`: what zero of time means, see `zeros_of`.

    Events are those of `/mc_packets_assn` where there is one. Raises InputError: no HDF5 file, no packets of
    larpix-control's format 2, and as `find_hits` does.
    """
    with hdf5.open_hdf5(path) as file:
        raw = hdf5.read_table(file, "packets")
        event = None
        if "mc_packets_assn" in file:
            assigned = hdf5.read_table(file, "mc_packets_assn")
            if "event_ids" not in hdf5.fields_of(assigned.dtype) or len(assigned) != len(raw):
                raise InputError(f"{path}: mc_packets_assn: allowed is a row a packet, with a field 'event_ids'")
            event = assigned["event_ids"].astype(np.int64)
            event = event[:, 0] if event.ndim > 1 else event
        own = from_table(hdf5.read_table(file, "segments"), path) if "segments" in file else segments
    table = np.zeros(len(raw), dtype=PACKET)
    for name in hdf5.fields_of(PACKET):
        if name in hdf5.fields_of(raw.dtype):
            table[name] = raw[name]
        elif name not in ("first_packet", "receipt_timestamp"):  # older formats lack these
            raise InputError(f"{path}: packets have no field {name!r}, found {', '.join(hdf5.fields_of(raw.dtype))}")
    if "receipt_timestamp" not in hdf5.fields_of(raw.dtype):
        table["receipt_timestamp"] = np.minimum(table["timestamp"], 2**32 - 1)
    return find_hits(table, event, own, channels, detector, path, t0)

"""HDF5 files of LArPix packets with their attribution: what larpix-control, h5flow and larnd-sim users read."""

from __future__ import annotations

import os

import h5py
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
from lartpc.formats.larndsim_columns import filled_segments
from lartpc.formats.packets import DATA, PACKET, VERSIONS, Packets, Version, check_adc, version_of
from lartpc.formats.packets_of_hits import Clock, make_packets
from lartpc.formats.particles import MADE
from lartpc.kernels.runtime.slots import LIFETIME
from lartpc.parameters import Parameters

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
_READ = np.dtype([(name, "f8" if name == "dataword" else PACKET[name]) for name in hdf5.fields_of(PACKET)])


class PacketWriter:
    """Writes packets with their attribution into a new file, some events at a time, and all else that it holds.

    Packets are of a `version` of `VERSIONS`, by default the detector's; `gzip`: tables are compressed. Nothing depends
    on time or place, so `created` and `modified` are 0. Raises InputError as `version_of` and `check_adc` do.
    """

    def __init__(
        self,
        file: hdf5.NewFile,
        deposits: EventFile,
        channels: Channels,
        detector: Detector,
        parameters: Parameters,
        version: int | None = None,
        gzip: bool = False,
    ) -> None:
        version = version_of(detector, version)
        check_adc(detector, version)
        self.version, self.numbering, of = version, deposits.numbering, VERSIONS[version]
        compression = "gzip" if gzip else None
        self.file, self.channels, self.detector, self.parameters = file, channels, detector, parameters
        self.clock = Clock()
        self.data = self.unread = self.late = 0  # packets of hits, and hits that have none
        header = file.create_group("_header").attrs
        header["created"], header["modified"], header["version"] = 0.0, 0.0, of.hdf5
        self.packets = file.growing("packets", of.dtype, compression=compression)
        self.packets.attrs["packet_types"] = "\n".join(f"{k}: {name!r}," for k, name in enumerate(of.types.split(", ")))
        self.associations = file.growing("mc_packets_assn", ASSOCIATION, compression=compression)
        shape = (deposits.n_segments,)
        chunks = (hdf5.BLOCK,) if gzip and shape[0] > hdf5.BLOCK else gzip or None
        self.segments = file.create_dataset(
            "segments", shape, deposits.dtype, chunks=chunks, compression=compression, track_times=False
        )
        self.segments.attrs["zbeam"] = True
        file.create_dataset("messages", data=np.zeros(0, dtype=_MESSAGE), track_times=False)
        configs = file.create_dataset("configs", data=np.zeros(0, dtype=_CONFIG), track_times=False)
        values = {
            "vdrift": one_or_each(drift_velocities(detector, parameters)),
            "long_diff": parameters.long_diff,
            "tran_diff": parameters.tran_diff,
            "lifetime": one_or_each(parameters.table(detector.n_modules)[:, LIFETIME]),
            "drift_length": abs(detector.z_cathode[0] - detector.z_anode[0]),
            "asic_version": str(version),
        }
        for name, value in values.items():
            configs.attrs[name] = value
        deposits.copy_tables(file)
        self.made = {}  # tables that the input has no rows of, which flow needs
        for name, (dtype, _) in MADE.items():
            if name in file and len(file[name]) == 0:
                del file[name]
            if name not in file:
                self.made[name] = file.growing(name, dtype)

    def append(self, hits: Hits, attribution: Attribution, segments: Segments, index: np.ndarray) -> None:
        """Write events that follow those before; `index`: of their segments among all, as `EventFile.read` gives.

        Raises what writing has failed with.
        """
        packets = make_packets(hits, segments, self.channels, self.detector, self.clock, self.version)
        hdf5.append(self.packets, packets.table)
        hdf5.append(self.associations, association(packets, attribution, segments))
        filled = filled_segments(segments, attribution, self.detector, self.parameters, self.numbering)
        hdf5.write_rows(self.segments, index, filled)
        for name, table in self.made.items():
            hdf5.append(table, MADE[name][1](filled))
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

    Events are those of `/mc_packets_assn` where there is one, in older files those of the first segments in it. Raises
    InputError: no HDF5 file, no packets of larpix-control's formats 2 and 3, and as `find_hits` does.
    """
    with hdf5.open_hdf5(path) as file:
        raw = hdf5.read_table(file, "packets")
        own = from_table(hdf5.read_table(file, "segments"), path) if "segments" in file else segments
        event = _assigned(path, hdf5.read_table(file, "mc_packets_assn"), own) if "mc_packets_assn" in file else None
        version = _version(file, raw)
    if event is not None and len(event) != len(raw):
        raise InputError(
            f"{path}: mc_packets_assn: found {len(event)} rows for {len(raw)} packets, allowed is a row a packet"
        )
    table = np.zeros(len(raw), dtype=_READ)
    for name in hdf5.fields_of(PACKET):
        if name in hdf5.fields_of(raw.dtype):
            table[name] = _whole_numbers(path, "packets", raw, name)
        elif name not in ("first_packet", "receipt_timestamp"):  # older formats lack these
            raise InputError(f"{path}: packets have no field {name!r}, found {', '.join(hdf5.fields_of(raw.dtype))}")
    if "receipt_timestamp" not in hdf5.fields_of(raw.dtype):
        table["receipt_timestamp"] = np.minimum(table["timestamp"], 2**32 - 1)
    if version.data != DATA:
        kind = table["packet_type"]
        table["packet_type"] = np.where(kind == version.data, DATA, np.where(kind == DATA, version.data, kind))
    return find_hits(table, event, own, channels, detector, path, t0)


def _version(file: h5py.File, table: np.ndarray) -> Version:
    """The version of packets, by the format of the file that its header tells, or by the fields of its 3.0."""
    header = file.get("_header")
    told = header.attrs.get("version", "") if isinstance(header, h5py.Group) else ""
    return VERSIONS[3 if str(told).startswith("3") or "cds_flag" in hdf5.fields_of(table.dtype) else 2]


def _assigned(path: str | os.PathLike, table: np.ndarray, segments: Segments) -> np.ndarray | None:
    """The event of each packet, -1 where there is none; None where no packet is assigned to a known segment."""
    names = hdf5.fields_of(table.dtype)
    name = next((name for name in ("event_ids", "segment_ids", "track_ids") if name in names), None)
    if name is None:
        allowed = "a row a packet, with a field 'event_ids' (or 'segment_ids', 'track_ids')"
        raise InputError(f"{path}: mc_packets_assn: found {', '.join(names)}, allowed is {allowed}")
    ids = _whole_numbers(path, "mc_packets_assn", table, name, most=2).astype(np.int64)
    ids = ids[:, None] if ids.ndim == 1 else ids
    if not ids.shape[1]:
        return None
    if name == "event_ids":
        return ids[:, 0]
    order = np.argsort(segments.segment_id, kind="stable")
    event = np.append(segments.event_id[order], -1)
    known = np.append(segments.segment_id[order], np.iinfo(np.int64).max)
    at = np.searchsorted(known, ids)
    found = np.where((known[at] == ids) & (ids >= 0), event[at], -1)
    if not (found >= 0).any():
        return None
    return found[np.arange(len(found)), np.argmax(found >= 0, axis=1)]


def _whole_numbers(path: str | os.PathLike, what: str, table: np.ndarray, name: str, most: int = 1) -> np.ndarray:
    """A field of whole numbers, with up to `most` axes; a float that is none is cut off."""
    column = table[name]
    if column.dtype.kind not in "iuf" or column.ndim > most or not np.isfinite(column).all():
        raise InputError(f"{path}: {what} field {name!r} has type {table.dtype[name]}, allowed are whole numbers")
    return column

"""LArPix packets, as larpix-control stores them: its HDF5 format 2.4, and 3.0 of the chips with 10 bits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lartpc.checks import short
from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError

PACKET = np.dtype(
    [
        ("io_group", "u1"),
        ("io_channel", "u1"),
        ("chip_id", "u1"),
        ("packet_type", "u1"),
        ("downstream_marker", "u1"),
        ("parity", "u1"),
        ("valid_parity", "u1"),
        ("channel_id", "u1"),
        ("timestamp", "u8"),
        ("dataword", "u1"),
        ("trigger_type", "u1"),
        ("local_fifo", "u1"),
        ("shared_fifo", "u1"),
        ("register_address", "u1"),
        ("register_data", "u1"),
        ("direction", "u1"),
        ("local_fifo_events", "u1"),
        ("shared_fifo_events", "u2"),
        ("counter", "u4"),
        ("fifo_diagnostics_enabled", "u1"),
        ("first_packet", "u1"),
        ("receipt_timestamp", "u4"),
    ]
)
PACKET_3 = np.dtype(
    [(name, "f8" if name == "dataword" else PACKET[name]) for name in PACKET.names or ()]
    + [("reset_sample_flag", "u1"), ("cds_flag", "u1")]
)
DATA, TIMESTAMP, SYNC, TRIGGER = 0, 4, 6, 7
CLOCK_RESET = ord("S")  # trigger_type of the sync packets that clocks are reset with
EXTERNAL = 2  # trigger_type of trigger packets, as larnd-sim writes it
RECEIVED = 1  # direction: from the chips


class Version(NamedTuple):
    """A generation of LArPix and of its packets."""

    hdf5: str  # version of larpix-control's HDF5 format
    dtype: np.dtype
    data: int  # packet_type of data
    adc_bits: int
    bits: dict[str, int]  # first bit of each field of a data packet's 64; the last is the parity
    types: str  # what the packet types from 0 are


_SHARED_BITS = {"packet_type": 0, "chip_id": 2, "channel_id": 10, "timestamp": 16, "trigger_type": 56}
_SHARED_BITS |= {"local_fifo": 58, "shared_fifo": 60, "downstream_marker": 62}
_BITS_2 = {**_SHARED_BITS, "first_packet": 47, "dataword": 48}  # larpix-control, Packet_v2
_BITS_3 = {**_SHARED_BITS, "reset_sample_flag": 44, "cds_flag": 45, "dataword": 46}  # and Packet_v3
VERSIONS = {
    2: Version(
        "2.4", PACKET, DATA, 8, _BITS_2, "data, test, config write, config read, timestamp, message, sync, trigger"
    ),
    3: Version(
        "3.0", PACKET_3, 1, 10, _BITS_3, "unused, data, config write, config read, timestamp, message, sync, trigger"
    ),
}


class Packets(NamedTuple):
    """Packets in the order of time, and what they belong to; n packets."""

    table: np.ndarray  # (n,) of the version's dtype
    event: np.ndarray  # (n,) int64 event id of data and triggers, else -1
    hit: np.ndarray  # (n,) int64 row in the hits of data, else -1
    unread: int  # hits on pixels that no channel reads, which have no packet
    late: int  # hits more than 11 days after their event's first deposit, which have none either


def parity(table: np.ndarray, version: int = 2) -> np.ndarray:
    """The bit that makes the number of bits set in each data packet odd, (n,) of 0 and 1."""
    word = np.zeros(len(table), dtype=np.uint64)
    for name, bit in VERSIONS[version].bits.items():
        word |= table[name].astype(np.uint64) << np.uint64(bit)
    return (1 - np.bitwise_count(word) % 2).astype(np.uint8)


def reset_period(detector: Detector) -> int:
    """Ticks from one reset of the clocks to the next: they are reset every second."""
    return round(1e6 / detector.tick)


def version_of(detector: Detector, asked: int | None = None) -> int:
    """The version of packets: the detector's, else what was `asked` for, else 2.

    Raises InputError where both are given and are not the same.
    """
    own = detector.packet_version
    if own is not None and asked not in (None, own):
        raise InputError(
            f"packets: found version {asked}, allowed is {own}, that of the chips of detector {short(detector.name)}"
        )
    return own or asked or 2


def check_adc(detector: Detector, version: int = 2) -> None:
    """Raise InputError where the ADC has more bits than a packet."""
    bits = VERSIONS[version].adc_bits
    if detector.adc_counts > 2**bits:
        more = "; those of version 3 hold 10" if version == 2 else ""
        raise InputError(
            f"packets: those of version {version} hold {bits} bits of ADC, found a detector with {detector.adc_counts} "
            f"adc_counts{more}"
        )

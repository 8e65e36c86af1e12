"""LArPix packets, as larpix-control stores them (its HDF5 format 2.4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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
DATA, TIMESTAMP, SYNC, TRIGGER = 0, 4, 6, 7
CLOCK_RESET = ord("S")  # trigger_type of the sync packets that clocks are reset with
EXTERNAL = 2  # trigger_type of trigger packets, as larnd-sim writes it
RECEIVED = 1  # direction: from the chips
# First bit of each field of a data packet's 64 (larpix-control, Packet_v2); the last is the parity.
_BITS = {
    "packet_type": 0,
    "chip_id": 2,
    "channel_id": 10,
    "timestamp": 16,
    "first_packet": 47,
    "dataword": 48,
    "trigger_type": 56,
    "local_fifo": 58,
    "shared_fifo": 60,
    "downstream_marker": 62,
}


class Packets(NamedTuple):
    """Packets in the order of time, and what they belong to; n packets."""

    table: np.ndarray  # (n,) PACKET
    event: np.ndarray  # (n,) int64 event id of data and triggers, else -1
    hit: np.ndarray  # (n,) int64 row in the hits of data, else -1
    unread: int  # hits on pixels that no channel reads, which have no packet
    late: int  # hits more than 11 days after their event's first deposit, which have none either


def parity(table: np.ndarray) -> np.ndarray:
    """The bit that makes the number of bits set in each data packet odd, (n,) of 0 and 1."""
    word = np.zeros(len(table), dtype=np.uint64)
    for name, bit in _BITS.items():
        word |= table[name].astype(np.uint64) << np.uint64(bit)
    return (1 - np.bitwise_count(word) % 2).astype(np.uint8)


def reset_period(detector: Detector) -> int:
    """Ticks from one reset of the clocks to the next: they are reset every second."""
    return round(1e6 / detector.tick)


def check_adc(detector: Detector) -> None:
    """Raise InputError where the ADC has more than the 8 bits of a packet."""
    if detector.adc_counts > 256:
        raise InputError(f"packets: hold 8 bits of ADC, found a detector with {detector.adc_counts} adc_counts")

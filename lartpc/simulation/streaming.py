"""Simulation of files of any size: parts of whole events are read, simulated and written one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from lartpc.detector.channels import Channels
from lartpc.files.atomic import check_apart
from lartpc.files.hdf5 import new_hdf5s
from lartpc.formats.attrs import describe
from lartpc.formats.eventfile import EventFile
from lartpc.formats.hitfile import HitWriter, write_attrs, write_unread
from lartpc.formats.packetfile import PacketWriter
from lartpc.simulation.collect import Summary, add
from lartpc.simulation.simulation import Simulation


class PacketCounts(NamedTuple):
    """What is in a file of packets, and what of the hits is not."""

    packets: int
    data: int  # of these, of hits
    unread: int  # hits on pixels without a channel
    late: int  # hits more than 11 days after their event


def simulate_file(
    simulation: Simulation,
    deposits: EventFile,
    output: str | os.PathLike,
    *,
    packets: tuple[str | os.PathLike, Channels] | None = None,
    packet_version: int | None = None,
    gzip: bool = False,
    waveforms: bool = False,
    keep_input: bool = False,
    attrs: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda parts: parts,
) -> tuple[Summary, PacketCounts | None]:
    """Simulate all events of `deposits`, and write `output` as `write_hits` does; what went in and what came out.

    `packets`: a file for LArPix packets of the hits with their attribution, too, and the channels that they are of;
    of `packet_version` 2 or 3, by default the detector's, compressed where `gzip` says so. `keep_input`: `output` has
    the tables of the input as they are, too, in the group `input`.
    `attrs`: attributes of the files, beside those that tell the detector and the simulation. `progress` wraps the
    numbers of the parts, like tqdm. Nothing is under its name before all is complete.

    Raises InputError: an output that is the input or another output, exists (without `overwrite`) or cannot be written,
    an ADC that packets have no room for, packets of another version than the detector's.
    """
    outputs = [output] if packets is None else [output, packets[0]]
    check_apart(outputs, deposits.path)
    events = deposits.events
    told = {
        **describe(simulation.detector, simulation.parameters),
        "recombination": simulation.recombination,
        "noise": simulation.noise,
        "noise_hits": simulation.noise_hits,
        "seed": simulation.seed,
        "events": None if events is None else [events.start, events.stop],
        **(attrs or {}),
    }
    summaries, packet_writer, counts = [], None, None
    with new_hdf5s(outputs, overwrite) as files:
        deposits.copy_segments(files[0])
        deposits.copy_tables(files[0])
        if keep_input:
            deposits.copy_input(files[0])
        hit_writer = HitWriter(files[0], waveforms)
        write_unread(files[0], simulation.detector.unread)
        if packets is not None:
            about = simulation.detector, simulation.parameters
            packet_writer = PacketWriter(files[1], deposits, packets[1], *about, packet_version, gzip)
        for file in files:
            write_attrs(file, told)
        for k in progress(range(len(deposits))):
            part, index = deposits.read(k)
            result = simulation(part, waveforms=waveforms, attribution=packet_writer is not None)
            hit_writer.append(result.hits, result.waveforms)
            if packet_writer is not None and result.attribution is not None:
                packet_writer.append(result.hits, result.attribution, part, index)
            summaries.append(result.summary)
        if packet_writer is not None:
            written = len(packet_writer.packets)
            counts = PacketCounts(written, packet_writer.data, packet_writer.unread, packet_writer.late)
    return add(summaries), counts

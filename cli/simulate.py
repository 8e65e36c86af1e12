"""lartpc simulate: segments in, hits out."""

import os
import time

import click

from lartpc import InputError
from lartpc.cli.options import (
    check_output,
    detector_option,
    device_option,
    events_option,
    layout_option,
    load_detector,
    load_parameters,
    output_option,
    overwrite_option,
    pixel_options,
    recombination_option,
    response_option,
    seed_option,
    set_option,
    with_pixel_values,
)
from lartpc.cli.progress import announce_compilation, progress_bar


@click.command(epilog="Example: lartpc simulate muons.h5 -o hits.h5 --set lifetime=1500 --seed 1")
@click.argument("segments")
@output_option("HITS")
@detector_option
@layout_option
@events_option
@set_option
@recombination_option
@response_option
@click.option("--noise/--no-noise", default=True, show_default=True, help="Reset and readout noise.")
@seed_option
@pixel_options
@click.option("--packets", metavar="FILE", help="Write LArPix packets with their attribution, too (needs --layout).")
@click.option("--waveforms", is_flag=True, help="Write the current of every pixel, too.")
@device_option
@overwrite_option
def simulate(
    segments,
    output,
    detector,
    layout,
    events,
    changes,
    recombination,
    response,
    noise,
    seed,
    packets,
    waveforms,
    device,
    overwrite,
    **options,
):
    """Simulate the energy deposits of SEGMENTS (HDF5 like edep-sim's) and write HITS (HDF5).

    --packets writes what larpix-control, h5flow and users of larnd-sim read. Files may be of any size: some events at a
    time are read and written. The same command writes the same bytes, on any number of threads; an event has the same
    hits with any --events.
    """
    started = time.perf_counter()
    outputs = [output] if packets is None else [output, packets]
    for path in outputs:
        check_output(path, overwrite)
        if os.path.exists(path) and os.path.exists(segments) and os.path.samefile(path, segments):
            raise InputError(f"{path}: is the input, another name is needed for the output")
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise InputError(f"--packets {packets}: is the output of hits, too; another name is needed")
    if packets is not None:
        from lartpc.detector.channels import Channels, check_layout

        check_layout(layout, "--packets")
    chosen = with_pixel_values(load_detector(detector, layout), options)
    channels = None if packets is None else Channels.load(chosen, detector, layout)
    parameters = load_parameters(chosen, changes)

    from lartpc import EventFile

    deposits = EventFile(segments, events)

    from lartpc import Simulation
    from lartpc.files.hdf5 import new_hdf5s
    from lartpc.formats.attrs import describe
    from lartpc.formats.hitfile import HitWriter, write_attrs
    from lartpc.simulation.collect import add

    simulation = Simulation(
        chosen,
        parameters,
        recombination=recombination,
        noise=noise,
        seed=seed,
        response=response,
        device=device,
    )
    if len(deposits):
        announce_compilation(device)
    attrs = {
        **describe(chosen, simulation.parameters),
        "recombination": recombination,
        "response": response,
        "noise": noise,
        "seed": seed,
        "events": None if events is None else [events.start, events.stop],
    }
    summaries, packet_writer = [], None
    with new_hdf5s(outputs, overwrite) as files:
        deposits.copy_segments(files[0])
        deposits.copy_tables(files[0])
        hit_writer = HitWriter(files[0], waveforms)
        if packets is not None:
            from lartpc.formats.packetfile import PacketWriter

            packet_writer = PacketWriter(files[1], deposits, channels, chosen, parameters)
        for file in files:
            write_attrs(file, attrs)
        for k in progress_bar(range(len(deposits)), unit="part"):
            part, place = deposits.read(k)
            result = simulation(part, waveforms=waveforms, attribution=packet_writer is not None)
            hit_writer.append(result.hits, result.waveforms)
            if packet_writer is not None:
                packet_writer.append(result.hits, result.attribution, part, place)
            summaries.append(result.summary)
        lines = [report(output, add(summaries), time.perf_counter() - started)]
        if packet_writer is not None:
            lines.append(packets_report(packets, packet_writer))
    for line in lines:
        click.echo(line)


def packets_report(path, written):
    """How many packets there are, in one line."""
    unread = f"; {written.unread} hits are on pixels without a channel" if written.unread else ""
    late = f"; {written.late} hits are more than 11 days late" if written.late else ""
    return f"{path}: {len(written.packets)} packets, {written.data} of data{unread}{late}"


def report(output, s, seconds):
    """What went in and what came out, in one line."""
    dropped = f", {s.outside} dropped (outside every TPC)" if s.outside else ""
    return (
        f"{output}: {s.segments} segments read, {s.kept} kept{dropped}; "
        f"{s.energy:.1f} MeV deposited, {s.electrons:.4g} e freed, {s.drifted:.4g} e at the anodes, "
        f"{s.collected:.4g} e on pixels; {s.hits} hits with {s.charge:.4g} e; {seconds:.1f} s"
    )

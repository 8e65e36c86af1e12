"""lartpc simulate: segments in, hits out."""

import functools
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.options import (
    check_output,
    config_option,
    detector_option,
    device_option,
    events_option,
    is_wires,
    layout_option,
    load_detector,
    load_parameters,
    offset_option,
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
from lartpc.cli.wires import check_no_wires, simulate_wires


@click.command(epilog="Example: lartpc simulate muons.h5 -o hits.h5 --set lifetime=1500 --seed 1")
@click.argument("segments", nargs=-1, required=True)
@output_option("HITS")
@config_option
@detector_option
@layout_option
@events_option
@set_option
@recombination_option
@response_option
@click.option("--noise/--no-noise", default=True, show_default=True, help="Reset and readout noise.")
@click.option(
    "--noise-hits", type=float, default=0.0, metavar="RATE", help="Hits that no charge makes [Hz a pixel; default: 0]."
)
@seed_option
@pixel_options
@click.option("--packets", metavar="FILE", help="Write LArPix packets with their attribution, too.")
@click.option(
    "--packet-version",
    type=click.Choice(["2", "3"]),
    help="Generation of LArPix that --packets are of; 3: 10 bits of ADC, data have packet type 1.  [default: that of "
    "the detector's file, else 2]",
)
@click.option("--sensor", metavar="FILE", help="With wires: write a sensor file as JAXTPC has them, too.")
@click.option(
    "--sensor-threshold",
    type=float,
    metavar="ADC",
    help="Of --sensor: samples nearer to the pedestal are left out, and no fit takes such a file.  [default: 0, none]",
)
@click.option("--gzip", is_flag=True, help="Compress the tables of --packets.")
@click.option("--keep-input", is_flag=True, help="Copy the tables of SEGMENTS as they are, too, into /input of HITS.")
@offset_option
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
    noise_hits,
    seed,
    packets,
    packet_version,
    gzip,
    keep_input,
    offset,
    waveforms,
    device,
    overwrite,
    **options,
):
    """Simulate the energy deposits of SEGMENTS (HDF5 like edep-sim's) and write HITS (HDF5).

    --packets writes what larpix-control, h5flow and users of larnd-sim read. Files may be of any size: some events at a
    time are read and written. The same command writes the same bytes, on any number of threads; an event has the same
    hits with any --events. Several SEGMENTS are taken as one file, their ids made distinct.

    With a detector of wires: frames of ADC counts as Wire-Cell has them, sparse waveforms without noise, and which
    segment is in which; see docs/wires.md.
    """
    started = time.perf_counter()
    if is_wires(detector):
        source, renumbered = source_of(segments)
        told, wanted = simulate_wires(source, output, click.get_current_context().params)
        for line in renumbered:
            click.echo(line)
        for line in told:
            click.echo(f"lartpc: {', '.join(segments)}: {line}", err=True)
        if not wanted:
            sys.exit(1)
        return
    check_no_wires(options)
    outputs = [output] if packets is None else [output, packets]
    for path in outputs:
        check_output(path, overwrite)

    from lartpc.files.atomic import check_apart

    for path in segments:
        check_apart(outputs, path)
    if packets is None and (gzip or packet_version is not None):
        raise InputError("--packet-version, --gzip: allowed with --packets only")
    chosen = with_pixel_values(load_detector(detector, layout), options, (detector, layout))
    also = None
    if packets is not None:
        from lartpc.detector.channels import Channels

        also = (packets, Channels.load(chosen, detector, layout))
    parameters = load_parameters(chosen, changes)

    from lartpc import EventFile

    source, renumbered = source_of(segments)
    deposits = EventFile(source, events, offset=offset)

    from lartpc import Simulation
    from lartpc.simulation.streaming import simulate_file

    simulation = Simulation(
        chosen,
        parameters,
        recombination=recombination,
        noise=noise,
        noise_hits=noise_hits,
        seed=seed,
        response=response,
        device=device,
    )
    if len(deposits):
        announce_compilation(device)
    summary, counts = simulate_file(
        simulation,
        deposits,
        output,
        packets=also,
        packet_version=packet_version and int(packet_version),
        gzip=gzip,
        keep_input=keep_input,
        waveforms=waveforms,
        attrs={"response": response},
        overwrite=overwrite,
        progress=functools.partial(progress_bar, unit="part"),
    )
    for line in renumbered:
        click.echo(line)
    click.echo(report(output, summary, len(chosen.unread), time.perf_counter() - started))
    told = doubts(deposits, chosen, summary)
    if counts is not None:
        click.echo(packets_report(packets, counts))
    for line in told:
        click.echo(f"lartpc: {', '.join(segments)}: {line}", err=True)
    if nothing(summary):
        sys.exit(1)


def source_of(segments):
    """The one file of segments, or what several are joined in while the command runs; lines on ids made distinct."""
    if len(segments) == 1:
        return segments[0], []
    from lartpc.formats.joined import joined

    made, told = click.get_current_context().with_resource(joined(segments)), []
    for path, added in zip(segments, made.added, strict=True):
        if any(added.values()):
            sums = ", ".join(f"{name} + {number}" for name, number in added.items() if number)
            told.append(f"{path}: has event ids of files before; in the output {sums}")
    return made.path, told


def nothing(summary):
    """Whether nobody wants the result: most segments are outside every TPC, or there is no hit.

    With a response of zeros, which induces nothing, no hit is what was asked for.
    """
    silent = summary.hits == 0 and not (summary.drifted > 0.0 and summary.collected == 0.0)
    return summary.segments > 0 and (2 * summary.kept < summary.segments or silent)


def doubts(deposits, detector, summary):
    """Lines on what may be wrong with the segments; looked for where the result is nothing, or ids are twice."""
    from lartpc.formats.contents import deposits_of, hints

    if not nothing(summary) and not summary.repeated:
        return []
    found = hints(deposits_of(deposits, detector), detector)
    return found or ["there is no hit, though most of the deposits are in the TPCs: are thresholds too high?"]


def packets_report(path, c):
    """How many packets there are, in one line."""
    unread = f"; {c.unread} hits are on pixels without a channel" if c.unread else ""
    late = f"; {c.late} hits are more than 11 days late" if c.late else ""
    return f"{path}: {c.packets} packets, {c.data} of data{unread}{late}"


def report(output, s, n_off, seconds):
    """What went in and what came out, in one line; with `n_off` pixels off."""
    off = f"; {n_off} pixels are off" if n_off else ""
    limited = f"; {s.limited} pixels have as many hits as there may be" if s.limited else ""
    noise = f", {s.noise_hits} of noise" if s.noise_hits else ""
    dropped = f", {s.outside} dropped (outside every TPC)" if s.outside else ""
    return (
        f"{output}: {s.segments} segments read, {s.kept} kept{dropped}; "
        f"{s.energy:.1f} MeV deposited, {s.electrons:.4g} e freed, {s.drifted:.4g} e at the anodes, "
        f"{s.collected:.4g} e on pixels; {s.hits} hits with {s.charge:.4g} e{noise}{limited}{off}; {seconds:.1f} s"
    )

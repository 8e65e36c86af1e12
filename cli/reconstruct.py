"""lartpc reconstruct: hits in, tracks or blobs out."""

import functools
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.compare import simulation_of, simulation_options
from lartpc.cli.fitting import hits_alone
from lartpc.cli.options import (
    check_output,
    detector_option,
    is_wires,
    output_option,
    overwrite_option,
    tag_option,
    trust_option,
)
from lartpc.cli.progress import announce_compilation, progress_bar
from lartpc.cli.wirereconstruct import reconstruct_wires
from lartpc.cli.wires import check_no_wires


@click.command(epilog="Example: lartpc reconstruct hits.h5 -o tracks.h5 --particle proton,muon")
@click.argument("hits")
@output_option("TRACKS")
@functools.partial(simulation_options, named=detector_option)
@click.option(
    "--particle",
    "particles",
    metavar="NAME,...",
    default="proton,muon,pion+",
    show_default=True,
    help="What a track may be; also antimuon, pion-.",
)
@click.option(
    "--t0-width",
    type=float,
    metavar="US",
    help="How well the time of each track is known, about 0 [us]; inf: not at all.  [default: exactly]",
)
@click.option(
    "--track-density",
    type=float,
    metavar="G/CM3",
    default=1.38,
    show_default=True,
    help="Density of the argon that tracks lose energy in.",
)
@click.option("--voxels", is_flag=True, help="Fit the charge of all hits without a track model, as of showers.")
@click.option(
    "--dEdx",
    "dEdx",
    type=float,
    metavar="MEV/CM",
    default=2.1,
    show_default=True,
    help="With --voxels, or wires: dE/dx of all charge, from which recombination and so dE follow.",
)
@tag_option
@trust_option
@overwrite_option
@click.pass_context
def reconstruct(context, hits, output, detector, layout, fitted, changes, overwrite, **options):
    """Find the tracks in HITS, a file of hits or of packets, fit each, and write TRACKS.

    At the parameters given, or those of --fit. A track is fitted as each particle, from each end with the charge of one
    that stops; the likeliest is kept. TRACKS has the tracks as energy deposits that every command reads, with ends,
    lengths, energies and errors, and the track of each hit; lartpc plot draws it. Of packets each event begins with its
    trigger. Exit code 1 where no track is good.

    With --voxels TRACKS has instead the charge of all hits on voxels of a pixel's size, and blobs of them with charge,
    place and errors; exit code 1 where no blob is good.

    With a detector of wires HITS is a file of frames, and TRACKS has segments of 10 mm with charge and place and their
    errors, found without a track model; exit code 1 where no event is good.
    """
    if is_wires(detector):
        given = {"detector": detector, "fitted": fitted, "changes": changes, "overwrite": overwrite}
        why = reconstruct_wires(hits, output, options | given)
        if why:
            fail(hits, f"no event is good: {why}")
        return
    check_no_wires(options)
    started = time.perf_counter()
    check_output(output, overwrite)
    check_options(context, options["voxels"])
    simulation, chain = simulation_of(context, detector, layout, fitted, changes, options)

    from lartpc.fit.agreement import check_agreement
    from lartpc.formats.attrs import describe
    from lartpc.parameters import TABLE

    chosen, events = simulation.detector, options["events"]
    check(simulation, options)
    target = hits_alone(hits, chosen, (detector, layout), options)
    check_agreement(target, simulation, list(TABLE))  # the parameters of data are not known
    announce_compilation(options["device"])
    fit = {
        **chain,
        "parameters": simulation.parameters.as_dict(),
        "detector": chosen.name,
        "rounded": target.rounded,
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
    }
    told = dict(target.settings)
    if "geometry" not in told:  # the parameters of data are not known
        told = {name: value for name, value in describe(chosen, simulation.parameters).items() if name != "parameters"}
    if events is not None:
        told["events"] = [events.start, events.stop]
    used, _ = target.usable(chosen)
    make = make_blobs if options["voxels"] else make_tracks
    table, done = make(simulation, target, used, hits, output, fit, told, overwrite, options)
    click.echo(f"{output}: {done} of {len(target.hits)} hits; {time.perf_counter() - started:.1f} s")
    if not table["good"].any():
        one = "blob" if options["voxels"] else "track"
        fail(hits, f"no {one} is good: none converged and describes its hits; are the parameters those of the hits?")


def check_options(context, voxels):
    """Raise InputError for an option that does nothing together with --voxels, or without it."""
    for name, of_tracks in (("particles", True), ("t0_width", True), ("track_density", True), ("dEdx", False)):
        if of_tracks == voxels and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = {"particles": "--particle", "dEdx": "--dEdx"}.get(name, "--" + name.replace("_", "-"))
            found, allowed = ("with", "without") if voxels else ("without", "with")
            raise InputError(f"{option}: found {found} --voxels, allowed is {allowed} it")


def particles_of(options):
    return tuple(name.strip() for name in options["particles"].split(","))


def t0_of(options):
    from lartpc.reconstruction.reconstruct import KNOWN

    return KNOWN if options["t0_width"] is None else KNOWN._replace(width=options["t0_width"])


def check(simulation, options):
    """Raise InputError for a wrong choice."""
    from lartpc.reconstruction.blobs import check_voxels
    from lartpc.reconstruction.reconstruct import check_choices

    if options["voxels"]:
        return check_voxels(simulation, options["dEdx"], ("--dEdx", "--recombination"))
    told = ("--particle", "--t0-width", "--track-density")
    return check_choices(particles_of(options), t0_of(options), options["track_density"], told)


def make_blobs(simulation, target, used, hits, output, fit, told, overwrite, options):
    """Fit voxels and write them: the table of blobs, and a line of it."""
    from lartpc.formats.tracks import write_blobs
    from lartpc.reconstruction.blobs import blobs_of, reconstruct_voxels

    progress = functools.partial(progress_bar, doing="fitting", unit="step")
    made = reconstruct_voxels(simulation, target, dEdx=options["dEdx"], progress=progress)
    blobs = blobs_of(made, simulation, target.hits, used.hits, {**fit, "dEdx": options["dEdx"]})
    write_blobs(output, blobs, target.hits, told, used.unread, overwrite)
    table = blobs.table
    charge = f"{table['charge'].sum():.4g} e, {table['energy'].sum():.1f} MeV at {options['dEdx']:g} MeV/cm"
    held = int((blobs.of_hits >= 0).sum())
    return table, f"{len(table)} blobs, {int(table['good'].sum())} good, of {charge}, with {held}"


def make_tracks(simulation, target, used, hits, output, fit, told, overwrite, options):
    """Find, fit and write tracks: their table, and a line of it."""
    from lartpc import reconstruct as run
    from lartpc.formats.tracks import write_tracks
    from lartpc.reconstruction.table import tracks_of

    names, t0, density = particles_of(options), t0_of(options), options["track_density"]
    progress = functools.partial(progress_bar, doing="fitting", unit="step")
    made = run(simulation, target, names, t0=t0, density=density, progress=progress)
    click.echo(str(made.flow))
    if not made.found:
        fail(hits, f"no track: {made.flow.ended}")
    fit |= {"particles": list(names), "t0_width": t0.width, "track_density": density}
    fit |= {"cuts": [[cut, int(left)] for cut, left in made.flow.cuts]}
    tracks = tracks_of(made, names, target.hits, used.hits, fit)
    write_tracks(output, tracks, target.hits, told, used.unread, overwrite)
    click.echo(summary(tracks.table))
    table, held = tracks.table, int((tracks.of_hits >= 0).sum())
    return table, f"{len(table)} tracks, {int(table['good'].sum())} good, with {held}"


def summary(table):
    """Lines with the numbers of tracks by particle."""
    import numpy as np

    names = np.char.partition(np.char.decode(table["hypothesis"]), " ")[:, 0]
    lines = ["particle   tracks  converged   good  length [cm]  energy [MeV]"]
    for name in sorted({*names}):
        own = table[names == name]
        lines.append(
            f"{name:9}{len(own):8}{int(own['converged'].sum()):11}{int(own['good'].sum()):7}"
            f"{np.sum(own['length']):13.1f}{np.sum(own['energy']):14.1f}"
        )
    return "\n".join(lines)


def fail(hits, reason):
    """End with a result that nobody should use."""
    click.echo(f"lartpc: {hits}: {reason}", err=True)
    sys.exit(1)

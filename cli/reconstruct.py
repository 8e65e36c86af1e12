"""lartpc reconstruct: hits in, tracks out."""

import dataclasses
import functools
import shlex
import sys
import time

import click

from lartpc import InputError
from lartpc.cli.compare import simulation_of, simulation_options
from lartpc.cli.options import check_output, output_option, overwrite_option, trust_option
from lartpc.cli.progress import announce_compilation, progress_bar


@click.command(epilog="Example: lartpc reconstruct hits.h5 -o tracks.h5 --particle proton,muon")
@click.argument("hits")
@output_option("TRACKS")
@simulation_options
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
@trust_option
@overwrite_option
@click.pass_context
def reconstruct(
    context, hits, output, detector, layout, fitted, changes, particles, t0_width, track_density, overwrite, **options
):
    """Find the tracks in HITS, a file of hits or of packets, fit each, and write TRACKS.

    At the parameters given, or those of --fit. A track is fitted as each particle and with each end as the one where it
    stops; the likeliest is kept. TRACKS has the tracks as energy deposits that every command reads, with their ends,
    lengths, energies and errors, and the track of each hit; lartpc plot draws it. Of packets each event begins with its
    trigger. Exit code 1 where no track is good.
    """
    started = time.perf_counter()
    check_output(output, overwrite)
    names = tuple(name.strip() for name in particles.split(","))
    simulation, chain = simulation_of(context, detector, layout, fitted, changes, options)

    from lartpc import Target
    from lartpc import reconstruct as run
    from lartpc.fit.agreement import check_agreement
    from lartpc.formats.attrs import describe
    from lartpc.formats.tracks import write_tracks
    from lartpc.parameters import TABLE
    from lartpc.reconstruction.reconstruct import KNOWN, check_choices
    from lartpc.reconstruction.table import tracks_of

    chosen, events = simulation.detector, options["events"]
    t0 = KNOWN if t0_width is None else KNOWN._replace(width=t0_width)
    check_choices(names, t0, track_density, ("--particle", "--t0-width", "--track-density"))
    target = Target.read(hits, None, chosen, detector, layout).of_events(events)
    target.check_detector(chosen)
    if len(target.hits) == 0:
        raise InputError(f"{hits}: has no hits" + (" in the --events" if events is not None else ""))
    if target.received is not None:
        click.echo(f"{hits}: {target.received}")
    target = dataclasses.replace(target, rounded=target.rounded or options["rounded"], trusted=options["trust_me"])
    check_agreement(target, simulation, list(TABLE))  # the parameters of data are not known
    announce_compilation(options["device"])
    progress = functools.partial(progress_bar, doing="fitting", unit="step")
    made = run(simulation, target, names, t0=t0, density=track_density, progress=progress)
    click.echo(str(made.flow))
    if not made.found:
        fail(hits, f"no track: {made.flow.cuts[-3][0]}: 0 of {made.flow.cuts[0][1]}")
    fit = {
        **chain,
        "parameters": simulation.parameters.as_dict(),
        "detector": chosen.name,
        "particles": list(names),
        "t0_width": t0.width,
        "track_density": track_density,
        "rounded": target.rounded,
        "cuts": [[told, int(left)] for told, left in made.flow.cuts],
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
    }
    told = dict(target.settings)
    if "geometry" not in told:  # the parameters of data are not known
        told = {name: value for name, value in describe(chosen, simulation.parameters).items() if name != "parameters"}
    if events is not None:
        told["events"] = [events.start, events.stop]
    used, _ = target.usable(chosen)
    tracks = tracks_of(made, names, target.hits, used.hits, fit)
    write_tracks(output, tracks, target.hits, told, used.unread, overwrite)
    click.echo(summary(tracks.table))
    of_tracks = int((tracks.of_hits >= 0).sum())
    click.echo(
        f"{output}: {len(tracks.table)} tracks, {int(tracks.table['good'].sum())} good, with {of_tracks} of "
        f"{len(target.hits)} hits; {time.perf_counter() - started:.1f} s"
    )
    if not tracks.table["good"].any():
        fail(hits, "no track is good: none converged and describes its hits; are the parameters those of the hits?")


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

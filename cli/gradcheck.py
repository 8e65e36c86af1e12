"""lartpc gradcheck: the gradient against central differences, on the user's own file and detector."""

import functools
import sys

import click

from lartpc.cli.options import (
    detector_option,
    is_wires,
    layout_option,
    load_parameters,
    recombination_option,
    response_option,
    set_option,
)
from lartpc.cli.progress import announce_compilation, progress_bar
from lartpc.cli.wires import load_either, wire_simulation

MOST = 150  # segments; more only take longer


@click.command(epilog="Example: lartpc gradcheck muons.h5 --fit eField,lifetime")
@click.argument("segments", required=False)
@detector_option
@layout_option
@set_option
@recombination_option
@response_option
@click.option("--fit", "names", metavar="NAME,...", help="Parameters to check [default: all that act].")
def gradcheck(segments, detector, layout, names, **options):
    """Compare the gradient of hits and waveforms with differences, on SEGMENTS or a small generated sample.

    For each parameter and each of four losses: the gradient by adjoints, the central difference, and the slope with
    which the remainder of the Taylor series falls, 2 where the gradient is right. Exit code 1 where one fails. Of wires
    it is two losses, of the samples and their likelihood.
    """
    wires = is_wires(detector)
    chosen = load_either(detector, layout)
    parameters = load_parameters(chosen, options["changes"])

    import numpy as np

    from lartpc import Simulation, gradcheck_waveforms
    from lartpc import gradcheck as check
    from lartpc.data.selection import first_events
    from lartpc.fit.waveforms import at_start
    from lartpc.gradients.gradcheck import SMOOTH

    source, deposits = load_segments(segments, chosen)
    used = first_events(deposits, MOST)
    click.echo(
        f"{source}: {len(used)} of {len(deposits)} segments, {len(used.events)} of {len(deposits.events)} events"
    )
    keywords = {"dtype": np.float64, "settings": SMOOTH}
    wanted = [name.strip() for name in names.split(",")] if names else None
    if wires:
        check, parameters = gradcheck_waveforms, at_start(parameters, wanted or ())
        simulation = wire_simulation(chosen, parameters, options, **keywords)
    else:
        chain = {name: options[name] for name in ("recombination", "response")}
        simulation = Simulation(chosen, parameters, **chain, **keywords)
    announce_compilation("cpu")
    report = check(simulation, used, wanted, functools.partial(progress_bar, doing="checking", unit="parameter"))
    click.echo(str(report))
    if not report.passed:
        sys.exit(1)


def load_segments(path, detector):
    """The file's segments, or one generated event, and what to call them."""
    from lartpc import generate, read_segments
    from lartpc.formats.edepsim import from_table

    if path is not None:
        return path, read_segments(path)
    source = "generated sample mixed"
    return source, from_table(generate("mixed", detector, 1, 0), source)

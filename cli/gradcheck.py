"""lartpc gradcheck: the gradient against central differences, on the user's own file and detector."""

import sys

import click

from lartpc.cli.options import (
    detector_option,
    layout_option,
    load_detector,
    load_parameters,
    recombination_option,
    response_option,
    set_option,
)
from lartpc.cli.progress import announce_compilation

MOST = 150  # segments; more only take longer


@click.command(epilog="Example: lartpc gradcheck muons.h5 --fit eField,lifetime")
@click.argument("segments", required=False)
@detector_option
@layout_option
@set_option
@recombination_option
@response_option
@click.option("--fit", "names", metavar="NAME,...", help="Parameters to check [default: all that act].")
def gradcheck(segments, detector, layout, changes, recombination, response, names):
    """Compare the gradient of hits and waveforms with differences, on SEGMENTS or a small generated sample.

    For each parameter and each of four losses: the gradient by adjoints, the central difference, and the slope with
    which the remainder of the Taylor series falls, 2 where the gradient is right. Exit code 1 where one fails.
    """
    chosen = load_detector(detector, layout)
    parameters = load_parameters(chosen, changes)

    import numpy as np

    from lartpc import Simulation
    from lartpc import gradcheck as check
    from lartpc.gradients.gradcheck import SMOOTH

    source, deposits = load_segments(segments, chosen)
    used = first_events(deposits, MOST)
    click.echo(
        f"{source}: {len(used)} of {len(deposits)} segments, {len(used.events)} of {len(deposits.events)} events"
    )
    keywords = {"recombination": recombination, "response": response, "dtype": np.float64, "settings": SMOOTH}
    simulation = Simulation(chosen, parameters, **keywords)
    wanted = [name.strip() for name in names.split(",")] if names else None
    announce_compilation("cpu")
    report = check(simulation, used, wanted, progress_bar)
    for line in lines(report):
        click.echo(line)
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


def first_events(segments, most):
    """The first events with up to `most` segments in all; of the first event, where it has more, as many segments."""
    import numpy as np

    event, count = np.unique(segments.event_id, return_counts=True)
    whole = event[np.cumsum(count) <= most]
    if len(whole):
        return segments.select(np.isin(segments.event_id, whole))
    return segments.select(np.flatnonzero(segments.event_id == event[:1])[:most])


def lines(report):
    """The report as a table and a summary."""
    yield f"{'parameter':<16}{'loss':<11}{'adjoint':>17}{'difference':>17}{'relative':>10}{'slope':>8}"
    for row in report.rows:
        slope = "linear" if row.slope is None else f"{row.slope:.3f}"
        yield (
            f"{row.parameter:<16}{row.loss:<11}{row.adjoint:>17.9g}{row.difference:>17.9g}{row.relative:>10.1e}"
            f"{slope:>8}  {'no effect' if row.idle else 'ok' if row.passed else 'FAIL'}"
        )
    failed = sum(not row.passed for row in report.rows)
    idle = sum(row.idle for row in report.rows)
    yield (
        f"{len(report.rows) - failed - idle} ok, {failed} failed, {idle} without effect on these hits and not checked "
        "(derivatives by the logarithm of the parameter)"
    )
    yield (
        f"{report.hits} hits; {report.near} pixels within 0.1 % of the threshold of a hit more or less, where the "
        f"gradient is one-sided; up to {report.left_out} hits left out, which moved to another tick within the steps"
    )


def progress_bar(names):
    """The parameters with a progress bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    return tqdm(names, desc="checking", unit="parameter", file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)

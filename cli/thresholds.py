"""lartpc thresholds: segments, hits and parameters in, the thresholds of single pixels out."""

import contextlib
import time

import click

from lartpc import InputError
from lartpc.cli.compare import model_of, model_options
from lartpc.cli.options import check_output, output_option, overwrite_option

SHOWN = 5  # chips that are named


@click.command(epilog="Example: lartpc thresholds muons.h5 hits.h5 -o thresholds.npz --fit fit/fit.json")
@click.argument("segments")
@click.argument("target")
@output_option("NPZ")
@model_options
@overwrite_option
@click.pass_context
def thresholds(context, segments, target, output, detector, layout, fitted, changes, overwrite, **options):
    """Estimate the threshold of each pixel from the hits in TARGET, which the energy deposits in SEGMENTS made.

    At the parameters given, or those of --fit. Pixels are taken to be from a normal population, whose mean and spread
    are estimated, too. Writes what --thresholds reads, with errors beside the values, and prints a summary.
    """
    started = time.perf_counter()
    check_output(output, overwrite)
    simulation, deposits, aim, _ = model_of(
        context, segments, target, detector, layout, fitted, changes, options, estimated=True
    )

    from lartpc.fit.thresholds import check_ids, estimate_thresholds

    channels = channels_of(simulation.detector, detector, layout)
    check_ids(simulation.detector, channels)
    found = estimate_thresholds(simulation, deposits, aim)
    found.write(output, simulation.detector, channels, overwrite)
    click.echo(str(found))
    if channels is not None:
        chips = found.of_chips(simulation.detector, channels)
        click.echo(f"chips whose pixels are together off the mean: {len(chips)}")
        for chip in chips[:SHOWN]:
            click.echo(f"  {chip}")
    click.echo(f"{output}: {time.perf_counter() - started:.1f} s")


def channels_of(chosen, detector, layout):
    """The channels of the pixels, None where the layout does not tell."""
    from lartpc.detector.channels import Channels

    if layout:
        with contextlib.suppress(InputError):
            return Channels.load(chosen, detector, layout)
    return None

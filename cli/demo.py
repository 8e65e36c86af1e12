"""lartpc demo: generate, simulate, plot, calibrate."""

import os

import click

from lartpc.cli.calibrate import calibrate
from lartpc.cli.fitting import prepare
from lartpc.cli.generate import generate
from lartpc.cli.options import check_output, overwrite_option
from lartpc.cli.plot import plot
from lartpc.cli.simulate import simulate

EVENTS = 1
SEED = 1  # of the parameters that the calibration has to find


@click.command(epilog="Example: lartpc demo -o my-demo")
@click.option("-o", "--output", default="lartpc-demo", show_default=True, metavar="DIR", help="The folder to write to.")
@overwrite_option
@click.pass_context
def demo(context, output, overwrite):
    """Generate an event of ten muons, simulate and draw it, and recover hidden parameters from noisy hits.

    Takes about two minutes the first time. Writes segments.h5, hits.h5, event.png and the folder fit into DIR, which is
    made where it does not exist.
    """
    segments, hits, picture = (os.path.join(output, name) for name in ("segments.h5", "hits.h5", "event.png"))
    fit = os.path.join(output, "fit")
    if os.path.isdir(output):
        for path in (segments, hits, picture):
            check_output(path, overwrite)
        prepare(fit, False, overwrite)
    os.makedirs(output, exist_ok=True)
    click.echo(f"$ lartpc generate muons -o {segments} --events {EVENTS}")
    context.invoke(generate, sample="muons", output=segments, events=EVENTS, overwrite=overwrite)
    click.echo(f"$ lartpc simulate {segments} -o {hits} --waveforms")
    given = {"response": "parametric", "overwrite": overwrite}  # invoke leaves out what options do with their defaults
    context.invoke(simulate, segments=(segments,), output=hits, waveforms=True, **given)
    click.echo(f"$ lartpc plot {hits} -o {picture}")
    context.invoke(plot, hits=hits, output=picture, overwrite=overwrite)
    click.echo(f"$ lartpc calibrate {segments} --closure --seed {SEED} -o {fit}")
    context.invoke(calibrate, data=(segments,), closure=True, seed=SEED, output=fit, **given)

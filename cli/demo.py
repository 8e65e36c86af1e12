"""lartpc demo: generate, simulate, plot, calibrate with the deposits known, and from hits alone."""

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
HIDDEN = ("Ab=0.83", "kb=0.052", "lifetime=1500", "long_diff=5.5e-6", "tran_diff=7.5e-6")  # of the hits alone


@click.command(epilog="Example: lartpc demo -o my-demo")
@click.option("-o", "--output", default="lartpc-demo", show_default=True, metavar="DIR", help="The folder to write to.")
@overwrite_option
@click.pass_context
def demo(context, output, overwrite):
    """Generate an event of ten muons, simulate and draw it, and recover hidden parameters from noisy hits; then others
    from the hits of ten protons alone, whose deposits nobody knows.

    Takes about four minutes the first time. Writes segments.h5, hits.h5, event.png, the folder fit, protons.h5, data.h5
    and the folder fit-data into DIR, which is made where it does not exist.
    """
    names = ("segments.h5", "hits.h5", "event.png", "protons.h5", "data.h5", "fit", "fit-data")
    *files, fit, fit_data = (os.path.join(output, name) for name in names)
    segments, hits, picture, protons, data = files
    if os.path.isdir(output):
        for path in files:
            check_output(path, overwrite)
        for folder in (fit, fit_data):
            prepare(folder, False, overwrite)
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
    sets = " ".join(f"--set {one}" for one in HIDDEN)
    fitted = ",".join(one.split("=")[0] for one in HIDDEN)
    click.echo(f"$ lartpc generate stopping-protons -o {protons} --events {EVENTS}")
    context.invoke(generate, sample="stopping-protons", output=protons, events=EVENTS, overwrite=overwrite)
    click.echo(f"$ lartpc simulate {protons} -o {data} {sets}")
    context.invoke(simulate, segments=(protons,), output=data, changes=HIDDEN, **given)
    click.echo(f"$ lartpc calibrate {data} -o {fit_data} --fit {fitted}")
    context.invoke(calibrate, data=(data,), names=fitted, output=fit_data, **given)

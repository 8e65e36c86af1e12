"""lartpc demo: generate, simulate, plot, calibrate with the deposits known, and from hits alone; or with wires."""

import os

import click

from lartpc import InputError
from lartpc.cli.calibrate import calibrate
from lartpc.cli.fitting import prepare
from lartpc.cli.generate import generate
from lartpc.cli.options import check_output, is_wires, load_wires, overwrite_option
from lartpc.cli.plot import plot
from lartpc.cli.simulate import simulate

EVENTS = 1
SEED = 1  # of the parameters that the calibration has to find
HIDDEN = ("Ab=0.83", "kb=0.052", "lifetime=1500", "long_diff=5.5e-6", "tran_diff=7.5e-6")  # of the hits alone
# Of wires:
MUONS = 4  # of the ten of an event: enough to tell all parameters, few enough for a demonstration
OFF = {
    "alpha_emb": 1.05,
    "beta_90": 0.93,
    "R_anisotropy": 1.08,
    "lifetime": 0.75,
    "vdrift": 0.99,
    "tran_diff": 0.75,
    "long_diff": 1.25,
}  # where the fit starts, over where the parameters are


@click.command(epilog="Example: lartpc demo -o my-demo")
@click.option("-o", "--output", default="lartpc-demo", show_default=True, metavar="DIR", help="The folder to write to.")
@click.option(
    "--detector",
    default="module0",
    show_default=True,
    metavar="NAME|FILE",
    help="module0; or of wires sbnd, microboone, icarus, dune-fd1, or the YAML of one.",
)
@overwrite_option
@click.pass_context
def demo(context, output, detector, overwrite):
    """Generate an event of ten muons, simulate and draw it, and recover hidden parameters from noisy hits; then others
    from the hits of ten protons alone, whose deposits nobody knows.

    Takes about four minutes the first time. Writes segments.h5, hits.h5, event.png, the folder fit, protons.h5, data.h5
    and the folder fit-data into DIR, which is made where it does not exist.

    With a detector of wires: four cosmic muons, their frames with noise, and seven parameters from a start off by up to
    a quarter. Writes segments.h5, frames.h5, event.png and the folder fit.
    """
    if detector != "module0":
        if not is_wires(detector):
            raise InputError(f"--detector {detector}: allowed is module0 or a detector of wires")
        demo_wires(context, detector, output, overwrite)
        return
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


def demo_wires(context, detector, output, overwrite):
    """The demonstration with a detector of wires."""
    segments, frames, picture, fit = (
        os.path.join(output, name) for name in ("segments.h5", "frames.h5", "event.png", "fit")
    )
    if os.path.isdir(output):
        for path in (segments, frames, picture):
            check_output(path, overwrite)
        prepare(fit, False, overwrite)
    chosen = load_wires(detector)

    from lartpc import generate as make
    from lartpc.charge.velocity import with_velocity
    from lartpc.files.hdf5 import new_hdf5
    from lartpc.wires.response import find_field_response, find_other_responses
    from lartpc.wires.tables import check_response

    usual = find_field_response(None, chosen)  # all is checked before anything is written
    check_response(chosen, usual)
    find_other_responses(chosen, usual)
    os.makedirs(output, exist_ok=True)
    made = make("cosmics", chosen, 1)
    with new_hdf5(segments, overwrite) as file:
        file.create_dataset("segments", data=made[made["traj_id"] < MUONS], track_times=False)
    click.echo(f"{segments}: {MUONS} of the ten muons of lartpc generate cosmics --detector {detector} --events 1")
    of, given = f"--detector {detector}", {"detector": detector, "overwrite": overwrite}
    click.echo(f"$ lartpc simulate {segments} -o {frames} {of}")
    context.invoke(simulate, segments=(segments,), output=frames, **given)
    click.echo(f"$ lartpc plot {frames} -o {picture} {of}")
    context.invoke(plot, hits=frames, output=picture, **given)
    values = with_velocity(chosen.parameters)
    start = tuple(f"{name}={factor * values.value(name):.4g}" for name, factor in OFF.items())
    click.echo(f"$ lartpc calibrate {segments} {frames} -o {fit} {of} --start {' --start '.join(start)}")
    context.invoke(calibrate, data=(segments, frames), output=fit, start=start, **given)

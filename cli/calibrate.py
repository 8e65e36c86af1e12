"""lartpc calibrate: segments and hits in, the detector's parameters out."""

import functools
import os
import shlex
import sys
import time
from pathlib import Path

import click

from lartpc.errors import InputError

from .options import detector_option, layout_option, load_detector, overwrite_option, pairs, seed_option
from .simulate import announce_compilation, progress_bar


@click.command(epilog="Example: lartpc calibrate muons.h5 hits.h5 -o fit --fit eField,lifetime")
@click.argument("segments")
@click.argument("target", required=False)
@click.option("-o", "--output", required=True, metavar="DIR", help="The folder to write to.")
@detector_option
@layout_option
@click.option("--fit", "names", metavar="NAME,...", help="Parameters to fit [default: the six of the paper].")
@click.option("--fix", multiple=True, metavar="NAME=VALUE", help="Value of a parameter that is not fitted.")
@click.option("--start", multiple=True, metavar="NAME=VALUE", help="Where to start [default: the nominal value].")
@click.option("--loss", type=click.Choice(["likelihood", "residuals"]), help="[default: by the target's noise]")
@click.option("--recombination", type=click.Choice(["birks", "box"]), default="birks", show_default=True)
@click.option(
    "--iterations", type=click.IntRange(1), default=20, show_default=True, help="Gauss-Newton steps, at most."
)
@click.option("--closure", is_flag=True, help="Draw the target here, at parameters drawn with --seed or from --truth.")
@click.option("--truth", multiple=True, metavar="NAME=VALUE", help="With --closure: parameters of the target.")
@click.option("--noise/--no-noise", default=None, help="With --closure: noise in the target.  [default: noise]")
@click.option("--cuts", is_flag=True, help="With --closure: keep the tracks of the paper's selection only.")
@seed_option
@click.option("--resume", is_flag=True, help="Continue the fit in DIR.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@overwrite_option
def calibrate(
    segments, target, output, detector, layout, names, fix, start, loss, closure, resume, overwrite, **options
):
    """Fit the parameters of the detector to the hits in TARGET, which the energy deposits in SEGMENTS made.

    All at once, with errors and correlations, by Gauss-Newton on the likelihood of the hit list. Writes fit.json,
    history.h5 and pictures into DIR, and prints a table. Exit code 1 where the fit has not converged.
    """
    started = time.perf_counter()
    folder = prepare(output, resume, overwrite)
    if closure == (target is not None):
        raise InputError("TARGET: allowed is either a file of hits or --closure")
    for name, absent in (("truth", ()), ("cuts", False), ("noise", None)) if not closure else ():
        if options[name] != absent:
            raise InputError(f"--{name}: allowed with --closure only")

    from lartpc.segments import read_segments

    deposits = read_segments(segments)
    chosen = load_detector(detector, layout)
    from lartpc.calibrate import SIX

    fitted = tuple(name.strip() for name in names.split(",")) if names is not None else SIX
    recombination, device, seed = (options[name] for name in ("recombination", "device", "seed"))
    fixes = pairs("fix", fix)
    fixed = chosen.parameters.replace(**fixes)
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them")

    from lartpc.simulation import Simulation

    simulation = Simulation(chosen, fixed, recombination=recombination, device=device)
    announce_compilation(device)
    if closure:
        deposits, hits, truth, noise = draw_target(simulation, deposits, fitted, options)
    else:
        hits, truth, noise = read_target(target, chosen)
    loss = loss or ("likelihood" if noise else "residuals")

    from lartpc import __version__, fitfiles
    from lartpc.calibrate import calibrate as run
    from lartpc.hits import write_hits

    setup = {
        "segments": [len(deposits), float(deposits.dE.sum(dtype="f8"))],
        "hits": [len(hits), float(hits.charge.sum(dtype="f8"))],
        "fit": list(fitted),
        "start": sorted(start),
        "parameters": fixed.as_dict(),
        "loss": loss,
        "recombination": recombination,
    }
    history = fitfiles.read_history(folder, setup) if resume else []
    lines = history[:-1]

    def report(iteration):
        folder.mkdir(exist_ok=True)
        (folder / fitfiles.RESULT).unlink(missing_ok=True)  # that of a fit which is being replaced
        lines.append(iteration)
        fitfiles.write_history(folder, lines, fitted, setup)
        shown = ", ".join(f"{name} {value:.5g}" for name, value in zip(fitted, iteration.values, strict=True))
        click.echo(f"{iteration.phase} {len(lines)}: loss {iteration.value:.6g}; {shown}")

    try:
        result = run(
            simulation,
            deposits,
            hits,
            names=fitted,
            loss=loss,
            start={name: number(name, value) for name, value in pairs("start", start).items()},
            truth=truth,
            iterations=options["iterations"],
            history=history,
            report=report,
            progress=functools.partial(progress_bar, doing="fitting"),
        )
    except FloatingPointError as error:
        click.echo(f"lartpc: {error}", err=True)
        sys.exit(1)
    more = {
        "lartpc_version": __version__,
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
        "seed": seed,
        "fixed": {name: value for name, value in fixed.as_dict().items() if name not in fitted},
        "recombination": recombination,
        "detector": chosen.name,
    }
    if closure:
        attrs = {"parameters": truth.as_dict(), "noise": noise, "seed": seed, "detector": chosen.name}
        write_hits(folder / "target.h5", hits, deposits, attrs, overwrite=True)
    fitfiles.write_result(folder, result, more)
    fitfiles.write_figure(folder / "parameters.png", fitfiles.parameters_figure(result, lines))
    fitfiles.write_figure(folder / "convergence.png", fitfiles.convergence_figure(result, lines))
    fitfiles.write_figure(folder / "correlation.png", fitfiles.correlation_figure(result))
    click.echo(str(result))
    click.echo(f"{folder}: fit.json, history.h5, parameters.png, convergence.png, correlation.png; ", nl=False)
    click.echo(f"{time.perf_counter() - started:.1f} s")
    if not result.converged:
        sys.exit(1)


def prepare(output, resume, overwrite):
    """The folder, which need not exist yet; InputError where it holds a fit that was not to be replaced."""
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{output}: is a file, allowed is the name of a folder")
    there = [name for name in ("fit.json", "history.h5") if (folder / name).exists()]
    if there and not (resume or overwrite):
        raise InputError(f"{folder / there[0]}: exists already; --resume continues it, --overwrite replaces it")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{output}: folder {folder.absolute().parent} does not exist")
    if not os.access(folder if folder.exists() else folder.absolute().parent, os.W_OK):
        raise InputError(f"{output}: cannot be written to")
    return folder


def number(name, value):
    """A value of --start as a number."""
    from lartpc.parameters import as_number

    result = as_number(value)
    if result is None:
        raise InputError(f"--start {name}: found {value!r}, allowed is a number")
    return result


def draw_target(simulation, deposits, fitted, options):
    """Segments, hits, their parameters and whether they have noise, for --closure."""
    import numpy as np

    from lartpc.calibrate import check_names
    from lartpc.parameters import TABLE
    from lartpc.selection import Cuts, selected
    from lartpc.simulation import Simulation

    check_names(simulation, fitted)
    rng = np.random.default_rng(options["seed"])
    truth = simulation.parameters.replace(**{name: rng.uniform(*TABLE[name].range) for name in fitted})
    given = pairs("truth", options["truth"])
    for name in given:
        if name not in fitted:
            raise InputError(f"--truth {name}: is not fitted; --fix sets it for target and fit alike")
    truth = truth.replace(**given)
    if options["cuts"]:
        deposits = deposits.select(selected(deposits, Cuts()))
    noise = options["noise"] is not False
    source = Simulation(
        simulation.detector,
        truth,
        recombination=simulation.recombination,
        noise=noise,
        seed=options["seed"],
        device=simulation.device,
    )
    return deposits, source(deposits).hits, truth, noise


def read_target(path, detector):
    """Hits, their parameters (None where not simulated) and whether they have noise."""
    from lartpc.hits import read_attrs, read_hits
    from lartpc.parameters import Parameters

    hits = read_hits(path)
    try:
        attrs = read_attrs(path)
        truth = Parameters().replace(**attrs["parameters"]) if "parameters" in attrs else None
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: attribute 'parameters' is damaged: {error}") from None
    if attrs.get("detector", detector.name) != detector.name:
        raise InputError(f"{path}: hits of detector {attrs['detector']}, but --detector is {detector.name}")
    return hits, truth, bool(attrs.get("noise", True))

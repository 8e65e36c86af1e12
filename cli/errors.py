"""lartpc errors: those that a fit to one such sample will have."""

import click

from lartpc.cli.fitting import cut_segments, fitted_names, given_truth
from lartpc.cli.options import (
    cut_options,
    detector_option,
    device_option,
    events_option,
    fit_option,
    layout_option,
    load_detector,
    pairs,
    per_module_option,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    with_pixel_values,
)
from lartpc.cli.progress import announce_compilation
from lartpc.exceptions import InputError


@click.command(epilog="Example: lartpc errors muons.h5 --fit eField,lifetime")
@click.argument("segments")
@detector_option
@layout_option
@events_option
@pixel_options
@fit_option
@per_module_option
@click.option("--fix", multiple=True, metavar="NAME=VALUE", help="Value of a parameter that is not fitted.")
@click.option("--truth", multiple=True, metavar="NAME=VALUE", help="Value of one that is [default: the nominal value].")
@rounded_option
@recombination_option
@response_option
@cut_options()
@device_option
def errors(segments, detector, layout, events, names, fix, rounded, recombination, response, device, **options):
    """Print the errors and correlations to expect of a fit to hits that the energy deposits in SEGMENTS make.

    With the detector's noise: the Cramer-Rao bound, from the derivatives of the simulation.
    """
    from lartpc.formats.edepsim import read_segments

    deposits = cut_segments(read_segments(segments).of_events(events), options)
    chosen = with_pixel_values(load_detector(detector, layout), options)

    import numpy as np

    from lartpc.fit.forecast import expected_covariance
    from lartpc.fit.unknowns import check_names
    from lartpc.simulation.simulation import Simulation

    fitted = fitted_names(names, options["per_module"], chosen.n_modules)
    fixes = pairs("fix", fix)
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them; see --truth")
    parameters = chosen.parameters.replace(**fixes, **given_truth(fitted, "fitted", options))
    simulation = Simulation(chosen, parameters, recombination=recombination, response=response, device=device)
    check_names(simulation, fitted)
    announce_compilation(device)
    covariance, direction = expected_covariance(simulation, deposits, fitted, rounded)
    values = np.array([parameters.value(name) for name in fitted])
    for line in lines(fitted, values, covariance, direction):
        click.echo(line)


def lines(names, values, covariance, direction):
    """Errors, correlations, and the direction that is left open where there is one."""
    import numpy as np

    from lartpc.parameters import parameter

    error = np.sqrt(np.diag(covariance))
    yield f"{'':3}{'name':<15} {'value':>13} {'error':>11} {'rel. error':>10}  unit"
    for i, name in enumerate(names):
        row = f"{i:<3}{name:<15} {values[i]:13.7g} {error[i]:11.3g} {error[i] / abs(values[i]):10.1e}"
        yield f"{row}  {parameter(name).unit}".rstrip()
    yield "correlation"
    correlation = covariance / np.where(np.isfinite(error), np.outer(error, error), np.nan)
    for i, name in enumerate(names):
        parts = (f"{c:8.3f}" if np.isfinite(c) else f"{'-':>8}" for c in correlation[i])
        yield f"{i:<3}{name:<15}{''.join(parts)}"
    yield "Cramer-Rao bound for one such sample with the detector's noise"
    if direction is not None:
        found = ", ".join(f"{n} {d:+.2g}" for n, d in zip(names, direction, strict=True) if abs(d) > 0.01)
        yield f"the data leave a direction open: relative changes {found} change nothing; errors are infinite"

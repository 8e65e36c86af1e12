"""lartpc forecast: the errors that a fit to one such sample will have."""

import click

from lartpc import InputError
from lartpc.cli.fitting import cut_segments, fitted_names, given_truth
from lartpc.cli.options import (
    config_option,
    cut_options,
    device_option,
    events_option,
    fit_option,
    layout_option,
    load_detector,
    pairs,
    per_module_option,
    pixel_detector_option,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    with_pixel_values,
)
from lartpc.cli.progress import announce_compilation


@click.command(epilog="Example: lartpc forecast muons.h5 --fit eField,lifetime")
@click.argument("segments")
@config_option
@pixel_detector_option
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
def forecast(segments, detector, layout, events, names, fix, rounded, recombination, response, device, **options):
    """Print the errors and correlations to expect of a fit to hits that the energy deposits in SEGMENTS make.

    With the detector's noise: the Cramer-Rao bound, from the derivatives of the simulation.
    """
    from lartpc import Simulation, read_segments
    from lartpc import forecast as run

    deposits = cut_segments(read_segments(segments).of_events(events), options)
    chosen = with_pixel_values(load_detector(detector, layout), options, (detector, layout))
    fitted = fitted_names(names, options["per_module"], chosen.n_modules)
    fixes = pairs("fix", fix)
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them; see --truth")
    parameters = chosen.parameters.replace(**fixes, **given_truth(fitted, "fitted", options))
    simulation = Simulation(chosen, parameters, recombination=recombination, response=response, device=device)
    announce_compilation(device)
    click.echo(str(run(simulation, deposits, fitted, rounded=rounded)))

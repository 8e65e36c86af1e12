"""lartpc forecast: the errors that a fit to one such sample will have."""

import click

from lartpc import InputError
from lartpc.cli.fitting import cut_segments, fitted_names, given_truth, names_of
from lartpc.cli.options import (
    PIXEL_OPTIONS,
    config_option,
    cut_options,
    detector_option,
    device_option,
    events_option,
    fit_option,
    is_wires,
    layout_option,
    load_detector,
    load_wires,
    offset_option,
    pairs,
    per_module_option,
    pixel_options,
    recombination_option,
    response_option,
    rounded_option,
    with_pixel_values,
)
from lartpc.cli.progress import announce_compilation
from lartpc.cli.wires import check_common, refuse, wire_simulation

OF_PIXELS = ("layout", *PIXEL_OPTIONS, "per_module", "rounded")  # options of forecast


@click.command(epilog="Example: lartpc forecast muons.h5 --fit eField,lifetime")
@click.argument("segments")
@config_option
@detector_option
@layout_option
@events_option
@offset_option
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
def forecast(segments, detector, layout, events, names, fix, rounded, device, **options):
    """Print the errors and correlations to expect of a fit to hits that the energy deposits in SEGMENTS make.

    With the detector's noise: the Cramer-Rao bound, from the derivatives of the simulation. With a detector of wires,
    of a fit to its waveforms.
    """
    if is_wires(detector):
        click.echo(str(forecast_wires(segments, detector, events, names, fix, {**options, "device": device})))
        return

    from lartpc import Simulation, read_segments
    from lartpc import forecast as run

    deposits = cut_segments(read_segments(segments, options["offset"]).of_events(events), options)
    chosen = with_pixel_values(load_detector(detector, layout), options, (detector, layout))
    fitted = fitted_names(names, options["per_module"], chosen.n_modules)
    fixes = fixed_values(fix, fitted)
    parameters = chosen.parameters.replace(**fixes, **given_truth(fitted, "fitted", options))
    chain = {name: options[name] for name in ("recombination", "response")}
    simulation = Simulation(chosen, parameters, **chain, device=device)
    announce_compilation(device)
    click.echo(str(run(simulation, deposits, fitted, rounded=rounded)))


def forecast_wires(segments, detector, events, names, fix, options):
    """The `Forecast` with a detector of wires."""
    refuse(OF_PIXELS)

    from lartpc import forecast_waveforms, read_segments
    from lartpc.fit.waveforms import SEVEN, at_start

    deposits = cut_segments(read_segments(segments, options["offset"]).of_events(events), options)
    chosen = load_wires(detector, options["bad_channels"])
    fitted = names_of(names, SEVEN)
    parameters = chosen.parameters.replace(**fixed_values(fix, fitted), **given_truth(fitted, "fitted", options))
    simulation = wire_simulation(chosen, at_start(parameters, fitted), options)
    check_common(fitted, simulation)
    announce_compilation(options["device"])
    return forecast_waveforms(simulation, deposits, fitted)


def fixed_values(texts, fitted):
    """Name to value, of the NAME=VALUE of --fix, none of which is fitted."""
    fixes = pairs("fix", texts)
    if any(name in fitted for name in fixes):
        raise InputError("--fix: names a parameter that --fit names too, allowed is one of them; see --truth")
    return fixes

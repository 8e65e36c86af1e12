"""lartpc generate: segments of a sample of particles."""

import click

from lartpc.cli.options import (
    check_output,
    detector_option,
    layout_option,
    output_option,
    overwrite_option,
    seed_option,
)
from lartpc.cli.wires import load_either


@click.command(epilog="Example: lartpc generate muons -o muons.h5 --events 10")
@click.argument("sample")
@output_option("SEGMENTS")
@click.option("--events", type=click.IntRange(0), default=100, show_default=True, help="Number of events.")
@seed_option
@click.option(
    "--purity",
    type=float,
    default=1.0,
    show_default=True,
    metavar="P",
    help="Of stopping-... and crossing-muons: fraction that is of that kind; the rest are of one that looks alike.",
)
@click.option(
    "--t0-spread",
    type=float,
    default=0.0,
    show_default=True,
    metavar="US",
    help="Standard deviation of the start of events, of single muons in cosmics [us].",
)
@detector_option
@layout_option
@overwrite_option
def generate(sample, output, events, seed, purity, t0_spread, detector, layout, overwrite):
    """Generate particles and write their energy deposits to SEGMENTS (HDF5 like edep-sim's).

    SAMPLE is one of these, ten particles an event: muons (1 GeV), mixed (muons, pions, protons of 0.1 to 2 GeV),
    stopping-protons (50 to 150 MeV), stopping-muons, stopping-pions (25 to 110 MeV), crossing-muons (1 GeV, through a
    cathode), cosmics (muons from above) or electrons (5 to 50 MeV). They fill the box around the detector's TPCs, of
    pixels or wires.
    """
    check_output(output, overwrite)
    chosen = load_either(detector, layout)

    from lartpc import generate as make
    from lartpc.files.hdf5 import new_hdf5

    segments = make(sample, chosen, events, seed, purity, t0_spread)
    with new_hdf5(output, overwrite) as file:
        file.create_dataset("segments", data=segments, track_times=False)
    energy = segments["dE"].sum(dtype="f8")
    click.echo(f"{output}: {events} events, {len(segments)} segments, {energy:.1f} MeV")

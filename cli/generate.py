"""lartpc generate: segments of a sample of particles."""

import click

from lartpc.cli.options import (
    check_output,
    detector_option,
    layout_option,
    load_detector,
    output_option,
    overwrite_option,
    seed_option,
)


@click.command(epilog="Example: lartpc generate muons -o muons.h5 --events 10")
@click.argument("sample")
@output_option("SEGMENTS")
@click.option("--events", type=click.IntRange(0), default=100, show_default=True, help="Number of events.")
@seed_option
@detector_option
@layout_option
@overwrite_option
def generate(sample, output, events, seed, detector, layout, overwrite):
    """Generate particles and write their energy deposits to SEGMENTS (HDF5 like edep-sim's).

    SAMPLE is muons (ten of 1 GeV an event), mixed (ten muons, pions, protons of 0.1 to 2 GeV), stopping-protons (ten of
    50 to 150 MeV) or electrons (ten of 5 to 50 MeV).
    """
    check_output(output, overwrite)
    chosen = load_detector(detector, layout)

    from lartpc import generate as make
    from lartpc.files.hdf5 import new_hdf5

    segments = make(sample, chosen, events, seed)
    with new_hdf5(output, overwrite) as file:
        file.create_dataset("segments", data=segments, track_times=False)
    energy = segments["dE"].sum(dtype="f8")
    click.echo(f"{output}: {events} events, {len(segments)} segments, {energy:.1f} MeV")

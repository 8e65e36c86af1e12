"""Options and checks that several commands share. Library modules are imported late: help and refusals are quick."""

import contextlib
import os

import click

from lartpc.errors import InputError

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output where it exists.")
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of the random numbers."
)
detector_option = click.option(
    "--detector",
    default="module0",
    show_default=True,
    metavar="module0|FILE",
    help="The built-in detector, or larnd-sim's detector YAML.",
)
layout_option = click.option(
    "--layout", metavar="FILE", help="larnd-sim's pixel-layout YAML, for --detector FILE [default: tiles of module0]."
)
set_option = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of a parameter (names and units: lartpc info). May be repeated.",
)


def output_option(metavar):
    """The option -o, with what it names."""
    return click.option("-o", "--output", required=True, metavar=metavar, help="The file to write.")


def load_detector(detector, layout):
    """The `Detector` that --detector and --layout name."""
    from lartpc.detector import Detector

    if detector == "module0":
        if layout is not None:
            raise InputError(f"--layout {layout}: allowed only with the YAML of a detector, --detector FILE")
        return Detector.module0()
    if not os.path.exists(detector):
        raise InputError(f"--detector {detector}: no such file, allowed is module0 or a detector YAML of larnd-sim")
    return Detector.load(detector, layout)


def pairs(option, texts):
    """NAME to VALUE, of the NAME=VALUE of an option."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--{option} {text}: allowed is NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def load_parameters(detector, changes):
    """The detector's `Parameters` with the NAME=VALUE of --set."""
    return detector.parameters.replace(**pairs("set", changes))


def check_output(path, overwrite):
    """Raise InputError now, before any work, where `path` cannot be written."""
    from lartpc.output import new_file

    class Checked(Exception):
        pass

    with contextlib.suppress(Checked), new_file(path, overwrite):
        raise Checked

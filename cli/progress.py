"""What a command shows while it works."""

import sys

import click


def announce_compilation(device):
    """Say so where kernels must be compiled first, so that the command does not look hung."""
    from lartpc.kernels.runtime.cache import kept

    if not kept(device):
        where, long = (" for the GPU", "") if device == "cuda" else ("", ": about half a minute")
        click.echo(f"compiling kernels{where}, once{long} ...", err=True)


def progress_bar(batches, doing="simulating", unit="batch"):
    """The batches, or what else, with a progress bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    return tqdm(batches, desc=doing, unit=unit, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)

"""What a command shows while it works."""

import os
import sys
from pathlib import Path

import click


def announce_compilation(device):
    """Say so where kernels must be compiled first, so that the command does not look hung."""
    from lartpc.kernels.runtime.launch import cache_directory

    if device == "cuda":
        click.echo("compiling kernels for the GPU ...", err=True)
    elif not any(Path(cache_directory() or os.devnull).rglob("*.nbi")):
        click.echo("compiling kernels, once: about half a minute ...", err=True)


def progress_bar(batches, doing="simulating", unit="batch"):
    """The batches, or what else, with a progress bar on stderr, where that is a terminal."""
    from tqdm import tqdm

    return tqdm(batches, desc=doing, unit=unit, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)

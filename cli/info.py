"""lartpc info: versions, devices, detector, parameters and models of recombination."""

import json
import platform

import click

from lartpc import __version__
from lartpc.charge.recombination import RECOMBINATION
from lartpc.cli.options import config_option, detector_option, layout_option, load_detector, load_parameters, set_option

PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "click",
    "PyYAML",
    "matplotlib",
    "tqdm",
    "threadpoolctl",
    "iminuit",
    "numba-cuda",
    "cupy-cuda13x",
    "cupy-cuda12x",
)


@click.command(epilog="Example: lartpc info --set eField=0.45")
@config_option
@detector_option
@layout_option
@set_option
@click.argument("file", required=False)
def info(detector, layout, changes, file):
    """Print versions, devices, detector, parameters and models of recombination as JSON.

    With a FILE: what it is, what it holds, ranges of coordinates [cm] and times [us], and how it fits the detector.
    """
    chosen = load_detector(detector, layout)
    if file is not None:
        from lartpc.formats.contents import contents

        click.echo(json.dumps(contents(file, chosen), indent=2))
        return
    parameters = load_parameters(chosen, changes)

    from lartpc.formats.attrs import describe
    from lartpc.parameters import parameter

    described = describe(chosen, parameters)
    content = {
        "versions": versions(),
        "device": devices(),
        "detector": {
            "name": described["detector"],
            "tpcs": len(chosen.z_anode),
            "pixels": chosen.n_pixels,
            **described["geometry"],
            **described["readout"],
        },
        "parameters": {
            name: {"value": value, "unit": row.unit, "range": list(row.range), "meaning": row.meaning}
            for name, value in described["parameters"].items()
            for row in [parameter(name)]
        },
        "recombination": {
            row.name: {"parameters": row.parameters, "formula": row.formula, "source": row.source}
            for row in RECOMBINATION.values()
        },
    }
    click.echo(json.dumps(content, indent=2))


def versions():
    """Name to version of lartpc, Python and the packages that lartpc uses, None for what is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"lartpc": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def devices():
    """Threads of the CPU and whether `--device cuda` would work."""
    import numba

    from lartpc.kernels.runtime.launch import cuda_available

    return {"cpu_threads": numba.get_num_threads(), "cuda": cuda_available()}

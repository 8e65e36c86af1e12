"""lartpc info: versions, devices, detector, parameters and models of recombination."""

import json
import platform

import click
from click.core import ParameterSource

from lartpc import __version__
from lartpc.charge.recombination import RECOMBINATION
from lartpc.cli.options import config_option, detector_option, is_wires, layout_option, load_parameters, set_option
from lartpc.cli.wires import load_either

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
@click.pass_context
def info(context, detector, layout, changes, file):
    """Print versions, devices, detector, parameters and models of recombination as JSON.

    With a FILE: what it is, what it holds, ranges of coordinates [cm] and times [us], and how it fits the detector, by
    default that which FILE tells.
    """
    if file is not None:
        named = context.get_parameter_source("detector") is not ParameterSource.DEFAULT
        click.echo(json.dumps(of_file(file, detector, layout, named), indent=2))
        return
    chosen = load_either(detector, layout)
    parameters = load_parameters(chosen, changes)

    from lartpc.parameters import parameter

    described, values = (of_wires if is_wires(detector) else of_pixels)(chosen, parameters)
    content = {
        "versions": versions(),
        "device": devices(),
        "detector": described,
        "parameters": {
            name: {"value": value, "unit": row.unit, "range": list(row.range), "meaning": row.meaning}
            for name, value in values.items()
            for row in [parameter(name)]
        },
        "recombination": {
            row.name: {"parameters": row.parameters, "formula": row.formula, "source": row.source}
            for row in RECOMBINATION.values()
        },
    }
    click.echo(json.dumps(content, indent=2))


def of_file(path, detector, layout, named):
    """What a file holds, and how it fits the detector, or that which it tells where none is `named`."""
    from lartpc.detector import builtin, wires
    from lartpc.formats.contents import contents
    from lartpc.formats.hitfile import read_attrs

    told = None if named else read_attrs(path).get("detector")
    if not isinstance(told, str):
        return contents(path, load_either(detector, layout))
    if told in (*builtin.BUILT_IN, *wires.BUILT_IN):
        return contents(path, load_either(told, layout))
    return {**contents(path, None), "detector": told, "hints": [f"{told} is not built in: name its --detector"]}


def of_pixels(detector, parameters):
    """What is told of a detector of pixels, and its parameters by their names."""
    from lartpc.formats.attrs import describe

    told = describe(detector, parameters)
    geometry = {"tpcs": len(detector.z_anode), "pixels": detector.n_pixels, **told["geometry"]}
    return {"name": told["detector"], **geometry, **told["readout"]}, told["parameters"]


def of_wires(detector, parameters):
    """The same of a detector of wires, whose parameters are those of charge and amplifiers."""
    from lartpc.kernels.runtime.slots import ELECTRONICS, RESPONSE
    from lartpc.simulation.wires import with_amplifier

    pixels_only, values = {*RESPONSE, *ELECTRONICS}, with_amplifier(parameters, detector.electronics).as_dict()
    return detector.describe(), {name: value for name, value in values.items() if name not in pixels_only}


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

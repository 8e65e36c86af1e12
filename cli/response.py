"""lartpc response: a table of induced currents from electrostatics alone."""

import click
from click.core import ParameterSource

from lartpc import InputError
from lartpc.cli.options import (
    check_output,
    layout_option,
    load_detector,
    load_parameters,
    load_wires,
    output_option,
    overwrite_option,
    pixel_detector_option,
    set_option,
)

OF_PIXELS = {
    "detector": "--detector",
    "layout": "--layout",
    "changes": "--set",
    "pad_size": "--pad-size",
    "gap": "--gap",
}


@click.command(epilog="Examples: lartpc response -o response.npz --set eField=0.45; lartpc response sbnd -o sbnd.npz")
@click.argument("wires", required=False, metavar="[sbnd|microboone|icarus|dune-fd1|FILE]")
@output_option("NPZ")
@pixel_detector_option
@layout_option
@set_option
@click.option("--pad-size", type=float, metavar="CM", help="Side of the pads.  [default: the pixel pitch]")
@click.option("--gap", type=float, metavar="CM", help="Between pads, instead of their side.  [default: 0]")
@overwrite_option
@click.pass_context
def response(context, wires, output, detector, layout, changes, pad_size, gap, overwrite):
    """Make a tabulated response of the detector's pixels and their neighbours, and write it as larnd-sim's npz.

    The electrons drift straight to square pads that fill the anode, at the velocity of eField, and induce currents by
    Ramo's theorem. --response electrostatic of the other commands is the same table. With gaps between the pads they
    follow the field to the pads, as no line of it ends in a gap, at the velocity that belongs to it.

    A table holds one pixel pitch. Where TPCs differ in it, --response electrostatic makes a table for each.

    With the name of a detector of wires, or its YAML: the field response of its planes instead, from electrostatics of
    thin wires in two dimensions. Electrons follow the field past the induction planes to the collection wires.
    """
    check_output(output, overwrite)
    if wires is not None:
        for name, option in OF_PIXELS.items():
            if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
                raise InputError(f"{option}: found with {wires}, allowed only for pixels")
        click.echo(of_wires(wires, output, overwrite))
        return
    if pad_size is not None and gap is not None:
        raise InputError("--gap: found with --pad-size, allowed is one of them")
    chosen = load_detector(detector, layout)

    import dataclasses

    from lartpc import Response

    chosen = dataclasses.replace(chosen, parameters=load_parameters(chosen, changes))
    made = Response.electrostatic(chosen, pad_size=pad_size, gap=gap)
    made.write(output, overwrite)
    click.echo(report(output, made, chosen))


def of_wires(name, path, overwrite):
    """Make and write the field response of a detector of wires; what it is, in one line."""
    from lartpc.wires.response import find_field_response

    detector = load_wires(name)
    made = find_field_response(None, detector)
    made.write(path, overwrite)
    peaks = ", ".join(f"{current.min():.2f} to {current.max():.2f}" for current in made.current)
    collected = made.sampling * (made.current[-1].max(axis=0).argmax() + 0.5)
    return (
        f"{path}: {len(made.current)} planes, {2 * made.reach + 1} wires of {made.bins} bins, "
        f"{made.current[0].shape[1]} samples of {made.sampling:g} us from {made.height:g} cm on; currents {peaks} /us, "
        f"largest at {collected:.2f} us; {made.vdrift:.4f} cm/us; all electrons end on collection wires"
    )


def report(path, made, detector):
    """Size of the table and the charges that it collects, in one line."""
    import numpy as np

    own = made.bins(float(detector.pitch[0])) // 2
    charge = made.charge
    on_pad = np.abs(charge[:own, :own] - 1.0).max()
    charge[:own, :own] = 0.0
    bins_x, bins_y, samples = made.response.shape
    return (
        f"{path}: {bins_x} x {bins_y} bins of {made.bin_size:g} cm, {samples} samples of {made.time_tick:g} us from "
        f"{made.drift_length:g} cm on; charge within {on_pad:.1e} of 1 on the pad and {np.abs(charge).max():.1e} of 0 "
        "on neighbours"
    )

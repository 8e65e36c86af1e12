"""Options and checks that several commands share. Library modules are imported late: help and refusals are quick."""

import contextlib
import dataclasses
import functools
import os
import re

import click

from lartpc import InputError
from lartpc.charge.recombination import RECOMBINATION

NOTES = "lartpc.notes"  # in a command's context: what is to be said
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output where it exists.")
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of the random numbers."
)


def take_configuration(context, parameter, text):
    """What --config names, as the defaults of the options that say the same."""
    from lartpc.detector.configuration import read_configuration

    if text is None or context.resilient_parsing:
        return
    given = read_configuration(text)
    for note in given.notes:
        say(note)
    options = {"detector": given.detector, "layout": given.layouts, "max_hits": given.max_hits}
    options["response"] = given.responses or None
    taken = {name: value for name, value in options.items() if value is not None}
    context.default_map = {**(context.default_map or {}), **taken}


config_option = click.option(
    "--config",
    metavar="FILE:NAME|NAME",
    is_eager=True,
    expose_value=False,
    callback=take_configuration,
    help="A configuration of larnd-sim's config.yaml: detector, layouts and responses at once, from files beside it.",
)
PIXEL_DETECTORS = "module0, 2x2, ndlar"
WIRE_DETECTORS = "sbnd, microboone, icarus, dune-fd1"
named_detector = functools.partial(
    click.option, "--detector", default="module0", show_default=True, metavar="NAME|FILE"
)
detector_option = named_detector(
    help=f"{PIXEL_DETECTORS}; of wires {WIRE_DETECTORS}; or larnd-sim's detector YAML, or one of wires."
)
pixel_detector_option = named_detector(help=f"{PIXEL_DETECTORS}, or larnd-sim's detector YAML.")
layout_option = click.option(
    "--layout",
    multiple=True,
    metavar="FILE",
    help="larnd-sim's pixel-layout YAML, for --detector FILE; once, or once a module.  [default: tiles of module0]",
)
set_option = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of a parameter (names and units: lartpc info). May be repeated.",
)
recombination_option = click.option(
    "--recombination",
    type=click.Choice(list(RECOMBINATION)),
    default="birks",
    show_default=True,
    help="Fraction R of electrons that escape; formulae: lartpc info.",
)
response_option = click.option(
    "--response",
    multiple=True,
    default=("parametric",),
    show_default="parametric",
    callback=lambda context, parameter, given: given[0] if len(given) == 1 else list(given),
    metavar="parametric|electrostatic|FILE",
    help="Induced currents: on the pixel alone, or with its neighbours by a table (larnd-sim's npz or npy); FILE once, "
    "or once a pixel pitch in the order of the modules, or once a module.",
)
device_option = click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
folder_option = click.option("-o", "--output", required=True, metavar="DIR", help="The folder to write to.")
loss_option = click.option(
    "--loss",
    type=click.Choice(["likelihood", "residuals", "soft-dtw", "chamfer", "mmd", "mse"]),
    help="[default: likelihood, or residuals where the target has no noise]",
)
t0_option = click.option(
    "--t0",
    type=click.Choice(["first-deposit", "trigger", "absolute", "fit"]),
    help="Zero of time of packets: their event's trigger is at its first deposit, or deposits count from the trigger, "
    "or from the clock's first reset; fit: and t0_offset is fitted, also to hits.  [default: absolute where an event's "
    "trigger agrees with the clock to 100 us, else first-deposit]",
)
rounded_option = click.option(
    "--rounded", is_flag=True, help="Use ADC counts and clock ticks of the target only, as real data have."
)


trust_option = click.option(
    "--trust-me",
    multiple=True,
    metavar="NAME",
    help="What may differ from what the file of hits says.",
)


class EventRange(click.ParamType):
    """Event ids as a half-open `range`."""

    name = "events"

    def convert(self, value, parameter, context):
        found = re.fullmatch(r"\s*(\d{1,100})?\s*(:)?\s*(\d{1,100})?\s*", str(value))
        if not found or not (found[1] or found[3]) or (found[3] and not found[2]):
            raise InputError(
                f"--events {str(value)[:60]}: allowed are event ids A:B (B not included), A:, :B, or A alone"
            )
        low = int(found[1]) if found[1] else -(2**63)
        high = int(found[3]) if found[3] else 2**63 if found[2] else low + 1
        if low >= high:
            raise InputError(f"--events {value}: has no event, allowed is A:B with A below B, which is not included")
        return range(low, high)


events_option = click.option(
    "--events",
    type=EventRange(),
    metavar="A:B",
    help="Take the events with ids from A to below B; also A:, :B, or one id.  [default: all]",
)


fit_option = click.option(
    "--fit", "names", metavar="NAME,...", help="Parameters to fit [default: the six of the paper]."
)
per_module_option = click.option(
    "--per-module", metavar="NAME,...", help="Of these, one value a module: eField, lifetime (as --fit eField.0,...)."
)
per_event_option = click.option(
    "--per-event", metavar="NAME,...", help="One value an event, fitted by the hits of that event: t0_offset."
)
CUTS = ("max_cos", "min_abs_z", "max_abs_z", "min_track", "min_dx")
PIXEL_VALUES = {"thresholds": "e", "gains": "mV/e", "pedestals": "mV"}


PIXEL_OPTIONS = (*PIXEL_VALUES, "max_hits", "dead_time")  # of `pixel_options`, those that are of pixels alone


def pixel_options(command):
    """The decorator with what is known of pixels and channels; see `with_pixel_values`."""
    text = "Channels that are off: larnd-sim's JSON of chips, or ids of pixels or of channels of wires, as a JSON list "
    text += "or one a line."
    most = "Hits of a pixel in an event, at most.  [default: as many as there are]"
    dead = "How long after a hit and its reset no other begins [us].  [default: adc_busy_delay of the detector]"
    command = click.option("--dead-time", type=float, metavar="US", help=dead)(command)
    command = click.option("--max-hits", type=click.IntRange(1), help=most)(command)
    command = click.option("--bad-channels", metavar="FILE", help=text)(command)
    for name, unit in reversed(PIXEL_VALUES.items()):
        text = (
            f"{name.capitalize()} of pixels or channels [{unit}]: npz of keys, values, default; once, or once a module."
        )
        command = click.option(f"--{name}", multiple=True, metavar="FILE", help=text)(command)
    return command


def with_pixel_values(detector, options, files):
    """The detector with what `pixel_options` say, taken out of `options`; `files`: --detector and --layout."""
    from lartpc.detector.badchannels import read_bad_channels

    given = {name: paths for name in PIXEL_VALUES if (paths := options.pop(name))}
    pixels_of = None
    if given and files[1]:
        from lartpc.detector.channels import Channels

        pixels_of = functools.partial(Channels.load(detector, *files).pixels_of, detector)
    changed = detector.with_pixel_values(**given, pixels_of=pixels_of)
    bad = options.pop("bad_channels")
    if bad is not None:
        changed = changed.without_pixels(read_bad_channels(bad, detector, *files))
    dead_time = options.pop("dead_time")
    if dead_time is not None:
        changed = changed.with_dead_time(dead_time)
    return dataclasses.replace(changed, max_hits=options.pop("max_hits"))


def cut_options(condition=""):
    """The decorator with --cuts and --cut, with a `condition` for their help."""
    cuts = click.option("--cuts", is_flag=True, help=f"{condition}Keep the tracks of the paper's selection only.")
    text = f"{condition}Change one of --cuts: {', '.join(CUTS)} [cm]."
    cut = click.option("--cut", multiple=True, metavar="NAME=VALUE", help=text)
    return lambda command: cuts(cut(command))


CLOSURE_OPTIONS = ("closure", "truth", "noise", "cuts", "cut", "seed")  # those of `closure_options`


def closure_options(drawn):
    """The decorator with --closure and what goes with it; `drawn`: at which parameters the target is drawn."""
    options = (
        click.option("--closure", is_flag=True, help=f"Draw the target here, at {drawn} or from --truth."),
        click.option("--truth", multiple=True, metavar="NAME=VALUE", help="With --closure: parameters of the target."),
        click.option("--noise/--no-noise", default=None, help="With --closure: noise in the target.  [default: noise]"),
        cut_options("With --closure: "),
        seed_option,
    )
    return lambda command: functools.reduce(lambda made, option: option(made), reversed(options), command)


def output_option(metavar):
    """The option -o, with what it names."""
    return click.option("-o", "--output", required=True, metavar=metavar, help="The file to write.")


def is_wires(detector):
    """Whether --detector names wires: one that is built in, or the YAML of one. InputError for what there is not."""
    from lartpc.detector import builtin, wires
    from lartpc.detector.wireyaml import is_wires as is_wire_yaml

    if detector in wires.BUILT_IN or detector in builtin.BUILT_IN:
        return detector in wires.BUILT_IN
    if not os.path.exists(detector):
        raise InputError(
            f"--detector {detector}: no such file, allowed is {', '.join(builtin.BUILT_IN)}, of wires "
            f"{', '.join(wires.BUILT_IN)}, or the YAML of a detector"
        )
    return is_wire_yaml(detector)


def load_detector(detector, layout):
    """The `Detector` of pixels that --detector and --layout name; what is to be said of their files is said."""
    from lartpc import Detector
    from lartpc.detector.builtin import BUILT_IN

    if is_wires(detector):
        raise InputError(
            f"--detector {detector}: found wires, allowed here are pixels: {', '.join(BUILT_IN)} or a YAML"
        )
    if detector in BUILT_IN:
        if layout:
            raise InputError(f"--layout {layout[0]}: allowed only with the YAML of a detector, --detector FILE")
        return Detector.built_in(detector)
    loaded = Detector.load(detector, layout)
    for note in loaded.notes:
        say(note)
    return loaded


class Offset(click.ParamType):
    """Three lengths, x,y,z."""

    name = "offset"

    def convert(self, value, parameter, context):
        from lartpc.checks import as_number, short

        if isinstance(value, tuple):
            return value
        found = [as_number(part) for part in str(value).split(",")]
        if len(found) != 3 or any(one is None or not abs(one) < 1e6 for one in found):
            raise InputError(f"--offset: found {short(value)}, allowed are three numbers X,Y,Z [cm]")
        return tuple(found)


offset_option = click.option(
    "--offset",
    type=Offset(),
    default=(0.0, 0.0, 0.0),
    show_default="0,0,0",
    metavar="X,Y,Z",
    help="Add to the places of all segments, in the frame of their file [cm].",
)


tag_option = click.option(
    "--tag", metavar="NAME", help="Of frames of wires: which, as raw of frame_raw0.  [default: those that the file has]"
)


def load_wires(detector, bad_channels=None):
    """The `WireDetector` of a name, or of a YAML of one, without the channels that a file lists."""
    from lartpc import WireDetector
    from lartpc.detector.badchannels import read_bad_wires
    from lartpc.detector.wires import BUILT_IN

    if detector not in BUILT_IN and not os.path.exists(detector):
        raise InputError(f"{detector}: no such file, allowed is {', '.join(BUILT_IN)} or the YAML of a wire detector")
    made = WireDetector.built_in(detector) if detector in BUILT_IN else WireDetector.load(detector)
    return made if bad_channels is None else made.without_channels(read_bad_wires(bad_channels, made))


def say(note):
    """A line on stderr at the end of the command, once, unless its input is refused."""
    click.get_current_context().find_root().meta.setdefault(NOTES, {})[note] = None


def pairs(option, texts):
    """NAME to VALUE, of the NAME=VALUE of an option."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--{option} {text}: allowed is NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def number(option, name, value):
    """A value of NAME=VALUE as a number."""
    from lartpc.checks import as_number, short

    result = as_number(value)
    if result is None:
        raise InputError(f"--{option} {name}: found {short(value)}, allowed is a number")
    return result


def load_parameters(detector, changes):
    """The detector's `Parameters` with the NAME=VALUE of --set."""
    parameters = detector.parameters.replace(**pairs("set", changes))
    parameters.check_single(**detector.counts)  # refuses modules that there are not
    return parameters


def check_output(path, overwrite):
    """Raise InputError now, before any work, where `path` cannot be written, or is a file that the command reads."""
    from lartpc.files.atomic import new_file

    check_no_input(path)

    class Checked(Exception):
        pass

    with contextlib.suppress(Checked), new_file(path, overwrite):
        raise Checked


OUTPUTS = ("output", "packets", "sensor")  # options that name what is written


def check_no_input(path):
    """Raise InputError where `path` is a file that another option or argument of the command names."""
    if not os.path.exists(path):
        return
    for name, value in click.get_current_context().params.items():
        texts = [text for text in (value if isinstance(value, tuple) else [value]) if isinstance(text, str)]
        for file in (part for text in texts for part in (text, *text.split(":")) if name not in OUTPUTS):
            if os.path.exists(file) and os.path.samefile(file, path):
                raise InputError(f"{path}: is the input {name}, another name is needed for the output")

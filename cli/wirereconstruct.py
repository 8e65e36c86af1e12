"""lartpc reconstruct with a detector of wires: frames in, segments of charge with errors out."""

import functools
import shlex
import sys
import time

import click

from lartpc.cli.compare import simulation_of_wires
from lartpc.cli.options import check_output
from lartpc.cli.progress import announce_compilation, progress_bar
from lartpc.cli.wires import refuse

# Options of reconstruct that are of pixels.
OF_PIXELS = (
    "layout",
    "rounded",
    "max_hits",
    "dead_time",
    "thresholds",
    "gains",
    "pedestals",
    "particles",
    "t0_width",
    "track_density",
    "voxels",
)


def reconstruct_wires(frames, output, options):
    """`lartpc reconstruct FRAMES`; `options` by their names. Why no event is good, empty where one is."""
    started = time.perf_counter()
    refuse(OF_PIXELS)
    check_output(output, options["overwrite"])
    simulation, chain = simulation_of_wires(options["detector"], options["fitted"], options["changes"], options)

    from lartpc.data.segments import no_events, within
    from lartpc.fit.frametarget import FrameTarget
    from lartpc.formats.wiresegments import write_wire_segments
    from lartpc.parameters import TABLE
    from lartpc.reconstruction.wireresult import reconstruct_frames

    target = FrameTarget(frames, simulation.detector, options["tag"], options["trust_me"])
    target.check(simulation, tuple(TABLE))  # the parameters of data are not known
    events = target.frames.events
    chosen = events[within(events, options["events"])]
    if not len(chosen):
        raise no_events(frames, options["events"], events)
    announce_compilation(options["device"])
    progress = functools.partial(progress_bar, doing="fitting", unit="event")
    made = reconstruct_frames(simulation, target.read, chosen.tolist(), dEdx=options["dEdx"], progress=progress)
    attrs = {
        **chain,
        "dEdx": options["dEdx"],
        "parameters": simulation.parameters.as_dict(),
        "detector": simulation.detector.name,
        "command": shlex.join(["lartpc", *sys.argv[1:]]),
    }
    write_wire_segments(output, made, attrs, options["overwrite"])
    click.echo(summary(made))
    click.echo(
        f"{output}: {len(made.segments)} segments of {len(chosen)} events; {time.perf_counter() - started:.1f} s"
    )
    return "" if made.events["good"].any() else reason(made.events)


def reason(events):
    """Why none of events is good."""
    from lartpc.reconstruction.wiresegments import LARGEST_EVENT

    if (events["segments"] > 0).any():
        return "none converged and describes its waveforms; are the parameters those of them?"
    if (events["found"] > 0).any():
        return f"there is charge for more than {LARGEST_EVENT} segments, which are not fitted; docs/wires-tracks.md"
    return "there is no charge on wires that cross"


def summary(made):
    """Lines with the segments of each event."""
    import numpy as np

    from lartpc.reconstruction.wiresegments import LARGEST_EVENT

    lines = ["event   segments   energy [MeV]   charge [e]   charge error   place error [mm]   mean square   good"]
    for event in made.events:
        own = made.table["event_id"] == event["event_id"]
        table, dE = made.table[own], made.segments.dE[own]
        if not len(table):
            many = f"charge for {event['found']} segments, fitted are up to {LARGEST_EVENT}"
            lines.append(f"{event['event_id']:5}{0:11}   {many if event['found'] else 'no charge on wires that cross'}")
            continue
        error = np.median(table["dE_error"] / dE)  # that of the charge, also of segments that left the TPC
        place = 10.0 * np.median(np.sqrt(sum(table[f"{axis}_error"] ** 2 for axis in "xyz") / 3.0))
        lines.append(
            f"{event['event_id']:5}{len(table):11}{dE.sum():15.2f}{table['charge'].sum():13.4g}{100 * error:13.2f} %"
            f"{place:19.2f}{event['mean_square']:14.4f}   {'good' if event['good'] else 'not good'}"
        )
    return "\n".join(lines)

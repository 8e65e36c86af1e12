"""lartpc plot: event display."""

import click

from lartpc import InputError
from lartpc.cli.options import check_output, layout_option, load_detector, output_option, overwrite_option


@click.command(epilog="Example: lartpc plot hits.h5 -o event.png --event 3")
@click.argument("hits")
@output_option("PNG")
@click.option("--event", type=int, help="Event id [default: the one with most hits].")
@click.option(
    "--detector",
    metavar="module0|2x2|ndlar|FILE",
    help="Detector of packets, as of simulate.  [default: that which HITS tells, where it is built in]",
)
@layout_option
@overwrite_option
def plot(hits, output, event, detector, layout, overwrite):
    """Draw one event of HITS, a file of hits or of packets: segments where it has them, pixel planes, and a waveform if
    there are any (simulate --waveforms). Of a file of lartpc reconstruct: the tracks over their hits, how far hits are
    off, and dE/dx against residual range. Of Wire-Cell's HDF5 frames: time against channel."""
    check_output(output, overwrite)

    import numpy as np

    from lartpc.formats.frames import has_frames
    from lartpc.formats.tracks import has_tracks, read_tracks
    from lartpc.plots.source import read_source

    if has_frames(hits):
        plot_frames(hits, output, event, overwrite)
        return
    chosen = None if detector is None else load_detector(detector, layout)
    source = read_source(hits, chosen, detector or "", layout)

    from lartpc.plots.event import busiest_event, event_display
    from lartpc.plots.figure import write_figure

    table, segments = source.hits, source.segments
    if event is None:
        event = busiest_event(table, segments)
    elif event not in table.event_id and event not in segments.event_id:
        ids = np.union1d(table.event_id, segments.event_id)
        known = f"{ids.min()} to {ids.max()}" if len(ids) else "no event"
        raise InputError(f"--event {event}: not in {hits}, found {known}")
    if has_tracks(hits):
        from lartpc.plots.tracks import tracks_figure

        figure = tracks_figure(event, table, read_tracks(hits), source.detector)
    else:
        figure = event_display(event, table, segments, source.detector, source.waveforms, threshold=source.threshold)
    write_figure(output, figure, overwrite)
    if event is None:
        click.echo(f"{output}: no event")
    else:
        click.echo(f"{output}: event {event}, {(table.event_id == event).sum()} hits")


def plot_frames(path, output, event, overwrite):
    """Draw one event of a file of frames, the first unless `event` is another."""
    from lartpc.formats.frames import FrameFile
    from lartpc.plots.figure import write_figure
    from lartpc.plots.frames import frames_figure, of_frames

    frames = FrameFile(path)
    if event is None:
        event = int(frames.events[0])
    elif event not in frames.events:
        known = f"{frames.events.min()} to {frames.events.max()}"
        raise InputError(f"--event {event}: not in {path}, found {known}")
    planes = of_frames(frames.of_event(event))
    write_figure(output, frames_figure(f"event {event}", planes), overwrite)
    click.echo(f"{output}: event {event}, {sum(len(plane.wires) for plane in planes)} channels")

"""lartpc plot: event display."""

import click

from lartpc import InputError
from lartpc.cli.options import (
    check_output,
    layout_option,
    load_detector,
    load_wires,
    output_option,
    overwrite_option,
    tag_option,
)


@click.command(epilog="Example: lartpc plot hits.h5 -o event.png --event 3")
@click.argument("hits")
@output_option("PNG")
@click.option("--event", type=int, help="Event id [default: the one with most hits; of frames the first].")
@click.option("--channel", type=int, metavar="N", help="Of frames: draw the waveform of this channel.")
@tag_option
@click.option(
    "--detector",
    metavar="NAME|FILE",
    help="Detector of packets or frames, as of simulate.  [default: that which HITS tells, where it is built in]",
)
@layout_option
@overwrite_option
def plot(hits, output, event, channel, tag, detector, layout, overwrite):
    """Draw one event of HITS, a file of hits or of packets: segments where it has them, pixel planes, and a waveform if
    there are any (simulate --waveforms). Of a file of lartpc reconstruct: the tracks over their hits, how far hits are
    off, and dE/dx against residual range. Of Wire-Cell's HDF5 frames: time against wire, a panel for each plane where
    the detector is known, or with --channel one waveform, and in frames of ours what it would be without noise."""
    check_output(output, overwrite)

    import numpy as np

    from lartpc.formats.frames import has_frames
    from lartpc.formats.tracks import has_tracks, read_tracks
    from lartpc.plots.source import read_source

    if has_frames(hits):
        if layout:
            raise InputError(f"--layout: found with {hits}, which has frames, allowed only with pixels")
        plot_frames(hits, output, event, channel, tag, detector, overwrite)
        return
    for name, value in (("channel", channel), ("tag", tag)):
        if value is not None:
            raise InputError(f"--{name} {value}: {hits} has no frames, which it is of")
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


def plot_frames(path, output, event, channel, tag, detector, overwrite):
    """Draw one event of a file of frames, the first unless `event` is another, or one `channel` of it.

    `tag`: of the frames, where there are several; `detector`: a name or YAML, by default what the file says where that
    is built in.
    """
    from lartpc.formats.frames import FrameFile
    from lartpc.plots.figure import write_figure
    from lartpc.plots.frames import frames_figure, of_frames, waveform_figure
    from lartpc.plots.wires import channel_of, check_detector, detector_of_frames, of_planes

    frames = FrameFile(path, tag)
    chosen = detector_of_frames(path) if detector is None else load_wires(detector)
    if chosen is not None:
        check_detector(path, chosen)
    if event is None:
        event = int(frames.events[0])
    elif event not in frames.events:
        known = f"{frames.events.min()} to {frames.events.max()}"
        raise InputError(f"--event {event}: not in {path}, found {known}")
    if channel is not None:
        found = channel_of(frames, event, channel, chosen)
        told = found.title
        figure = waveform_figure(told, found.samples, found.tick, found.truth, found.time)
    else:
        of_event = frames.of_event(event)
        planes = of_frames(of_event) if chosen is None else of_planes(path, of_event, chosen)
        told = f"event {event}, {sum(len(plane.wires) for plane in planes)} channels"
        figure = frames_figure(
            f"event {event}", planes, **({} if chosen is None else {"most_columns": len(chosen.kinds)})
        )
    write_figure(output, figure, overwrite)
    click.echo(f"{output}: {told}")

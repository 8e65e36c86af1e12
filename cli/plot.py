"""lartpc plot: event display."""

import click

from lartpc import InputError
from lartpc.cli.options import check_output, output_option, overwrite_option


@click.command(epilog="Example: lartpc plot hits.h5 -o event.png --event 3")
@click.argument("hits")
@output_option("PNG")
@click.option("--event", type=int, help="Event id [default: the one with most hits].")
@overwrite_option
def plot(hits, output, event, overwrite):
    """Draw one event of HITS: segments, pixel planes, and a waveform if there are any (simulate --waveforms)."""
    check_output(output, overwrite)

    from lartpc import read_hits, read_segments
    from lartpc.formats.attrs import check_pixels, read_detector
    from lartpc.formats.hitfile import read_waveforms

    table = read_hits(hits)
    waveforms = read_waveforms(hits)
    segments = read_segments(hits)
    detector, threshold = read_detector(hits)
    check_pixels(hits, table, detector)

    from lartpc.plots.event import busiest_event, event_display
    from lartpc.plots.figure import write_figure

    if event is None:
        event = busiest_event(table, segments)
    elif event not in table.event_id and event not in segments.event_id:
        known = f"{segments.event_id.min()} to {segments.event_id.max()}" if len(segments) else "no event"
        raise InputError(f"--event {event}: not in {hits}, found {known}")
    write_figure(output, event_display(event, table, segments, detector, waveforms, threshold=threshold), overwrite)
    if event is None:
        click.echo(f"{output}: no event")
    else:
        click.echo(f"{output}: event {event}, {(table.event_id == event).sum()} hits")

"""The command `lartpc plot`."""

import matplotlib.image
import numpy as np
import pytest
from commands import succeeds

from lartpc.formats.hitfile import read_hits


@pytest.mark.slow
def test_plot_takes_the_event_with_most_hits_and_works_without_waveforms(folder, compiled):
    hits = read_hits(compiled)
    most = int(np.argmax(np.bincount(hits.event_id)))
    assert f"event {most}, {(hits.event_id == most).sum()} hits" in succeeds("plot", compiled, "-o", "a.png")
    assert "event 8, 0 hits" in succeeds("plot", compiled, "-o", "b.png", "--event", "8")
    succeeds("simulate", "in.h5", "-o", "new.h5")
    succeeds("plot", "new.h5", "-o", "c.png")
    for name in ("a.png", "b.png", "c.png"):
        assert matplotlib.image.imread(name)[..., :3].std() > 0.01
    heights = [matplotlib.image.imread(name).shape[0] for name in ("a.png", "b.png", "c.png")]
    assert heights[0] == heights[1] > heights[2]


@pytest.mark.slow
def test_plot_takes_packets_and_hits_without_segments(folder, compiled):
    import h5py

    succeeds("simulate", "in.h5", "-o", "new.h5", "--packets", "p.h5")
    hits = read_hits("new.h5")
    most = int(np.argmax(np.bincount(hits.event_id)))
    told = f"event {most}, {(hits.event_id == most).sum()} hits"
    assert told in succeeds("plot", "p.h5", "-o", "packets.png")
    assert told in succeeds("plot", "p.h5", "-o", "named.png", "--detector", "module0")
    with h5py.File("new.h5", "a") as file:
        del file["segments"]
    assert told in succeeds("plot", "new.h5", "-o", "bare.png")
    with h5py.File("p.h5", "a") as file:  # events are counted by their triggers
        triggers = np.unique(file["mc_packets_assn"]["event_ids"][file["packets"]["packet_type"] == 7])
        del file["segments"], file["mc_packets_assn"]
    number = int(np.searchsorted(triggers, most))
    told = f"event {number}, {(hits.event_id == most).sum()} hits"
    assert told in succeeds("plot", "p.h5", "-o", "measured.png")
    for name in ("packets.png", "bare.png", "measured.png"):
        assert matplotlib.image.imread(name)[..., :3].std() > 0.01

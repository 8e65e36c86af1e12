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

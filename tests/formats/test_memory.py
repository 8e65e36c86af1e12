"""Files simulated in the memory of a few events, and of none for the time between them."""

from functools import partial

import h5py
import layouts
import numpy as np
import pytest
from commands import succeeds
from helpers import peak_of

from lartpc.formats.edepsim import file_table
from lartpc.formats.hitfile import read_hits
from lartpc.formats.hits_of_packets import unrolled


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path, parts_of, compiled):
    """Four times the events need the same memory but for a few bytes an event and segment."""
    parts_of(90)
    detector = layouts.write(tmp_path, layouts.NOW)
    peaks = {}
    for events in (3, 12, 48):  # the first loads the kernels
        segments = layouts.tracks(events)
        with h5py.File(tmp_path / "s.h5", "w") as file:
            file["segments"] = file_table(segments)
        outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5", "--waveforms", "--overwrite"]
        arguments = ["simulate", tmp_path / "s.h5", *outputs, "--detector", detector[0], "--layout", detector[1]]
        _, peaks[events] = peak_of(partial(succeeds, *arguments))
        written = sum((tmp_path / name).stat().st_size for name in ("h.h5", "p.h5"))
    assert written > 2e6
    assert peaks[48] < 1.1 * peaks[12]


@pytest.mark.slow
@pytest.mark.parametrize("late", [1e9, 1e15, 1e22])
def test_late_segments_allocate_nothing_for_the_gap(tmp_path, late, compiled):
    """An event from t0 = 0 on with a decay after 1000 s, 30 years (unix times are such) or the age of the Earth."""
    detector, channels = layouts.load(tmp_path, layouts.NOW)
    files = layouts.write(tmp_path, layouts.NOW)
    prompt = file_table(layouts.tracks(2))
    decay = prompt.copy()  # at the same position of the other module
    decay["t0"] = late
    decay["segment_id"] += len(prompt)
    for name in ("y_start", "y_end"):
        decay[name] += 30.0
    found = {}
    for name, raw in (("prompt", prompt), ("both", np.concatenate((prompt, decay)))):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["segments"] = raw
        outputs = ["-o", tmp_path / f"{name}-h.h5", "--packets", tmp_path / f"{name}-p.h5", "--no-noise"]
        arguments = ["simulate", tmp_path / f"{name}.h5", *outputs, "--detector", files[0], "--layout", files[1]]
        printed, peak = peak_of(partial(succeeds, *arguments))
        with h5py.File(tmp_path / f"{name}-p.h5") as file:
            packets, of = file["packets"][()], file["mc_packets_assn"]["event_ids"][:, 0]
        found[name] = read_hits(tmp_path / f"{name}-h.h5"), packets, of, peak, printed
    hits, again = found["prompt"][0], found["both"][0]
    early = again.t < 1e6
    np.testing.assert_array_equal(again.t[early], hits.t)
    assert len(again) == 2 * len(hits)
    if late < 1e10:
        np.testing.assert_allclose(np.sort(again.t[~early] - late), np.sort(hits.t), atol=0.02)
    # data: of all hits, or of those within 11 days; few packets else; the second event follows the first's last hit
    packets, of = found["both"][1:3]
    data = packets["packet_type"] == 0
    assert data.sum() == (len(again) if late < 1e12 else len(hits))
    assert ("hits are more than 11 days late" in found["both"][4]) == (late > 1e12)
    assert (~data).sum() < (~(found["prompt"][1]["packet_type"] == 0)).sum() + 4 * 2 * (1000 // 200 + 4)
    time = unrolled(packets, 10_000_000)
    assert time[of == 0].max() < time[of == 1].min()
    if late < 1e12:
        assert 1e10 < np.ptp(time[of == 0]) < 1e10 + 1e4
    assert found["both"][3] < 40e6

"""Files of wires: frames and sparse windows are of one simulation, behind the high passes."""

import numpy as np
from wire_samples import joined, small_simulation, small_wires, track

from lartpc.arrays import owners
from lartpc.formats.edepsim import write_segments
from lartpc.formats.eventfile import EventFile
from lartpc.formats.frames import FrameFile
from lartpc.formats.waveforms import read_waveforms
from lartpc.plots.wires import channel_of
from lartpc.simulation.wirefiles import simulate_wire_file
from lartpc.simulation.wires import WireSimulation, dense
from lartpc.wires.digitize import count, digitize


def test_windows_are_cut_from_the_whole(tmp_path, monkeypatch):
    """Two tracks on the same wires, 100 us apart: what high passes give is in frames up to their end."""
    detector = small_wires(rc=(60.0, 90.0))
    simulation = small_simulation(detector)
    tracks = [track(20, dEdx=90.0, t0=t0, event=1) for t0 in (0.0, 100.0)]
    write_segments(tmp_path / "segments.h5", joined(*tracks))
    deposits = EventFile(tmp_path / "segments.h5")
    segments, _ = deposits.read(0)
    (batch,) = simulation.batches(segments)
    expected = simulation.waveforms(batch, simulation.vector())
    whole = simulation.waveforms(batch, simulation.vector(), settle=detector.n_ticks)

    runs, bare = [], WireSimulation.bare
    monkeypatch.setattr(WireSimulation, "bare", lambda *given: runs.append(1) or bare(*given))
    simulate_wire_file(simulation, deposits, tmp_path / "frames.h5", noise=False)
    assert len(runs) == 1
    found = read_waveforms(tmp_path / "frames.h5")
    windows = expected.windows
    np.testing.assert_array_equal(found.channel, windows.pixel[owners(windows.of_pixel, len(windows.tick))])
    np.testing.assert_array_equal(found.start_tick, windows.tick)
    np.testing.assert_array_equal(found.ticks, np.diff(windows.first))
    np.testing.assert_allclose(found.samples, expected.voltage, rtol=0.0, atol=1e-5 * np.abs(expected.voltage).max())

    ticks, late = range(detector.first_tick, detector.first_tick + detector.n_ticks), 0
    for frame in FrameFile(tmp_path / "frames.h5"):
        voltage = dense(whole, 0, frame.channels, ticks)
        counts = digitize(voltage, detector.adc, detector.channel_kind[frame.channels][:, None])
        assert np.abs(frame.samples.astype(int) - counts).max() <= 1
        assert np.mean(frame.samples != counts) < 1e-3
        late += np.count_nonzero(voltage[:, -50:] < -1.0)
    assert late > 100  # that is not just the baseline


def test_what_follows_a_window_is_told_from_it(tmp_path):
    """The picture of a channel shows what high passes give after a signal and between two, of one or two stages."""
    for k, rc in enumerate(((), (60.0,), (60.0, 90.0))):
        detector = small_wires(rc=rc)
        simulation = small_simulation(detector)
        write_segments(tmp_path / f"{k}.h5", joined(*(track(20, dEdx=90.0, t0=t0, event=1) for t0 in (-30.0, 90.0))))
        deposits, frames = EventFile(tmp_path / f"{k}.h5"), tmp_path / f"frames{k}.h5"
        simulate_wire_file(simulation, deposits, frames, noise=False)
        (whole,) = simulation(deposits.read(0)[0], settle=detector.n_ticks)
        ticks = range(detector.first_tick, detector.first_tick + detector.n_ticks)
        for channel in whole.windows.pixel[::7].tolist():
            found = channel_of(FrameFile(frames), 1, channel, detector)
            expected = dense(whole, 0, np.array([channel]), ticks)[0] / count(detector.adc)
            np.testing.assert_allclose(found.truth, expected, rtol=0.0, atol=1e-4 * np.abs(expected).max() + 1e-3)
            assert found.truth.shape == found.samples.shape

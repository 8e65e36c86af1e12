"""The likelihood of waveforms with noise, its derivatives, and fits of the seven parameters."""

import dataclasses

import numpy as np
import pytest
from wire_fits import assert_gradient, data_of, diffusing, muons, simulation_of
from wire_samples import joined, segments_of, track

from lartpc.fit.unknowns import unknowns_of
from lartpc.fit.waveforms import SEVEN, calibrate_waveforms
from lartpc.goodness.waveforms import judge_waveforms
from lartpc.losses.waveforms import PAD, WaveformObjective, power_of_part, regions_of
from lartpc.wires.digitize import digitize, undigitize
from lartpc.wires.noise import noise_of


@pytest.fixture(scope="module")
def detector():
    return diffusing()


def test_the_power_of_a_part_of_noise_is_that_of_many_parts(detector):
    """Mean |DFT|^2 of parts of noise that is drawn, over what is expected, is 1 at every frequency."""
    d, n, rows = detector, 256, 400
    kind = 1
    channel = np.flatnonzero((d.channel_kind == kind) & (d.channel_length > 29.0))[:40]
    found = np.zeros(n // 2 + 1)
    for event in range(rows // len(channel)):
        of = (d.channel_kind, d.channel_length, d.n_ticks, d.tick, d.electronics)
        noise = noise_of(d.noise, channel, np.full(len(channel), event), 3, *of, dtype=np.float64)
        counts = digitize(noise, d.adc, kind)
        found += (np.abs(np.fft.rfft(undigitize(counts, d.adc, kind, np.float64)[:, 100 : 100 + n])) ** 2).sum(axis=0)
    ratio = found / rows / power_of_part(d, kind, 30.0, n)
    assert abs(ratio[1:-1].mean() - 1.0) < 4.0 / np.sqrt(rows * n / 2)
    assert (np.abs(ratio[1:-1] - 1.0) < 5.0 / np.sqrt(rows)).all()


def test_regions_hold_all_windows_and_do_not_overlap(detector):
    simulation = simulation_of(detector)
    segments = muons(3, np.random.default_rng(0), detector)
    batch = simulation.batch(segments)
    found = simulation.waveforms(batch, simulation.vector())
    ticks = range(detector.first_tick, detector.first_tick + detector.n_ticks)
    regions = regions_of(found, batch.event_id, ticks)
    spans, inside = regions.spans(found.windows, batch.event_id)
    assert len(np.unique(inside)) == len(inside) == regions.ticks.sum()
    window = np.repeat(np.arange(len(found.windows.tick)), np.diff(found.windows.first))
    tick = found.windows.tick[window] + np.arange(len(window)) - found.windows.first[window]
    is_read = (tick >= ticks.start) & (tick < ticks.stop)
    assert is_read.sum() > 1000 and np.isin(spans.narrow[is_read], inside).all()
    assert (regions.start >= ticks.start).all() and (regions.start + regions.ticks <= ticks.stop).all()
    same = (np.diff(regions.event) == 0) & (np.diff(regions.channel) == 0)
    assert (regions.start[1:] >= (regions.start + regions.ticks)[:-1])[same].all()
    assert PAD < detector.n_ticks


@pytest.mark.parametrize("blur", [0.0, 4.0])
def test_gradient_is_that_of_differences(detector, blur):
    """Of the value of the likelihood, by all seven, in double precision."""
    simulation = simulation_of(detector, dtype=np.float64)
    segments = muons(1, np.random.default_rng(1), detector)
    unknowns = unknowns_of(simulation, SEVEN)
    objective = WaveformObjective(simulation, segments, data_of(simulation, segments, 0), unknowns)
    objective = objective.blurred(blur, np.ones(len(SEVEN), dtype=bool))
    values = unknowns.start * (1.0 + 0.002 * np.array([1.0, -1.0, 1.0, 1.0, 0.1, -1.0, 1.0]))
    assert_gradient(objective, values)


def test_what_high_passes_leave_of_a_signal_is_in_the_next_region(detector):
    """Two tracks on the same wires, 2000 ticks apart; data without noise are the model, to rounding, in both."""
    long = dataclasses.replace(detector, n_ticks=4000)
    line = [track(20, start=(4.0, -6.0, -3.0), direction=(0.5, 0.55, -0.1), dEdx=90.0, t0=t0) for t0 in (0.0, 1000.0)]
    simulation = simulation_of(long, dtype=np.float64)
    segments = joined(*line)
    unknowns = unknowns_of(simulation, SEVEN)
    objective = WaveformObjective(simulation, segments, data_of(simulation, segments, 0, noise=False), unknowns)
    (regions,) = objective.regions
    after = np.flatnonzero((np.diff(regions.channel) == 0) & (np.diff(regions.start) > 1500)) + 1
    assert len(after) > 10 and (regions.ticks < 1500).all()
    data = np.split(objective.data[0], regions.first[1:-1])
    before = [data[k][: PAD // 2] for k in after.tolist() if long.channel_kind[regions.channel[k]] == 1]
    assert max(np.abs(one).max() for one in before) > 0.1  # mV: what is left of the first track
    at = objective(unknowns.start)
    assert at.value < 1e-5  # data are in single precision
    assert (np.abs(at.gradient) < 1e-3 * np.sqrt(np.diag(at.information))).all()


def test_a_verdict_takes_no_derivatives(detector, monkeypatch):
    simulation = simulation_of(detector)
    segments = muons(1, np.random.default_rng(3), detector)
    objective = WaveformObjective(
        simulation, segments, data_of(simulation, segments, 2), unknowns_of(simulation, ("vdrift",))
    )
    at = objective(objective.unknowns.start)
    monkeypatch.setattr("lartpc.losses.waveforms.bare_slopes", None)
    verdict = judge_waveforms(objective, objective.unknowns.start)
    assert verdict.describes and verdict.examined.squares.sum() == pytest.approx(2.0 * at.value, rel=1e-4)


@pytest.mark.slow
def test_seven_parameters_from_far_away(detector):
    """With noise, from starts 1 to 60 % off: all within three of their errors, and the model describes the data."""
    simulation = simulation_of(detector)
    segments = muons(8, np.random.default_rng(2), detector)
    truth = detector.parameters
    read = data_of(simulation, segments, 5)
    for off in ((0.03, -0.07, 0.08, -0.4, 0.01, -0.3, 0.4), (0.08, -0.1, 0.15, -0.6, -0.015, -0.5, 0.6)):
        start = {name: truth.value(name) * (1.0 + one) for name, one in zip(SEVEN, off, strict=True)}
        result = calibrate_waveforms(simulation, segments, read, unknowns_of(simulation, SEVEN, start), truth=truth)
        pull = (result.values - result.truth) / result.errors
        assert result.good, str(result)
        assert np.abs(pull).max() < 3.5, str(result)


@pytest.mark.slow
def test_one_direction_leaves_a_direction_open(detector):
    """Tracks all of one angle do not tell beta_90 from R_anisotropy: it is said, and no number given for them."""
    simulation = simulation_of(detector)
    segments = segments_of((6.0, -13.0, -4.0), (22.0, 13.0, -14.0), dEdx=3.0)
    points = np.linspace(0.0, 1.0, 81)[:, None]
    start, end = np.array([[6.0, -13.0, -4.0]]), np.array([[22.0, 13.0, -14.0]])
    line = start + points * (end - start)
    segments = segments_of(line[:-1], line[1:], dEdx=np.linspace(1.8, 12.0, 80))
    result = calibrate_waveforms(simulation, segments, data_of(simulation, segments, 1))
    assert not result.good and not np.isfinite(result.errors[[1, 2]]).any()
    assert set(result.open_direction) >= {"beta_90", "R_anisotropy"}


def test_an_offset_of_time_is_found_from_far_away(detector):
    """Pulses that are 8 us off do not see each other but for the blur; 0, where it begins, is no limit to its steps."""
    simulation = simulation_of(detector)
    segments = muons(2, np.random.default_rng(4), detector)
    truth = detector.parameters.replace(t0_offset=8.0)
    read = data_of(simulation_of(dataclasses.replace(detector, parameters=truth)), segments, 3)
    result = calibrate_waveforms(simulation, segments, read, ("t0_offset",), truth=truth)
    assert result.good, str(result)
    assert abs(result.values[0] - 8.0) < 4.0 * result.errors[0]


def test_a_model_that_is_wrong_is_said_to_be(detector):
    """Data with a fifth more gain: nothing that is fitted can describe them."""
    simulation = simulation_of(detector)
    segments = muons(2, np.random.default_rng(3), detector)
    read = data_of(simulation, segments, 2)

    def spoilt(event_id, channel, start, n):
        return read(event_id, channel, start, n) * (1.2 if channel % 2 else 1.0)

    result = calibrate_waveforms(simulation, segments, spoilt, ("alpha_emb", "vdrift"))
    assert not result.good and any("mean square of the residuals" in reason for reason in result.reasons)

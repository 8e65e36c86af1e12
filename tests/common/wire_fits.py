"""Fits of waveforms of a small detector of wires: muons in it, and what its channels read of them."""

import dataclasses

import numpy as np
import pytest
from wire_samples import joined, segments_of, small_response, small_wires

from lartpc.simulation.wires import WireSimulation, dense
from lartpc.wires.digitize import digitize, undigitize
from lartpc.wires.noise import noise_of


def diffusing():
    """A small one with a high pass, whose diffusion is seen: it drifts 19.5 cm with large coefficients."""
    made = small_wires(rc=(300.0,))
    return dataclasses.replace(made, parameters=made.parameters.replace(tran_diff=6e-5, long_diff=4e-5, lifetime=300.0))


def simulation_of(detector, **more):
    return WireSimulation(detector, response=small_response(detector), **more)


def muons(n, rng, detector):
    """Lines through the TPCs in many directions, a tenth of whose steps ionise much more."""
    parts = []
    for event in range(n):
        start = np.array([rng.uniform(5.0, 25.0), -14.0, rng.choice([-1.0, 1.0]) * rng.uniform(3.0, 17.0)])
        end = np.array([rng.uniform(2.0, 28.0), 14.0, start[2] + rng.uniform(-12.0, 12.0)])
        if not 1.0 < abs(end[2]) < 19.5 or end[2] * start[2] < 0.0:
            end[2] = np.sign(start[2]) * 10.0
        points = start + np.linspace(0.0, 1.0, 81)[:, None] * (end - start)
        dEdx = np.where(rng.random(80) < 0.1, rng.uniform(5.0, 30.0, 80), rng.uniform(1.7, 3.0, 80))
        parts.append(segments_of(points[:-1], points[1:], dEdx=dEdx, event=event))
    return joined(*parts)


def data_of(simulation, segments, seed, noise=True):
    """What channels read: a function of event, channel, first tick and ticks."""
    d = simulation.detector
    ticks = range(d.first_tick, d.first_tick + d.n_ticks)
    channels, frames = np.arange(d.n_channels), {}
    for batch in simulation.batches(segments):
        found = simulation.waveforms(batch, simulation.vector(), settle=d.n_ticks)
        for event in np.unique(found.windows.event).tolist():
            frame = dense(found, event, channels, ticks)
            event_id = int(batch.event_id[event])
            if noise:
                of = (d.channel_kind, d.channel_length, d.n_ticks, d.tick, d.electronics)
                frame += noise_of(d.noise, channels, np.full(len(channels), event_id), seed, *of)
                kind = d.channel_kind[:, None]
                frame = undigitize(digitize(frame, d.adc, kind), d.adc, kind)
            frames[event_id] = frame

    def read(event_id, channel, start, n):
        return frames[event_id][channel, start - d.first_tick : start - d.first_tick + n]

    return read


def assert_gradient(objective, values):
    """That of the value at `values` is that of differences; double precision."""
    at = objective(values)
    for k in range(len(values)):
        h = 1e-5 * values[k] * np.eye(len(values))[k]
        expected = (objective(values + h).value - objective(values - h).value) / (2e-5 * values[k])
        assert at.gradient[k] == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.sqrt(at.information[k, k]))


def assert_hessian(objective, values, most):
    """The information at `values`, where there are no residuals, is that of differences of the gradient."""
    rows = []
    for k in range(len(values)):
        h = 1e-5 * values[k] * np.eye(len(values))[k]
        rows.append((objective(values + h).gradient - objective(values - h).gradient) / (2e-5 * values[k]))
    information = objective(values).information
    size = np.sqrt(np.diag(information))
    np.testing.assert_allclose(np.array(rows) / np.outer(size, size), information / np.outer(size, size), atol=most)


def of_one_track(segments):
    """The same where each event is a track."""
    return dataclasses.replace(segments, traj_id=np.zeros(len(segments), dtype=np.int64))

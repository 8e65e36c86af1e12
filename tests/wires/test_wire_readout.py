"""From segments to voltages of wires: charge, an independent sum, derivatives, order and threads."""

import dataclasses

import numba
import numpy as np
import pytest
from scipy.special import ndtr
from wire_samples import assert_differences, joined, segments_of, small_response, small_simulation, small_wires, track

from lartpc.arrays import owners
from lartpc.exceptions import InputError
from lartpc.gradients.waveforms import WireTrace, waveform_slopes
from lartpc.simulation.wires import WireSimulation
from lartpc.wires.electronics import impulse
from lartpc.wires.readout import ORDERS
from lartpc.wires.shaping import shape

LINES = {
    "across": ((4.0, -6.0, -3.0), (14.0, 5.0, -18.0)),
    "along the wires of W": ((10.1, -8.0, -7.0), (10.1, 9.0, -7.0)),
    "along the drift": ((10.1, 3.0, -1.0), (10.1, 3.0, -19.0)),
    "where the response begins": ((10.0, 3.0, -18.5), (16.0, 4.0, -19.5)),
    "through the cathode": ((10.0, 3.0, 7.0), (16.0, 4.0, -9.0)),
}


def sums(simulation, segments, **more):
    """Sum of the voltages of each kind of plane [mV us], and charge [e]."""
    total, charge = np.zeros(2), 0.0
    for found in simulation(segments, **more):
        windows = found.windows
        channel = windows.pixel[owners(windows.of_pixel, len(windows.tick))]
        kind = simulation.detector.channel_kind[channel[owners(windows.first, len(found.voltage))]]
        total += np.bincount(kind, found.voltage.astype(np.float64), 2) * simulation.detector.tick
        charge += found.steps.charge.sum(dtype=np.float64)
    return total, charge


def area(detector):
    return impulse(detector.electronics, (np.arange(240) + 0.5) * 0.1).sum() * 0.1


@pytest.mark.parametrize("dtype, within", [(np.float32, 1e-5), (np.float64, 1e-10)])
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_all_charge_is_collected_and_none_induced(line, dtype, within):
    simulation = small_simulation(dtype=dtype)
    total, charge = sums(simulation, segments_of(*line))
    assert charge > 1e5
    assert abs(total[1] / (charge * area(simulation.detector)) - 1.0) < within
    assert abs(total[0]) < within * charge * area(simulation.detector)


def test_charge_at_the_edge_is_collected_once():
    """What is nearer to the outermost wire than to a next one, that there is not, is collected."""
    simulation = small_simulation(dtype=np.float64)
    total, charge = sums(simulation, segments_of((29.7, 0.0, -10.0), (29.7, 1.0, -10.0)))
    assert 0.99 < total[1] / (charge * area(simulation.detector)) < 1.0001


def brute_force(simulation, segments):
    """The same voltages by a sum over all steps, rows and samples of the table as it is: {(channel, tick): mV}.

    The shares of a row or a sample are the integral of the Gaussian over what is nearest to it.
    """
    detector, response = simulation.detector, simulation.response
    fine = 0.05  # [us]
    table = shape(response, detector.electronics, response.sampling)
    batch = simulation.batch(segments)
    steps = simulation.waveforms(batch, simulation.vector()).steps
    planes, found = detector.planes, {}
    for i in range(len(steps.x)):
        tpc = steps.tpc[i]
        x = detector.x_lo[tpc] + steps.column[i] * detector.pitch[tpc] + steps.x[i]
        y = detector.y_lo[tpc] + steps.row[i] * detector.pitch[tpc] + steps.y[i]
        arrival = steps.arrival[i] + batch.tick[steps.segment[i]] * detector.tick
        for p in np.flatnonzero(planes.tpc == tpc):
            across = x * np.cos(planes.angle[p]) - y * np.sin(planes.angle[p])
            r, spread = (across - planes.origin[p]) / planes.pitch[p], steps.sigma_T[i] / planes.pitch[p]
            for wire in range(max(0, int(r) - 4), min(planes.wires[p], int(r) + 6)):
                offset = response.offsets
                lower, upper = (offset - 0.5 / response.bins), (offset + 0.5 / response.bins)
                place = ndtr((upper - (r - wire)) / spread) - ndtr((lower - (r - wire)) / spread)
                if place.sum() < 1e-6:
                    continue
                row = place @ table[planes.kind[p]]
                ticks = np.arange(int(arrival / detector.tick) - 3, int((arrival + 40.0) / detector.tick))
                u = np.arange(-5.0, 5.0, fine) + 0.5 * fine
                weight = np.exp(-0.5 * u**2) / np.exp(-0.5 * u**2).sum()
                late = ticks[:, None] * detector.tick - arrival - steps.sigma_t[i] * u
                value = np.interp(late, np.arange(len(row)) * response.sampling, row, left=0.0, right=0.0) @ weight
                channel = int(detector.channels(np.array([p]), np.array([wire]))[0])
                for tick, one in zip(ticks.tolist(), (steps.charge[i] * value).tolist(), strict=True):
                    found[channel, tick] = found.get((channel, tick), 0.0) + one
    return found


def as_dict(found):
    windows = found.windows
    window = owners(windows.first, len(found.voltage))
    channel = windows.pixel[owners(windows.of_pixel, len(windows.tick))[window]]
    tick = windows.tick[window] + np.arange(len(window)) - windows.first[window]
    return dict(zip(zip(channel.tolist(), tick.tolist(), strict=True), found.voltage.tolist(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "angle, bins, within", [(0.0, 4, 1e-2), (35.0, 4, 1e-2), (-60.0, 4, 1e-2), (90.0, 4, 1e-2), (35.0, 16, 1e-3)]
)
def test_voltages_are_those_of_an_independent_sum(angle, bins, within):
    """At any angle of the wires; what differs is the lattice, and is less the finer it is."""
    detector = small_wires(angle=angle)
    simulation = WireSimulation(detector, response=small_response(detector, bins), dtype=np.float64)
    segments = track(4, start=(9.0, -3.0, -6.0))
    ours, expected = as_dict(simulation(segments)[0]), brute_force(simulation, segments)
    keys = sorted(ours.keys() | expected.keys())
    a, b = (np.array([of.get(key, 0.0) for key in keys]) for of in (ours, expected))
    kind = detector.channel_kind[[channel for channel, _ in keys]]
    for k in (0, 1):
        assert np.linalg.norm((a - b)[kind == k]) < within * np.linalg.norm(b[kind == k])


@pytest.mark.parametrize("dtype, within", [(np.float32, 5e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_both_orders_give_the_same(line, dtype, within):
    detector, segments = small_wires(), segments_of(*line)
    one, two = (small_simulation(detector, dtype=dtype, order=order)(segments)[0] for order in ORDERS)
    a, b = as_dict(one), as_dict(two)
    worst = max(abs(a.get(key, 0.0) - b.get(key, 0.0)) for key in a.keys() | b.keys())
    assert worst < within * max(b.values())


def test_dense_deposits_are_summed_by_cells_and_sparse_ones_by_pairs():
    """The order that is taken is the one with less to do."""
    simulation = small_simulation()
    rng = np.random.default_rng(0)
    start = np.array([10.0, 0.0, -8.0]) + rng.uniform(-1.0, 1.0, (3000, 3))
    for points, order in ((start, "cells"), (start[:1] + 2.0 * np.arange(4)[:, None], "pairs")):
        segments = segments_of(points, points + 1e-3)
        taken, other = simulation(segments)[0], simulation.in_order(order)(segments)[0]
        assert len(taken.pairs.step) == len(other.pairs.step)


def test_finer_sites_in_time_change_little():
    detector = small_wires()
    segments = track(8)
    one, two = (as_dict(small_simulation(detector, dtype=np.float64, per_tick=n)(segments)[0]) for n in (1, 5))
    a, b = (np.array([of.get(key, 0.0) for key in sorted(one.keys() | two.keys())]) for of in (one, two))
    assert 1e-6 < np.linalg.norm(a - b) / np.linalg.norm(b) < 3e-3


def test_wrapped_wires_sum_both_sides_of_an_assembly():
    """A channel sees what comes to its wire on either side: the sum of the two alone."""
    detector = small_wires(of_u=", wrap: 98")
    simulation = small_simulation(detector, dtype=np.float64)
    one, other = (segments_of((1.0, -3.0, z), (29.0, 4.0, z)) for z in (-9.0, 9.0))
    together = joined(one, other)
    a, b, both = (as_dict(simulation(of)[0]) for of in (one, other, together))
    shared = {channel for channel, _ in a} & {channel for channel, _ in b}
    assert len(shared) > 4
    for key in both:
        assert both[key] == pytest.approx(a.get(key, 0.0) + b.get(key, 0.0), abs=1e-9)


SIMPLE = ("alpha_emb", "beta_90", "R_anisotropy", "lifetime", "vdrift", "tran_diff", "long_diff", "t0_offset")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rc", [(), (30.0, 60.0)], ids=["bare", "high passes"])
def test_gradients_and_slopes_are_those_of_differences(rc, order):
    """A random linear loss, by eight parameters and by all coordinates of segments, in float64."""
    rng = np.random.default_rng(3)
    simulation = small_simulation(small_wires(rc=rc), dtype=np.float64, order=order)
    batch = simulation.batch(track(5, dEdx=rng.uniform(1.5, 8.0, 5)))
    trace = WireTrace(simulation, batch)
    weight = rng.normal(size=trace.waveforms.voltage.shape)
    by_parameters, by_segments = trace.backward(weight)
    names = simulation.parameters.names
    slots = [names.index(name) for name in SIMPLE]
    _, slopes = waveform_slopes(simulation, batch, simulation.vector(), slots)

    def loss(values, of=batch):
        found = simulation.waveforms(of, values)
        assert np.array_equal(found.windows.tick, trace.waveforms.windows.tick)
        return found.voltage @ weight

    for k, (name, slot) in enumerate(zip(SIMPLE, slots, strict=True)):
        h = 1e-5 * (simulation.vector()[slot] or 1.0)
        low, high = simulation.vector(), simulation.vector()
        low[slot], high[slot] = low[slot] - h, high[slot] + h
        expected = (loss(high) - loss(low)) / (2.0 * h)
        assert by_parameters[name] == pytest.approx(expected, rel=1e-6)
        if order == "pairs":  # in which slopes are found; by cells windows end with what is seen of each
            assert slopes[k] @ weight == pytest.approx(by_parameters[name], rel=1e-9)
    assert_differences(batch, by_segments, lambda of: loss(simulation.vector(), of))


def test_bits_do_not_depend_on_threads_or_the_order_of_events():
    simulation = small_simulation()
    events = [track(5, event=e, start=(4.0 + e, -6.0, -3.0)) for e in range(3)]
    threads = numba.get_num_threads()
    whole = simulation(joined(*events))[0]
    numba.set_num_threads(1)
    try:
        turned = simulation(joined(*events[::-1]))[0]
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(whole.voltage, turned.voltage)
    assert np.array_equal(whole.windows.pixel, turned.windows.pixel)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"pitch": (0.5, 0.3)}, "plane W: found pitch 0.3 cm"),
        ({"height": 5.0}, "found height 5 cm"),
        ({"sampling": 0.3}, "found a sampling of 0.3 us"),
    ],
)
def test_a_response_that_does_not_fit_is_refused(change, told):
    detector = small_wires()
    response = dataclasses.replace(small_response(detector), **change)
    with pytest.raises(InputError, match=told):
        WireSimulation(detector, response=response)


def test_a_response_of_other_planes_is_refused():
    detector = small_wires()
    response = small_response(detector)
    one = dataclasses.replace(response, current=response.current[:1], pitch=(0.5,))
    with pytest.raises(InputError, match="found 1 planes, allowed are those of detector small: 2"):
        WireSimulation(detector, response=one)

"""Hits that no charge makes."""

import dataclasses

import numpy as np
import pytest
from front_ends import end_on
from helpers import VELOCITY, make_segments, one_tpc
from scipy import stats

from lartpc.detector.pixelvalues import PixelValues
from lartpc.exceptions import InputError
from lartpc.parameters import Parameters
from lartpc.settings import Settings
from lartpc.simulation.noise_hits import readout_window
from lartpc.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("one_thread")
WINDOW = 31.0 / VELOCITY + 1.8  # [us] of `one_tpc`: the drift and a hold
RATE = 2000.0  # [Hz]
DEPOSIT = ((0.1, 0.1, 9.0), (0.1, 0.1, 9.1))  # [cm]


def result_of(segments, detector=None, rate=RATE, attribution=False, **options):
    simulation = Simulation(detector or one_tpc(), noise=True, seed=4, noise_hits=rate, **options)
    return simulation(segments, attribution=attribution)


def too_little(events, **columns):
    """Deposits below threshold, one an event."""
    return make_segments(*(np.tile(at, (events, 1)) for at in DEPOSIT), dE=1e-3, event_id=np.arange(events), **columns)


def assert_same(hits, expected):
    for name, column in vars(hits).items():
        np.testing.assert_array_equal(column, getattr(expected, name), err_msg=name)


def test_their_number_is_that_of_poisson_and_all_places_and_times_are_alike():
    events, detector = 300, one_tpc()
    result = result_of(too_little(events))
    hits = result.hits
    assert readout_window(detector, Parameters()) == pytest.approx(WINDOW)
    assert result.summary.noise_hits == result.summary.hits == len(hits)
    pixels = events * detector.n_pixels
    mean = RATE * 1e-6 * WINDOW
    _, number = np.unique(np.stack((hits.event_id, hits.pixel_id)), axis=1, return_counts=True)
    found = np.append(np.bincount(number, minlength=4)[1:4], np.sum(number > 3))
    expected = pixels * np.append(stats.poisson.pmf([1, 2, 3], mean), stats.poisson.sf(3, mean))
    expected[1] *= 1.0 - RATE * 1e-6 * 1.8  # a pixel reads and resets for 1.8 us
    assert (np.abs(found - expected) < 4.0 * np.sqrt(expected)).all()
    assert abs(len(hits) - pixels * mean) < 4.0 * np.sqrt(pixels * mean)
    for column, n in ((hits.event_id, events), (hits.pixel_id, detector.n_pixels)):
        assert stats.chisquare(np.bincount(column, minlength=n)).pvalue > 1e-3
    assert stats.kstest(hits.t / WINDOW, "uniform").pvalue > 1e-3
    assert stats.kstest((hits.charge - 7000.0) / 500.0, "halfnorm").pvalue > 1e-3
    np.testing.assert_array_equal(hits.adc, np.floor(detector.adc(hits.charge.astype(float)) + 0.5))


def test_other_seeds_and_events_have_others():
    segments = too_little(2)
    hits = result_of(segments).hits
    other = Simulation(one_tpc(), noise=True, seed=5, noise_hits=RATE)(segments).hits
    apart = [hits.t[hits.event_id == 0], hits.t[hits.event_id == 1], other.t]
    assert min(map(len, apart)) > 10
    assert len(np.unique(np.concatenate(apart))) == sum(map(len, apart))


def test_they_are_the_same_bits_in_any_batches_order_and_choice_of_events():
    segments = dataclasses.replace(end_on(events=5), event_id=np.array([7, 3, 2**40, 12, 5]))
    hits = result_of(segments).hits
    assert_same(result_of(segments, settings=Settings(steps_per_batch=1)).hits, hits)
    assert_same(result_of(segments.select(np.array([4, 2, 0, 1, 3]))).hits, hits)
    chosen = segments.select(np.isin(segments.event_id, (3, 12)))
    assert_same(result_of(chosen).hits, hits.select(np.isin(hits.event_id, (3, 12))))


@pytest.mark.parametrize("more", [{}, {"adc_busy_delay": 30, "max_hits": 12}])
def test_hits_of_charge_stay_what_they_are(more):
    detector, segments = one_tpc(**more), end_on(events=3)
    plain = result_of(segments, detector, rate=0.0, attribution=True)
    result = result_of(segments, detector, rate=5e4, attribution=True)
    hits = result.hits
    of_noise = result.attribution.fraction[:, 0] == 0.0
    assert of_noise.sum() == result.summary.noise_hits > 2000 and plain.summary.noise_hits == 0
    assert result.summary.hits == plain.summary.hits + result.summary.noise_hits
    assert_same(dataclasses.replace(hits.select(~of_noise), hit=plain.hits.hit), plain.hits)
    for name in ("segment", "fraction", "trajectory", "fraction_traj"):
        column = getattr(result.attribution, name)
        np.testing.assert_array_equal(column[~of_noise], getattr(plain.attribution, name))
        assert (column[of_noise] == (0.0 if name.startswith("fraction") else -1)).all()
    np.testing.assert_array_equal(np.lexsort((hits.hit, hits.pixel_id, hits.event_id)), np.arange(len(hits)))
    # in time, no sooner than a pixel is ready, numbered from 0
    same = (np.diff(hits.event_id) == 0) & (np.diff(hits.pixel_id) == 0)
    assert np.diff(hits.t)[same].min() > 0.1 * detector.dead_ticks - 1e-4
    np.testing.assert_array_equal(np.diff(hits.hit)[same], 1)
    assert (hits.hit[1:][~same] == 0).all() and hits.hit.max() < detector.most_hits


def test_pixels_that_are_off_have_none_and_the_others_the_same():
    segments, off = too_little(30), np.arange(0, 100, 3)
    hits = result_of(segments).hits
    found = result_of(segments, one_tpc().without_pixels(off)).hits
    lost = np.isin(hits.pixel_id, off)
    assert lost.sum() > 100
    assert_same(found, hits.select(~lost))


def test_their_charge_is_by_the_threshold_and_gain_of_the_pixel():
    values = PixelValues(np.array([3, 50]), np.array([2000.0, 9000.0]), 7000.0)
    hits = result_of(too_little(100), thresholds=values, parameters=Parameters(threshold_offset=500.0)).hits
    for pixel, threshold in ((3, 2500.0), (50, 9500.0), (51, 7500.0)):
        above = hits.charge[hits.pixel_id == pixel] - threshold
        assert len(above) > 10 and 0.0 <= above.min() < 100.0 and above.max() < 3000.0
    halved = result_of(too_little(100), parameters=Parameters(gain_factor=0.5)).hits
    detector = dataclasses.replace(one_tpc(), gain=0.5 * one_tpc().gain)
    np.testing.assert_array_equal(halved.adc, np.floor(detector.adc(halved.charge.astype(float)) + 0.5))


def test_they_begin_with_the_first_deposit_of_their_event():
    t0 = np.array([5e6, 5e6 + 9.0, -3.05])
    segments = dataclasses.replace(too_little(3, t0=t0), event_id=np.array([1, 1, 2]))
    hits = result_of(segments, parameters=Parameters(t0_offset=2.0), rate=5e4).hits
    for event, first in ((1, 5e6), (2, -3.1)):  # as the trigger, at a tick
        late = hits.t[hits.event_id == event] - first - 2.0
        assert 0.0 <= late.min() < 1.0 and WINDOW - 1.0 < late.max() <= WINDOW
    assert len(result_of(segments.select(np.zeros(0, dtype=int))).hits) == 0


def test_they_follow_the_zero_of_time_of_their_event():
    """An offset of all events, or of one."""
    segments = too_little(3)
    plain = result_of(segments).hits
    for given, moved in (
        ({"t0_offset": 5.0}, [5.0] * 3),
        ({"t0_offset": 1.0, "t0_offset.event2": -7.0}, [1.0, 1.0, -7.0]),
    ):
        hits = result_of(segments, parameters=Parameters().replace(**given)).hits
        np.testing.assert_array_equal(hits.pixel_id, plain.pixel_id)
        np.testing.assert_allclose(hits.t - plain.t, np.array(moved)[hits.event_id], atol=1e-9)


@pytest.mark.parametrize("rate", [-1.0, np.nan, np.inf, 2e5, "often", None, True])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(InputError, match=rf"^noise_hits: found {rate}, allowed is a number from 0 to 100000 \[Hz\]$"):
        Simulation(noise=True, noise_hits=rate)


def test_without_noise_there_are_none():
    with pytest.raises(InputError, match="^noise_hits: found 3 without noise, allowed is 0 there$"):
        Simulation(noise_hits=3)
    segments = end_on()
    quiet = Simulation(one_tpc(), noise=True, noise_hits=RATE).without_noise()
    assert_same(quiet(segments).hits, Simulation(one_tpc())(segments).hits)

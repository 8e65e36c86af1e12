import numpy as np
import pytest

from lartpc.kernels.response.convolve import convolve

PER_TICK, RANK = np.array([1, 2, 3]), np.array([8, 4, 12])
FIRST_LAG, LAST_LAG = np.array([-7, -3, 2]), np.array([4, 12, 20])
RATE = np.array([0.05, 0.2, 0.7, 1.5])  # of the exponentials, a tick
LENGTH = np.array([17, 40, 25])


class Trains:
    """Three windows: with one train, with three, with two of the same table; waveforms of random numbers.

    Trains lie anywhere so that their last site is seen by the window's last tick or earlier, or the one after it.
    """

    def __init__(self, dtype=np.float64, poles=4):
        random = np.random.default_rng(0)
        self.dtype, self.rate = dtype, RATE[:poles]
        self.waveform = [random.normal(size=(r, n)) for r, n in zip(RANK, LAST_LAG - FIRST_LAG + 1, strict=True)]
        self.amplitude = [random.normal(size=(r, poles)) for r in RANK]
        self.train, self.table = np.array([0, 1, 4, 6]), np.array([1, 0, 1, 2, 2, 2])
        self.tick, self.first = np.array([-33, 5, 1000]), np.concatenate(([0], np.cumsum(LENGTH)))
        window = np.repeat(np.arange(3), np.diff(self.train))
        self.sites = random.integers(4, 15, 6)
        end = (self.tick + LENGTH)[window] * PER_TICK[self.table] - LAST_LAG[self.table]
        self.site = end - self.sites - [0, 0, 30, 11, 0, 25]
        self.begin = np.concatenate(([0], np.cumsum(self.sites * RANK[self.table])))
        self.source = random.normal(size=self.begin[-1])

    def current(self, source):
        T = self.dtype
        basis = np.zeros((3, max(w.size for w in self.waveform)), T)
        tail = np.zeros((3, PER_TICK.max(), RANK.max(), len(self.rate)), T)
        for t in range(3):
            basis[t, : self.waveform[t].size] = self.waveform[t].T[::-1].ravel()
            for before in range(1, PER_TICK[t] + 1):
                tail[t, before - 1, : RANK[t]] = self.amplitude[t] * np.exp(-self.rate * before / PER_TICK[t])
        current, state = np.zeros(self.first[-1], T), np.zeros((3, len(self.rate)), T)
        convolve(
            3,
            window_train=self.train,
            window_tick=self.tick,
            window_first=self.first,
            train_table=self.table,
            train_site=self.site,
            train_sites=self.sites,
            train_source=self.begin,
            per_tick=PER_TICK,
            rank=RANK,
            first_lag=FIRST_LAG,
            last_lag=LAST_LAG,
            basis=basis,
            tail=tail,
            decay=np.exp(-self.rate).astype(T),
            source=source.astype(T),
            state=state,
            current=current,
        )
        return current

    def slow(self, source):
        """Every tick by every value: the waveforms from their first lag to the last, exponentials before."""
        current = np.zeros(self.first[-1])
        for i in range(3):
            for k in range(LENGTH[i]):
                for c in range(self.train[i], self.train[i + 1]):
                    t = self.table[c]
                    for n in range(self.sites[c]):
                        lag = (self.tick[i] + k) * PER_TICK[t] - self.site[c] - n
                        if lag > LAST_LAG[t]:
                            continue
                        at = self.begin[c] + n * RANK[t]
                        if lag >= FIRST_LAG[t]:
                            value = self.waveform[t][:, lag - FIRST_LAG[t]]
                        else:
                            value = self.amplitude[t] @ np.exp(self.rate * (lag - FIRST_LAG[t]) / PER_TICK[t])
                        current[self.first[i] + k] += source[at : at + RANK[t]] @ value
        return current


@pytest.mark.parametrize("poles", [0, 4])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_currents_are_sums_over_all_ticks(poles, dtype, tolerance):
    trains = Trains(dtype, poles)
    expected = trains.slow(trains.source)
    found = trains.current(trains.source)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_currents_are_linear_and_windows_apart():
    trains = Trains()
    other = np.random.default_rng(1).normal(size=len(trains.source))
    whole = 0.3 * trains.current(trains.source) - 2.0 * trains.current(other)
    np.testing.assert_allclose(trains.current(0.3 * trains.source - 2.0 * other), whole, atol=1e-12)
    one = np.where(np.arange(len(other)) < trains.begin[1], other, 0.0)  # the first window's train
    assert not trains.current(one)[LENGTH[0] :].any()
    np.testing.assert_array_equal(trains.current(one)[: LENGTH[0]], trains.current(other)[: LENGTH[0]])


def test_exponentials_that_are_next_to_nothing_end():
    """Numbers below the least normal one are slow: none is left of a charge that is far away in time."""
    trains = Trains(np.float32)
    trains.rate = np.full(4, 30.0)
    trains.source[:] = 1.0
    found = np.abs(trains.current(trains.source))
    assert np.all((found == 0.0) | (found > 1e-31)) and np.any(found == 0.0)

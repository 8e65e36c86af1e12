"""Noise hits and dead time in files of hits and packets."""

import numpy as np
import pytest
from commands import refuses, succeeds
from streams import EVENTS, simulate

from lartpc.formats.hitfile import read_attrs

RATE = ("--noise-hits", "300")


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    return simulate(folder, "together", tmp_path_factory.mktemp("whole"), *RATE)


def counted(printed):
    return int(printed.partition(" of noise;")[0].split()[-1])


def test_they_are_counted_and_have_packets_without_segments(whole):
    files, printed = whole
    hits, associated = files["h.h5"]["hits"], files["p.h5"]["mc_packets_assn"]
    data = files["p.h5"]["packets"]["packet_type"] == 0
    number = counted(printed)
    mean = 6 * 6400 * 300e-6 * (30.27225 / 0.1596452 + 1.8)  # events, pixels, rate and window [us]
    assert abs(number - mean) < 4.0 * np.sqrt(mean)
    assert f"{len(hits)} hits with " in printed and f", {number} of noise" in printed
    assert data.sum() == len(hits)
    of_noise = (associated["segment_ids"][data, 0] < 0) & (associated["fraction"][data, 0] == 0.0)
    assert of_noise.sum() == number
    np.testing.assert_array_equal(np.unique(associated["event_ids"][data, 0][of_noise]), sorted(EVENTS))


@pytest.mark.slow
def test_they_do_not_depend_on_the_size_of_parts_or_on_the_events(folder, tmp_path, parts_of, whole):
    hits = whole[0]["h.h5"]["hits"]
    parts_of(60)
    found, printed = simulate(folder, "together", tmp_path, *RATE)
    assert counted(printed) == counted(whole[1])
    assert found["h.h5"]["hits"].tobytes() == hits.tobytes()
    found, _ = simulate(folder, "together", tmp_path, *RATE, "--events", "5:9")
    assert found["h.h5"]["hits"].tobytes() == hits[np.isin(hits["event_id"], [5, 7, 8])].tobytes()


def test_files_say_so(folder, tmp_path):
    path = tmp_path / "h.h5"
    run = ("simulate", folder / "together.h5", "--seed", 3, "-o", path, "--events", "7", "--overwrite")
    succeeds(*run)
    plain = path.read_bytes()
    assert read_attrs(path)["noise_hits"] == 0.0
    succeeds(*run, "--dead-time", 0, "--noise-hits", 0)
    assert path.read_bytes() == plain
    succeeds(*run, "--dead-time", 2.5, "--noise-hits", 1e-3)
    attrs = read_attrs(path)
    assert attrs["readout"]["adc_busy_delay"] == 25 and attrs["noise_hits"] == 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--noise-hits", "-1"), "noise_hits: found -1.0, allowed is a number from 0 to 100000 [Hz]"),
        (("--noise-hits", "nan"), "noise_hits: found nan, allowed is a number from 0 to 100000 [Hz]"),
        (("--noise-hits", "1e6"), "noise_hits: found 1000000.0, allowed is a number from 0 to 100000 [Hz]"),
        (("--noise-hits", "few"), "Invalid value for '--noise-hits': 'few' is not a valid float."),
        (("--noise-hits", "5", "--no-noise"), "noise_hits: found 5.0 without noise, allowed is 0 there"),
        *(
            (("--dead-time", text), f"dead time: found {text} us, allowed is a whole number of ticks of 0.1 us from 0")
            for text in ("-1", "nan", "inf", "0.15", "20000")
        ),
        (("--dead-time", "long"), "Invalid value for '--dead-time': 'long' is not a valid float."),
    ],
)
def test_other_values_are_refused(folder, tmp_path, options, message):
    line = refuses(tmp_path, "simulate", folder / "together.h5", "-o", tmp_path / "new.h5", *options)
    assert line.startswith(f"lartpc: {message}")

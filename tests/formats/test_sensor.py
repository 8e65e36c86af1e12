"""JAXTPC's sensor files: what is written is read, its places are as its own programs take them, the rest is refused."""

import h5py
import numpy as np
import pytest
from segment_tables import refused

from lartpc.data.frames import Waveforms
from lartpc.files import hdf5
from lartpc.formats.sensor import SensorFile, SensorLayout, SensorWriter

WIRES = np.array([[40, 40, 30], [40, 0, 30]])
PEDESTALS = np.array([[1843, 1843, 410]] * 2)


def layout(pedestals=PEDESTALS, wires=WIRES, n_ticks=300):
    return SensorLayout(n_ticks, 0.5, wires, np.cumsum(wires).reshape(wires.shape) - wires, pedestals)


def windows(event=5, dtype=np.int16):
    """Windows of planes U and Y of volume 0, U of volume 1, in no order."""
    samples = np.random.default_rng(event).integers(0, 1800, 120).astype(dtype)
    return Waveforms(
        event_id=np.full(4, event),
        channel=np.array([112, 3, 90, 3]),
        start_tick=np.array([250, 10, 0, 100]),
        offset=np.array([0, 50, 70, 110]),
        ticks=np.array([50, 20, 40, 10], dtype=np.int32),
        samples=samples,
    )


def write(path, *events, of=None, threshold=0.0, **attrs):
    with hdf5.new_hdf5(path, overwrite=True) as file:
        writer = SensorWriter(file, of or layout(), threshold, attrs)
        for waveforms in events:
            writer.append(int(waveforms.event_id[0]), waveforms)
    return path


def read(path):
    return list(SensorFile(path))


def dense(waveforms, channels=180, ticks=300):
    """Samples by channel and tick, NaN where there are none."""
    image = np.full((channels, ticks), np.nan)
    for row in range(len(waveforms)):
        start, offset, n = waveforms.start_tick[row], waveforms.offset[row], waveforms.ticks[row]
        image[waveforms.channel[row], start : start + n] = waveforms.samples[offset : offset + n]
    return image


@pytest.mark.parametrize(("dtype", "pedestals"), [(np.int16, PEDESTALS), (np.float32, None)])
def test_events_come_back(tmp_path, dtype, pedestals):
    events = [windows(event, dtype) for event in (9, 5)]
    path = write(tmp_path / "s.h5", *events, of=layout(pedestals))
    file = SensorFile(path)
    assert file.events.tolist() == [5, 9] and file.layout.tick == 0.5 and file.layout.n_ticks == 300
    np.testing.assert_array_equal(file.layout.wires, WIRES)
    np.testing.assert_array_equal(file.layout.first_channel, [[0, 40, 80], [110, 150, 150]])
    for found, wanted in zip(file, events[::-1], strict=True):
        assert found.samples.dtype == dtype and found.event_id.tolist() == wanted.event_id.tolist()
        np.testing.assert_array_equal(dense(found), dense(wanted))
        assert found.channel.tolist() == [3, 3, 90, 112] and found.ticks.tolist() == [20, 10, 40, 50]


def test_samples_near_the_pedestal_are_left_out(tmp_path):
    one = windows()
    image = dense(one)
    pedestal = np.where(np.arange(180)[:, None] < 80, 1843, np.where(np.arange(180)[:, None] < 110, 410, 1843))
    (found,) = read(write(tmp_path / "s.h5", one, threshold=200.0))
    np.testing.assert_array_equal(dense(found), np.where(np.abs(image - pedestal) >= 200.0, image, np.nan))
    (none,) = read(write(tmp_path / "s.h5", one, threshold=1e6))
    assert len(none) == 0 and none.samples.dtype == np.int16


def test_names_and_types_are_those_of_jaxtpc(tmp_path):
    """As its load_event_sensor decodes them: starts and sums of differences."""
    path = write(tmp_path / "s.h5", windows(7), electrons_per_adc=182.0)
    with h5py.File(path) as file:
        attrs = file["config"].attrs
        assert attrs["num_time_steps"] == 300 and attrs["time_step_us"] == 0.5 and attrs["n_events"] == 1
        assert attrs["readout_type"] == "wire" and attrs["electrons_per_adc"] == 182.0
        np.testing.assert_array_equal(file["config/num_wires"], WIRES)
        np.testing.assert_array_equal(file["config/pedestals"], PEDESTALS)
        event = file["event_000"]
        assert event.attrs["source_event_idx"] == 7 and sorted(event) == ["volume_0", "volume_1"]
        assert sorted(event["volume_0"]) == ["U", "Y"] and sorted(event["volume_1"]) == ["U"]
        plane = event["volume_0/U"]
        wires = plane.attrs["wire_start"] + np.cumsum(plane["delta_wire"][()])
        times = plane.attrs["time_start"] + np.cumsum(plane["delta_time"][()])
        assert plane["delta_wire"].dtype == plane["delta_time"].dtype == np.int16
        assert plane["values"].dtype == np.uint16 and plane.attrs["pedestal"] == 1843
        assert plane.attrs["n_pixels"] == len(wires) == 30
        image = dense(windows(7))
        np.testing.assert_array_equal(image[wires, times], plane["values"])


@pytest.mark.parametrize(
    ("n_ticks", "wires", "told"),
    [
        (300, [[1, 1, 1]], "event 5: found channel 112, allowed are those of the layout"),
        (299, WIRES, "event 5, volume 1, plane U: found tick 299, allowed are 0 to 298"),
    ],
)
def test_waveforms_that_the_layout_has_not(tmp_path, n_ticks, wires, told):
    of = layout(np.array([[0, 0, 0]] * len(wires)), np.array(wires), n_ticks)
    assert told in refused(write, tmp_path / "s.h5", windows(), of=of)
    assert not list(tmp_path.iterdir())


def test_steps_beyond_int16_are_refused(tmp_path):
    """32767 is the largest; in JAXTPC's files the next one is -32768."""
    of = layout(wires=np.array([[10**5, 0, 0]]), n_ticks=10**5, pedestals=np.array([[0, 0, 0]]))

    def pair(channel, tick):
        ones = np.ones(2, np.int64)
        return Waveforms(ones, np.array([0, channel]), np.array([0, tick]), np.arange(2), ones, np.ones(2, np.int16))

    for channel, tick in ((32767, 0), (0, 32767), (1, 0)):
        (found,) = read(write(tmp_path / "s.h5", pair(channel, tick), of=of))
        assert found.channel.tolist() == [0, channel] and found.start_tick.tolist() == [0, tick]
    told = "event 1, volume 0, plane U: found a step of 32768 in {}, JAXTPC's int16 allows up to 32767"
    assert told.format("wire") in refused(write, tmp_path / "w.h5", pair(32768, 0), of=of)
    assert told.format("time") in refused(write, tmp_path / "w.h5", pair(0, 32768), of=of)
    assert "int16 with pedestals, or float32" in refused(write, tmp_path / "w.h5", windows(dtype=np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


U = "event_000/volume_0/U"


@pytest.mark.parametrize(
    ("where", "value", "told"),
    [
        ("config", None, "no group 'config' of a sensor file, found event_000"),
        ("config/num_wires", None, "no dataset 'config/num_wires', found pedestals"),
        ("config/num_wires", np.zeros((2, 2), int), "config/num_wires is of shape (2, 2), allowed are volumes x 3"),
        ("config/num_wires", WIRES - 1, "config/num_wires: found -1, allowed are 0 to"),
        ("config/num_wires", WIRES * 1.0, "'config/num_wires' is an array of float64"),
        ("config/num_wires", np.where(WIRES == 40, 3, WIRES), "wire_start is 3, allowed are whole numbers from 0 to 2"),
        ("config/pedestals", PEDESTALS[:1], "config/pedestals is of shape (1, 3)"),
        ("config/pedestals", None, "values are uint16, allowed are float32, as config has no pedestals"),
        ("config@readout_type", "pixel", "config: readout_type is 'pixel', allowed is 'wire'"),
        ("config@time_step_us", "a", "config: time_step_us is 'a', allowed are positive numbers"),
        ("config@time_step_us", np.zeros((2, 2)), "config: time_step_us is array([[0., 0.], [0., 0.]]), allowed"),
        ("config@num_time_steps", None, "'config': num_time_steps is None, allowed are whole numbers from 1 to"),
        ("config@num_time_steps", 100, "found time 100 in row 20, allowed are 0 to 99; steps beyond int16"),
        ("event_000@source_event_idx", 1.5, "'event_000': source_event_idx is 1.5, allowed are whole numbers"),
        ("event_000/volume_0/Pixel", np.zeros(2), "'/event_000/volume_0' has 'Pixel', allowed are U, V, Y"),
        (f"{U}/values", None, f"no dataset '{U}/values', found delta_time, delta_wire"),
        (f"{U}/values", np.zeros(30), f"'{U}/values' is an array of float64, allowed is uint16 or float32"),
        (f"{U}/values", np.zeros(29, "u2"), f"'{U}': found 30 of delta_wire and 29 values, allowed are as many"),
        (f"{U}/values", np.full(30, 40_000, "u2"), f"'{U}': found 40000 ADC, allowed are up to 32767"),
        (f"{U}/values", np.ones(30, "f4"), f"'{U}': values are float32, allowed are uint16"),
        (f"{U}/delta_wire", np.zeros(30), f"'{U}/delta_wire' is an array of float64, allowed is whole numbers"),
        (f"{U}/delta_time", np.zeros(30, "i2"), f"'{U}': wire 3 has tick 10 twice, allowed is once"),
        (f"{U}/delta_time", np.full(30, -32768, "i2"), f"'{U}': found time -32758 in row 0"),
        (f"{U}@wire_start", 40, f"'{U}': wire_start is 40, allowed are whole numbers from 0 to 39"),
    ],
)
def test_files_that_are_none(tmp_path, where, value, told):
    path = write(tmp_path / "s.h5", windows())
    with h5py.File(path, "a") as file:
        name, _, key = where.partition("@")
        place, key = (file[name].attrs, key) if key else (file, name)
        if key in place:
            del place[key]
        if value is not None:
            place[key] = value
    line = refused(read, path)
    assert told in line and line.startswith(f"{path}: ")


def test_damaged_and_doubled_files(tmp_path):
    path = write(tmp_path / "s.h5", windows(5), windows(5))
    assert "found source_event_idx 5 of event_000 and event_001, allowed is one of each" in refused(read, path)
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:3000])
    assert "truncated" in refused(read, tmp_path / "cut.h5")
    assert "no such file" in refused(read, tmp_path / "nowhere.h5")
    path = write(tmp_path / "f.h5", windows(dtype=np.float32), of=layout(None))
    with h5py.File(path, "a") as file:
        file[f"{U}/values"][3] = np.nan
    assert "found a value that is not finite" in refused(read, path)

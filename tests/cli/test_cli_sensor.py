"""Sensor files of JAXTPC's form, written beside frames and fitted."""

import json

import h5py
import numpy as np
import pytest
from commands import refusal, succeeds
from wire_samples import REACH, SAMPLING, TEXT, small_response

from lartpc.detector.wires import BUILT_IN, WireDetector
from lartpc.formats.frames import FrameFile
from lartpc.formats.sensor import SensorFile
from lartpc.formats.sensorframes import SensorFrames, sensor_layout
from lartpc.wires.fieldresponse import FieldResponse

THREE = (
    TEXT.format(rc=[], angle=35.0, of_u="")
    .replace("  - {name: W,", "  - {name: V, kind: induction, angle: -35.0, pitch: 0.5}\n  - {name: W,")
    .replace("    - {distance: 0.0,", "    - {distance: 0.15, pitch: 0.5, bias: 0.0}\n    - {distance: 0.0,")
    .replace("[880.0, 286.0]", "[880.0, 880.0, 286.0]")
    .replace("474.0]], 377.0]", "474.0]], 474.0, 377.0]")
)
FIT = ("--fit", "alpha_emb,vdrift", "--start", "vdrift=0.1595")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A detector of three planes, muons in it, and their frames as files of both kinds."""
    folder = tmp_path_factory.mktemp("sensor")
    detector, response = folder / "small.yaml", folder / "response.npz"
    detector.write_text(THREE)
    two = small_response(WireDetector.load(detector))
    planes = (two.current[0], two.current[0], two.current[1])
    FieldResponse(planes, (0.5,) * 3, SAMPLING, two.height, two.vdrift, two.bins).write(response)
    of, segments = ("--detector", detector, "--response", response), folder / "segments.h5"
    succeeds("generate", "cosmics", "-o", segments, "--detector", detector, "--events", "2")
    given = ("-o", folder / "frames.h5", *of, "--seed", "3", "--sensor", folder / "sensor.h5")
    succeeds("simulate", segments, *given)
    assert two.reach == REACH
    return {"of": of, "segments": segments, "folder": folder, "detector": WireDetector.load(detector)}


def test_a_sensor_file_has_the_same_frames(made):
    frames = FrameFile(made["folder"] / "frames.h5")
    sensor = SensorFrames(made["folder"] / "sensor.h5", made["detector"])
    assert sensor.events.tolist() == frames.events.tolist() == [0, 1]
    for event in (0, 1):
        for one, other in zip(frames.of_event(event), sensor.of_event(event), strict=True):
            for name in ("samples", "channels", "anode", "time", "tick"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    with h5py.File(made["folder"] / "sensor.h5") as file:
        assert file["config"].attrs["pre_window_us"] == 10.0 and file["config"].attrs["threshold_adc"] == 0.0
        np.testing.assert_array_equal(file["config/pedestals"], [[2002, 2002, 651]] * 2)
        np.testing.assert_array_equal(file["event_000/volume_0/U/delta_time"][1:600], 1)


def test_the_detectors_that_are_built_in_have_their_channels_in_that_order():
    for name in BUILT_IN:
        detector = WireDetector.built_in(name)
        layout = sensor_layout(detector)
        assert layout.wires.sum() == detector.n_channels
        for volume, plane in np.ndindex(layout.wires.shape):
            own = layout.first_channel[volume, plane] + np.arange(layout.wires[volume, plane])
            assert (detector.channel_anode[own] == volume).all() and (detector.channel_kind[own] == plane).all()


@pytest.mark.slow
def test_a_fit_to_a_sensor_file_is_that_to_the_frames(made, tmp_path):
    found = {}
    for name in ("frames", "sensor"):
        target = made["folder"] / f"{name}.h5"
        succeeds("calibrate", made["segments"], target, "-o", tmp_path / name, *made["of"], *FIT)
        found[name] = json.loads((tmp_path / name / "fit.json").read_text())["parameters"]
    assert found["frames"] == found["sensor"]
    assert abs(found["sensor"]["vdrift"]["value"] - 0.16) < 4.0 * found["sensor"]["vdrift"]["error"]


def test_samples_that_are_left_out_are_no_target(made, tmp_path):
    sparse = tmp_path / "sparse.h5"
    given = ("-o", tmp_path / "frames.h5", *made["of"], "--seed", "3", "--sensor", sparse, "--sensor-threshold", "20")
    succeeds("simulate", made["segments"], *given)
    values = [np.abs(one.samples.astype(int)) for one in SensorFile(sparse)]
    whole = [one.samples for one in SensorFile(made["folder"] / "sensor.h5")]
    assert 0 < sum(map(len, values)) < 0.1 * sum(map(len, whole))
    fit = ("calibrate", made["segments"], sparse, "-o", tmp_path / "fit", *made["of"], *FIT)
    assert "config: threshold_adc is 20, allowed for a fit is 0: all samples" in refusal(*fit)
    lacking = tmp_path / "lacking.h5"
    lacking.write_bytes((made["folder"] / "sensor.h5").read_bytes())
    with h5py.File(lacking, "a") as file:
        group = file["event_000/volume_0/U"]
        for name in ("delta_wire", "delta_time", "values"):
            column = group[name][:-1]
            del group[name]
            group[name] = column
    line = refusal("calibrate", made["segments"], lacking, *fit[3:])
    assert "lacks samples, allowed are all" in line and "event 0: channel" in line


def test_others_are_refused(made, tmp_path):
    two = tmp_path / "two.yaml"
    two.write_text(TEXT.format(rc=[], angle=35.0, of_u=""))
    small_response(WireDetector.load(two)).write(tmp_path / "two.npz")
    given = ("--detector", two, "--response", tmp_path / "two.npz")
    sensor = ("--sensor", tmp_path / "s.h5")
    line = refusal("simulate", made["segments"], "-o", tmp_path / "f.h5", *given, *sensor)
    assert "detector small: has 2 planes, allowed in a sensor file are three, U, V, Y" in line
    line = refusal("simulate", made["segments"], "-o", tmp_path / "s.h5", *made["of"], *sensor)
    assert "is named for two outputs" in line
    line = refusal("simulate", made["segments"], "-o", tmp_path / "f.h5", *sensor)
    assert "--sensor: found with pixels, allowed only with wires" in line
    line = refusal("simulate", made["segments"], "-o", tmp_path / "f.h5", *made["of"], "--sensor-threshold", "3")
    assert "--sensor-threshold: allowed with --sensor only" in line
    for threshold in ("-1", "nan", "inf"):
        given = (*made["of"], *sensor, "--sensor-threshold", threshold)
        line = refusal("simulate", made["segments"], "-o", tmp_path / "f.h5", *given)
        assert f"--sensor-threshold: found {threshold}, allowed is a number from 0 [ADC]" in line
    target = made["folder"] / "sensor.h5"
    line = refusal("calibrate", made["segments"], target, "-o", tmp_path / "fit", "--detector", "sbnd")
    assert "config: num_wires is" in line
    line = refusal("calibrate", made["segments"], target, "-o", tmp_path / "fit", *made["of"], "--tag", "raw")
    assert "is a sensor file, whose frames have no tag" in line
    none = tmp_path / "none.h5"
    none.write_bytes(target.read_bytes())
    with h5py.File(none, "a") as file:
        del file["event_000"], file["event_001"]
    for command in (("calibrate", made["segments"], none), ("reconstruct", none)):
        assert "no events, '/event_<NNN>'" in refusal(*command, "-o", tmp_path / "out", *made["of"])
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "f.h5").exists() and not (tmp_path / "s.h5").exists()

"""The commands with a detector of wires: generate, simulate, calibrate, plot, info."""

import dataclasses
import json
import shutil
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest
from commands import lartpc_command, refusal, succeeds
from wire_samples import SMALL, of, small_response

from lartpc.detector.wires import WireDetector
from lartpc.formats.edepsim import read_segments
from lartpc.formats.frames import FrameFile
from lartpc.formats.hitfile import read_attrs
from lartpc.formats.waveforms import read_channel, read_waveforms

SBND = "--detector", "sbnd"
THREE = ("--fit", "alpha_emb,vdrift,tran_diff")


@pytest.fixture
def own(made, tmp_path, monkeypatch):
    """A copy of the frames that a test may change, in the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(made["frames"], tmp_path / "own.h5")
    return tmp_path / "own.h5"


def test_generated_samples_fill_the_box(made):
    segments = read_segments(made["segments"])
    assert segments.event_id.max() == 1 and len(np.unique(segments.dEdx)) > len(segments) // 2
    for low, high, a, b in ((0, 30, "x_start", "x_end"), (-15, 15, "y_start", "y_end"), (-20, 20, "z_start", "z_end")):
        places = np.concatenate((getattr(segments, a), getattr(segments, b)))
        assert low - 1e-4 <= places.min() < low + 3 and high - 3 < places.max() <= high + 1e-4


@pytest.mark.slow
def test_a_fit_finds_what_the_frames_were_made_with_and_goes_on(made, own, tmp_path):
    start = ("--start", "alpha_emb=0.95", "--start", "vdrift=0.1585", "--start", "tran_diff=9e-6")
    command = ("calibrate", made["segments"], made["frames"], *of(made), *THREE, *start, "--fix", "vdrift=0.16")
    assert "--fix: names a parameter that --fit names too" in refusal(*command, "-o", tmp_path / "fit")
    told = succeeds(*command[:-2], "-o", tmp_path / "fit")
    assert "waveform likelihood" in told and "regions" in told and "left out" not in told
    fit = json.loads((tmp_path / "fit/fit.json").read_text())
    assert fit["good"] and fit["frames"]["tag"] == "raw" and set(fit["frames"]["regions_left_out"].values()) == {0}
    for row in fit["parameters"].values():
        assert abs(row["value"] - row["truth"]) < 4 * row["error"] < 0.1 * row["value"]
    for name in ("parameters.png", "convergence.png", "correlation.png", "residuals.png"):
        assert matplotlib.image.imread(tmp_path / "fit" / name)[..., :3].std() > 0.01
    succeeds(*command[:-2], "-o", tmp_path / "fit", "--resume")
    again = json.loads((tmp_path / "fit/fit.json").read_text())
    assert again["parameters"] == fit["parameters"]
    with h5py.File(own, "a") as file:  # another count of one sample within a signal, which leaves all sizes as they are
        windows, channels = file["waveforms/windows"][()], file["0/channels_raw0"][()]
        seen = windows[(windows["event_id"] == 0) & np.isin(windows["channel"], channels)][0]
        file["0/frame_raw0"][np.searchsorted(channels, seen["channel"]), seen["start_tick"] + 20 + 5] += 1
    changed = ("calibrate", made["segments"], own, *command[3:-2], "-o", tmp_path / "fit", "--resume")
    assert "frames was ['raw', '" in refusal(*changed)
    other = lartpc_command(*command[:-2], "-o", tmp_path / "fit", "--resume", "--bounds", "alpha_emb=0.5:2")
    assert other.exit_code == 2 and "--resume continues the same fit only" in other.stderr
    succeeds(*command[:-2], "-o", tmp_path / "one", "--events", "1", "--constrain", "alpha_emb=0.9+-0.1")
    one = json.loads((tmp_path / "one/fit.json").read_text())
    assert 0 < one["hits"] < fit["hits"] and list(one["constraints"]) == ["alpha_emb"]


@pytest.mark.slow
def test_a_velocity_that_is_fitted_starts_where_the_field_has_it(made, tmp_path):
    detector = tmp_path / "linked.yaml"
    detector.write_text(SMALL.replace(", vdrift: 0.16", ""))
    given = ("--detector", detector, "--response", made["response"])
    succeeds("simulate", made["segments"], "-o", tmp_path / "frames.h5", *given)
    succeeds("calibrate", made["segments"], tmp_path / "frames.h5", "-o", tmp_path / "fit", *given, "--fit", "vdrift")
    row = json.loads((tmp_path / "fit/fit.json").read_text())["parameters"]["vdrift"]
    assert row["start"] == row["truth"] == pytest.approx(0.1596, abs=2e-4)
    assert abs(row["value"] - row["truth"]) < 4 * row["error"]


@pytest.mark.slow
def test_a_fit_that_does_not_describe_its_frames_has_exit_code_1(made, tmp_path):
    command = ("calibrate", made["segments"], made["frames"], "-o", tmp_path / "fit", *of(made), "--fit", "vdrift")
    line = refusal(*command, "--fix", "lifetime=100")
    assert "was simulated with lifetime 3000.0, the fit takes 100.0: allowed is the same, or --trust-me" in line
    done = lartpc_command(*command, "--fix", "lifetime=100", "--trust-me", "lifetime")
    assert done.exit_code == 1 and "not to be used" in done.stdout
    assert "mean square of the residuals on plane W" in done.stdout


@pytest.mark.slow
def test_segments_may_be_elsewhere(made, own):
    moved = ("--offset", "7,-3,11")
    with h5py.File(made["segments"]) as file:
        raw = file["segments"][()]
    for axis, change in zip("xyz", (7, -3, 11), strict=True):
        for name in (axis, f"{axis}_start", f"{axis}_end"):
            raw[name] -= change
    with h5py.File("moved.h5", "w") as file:
        file["segments"] = raw
    succeeds("simulate", "moved.h5", "-o", "frames.h5", *of(made), "--seed", "3", *moved)
    for frame, before in zip(FrameFile("frames.h5"), FrameFile(made["frames"]), strict=True):
        assert np.abs(frame.samples.astype(int) - before.samples).max() <= 1
    for k, at in enumerate((moved, ())):
        done = lartpc_command("calibrate", "moved.h5", own, "-o", f"fit{k}", *of(made), "--fit", "alpha_emb", *at)
        assert done.exit_code == k


@pytest.mark.slow
def test_what_has_no_samples_is_left_out_and_counted(made, own):
    with h5py.File(own, "a") as file:
        windows, channels = file["waveforms/windows"][()], file["0/channels_raw0"][()]
        of_one = np.flatnonzero(np.isin(channels, windows["channel"][windows["event_id"] == 0]))
        samples = file["0/frame_raw0"][()]
        samples[of_one[3]] = 0
        samples[of_one[4], ::7] = 4095
        keep = np.arange(len(channels)) != of_one[5]
        for name, value in (("frame_raw0", samples[keep]), ("channels_raw0", channels[keep])):
            del file[f"0/{name}"]
            file[f"0/{name}"] = value
    told = succeeds("calibrate", made["segments"], own, "-o", "fit", *of(made), "--fit", "alpha_emb")
    assert "regions left out: " in told
    for what in ("of channels without samples", "of channels that are constant", "saturated"):
        assert what in told
    assert min(json.loads(Path("fit/fit.json").read_text())["frames"]["regions_left_out"].values()) >= 1


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("channels", lambda c, f, t: (c + 9000, f, t), "channel 9000, allowed are those of small: 0 to "),
        ("tick", lambda c, f, t: (c, f, t * [1, 2, 1]), "a sample each 1 us, allowed is the tick of small: 0.5"),
        ("first", lambda c, f, t: (c, f, t + [2e3, 0, 0]), "begins at -8 us, allowed is where small does: -10"),
        ("ticks", lambda c, f, t: (c, f[:, :500], t), "500 ticks, allowed are as many as small reads: 600"),
        ("baseline", lambda c, f, t: (c, (f - 2000.0).astype("f4"), t), "samples of plane U are about 2, allowed are"),
    ],
)
def test_frames_of_others_are_refused(made, own, name, value, line):
    with h5py.File(own, "a") as file:
        file.attrs.clear()
        parts = [f"0/{part}_raw0" for part in ("channels", "frame", "tickinfo")]
        changed = value(*(file[part][()] for part in parts))
        for part, new in zip(parts, changed, strict=True):
            del file[part]
            file[part] = new
    assert line in refusal("calibrate", made["segments"], own, "-o", "fit", *of(made), *THREE)


def test_frames_must_be_those_of_the_detector_and_of_the_events(made, own):
    command = ("calibrate", made["segments"], own, "-o", "fit", *of(made), *THREE)
    with h5py.File(own, "a") as file:
        file.move("1", "5")
    assert "has no frames of event 1, found 0 to 5: see --events" in refusal(*command)
    with h5py.File(own, "a") as file:
        file.attrs["detector"] = "other"
    assert "was simulated with detector other, the fit takes small: allowed is the same, or --trust" in refusal(
        *command
    )
    assert "has no frames of event 1" in refusal(*command, "--trust-me", "detector")
    with h5py.File(own, "a") as file:
        file.attrs["detector"] = "small"
        file.attrs["wires"] = file.attrs["wires"].replace('"shaping": 2.0', '"shaping": 1.0')
    assert "was simulated with electronics" in refusal(*command)
    with h5py.File(own, "a") as file:
        for name in ("frame", "channels", "tickinfo"):
            file[f"0/{name}_gauss0"] = file[f"0/{name}_raw0"][()]
    assert "frames of the tags 'gauss', 'raw', one of them has to be chosen" in refusal(*command)
    assert "was simulated with electronics" in refusal(*command, "--tag", "raw")
    assert "one of them has to be chosen" in refusal("plot", own, "-o", "event.png")
    assert "event 0, " in succeeds("plot", own, "-o", "event.png", "--tag", "gauss")


def test_a_result_that_nobody_wants_has_exit_code_1_and_reasons(made, tmp_path):
    command = ("simulate", made["segments"], *of(made))
    done = lartpc_command(*command, "-o", tmp_path / "a.h5", "--offset", "0,0,1e5")
    assert done.exit_code == 1 and "0% of the deposits are in TPCs of small" in done.stderr
    done = lartpc_command(*command, "-o", tmp_path / "b.h5", "--set", "t0_offset=9000")
    assert done.exit_code == 1 and "no charge comes while small reads, -10 to 290 us" in done.stderr
    done = lartpc_command(*command, "-o", tmp_path / "c.h5", "--set", "lifetime=1e-9")
    assert done.exit_code == 1 and "voltages are not finite" in done.stderr and not (tmp_path / "c.h5").exists()
    told = succeeds("simulate", made["segments"], *command[1:], "-o", tmp_path / "d.h5")
    assert "has event ids of files before" in told


def test_options_of_pixels_are_refused(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = made["segments"], made["frames"]
    for options in (("--loss", "mse"), ("--thresholds", "t.npz"), ("--closure",), ("--t0", "fit"), ("--seed", "2")):
        line = refusal("calibrate", *files, "-o", "fit", *of(made), *options)
        assert line == f"lartpc: {options[0]}: found with wires, allowed only with pixels\n"
    for options in (("--waveforms",), ("--packets", "p.h5"), ("--layout", "l.yaml")):
        line = refusal("simulate", files[0], "-o", "out.h5", *of(made), *options)
        assert line == f"lartpc: {options[0]}: found with wires, allowed only with pixels\n"
    for command in ("info", "generate muons -o m.h5"):
        line = refusal(*command.split(), "--detector", made["detector"], "--layout", "l.yaml")
        assert line == "lartpc: --layout: found with wires, allowed only with pixels\n"
    assert "found 1 files, allowed with wires are SEGMENTS" in refusal("calibrate", files[0], "-o", "fit", *of(made))
    line = refusal("calibrate", *files, "-o", "fit", *of(made), "--fit", "eField.0")
    assert "fit: found eField.0, allowed with wires are parameters of all TPCs, or t0_offset of an event" in line
    line = refusal("calibrate", *files, "-o", "fit", *of(made), "--fit", "t0_offset.event9")
    assert "fit: t0_offset.event9: the segments have no event 9, allowed are their 2 events from 0 to 1" in line
    line = refusal("calibrate", *files, "-o", "fit", *of(made), "--per-event", "vdrift")
    assert "per-event vdrift: allowed are t0_offset" in line
    line = refusal("simulate", files[0], "-o", "out.h5", *of(made), "--set", "threshold_offset=3")
    assert "parameter threshold_offset: found 3, allowed with wires are those of charge and amplifiers" in line
    line = refusal("simulate", files[0], "-o", "out.h5", *of(made)[:2], "--response", "electrostatic")
    assert "--response: found electrostatic with wires, allowed is FILE" in line
    Path("no.yaml").write_text(SMALL.replace("bias: 440.0", "bias: 0.0"))
    assert "detector small: field_response: bias: found -200, 0" in refusal("demo", "--detector", "no.yaml")
    Path("no.yaml").unlink()
    for option, value in (("--tag", "raw"), ("--charge-scale", "0.02")):
        assert f"{option}: found with pixels" in refusal("calibrate", *files, "-o", "fit", option, value)
    line = refusal("calibrate", *files, "-o", "fit", *of(made), "--charge-scale", "0")
    assert "--charge-scale: found '0', allowed is a relative width above 0, or free" in line
    for command in (
        ("plot", files[0], "-o", "x.png", "--tag", "raw"),
        ("plot", files[1], "-o", "x.png", "--layout", "l"),
    ):
        assert refusal(*command).startswith(f"lartpc: {command[4]}")
    assert "--detector 2x2: allowed is module0 or a detector of wires" in refusal("demo", "--detector", "2x2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["thresholds s h -o t", "lifetime h"])
def test_commands_of_pixels_refuse_wires(made, command):
    for detector in ("sbnd", made["detector"]):
        files = {"s": made["segments"], "h": made["frames"]}
        line = refusal(*(files.get(word, word) for word in command.split()), "--detector", detector)
        assert f"--detector {detector}: found wires, allowed here are pixels: module0, 2x2, ndlar or a YAML" in line


def test_info_takes_the_detector_that_a_file_tells(own):
    for name in ("sbnd", "2x2"):
        with h5py.File(own, "a") as file:
            file.attrs["detector"] = name
        assert json.loads(succeeds("info", own))["detector"] == name
        assert json.loads(succeeds("info", own, "--detector", "module0"))["detector"] == "module0"


def test_detectors_and_responses_that_are_none_are_refused(made, tmp_path):
    bad, other = tmp_path / "bad.yaml", tmp_path / "other.npz"
    bad.write_text(SMALL.replace("kind: induction", "kind: sideways"))
    output = ("-o", tmp_path / "frames.h5")
    line = refusal("simulate", made["segments"], *output, "--detector", bad)
    assert "planes[0]: kind: found 'sideways', allowed is induction or collection" in line
    response = small_response(WireDetector.load(made["detector"]))
    slow = tmp_path / "slow.npz"
    dataclasses.replace(response, vdrift=0.11).write(slow)
    given = ("--detector", made["detector"], "--response", slow)
    assert "found vdrift 0.11 cm/us, allowed is within 5 %" in refusal("simulate", made["segments"], *output, *given)
    dataclasses.replace(response, pitch=(0.4, 0.4)).write(other)
    given = ("--detector", made["detector"], "--response", other)
    assert "pitch" in refusal("simulate", made["segments"], *output, *given)
    assert "pitch" in refusal("calibrate", made["segments"], made["frames"], "-o", tmp_path / "fit", *given, *THREE)


@pytest.mark.slow
def test_plot_draws_planes_and_channels(made, own):
    told = succeeds("plot", own, "-o", "planes.png", "--detector", made["detector"], "--event", "1")
    assert "event 1, " in told
    succeeds("plot", own, "-o", "anodes.png")
    window = read_waveforms(own)
    channel = int(window.channel[np.argmax(window.ticks)])
    told = succeeds("plot", own, "-o", "channel.png", "--channel", channel, "--detector", made["detector"])
    assert f"event 0, anode 0, channel {channel}: wire " in told
    succeeds("plot", own, "-o", "alone.png", "--channel", channel)
    for name in ("planes.png", "anodes.png", "channel.png", "alone.png"):
        assert matplotlib.image.imread(name)[..., :3].std() > 0.01
    assert "event 0 has no channel 99999" in refusal("plot", own, "-o", "x.png", "--channel", "99999")
    assert "channel" in refusal("plot", made["segments"], "-o", "x.png", "--channel", "3")
    assert "frames of detector small, allowed are those of sbnd" in refusal("plot", own, "-o", "x.png", *SBND)


def test_the_windows_of_a_channel_are_read_alone(made):
    every = read_waveforms(made["frames"])
    event, channel = int(every.event_id[-1]), int(every.channel[-1])
    rows = (every.event_id == event) & (every.channel == channel)
    expected, found = every.select(rows), read_channel(made["frames"], event, channel)
    for name, column in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), column)
    assert len(read_channel(made["frames"], event, 10**6)) == 0


def test_info_tells_of_wires(made):
    told = json.loads(succeeds("info", "--detector", made["detector"], "--set", "lifetime=2500"))
    assert [plane["name"] for plane in told["detector"]["planes"]] == ["U", "W"]
    assert told["parameters"]["lifetime"]["value"] == 2500 and "threshold_offset" not in told["parameters"]
    assert "ellipsoid" in told["recombination"]
    assert json.loads(succeeds("info", made["frames"], "--detector", made["detector"]))["inside"] > 0.9
    told = json.loads(succeeds("info", made["frames"]))  # whose detector is not built in
    assert told["detector"] == "small" and "inside" not in told and "--detector" in told["hints"][0]
    assert json.loads(succeeds("info", made["segments"]))["detector"] == "module0"
    assert read_attrs(made["frames"])["response"] == str(made["response"])


@pytest.mark.slow
def test_the_demonstration_goes_through(made, own):
    done = lartpc_command("demo", "--detector", made["detector"], "-o", "demo")
    assert done.exit_code in (0, 1) and "4 of the ten muons" in done.stdout  # so few tell no seven parameters
    fit = json.loads(Path("demo/fit/fit.json").read_text())
    assert len(fit["parameters"]) == 7 and 0.95 < fit["mean_square"] < 1.05
    assert matplotlib.image.imread("demo/event.png")[..., :3].std() > 0.01
    assert "only with --overwrite" in refusal("demo", "--detector", made["detector"], "-o", "demo")

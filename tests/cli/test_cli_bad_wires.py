"""Commands with channels of wires that are off."""

import json

import h5py
import numpy as np
import pytest
from commands import lartpc_command, refusal, succeeds
from wire_samples import TEXT, small_response

from lartpc.detector.wires import WireDetector
from lartpc.formats.frames import FrameFile
from lartpc.formats.waveforms import read_waveforms

FIT = ("--fit", "alpha_emb,vdrift", "--start", "vdrift=0.1595")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The detector's options, muons, their frames, and channels that see them, which two files list."""
    folder = tmp_path_factory.mktemp("bad")
    detector, response = folder / "small.yaml", folder / "response.npz"
    detector.write_text(TEXT.format(rc=[300.0], angle=35.0, of_u=""))
    small_response(WireDetector.load(detector)).write(response)
    segments, frames = folder / "segments.h5", folder / "frames.h5"
    of = ("--detector", detector, "--response", response)
    succeeds("generate", "cosmics", "-o", segments, "--detector", detector, "--events", "1")
    succeeds("simulate", segments, "-o", frames, *of, "--seed", "3")
    off = np.unique(read_waveforms(frames).channel)[3::7]
    (folder / "bad.txt").write_text("\n".join(map(str, off[::-1])))
    (folder / "bad.json").write_text(json.dumps(off.tolist()))
    return {"of": of, "segments": segments, "frames": frames, "off": off, "folder": folder}


def test_they_have_their_baseline_and_the_others_are_the_same(made, tmp_path):
    written = {}
    for name in ("bad.txt", "bad.json"):
        given = ("--seed", "3", "--bad-channels", made["folder"] / name)
        told = succeeds("simulate", made["segments"], "-o", tmp_path / f"{name}.h5", *made["of"], *given)
        assert f"; {len(made['off'])} channels are off" in told
        written[name] = [frame.samples for frame in FrameFile(tmp_path / f"{name}.h5")]
    assert all(np.array_equal(a, b) for a, b in zip(*written.values(), strict=True))
    baseline = np.round(np.array([880.0, 286.0]) / 1800.0 * 4095)
    kind = WireDetector.load(made["of"][1]).channel_kind
    for every, rest in zip(FrameFile(made["frames"]), FrameFile(tmp_path / "bad.txt.h5"), strict=True):
        is_off = np.isin(rest.channels, made["off"])
        np.testing.assert_array_equal(rest.samples[~is_off], every.samples[~is_off])
        expected = baseline[kind[rest.channels[is_off]]]
        assert (rest.samples[is_off] == expected[:, None]).all()
    with h5py.File(tmp_path / "bad.txt.h5") as file:
        np.testing.assert_array_equal(file["unread"], made["off"])


def test_nothing_is_found_on_them(made, tmp_path):
    off = tmp_path / "off.json"
    off.write_text(json.dumps(list(range(WireDetector.load(made["of"][1]).n_channels))))
    found = ("reconstruct", made["frames"], "-o", tmp_path / "out.h5", *made["of"], "--bad-channels", off)
    done = lartpc_command(*found)
    assert done.exit_code == 1 and "    0          0   no charge on wires that cross" in done.stdout


@pytest.mark.slow
def test_a_fit_uses_nothing_of_them(made, tmp_path):
    """By the option, or where the frames have them as constant; and less is known than with all channels."""
    bad = ("--bad-channels", made["folder"] / "bad.txt")
    succeeds("simulate", made["segments"], "-o", tmp_path / "off.h5", *made["of"], "--seed", "3", *bad)
    spoilt = tmp_path / "spoilt.h5"  # whatever they read does not matter
    spoilt.write_bytes(made["frames"].read_bytes())
    with h5py.File(spoilt, "a") as file:
        for frame, channels in ((f"0/frame_raw{k}", f"0/channels_raw{k}") for k in (0, 1)):
            if frame in file:
                rows = np.flatnonzero(np.isin(file[channels], made["off"]))
                for row in rows.tolist():
                    file[frame][row] = file[frame][row] + np.arange(600) % 50
    fits = {}
    for name, target, given in (
        ("all", made["frames"], ()),
        ("option", made["frames"], bad),
        ("constant", tmp_path / "off.h5", ()),
        ("spoilt", spoilt, bad),
    ):
        succeeds("calibrate", made["segments"], target, "-o", tmp_path / name, *made["of"], *FIT, *given)
        fits[name] = json.loads((tmp_path / name / "fit.json").read_text())
    assert fits["option"]["parameters"] == fits["constant"]["parameters"] == fits["spoilt"]["parameters"]
    assert fits["option"]["unread"] == made["off"].tolist() and fits["all"]["unread"] == []
    assert (
        fits["constant"]["frames"]["regions_left_out"]["constant"] == fits["all"]["hits"] - fits["option"]["hits"] > 0
    )
    errors = [fits[name]["parameters"]["vdrift"]["error"] for name in ("all", "option")]
    assert errors[0] < errors[1]
    assert lartpc_command("calibrate", made["segments"], spoilt, "-o", tmp_path / "x", *made["of"], *FIT).exit_code == 1


@pytest.mark.parametrize(
    "text, line",
    [
        ("3 99999", "found channel 99999, allowed are 0 to "),
        ("3 two", "a channel: found 'two', allowed is a whole number from 0"),
        ('{"1-2-3": [4]}', "found a JSON of chips, allowed with wires are channels, as a JSON list or one a line"),
    ],
)
def test_others_are_refused(made, tmp_path, text, line):
    bad = tmp_path / "bad.txt"
    bad.write_text(text)
    files = {"simulate": (), "calibrate": (made["frames"],)}
    for command, target in files.items():
        given = (*made["of"], "--bad-channels", bad)
        assert line in refusal(command, made["segments"], *target, "-o", tmp_path / "out", *given)
    assert not (tmp_path / "out").exists()

"""Commands with packets: what they refuse, what they write, and a fit to them."""

import json
import os
import sys

import h5py
import pytest
from commands import RUN, program, refusal, succeeds
from layouts import tracks
from packet_files import options

from lartpc.exceptions import InputError
from lartpc.fit.target import Target
from lartpc.formats.edepsim import write_segments
from lartpc.formats.hitfile import read_hits


@pytest.mark.slow
def test_the_command_refuses_what_it_cannot_write(described, written, tmp_path):
    segments = written / "segments.h5"
    command = ["simulate", segments, "-o", tmp_path / "h.h5"]
    assert "--packet-version, --gzip: allowed with --packets only" in refusal(*command, "--packet-version", "3")
    assert "--packet-version, --gzip: allowed with --packets only" in refusal(*command, "--gzip")
    assert "another name is needed" in refusal(*command, "--packets", tmp_path / "h.h5", *options(described))
    there = written / "p.h5"
    before = there.read_bytes()
    assert "p.h5: exists already" in refusal(*command, "--packets", there, *options(described))
    line = refusal(*command, "--packets", segments, "--overwrite", *options(described))
    assert "segments.h5: is the input" in line
    assert there.read_bytes() == before and os.listdir(tmp_path) == []
    with pytest.raises(InputError, match="a file of packets: needs the segments and the detector, too"):
        Target.read(there)


def test_the_same_command_writes_the_same_bytes_and_says_what(described, written, tmp_path):
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5"]
    printed = succeeds("simulate", written / "segments.h5", *outputs, *options(described))
    assert (tmp_path / "p.h5").read_bytes() == (written / "p.h5").read_bytes()
    assert (tmp_path / "h.h5").read_bytes() == (written / "h.h5").read_bytes()
    with h5py.File(tmp_path / "p.h5") as file:
        kinds = file["packets"]["packet_type"]
    assert f"p.h5: {len(kinds)} packets, {(kinds == 0).sum()} of data" in printed.splitlines()[1]
    hits = len(read_hits(tmp_path / "h.h5"))
    lost = hits - (kinds == 0).sum()
    assert (f"{lost} hits are on pixels without a channel" in printed) == (lost > 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("limit", [1000, 30_000])
def test_a_full_disk_leaves_neither_file(described, written, tmp_path, limit):
    script = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit},) * 2)\n{RUN}"
    arguments = ["simulate", written / "segments.h5", "-o", "h.h5", "--packets", "p.h5", *options(described)]
    done = program(tmp_path, script, *arguments)
    assert done.returncode == 2 and done.stderr.endswith("cannot be written: File too large\n"), done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_fit_to_packets_finds_the_parameters(described, tmp_path):
    """With noise, ADC counts and ticks, and pixels that are not read: what the packets do not say is not used."""
    write_segments(tmp_path / "s.h5", tracks(6, dE=0.9))
    outputs = ["-o", tmp_path / "h.h5", "--packets", tmp_path / "p.h5"]
    truth = ["--set", "eField=0.505", "--set", "Ab=0.81"]
    succeeds("simulate", tmp_path / "s.h5", *outputs, *truth, *options(described))
    fits = {}
    for name in ("p.h5", "h.h5"):
        output = tmp_path / f"fit-{name}"
        more = ["--rounded"] if name == "h.h5" else []
        command = ["calibrate", tmp_path / "s.h5", tmp_path / name, "-o", output, "--fit", "eField,Ab", *more]
        succeeds(*command, *options(described))
        fits[name] = json.loads((output / "fit.json").read_text())["parameters"]
    for name, expected in (("eField", 0.505), ("Ab", 0.81)):
        found = fits["p.h5"][name]
        assert abs(found["value"] - expected) < 4.0 * found["error"]
        assert found["error"] < 0.02 * expected
    if not len(described[1].unread(described[0])):
        for name, found in fits["p.h5"].items():
            assert found["value"] == pytest.approx(fits["h.h5"][name]["value"], rel=1e-5)

"""The command `lartpc reconstruct`."""

import json

import h5py
import matplotlib.image
import numpy as np
import pytest
from commands import contents, lartpc_command, refusal, refuses, succeeds
from samples import isolated, tracks_of

from lartpc.fit.target import Target
from lartpc.formats.edepsim import write_segments
from lartpc.formats.hitfile import read_attrs, read_hits
from lartpc.formats.tracks import read_tracks

pytestmark = pytest.mark.usefixtures("one_thread")
TRACKS = 3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """`true.h5` of three protons, `hits.h5` and `packets.h5` of them, and what `lartpc reconstruct` prints and makes of
    the hits, `tracks.h5`."""
    folder = tmp_path_factory.mktemp("tracks")
    segments = isolated("stopping-protons", 1, 5)
    write_segments(folder / "true.h5", segments.select(np.concatenate(tracks_of(segments)[:TRACKS])))
    packets = ("--packets", folder / "packets.h5")
    succeeds("simulate", folder / "true.h5", "-o", folder / "hits.h5", "--seed", "4", *packets)
    options = ("--particle", "proton")
    (folder / "printed").write_text(succeeds("reconstruct", folder / "hits.h5", "-o", folder / "tracks.h5", *options))
    return folder


@pytest.mark.slow
def test_what_is_written(files):
    tracks, hits = read_tracks(files / "tracks.h5"), read_hits(files / "hits.h5")
    table, segments = tracks.table, tracks.segments
    assert len(table) == TRACKS and table["good"].all() and (table["pdg_id"] == 2212).all()
    assert table["traj_id"].tolist() == [0, 1, 2] == np.unique(segments.traj_id).tolist()
    for name, column in vars(read_hits(files / "tracks.h5")).items():
        np.testing.assert_array_equal(column, getattr(hits, name))
    assert np.bincount(tracks.of_hits + 1, minlength=TRACKS + 1)[1:].sum() > 0.95 * len(hits)
    for row, own in enumerate(table):
        track = segments.select(segments.traj_id == row)
        x, y, z = (np.append(getattr(track, f"{a}_start"), getattr(track, f"{a}_end")[-1]) for a in "zyx")
        assert [x[0], y[0], z[0]] == pytest.approx([own[f"{a}_start"] for a in "xyz"], abs=1e-4)
        assert [x[-1], y[-1], z[-1]] == pytest.approx([own[f"{a}_end"] for a in "xyz"], abs=1e-4)
        steps = np.stack([np.diff(values) for values in (x, y, z)], axis=1)
        assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(own["length"], rel=1e-4)
        for end, step in (("start", steps[0]), ("end", steps[-1])):
            direction = [own[f"{a}_{end}_direction"] for a in "xyz"]
            assert direction == pytest.approx(step / np.linalg.norm(step), abs=1e-2)
        assert track.dE.sum() == pytest.approx(own["energy"], rel=1e-4)
        covariance, frame = own["covariance"], own["frame"]
        assert frame @ frame.T == pytest.approx(np.eye(3)) and np.linalg.eigvalsh(covariance).min() > 0
        errors = [own[f"{name}_error"] for name in ("x_end", "y_end", "z_end", "length", "t0", "residual_range")]
        assert np.sqrt(np.diag(covariance)[[0, 1, 2, 5, 6, 7]]) == pytest.approx(errors)
        assert own["dF_proton"] == 0
        assert 0 < own["energy_error"] < 0.05 * own["energy"] and 0 < own["start_direction_error"] < 0.1
    told, of_hits = read_attrs(files / "tracks.h5"), read_attrs(files / "hits.h5")
    assert told == of_hits
    assert tracks.fit["particles"] == ["proton"] and tracks.fit["parameters"]["Ab"] == 0.8
    assert tracks.fit["cuts"][-1][1] == TRACKS
    printed = (files / "printed").read_text()
    assert f"{TRACKS} tracks, {TRACKS} good" in printed and "proton          3" in printed
    assert f"{TRACKS:8} different hits\n" in printed


@pytest.mark.slow
def test_tracks_are_read_as_segments(files, tmp_path):
    tracks = files / "tracks.h5"
    assert "hits" in succeeds("simulate", tracks, "-o", tmp_path / "again.h5")
    charge = [read_hits(path).charge.sum() for path in (tmp_path / "again.h5", files / "hits.h5")]
    assert charge[0] == pytest.approx(charge[1], rel=0.02)
    assert lartpc_command("calibrate", tracks, files / "hits.h5", "-o", tmp_path / "a", "--fit", "Ab").exit_code in (
        0,
        1,
    )
    fitted = json.loads((tmp_path / "a/fit.json").read_text())["parameters"]["Ab"]["value"]
    assert fitted == pytest.approx(0.8, rel=0.02)
    assert lartpc_command("compare", tracks, tracks, "-o", tmp_path / "b").exit_code in (0, 1)
    assert json.loads(succeeds("info", tracks))


@pytest.mark.slow
def test_picture(files, tmp_path):
    assert f"event 0, {len(read_hits(files / 'hits.h5'))} hits" in succeeds(
        "plot", files / "tracks.h5", "-o", tmp_path / "tracks.png"
    )
    succeeds("plot", files / "hits.h5", "-o", tmp_path / "hits.png")
    shapes = [matplotlib.image.imread(tmp_path / name).shape for name in ("tracks.png", "hits.png")]
    assert shapes[0] != shapes[1] and matplotlib.image.imread(tmp_path / "tracks.png")[..., :3].std() > 0.01


@pytest.mark.slow
def test_packets_without_deposits(files, tmp_path):
    """As those of data: no deposits, no association, no word of the parameters."""
    packets, tracks = tmp_path / "data.h5", tmp_path / "tracks.h5"
    with h5py.File(files / "packets.h5") as file, h5py.File(packets, "w") as data:
        file.copy("packets", data)
    printed = succeeds("reconstruct", packets, "-o", tracks, "--particle", "proton")
    assert "zero of time: the trigger for 1" in printed
    found, before = read_tracks(tracks), read_tracks(files / "tracks.h5")
    assert found.fit["rounded"] and len(found.table) == TRACKS
    for name in ("x_end", "y_end", "z_end", "length"):
        assert found.table[name] == pytest.approx(before.table[name], abs=0.1)
    assert Target.read(tracks).truth is None
    assert "event 0" in succeeds("plot", tracks, "-o", tmp_path / "t.png")


@pytest.mark.slow
def test_no_track_to_use(files, tmp_path):
    """None found: nothing is written. None good, at parameters that cannot be: it is, with exit code 1."""
    target = tmp_path / "hits.h5"
    hits = read_hits(files / "hits.h5")
    with h5py.File(files / "hits.h5") as file, h5py.File(target, "w") as few:
        few["hits"] = file["hits"][:5]
    before = contents(tmp_path)
    done = lartpc_command("reconstruct", target, "-o", tmp_path / "t.h5")
    assert done.exit_code == 1 and contents(tmp_path) == before
    assert "hits.h5: no track: 0 candidates for tracks of" in done.stderr
    wrong = ("--set", "Ab=0.5", "--particle", "muon")
    done = lartpc_command("reconstruct", files / "hits.h5", "-o", tmp_path / "t.h5", *wrong)
    assert done.exit_code == 1 and "no track is good" in done.stderr and len(hits) > 0
    assert not read_tracks(tmp_path / "t.h5").table["good"].any()


def test_refusals(folder, compiled):
    options = (compiled, "-o", "t.h5")
    assert "--particle: found 'kaon', allowed is" in refuses(
        folder, "reconstruct", *options, "--particle", "proton,kaon"
    )
    assert "--track-density" in refuses(folder, "reconstruct", *options, "--track-density", "-1")
    assert "--t0-width" in refuses(folder, "reconstruct", *options, "--t0-width", "0")
    assert "hits of detector module0, allowed are those of 2x2" in refuses(
        folder, "reconstruct", *options, "--detector", "2x2"
    )
    line = refuses(folder, "reconstruct", *options, "--recombination", "box")
    assert "was simulated with recombination birks, the fit takes box" in line
    assert "nowhere.json" in refuses(folder, "reconstruct", *options, "--fit", "nowhere.json")
    assert "has no hits in the --events" in refuses(folder, "reconstruct", *options, "--events", "77")
    assert "is the input hits" in refuses(folder, "reconstruct", compiled, "-o", compiled, "--overwrite")
    assert "hits.h5: exists already" in refuses(folder, "reconstruct", compiled, "-o", "hits.h5")
    assert "no dataset 'hits'" in refuses(folder, "reconstruct", "in.h5", "-o", "t.h5")
    assert "no such file" in refusal("reconstruct", "nothing.h5", "-o", "t.h5")

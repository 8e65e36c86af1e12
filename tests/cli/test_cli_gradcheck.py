"""The command `lartpc gradcheck`."""

import numpy as np
import pytest
from commands import lartpc_command, succeeds
from helpers import make_segments

from lartpc.adjoint.pairs import ADJOINTS
from lartpc.data.selection import first_events
from lartpc.formats.edepsim import write_segments
from lartpc.kernels.charge.quench import quench

pytestmark = pytest.mark.usefixtures("one_thread")


def table(*arguments):
    """The lines that the command prints where all gradients are right."""
    return succeeds("gradcheck", *arguments).splitlines()


def refusal(*arguments):
    """The one line of stderr; what is looked at may be printed before it is refused."""
    done = lartpc_command("gradcheck", *arguments)
    assert done.exit_code == 2 and done.stderr.startswith("lartpc: ") and done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def file(tmp_path):
    """Three events in module0: of 2, 1 and 149 segments."""
    start = np.full((152, 3), (3.0, 5.0, 12.0)) + np.linspace(0, 20, 152)[:, None] * (0.5, 0.1, 0.3)
    event_id = np.repeat([4, 5, 9], [2, 1, 149])
    path = tmp_path / "segments.h5"
    write_segments(path, make_segments(start, start + (0.3, 0.2, 0.1), dE=2.0, event_id=event_id))
    return path


def test_table_of_a_file(file):
    lines = table(file, "--fit", "eField, lifetime")
    assert lines[0] == f"{file}: 3 of 152 segments, 2 of 3 events"
    rows = [line.split() for line in lines[2:10]]
    names = [(name, loss) for name in ("eField", "lifetime") for loss in ("waveforms", "charges", "times", "hits")]
    assert [(row[0], row[1]) for row in rows] == names
    for row in rows:
        adjoint, difference, relative, slope = (float(text) for text in row[2:6])
        assert adjoint == pytest.approx(difference, rel=1e-5)
        assert relative < 1e-5
        assert 1.9 <= slope <= 2.1
        assert row[6] == "ok"
    assert lines[10].startswith("8 ok, 0 failed")
    assert " hits; 0 pixels within 0.1 % of the threshold" in lines[11]
    assert "hits left out" in lines[11]


def test_what_has_no_effect_is_not_called_ok(tmp_path):
    """A track in one module of 2x2 says nothing of the fields of the others."""
    path, start = tmp_path / "segments.h5", np.array([(-40.0, -30.0, -50.0), (-39.7, -30.1, -50.2)])
    write_segments(path, make_segments(start, start + (0.3, -0.1, -0.2), dE=3.0))
    changes = [word for m in range(4) for word in ("--set", f"eField.{m}=0.49")]
    lines = table(path, "--detector", "2x2", *changes, "--fit", ",".join(f"eField.{m}" for m in range(4)))
    idle = [line.split()[0] for line in lines if line.endswith("no effect")]
    assert len(idle) == 12 and len(set(idle)) == 3
    assert lines[-2].startswith("4 ok, 0 failed, 12 without effect")


def test_a_wrong_gradient_fails(file, monkeypatch):
    """An adjoint of quench that forgets the field: eField fails, lifetime does not."""
    right = ADJOINTS[quench].kernel

    class Wrong:
        arguments, outputs, work, name = right.arguments, right.outputs, right.work, right.name

        def __call__(self, threads, /, **arrays):
            right(threads, **arrays)
            arrays["grad_step_field"][:] = 0.0

    monkeypatch.setitem(ADJOINTS, quench, ADJOINTS[quench]._replace(kernel=Wrong()))
    done = lartpc_command("gradcheck", file, "--fit", "eField,lifetime")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    results = {tuple(line.split()[:2]): line.split()[-1] for line in lines[2:10]}
    assert results["eField", "charges"] == results["eField", "hits"] == "FAIL"
    assert all(results["lifetime", loss] == "ok" for loss in ("waveforms", "charges", "times", "hits"))
    assert " failed" in lines[10] and not lines[10].startswith("8 ok")


@pytest.mark.slow
def test_the_generated_sample_and_options():
    lines = table("--recombination", "box", "--set", "vdrift=0.158", "--fit", "vdrift")
    assert lines[0].startswith("generated sample mixed: 150 of ")
    assert [line.split()[0] for line in lines[2:6]] == ["vdrift"] * 4


@pytest.mark.parametrize(
    "arguments, found",
    [
        (["--fit", "alpha"], "parameter: found 'alpha', allowed is Ab or kb"),
        (["--set", "eField"], "--set eField: allowed is NAME=VALUE"),
        (["nothing.h5"], "nothing.h5"),
        (["--detector", "nothing.yaml"], "nothing.yaml: no such file"),
    ],
)
def test_wrong_input_is_one_line(arguments, found, file):
    assert found in refusal(*([] if "nothing.h5" in arguments else [file]), *arguments)


def test_no_charge_is_one_line(tmp_path):
    path = tmp_path / "outside.h5"
    write_segments(path, make_segments((0.0, 90.0, 3.0), (0.0, 91.0, 3.0)))
    assert "segments: none gives charge in the detector" in refusal(path)
    write_segments(path, make_segments(np.zeros((0, 3)), np.zeros((0, 3))), overwrite=True)
    assert refusal(path)


def test_events_are_whole_unless_the_first_is_too_long():
    segments = make_segments(np.zeros((7, 3)), np.ones((7, 3)), event_id=np.array([3, 1, 3, 1, 2, 3, 1]))
    assert first_events(segments, 4).event_id.tolist() == [1, 1, 2, 1]
    assert first_events(segments, 7).event_id.tolist() == segments.event_id.tolist()
    assert first_events(segments, 2).segment_id.tolist() == [1, 3]


def test_electronics(file):
    """Rise time and threshold offset, whose value is 0: by its scale."""
    changes = ("--set", "buffer_risetime=0.2", "--fit", "buffer_risetime,threshold_offset")
    lines = table(file, *changes)
    rows = [line.split() for line in lines[2:10]]
    assert {row[0] for row in rows} == {"buffer_risetime", "threshold_offset"}
    assert [row[6] for row in rows if row[6] != "effect"].count("ok") >= 6

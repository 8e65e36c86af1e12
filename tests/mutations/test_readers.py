"""Mutated files of the kinds that no command reads: whatever they hold, they are read, or refused in a line."""

import os

import numpy as np
import pytest
from guards import guarded
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutated_hdf5 import mutated_file
from mutations import Draw

from lartpc.data.frames import Waveforms, WindowTruth
from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.formats.sensor import SensorFile, SensorLayout, SensorWriter
from lartpc.formats.waveforms import WaveformWriter, read_truth, read_waveforms

EXAMPLES = int(os.environ.get("LARTPC_MUTATIONS", "0")) or 60
COLUMNS = {"event_id": np.array([1, 1]), "channel": np.array([0, 4]), "start_tick": np.array([3, 0])}
WINDOWS = Waveforms(**COLUMNS, offset=np.array([0, 3]), ticks=np.array([3, 2]), samples=np.arange(5, dtype=np.int16))


def waveforms(path):
    with hdf5.new_hdf5(path) as file:
        writer = WaveformWriter(file, np.int16, truth=True)
        writer.append(WINDOWS, WindowTruth(np.array([0, 1]), np.array([2, 0]), np.array([10.0, 20.0])))
        file["segments"] = np.zeros(3, dtype=[("event_id", "u4")])


def sensor(path):
    wires = np.array([[3, 3, 3]])
    layout = SensorLayout(20, 0.5, wires, np.array([[0, 3, 6]]), 0 * wires)
    with hdf5.new_hdf5(path) as file:
        SensorWriter(file, layout, 0.0).append(1, WINDOWS)


def read_windows(path):
    read_waveforms(path)
    read_truth(path)


def read_sensor(path):
    return list(SensorFile(path))


@pytest.mark.parametrize(("write", "read"), [(waveforms, read_windows), (sensor, read_sensor)])
def test_mutated_files_are_read_or_refused(tmp_path, write, read):
    write(tmp_path / "valid.h5")
    read(tmp_path / "valid.h5")
    content = (tmp_path / "valid.h5").read_bytes()
    refusals = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def each(data):
        path = tmp_path / "m.h5"
        mutated_file(Draw(data), content, path)
        try:
            with guarded():
                read(path)
        except InputError as failure:
            assert "\n" not in str(failure) and str(failure).startswith(f"{path}: ")
            refusals.append(str(failure))

    each()
    assert len(set(refusals)) > 10

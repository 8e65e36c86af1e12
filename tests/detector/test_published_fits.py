"""Configurations as larnd-sim publishes them: a small sample is simulated and fitted with each that is there."""

import json

import pytest
from commands import lartpc_command

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["module0", "2x2", "ndlar"])
def test_a_sample_is_simulated_and_fitted(name, reference, tmp_path):
    """The response tables are not part of the data, the parametric response stands in."""
    whole = ("--config", f"{reference / 'data/larndsim-config.yaml'}:{name}", "--response", "parametric")
    segments, hits = tmp_path / "segments.h5", tmp_path / "hits.h5"
    sample = ("generate", "stopping-protons", "--events", "1", "--detector", name)
    assert lartpc_command(*sample, "-o", segments).exit_code == 0
    assert lartpc_command("simulate", segments, "-o", hits, *whole).exit_code == 0
    fit = ("--fit", "eField,lifetime", "-o", tmp_path / "fit")
    done = lartpc_command("calibrate", segments, hits, *whole, *fit)
    assert done.exit_code == 0, done.stdout
    for row in json.loads((tmp_path / "fit/fit.json").read_text())["parameters"].values():
        assert abs(row["value"] - row["truth"]) < 4.0 * row["error"]

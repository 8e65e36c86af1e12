"""Where an interrupted joint fit was: joint.h5 in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lartpc.exceptions import InputError
from lartpc.files import hdf5
from lartpc.fit.runs import RunUnknowns
from lartpc.fit.store import check_setup, described
from lartpc.fit.target import Target
from lartpc.reconstruction.candidates import CutFlow
from lartpc.reconstruction.used import HitRun, Saved

NAME = "joint.h5"


def setup_of(runs: Sequence[HitRun], unknowns: RunUnknowns, setting: dict[str, Any]) -> dict[str, Any]:
    """What tells a fit from others, so that it is continued with its own only."""
    own = [described(run.simulation, Target.of(run.target)) for run in runs]
    constraints = [[list(one.names), one.values.tolist(), one.covariance.tolist()] for one in unknowns.constraints]
    return {
        "fit": list(unknowns.names),
        "start": unknowns.start.tolist(),
        "bounds": unknowns.bounds.tolist(),
        "constraints": constraints,
        **{name: list(value) if isinstance(value, tuple) else value for name, value in setting.items()},
        **{f"run {k}: {key}": one[key] for k, one in enumerate(own) for key in one},
    }


class Checkpoint:
    """joint.h5 in a folder: `saved` is what it holds, where it is to be continued (`resume`).

    Raises InputError where that is of another `setup`, or no such file.
    """

    def __init__(self, folder: Path, setup: dict[str, Any], resume: bool, overwrite: bool) -> None:
        self.path, self.setup = folder / NAME, json.loads(json.dumps(setup))
        self.saved = self.read() if resume and self.path.exists() else None
        self.overwrite = resume or overwrite

    def save(self, saved: Saved) -> None:
        """Write it, in place of the one before."""
        self.path.parent.mkdir(exist_ok=True)
        with hdf5.new_hdf5(self.path, self.overwrite) as file:
            file.attrs["setup"] = json.dumps(self.setup, sort_keys=True)
            file.attrs["flow"] = json.dumps(saved.flow.cuts)
            file.attrs["turn"] = saved.turn
            file.attrs["tracks"] = json.dumps(saved.tracks)
            file["found_at"] = saved.found_at
            file["theta"] = saved.theta
            file["eta"] = np.concatenate(saved.eta)
            file["size"] = np.array([len(eta) for eta in saved.eta])
        self.overwrite = True

    def read(self) -> Saved:
        """What the file holds."""
        with hdf5.open_hdf5(self.path) as file:
            attrs = hdf5.read_attributes(file)
            try:
                before, turn = dict(json.loads(attrs["setup"])), int(attrs["turn"])
                cuts = tuple((str(told), int(left)) for told, left in json.loads(attrs["flow"]))
                tracks = tuple((int(run), int(place), str(name)) for run, place, name in json.loads(attrs["tracks"]))
            except (KeyError, ValueError, TypeError):
                raise InputError(f"{self.path}: is not that of a joint fit, so there is nothing to --resume") from None
            check_setup(self.path, before, self.setup)
            found_at, theta, eta, size = (
                hdf5.read_array(file, name, "iuf") for name in ("found_at", "theta", "eta", "size")
            )
        p = len(self.setup["fit"])
        for name, values in (("found_at", found_at), ("theta", theta)):
            if values.shape != (p,):
                raise InputError(f"{self.path}: {name} has the shape {values.shape}, allowed is ({p},)")
        if len(size) != len(tracks) or size.sum() != len(eta):
            raise InputError(f"{self.path}: holds {len(size)} sizes of {len(tracks)} tracks, allowed is one of each")
        return Saved(turn, found_at, theta, tracks, tuple(np.split(eta, np.cumsum(size)[:-1])), CutFlow(cuts))

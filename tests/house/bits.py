"""The bits of noisy hits and of a fit, with a few numbers of them, and what they depend on.

Prints them as JSON; `python tests/house/bits.py --write` stores those of this machine in bits.json. Where they
have changed on a machine that was stored, those of all others are of another program, and are dropped.
"""

import hashlib
import json
import os
import platform
import sys
from pathlib import Path

import llvmlite
import numba
import numpy as np
import scipy
from llvmlite import binding

from lartpc.detector.detector import Detector
from lartpc.fit.calibrate import calibrate
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.simulation.simulation import Simulation

STORED = Path(__file__).with_suffix(".json")
# Tables are made by linear algebra, which adds up in another order on more threads.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
FITTED = ("eField", "lifetime", "tran_diff")


def fingerprint():
    """What bits depend on beside the program, in one line."""
    features = numba.config.CPU_FEATURES or binding.get_host_cpu_features().flatten()
    parts = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{module.__name__: module.__version__ for module in (numba, llvmlite, np, scipy)},
        "cpu": numba.config.CPU_NAME or binding.get_host_cpu_name(),
        "features": hashlib.sha256(features.encode()).hexdigest()[:16],
        "openblas": os.environ.get("OPENBLAS_CORETYPE", "its choice"),
        "libc": " ".join(platform.libc_ver()),
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items())


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def of_hits(hits):
    sums = {name: float(getattr(hits, name).sum(dtype="f8")) for name in ("charge", "t", "pixel_id")}
    return digest(*vars(hits).values()), {"hits": len(hits), **sums}


def of_fit(fit):
    return digest(fit.values, fit.covariance), dict(zip(fit.names, fit.values.tolist(), strict=True))


def measure():
    """{name: hash} and {name: {quantity: number}} of hits by both responses, and of a likelihood fit.

    The fit is to hits in double precision: in single, those of another machine move its values by more than 1e-5.
    """
    segments = from_table(generate("mixed", Detector.module0(), events=1, seed=2), "generated")
    segments = segments.select(segments.traj_id % 2 == 0)
    responses = ("parametric", "electrostatic")
    found = {name: of_hits(Simulation(noise=True, seed=5, response=name)(segments).hits) for name in responses}
    double = Simulation(noise=True, seed=5, dtype=np.float64)
    found["fit"] = of_fit(calibrate(double, segments, double(segments).hits, unknowns=FITTED))
    return {name: bits for name, (bits, _) in found.items()}, {name: numbers for name, (_, numbers) in found.items()}


def write(here, bits, numbers):
    stored = json.loads(STORED.read_text())["bits"] if STORED.exists() else {}
    if stored.get(here, bits) != bits:
        stored = {}
    content = {"numbers": numbers, "bits": stored | {here: bits}}
    STORED.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    if not ONE_THREAD.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    here, (bits, numbers) = fingerprint(), measure()
    print(json.dumps({"here": here, "bits": bits, "numbers": numbers}))
    if "--write" in sys.argv[1:]:
        write(here, bits, numbers)

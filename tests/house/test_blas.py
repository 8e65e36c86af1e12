"""The same bits however many threads BLAS has."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import lartpc
from lartpc.blas import one_blas_thread

# Prints the bits of hits and of a fit for both kinds of response.
FIT = """
import sys
import numpy as np
from threadpoolctl import threadpool_info
from lartpc.fit.calibrate import Journal, calibrate
from lartpc.fit.optimizers import GaussNewton
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.pixels.response import Response
from lartpc.simulation.simulation import Simulation
simulation = Simulation(noise=True)
segments = from_table(generate("muons", simulation.detector, 1, 0)[:200], "generated")
hits = simulation(segments).hits
print(b"".join(column.tobytes() for column in vars(hits).values()).hex())
threads = lambda evaluation=None: max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
seen = set()
report = lambda evaluation: seen.add(threads())
varied, journal = ("eField", "lifetime"), Journal(report=report)
fit = calibrate(simulation, segments, hits, varied, optimizer=GaussNewton(1), journal=journal)
print(fit.values.tobytes().hex(), fit.covariance.tobytes().hex(), np.isfinite(fit.covariance).all())
tabulated = Simulation(response=Response.electrostatic(simulation.detector, bins=4, reach=10, height=1.0)).readout
print(tabulated.table.space.tobytes().hex())
print(seen, threads())
"""


def printed(**environment):
    """What `FIT` prints."""
    home = Path(lartpc.__file__).parent.parent
    ours = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment = {**ours, "PYTHONPATH": str(home), **environment}
    done = subprocess.run([sys.executable, "-P", "-c", FIT], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.slow
def test_hits_tables_and_fit_have_the_same_bits_for_any_number_of_threads_of_blas():
    *one, _ = printed(OMP_NUM_THREADS="1")
    assert len(one[0]) > 10000
    assert one[1].endswith("True")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        *two, seen = printed(**{name: "2"})
        assert two == one
        assert seen.startswith("{1} ")  # the threads that BLAS had within the fit


def test_one_thread_within_and_as_before_afterwards():
    @one_blas_thread
    def inside(x, *, y):
        """What it does."""
        return blas_threads(), x + y

    assert inside.__doc__ == "What it does."
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        assert inside(1, y=2) == ({1}, 3)
        assert blas_threads() == before


def test_limit_is_lifted_by_an_exception():
    @one_blas_thread
    def fail():
        raise np.linalg.LinAlgError

    before = blas_threads()
    with pytest.raises(np.linalg.LinAlgError):
        fail()
    assert blas_threads() == before

"""Programs that tests of the launcher run in a process of their own, and two kernels."""

import subprocess
import sys

import numpy as np
from commands import environment_with

from lartpc.kernels.runtime.launch import device, kernel

ENERGIES = np.linspace(0.0, 5.0, 1000)
# Runs one kernel and prints its result, and where the disk cache is.
ONE_KERNEL = """
import numpy as np
from lartpc.kernels.runtime.cache import cache_directory
from lartpc.kernels.charge.recombination import BIRKS
from lartpc.kernels.charge.quench import quench
from lartpc.parameters import Parameters
T = np.float32
energy, electrons = np.linspace(1, 5, 1000, dtype=T), np.zeros(1000, dtype=T)
local = {"step_field": np.full(1000, 0.5, dtype=T), "parameters": Parameters().table(1, T)}
local["step_module"] = np.zeros(1000, dtype=np.int64)
quench(1000, step_dE=energy, step_dEdx=2 * energy, **local, model=BIRKS, electrons=electrons)
assert abs(electrons[0] / 29710.7 - 1) < 1e-4, electrons
print(electrons.tobytes().hex(), cache_directory())
"""
SEGMENTS = """
import numpy as np
from lartpc.formats.edepsim import from_table
from lartpc.generator.generate import generate
from lartpc.simulation.simulation import Simulation
simulation = Simulation(noise=True)
segments = from_table(generate("muons", simulation.detector, 1, 0)[:200], "generated")
"""
# Prints the shares of charge at the sites of the lattice, the first numbers whose bits depend on how often code was
# optimised.
SHARES = f"""{SEGMENTS}
from lartpc.autodiff.launch import plain
from lartpc.charge.recombination import RECOMBINATION
from lartpc.charge.steps import make_steps, of_modules
batch, tables = simulation.batch(segments), simulation.tables
local = of_modules(simulation.vector(), tables)
steps = make_steps(batch, local, RECOMBINATION["birks"], tables, simulation.detector, simulation.settings)
print(simulation.readout.shares(steps, batch, plain).share.tobytes().hex())
"""
# Simulates, in a forked child too, while another thread launches; prints the hits of both.
FORKED = f"""{SEGMENTS}
import os, signal, threading, time
import numba
from lartpc.kernels.runtime.launch import LAUNCH_LOCK
numba.get_num_threads()
def hits():
    return b"".join(column.tobytes() for column in vars(simulation(segments).hits).values()).hex()
print(hits(), flush=True)
def launch_long():
    with LAUNCH_LOCK:
        held.set()
        time.sleep(1)
held, other = threading.Event(), threading.Thread(target=launch_long)
other.start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(30)
    print(hits(), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@device
def twice(x):
    return x + x


@kernel("out")
def scale(i, values, out):
    """out = 2 values."""
    out[i] = twice(values[i])


def in_new_process(program, heard=None, **environment):
    """What `program` prints, run by a new Python that finds the same lartpc; its lines on stderr are `heard`."""
    environment = environment_with(**{name: str(value) for name, value in environment.items()})
    done = subprocess.run([sys.executable, "-P", "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if heard is not None:
        heard += done.stderr.splitlines()
    return done.stdout.split()

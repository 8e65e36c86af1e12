"""Commands that write and read packets, and what is in their files."""

import numpy as np

from lartpc.formats.hits_of_packets import unrolled
from lartpc.simulation.simulation import Simulation

PERIOD = 10_000_000


def options(described):
    return ["--detector", described[2], "--layout", described[3]]


def simulated(detector, segments, **keywords):
    return Simulation(detector, **{"noise": False, **keywords})(segments, attribution=True)


def trigger_times(table):
    return np.unique(unrolled(table, PERIOD)[table["packet_type"] == 7])

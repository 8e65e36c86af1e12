"""Commands that write and read packets, and what is in their files."""

import numpy as np
from click.testing import CliRunner

from lartpc.cli.main import main
from lartpc.formats.hits_of_packets import unrolled
from lartpc.simulation.simulation import Simulation

PERIOD = 10_000_000


def options(place):
    return ["--detector", place[2], "--layout", place[3]]


def run(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output + done.stderr
    return done.stdout


def refused(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert done.stderr.count("\n") == 1
    return done.stderr


def simulated(detector, segments, **keywords):
    return Simulation(detector, **{"noise": False, **keywords})(segments, attribution=True)


def trigger_times(table):
    return np.unique(unrolled(table, PERIOD)[table["packet_type"] == 7])

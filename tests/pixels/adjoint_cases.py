"""Random launches of the kernels from drifted charge to what pixels see of it."""

import numpy as np
from helpers import PITCH
from launches import Case, recorded

from lartpc.charge.tables import make_tables
from lartpc.detector.detector import Detector
from lartpc.parameters import Parameters
from lartpc.settings import Settings


def random_share(rng):
    """Arrivals of a drift, on three lattices; some charge is narrower than they hold."""
    n, most = 30, 120
    arguments = {
        "arrival": rng.uniform(0.0, 180.0, n),
        "sigma_t": rng.uniform(0.02, 0.15, n),
        "step_table": rng.integers(0, 3, n),
        "step_tick": rng.integers(-50, 50, n),
        "per_tick": np.array([1, 2, 4]),
        "smooth": np.array([0.08, 0.04, 0.028]),
        "tick": 0.1,
        **{name: np.zeros(n, dtype=np.int64) for name in ("site_t", "sites_t")},
        "share_t": np.zeros((n, most)),
    }
    return Case(n, arguments)


def random_spread(rng):
    """Steps with 2 x 2 pixels each, in shuffled order, and three tables."""
    n, settings = 20, Settings()
    tables = make_tables(Detector.module0(), Parameters(), settings, np.float64, np)
    x, y = rng.uniform(10 * PITCH, 12 * PITCH, (2, n))
    order = rng.permutation(4 * n)
    pair_step, corner = order // 4, order % 4
    low = [np.floor(at / PITCH - 0.5).astype(np.int64) for at in (x, y)]
    arguments = {
        "column": np.full(n, 10),
        "row": np.full(n, 10),
        "x": x - 10 * PITCH,
        "y": y - 10 * PITCH,
        "distance": rng.uniform(0.5, 30.0, n),
        "charge": rng.uniform(10.0, 1e4, n),
        "sigma_T": rng.uniform(0.01, 0.08, n),
        "step_tpc": rng.integers(0, 2, n),
        "tpcs": tables.tpcs,
        "step_table": rng.integers(0, 3, n),
        "degree": np.array([3, 8, 13]),
        "pair_step": pair_step,
        "pair_x": low[0][pair_step] + corner % 2,
        "pair_y": low[1][pair_step] + corner // 2,
        "width": settings.width,
        "whole": 0.9,
        "nodes": settings.nodes,
        "gauss_point": tables.gauss_point,
        "gauss_weight": tables.gauss_weight,
        **{name: np.zeros((4 * n, 16)) for name in ("moment_x", "moment_y")},
    }
    return Case(4 * n, arguments, n, {"first_pair": 4 * np.arange(n + 1), "pair_place": np.argsort(order)})


def random_induce(rng):
    """Three tables of random numbers, symmetric in x and y, zero beyond their degrees and ranks."""
    n, most, ranks = 20, 16, 24
    degree, rank = np.array([3, 8, 13]), np.array([8, 24, 16])
    space = rng.normal(size=(3, most, ranks, most))
    space += space.transpose(0, 3, 2, 1)
    for values, d, r in zip(space, degree, rank, strict=True):
        values[d:], values[:, r:], values[..., d:] = 0.0, 0.0, 0.0
    arguments = {
        "pair_step": rng.integers(0, 10, n),
        "step_table": rng.integers(0, 3, 10),
        "moment_x": rng.normal(size=(n, most)),
        "moment_y": rng.normal(size=(n, most)),
        "degree": degree,
        "rank": rank,
        "space": space,
        "coefficient": np.zeros((n, ranks)),
    }
    return Case(n, arguments)


def random_assign(rng):
    """Charges of all widths from a tenth of a site to three, anywhere in the table's lattice of ten sites a pixel."""
    n, most = 20, 60
    tables = make_tables(Detector.module0(), Parameters(), Settings(), np.float64, np)
    arguments = {
        "column": np.full(n, 3),
        "row": np.full(n, 3),
        "x": rng.uniform(0.0, 2 * PITCH, n),
        "y": rng.uniform(0.0, 2 * PITCH, n),
        "charge": rng.uniform(10.0, 1e4, n),
        "arrival": rng.uniform(2.0, 9.0, n),
        "sigma_t": rng.uniform(0.01, 0.3, n),
        "sigma_T": rng.uniform(0.005, 0.12, n),
        "step_tpc": rng.integers(0, 2, n),
        "step_table": rng.integers(0, 3, n),
        "step_tick": rng.integers(-50, 50, n),
        "tpcs": tables.tpcs,
        "bins": 10,
        "per_tick": 1,
        "tick": 0.1,
        "shift": np.array([31.0, 28.3, 33.1]),
        **{name: np.zeros(n, dtype=np.int64) for name in ("site_x", "site_y", "site_t")},
        **{name: np.zeros(n, dtype=np.int64) for name in ("sites_x", "sites_y", "sites_t")},
        **{name: np.zeros((n, most)) for name in ("share_x", "share_y", "share_t")},
    }
    return Case(n, arguments)


def random_values(name, draws):
    """A recorded launch, some of its inputs drawn anew."""
    case = recorded("special", "birks, vdrift linked")[name]
    drawn = {k: draw(size=np.shape(case.arguments[k])) for k, draw in draws.items()}
    return case._replace(arguments={**case.arguments, **drawn})


def random_conserve(rng):
    return random_values("conserve", dict.fromkeys(("moment_x", "moment_y", "current"), rng.random))


def random_pool(rng):
    return random_values("pool", dict.fromkeys(("share_x", "share_y", "share_t"), rng.normal))


def random_project(rng):
    return random_values("project", {"charge": rng.normal, "weight": rng.normal})


def random_transfer(rng):
    return random_values("transfer", {"projected": rng.normal, "far": rng.normal})


def random_coarsen(rng):
    return random_values("coarsen", {"projected": rng.normal, "drive": rng.normal})


def random_relay(rng):
    return random_values("relay", {"slow": rng.normal})


def random_refine(rng):
    return random_values("refine", dict.fromkeys(("late", "driven", "waveform", "early"), rng.normal))


RANDOM = {
    "share": random_share,
    "spread": random_spread,
    "induce": random_induce,
    "conserve": random_conserve,
    "assign": random_assign,
    "pool": random_pool,
    "project": random_project,
    "transfer": random_transfer,
    "coarsen": random_coarsen,
    "relay": random_relay,
    "refine": random_refine,
}
LINEAR = {
    "share": (),
    "spread": ("charge",),
    "induce": ("moment_x", "moment_y"),
    "conserve": ("moment_x", "moment_y"),
    "assign": ("charge",),
    "pool": ("share_x", "share_y", "share_t"),
    "project": ("charge",),
    "transfer": ("projected", "parameters"),
    "coarsen": ("projected",),
    "relay": ("slow", "parameters"),
    "refine": ("late", "driven"),
}
# Positions, of up to a pitch, are moved by this fraction of themselves, which must be far less than the diffusion width
# of 0.03 cm.
STEP = {"spread x": 1e-7, "spread y": 1e-7, "share arrival": 1e-7, "assign": 1e-7}
LARGEST = {
    "spread x": 3e-5,
    "spread y": 3e-5,
    "assign x": 3e-5,
    "assign y": 3e-5,
    "assign arrival": 1e-6,
    "share arrival": 1e-6,
}

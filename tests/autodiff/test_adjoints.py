"""Every adjoint against central differences of its kernel and by its Taylor remainder, in float64.

Kernels are piecewise smooth: the numbers of steps and nodes are integers chosen from geometry, a read's time has a kink
where it moves to another tick, loops over ticks are cut where terms vanish. Steps are so small, and inputs (by fixed
seeds) such, that no such number changes; `STEP` and `LARGEST` say how small.
"""

import dataclasses
import functools
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from enumeration import kernels_of
from helpers import PITCH, make_segments, small_table
from loss_cases import LOSS_CASES
from samples import generated, real, special

import lartpc.kernels
from lartpc.adjoint.pairs import ADJOINTS, NO_ADJOINT
from lartpc.autodiff.kernelcheck import check_adjoint, directions, run_kernel, scale
from lartpc.autodiff.launch import plain
from lartpc.charge.recombination import RECOMBINATION
from lartpc.detector.detector import Detector
from lartpc.kernels.runtime import slots
from lartpc.kernels.runtime.launch import Kernel, in_order
from lartpc.losses.charges import make_charges
from lartpc.losses.hit_losses import LOSSES
from lartpc.losses.hitlist import HitList, simulated_hits
from lartpc.parameters import TABLE, Parameters
from lartpc.settings import Settings
from lartpc.simulation.chain import make_tables
from lartpc.simulation.simulation import Simulation

RTOL = 1e-6
ROUNDING = 1e-12  # of the losses, which are sums of numbers of order 1
# Relative step of the central differences, 1e-6 for the others. Positions, of up to 120 cm, are moved by this share of
# themselves, which must be far less than the diffusion width of 0.03 cm and the 0.03 cm between counts of steps.
# In drift, the times of up to 0.1 us within a tick are added to a drift of 180 us: a larger step, against rounding.
STEP = {"split": 1e-8, "spread x": 1e-8, "spread y": 1e-8, "share arrival": 1e-7, "assign": 1e-7, "drift": 1e-4}
STEP["angle"] = 1e-7
# Largest relative step of the Taylor remainders, 1e-3 for the others; they go down from it by three decades.
LARGEST = {
    "spread x": 1e-6,
    "spread y": 1e-6,
    **{f"assign {at}": 1e-6 for at in ("x", "y", "arrival")},
    "share arrival": 1e-6,
    "split": 1e-4,
    "angle": 1e-4,
    "trigger": 1e-4,
}
# Inputs in which a kernel is linear (the trigger piecewise): no remainder but rounding.
LINEAR = {
    "split": ("dE", "dEdx", "time"),
    "gather": ("values",),
    "field": ("parameters",),
    "angle": (),
    "ellipsoid": ("step_dEdx",),
    "quench": ("step_dE",),
    "drift": ("electrons", "step_time"),
    "share": (),
    "spread": ("charge",),
    "induce": ("moment_x", "moment_y"),
    "conserve": ("moment_x", "moment_y"),
    "assign": ("charge",),
    "couple": ("share_x", "share_y"),
    "deposit": ("share_t", "coefficient"),
    "convolve": ("source",),
    "buffer": ("waveform",),
    "trigger": ("threshold",),
    "digitize": ("hit_charge", "gain", "offset"),
    "likelihood": ("waveform",),
    **dict.fromkeys(LOSS_CASES, ()),
}
MODELS = {"birks, vdrift linked": ("birks", None), "box, vdrift set": ("box", 0.158)}
IDLE = {("drift", "box, vdrift set"): ("step_field",)}  # inputs of recorded launches that do not act
KERNELS = {kernel.name: kernel for kernel in ADJOINTS}
BOTH = ("deposit", "convolve")  # kernels of the parametric and of a tabulated response
FRONT_ENDS = {
    "reset": {"reset_cycles": 3},
    "busy": {"adc_busy_delay": 9},
    "discriminator": {"discriminator_noise": 650.0},
    "all": {"reset_cycles": 1, "adc_busy_delay": 9, "discriminator_noise": 650.0},
}


class Case(NamedTuple):
    """A launch: arguments as they were before it."""

    threads: int
    arguments: dict[str, Any]
    adjoint_threads: int | None = None
    more: dict[str, Any] | None = None

    def check(self, name, adjoint=None):
        name = name.removeprefix("tabulated ")
        return check_adjoint(
            KERNELS[name],
            ADJOINTS[KERNELS[name]] if adjoint is None else adjoint,
            self.threads,
            self.arguments,
            steps={key: STEP.get(f"{name} {key}", STEP.get(name, 1e-6)) for key in self.arguments},
            adjoint_threads=self.adjoint_threads,
            more=self.more,
        )

    def directions(self, name):
        kernel = KERNELS[name]
        keywords = {"adjoint_threads": self.adjoint_threads, "more": self.more}
        return directions(kernel, ADJOINTS[kernel], self.threads, self.arguments, **keywords)


def record(segments, recombination="birks", vdrift=None, **changes):
    """Every launch of the chain, its front end with all that it can do, and of the losses: {kernel: `Case`}.

    Those of `angle` and `ellipsoid`, which one model alone has, are of the segments that have a direction. Those of
    `BOTH` with a table are kept as "tabulated ...". Of measured hits the likelihood takes the chain's own, the losses
    take some of those of a plain front end, moved.
    """
    keywords = {"parameters": Parameters(vdrift=vdrift, **changes), "recombination": recombination, "dtype": np.float64}
    cases = {}

    def launch(kernel, threads, *arguments, adjoint_threads=None, **arrays):
        arguments = in_order(kernel, arguments, arrays)
        more = {name: array for name, array in arrays.items() if name not in kernel.arguments}
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        cases[kernel.name] = Case(threads, dict(zip(kernel.arguments, copies, strict=True)), adjoint_threads, more)
        kernel(threads, *arguments)

    angular = Simulation(**{**keywords, "recombination": "ellipsoid"})
    batch = angular.batch(segments)
    angular.waveforms(batch.select((batch.start != batch.end).any(axis=1)), angular.vector(), launch)
    for front_end in ({"buffer_risetime": 0.1, "adc_busy_delay": 9, "reset_cycles": 1}, {}):
        detector = dataclasses.replace(Detector.module0(), **front_end)
        simulation = Simulation(detector, **keywords)
        run = launch if front_end else plain
        batch = simulation.batch(segments)
        waveforms = simulation.waveforms(batch, simulation.vector(), run)
        pixels = simulation.pixels(waveforms.windows)
        reads = simulation.reads(waveforms, batch, pixels, run)
        adc = simulation.adc(reads, pixels, False, run)
        assert reads.count.sum() > 0
        tick = waveforms.windows.tick[reads.window] + reads.tick
        target = SimpleNamespace(count=reads.count, tick=tick, part=reads.part)
        make_charges(waveforms, target, detector, run)
    hits, _ = simulated_hits(simulation, batch, waveforms.windows, reads, adc)
    tabulated = Simulation(**keywords, response=small_table())
    parametric = {name: cases[name] for name in BOTH}
    tabulated.waveforms(batch, tabulated.vector(), launch)
    cases |= {f"tabulated {name}": cases[name] for name in BOTH} | parametric
    return cases | record_losses(hits, moved(hits, detector), detector)


def moved(hits, detector):
    """Four of five hits, with more charge and later."""
    kept = np.arange(len(hits.time)) % 5 != 3
    first = np.concatenate(([0], np.cumsum(kept)))[hits.first]
    hits = HitList(first, *(column[kept] for column in hits[1:]))
    charge = 1.07 * hits.charge
    return hits._replace(time=hits.time + 0.33, charge=charge, adc=detector.adc(charge))


def record_losses(simulated, target, detector):
    """The launches of the losses that are differentiated."""
    cases, forward = {}, {}
    call = Kernel.__call__

    def record(kernel, threads, *arguments, **named):
        arguments = in_order(kernel, arguments, named)
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        bound = dict(zip(kernel.arguments, copies, strict=True))
        name = kernel.name.removesuffix("_adjoint")
        if kernel in ADJOINTS:
            forward[name] = threads, bound
        elif kernel not in NO_ADJOINT:
            before, inputs = forward[name]
            more = {k: v for k, v in bound.items() if k not in inputs and not k.startswith("grad_")}
            cases[name] = Case(before, inputs, threads, more)
        call(kernel, threads, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kernel, "__call__", record)
        for loss in LOSSES.values():
            loss(simulated, target, detector)
    return cases


@functools.cache
def recorded(sample, model):
    """Launches of a sample; those that each test changes are copied by `run_kernel`."""
    segments = {"generated": lambda: generated(4), "special": special}[sample]()
    return record(segments, *MODELS[model])


def random_table(rng, n):
    """Parameters of three modules in their ranges, a module for each of n steps, and fields at these.

    In the first the drift velocity follows from the field, in the others it is set.
    """
    ranges = np.array([TABLE[name].range for name in slots.PARAMETERS])
    parameters = rng.uniform(*ranges.T, (3, len(ranges)))
    parameters[0, slots.VDRIFT] = 0.0
    return {"parameters": parameters, "step_module": rng.integers(0, 3, n), "step_field": rng.uniform(0.45, 0.55, n)}


def random_field(rng):
    return Case(30, {**random_table(rng, 30), "step_field": np.zeros(30)})


def random_gather(rng):
    """Values that are common to three modules and of one each."""
    place = np.array([[0, 1, 2], [0, 3, 2], [4, 1, 2], [0, 1, 5]])
    return Case(4, {"values": rng.uniform(0.5, 2.0, 6), "place": place, "module_parameters": np.zeros((4, 3))}, 6)


def random_split(rng):
    """Segments all over module0, of which some end in the other TPC or outside."""
    start = rng.uniform((-31.0, -83.0, -30.4), (31.0, 40.0, 30.4), (20, 3))
    start[::3, 2] /= 30.0
    energy, time = rng.uniform(0.1, 3.0, 20), rng.uniform(0.0, 9.0, 20)
    segments = make_segments(start, start + rng.normal(size=(20, 3)), dE=energy, dEdx=2.0, t0=time)
    return record(segments)["split"]


def random_angle(rng):
    """Segments of any direction, of one to three pieces with one to four steps each."""
    start = rng.uniform(-30.0, 30.0, (8, 3))
    first_piece = np.concatenate(([0], np.cumsum(rng.integers(1, 4, 8))))
    first_step = np.concatenate(([0], np.cumsum(rng.integers(1, 5, first_piece[-1]))))
    segment = np.repeat(np.arange(8), np.diff(first_step[first_piece]))
    arguments = {"start": start, "end": start + rng.normal(size=(8, 3)), "step_segment": segment}
    cut = {"first_piece": first_piece, "first_step": first_step}
    return Case(len(segment), {**arguments, "step_cos": np.zeros(len(segment))}, 8, cut)


def random_ellipsoid(rng):
    n = 30
    table = random_table(rng, n)
    inputs = {"step_dEdx": rng.uniform(1.0, 60.0, n), "step_cos": rng.uniform(-1.0, 1.0, n)}
    of_module = {name: table[name] for name in ("parameters", "step_module")}
    return Case(n, {**inputs, **of_module, "step_dEdx_90": np.zeros(n)})


def random_quench(rng, model=1):
    n = 30
    inputs = {"step_dE": rng.uniform(0.01, 1.0, n), "step_dEdx": rng.uniform(1.0, 60.0, n)}
    return Case(n, {**inputs, **random_table(rng, n), "model": model, "electrons": np.zeros(n)})


def random_drift(rng):
    n = 30
    inputs = {
        "electrons": rng.uniform(10.0, 1e4, n),
        "distance": rng.uniform(0.02, 30.0, n),
        "step_time": rng.uniform(0.0, 0.1, n),
        **random_table(rng, n),
        "drift_start": 0.5,
    }
    return Case(n, {**inputs, **{k: np.zeros(n) for k in ("charge", "arrival", "sigma_t", "sigma_T")}})


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
    tables = make_tables(Detector.module0(), settings, np.float64, np)
    x, y = rng.uniform(10 * PITCH, 12 * PITCH, (2, n))
    order = rng.permutation(4 * n)
    pair_step, corner = order // 4, order % 4
    low = [np.floor(at / PITCH - 0.5).astype(np.int64) for at in (x, y)]
    arguments = {
        "x": x,
        "y": y,
        "distance": rng.uniform(0.5, 30.0, n),
        "charge": rng.uniform(10.0, 1e4, n),
        "sigma_T": rng.uniform(0.01, 0.08, n),
        "step_volume": rng.integers(0, 2, n),
        "volumes": tables.volumes,
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


def random_trains(rng):
    """Six windows with one or two trains of three tables: (what `deposit` and `convolve` need, length of `source`)."""
    per_tick, rank = np.array([1, 2, 3]), np.array([8, 16, 8])
    length = rng.integers(20, 60, 6)
    first = np.concatenate(([0], np.cumsum(length)))
    train = np.concatenate(([0], np.cumsum(rng.integers(1, 3, 6))))
    table = rng.integers(0, 3, train[-1])
    sites = rng.integers(5, 20, train[-1])
    return SimpleNamespace(
        tick=rng.integers(-100, 100, 6),
        first=first,
        train=train,
        table=table,
        sites=sites,
        begin=np.concatenate(([0], np.cumsum(sites * rank[table]))),
        per_tick=per_tick,
        rank=rank,
        window=np.repeat(np.arange(6), np.diff(train)),
    )


def random_deposit(rng):
    """Steps with two pairs each, somewhere in one of the trains of a table."""
    n, trains = 10, random_trains(rng)
    of_step = rng.integers(0, len(trains.table), n)
    sites_t = np.array([rng.integers(1, trains.sites[c] + 1) for c in of_step])
    # The other pair of a step is in any train of the same table that has as many sites.
    train, step = [], []
    for s, c in enumerate(of_step):
        fits = np.flatnonzero((trains.table == trains.table[c]) & (trains.sites >= sites_t[s]))
        train += [c, rng.choice(fits)]
        step += [s, s]
    order = np.argsort(trains.window[train], kind="stable")
    train, step = np.array(train)[order], np.array(step)[order]
    site = rng.integers(0, trains.sites[train] - sites_t[step] + 1)
    arguments = {
        "window_pair": np.searchsorted(trains.window[train], np.arange(7)),
        "pair_step": step,
        "pair_source": trains.begin[train] + site * trains.rank[trains.table[train]],
        "window_train": trains.train,
        "train_source": trains.begin,
        "step_table": trains.table[of_step],
        "rank": trains.rank,
        "sites_t": sites_t,
        "share_t": rng.normal(size=(n, 20)),
        "coefficient": rng.normal(size=(2 * n, 16)),
        "source": np.zeros(trains.begin[-1]),
    }
    return Case(6, arguments, n, {"first_pair": 2 * np.arange(n + 1), "pair_place": np.argsort(order)})


def random_convolve(rng):
    """Trains anywhere in their windows, waveforms of random numbers, before which four exponentials go on."""
    trains = random_trains(rng)
    first_lag, last_lag = np.array([-7, -3, 2]), np.array([4, 12, 20])
    n = trains.per_tick[trains.table]
    end = (trains.tick + np.diff(trains.first))[trains.window] * n - last_lag[trains.table]
    lags = last_lag - first_lag + 1
    basis = rng.normal(size=(3, (lags * trains.rank).max()))
    tail = rng.normal(size=(3, 3, 16, 4))
    arguments = {
        "window_train": trains.train,
        "window_tick": trains.tick,
        "window_first": trains.first,
        "train_table": trains.table,
        "train_place": end - trains.sites - rng.integers(0, 30, len(n)),
        "train_sites": trains.sites,
        "train_source": trains.begin,
        "per_tick": trains.per_tick,
        "rank": trains.rank,
        "first_lag": first_lag,
        "last_lag": last_lag,
        "basis": basis,
        "tail": tail,
        "decay": rng.uniform(0.5, 0.95, 4),
        "source": rng.normal(size=trains.begin[-1]),
        "state": np.zeros((6, 4)),
        "current": np.zeros(trains.first[-1]),
    }
    return Case(6, arguments, more={"tail_back": tail.transpose(0, 1, 3, 2).copy()})


def random_assign(rng):
    """Charges of all widths from a tenth of a site to three, anywhere in the table's lattice of ten sites a pixel."""
    n, most = 20, 60
    tables = make_tables(Detector.module0(), Settings(), np.float64, np)
    arguments = {
        "x": rng.uniform(3 * PITCH, 5 * PITCH, n),
        "y": rng.uniform(3 * PITCH, 5 * PITCH, n),
        "charge": rng.uniform(10.0, 1e4, n),
        "arrival": rng.uniform(2.0, 9.0, n),
        "sigma_t": rng.uniform(0.01, 0.3, n),
        "sigma_T": rng.uniform(0.005, 0.12, n),
        "step_volume": rng.integers(0, 2, n),
        "step_table": rng.integers(0, 3, n),
        "step_tick": rng.integers(-50, 50, n),
        "volumes": tables.volumes,
        "bins": 10,
        "per_tick": 1,
        "tick": 0.1,
        "shift": np.array([31.0, 28.3, 33.1]),
        **{name: np.zeros(n, dtype=np.int64) for name in ("site_x", "site_y", "site_t")},
        **{name: np.zeros(n, dtype=np.int64) for name in ("sites_x", "sites_y", "sites_t")},
        **{name: np.zeros((n, most)) for name in ("share_x", "share_y", "share_t")},
    }
    return Case(n, arguments)


def random_values(rng, name, draws):
    """A recorded launch, some of its inputs drawn anew."""
    case = recorded("special", "birks, vdrift linked")[name]
    drawn = {k: draw(size=np.shape(case.arguments[k])) for k, draw in draws.items()}
    return case._replace(arguments={**case.arguments, **drawn})


def random_conserve(rng):
    return random_values(rng, "conserve", dict.fromkeys(("moment_x", "moment_y", "current"), rng.random))


def random_couple(rng):
    """Of three tables, the second and third of random numbers, any for each step."""
    case = random_values(rng, "couple", dict.fromkeys(("share_x", "share_y"), rng.normal))
    one, of = case.arguments["space"], case.arguments["step_table"]
    more = scale(one) * rng.normal(size=(2, *one.shape[1:]))
    drawn = {"space": np.concatenate((one, more)), "step_table": rng.integers(0, 3, len(of))}
    return case._replace(arguments={**case.arguments, **drawn})


def random_waveforms(rng, n, lowest=0.0):
    """Pixels with two windows each and currents of `lowest` to 5000 e/us: {name: value}, and the last tick of each."""
    length = rng.integers(40, 120, 2 * n)
    tick = np.stack((np.zeros(n, dtype=np.int64), length[::2] + rng.integers(1, 60, n)), axis=1)
    first = np.concatenate(([0], np.cumsum(length)))
    windows = {"pixel_window": 2 * np.arange(n + 1), "window_first": first, "window_tick": tick.ravel() + 1000}
    return {"waveform": rng.uniform(lowest, 5e3, first[-1]), **windows}, 1000 + tick[:, 1] + length[1::2]


def random_buffer(rng):
    """Windows of random currents and a rise time of some ticks; one window has no sample."""
    first = np.concatenate(([0, 0], np.cumsum(rng.integers(1, 40, 10))))
    ticks = rng.uniform(0.3, 5.0)
    factors = {"held_ticks": ticks, "decay": np.exp(-1.0 / ticks), "share": ticks * (1.0 - np.exp(-1.0 / ticks))}
    inputs = {"window_first": first, "waveform": rng.uniform(0.0, 5e3, first[-1])}
    return Case(len(first) - 1, {**inputs, **factors, "buffered": np.zeros(first[-1])})


def random_trigger(rng, **front_end):
    """Of the front end nothing but hold and noise, unless it is given."""
    n, hits = 15, 4
    waveforms, _ = random_waveforms(rng, n)
    integers, floats = np.zeros((n, hits), dtype=np.int64), np.zeros((n, hits))
    arguments = {
        **waveforms,
        "pixel_event": np.arange(n),
        "pixel_id": np.arange(n),
        "threshold": rng.uniform(3e3, 8e3, n),
        "tick": 0.1,
        "hold_ticks": 18,
        "reset_cycles": 0,
        "adc_busy_delay": 0,
        "seed": 5,
        "reset_noise": 900.0,
        "uncorrelated_noise": 500.0,
        "discriminator_noise": 0.0,
        "read_count": np.zeros(n, dtype=np.int64),
        **{name: integers for name in ("read_window", "read_tick", "hit_valid")},
        **{name: floats for name in ("read_part", "hit_time", "hit_charge")},
    }
    return Case(n, {**arguments, **front_end})


def random_digitize(rng):
    """Charges of which some give ADC values below 0 and above the highest."""
    n, hits = 10, 6
    arguments = {
        "hit_charge": rng.uniform(-2e5, 4e5, (n, hits)),
        "read_count": rng.integers(1, hits + 1, n),
        "gain": rng.uniform(3e-3, 5e-3, n),
        "offset": rng.uniform(280.0, 300.0, n),
        "full_scale": 1012.0,
        "adc_counts": 256.0,
        "rounded": False,
        "adc": np.zeros((n, hits)),
    }
    return Case(n, arguments)


def random_likelihood(rng):
    """Hits at random ticks, also between windows and before the end of the hold; currents of both signs."""
    n, hits = 15, 4
    waveforms, last = random_waveforms(rng, n, -3e3)
    arguments = {
        **waveforms,
        "target_count": rng.integers(0, hits + 1, n),
        "target_tick": np.sort(rng.integers(990, last[:, None] + 10, (n, hits)), axis=1),
        "target_part": rng.random((n, hits)),
        "tick": 0.1,
        "hold_ticks": 18,
        "reset_cycles": 2,
        **{name: np.zeros((n, hits)) for name in ("before", "during", "rate", "resume")},
        "after": np.zeros(n),
    }
    return Case(n, arguments)


RANDOM = {
    "split": random_split,
    "gather": random_gather,
    "field": random_field,
    "angle": random_angle,
    "ellipsoid": random_ellipsoid,
    "quench": random_quench,
    "drift": random_drift,
    "share": random_share,
    "spread": random_spread,
    "induce": random_induce,
    "conserve": random_conserve,
    "assign": random_assign,
    "couple": random_couple,
    "deposit": random_deposit,
    "convolve": random_convolve,
    "buffer": random_buffer,
    "trigger": random_trigger,
    "digitize": random_digitize,
    "likelihood": random_likelihood,
    **{name: lambda rng, make=make: Case(*make(rng)) for name, make in LOSS_CASES.items()},
}


def assert_agree(projections, idle=()):
    for p in projections:
        assert (p.difference != 0.0) == (p.name not in idle), p
        assert p.relative < RTOL, p


# --- the table


def all_kernels():
    return kernels_of(lartpc.kernels)


def test_every_kernel_has_an_adjoint_or_a_reason():
    assert set(ADJOINTS) | set(NO_ADJOINT) == all_kernels()
    assert not set(ADJOINTS) & set(NO_ADJOINT)
    assert all(isinstance(reason, str) and reason.strip() for reason in NO_ADJOINT.values())


@pytest.mark.parametrize("name", KERNELS)
def test_names_of_an_adjoint(name):
    kernel = KERNELS[name]
    adjoint = ADJOINTS[kernel]
    assert adjoint.kernel.name == f"{name}_adjoint"
    assert adjoint.kernel.body.__module__ == kernel.body.__module__.replace("kernels", "adjoint")
    inputs = set(kernel.arguments) - set(kernel.outputs)
    assert all(output.removeprefix("grad_") in inputs for output in adjoint.kernel.outputs)
    assert all(output.startswith("grad_") for output in adjoint.kernel.outputs)
    assert {*adjoint.shared, *adjoint.writes} <= {output.removeprefix("grad_") for output in adjoint.kernel.outputs}
    assert not {*adjoint.shared} & {*adjoint.writes}
    taken = {a.removeprefix("grad_") for a in adjoint.kernel.arguments if a.startswith("grad_")}
    assert taken & set(kernel.outputs)


# --- central differences


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("seed", [1, 2])
def test_random_inputs(name, seed):
    assert_agree(RANDOM[name](np.random.default_rng(seed)).check(name))


@pytest.mark.parametrize("front_end", FRONT_ENDS.values(), ids=FRONT_ENDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_inputs_of_a_front_end(front_end, seed):
    assert_agree(random_trigger(np.random.default_rng(seed), **front_end).check("trigger"))


@pytest.mark.parametrize("model", [row.number for row in RECOMBINATION.values()], ids=RECOMBINATION)
def test_random_inputs_of_a_model_of_recombination(model):
    assert_agree(random_quench(np.random.default_rng(3), model).check("quench"))


@pytest.mark.parametrize("name", [*KERNELS, *(f"tabulated {name}" for name in BOTH)])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sample", ["generated", "special"])
def test_recorded_inputs(name, sample, model):
    assert_agree(recorded(sample, model)[name].check(name), IDLE.get((name, model), ()))


@pytest.mark.parametrize("model", MODELS)
def test_real_inputs(reference, model):
    for name, case in record(real(reference, 2, 6), *MODELS[model]).items():
        found = (p for p in case.check(name) if "time" not in p.name)  # the file has no times
        assert_agree(found, IDLE.get((name, model), ()))


CLEARED = ("share", "spread", "induce", "deposit", "convolve", "conserve", "tabulated deposit", "tabulated convolve")


@pytest.mark.parametrize("name", CLEARED)
def test_what_an_output_held_before_does_not_matter(name):
    case = recorded("special", "birks, vdrift linked")[name]
    kernel = KERNELS[name.removeprefix("tabulated ")]
    work = ("state",)  # zeros
    clean, spoiled = ({o: np.zeros_like(case.arguments[o]) for o in kernel.outputs} for _ in range(2))
    for o, array in spoiled.items():
        if o not in work:
            array[...] = np.nan if array.dtype == np.float64 else -7
    for outputs in (clean, spoiled):
        bound = case.arguments | outputs
        kernel(case.threads, *(bound[argument] for argument in kernel.arguments))
    for o in kernel.outputs:
        np.testing.assert_array_equal(spoiled[o], clean[o])


WRITING = [name for name in (*KERNELS, *CLEARED) if ADJOINTS[KERNELS[name.removeprefix("tabulated ")]].writes]


@pytest.mark.parametrize("name", sorted(set(WRITING)))
def test_what_a_written_gradient_held_before_does_not_matter(name):
    case = recorded("special", "birks, vdrift linked")[name]
    kernel = KERNELS[name.removeprefix("tabulated ")]
    adjoint = ADJOINTS[kernel]
    forward = case.arguments | run_kernel(kernel, case.threads, case.arguments, {}) | (case.more or {})
    random = np.random.default_rng(0)
    for output in kernel.outputs:
        forward[f"grad_{output}"] = random.normal(size=np.shape(forward[output]))
    clean, spoiled = {}, {}
    for output in adjoint.kernel.outputs:
        of = output.removeprefix("grad_")
        clean[output] = np.zeros_like(forward[of])
        spoiled[output] = np.full_like(forward[of], np.nan) if of in adjoint.writes else clean[output].copy()
    threads = case.threads if case.adjoint_threads is None else case.adjoint_threads
    for grads in (clean, spoiled):
        work = {name: array.copy() for name, array in forward.items() if name.startswith("grad_")}
        bound = forward | work | grads
        adjoint.kernel(threads, *(bound[argument] for argument in adjoint.kernel.arguments))
    for output in adjoint.kernel.outputs:
        assert np.any(clean[output])
        np.testing.assert_array_equal(spoiled[output], clean[output])


# --- Taylor remainders


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("source", ["random", "special"])
def test_taylor_remainder(name, source):
    """|loss(x + h) - loss(x) - h slope| falls as h^2, or is rounding where the kernel is linear in x."""
    model = "box, vdrift set"
    case = RANDOM[name](np.random.default_rng(1)) if source == "random" else recorded(source, model)[name]
    idle = () if source == "random" else IDLE.get((name, model), ())
    for d in (d for d in case.directions(name) if d.name not in idle):
        largest = LARGEST.get(f"{name} {d.name}", LARGEST.get(name, 1e-3))
        h = largest * 10.0 ** -np.arange(0.0, 3.5, 0.5)
        change = np.array([d.change(step) for step in h])
        remainder = np.abs(change - h * d.adjoint)
        if d.name in LINEAR[name]:
            assert remainder.max() < 1e-7 * np.abs(change).max(), d.name
        else:
            exact = remainder > ROUNDING
            slope = np.diff(np.log(remainder[exact])) / np.diff(np.log(h[exact]))
            assert len(slope) >= 3, (d.name, remainder)
            assert np.median(slope) == pytest.approx(2.0, abs=0.1), (d.name, remainder)


# --- the checker


class Wrong:
    """An adjoint kernel with a mistake: `spoil` changes its gradients, {name: array}."""

    def __init__(self, kernel, spoil):
        self.kernel, self.spoil = kernel, spoil
        self.arguments, self.outputs, self.name = kernel.arguments, kernel.outputs, kernel.name

    def __call__(self, threads, *arguments):
        self.kernel(threads, *arguments)
        self.spoil(dict(zip(self.arguments, arguments, strict=True)))


def caught(name, output, spoil):
    """Whether the checker sees what `spoil` does to the gradient `output`, and to no other."""
    adjoint = ADJOINTS[KERNELS[name]]
    wrong = adjoint._replace(kernel=Wrong(adjoint.kernel, lambda grads: spoil(grads[output])))
    failed = [p.name for p in RANDOM[name](np.random.default_rng(1)).check(name, wrong) if p.relative > RTOL]
    assert set(failed) <= {output.removeprefix("grad_")}
    return bool(failed)


def scaled(grad):
    grad *= 1.001


def flipped(grad):
    grad *= -1.0


def dropped(grad):
    """Without the contribution to every third entry."""
    grad[::3] = 0.0


def transposed(grad):
    """Each entry in the place of the next."""
    grad[...] = np.roll(grad, 1, axis=-1)


@pytest.mark.parametrize("spoil", [scaled, flipped, dropped, transposed])
@pytest.mark.parametrize("name, output", [(n, o) for n, k in KERNELS.items() for o in ADJOINTS[k].kernel.outputs])
def test_the_checker_sees_a_wrong_gradient(name, output, spoil):
    assert caught(name, output, spoil)


class Dropped(Wrong):
    """An adjoint kernel that forgets one of the gradients that it is given."""

    def __call__(self, threads, *arguments):
        given = zip(self.arguments, arguments, strict=True)
        self.kernel(threads, *(np.zeros_like(value) if name == self.spoil else value for name, value in given))


@pytest.mark.parametrize("name", KERNELS)
def test_the_checker_sees_a_dropped_term(name):
    adjoint = ADJOINTS[KERNELS[name]]
    given = [a for a in adjoint.kernel.arguments if a.startswith("grad_") and a not in adjoint.kernel.outputs]
    for term in given:
        wrong = adjoint._replace(kernel=Dropped(adjoint.kernel, term))
        case = RANDOM[name](np.random.default_rng(1))
        assert any(p.relative > RTOL for p in case.check(name, wrong)), term


@pytest.mark.parametrize("name, pairs", [("induce", ("moment",)), ("spread", ("",))])
def test_the_checker_sees_exchanged_axes(name, pairs):
    def exchange(grads):
        for pair in pairs:
            x, y = (grads["_".join(filter(None, ("grad", pair, axis)))] for axis in "xy")
            x[...], y[...] = y.copy(), x.copy()

    adjoint = ADJOINTS[KERNELS[name]]
    wrong = adjoint._replace(kernel=Wrong(adjoint.kernel, exchange))
    failed = {p.name for p in RANDOM[name](np.random.default_rng(1)).check(name, wrong) if p.relative > RTOL}
    assert len(failed) == 2 * len(pairs)


def test_the_checker_sees_a_dropped_parameter():
    acting = {"field": (slots.EFIELD,), "quench": (slots.BETA,), "drift": (slots.VDRIFT, slots.LIFETIME)}
    for name in acting:
        for slot in (slots.EFIELD, slots.VDRIFT, slots.BETA, slots.LIFETIME):
            case = RANDOM[name](np.random.default_rng(1))
            adjoint = ADJOINTS[KERNELS[name]]

            def forget(grads, slot=slot):
                grads["grad_parameters"][:, slot] = 0.0

            wrong = adjoint._replace(kernel=Wrong(adjoint.kernel, forget))
            assert (slot in acting[name]) == any(p.relative > RTOL for p in case.check(name, wrong))

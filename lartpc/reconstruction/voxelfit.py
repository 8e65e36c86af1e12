"""The fit of voxels: damped Gauss-Newton on the likelihood of their hits, block by block, with sparse matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array, csc_array, diags_array
from scipy.sparse.linalg import splu

from lartpc.arrays import to_numpy
from lartpc.autodiff.tape import Tape
from lartpc.data.hits import Hits
from lartpc.gradients.segments import SegmentJacobian, SegmentRows
from lartpc.losses.likelihood import compare
from lartpc.losses.target import TargetHits
from lartpc.reconstruction.likelihood import as_events, batch_of
from lartpc.reconstruction.singles import CLOSE, DAMPING, DECREMENT, HIGHEST, NOISE, damped
from lartpc.reconstruction.voxels import SHIFT, SIDE, STRETCH, Voxels
from lartpc.simulation.simulation import Simulation

REACH_LOG, REACH = 1.0, 0.1  # of a step: of logs, of a shift [cm]
ITERATIONS = 40
TOGETHER = 3000  # voxels that are simulated at once
NO_SLOTS: Any = np.zeros(0, dtype=np.int64)  # the parameters are given


class Near(NamedTuple):
    """F of a block near its unknowns (u,), with the prior."""

    value: float
    gradient: np.ndarray  # (u,)
    information: Any  # (u, u) sparse, the Gauss-Newton form of the second derivatives
    jacobian: Any  # (m, u) sparse, of the squared residuals
    residual: np.ndarray  # (m,)

    @property
    def decrement(self) -> float:
        """sqrt(g H^-1 g): how far the minimum is, in errors."""
        return float(np.sqrt(max(self.gradient @ splu(self.information).solve(self.gradient), 0.0)))

    @property
    def squares(self) -> float:
        """Sum of the squared residuals."""
        return float(self.residual @ self.residual)

    @property
    def expected(self) -> float:
        """What is expected of that sum, see `likelihood.expected_squares`."""
        taken = splu(self.information).solve(self.jacobian.T.toarray())
        return len(self.residual) - float(np.sum(self.jacobian.toarray().T * taken))


class Block(NamedTuple):
    """Voxels that no pixel sees together with others', and the hits that they are of."""

    voxels: Voxels
    hits: Hits

    @property
    def start(self) -> np.ndarray:
        """The unknowns where a fit begins."""
        return np.concatenate((self.voxels.start, np.zeros(2 * self.voxels.n_hits)))


class FittedBlock(NamedTuple):
    """A block where its fit ended."""

    voxels: Voxels
    eta: np.ndarray
    near: Near

    @property
    def converged(self) -> bool:
        """Whether that is near a minimum."""
        return self.near.decrement < CLOSE


def blocks_of(voxels: Voxels, hits: Hits) -> list[Block]:
    """The blocks of the voxels of hits."""
    rows = [np.flatnonzero(voxels.block == k) for k in range(int(voxels.block.max(initial=-1)) + 1)]
    return [Block(voxels.select(own), hits.select(own[own < len(hits)])) for own in rows]


class VoxelLikelihood:
    """F of blocks at the chain's `vector` of parameters: each is an event of its own, with its hits."""

    def __init__(self, simulation: Simulation, vector: np.ndarray, blocks: Sequence[Block], rounded: bool) -> None:
        self.simulation, self.rounded, self.blocks = simulation, rounded, blocks
        self.vector = vector.astype(simulation.dtype)

    def at(self, etas: Sequence[np.ndarray], chosen: Sequence[int]) -> list[Near]:
        """`Near` of the `chosen` blocks at their `etas`, one each of these."""
        size = np.cumsum([len(self.blocks[k].voxels.pixel) for k in chosen]) // TOGETHER
        found: list[Near] = []
        for part in np.unique(size):
            own = np.flatnonzero(size == part).tolist()
            found += self.on([etas[k] for k in own], [self.blocks[chosen[k]] for k in own])
        return found

    def on(self, etas: list[np.ndarray], blocks: list[Block]) -> list[Near]:
        simulation, tape = self.simulation, Tape()
        batch = batch_of(simulation, [one.voxels.segments(eta) for one, eta in zip(blocks, etas, strict=True)])
        hits = as_events([one.hits for one in blocks])
        target = TargetHits(hits, simulation.detector, self.rounded)
        compared = compare(simulation, target, batch, simulation.xp.asarray(self.vector), tape)
        of_pixels, terms = SegmentJacobian(tape, compared.waveforms, NO_SLOTS), compared.terms
        owner = to_numpy(compared.waveforms.windows.event)
        squares, rest, curved = (SparseRows(blocks, etas, owner) for _ in range(3))
        for chosen, residual, seeds in terms.squares:
            squares.add(chosen, residual, of_pixels.of_seeds(seeds, chosen)[1])
        for rows, (chosen, seeds) in ((rest, terms.of_rest), *((curved, one) for one in terms.curved)):
            rows.add(chosen, np.zeros(len(chosen)), of_pixels.of_seeds(seeds, chosen)[1])
        value = np.bincount(owner, terms.rest_of_pixel, len(blocks))
        found = []
        parts = zip(blocks, etas, squares.of_blocks(), rest.of_blocks(), curved.of_blocks(), strict=True)
        for k, (one, eta, (residual, jacobian), (_, slopes), (_, roots)) in enumerate(parts):
            prior, slope, curvature = prior_of(one.voxels, eta)
            gradient = jacobian.T @ residual + slopes.T @ np.ones(slopes.shape[0]) + slope
            information = csc_array(jacobian.T @ jacobian + roots.T @ roots + curvature)
            total = 0.5 * float(residual @ residual) + float(value[k]) + prior
            found.append(Near(total, gradient, information, jacobian, residual))
        return found


class SparseRows:
    """Rows of derivatives of pixels by the unknowns of the blocks that these are of: owner (n_pixels,)."""

    def __init__(self, blocks: list[Block], etas: list[np.ndarray], owner: np.ndarray) -> None:
        self.owner, self.n = owner, 0
        size, hits = ([f(one.voxels) for one in blocks] for f in (lambda v: len(v.pixel), lambda v: v.n_hits))
        self.first = np.cumsum([0] + [n + 2 * h for n, h in zip(size, hits, strict=True)])
        block = np.repeat(np.arange(len(blocks)), size)
        voxel = np.concatenate([np.arange(n) for n in size])
        self.column = self.first[block] + voxel  # of log(dE) of each segment, then of its shift and length, or -1
        free = voxel < np.array(hits)[block]
        self.shift = np.where(free, self.column + np.array(size)[block], -1)
        self.length = np.where(free, self.shift + np.array(hits)[block], -1)
        self.dE = np.concatenate([np.exp(eta[:n]) for eta, n in zip(etas, size, strict=True)])
        half = [one.voxels.segments(eta) for one, eta in zip(blocks, etas, strict=True)]
        self.half = np.concatenate([0.5 * (end - start)[:, 2] for start, end, *_ in half])
        self.parts: list[tuple[np.ndarray, ...]] = []
        self.values: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, chosen: np.ndarray, values: np.ndarray, sparse: SegmentRows) -> None:
        """Rows of the pixels `chosen`, which have the `values`, as `SegmentJacobian.of_seeds` found them."""
        row, segment, slopes = sparse.row + self.n, sparse.segment, sparse.values
        moved = self.half[segment] * (slopes[:, 5] - slopes[:, 2])
        for column, value in (
            (self.column[segment], self.dE[segment] * slopes[:, 6]),
            (self.shift[segment], slopes[:, 2] + slopes[:, 5]),
            (self.length[segment], moved),
        ):
            free = column >= 0
            self.parts.append((row[free], column[free], value[free]))
        self.values.append((self.owner[chosen], values))
        self.n += len(chosen)

    def of_blocks(self) -> list[tuple[np.ndarray, Any]]:
        """Of each block the values (m,) and their derivatives (m, u), sparse."""
        owner, values = (np.concatenate(part) for part in zip(*self.values, strict=True))
        row, column, slope = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        order = np.argsort(owner, kind="stable")
        place = np.empty(self.n, dtype=np.int64)
        place[order] = np.arange(self.n)
        matrix = coo_array((slope, (place[row], column)), shape=(self.n, int(self.first[-1]))).tocsr()
        cut = np.searchsorted(owner[order], np.arange(len(self.first)))
        return [
            (values[order[a:b]], matrix[a:b, c:d])
            for a, b, c, d in zip(cut[:-1], cut[1:], self.first[:-1], self.first[1:], strict=True)
        ]


def prior_of(voxels: Voxels, eta: np.ndarray) -> tuple[float, np.ndarray, Any]:
    """-log p of a block, its slope (u,) and its curvature (u, u), sparse."""
    n, h = len(voxels.pixel), voxels.n_hits
    log_charge = eta[:n] + np.log(voxels.per_MeV * voxels.survival)
    over = np.exp(log_charge[h:]) / voxels.mean
    shift, stretch = eta[n : n + h] / SHIFT, eta[n + h :] / STRETCH
    i, j = voxels.edges.T
    signs = np.tile([1.0 / SIDE, -1.0 / SIDE], len(i))
    of_pairs = (np.repeat(np.arange(len(i)), 2), voxels.edges.ravel())
    differences = coo_array((signs, of_pairs), shape=(len(i), n + 2 * h)).tocsr()
    uneven = (log_charge[i] - log_charge[j]) / SIDE
    value = np.sum(over - np.log(over)) + 0.5 * (shift @ shift + stretch @ stretch + uneven @ uneven)
    slope = differences.T @ uneven + np.concatenate((np.zeros(h), over - 1.0, shift / SHIFT, stretch / STRETCH))
    diagonal = np.concatenate((np.zeros(h), over, np.full(h, SHIFT**-2.0), np.full(h, STRETCH**-2.0)))
    return float(value), slope, differences.T @ differences + diags_array(diagonal)


def fit_voxels(
    likelihood: VoxelLikelihood, progress: Callable[[Iterable], Iterable] = lambda steps: steps
) -> list[FittedBlock]:
    """Minimise F of each block, from its hits' charges and places; each goes on, or not, for itself."""
    blocks = likelihood.blocks
    eta = [one.start for one in blocks]
    here = likelihood.at(eta, range(len(blocks)))
    damp = np.full(len(blocks), DAMPING)
    left = np.array([one.decrement for one in here])
    for _ in progress(range(ITERATIONS)):
        active = np.flatnonzero((left > DECREMENT) & (damp < HIGHEST)).tolist()
        if not active:
            break
        steps = [step_of(blocks[k].voxels, here[k], damp[k]) for k in active]
        trials = likelihood.at([eta[k] + step for k, step in zip(active, steps, strict=True)], active)
        for k, step, found in zip(active, steps, trials, strict=True):
            foreseen = -float(step @ (here[k].gradient + 0.5 * (here[k].information @ step)))
            gain = here[k].value - found.value
            damp[k] = damped(damp[k], gain, foreseen)
            if gain >= -NOISE:
                eta[k], here[k], left[k] = eta[k] + step, found, found.decrement
    return [FittedBlock(one.voxels, *found) for one, found in zip(blocks, zip(eta, here, strict=True), strict=True)]


def step_of(voxels: Voxels, near: Near, damping: float) -> np.ndarray:
    """The damped step of Gauss-Newton (u,), where no number goes further than a linear model may be believed."""
    n, h = len(voxels.pixel), voxels.n_hits
    metric = np.concatenate((np.ones(n), np.full(h, SHIFT**-2.0), np.full(h, STRETCH**-2.0)))
    reach = np.concatenate((np.full(n, REACH_LOG), np.full(h, REACH), np.full(h, REACH_LOG)))
    step = splu(csc_array(near.information + diags_array(damping * metric))).solve(-near.gradient)
    return np.clip(step, -reach, reach)

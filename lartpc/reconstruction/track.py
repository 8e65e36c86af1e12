"""A charged particle's track as a few numbers with priors, from where it stops backwards.

Unknowns eta of a track of n steps, 6 + 3 n in this order:

    x, y, z   where it stops or leaves [cm], simulation frame (z drift)
    A_0, B_0  slopes of its last direction in the frame (ref, u, v)
    L         length [cm]
    t0        time [us]
    rho       residual range where it stops or leaves [cm]
    alpha     kinks (n - 1, 2) at the inner nodes, N(0, 1) each, in units of Highland's width kappa_j
    g         (n,) energy losses, see `energyloss`

    A_k = A_0 + sum_{j <= k} kappa_j alpha_j (B alike), d_k = (ref + A_k u + B_k v)/|...|  towards the start
    p_{k+1} = p_k + h_k d_k, h_k = L (f_{k+1} - f_k), s_k = L f_k
    mean_k = T(rho + s_{k+1}) - T(rho + s_k), T the energy of a residual range
    dE_k = mean_k exp(offset_k + width_k g_k - return_k sum_{i < k} (dE_i - mean_i)), see `energyloss`

A particle that turns by 90 degrees from ref cannot be described. What is frozen (kappa_j, f_k, widths of g) follows
from the length at which a track is made; `Track.renewed` takes them anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lartpc.generator.stopping import Particle, range_table
from lartpc.generator.transport import DENSITY, LONGEST_STEP, SHORTEST_STEP, STEP_OF_RANGE, scattering_width
from lartpc.reconstruction.energyloss import EnergyLoss
from lartpc.reconstruction.following import follow, slopes_of
from lartpc.reconstruction.layout import FIRST, LENGTH, RHO, SLOPES, TIME
from lartpc.reconstruction.polyline import at_fractions, frame_along, path_length, step_fractions

PARTS = (np.arange(8) + 0.5) / 8  # where inside a step the stopping power is taken
QUENCHED = 0.7  # recombination factor over that of no dE/dx, 1/(1 + k dE/dx), at 6 to 10 MeV/cm
POINT_SCALE, SLOPE_SCALE, TIME_SCALE, RHO_SCALE = 0.1, 0.3, 0.5, 0.3  # [cm], 1, [us], [cm]
# Where the particle goes on, unseen: to what an end is held, along x or y unless the track is along the drift, and a
# length [cm]. Along the drift a place goes with the velocity and the time, which such ends must not tell.
CUT, CUT_LENGTH, ALONG_DRIFT = 0.02, 0.3, 0.2


class Gaussian(NamedTuple):
    """A prior: centre and width in the unknown's unit. Infinite width: none; a tiny one holds the unknown; 0 (of a time
    alone): it is fixed, as others decide on it.
    """

    centre: float
    width: float


FREE = Gaussian(0.0, np.inf)
STOPPED = Gaussian(0.0, 1e-3)


class TrackSegments(NamedTuple):
    """Deposits of a track, from where it stops backwards; each runs as the particle does."""

    start: np.ndarray  # (n, 3) [cm]
    end: np.ndarray  # (n, 3) [cm]
    dE: np.ndarray  # (n,) [MeV]
    dEdx: np.ndarray  # (n,) [MeV/cm]
    t0: np.ndarray  # (n,) [us]


@dataclass(frozen=True, eq=False)
class Track:
    """What is fixed of a track; its functions take the unknowns eta (6 + 3 n,) of the module's docstring."""

    particle: Particle
    frame: np.ndarray  # (3, 3) rows ref, u, v
    fractions: np.ndarray  # (n + 1,) f_k
    length: float  # [cm] for which all that follows was taken
    kinks: np.ndarray  # (n - 1,) kappa_j
    loss: EnergyLoss
    concentration: np.ndarray  # (n,) 1 + 0.7 v_in
    t0: Gaussian
    rho: Gaussian
    density: float  # [g/cm3]
    longest: float  # [cm]
    held: tuple[tuple[int, Gaussian], ...] = ()  # priors of other unknowns, by their places

    @classmethod
    def along(
        cls,
        nodes,
        particle,
        *,
        fractions,
        frame,
        t0=FREE,
        rho=STOPPED,
        density=DENSITY,
        longest=LONGEST_STEP,
        held=(),
    ) -> Track:
        """The track with these nodes (n + 1, 3) [cm] at the fractions (n + 1,) of its length, and frame (3, 3).

        What is frozen is taken at the prior's centre of the residual range at its end.

        kappa_j^2 is the mean of Highland's theta_0^2 of the two steps at node j: scattering of half of each. A change
        of slope a turns by less than itself where the direction has a slope a already; by (1 + a^2)^(3/4), the
        geometric mean along and across, kappa_j is larger there.

        v_in is the variance of dE/dx inside a step of length h that the particle made in h/h_own of its own (0.1 of
        its residual range, 0.02 to 0.3 cm): v_in = (h/h_own - 1) width^2, as the variance of log dE of a shorter step
        is h/h_own times larger, and that of the whole step's is taken off. Charge is lost according to the dE/dx of
        each part, weighted with its dE: dE/dx (1 + v_in) to first order, of which Birks' law feels 1/(1 + k dE/dx),
        0.7.
        """
        length = path_length(nodes)[-1]
        end_range = max(rho.centre, 0.0)
        s = length * fractions
        step = np.diff(s)
        energy_of = range_table(particle.mass).kinetic_and_slope
        kinetic, power = energy_of((end_range + s) * density)
        middle, mean = (kinetic[1:] + kinetic[:-1]) / 2, np.diff(kinetic)
        _, within = energy_of((end_range + s[:-1] + PARTS[:, None] * step) * density)
        # What is lost too much inside a step makes the particle lose less in the rest of it.
        shrink = np.sqrt(np.mean((power[1:] / within) ** 2, axis=0))
        loss = EnergyLoss.of_steps(middle, particle.mass, step * density, mean, shrink, power[1:] / power[:-1])
        theta2 = scattering_width(middle, particle.mass, step * density) ** 2
        slope2 = np.sum(slopes_of(np.diff(nodes, axis=0), frame) ** 2, axis=1)
        kinks = np.sqrt((theta2[1:] + theta2[:-1]) / 2) * (1 + (slope2[1:] + slope2[:-1]) / 2) ** 0.75
        own = np.clip(STEP_OF_RANGE * (end_range + s[1:]), SHORTEST_STEP, LONGEST_STEP)
        inside = np.maximum(step / own - 1, 0) * loss.width**2
        inside = 1 + QUENCHED * inside
        return cls(particle, frame, fractions, length, kinks, loss, inside, t0, rho, density, longest, held)

    @classmethod
    def through(
        cls,
        points,
        particle: Particle,
        *,
        t0=FREE,
        rho=STOPPED,
        density=DENSITY,
        longest=LONGEST_STEP,
        accuracy=0.01,
        cut=(False, False),
        losses=None,
    ) -> tuple[Track, np.ndarray]:
        """A track along a curve, and its unknowns, of which g is 0 unless `losses` are known; see `follow` for how.

        Parameters
        ----------
        points: (m, 3) [cm] along the curve, from where the particle stops or leaves backwards. Its length counts:
            noise of the points would lengthen the track
        particle: `Particle`
        t0, rho: their priors [us], [cm]; the centres are the start values
        density: of the argon [g/cm3]
        longest: longest step [cm]
        accuracy: of the curve [cm], against which kinks are weighed
        cut: whether the particle goes on at the first and the last point, unseen, so that the track is held there
        losses: (m,) of energy near each point over the most probable one, from which g begins

        Raises ValueError where the curve has no length or comes back to where it began.
        """
        points = np.asarray(points, dtype=float)
        if len(points) < 2 or not np.linalg.norm(points[-1] - points[0]) > 0:
            raise ValueError(f"{len(points)} points: not a curve with two ends")
        fractions = step_fractions(path_length(points)[-1], rho.centre, longest)
        nodes, frame = at_fractions(points, fractions), frame_along(points[-1] - points[0])
        axis = int(np.argmax(np.abs(frame[0]) * (1.0, 1.0, ALONG_DRIFT)))
        length = float(path_length(nodes)[-1])
        ends = ((axis, Gaussian(float(nodes[0, axis]), CUT)), (LENGTH, Gaussian(length, CUT_LENGTH)))
        track = cls.along(
            nodes,
            particle,
            fractions=fractions,
            frame=frame,
            t0=t0,
            rho=rho,
            density=density,
            longest=longest,
            held=tuple(end for end, goes_on in zip(ends, cut, strict=True) if goes_on),
        )
        eta = track.follow(nodes, accuracy)
        if losses is not None:
            middle = track.length * (fractions[1:] + fractions[:-1]) / 2
            track.split(eta)[1][:] = np.log(np.interp(middle, path_length(points), losses)) / track.loss.width
        return track, eta

    @property
    def steps(self) -> int:
        """Their number n."""
        return len(self.fractions) - 1

    @property
    def size(self) -> int:
        """Number of unknowns, 6 + 3 n."""
        return 6 + 3 * self.steps

    def split(self, eta) -> tuple[np.ndarray, np.ndarray]:
        """alpha (n - 1, 2) and g (n,) of the unknowns."""
        ends = FIRST + 2 * (self.steps - 1)
        return eta[FIRST:ends].reshape(-1, 2), eta[ends:]

    def directions(self, eta) -> tuple[np.ndarray, np.ndarray]:
        """d_k (n, 3) of the steps, and their derivatives by A_k and B_k, (n, 3, 2)."""
        alpha, _ = self.split(eta)
        bends = np.concatenate([eta[None, SLOPES], self.kinks[:, None] * alpha])
        raw = self.frame[0] + np.cumsum(bends, axis=0) @ self.frame[1:]
        norm = np.linalg.norm(raw, axis=1, keepdims=True)
        d = raw / norm
        return d, (self.frame[1:].T - d[:, :, None] * (d @ self.frame[1:].T)[:, None, :]) / norm[:, :, None]

    def nodes(self, eta) -> np.ndarray:
        """Points p_k (n + 1, 3) [cm], from where it stops backwards."""
        d, _ = self.directions(eta)
        return eta[:3] + np.concatenate([np.zeros((1, 3)), np.cumsum(self.lengths(eta)[:, None] * d, axis=0)])

    def lengths(self, eta) -> np.ndarray:
        """h_k (n,) [cm]."""
        return eta[LENGTH] * np.diff(self.fractions)

    def mean_losses(self, eta) -> tuple[np.ndarray, np.ndarray]:
        """Mean energy losses of the steps (n,) [MeV], and their derivatives by L and rho (n, 2) [MeV/cm]."""
        ranges = (eta[RHO] + eta[LENGTH] * self.fractions) * self.density
        kinetic, slope = range_table(self.particle.mass).kinetic_and_slope(ranges)
        slopes = self.density * slope
        return np.diff(kinetic), np.stack([np.diff(slopes * self.fractions), np.diff(slopes)], axis=1)

    def segments(self, eta) -> TrackSegments:
        """Its deposits."""
        nodes, (mean, _), (_, g) = self.nodes(eta), self.mean_losses(eta), self.split(eta)
        deposit = self.loss.deposits(mean, g)
        dEdx = deposit / self.lengths(eta) * self.concentration
        return TrackSegments(nodes[1:], nodes[:-1], deposit, dEdx, np.full(self.steps, eta[TIME]))

    def nodes_jacobian(self, eta) -> np.ndarray:
        """Derivatives (n + 1, 3, 6 + 3 n) of the nodes by the unknowns."""
        d, by_slopes = self.directions(eta)
        h, n = self.lengths(eta), self.steps
        lever = np.concatenate([np.zeros((1, 3, 2)), np.cumsum(h[:, None, None] * by_slopes, axis=0)])
        jacobian = np.zeros((n + 1, 3, self.size))
        jacobian[:, np.arange(3), np.arange(3)] = 1
        jacobian[:, :, SLOPES] = lever
        jacobian[1:, :, LENGTH] = np.cumsum(np.diff(self.fractions)[:, None] * d, axis=0)
        # A kink at node j moves the nodes after it by what the steps from j on contribute.
        after = np.arange(n + 1)[:, None] > np.arange(1, n)
        bends = (lever[:, :, None] - lever[1:n].transpose(1, 0, 2)) * (after * self.kinks)[:, None, :, None]
        jacobian[:, :, FIRST : FIRST + 2 * (n - 1)] = bends.reshape(n + 1, 3, -1)
        return jacobian

    def jacobian(self, eta) -> np.ndarray:
        """Derivatives (n, 9, 6 + 3 n) of x, y, z of start and end, dE, dEdx and t0 of the segments by the unknowns."""
        n, points, deposits = self.steps, self.nodes_jacobian(eta), self.segments(eta)
        mean, by_range = self.mean_losses(eta)
        of_logarithm = self.loss.derivatives(mean, by_range, deposits.dE)
        jacobian = np.zeros((n, 9, self.size))
        jacobian[:, :3], jacobian[:, 3:6] = points[1:], points[:-1]
        unknowns = np.r_[LENGTH, RHO, self.size - n : self.size]
        jacobian[:, 6, unknowns] = jacobian[:, 7, unknowns] = of_logarithm
        jacobian[:, 7, LENGTH] -= 1 / eta[LENGTH]
        jacobian[:, 6] *= deposits.dE[:, None]
        jacobian[:, 7] *= deposits.dEdx[:, None]
        jacobian[:, 8, TIME] = 1
        return jacobian

    def prior(self, eta) -> tuple[float, np.ndarray, np.ndarray]:
        """-log of the unknowns' prior up to a constant, its gradient and its positive curvature, both (6 + 3 n,)."""
        alpha, g = self.split(eta)
        losses, gradient, curvature = self.loss(g), np.zeros(self.size), np.zeros(self.size)
        gradient[FIRST : self.size - self.steps], curvature[FIRST : self.size - self.steps] = alpha.ravel(), 1
        gradient[self.size - self.steps :], curvature[self.size - self.steps :] = losses[1:]
        value = np.sum(alpha**2) / 2 + np.sum(losses[0])
        for place, (centre, width) in ((TIME, self.t0), (RHO, self.rho), *self.held):
            if width == 0.0:
                continue
            off, curvature[place] = eta[place] - centre, 1 / width**2
            gradient[place] = off / width**2
            value += off**2 / width**2 / 2
        return float(value), gradient, curvature

    def metric(self) -> np.ndarray:
        """1/scale^2 (6 + 3 n,) of each unknown, for damping: 1 of those of scale 1; (0.1 cm)^-2 of points and L."""
        metric = np.ones(self.size)
        metric[:3] = metric[LENGTH] = POINT_SCALE**-2
        metric[SLOPES] = SLOPE_SCALE**-2
        for place, prior, scale in ((TIME, self.t0, TIME_SCALE), (RHO, self.rho, RHO_SCALE)):
            metric[place] = (prior.width if 0.0 < prior.width < np.inf else scale) ** -2
        return metric

    def follow(self, nodes, accuracy=0.01) -> np.ndarray:
        """Unknowns whose nodes come near to the given ones, (n + 1, 3) [cm]: `following.follow`."""
        return follow(self, nodes, accuracy)

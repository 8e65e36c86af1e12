"""The marginal of tracks whose residuals are curved: its slope has the mean 0 at the truth."""

from types import SimpleNamespace

import numpy as np
import pytest

from lartpc.reconstruction import marginal
from lartpc.reconstruction.joint import State
from lartpc.reconstruction.likelihood import Near

N, M, TRACKS = 8, 10, 4000


class Curved:
    """Tracks with residuals theta + A eta + bend (K eta)^2 - y of M data, and a prior of width 1 for N unknowns.

    Data see the first two unknowns alone.
    """

    times = None

    def __init__(self, bend):
        rng = np.random.default_rng(4)
        seen = np.arange(N) < 2
        self.bend, self.of_theta, self.of_eta = bend, np.ones((M, 1)), rng.normal(size=(M, N)) * seen
        self.of_squares = rng.normal(size=(M, N)) * seen
        true, noise = rng.normal(size=(TRACKS, N)), rng.normal(size=(TRACKS, M))
        self.data = true @ self.of_eta.T + bend * (true @ self.of_squares.T) ** 2 + noise

    def columns(self, track):
        return np.arange(1)

    def near(self, theta, eta, data):
        inner = self.of_squares @ eta
        residual = self.of_theta @ theta + self.of_eta @ eta + self.bend * inner**2 - data
        jacobian = self.of_eta + 2.0 * self.bend * inner[:, None] * self.of_squares
        return Near(
            value=0.5 * float(residual @ residual + eta @ eta),
            residual=residual,
            gradient=jacobian.T @ residual + eta,
            information=jacobian.T @ jacobian + np.eye(N),
            cross=jacobian.T @ self.of_theta,
            gradient_theta=self.of_theta.T @ residual,
            information_theta=self.of_theta.T @ self.of_theta,
            hits=M // 2,
            missed=0,
            jacobian=jacobian,
            jacobian_theta=self.of_theta,
        )

    def state(self, theta, etas):
        return State(theta, tuple(etas), tuple(map(self.near, [theta] * TRACKS, etas, self.data)))

    def fitted(self):
        """Where theta is the truth, 0, and the tracks are where F is minimal."""
        state = self.state(np.zeros(1), list(np.zeros((TRACKS, N))))
        for _ in range(8):
            steps = [-np.linalg.solve(near.information, near.gradient) for near in state.near]
            state = self.state(state.theta, [eta + step for eta, step in zip(state.eta, steps, strict=True)])
        return state

    def reduced(self, state):
        """The slope, information and what follows of theta of each track."""
        follow = [-np.linalg.solve(near.information, near.cross) for near in state.near]
        both = list(zip(state.near, follow, strict=True))
        slopes = np.array([near.gradient_theta + rows.T @ near.gradient for near, rows in both])
        information = sum(near.information_theta + near.cross.T @ rows for near, rows in both)
        return SimpleNamespace(
            slopes=slopes,
            follow=follow,
            directions=1.0 / np.sqrt(information),
            along=np.sqrt(information),
        )

    def following(self, state, reduced, step):
        return [eta + rows @ step for eta, rows in zip(state.eta, reduced.follow, strict=True)]


def pull(slopes):
    """Of the mean of slopes (n_tracks, 1)."""
    return float(slopes.mean() / slopes.std() * np.sqrt(len(slopes)))


def test_curved_residuals_do_not_bias():
    """Without `bent` the mean slope is many errors from 0."""
    fit = Curved(0.1)
    state = fit.fitted()
    reduced = fit.reduced(state)
    found = marginal.slopes(fit, state, reduced)
    assert abs(pull(reduced.slopes + found.by_theta - found.bent)) > 3.5
    assert abs(pull(reduced.slopes + found.by_theta)) < 2.0


def test_straight_residuals_have_nothing_to_bend():
    fit = Curved(0.0)
    state = fit.fitted()
    assert marginal.bent(fit, state) == pytest.approx(0.0, abs=1e-9)

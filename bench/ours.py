"""The project's own program on the loss of loss.py, and the step of a fit."""

import numpy as np
from loss import SCALE, loss_weights, windowed_pairs

from lartpc.arrays import to_numpy
from lartpc.autodiff.tape import Tape
from lartpc.fit import optimizers
from lartpc.fit.calibrate import SIX
from lartpc.fit.problem import Problem, Record
from lartpc.fit.unknowns import unknowns_of
from lartpc.kernels.runtime import slots
from lartpc.losses.objective import Objective
from lartpc.losses.target import TargetHits
from lartpc.parameters import TABLE, Parameters
from lartpc.response.windows import Windows
from lartpc.simulation.simulation import Simulation

TRUTH = {"Ab": 0.82, "kb": 0.055, "eField": 0.495, "lifetime": 1800.0, "long_diff": 4.5e-6, "tran_diff": 9.5e-6}
SLOTS = [slots.PARAMETERS.index(name) for name in SIX]


class Ours:
    """Value and gradient on batches of a `Simulation`, as `dense_physics.Program` has them."""

    def __init__(self, simulation, batches):
        self.simulation, self.batches = simulation, batches
        self.parameters = simulation.vector()
        self.weights = [self.weigh(batch) for batch in batches]

    def weigh(self, batch):
        _, _, windows = windowed_pairs(self.simulation, batch)
        windows = Windows(*map(to_numpy, windows))
        return self.simulation.xp.asarray(loss_weights(windows, self.simulation.detector, self.simulation.dtype))

    def forward(self):
        """Waveforms of all batches."""
        for batch in self.batches:
            self.simulation.waveforms(batch, self.parameters)
        self.wait()

    def value_and_gradient(self):
        """The loss and its gradient by the six fit parameters (the pass back goes on to the segments)."""
        value, gradient = 0.0, np.zeros(len(SIX))
        for batch, weights in zip(self.batches, self.weights, strict=True):
            tape = Tape()
            current = self.simulation.waveforms(batch, self.parameters, tape.launch).current
            by_current = current * weights.dtype.type(1.0 / SCALE**2)
            by_current += weights
            dot = self.simulation.xp.einsum
            value += 0.5 * float(dot("i,i", current, weights) + dot("i,i", current, by_current))
            tape.backward([(current, by_current)])
            gradient += to_numpy(tape.gradient(self.parameters))[SLOTS]
        return value, gradient

    def wait(self):
        """Until the device is done."""
        if self.simulation.device == "cuda":
            self.simulation.xp.cuda.Device().synchronize()


def fit_steps(simulation, segments, batches):
    """One step of a fit by each loss, as functions to call: loss, derivatives and the optimizer's step."""
    noisy = Simulation(parameters=Parameters(**TRUTH), noise=True, device=simulation.device)
    target = TargetHits(noisy(segments).hits, simulation.detector)
    start = np.array([TABLE[name].nominal for name in SIX])

    def problem(loss):
        objective = Objective(loss, simulation, batches, target, unknowns_of(simulation, SIX))
        return Problem(objective, Record([], lambda evaluation: None))

    def likelihood():
        one = problem("likelihood")
        optimizers.newton_step(one, one(start))

    return {"likelihood": likelihood, "soft-dtw": lambda: optimizers.l_bfgs_b(problem("soft-dtw"), start, 1)}

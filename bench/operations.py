"""Arithmetic that the result needs: operations of the kernels' sums, counted from the arguments of their launches.

For each pair: its moments, a Gaussian and a recurrence of polynomials at each node; the products of moments and tables;
the products of coefficients and shares in time. For each window: the products of charges and waveforms, and the
exponentials that follow them back. What is done once for a step is not counted. A multiply-add counts as two.
"""

import numpy as np

from lartpc.autodiff.tape import Tape

NODE = 22 + 10  # an exponential, by polynomial, and its argument
NODE_ADJOINT = NODE + 20


def operations(simulation, batch):
    """Operations of the forward pass, and of value and gradient, whose pass back evaluates the nodes again."""
    tape = Tape()
    waveforms = simulation.waveforms(batch, simulation.vector(), tape.launch)
    launched = {launch.kernel.name: launch.arguments for launch in tape.launches}
    induce, deposit, convolve = (launched[name] for name in ("induce", "deposit", "convolve"))
    table = induce["step_table"][induce["pair_step"]]
    degree, rank = induce["degree"][table].astype(float), induce["rank"][table].astype(float)
    nodes = node_numbers(simulation, waveforms)
    sites = deposit["sites_t"][induce["pair_step"]].astype(float)

    train = convolve["train_table"]
    n, r = convolve["per_tick"][train].astype(float), convolve["rank"][train].astype(float)
    lags = (convolve["last_lag"] - convolve["first_lag"] + 1)[train]
    used = charged(convolve)
    poles = len(convolve["decay"])
    of_sites = float(np.sum(used * r * 2.0 * (lags / n + poles)))
    of_ticks = 3.0 * poles * len(waveforms.current)

    forward = np.sum(nodes * (NODE + 4.0 * degree) + 2.0 * degree**2 * rank + 2.0 * sites * rank)
    back = np.sum(nodes * (NODE_ADJOINT + 12.0 * degree) + 4.0 * degree**2 * rank + 4.0 * sites * rank)
    forward, back = float(forward) + of_sites + of_ticks, float(back) + of_sites + of_ticks
    return {"forward": forward, "gradient": forward + back}


def node_numbers(simulation, waveforms):
    """About how many nodes each pair has, along both axes: those of the part of its charge that lies on its pixel."""
    steps, pairs, settings = waveforms.steps, waveforms.pairs, simulation.settings
    step = pairs.step
    pitch = simulation.detector.pitch[steps.tpc[step]]
    half_width = settings.width * steps.sigma_T[step]
    total = np.zeros(len(step))
    for column, position in ((pairs.x - steps.column[step], steps.x), (pairs.y - steps.row[step], steps.y)):
        low, middle, high = (0.5 * pitch * (2 * column + k) - position[step] for k in range(3))
        for edges in ((low, middle), (middle, high)):
            part = np.minimum(edges[1], half_width) - np.maximum(edges[0], -half_width)
            fraction = np.maximum(part, 0.0) / (2.0 * half_width)
            total += np.where(part > 0.0, np.ceil(fraction * settings.nodes + 1.5), 0.0)
    return total


def charged(convolve):
    """Sites of each train with charge."""
    rank = convolve["rank"][convolve["train_table"]]
    values = np.split(convolve["source"], convolve["train_source"][1:-1])
    return np.array([np.count_nonzero(v.reshape(-1, n).any(axis=1)) for v, n in zip(values, rank, strict=True)])

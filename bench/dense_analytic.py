"""The best dense baseline of the same deterministic physics, in JAX: batched, padded, jitted, exact Gaussians.

Steps and pairs of step and pixel are those of the project. Currents are those of the direct formulation, exponentially
modified Gaussians at quadrature nodes of each pair (dense_rules.py); they agree with the project's within the accuracy
of both (dense_check.py). Pairs are sorted into classes by the number of their nodes, each padded to one
shape, and go in chunks that stay in the processor's cache; a scan sums the current over nodes, with pairs along the
fastest axis (what XLA vectorises best). A pair's ticks are padded to one window: before its first edge the fast
exponential and a polynomial for the slow one, then both exponentially modified Gaussians, whose derivative is given in
closed form; all else is left to JAX. The reverse pass recomputes chunks. Every device has its share of the pairs;
worker.py makes a device of each processor core.

The lists of pairs (dense_lists.py) are no part of the time.
"""

import math

import jax
import jax.numpy as jnp
from dense_lists import NODES, class_columns, filled, make_lists, sample_columns, shapes
from dense_physics import Program, birks, drift, response
from dense_rules import LOOKBACK, RATE_HALF, RATE_MIDDLE, WIDTH, decay_table
from jax.scipy.special import ndtr
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

ROWS = jax.lax.ScatterDimensionNumbers((1,), (), (0,))  # rows of samples added from given places on
ERFCX = (1.2769783913176496, -0.09276308204826599, -0.16603109565094873, 0.1640358396073588, -0.05421195449844882)
ERFCX += (-0.007942721699062254, 0.008689159658194386, 0.00104314458162079, -0.0013957069461305214)
ERFCX += (-0.00018365443731275987, 0.00016080358172579037)


def erfcx(x):
    """exp(x^2) erfc(x) for x >= 0, to 4e-7: a polynomial in (x - 2)/(x + 2), divided by 1 + 2x."""
    inverse = 1.0 / ((x + 2.0) * (1.0 + 2.0 * x))
    t = 1.0 - 4.0 * (1.0 + 2.0 * x) * inverse
    p = 0.0
    for c in reversed(ERFCX):
        p = p * t + c
    return p * (x + 2.0) * inverse


@jax.custom_jvp
def edge(w, rate, sigma):
    """exp(w rate + (sigma rate)^2/2) erfc(y)/2, y = (w/sigma + sigma rate)/sqrt(2); overflows on neither side."""
    z = w / sigma
    y = (z + sigma * rate) * 0.7071067811865476
    tail = 0.5 * jnp.exp(-0.5 * z * z) * erfcx(jnp.abs(y))
    whole = jnp.exp(jnp.minimum((w + 0.5 * sigma * sigma * rate) * rate, 0.0))
    return jnp.where(y < 0.0, whole - tail, tail)


@edge.defjvp
def edge_derivative(primals, tangents):
    w, rate, sigma = primals
    f = edge(w, rate, sigma)
    g = jnp.exp(-0.5 * (w / sigma) ** 2) * (0.3989422804014327 / sigma)
    by_w = rate * f - g
    by_rate = (w + sigma * sigma * rate) * f - sigma * sigma * g
    by_sigma = sigma * rate * by_w + w * g / sigma
    return f, by_w * tangents[0] + by_rate * tangents[1] + by_sigma * tangents[2]


def axis_nodes(edges, g, omega, upper, sigma, width):
    """Distance from the pixel's centre [cm] and fraction of charge of the nodes of one axis, both (nodes, pairs)."""
    low, high = jnp.maximum(edges[:2], -width * sigma), jnp.minimum(edges[1:], width * sigma)
    mass = (ndtr(high / sigma) - ndtr(low / sigma)) / math.erf(width * 0.5**0.5)
    low, high, mass = (jnp.where(upper, a[1], a[0]) for a in (low, high, mass))
    xi = 0.5 * (low + high) + 0.5 * (high - low) * g
    weight = omega * jnp.exp(-0.5 * (xi / sigma) ** 2)
    total = jnp.where(upper, *(jnp.sum(jnp.where(half, weight, 0.0), axis=0) for half in (upper, ~upper)))
    return jnp.where(omega > 0.0, jnp.abs(xi - edges[1]), 0.0), mass * weight / jnp.where(total > 0.0, total, 1.0)


def chunk_rows(values, pairs, shape, decay, tick, width):
    """Currents of a chunk of pairs from `lookback` ticks before their first edges on (pairs, lookback + near); charges.

    values (4, n_steps): charge [e], arrival [us], sigma_t [us], sigma_T [cm]; decay (moments, lookback).
    """
    charge, arrival, sigma, sigma_T = values[:, pairs["step"]]
    x, share_x = axis_nodes(*(pairs[f"{name}_x"] for name in NODES), sigma_T, width)
    y, share_y = axis_nodes(*(pairs[f"{name}_y"] for name in NODES), sigma_T, width)
    flat = (-1, shape.chunk)
    Q = (charge * share_x[:, None] * share_y[None]).reshape(flat)
    a, b, c, s = (value.reshape(flat) for value in response(x[:, None], y[None]))
    w = pairs["begin"] - arrival - s
    rate, slow_rate = 1.0 / b, 1.0 / c
    scale, slow_scale = Q * a * rate, Q * (1.0 - a) * slow_rate
    lookback = decay.shape[1]
    far = min(shape.far, lookback)
    later = tick * jnp.arange(shape.near, dtype=w.dtype)[:, None]
    earlier = tick * jnp.arange(-far, 0, dtype=w.dtype)[:, None]

    def add(sums, node):
        w, rate, scale, slow_rate, slow_scale = node
        t = w + later
        edges = scale * edge(t, rate, sigma) + slow_scale * edge(t, slow_rate, sigma)
        before = scale * jnp.exp((w + 0.5 * sigma * sigma * rate + earlier) * rate)
        return (sums[0] + edges, sums[1] + before), None

    sums = tuple(jnp.zeros_like(w[:1] + ticks) for ticks in (later, earlier))
    (edges, before), _ = jax.lax.scan(jax.checkpoint(add), sums, (w, rate, scale, slow_rate, slow_scale))
    edges = jnp.where(jnp.arange(shape.near)[:, None] < pairs["near"], edges, 0.0)
    u = (slow_rate - RATE_MIDDLE) * (1.0 / RATE_HALF)
    slow = slow_scale * jnp.exp((w + 0.5 * sigma * sigma * slow_rate) * slow_rate)
    moments = jnp.stack([jnp.sum(slow * u**m, axis=0) for m in range(decay.shape[0])])
    tail = (decay.T @ moments)[::-1] + jnp.pad(before, ((lookback - far, 0), (0, 0)))
    return jnp.concatenate((tail, edges)).T, jnp.sum(Q, axis=0)


def program(simulation, batches):
    """`Program` of batches of a `Simulation` with nominal parameters, in its precision."""
    detector, dtype = simulation.detector, simulation.dtype
    lists = [make_lists(simulation, batch) for batch in batches]
    n_steps = max(len(one.steps["time"]) for one in lists)
    n_samples = max(int(one.windows.first[-1]) for one in lists)
    n_windows = max(len(one.windows.tick) for one in lists)
    lookback, tick = round(LOOKBACK / detector.tick), detector.tick
    decay = jnp.asarray(decay_table(lookback + 1, tick, dtype)[:, 1:])
    mesh = jax.make_mesh((len(jax.devices()),), ("share",))
    kinds = shapes(lists, mesh.size)

    def share(parameters, steps, classes):
        """What this device's pairs add to the currents and to the windows' charges."""
        time, survival, sigma_T, sigma_t = drift(parameters, steps["distance"], detector.drift_start)
        charge = steps["quenched"] * birks(parameters, steps["dEdx"]) * survival
        values = jnp.stack((charge, steps["time"] + time, sigma_t, sigma_T))
        samples, charges = jnp.zeros(n_samples + lookback + 512, dtype), jnp.zeros(n_windows, dtype)
        for kind, pairs in zip(kinds, classes, strict=True):
            rows = jax.checkpoint(lambda chunk, kind=kind: chunk_rows(values, chunk, kind, decay, tick, WIDTH))
            current, charge = jax.lax.map(rows, pairs)
            current = current.reshape(-1, current.shape[-1])
            samples = jax.lax.scatter_add(samples, pairs["start"].reshape(-1, 1), current, ROWS, mode="clip")
            charges = charges.at[pairs["window"].ravel()].add(charge.ravel())
        return jax.lax.psum((samples[:n_samples], charges), "share")

    split = jax.shard_map(share, mesh=mesh, in_specs=(P(), P(), P("share")), out_specs=P())

    def current(parameters, data):
        """Currents [e/us] at the samples of the windows, each window scaled to its charge."""
        samples, charges = split(parameters, data["steps"], data["classes"])
        window = data["sample_window"]
        sums = jax.ops.segment_sum(samples, window, n_windows + 1, indices_are_sorted=True)[:-1] * tick
        factor = jnp.where(sums > 1e-20, charges / jnp.where(sums > 1e-20, sums, 1.0), 1.0)
        return samples * jnp.append(factor, 0.0)[window]

    def place(one):
        steps = {name: filled(column.astype(dtype), n_steps) for name, column in one.steps.items()}
        data = {"steps": steps, **sample_columns(one.windows, detector, n_samples, n_windows, dtype)}
        data = jax.device_put(data, NamedSharding(mesh, P()))
        classes = [class_columns(one.pairs, kind, dtype) for kind in kinds]
        return data | {"classes": jax.device_put(classes, NamedSharding(mesh, P("share")))}

    return Program(current, [place(one) for one in lists])

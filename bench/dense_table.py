"""A table of responses in JAX in the form of larnd-sim-jax: rows of the table gathered, summed by segments.

A point's charge is shared over 5 x 5 bins by its diffusion; for each of the pixels around it the rows of the table in
these bins are gathered and summed; diffusion along the drift and the place between ticks are a sum over
shifts; the last ticks of the table count, and what comes before is in the first of them, as there; then rows are added
to the samples of their pixels. Kinder than larnd-sim-jax: points are given beforehand, with their bins and pixels, no
table has to be kept for each spread, and rows are made anew in the pass back.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from dense_physics import birks, drift, vector
from jax.scipy.special import ndtr
from table_points import averaged, begins, velocity

BINS = 5  # over which charge is shared along each axis
LENGTH = 150  # ticks
CHUNK = 8  # points
ROWS = jax.lax.ScatterDimensionNumbers((1,), (), (0,))  # rows of samples added from given places on


@jax.custom_vjp
def gathered(table, x, y, shares):
    """Sums (n, pixels, pixels, lags) of a table's rows in bins x and y (n, pixels, BINS) by shares (n, BINS, BINS)."""
    rows = 0.0
    for a in range(BINS):
        for b in range(BINS):
            rows += shares[:, a, b, None, None, None] * table[x[:, :, None, a], y[:, None, :, b]]
    return jax.lax.optimization_barrier(rows)


def gathered_forward(table, x, y, shares):
    return gathered(table, x, y, shares), (table, x, y)


def gathered_back(saved, by_rows):
    """As products of vectors of what is gathered, one bin after the other: as XLA has it, it takes far longer."""
    table, x, y = saved

    def of_bin(k):
        found = table[x[:, :, None, k // BINS], y[:, None, :, k % BINS]].reshape(len(x), 1, -1)
        return jax.lax.batch_matmul(jax.lax.optimization_barrier(found), by_rows.reshape(len(x), -1, 1))[:, 0, 0]

    return None, None, None, jax.lax.map(of_bin, jnp.arange(BINS**2)).T.reshape(-1, BINS, BINS)


gathered.defvjp(gathered_forward, gathered_back)


def windows(per_tick, taps):
    """Of each weight, the samples of a row that it takes."""
    last = (LENGTH - 1) * per_tick + 1
    return [slice(taps - 1 - k, taps - 1 - k + last, per_tick) for k in range(taps)]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def shifted(per_tick, weights, rows):
    """Rows (n, ...) at ticks, each the sum over k of its weights[:, k] times what is k samples earlier."""
    out = 0.0
    for k, window in enumerate(windows(per_tick, weights.shape[1])):
        out += weights[:, k, None, None, None] * rows[..., window]
    return out


def shifted_forward(per_tick, weights, rows):
    return shifted(per_tick, weights, rows), (weights, rows)


def shifted_back(per_tick, saved, by_out):
    """Sums over what each takes; as XLA transposes the slices, it takes some ten times as long."""
    weights, rows = jax.lax.optimization_barrier(saved)
    taps = weights.shape[1]
    last = (LENGTH - 1) * per_tick + 1
    flat = by_out.reshape(len(rows), -1, 1)

    def by_weight(k):
        part = jax.lax.dynamic_slice_in_dim(rows, taps - 1 - k, last, 3)[..., ::per_tick]
        return jax.lax.batch_matmul(jax.lax.optimization_barrier(part.reshape(len(rows), 1, -1)), flat)[:, 0, 0]

    wide = jnp.zeros((*by_out.shape[:-1], rows.shape[-1] + taps - 1), by_out.dtype)
    wide = jax.lax.optimization_barrier(wide.at[..., windows(per_tick, taps)[0]].set(by_out))
    by_rows = sum(weights[:, k, None, None, None] * wide[..., k : k + rows.shape[-1]] for k in range(taps))
    return jax.lax.map(by_weight, jnp.arange(taps)).T, jax.lax.optimization_barrier(by_rows)


shifted.defvjp(shifted_forward, shifted_back)


class DenseTable:
    """Waveforms of points under one table, and the loss sum(I^2)/2 with its gradient by the six fit parameters."""

    def __init__(self, response, detector, parameters, points, arrived, neighbours, dtype=np.float32):
        self.detector, self.dtype = detector, dtype
        table, early, self.per_tick = averaged(response, detector.tick)
        table = table[..., : int(np.flatnonzero(np.abs(table).max(axis=(0, 1)))[-1]) + 1]
        h, bins = response.time_tick, round(float(detector.pitch[points.tpc[0]]) / response.bin_size)
        begin = begins(arrived, response, detector.drift_start, velocity(parameters)) / h
        half = np.ceil(4.5 * arrived.sigma_t.max() / h) + 2.0
        first = (np.floor((begin - half) / self.per_tick) * self.per_tick).astype(np.int64)
        self.taps = int(2 * half + 1 + self.per_tick)
        # Out of tick t are sites first + k, at lags per_tick (tick + t) - first - k + early of the averaged table.
        last = table.shape[2] - 1 + self.taps - early
        offset = -(-last // self.per_tick) - LENGTH + 1
        self.tick = first // self.per_tick + offset
        low = self.per_tick * offset + early - self.taps + 1
        lags = low + np.arange((LENGTH - 1) * self.per_tick + self.taps)
        rows = np.where((lags >= 0) & (lags < table.shape[2]), table[..., lags.clip(0, table.shape[2] - 1)], 0.0)
        rows = np.concatenate((rows, table.sum(axis=2, keepdims=True) * h / detector.tick), axis=2)
        self.rows = jnp.asarray(np.pad(rows, ((0, 1), (0, 1), (0, 0))).astype(dtype))
        self.count = len(points.x)
        self._lists(points, arrived, begin - first, neighbours, bins, response, h)
        self.jitted = jax.jit(self._current)
        self.of_loss = jax.jit(jax.value_and_grad(lambda p, data: 0.5 * jnp.sum(self._current(p, data) ** 2)))
        self.parameters = jnp.asarray(vector(parameters, dtype))

    def _lists(self, points, arrived, site, neighbours, bins, response, h):
        """What does not depend on parameters: bins, pixels, and where their samples are."""
        d, n = self.detector, self.count
        padded = -(-n // CHUNK) * CHUNK
        around = np.arange(-neighbours, neighbours + 1)
        data, number = {}, {}
        for axis, low in (("x", d.x_lo), ("y", d.y_lo)):
            at = (getattr(points, axis) - low[points.tpc]) / response.bin_size
            bin = np.floor(at).astype(np.int64)[:, None] + np.arange(BINS + 1) - BINS // 2
            data[f"edge_{axis}"] = (bin - at[:, None]) * response.bin_size
            number[axis] = (np.floor(at / bins).astype(np.int64))[:, None] + around
            offset = bin[:, None, :-1] - number[axis][..., None] * bins - bins // 2
            fold = np.where(offset >= 0, offset, -1 - offset)
            data[f"bin_{axis}"] = np.minimum(fold, self.rows.shape[0] - 1).astype(np.int32)
        x, y = number["x"][:, :, None], number["y"][:, None, :]
        inside = (x >= 0) & (x < d.n_x[points.tpc][:, None, None]) & (y >= 0) & (y < d.n_y[points.tpc][:, None, None])
        pixel = d.first_pixel[points.tpc][:, None, None] + x + d.n_x[points.tpc][:, None, None] * y
        event = np.broadcast_to(points.event[:, None, None], pixel.shape)
        tick = np.broadcast_to(self.tick[:, None, None], pixel.shape)
        keys, which = np.unique(np.stack((event[inside], pixel[inside]), -1), axis=0, return_inverse=True)
        low, high = np.full(len(keys), np.iinfo(np.int64).max), np.full(len(keys), np.iinfo(np.int64).min)
        np.minimum.at(low, which, tick[inside])
        np.maximum.at(high, which, tick[inside] + LENGTH)
        begin = np.r_[0, np.cumsum(high - low)]
        self.event, self.pixel, self.start, self.begin = *keys.T, low, begin
        self.samples = int(begin[-1])
        to = np.full(pixel.shape, self.samples)  # dropped
        to[inside] = begin[which] + tick[inside] - low[which]
        data |= {"to": to.astype(np.int32), "site": site, "distance": points.distance, "dEdx": points.dEdx}
        data |= {"electrons": points.dE, "nominal": arrived.time - points.time}
        kinds = {name: value if value.dtype == np.int32 else value.astype(self.dtype) for name, value in data.items()}
        kinds = {k: np.pad(v, ((0, padded - n), *((0, 0),) * (v.ndim - 1)), mode="edge") for k, v in kinds.items()}
        kinds["to"][n:], kinds["electrons"][n:] = self.samples, 0.0
        self.data = {name: jnp.asarray(v.reshape(-1, CHUNK, *v.shape[1:])) for name, v in kinds.items()}
        self.h = h

    def _chunk(self, parameters, data):
        """Currents of a chunk's points on the pixels around them (CHUNK, 2n + 1, 2n + 1, LENGTH)."""
        time, survival, sigma_T, sigma_t = drift(parameters, data["distance"], self.detector.drift_start)
        charge = (
            data["electrons"] * self.detector.parameters.MeVToElectrons * birks(parameters, data["dEdx"]) * survival
        )
        share = []
        for axis in "xy":
            mass = jnp.diff(ndtr(data[f"edge_{axis}"] / sigma_T[:, None]), axis=1)
            share.append(mass / jnp.sum(mass, axis=1, keepdims=True))
        shares = charge[:, None, None] * share[0][:, :, None] * share[1][:, None, :]
        rows = gathered(self.rows, data["bin_x"], data["bin_y"], shares)
        site = data["site"] + (time - data["nominal"]) / self.h
        u = jnp.arange(-1, self.taps + 1) - site[:, None]
        z = u * (self.h / sigma_t)[:, None]
        ramp = u * ndtr(z) + (sigma_t / self.h)[:, None] * jnp.exp(-0.5 * z * z) * 0.3989422804014327
        weights = jnp.diff(ramp, n=2, axis=1)
        out = shifted(self.per_tick, weights, rows[..., :-1])
        return out.at[..., 0].set(rows[..., -1] - jnp.sum(out[..., 1:], axis=-1))

    def _current(self, parameters, data):
        rows = jax.lax.map(jax.checkpoint(functools.partial(self._chunk, parameters)), data)
        places, samples = data["to"].reshape(-1, 1), jnp.zeros(self.samples + LENGTH, self.dtype)
        return jax.lax.scatter_add(samples, places, rows.reshape(-1, LENGTH), ROWS, mode="clip")[: self.samples]

    def forward(self):
        """Currents of all windows [e/us]: those of event, pixel i from begin[i] on, at ticks from start[i] on."""
        return np.asarray(self.jitted(self.parameters, self.data))

    def value_and_gradient(self):
        value, gradient = self.of_loss(self.parameters, self.data)
        return float(value), np.asarray(gradient)

"""The published dense baseline, in JAX: segments x pixels x ticks x sample points, jitted and checkpointed.

Source: Gasiorowski et al., Differentiable Simulation of a Liquid Argon Time Projection Chamber, sections II and II C.
Lifetime and diffusion are those of a segment's middle. Around the part of its line near a pixel (up to the larger of
the pixel's diagonal and 10 sqrt(2) sigma_T) the charge is sampled on N_x = N_y = 30 by N_T0 (eq. 10) points that reach
4 standard deviations further. Each point of charge that lies within the pixel adds to each of the N_Tf ticks (eq. 11)
the response a E(t - t0 - s; b) + (1 - a) E(t - t0 - s; c), where the step of the exponential E is a sigmoid, k = 100.
Segments x pixels are taken one after the other and recomputed in the reverse pass.

Kinder than the publication: a segment has only the pixels that its charge reaches; segments are sorted by N_T0, so that
few are padded to the largest; and the derivative holds the sample points where they are, without which that by
tran_diff is wrong.
"""

import jax
import jax.numpy as jnp
import numpy as np
from dense_lists import sample_columns
from dense_physics import NOMINAL, Program, birks, drift, response, vector, velocity
from jax.scipy.special import erf
from loss import windowed_pairs

from lartpc.kernels.charge.split import clip

POINTS = 30  # N_x, N_y and least N_T0
SAMPLING = 0.1  # T_sampling: of time [us], and of 4/T_sampling points a cm along the drift
PADDING = 5.0  # T_padding [us]
STEEPEST = 0.966  # |cos phi| of the publication's cut; above it a segment is sampled along its own length alone
SHARPNESS = 100.0  # k of the sigmoid
GROUPS = 4  # of segments with about the same N_T0
REACH = 4.0  # standard deviations


def truncated(y, scale):
    """exp(-y)/scale for y > 0, else 0, made smooth."""
    return jnp.exp(-jnp.maximum(y, -10.0)) * jax.nn.sigmoid(SHARPNESS * y) / scale


def pair_current(parameters, pair, points, depth, n_ticks, detector):
    """Current of one segment on one pixel at `n_ticks` ticks [e/us], (n_ticks,); points = N_x = N_y, depth = N_T0.

    pair: start, end (3,) x, y and distance from the anode [cm]; dE, dEdx, time (from pair["first"] ticks on); centre
    (2,) of the pixel; pitch.
    """
    start, line = pair["start"], pair["end"] - pair["start"]
    drift_start = detector.drift_start
    v = velocity(parameters)
    _, survival, sigma_T, sigma_t = drift(parameters, start[2] + 0.5 * line[2], drift_start)
    charge = pair["dE"] * NOMINAL.MeVToElectrons * birks(parameters, pair["dEdx"]) * survival
    sigma = jnp.stack((sigma_T, sigma_T, sigma_t * v))

    flat = jnp.maximum(line[0] ** 2 + line[1] ** 2, 1e-12)
    nearest = jnp.clip(jnp.dot(pair["centre"] - start[:2], line[:2]) / flat, 0.0, 1.0)
    off = start[:2] + nearest * line[:2] - pair["centre"]
    tolerance = 2.0 * jnp.maximum(50.0**0.5 * sigma_T, pair["pitch"] * 0.5**0.5)
    half = jnp.sqrt(jnp.maximum(tolerance**2 - jnp.dot(off, off), 1e-12) / flat)
    steep = line[2] ** 2 > STEEPEST**2 * (flat + line[2] ** 2)
    u = jnp.where(steep, jnp.array((0.0, 1.0), line.dtype), jnp.stack((nearest - half, nearest + half)))
    low, high = (f(start + u[0] * line, start + u[1] * line) for f in (jnp.minimum, jnp.maximum))
    low, high = jax.lax.stop_gradient((low - REACH * sigma, high + REACH * sigma))
    counts = (points, points, depth)
    step = [(high[i] - low[i]) / (n - 1) for i, n in enumerate(counts)]
    x, y, z = (low[i] + step[i] * jnp.arange(n) for i, n in enumerate(counts))

    # The Gaussian integrated along the segment: exp(B^2/2A - C/2) sqrt(2 pi/A) [erf]/2.
    A = jnp.maximum(jnp.sum((line / sigma) ** 2), 1e-6)
    B, C = 0.0, 0.0
    for i, at in enumerate((x[:, None, None], y[:, None], z)):
        B += (at - start[i]) * line[i] / sigma[i] ** 2
        C += ((at - start[i]) / sigma[i]) ** 2
    root = jnp.sqrt(2.0 * A)
    integral = jnp.exp(0.5 * (B * B / A - C)) * (erf((A - B) / root) + erf(B / root)) * jnp.sqrt(0.5 * jnp.pi / A)
    density = charge * integral / ((2.0 * jnp.pi) ** 1.5 * sigma[0] * sigma[1] * sigma[2])
    x, y = (jnp.abs(at - pair["centre"][i]) for i, at in enumerate((x, y)))
    inside = (x < 0.5 * pair["pitch"])[:, None] & (y < 0.5 * pair["pitch"])
    Q = jnp.where(inside[..., None], density * step[0] * step[1] * step[2], 0.0)

    a, b, c, s = (value[..., None] for value in response(x[:, None], y))
    t = detector.tick * (pair["first"] + jnp.arange(n_ticks))[:, None, None, None]
    before = pair["time"] + (z - drift_start) / v + s - t
    current = a * truncated(before / b, b) + (1.0 - a) * truncated(before / c, c)
    return jnp.sum(Q * current, axis=(1, 2, 3)) * pair["live"]


def pieces(simulation, batch):
    """Segments cut at the borders of the TPCs, as columns; x and y from the plane's corner, z from the anode [cm]."""
    rows = []
    tpcs = simulation.tables.tpcs.astype(np.float64)
    start, end = batch.start.astype(np.float64), batch.end.astype(np.float64)
    for i in range(len(start)):
        for tpc, (x_low, _, y_low, _, _, _, anode, direction, pitch) in enumerate(tpcs):
            u0, u1 = clip(start, end, i, tpcs, tpc)
            if u0 >= u1:
                continue
            ends = [start[i] + u * (end[i] - start[i]) - (x_low, y_low, anode) for u in (u0, u1)]
            ends = [np.array((x, y, direction * z)) for x, y, z in ends]
            rows.append((*ends, batch.dE[i] * (u1 - u0), batch.dEdx[i], batch.time[i], pitch, i, tpc))
    names = ("start", "end", "dE", "dEdx", "time", "pitch", "segment", "tpc")
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def depths(found, sigma_T, sigma_L, refine):
    """N_T0 of each segment by equation 10."""
    line = found["end"] - found["start"]
    length = np.maximum(np.linalg.norm(line, axis=1), 1e-9)
    sine = np.hypot(line[:, 0], line[:, 1]) / length
    steep = sine < (1.0 - STEEPEST**2) ** 0.5
    diagonal = np.maximum(2.0**0.5 * found["pitch"], 50.0**0.5 * sigma_T)
    along = np.where(steep, 0.5 * np.abs(line[:, 2]), diagonal / np.where(steep, 1.0, sine))
    return refine * np.maximum(POINTS, np.ceil((along + 4.0 * sigma_L) * 4.0 / SAMPLING)).astype(int)


def segment_pixels(start, end, sigma, pitch, n_x, n_y):
    """Columns and rows (pixels, 2) of the pixels that the charge of a segment reaches."""
    low = np.maximum(np.floor((np.minimum(start, end)[:2] - REACH * sigma) / pitch).astype(int), 0)
    high = np.minimum(np.floor((np.maximum(start, end)[:2] + REACH * sigma) / pitch).astype(int) + 1, (n_x, n_y))
    pixels = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), axis=-1).reshape(-1, 2)
    line = (end - start)[:2]
    from_start = (pixels + 0.5) * pitch - start[:2]
    u = np.clip(from_start @ line / max(line @ line, 1e-12), 0.0, 1.0)
    off = np.linalg.norm(from_start - u[:, None] * line, axis=1)
    return pixels[off < REACH * sigma + 0.5**0.5 * pitch]


def make_pairs(simulation, batch, refine):
    """Segments x pixels of a batch as columns, padded to the most pixels; N_T0; the number of ticks; the windows."""
    detector = simulation.detector
    found = pieces(simulation, batch)
    z = np.stack((found["start"][:, 2], found["end"][:, 2]))
    nominal = vector(NOMINAL, np.float64)
    v = float(velocity(nominal))
    _, _, sigma_T, sigma_t = (np.asarray(a, dtype=np.float64) for a in drift(nominal, z.mean(axis=0), 0.5))
    depth = depths(found, sigma_T, sigma_t * v, refine)
    arrival = (z.min(axis=0) - detector.drift_start) / v + found["time"]
    n_ticks = int((np.ptp(z, axis=0).max() + 0.5 + 2.0 * PADDING * v) / (SAMPLING * v)) + 1
    reached = [
        segment_pixels(*rows, detector.n_x[k], detector.n_y[k])
        for *rows, k in zip(found["start"], found["end"], sigma_T, found["pitch"], found["tpc"], strict=True)
    ]
    most = max(map(len, reached))
    pixels = np.stack([np.pad(one, ((0, most - len(one)), (0, 0)), mode="edge") for one in reached])
    columns = {name: found[name] for name in ("start", "end", "dE", "dEdx", "time", "pitch")}
    columns = {name: np.repeat(column[:, None], most, axis=1) for name, column in columns.items()}
    columns["live"] = (np.arange(most) < np.array([len(one) for one in reached])[:, None]).astype(np.float64)
    columns["centre"] = (pixels + 0.5) * found["pitch"][:, None, None]
    first = np.floor((arrival - PADDING) / SAMPLING).astype(int)
    columns["first"] = np.repeat(first[:, None], most, axis=1).astype(np.float64)
    _, _, windows = windowed_pairs(simulation, batch)
    number = detector.first_pixel[found["tpc"]][:, None] + pixels[..., 0]
    number += detector.n_x[found["tpc"]][:, None] * pixels[..., 1]
    tick = (batch.tick[found["segment"]] + first)[:, None, None] + np.arange(n_ticks)
    columns["sample"] = samples(windows, batch.event[found["segment"]][:, None], number, tick)
    return columns, depth, n_ticks, windows


def samples(windows, event, pixel, tick):
    """Where in the batch's samples an event's pixel has its ticks, (segments, pixels, ticks); the end for nowhere."""
    end = windows.first[-1]
    of_window = np.repeat(np.arange(len(windows.pixel)), np.diff(windows.of_pixel))
    where = {}
    for w, p in enumerate(of_window):
        where.setdefault((windows.event[p], windows.pixel[p]), []).append(w)
    result = np.full((*pixel.shape, tick.shape[-1]), end, dtype=np.int32)
    for i, j in np.ndindex(pixel.shape):
        for w in where.get((event[i, 0], pixel[i, j]), ()):
            at = tick[i, 0] - windows.tick[w] + windows.first[w]
            inside = (at >= windows.first[w]) & (at < windows.first[w + 1])
            result[i, j, inside] = at[inside]
    return result


def program(simulation, batches, refine=1):
    """`Program` of one batch of a `Simulation` with nominal parameters; `refine` times the points along each axis."""
    (batch,) = batches
    detector, dtype = simulation.detector, simulation.dtype
    columns, depth, n_ticks, windows = make_pairs(simulation, batch, refine)
    n_samples, n_windows = int(windows.first[-1]), len(windows.tick)
    groups = np.array_split(np.argsort(depth), min(GROUPS, len(depth)))
    sizes = [int(depth[group].max()) for group in groups]

    def current(parameters, data):
        """Currents [e/us] at the samples of the windows."""
        samples = jnp.zeros(n_samples, dtype)
        for pairs, size in zip(data["groups"], sizes, strict=True):
            one = lambda pair, size=size: pair_current(  # noqa: E731
                parameters, pair, refine * POINTS, size, n_ticks, detector
            )
            places = pairs["sample"]
            rows = jax.lax.map(jax.checkpoint(one), {name: c for name, c in pairs.items() if name != "sample"})
            samples = samples.at[places].add(rows, mode="drop")
        return samples

    def group_columns(group):
        most = int(columns["live"][group].sum(axis=1).max())
        found = {name: column[group][:, :most] for name, column in columns.items()}
        found = {name: column.reshape(-1, *column.shape[2:]) for name, column in found.items()}
        return {n: jnp.asarray(c if c.dtype.kind == "i" else c.astype(dtype)) for n, c in found.items()}

    data = {"groups": [group_columns(group) for group in groups]}
    elements = sum(len(g["dE"]) * size for g, size in zip(data["groups"], sizes, strict=True))
    tensor_MB = 2.0 * dtype.itemsize * elements * n_ticks * (refine * POINTS) ** 2 / 1e6
    return Program(current, [data | sample_columns(windows, detector, n_samples, n_windows, dtype)], tensor_MB)

"""Charges between measured hits, of which the likelihood is made."""

from typing import Any, NamedTuple

import numpy as np

from lartpc.arrays import namespace, to_numpy
from lartpc.autodiff.launch import plain
from lartpc.kernels.losses.likelihood import likelihood
from lartpc.kernels.losses.reset_odds import may_reset, reset_odds
from lartpc.kernels.losses.reset_path import reset_path


def make_charges(waveforms, target, detector, launch=plain):
    """Likelihood: charges between measured hits.

    before, during, rate, resume (n_pixels, max_hits) and after (n_pixels,), see `likelihood`.
    """
    xp, T = namespace(waveforms.current), waveforms.current.dtype.type
    windows = waveforms.windows
    before, during, rate, resume = (xp.zeros(target.fraction.shape, dtype=T) for _ in range(4))
    after = xp.zeros(len(windows.pixel), dtype=T)
    launch(
        likelihood,
        len(windows.pixel),
        waveform=waveforms.buffered,
        pixel_window=windows.of_pixel,
        window_first=windows.first,
        window_tick=windows.tick,
        target_count=target.count,
        target_tick=target.tick,
        target_fraction=target.fraction,
        tick=T(detector.tick),
        hold_ticks=detector.hold_ticks,
        reset_cycles=detector.reset_cycles,
        before=before,
        during=during,
        rate=rate,
        resume=resume,
        after=after,
    )
    return before, during, rate, resume, after


class Vetoes(NamedTuple):
    """What vetoed reads between measured hits mean for their probability, and that of silence after them."""

    lost: Any  # (n_pixels, max_hits) [e], of the charge before each hit
    excess: Any  # (n_pixels, max_hits): of -log of the probability of each hit
    log_silence: Any  # (n_pixels,): log of the probability that nothing comes after the last hit
    told: np.ndarray  # (n_pixels,) bool: False where nothing is said, and the others are 0


def make_vetoes(waveforms, target, threshold, detector, launch=plain):
    """`Vetoes`, see `reset_odds`; None where `may_reset` finds no pixel."""
    xp, T = namespace(threshold), threshold.dtype.type
    windows, n, shape = waveforms.windows, len(threshold), target.fraction.shape
    arguments = _arguments(waveforms, target, threshold, detector)
    pixel = _falling(arguments)
    if len(pixel) == 0:
        return None
    told = np.zeros(n, dtype=bool)
    told[pixel] = True
    of_pixel, first = to_numpy(windows.of_pixel), to_numpy(windows.first)
    window = np.flatnonzero(np.repeat(told, np.diff(of_pixel)))
    arrays = {
        "pixel": pixel,
        "sample": first[of_pixel[pixel]],
        "pixel_window": np.concatenate(([0], np.cumsum(np.diff(of_pixel)[pixel]))),
        "window_first": np.concatenate(([0], np.cumsum(np.diff(first)[window]))),
        "window_tick": to_numpy(windows.tick)[window],
    }
    arguments |= {name: xp.asarray(array) for name, array in arrays.items()}
    samples = int(arrays["window_first"][-1])
    work = {name: xp.empty(samples, dtype=T) for name in ("total", "weight", "pull", "slope")}
    vetoes = Vetoes(*(xp.zeros(s, dtype=T) for s in (shape, shape, n)), told)
    outputs = {name: getattr(vetoes, name) for name in reset_odds.outputs}
    launch(reset_odds, len(pixel), **arguments, **work, **outputs)
    return vetoes


def rest_of_vetoes(vetoes, left, deferred, used):
    """What `Vetoes`, or None, add to -log L but for squares: (left, of each pixel (n_pixels,) float64, and its seeds).

    left, deferred (n_pixels,) as `likelihood.left_of` gives them: left is infinite where all is said here of silence.
    used (n_pixels, max_hits): which hits are.
    """
    if vetoes is None:
        return left, np.zeros(len(left)), []
    spoken = vetoes.told & np.isfinite(left) & ~deferred
    excess, log_silence = (to_numpy(array).astype(np.float64) for array in (vetoes.excess, vetoes.log_silence))
    more = np.where(to_numpy(used), excess, 0.0).sum(axis=1) - np.where(spoken, log_silence, 0.0)
    xp, T = namespace(vetoes.lost), vetoes.lost.dtype
    seeds = [(vetoes.excess, used.astype(T)), (vetoes.log_silence, -xp.asarray(spoken).astype(T))]
    return np.where(spoken, np.inf, left), more, seeds


def lost_to_vetoes(waveforms, target, before, threshold, detector, launch=plain):
    """What resets of vetoed reads take of `before` (n_pixels, max_hits) [e] without noise, see `reset_path`.

    None where `may_reset` finds no pixel.
    """
    arguments = _arguments(waveforms, target, threshold, detector)
    pixel = _falling(arguments)
    if len(pixel) == 0:
        return None
    xp = namespace(before)
    lost, resets = xp.zeros_like(before), xp.zeros(before.shape, dtype=np.int64)
    launch(reset_path, len(pixel), **arguments, pixel=xp.asarray(pixel), before=before, lost=lost, resets=resets)
    return lost


def _falling(arguments):
    """Which pixels `may_reset` finds (n,)."""
    threshold = arguments["threshold"]
    told = namespace(threshold).zeros(len(threshold), dtype=np.int64)
    may_reset(len(threshold), told=told, **{name: arguments[name] for name in may_reset.arguments if name != "told"})
    return np.flatnonzero(to_numpy(told))


def _arguments(waveforms, target, threshold, detector):
    """What the kernels of vetoed reads are given of pixels, their measured hits and the detector."""
    windows, T = waveforms.windows, threshold.dtype.type
    return {
        "waveform": waveforms.buffered,
        "pixel_window": windows.of_pixel,
        "window_first": windows.first,
        "window_tick": windows.tick,
        "target_count": target.count,
        "target_tick": target.tick,
        "target_fraction": target.fraction,
        "threshold": threshold,
        "tick": T(detector.tick),
        "hold_ticks": detector.hold_ticks,
        "reset_cycles": detector.reset_cycles,
        "reset_noise": T(detector.reset_noise),
        "uncorrelated_noise": T(detector.uncorrelated_noise),
    }

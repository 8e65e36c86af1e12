"""Charges between measured hits, of which the likelihood is made."""

from lartpc.arrays import namespace
from lartpc.autodiff.launch import plain
from lartpc.kernels.losses.likelihood import likelihood


def make_charges(waveforms, target, detector, launch=plain):
    """Likelihood: charges between measured hits.

    before, during, rate, resume (n_pixels, max_hits) and after (n_pixels,), see `likelihood`.
    """
    xp, T = namespace(waveforms.current), waveforms.current.dtype.type
    windows = waveforms.windows
    before, during, rate, resume = (xp.zeros(target.part.shape, dtype=T) for _ in range(4))
    after = xp.zeros(len(windows.pixel), dtype=T)
    launch(
        likelihood,
        len(windows.pixel),
        waveforms.buffered,
        windows.of_pixel,
        windows.first,
        windows.tick,
        target.count,
        target.tick,
        target.part,
        T(detector.tick),
        detector.hold_ticks,
        detector.reset_cycles,
        before,
        during,
        rate,
        resume,
        after,
    )
    return before, during, rate, resume, after

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

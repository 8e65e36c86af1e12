"""Reset path: the resets between measured hits that a waveform without noise makes, and the charge that they take.

Currents of both signs raise the charge above the threshold and take it back before it is read: a read is vetoed, but
resets all the same. Of a target without noise the charge of the next hit begins there.
"""

from lartpc.kernels.frontend.current import charge_until
from lartpc.kernels.runtime.launch import device, kernel

NEAR = 3.0  # noises up to which a charge may be off and still be read below the threshold, or have reached it
NONE, CROSSING, PEAK = range(3)


@device
def next_read(waveform, window_tick, window_first, low, high, start, begin, last, end, threshold, least, tick):
    """The first crossing after fraction `begin` of tick `start`, if up to fraction `end` of tick `last`.

    As (kind, tick, fraction). Where the charge does not reach the threshold but `least`, it is its peak, the end of a
    tick.
    """
    T = type(tick)
    kind = NONE
    at = start
    fraction = T(1.0)
    level = T(0.0)
    most = least
    for w in range(low, high):
        for k in range(max(start - window_tick[w], 0), window_first[w + 1] - window_first[w]):
            now = window_tick[w] + k
            if kind == CROSSING or now > last:
                break
            since = begin if now == start else T(0.0)
            charge = (T(1.0) - since) * waveform[window_first[w] + k] * tick
            if level + charge >= threshold:
                crossing = since + (threshold - level) / charge * (T(1.0) - since)
                if now < last or crossing <= end:
                    kind = CROSSING
                    at = now
                    fraction = crossing
                break
            level += charge
            if level >= most and now < last:
                kind = PEAK
                at = now
                fraction = T(1.0)
                most = level
    return kind, at, fraction


@device
def walk(
    waveform,
    window_tick,
    window_first,
    low,
    high,
    start,
    begin,
    last,
    end,
    threshold,
    tick,
    hold_ticks,
    reset_cycles,
    reset_noise,
    uncorrelated_noise,
    turns,
):
    """The vetoed read number `turns` after fraction `begin` of tick `start` whose reset ends before tick `last`.

    As (kind, tick, fraction) of its crossing. NONE where there are not so many, or one would rather have been a hit.
    """
    T = type(tick)
    kind = CROSSING
    at = start
    fraction = begin
    lead = hold_ticks + reset_cycles
    least = threshold - T(NEAR) * reset_noise
    for turn in range(turns):
        if kind == CROSSING:
            if turn > 0:
                start = at + lead
                begin = fraction
            kind, at, fraction = next_read(
                waveform, window_tick, window_first, low, high, start, begin, last - lead, end, threshold, least, tick
            )
            if kind != NONE:
                crossed = charge_until(waveform, window_tick, window_first, low, high, at, fraction, tick)
                read = charge_until(waveform, window_tick, window_first, low, high, at + hold_ticks, fraction, tick)
                if read - crossed > T(NEAR) * uncorrelated_noise:
                    kind = NONE
        else:
            kind = NONE
    return kind, at, fraction


@kernel("lost", "resets", light=True)
def reset_path(
    i,
    waveform,
    pixel,
    pixel_window,
    window_first,
    window_tick,
    target_count,
    target_tick,
    target_fraction,
    before,
    threshold,
    tick,
    hold_ticks,
    reset_cycles,
    reset_noise,
    uncorrelated_noise,
    lost,
    resets,
):
    """Charge that the i-th of some pixels loses between measured hits by resets of vetoed reads, without noise.

    pixel (n,): which of the n_pixels it is; before (n_pixels, max_hits) [e]: charge from the hit before to each as
    `likelihood` gives it; threshold (n_pixels,) [e]. Outputs (n_pixels, max_hits): resets, the number of vetoed reads
    between the hits, of those that may be the one with which `before` less `lost` is nearest to the threshold; lost =
    Q(end of the last of them) - Q(s_{k-1}) [e].
    """
    T = type(tick)
    own = pixel[i]
    low = pixel_window[own]
    high = pixel_window[own + 1]
    start = window_tick[low]
    begin = T(0.0)
    lead = hold_ticks + reset_cycles
    for n in range(target_count[own]):
        t = target_tick[own, n]
        end = target_fraction[own, n]
        lost[own, n] = T(0.0)
        resets[own, n] = 0
        lacking = threshold[own] - before[own, n]
        nearest = abs(lacking)
        since = charge_until(waveform, window_tick, window_first, low, high, start, begin, tick)
        kind = CROSSING
        turns = 0
        while kind == CROSSING:
            turns += 1
            kind, at, fraction = walk(
                waveform,
                window_tick,
                window_first,
                low,
                high,
                start,
                begin,
                t,
                end,
                threshold[own],
                tick,
                hold_ticks,
                reset_cycles,
                reset_noise,
                uncorrelated_noise,
                turns,
            )
            if kind != NONE:
                gone = charge_until(waveform, window_tick, window_first, low, high, at + lead, fraction, tick) - since
                if abs(lacking + gone) < nearest:
                    nearest = abs(lacking + gone)
                    lost[own, n] = gone
                    resets[own, n] = turns
        start = t + lead
        begin = end

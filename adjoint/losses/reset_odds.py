"""Adjoint of reset_odds."""

import math

from lartpc.kernels.losses.reset_odds import (
    FAINT,
    FAR,
    LEAST,
    at_or_after,
    between,
    charge_to,
    kept_after,
    log_below,
    mixture,
    normal,
    peak_after,
    quiet,
    sums,
    tick_of,
    weigh,
)
from lartpc.kernels.runtime.launch import device, kernel


@device
def add_to(slope, ticks, first, low, high, t, fraction, value):
    """Add `value`, a derivative by the charge up to a fraction of tick t, to those by the sums `slope`."""
    j = at_or_after(ticks, first, low, high, t)
    inside = j < first[high] and tick_of(ticks, first, low, high, j) <= t
    part = fraction if inside else type(fraction)(0.0)
    if inside:
        slope[j] += part * value
    if j > first[low]:
        slope[j - 1] += (type(fraction)(1.0) - part) * value


@device
def unfollow(total, ticks, first, low, high, start, begin, last, odds, threshold, hold_ticks, s_r, s_u, pull, slope):
    """From the derivatives `pull` by the odds, those that `follow` passes on: by its `odds` and the threshold.

    What it passes to the charges is added to `slope`.
    """
    T = type(s_r)
    half = T(0.5)
    base = charge_to(total, ticks, first, low, high, start, begin)
    most = T(0.0)
    top = -1
    by_odds = T(0.0)
    by_threshold = T(0.0)
    by_base = T(0.0)
    for j in range(at_or_after(ticks, first, low, high, start), first[high]):
        charge = total[j] - base
        if charge <= most:
            continue
        if charge > threshold - T(FAR) * s_r:
            t = tick_of(ticks, first, low, high, j)
            if t >= last:
                break
            a = (most - threshold) / s_r
            b = (charge - threshold) / s_r
            p = between(a, b)
            kept = kept_after(total, ticks, first, low, high, t, hold_ticks)
            veto = half * math.erfc(kept / s_u * T(0.7071067811865476))
            by_odds += pull[j] * p * veto
            one = pull[j] * odds
            by_high = one * veto * normal(b) / s_r
            by_low = one * veto * normal(a) / s_r
            by_threshold += by_low - by_high
            slope[j] += by_high
            by_base -= by_high
            if top >= 0:
                slope[top] -= by_low
                by_base += by_low
            by_kept = -one * p * normal(kept / s_u) / s_u
            add_to(slope, ticks, first, low, high, t + hold_ticks, half, by_kept)
            add_to(slope, ticks, first, low, high, t, half, -by_kept)
        most = charge
        top = j
    add_to(slope, ticks, first, low, high, start, begin, by_base)
    return by_odds, by_threshold


@device
def unweigh(
    total, ticks, first, low, high, start, begin, last, threshold, hold_ticks, lead, s_r, s_u, weight, pull, slope
):
    """From the derivatives `pull` by the odds `weight`, that by the threshold; those by the charges go to `slope`."""
    T = type(s_r)
    by_threshold = T(0.0)
    for j in range(first[high] - 1, first[low] - 2, -1):
        read = j >= first[low]  # the last turn is of the reset before them all
        odds = weight[j] if read else T(1.0)
        if odds > T(LEAST):
            reset = tick_of(ticks, first, low, high, j) + lead if read else start
            since = T(0.5) if read else begin
            by_odds, more = unfollow(
                total, ticks, first, low, high, reset, since, last, odds, threshold, hold_ticks, s_r, s_u, pull, slope
            )
            by_threshold += more
            if read:
                pull[j] += by_odds
    return by_threshold


@device
def unmix(
    total,
    ticks,
    first,
    low,
    high,
    start,
    begin,
    t,
    fraction,
    threshold,
    lead,
    s_r,
    weight,
    grad_lost,
    grad_excess,
    pull,
    slope,
):
    """Sets `pull` for a hit; the derivative by the threshold; those by the charges go to `slope`.

    With the parts rho_j of the sum, f = -log of it has df = sum rho_j (z_j dz_j - d(log w_j)), and d(lost) = sum rho_j
    dl_j + rho_j (l_j - lost)(d(log w_j) - z_j dz_j), l_j the charge lost.
    """
    T = type(s_r)
    value, lost, z = mixture(total, ticks, first, low, high, start, begin, t, fraction, threshold, lead, s_r, weight)
    mean = z + lost / s_r
    by_lost = grad_lost - grad_excess * mean / s_r
    base = charge_to(total, ticks, first, low, high, start, begin)
    none = math.exp(value - T(0.5) * z * z)
    by_z = none * (grad_excess + by_lost * lost) * z - grad_excess * mean
    by_base = T(0.0)
    for j in range(first[low], first[high]):
        pull[j] = T(0.0)
        if weight[j] > T(FAINT):
            reset = tick_of(ticks, first, low, high, j) + lead
            gone = charge_to(total, ticks, first, low, high, reset, T(0.5)) - base
            own = z + gone / s_r
            gauss = math.exp(value - T(0.5) * own * own)
            by_weight = by_lost * (gone - lost) - grad_excess
            pull[j] = gauss * by_weight
            part = weight[j] * gauss
            by_own = -part * by_weight * own
            by_z += by_own
            by_gone = part * by_lost + by_own / s_r
            add_to(slope, ticks, first, low, high, reset, T(0.5), by_gone)
            by_base -= by_gone
    add_to(slope, ticks, first, low, high, t, fraction, -by_z / s_r)
    add_to(slope, ticks, first, low, high, start, begin, by_base + by_z / s_r)
    return by_z / s_r


@device
def by_peak(total, ticks, first, low, high, start, begin, value, slope):
    """Add `value`, the derivative by the highest charge after a reset, to `slope`."""
    base = charge_to(total, ticks, first, low, high, start, begin)
    _, at = peak_after(total, ticks, first, low, high, start, base)
    if at >= 0:
        slope[at] += value
        add_to(slope, ticks, first, low, high, start, begin, -value)


@device
def unquiet(total, ticks, first, low, high, start, begin, threshold, lead, s_r, weight, grad_silence, pull, slope):
    """Sets `pull` for what comes after the last hit; the derivative by the threshold; the rest goes to `slope`."""
    T = type(s_r)
    whole, alone, others = quiet(total, ticks, first, low, high, start, begin, threshold, lead, s_r, weight)
    base = charge_to(total, ticks, first, low, high, start, begin)
    most, _ = peak_after(total, ticks, first, low, high, start, base)
    _, ratio = log_below((threshold - most) / s_r)
    by_threshold = grad_silence * math.exp(alone - whole) * ratio / s_r
    by_peak(total, ticks, first, low, high, start, begin, -by_threshold, slope)
    scale = grad_silence * math.exp(-whole) if others > T(0.0) else T(0.0)
    for j in range(first[low], first[high]):
        pull[j] = T(0.0)
        if scale != T(0.0) and weight[j] > T(FAINT):
            reset = tick_of(ticks, first, low, high, j) + lead
            base = charge_to(total, ticks, first, low, high, reset, T(0.5))
            most, _ = peak_after(total, ticks, first, low, high, reset, base)
            x = (threshold - most) / s_r
            pull[j] = scale * T(0.5) * math.erfc(-x * T(0.7071067811865476))
            value = scale * weight[j] * normal(x) / s_r
            by_peak(total, ticks, first, low, high, reset, T(0.5), -value, slope)
            by_threshold += value
    return by_threshold


@kernel("grad_waveform", "grad_threshold", work=("total", "weight", "pull", "slope"), light=True)
def reset_odds_adjoint(
    i,
    # forward inputs
    waveform,
    pixel_window,
    window_first,
    window_tick,
    target_count,
    target_tick,
    target_fraction,
    threshold,
    tick,
    hold_ticks,
    reset_cycles,
    reset_noise,
    uncorrelated_noise,
    total,
    weight,
    # forward outputs
    told,
    # of the adjoint alone
    pull,
    slope,
    # gradients of outputs
    grad_lost,
    grad_excess,
    grad_log_silence,
    # gradients of inputs
    grad_waveform,
    grad_threshold,
):
    """Gradients of pixel i: by the odds first, the last reset first, then by the sums of the waveform, then by it."""
    T = type(tick)
    low = pixel_window[i]
    high = pixel_window[i + 1]
    lead = hold_ticks + reset_cycles
    start = window_tick[low]
    begin = T(0.0)
    if told[i]:
        sums(waveform, window_first, low, high, tick, total)
        for j in range(window_first[low], window_first[high]):
            slope[j] = T(0.0)
    for n in range(target_count[i] + 1 if told[i] else 0):
        hit = n < target_count[i]
        t = target_tick[i, n] if hit else window_tick[high - 1] + window_first[high] - window_first[high - 1] + lead
        seeded = grad_lost[i, n] != T(0.0) or grad_excess[i, n] != T(0.0) if hit else grad_log_silence[i] != T(0.0)
        if seeded:
            weigh(
                total,
                window_tick,
                window_first,
                low,
                high,
                start,
                begin,
                t - lead,
                threshold[i],
                hold_ticks,
                lead,
                reset_noise,
                uncorrelated_noise,
                weight,
            )
            if hit:
                more = unmix(
                    total,
                    window_tick,
                    window_first,
                    low,
                    high,
                    start,
                    begin,
                    t,
                    target_fraction[i, n],
                    threshold[i],
                    lead,
                    reset_noise,
                    weight,
                    grad_lost[i, n],
                    grad_excess[i, n],
                    pull,
                    slope,
                )
            else:
                more = unquiet(
                    total,
                    window_tick,
                    window_first,
                    low,
                    high,
                    start,
                    begin,
                    threshold[i],
                    lead,
                    reset_noise,
                    weight,
                    grad_log_silence[i],
                    pull,
                    slope,
                )
            grad_threshold[i] += more + unweigh(
                total,
                window_tick,
                window_first,
                low,
                high,
                start,
                begin,
                t - lead,
                threshold[i],
                hold_ticks,
                lead,
                reset_noise,
                uncorrelated_noise,
                weight,
                pull,
                slope,
            )
        if hit:
            start = t + lead
            begin = target_fraction[i, n]
    if told[i]:
        later = T(0.0)
        for j in range(window_first[high] - 1, window_first[low] - 1, -1):
            later += slope[j]
            grad_waveform[j] += later * tick

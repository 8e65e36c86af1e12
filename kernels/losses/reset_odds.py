"""Reset odds: what vetoed reads that nobody sees, and their resets, mean for the probability of measured hits.

Currents of both signs raise the charge above the threshold and take it back before it is read. With the noises s_r of
resets and s_u of reads, and M_j the highest charge up to tick j since a reset that ended at s, a crossing in tick j of
the waveform is taken at its middle, and its reset ends at e_j. Up to its read the charge grows by at most H_j >= 0, and
by K_j <= H_j in all. The read is then vetoed with the odds

    v_j = [1 - Phi(K_j/s_u)/Phi(H_j/s_u)] exp(-[s_u/(10 (H_j - K_j))]^2)

where it would not be at its highest: what makes a reset that nobody sees is charge that goes again. The exponential,
which is smooth, is 1 but for falls of about a tenth of s_u, and 0 far below: where charge only grows, or falls by what
rounding and a response leave, nothing is said here. So

    p_j(s) = Phi((M_j - T)/s_r) - Phi((M_{j-1} - T)/s_r)
    w_j = [p_j(s_{k-1}) + sum_i w_i p_j(e_i)] v_j

are the odds that a vetoed read since hit k - 1 crossed in tick j. The time of hit k has the density I(t_k)/s_r times
sum_j w_j phi(z_j), over 0 with w_0 = 1 and e_0 = s_{k-1} too, z_j = (T - [Q(t_k) - Q(e_j)])/s_r. Nothing comes after
the last hit with the probability sum_j w_j S(e_j), where S(s) is that of no crossing after a reset, or one that the
noise vetoes at the highest charge M. Of the latter, P0 - Phi (P0 as in losses/likelihood.py), counts what stays there:

    S = Phi(x) + [P0(T - M) - Phi(x)] sum_j p_j n_j (1 - v_j)/sum_j p_j n_j,  x = (T - M)/s_r, n_j = Phi(-H_j/s_u)
"""

import math

from lartpc.kernels.losses.odds import NO_FALL, below, between, log_below, log_no_hit, veto
from lartpc.kernels.losses.summed import at_or_after, charge_to, sums, tick_of
from lartpc.kernels.runtime.launch import device, kernel

FAR = 8.0  # reset noises below the threshold from which a charge does not reach it
FAINT = 1e-30  # odds that count for nothing: below them single precision ends
NEAR = 6.0  # and from which it does so once in 1e9
NEVER = -1e30  # log of no probability


@device
def read_after(total, ticks, first, low, high, t, hold_ticks):
    """Of a crossing in the middle of tick t: its charge [e], H and K, and where H is.

    That is the sample whose end it is, -1 at the crossing and -2 at the read.
    """
    half = type(total[0])(0.5)
    crossed = charge_to(total, ticks, first, low, high, t, half)
    kept = charge_to(total, ticks, first, low, high, t + hold_ticks, half) - crossed
    highest = max(kept, type(kept)(0.0))
    at = -2 if kept > type(kept)(0.0) else -1
    for j in range(at_or_after(ticks, first, low, high, t), at_or_after(ticks, first, low, high, t + hold_ticks)):
        if total[j] - crossed > highest:
            highest = total[j] - crossed
            at = j
    return highest, kept, at


@device
def follow(total, ticks, first, low, high, start, begin, last, odds, threshold, hold_ticks, s_r, s_u, weight):
    """Add to `weight` of each sample before tick `last` what a reset that ended at `begin` of tick `start` gives.

    M, its sample (-1 where it is 0), and the sums of p n (1 - v) and of p n.
    """
    T = type(s_r)
    base = charge_to(total, ticks, first, low, high, start, begin)
    most = T(0.0)
    top = -1
    staying = T(0.0)
    noisy = T(0.0)
    for j in range(at_or_after(ticks, first, low, high, start), first[high]):
        charge = total[j] - base
        if charge <= most:
            continue
        if charge > threshold - T(FAR) * s_r:
            t = tick_of(ticks, first, low, high, j)
            if t >= last:
                break
            p = between((most - threshold) / s_r, (charge - threshold) / s_r)
            highest, kept, _ = read_after(total, ticks, first, low, high, t, hold_ticks)
            v = veto(highest / s_u, kept / s_u)
            weight[j] += odds * p * v
            noisy += p * below(-highest / s_u)
            staying += p * below(-highest / s_u) * (T(1.0) - v)
        most = charge
        top = j
    return most, top, staying, noisy


@device
def silence(most, staying, noisy, threshold, s_r, s_u):
    """log S and its derivatives by M, and by the sums of p n (1 - v) and of p n."""
    T = type(s_r)
    x = threshold - most
    whole, by_x = log_no_hit(x, s_r, s_u)
    alone, by_h = log_below(x / s_r)
    stay = (staying + T(FAINT)) / (noisy + T(FAINT))
    part = math.exp(alone - whole)
    rest = (T(1.0) - stay) * part
    by_x += rest / (stay + rest) * (by_h / s_r - by_x)
    by_stay = (T(1.0) - part) / (stay + rest) / (noisy + T(FAINT))
    return whole + math.log(stay + rest), -by_x, by_stay, -stay * by_stay


@device
def log_sum(a, b):
    """log(exp(a) + exp(b))."""
    return max(a, b) + math.log(type(a)(1.0) + math.exp(-abs(a - b)))


@device
def weigh(total, ticks, first, low, high, start, begin, last, threshold, hold_ticks, lead, s_r, s_u, weight):
    """Sets the odds `weight` of a vetoed read in each sample after fraction `begin` of tick `start`, before `last`.

    log of the sum over w S of those before `last`.
    """
    T = type(s_r)
    for j in range(first[low], first[high]):
        weight[j] = T(0.0)
    quiet = T(NEVER)
    for j in range(first[low] - 1, first[high]):
        read = j >= first[low]  # the first turn is of the reset before them all
        odds = weight[j] if read else T(1.0)
        if odds > T(FAINT):
            reset = tick_of(ticks, first, low, high, j) + lead if read else start
            since = T(0.5) if read else begin
            most, _, staying, noisy = follow(
                total, ticks, first, low, high, reset, since, last, odds, threshold, hold_ticks, s_r, s_u, weight
            )
            value, _, _, _ = silence(most, staying, noisy, threshold, s_r, s_u)
            quiet = log_sum(quiet, math.log(odds) + value)
    return quiet


@device
def mixture(total, ticks, first, low, high, start, begin, t, fraction, threshold, lead, s_r, weight):
    """Of a hit at a fraction of tick t: log of the sum less that without vetoed reads, the mean charge lost, and z_0.

    Where vetoed reads have small odds, so are the first two, and as exact.
    """
    T = type(s_r)
    base = charge_to(total, ticks, first, low, high, start, begin)
    z = (threshold - charge_to(total, ticks, first, low, high, t, fraction) + base) / s_r
    top = T(0.0)
    others = T(0.0)
    lost = T(0.0)
    for turn in range(2):
        for j in range(first[low], first[high]):
            if weight[j] > T(FAINT):
                reset = tick_of(ticks, first, low, high, j) + lead
                gone = charge_to(total, ticks, first, low, high, reset, T(0.5)) - base
                exponent = math.log(weight[j]) - less_likely(z, gone / s_r)
                if turn == 0:
                    top = max(top, exponent)
                else:
                    others += math.exp(exponent - top)
                    lost += math.exp(exponent - top) * gone
    if top > T(0.0):
        none = math.exp(-top)
        return top + math.log(none + others), lost / (none + others), z
    return math.log1p(others), lost / (T(1.0) + others), z


@device
def less_likely(z, gone):
    """(z + gone)^2/2 - z^2/2."""
    return gone * (z + type(z)(0.5) * gone)


@kernel("told", light=True)
def may_reset(i, waveform, pixel_window, window_first, threshold, tick, reset_noise, uncorrelated_noise, told):
    """told (n_pixels,): 1 where charge comes near the threshold and falls again, 0 where `reset_odds` is of no use."""
    T = type(tick)
    rise = T(0.0)
    fall = T(0.0)
    highest = T(0.0)
    deepest = T(0.0)
    for j in range(window_first[pixel_window[i]], window_first[pixel_window[i + 1]]):
        rise = max(rise + waveform[j] * tick, T(0.0))
        fall = max(fall - waveform[j] * tick, T(0.0))
        highest = max(highest, rise)
        deepest = max(deepest, fall)
    near = highest > threshold[i] - T(NEAR) * reset_noise
    told[i] = 1 if near and deepest > T(NO_FALL) * uncorrelated_noise else 0


@kernel("lost", "excess", "log_silence", work=("total", "weight"), light=True)
def reset_odds(
    i,
    waveform,
    pixel,
    sample,
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
    lost,
    excess,
    log_silence,
):
    """Of measured hits of the i-th of some pixels: -log of the sum for hit k is z^2/2 + excess_k, z = z_0 + lost_k/s_r.

    pixel (n,): which of the n_pixels it is; sample (n,): where its samples begin in `waveform`; pixel_window (n + 1,),
    window_first, window_tick: the windows of the n alone, as are total and weight; threshold (n_pixels,) [e].
    Outputs lost (n_pixels, max_hits) [e], the mean of Q(e_j) - Q(s_{k-1}), excess (n_pixels, max_hits), log_silence
    (n_pixels,) of the probability that nothing comes after the last hit.
    """
    T = type(tick)
    own = pixel[i]
    low = pixel_window[i]
    high = pixel_window[i + 1]
    limit = threshold[own]
    sums(waveform, sample[i], window_first, low, high, tick, total)
    lead = hold_ticks + reset_cycles
    start = window_tick[low]
    begin = T(0.0)
    for n in range(target_count[own] + 1):
        hit = n < target_count[own]
        t = target_tick[own, n] if hit else window_tick[high - 1] + window_first[high] - window_first[high - 1] + lead
        quiet = weigh(
            total,
            window_tick,
            window_first,
            low,
            high,
            start,
            begin,
            t - lead,
            limit,
            hold_ticks,
            lead,
            reset_noise,
            uncorrelated_noise,
            weight,
        )
        if hit:
            fraction = target_fraction[own, n]
            value, gone, z = mixture(
                total,
                window_tick,
                window_first,
                low,
                high,
                start,
                begin,
                t,
                fraction,
                limit,
                lead,
                reset_noise,
                weight,
            )
            lost[own, n] = gone
            excess[own, n] = -value - less_likely(z, gone / reset_noise)
            start = t + lead
            begin = fraction
        else:
            log_silence[own] = quiet

"""Trigger: self-triggered hits of each pixel, as LArPix makes them.

The charge of tick k arrives evenly over (t_{k-1}, t_k]. With Q(t) the charge since the last reset plus that reset's
noise, a hit starts where Q reaches the threshold; `hold_ticks` later the charge is read and the pixel resets:

    Q(t_c) = threshold,  e = t_c + hold,  charge = Q(e) + readout noise,  Q(e+) = reset noise

A read below threshold (readout noise may do that) is vetoed, but resets all the same. What larnd-sim's front end adds:

reset_cycles: charge that arrives so long after a read is lost.
adc_busy_delay: so long after a hit and its reset no other begins; charge counts. Where the threshold has been reached
meanwhile, a hit begins as soon as the ADC is free.
discriminator_noise: the threshold in each tick, and the one that a read must reach, has a noise of its own. Where no
current is, between and after windows, it has none (larnd-sim adds readout noise to each comparison, too).
periodic_reset_cycles: a pixel that waits for its threshold or for its ADC resets every so many ticks. The charge of
that tick and all before it is lost, and Q begins anew with noise of its own. Nothing resets between a crossing and the
end of the read's reset. The phase is random for each pixel and event; that noise alone reaches the threshold between
windows is left out.
"""

from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.random import FURTHEST, draw, draw_reset, draw_tick, reset_phase

ARMED, HOLD, RESET, BUSY = range(4)  # what a pixel does; all but the first until a certain tick
NO_RESET = -(2**62)  # tick of a periodic reset that has not been


@device
def noise(seed, event, pixel, read, reset_noise, uncorrelated_noise):
    """Reset and readout noise [e] of one read; zero without noise."""
    T = type(reset_noise)
    if reset_noise == T(0.0) and uncorrelated_noise == T(0.0):
        return T(0.0), T(0.0)
    r, u = draw(seed, event, pixel, read, reset_noise)
    return r * reset_noise, u * uncorrelated_noise


@device
def thresholds_at(seed, event, pixel, t, limit, charge, discriminator_noise):
    """The thresholds [e] of a crossing and of a read in tick t; the limit where no noise lets `charge` reach it."""
    T = type(discriminator_noise)
    if discriminator_noise == T(0.0) or charge < limit - T(FURTHEST) * discriminator_noise:
        return limit, limit
    d, v = draw_tick(seed, event, pixel, t, discriminator_noise)
    return limit + d * discriminator_noise, limit + v * discriminator_noise


@device
def last_reset(t, phase, cycles):
    """The last tick up to t in which a pixel resets periodically."""
    return t - (t - phase) % cycles


@device
def level_after(seed, event, pixel, t, reset_noise):
    """The charge [e] with which a pixel begins after its periodic reset in tick t."""
    T = type(reset_noise)
    return T(0.0) if reset_noise == T(0.0) else draw_reset(seed, event, pixel, t, reset_noise) * reset_noise


@kernel(
    "read_count",
    "read_window",
    "read_tick",
    "read_fraction",
    "read_reset",
    "hit_time",
    "hit_charge",
    "hit_valid",
    light=True,
)
def trigger(
    i,
    waveform,
    pixel_window,
    window_first,
    window_tick,
    pixel_event,
    pixel_id,
    threshold,
    tick,
    hold_ticks,
    reset_cycles,
    adc_busy_delay,
    periodic_reset_cycles,
    seed,
    reset_noise,
    uncorrelated_noise,
    discriminator_noise,
    read_count,
    read_window,
    read_tick,
    read_fraction,
    read_reset,
    hit_time,
    hit_charge,
    hit_valid,
):
    """The reads of pixel i: windows pixel_window[i] to pixel_window[i + 1] of `waveform` [e/us], in time order.

    window_first (n_windows + 1,): first sample; window_tick (n_windows,) int64: its tick; threshold (n_pixels,) [e];
    reset_cycles, adc_busy_delay, periodic_reset_cycles (0: none) [ticks]. Outputs: read_count (n_pixels,) and, for read
    n < read_count[i] of at most read_window.shape[1]: read_window the window of the crossing, read_tick the sample in
    it and read_fraction where between t_{k-1} (0) and t_k (1); read_reset the tick of the last periodic reset since the
    read before, NO_RESET where there is none; hit_time [us] from the first tick of that window, hit_charge [e],
    hit_valid (0 where vetoed). From read_count[i] on they are 0.
    """
    T = type(tick)
    read = 0
    state = ARMED
    done = False
    disturbed = discriminator_noise > T(0.0)
    event = pixel_event[i]
    pixel = pixel_id[i]
    r, u = noise(seed, event, pixel, read, reset_noise, uncorrelated_noise)
    level = r
    limit = threshold[i]
    crossing = T(0.0)  # fraction of a tick at which the crossing was, and hold, reset and busy time end
    end = window_tick[0]  # tick of the end of the state; any int64 to begin with
    periodic = periodic_reset_cycles > 0
    phase = reset_phase(seed, event, pixel, periodic_reset_cycles) if periodic else window_tick[0]
    at = window_tick[0]
    free = window_tick[pixel_window[i]]  # the first tick in which a periodic reset may be, other than within a window
    cleared = NO_RESET
    for w in range(pixel_window[i], pixel_window[i + 1]):
        if done:
            break
        base = window_first[w]
        ticks = window_first[w + 1] - base
        begin = window_tick[w]
        if periodic and (state == ARMED or state == BUSY):
            at = last_reset(begin - 1, phase, periodic_reset_cycles)
            if at >= free:
                cleared = at
                level = level_after(seed, event, pixel, at, reset_noise)
        for k in range(ticks + 1):
            # The last turn of a window stands for the time without current that follows it.
            beyond = k == ticks
            charge = T(0.0) if beyond else waveform[base + k] * tick
            if beyond:
                free = max(free, begin + k)
            if periodic and not beyond and (state == ARMED or state == BUSY):
                at = begin + k
                if last_reset(at, phase, periodic_reset_cycles) == at:
                    cleared = at
                    level = level_after(seed, event, pixel, at, reset_noise)
                    if state == BUSY and end <= at:
                        state = ARMED
                    continue
            if state == ARMED and not disturbed and level + charge < limit:
                level += charge  # most ticks: quicker than by what follows, and the same
                continue
            fraction = T(0.0)
            now = k
            while not done:
                if state == ARMED:
                    bound = limit
                    if disturbed and not beyond:
                        most = max(level, level + charge)
                        t = begin + k
                        bound, _ = thresholds_at(seed, event, pixel, t, limit, most, discriminator_noise)
                    if level >= bound:
                        crossing = fraction
                    elif level + charge * (T(1.0) - fraction) >= bound:
                        crossing = fraction + (bound - level) / charge
                        level = bound
                    else:
                        level += charge * (T(1.0) - fraction)
                        break
                    fraction = crossing
                    read_window[i, read] = w
                    read_tick[i, read] = now
                    read_fraction[i, read] = fraction
                    read_reset[i, read] = cleared
                    hit_time[i, read] = (T(now - 1) + fraction) * tick
                    end = begin + now + hold_ticks
                    state = HOLD
                counted = T(0.0) if state == RESET else charge
                wait = w + 1 < pixel_window[i + 1] and window_tick[w + 1] <= end if beyond else begin + k < end
                if wait:
                    level += counted * (T(1.0) - fraction)
                    break
                late = max(crossing, fraction)
                level += counted * (late - fraction)
                fraction = late
                if state == HOLD:
                    hit_charge[i, read] = level + u
                    _, least = thresholds_at(seed, event, pixel, end, limit, level + u, discriminator_noise)
                    hit_valid[i, read] = 1 if hit_charge[i, read] >= least else 0
                    read += 1
                    done = read == read_window.shape[1]
                    r, u = noise(seed, event, pixel, read, reset_noise, uncorrelated_noise)
                    level = r
                    end += reset_cycles
                    state = RESET
                    free = end + 1
                    cleared = NO_RESET
                elif state == RESET:
                    end += adc_busy_delay if hit_valid[i, read - 1] == 1 else 0
                    state = BUSY
                else:
                    state = ARMED
                    at = last_reset(end, phase, periodic_reset_cycles) if periodic and beyond else free - 1
                    if at >= free:
                        cleared = at
                        level = level_after(seed, event, pixel, at, reset_noise)
                if beyond:
                    now = end - begin
    read_count[i] = read
    for n in range(read, read_window.shape[1]):
        read_window[i, n] = 0
        read_tick[i, n] = 0
        read_fraction[i, n] = T(0.0)
        read_reset[i, n] = 0
        hit_time[i, n] = T(0.0)
        hit_charge[i, n] = T(0.0)
        hit_valid[i, n] = 0

"""Buffer: the rise time of the amplifier, which passes the current of a pixel on as an exponential."""

import math

from lartpc.kernels.runtime.launch import device, kernel
from lartpc.kernels.runtime.slots import BUFFER_RISETIME


@device
def factors(risetime, tick):
    """tau/tick, exp(-tick/tau) and (tau/tick)(1 - exp(-tick/tau)); all 0 without a rise time."""
    T = type(tick)
    if risetime <= T(0.0):
        return T(0.0), T(0.0), T(0.0)
    held_ticks = risetime / tick
    return held_ticks, math.exp(-tick / risetime), -held_ticks * math.expm1(-tick / risetime)


@kernel("buffered", light=True)
def buffer(i, window_first, window_pixel, waveform, electronics, tick, buffered):
    """The current of window i [e/us] behind a buffer with rise time tau: tau dI'/dt = I - I', I even in each tick.

    With h_k the buffer's current at the end of tick k, 0 before the window, and I'_k the mean of the tick:

        h_k = I_k + decay (h_{k-1} - I_k),  I'_k = I_k + weight (h_{k-1} - I_k)

    window_first (n_windows + 1,): first sample; window_pixel (n_windows,); electronics (n_pixels, 4), of which tau [us]
    is one; decay = exp(-tick/tau), weight = (tau/tick)(1 - decay). The charge tau h that has not risen at the end of a
    window comes in its last tick. A reset leaves the buffer as it is: in larnd-sim what has not risen by then is lost.
    """
    T = type(tick)
    held_ticks, decay, weight = factors(electronics[window_pixel[i], BUFFER_RISETIME], tick)
    held = T(0.0)
    for k in range(window_first[i], window_first[i + 1]):
        buffered[k] = waveform[k] + weight * (held - waveform[k])
        held = waveform[k] + decay * (held - waveform[k])
    if window_first[i + 1] > window_first[i]:
        buffered[window_first[i + 1] - 1] += held_ticks * held

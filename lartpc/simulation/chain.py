"""From the clouds of a batch of events to waveforms: currents by the readout, electronics of each pixel, buffer."""

from typing import Any, NamedTuple

from lartpc.charge.steps import Steps
from lartpc.contracts import Launch, PixelReadout
from lartpc.frontend.frontend import behind_buffer, make_electronics
from lartpc.response.windows import Pairs, Windows


class Waveforms(NamedTuple):
    """Current of every pixel with charge [e/us], sparse: see `Windows`."""

    current: Any
    steps: Steps
    pairs: Any  # of the steps and the pixels that see them, or how they are found: see `of_steps`
    windows: Windows
    electronics: Any  # (n_pixels, 4) parameters of each pixel's electronics
    buffered: Any  # current behind the buffer, which the trigger sees; `current` itself where there is no rise time
    readout: PixelReadout  # that made them

    def of_steps(self) -> tuple[Pairs, Any]:
        """Pairs of steps and the pixels that see them, and the first pair of each window (n_windows + 1,)."""
        return (self.pairs, self.windows.pair) if isinstance(self.pairs, Pairs) else self.pairs.of_steps(self.windows)


def make_waveforms(steps, batch, parameters, values, slots_of, readout, detector, settle, launch: Launch):
    """Currents of the pixels and behind the buffer: `Waveforms`.

    parameters: those of the modules (n_modules, n_parameters); values: all (n_values,), electronics at `slots_of`.
    settle: ticks for which windows go on after the last current, None where no pixel has a buffer with a rise time.
    """
    current, pairs, windows = readout.currents(steps, batch, parameters, settle or 0, launch)
    electronics = make_electronics(windows.pixel, values, detector, slots_of, launch)
    slow = settle is not None
    buffered = behind_buffer(current, windows, electronics, detector, launch) if slow else current
    return Waveforms(current, steps, pairs, windows, electronics, buffered, readout)

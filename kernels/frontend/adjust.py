"""Adjust: threshold, gain and pedestal of each pixel, from the detector's and from what is fitted."""

from lartpc.kernels.runtime.launch import kernel
from lartpc.kernels.runtime.slots import GAIN_FACTOR, PEDESTAL_OFFSET, THRESHOLD_OFFSET


@kernel("threshold", "gain", "offset", light=True)
def adjust(i, base_threshold, base_gain, base_offset, electronics, threshold, gain, offset):
    """threshold = base + threshold_offset [e], gain = base gain_factor [mV/e], offset = base + pedestal_offset [mV].

    Pixel i, each (n_pixels,); electronics (n_pixels, 4). offset: the pedestal less the common-mode voltage.
    """
    threshold[i] = base_threshold[i] + electronics[i, THRESHOLD_OFFSET]
    gain[i] = base_gain[i] * electronics[i, GAIN_FACTOR]
    offset[i] = base_offset[i] + electronics[i, PEDESTAL_OFFSET]

"""The objectives of a fit, by name."""

from __future__ import annotations

from collections.abc import Sequence

from lartpc.detector.detector import Detector
from lartpc.exceptions import InputError
from lartpc.losses import per_event as events
from lartpc.losses.hit_losses import LOSSES, OF_ADC
from lartpc.losses.likelihood import likelihood, residuals
from lartpc.losses.matched import matched
from lartpc.parameters import OF_COUNTS, common_name


def check_noise(kind: str, detector: Detector) -> None:
    """Raise InputError where there is noise that an objective of this kind has no term for, or none to divide by."""
    sigma = detector.discriminator_noise
    for name in ("reset_noise", "uncorrelated_noise"):
        if kind in SQUARES and not getattr(detector, name) > 0.0:
            raise InputError(
                f"{name}_charge: found {getattr(detector, name):g} e, the loss {kind} is relative to the noise: "
                "allowed is above 0, also where the target has none"
            )
    if kind in SQUARES:
        check_resets(f"the loss {kind}", f"0, or the loss {', '.join(LOSSES)}", detector)
    if kind == "likelihood" and sigma > 0.0:
        raise InputError(f"discriminator_noise: found {sigma:g} e, the likelihood has no term for it: allowed is 0")


def check_resets(what: str, allowed: str, detector: Detector) -> None:
    """Raise InputError where pixels reset at times that `what` would have to know."""
    if detector.periodic_reset_cycles > 0:
        raise InputError(
            f"periodic_reset_cycles: found {detector.periodic_reset_cycles}, {what} has no term for resets at times "
            f"that are not known: allowed is {allowed}"
        )


def check_acting(kind: str, rounded: bool, names: Sequence[str]) -> None:
    """Raise InputError where one of the parameters `names` acts on ADC counts alone, which this loss does not see."""
    for name in names:
        counts = common_name(name) in OF_COUNTS
        if counts and kind not in OF_ADC and not rounded:
            raise InputError(
                f"fit: the loss {kind} of exact charges does not depend on {name}: allowed is a target of ADC counts "
                f"(rounded), or the loss {', '.join(OF_ADC)}"
            )


SQUARES = {"likelihood": likelihood, "residuals": residuals, "matched": matched}
WAVEFORMS = "waveform likelihood"  # of wires, see `losses.waveforms`
OBJECTIVES = SQUARES | {name: events.event_loss(name) for name in LOSSES}

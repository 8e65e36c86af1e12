"""What readouts give to the rows of a Jacobian alike."""

from typing import Any

from lartpc.arrays import namespace

MOMENTS = ("moment_x", "moment_y", "moment_x_by_sigma_T", "moment_y_by_sigma_T", "grad_moment_x", "grad_moment_y")


def not_conserved(coefficient: Any, tick: Any) -> dict[str, Any]:
    """What `rows` takes instead of moments, where windows are not scaled to their charge: nothing."""
    nothing = namespace(coefficient).zeros((0, 1), dtype=coefficient.dtype)
    return dict.fromkeys(MOMENTS, nothing) | {"tick": tick}

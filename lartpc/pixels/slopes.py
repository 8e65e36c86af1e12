"""What readouts give to a Jacobian alike."""

from typing import Any

from lartpc.arrays import namespace

PLACES = ("x_by_x", "y_by_y")
MOMENTS = tuple(f"moment_{name}" for name in ("x", "y", "x_by_sigma_T", "y_by_sigma_T", *PLACES))
WORK = ("grad_moment_x", "grad_moment_y")


def nothing(of: Any) -> Any:
    """No rows, of the kind of an array: a derivative that is not asked for."""
    return namespace(of).zeros((0, 1), dtype=of.dtype)


def not_conserved(coefficient: Any, tick: Any) -> dict[str, Any]:
    """What `pull` takes instead of moments, where windows are not scaled to their charge: nothing."""
    return dict.fromkeys((*MOMENTS, *WORK), nothing(coefficient)) | {"tick": tick}

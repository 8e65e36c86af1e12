"""Adjoint of angle."""

from lartpc.kernels.charge.angle import length
from lartpc.kernels.runtime.launch import device, kernel


@device
def cos_adjoint(start, end, segment, grad_cos, i, grad_start, grad_end):
    """Gradients by the start and end of a segment, from that by its cosine: adds them to row i."""
    dx, dy, dz, r = length(start, end, segment)
    T = type(r)
    if r == T(0.0):
        return
    by_x = -grad_cos * (dz / r) * (dx / r) / r
    by_y = -grad_cos * (dz / r) * (dy / r) / r
    by_z = grad_cos * ((dx / r) * (dx / r) + (dy / r) * (dy / r)) / r
    grad_start[i, 0] -= by_x
    grad_start[i, 1] -= by_y
    grad_start[i, 2] -= by_z
    grad_end[i, 0] += by_x
    grad_end[i, 1] += by_y
    grad_end[i, 2] += by_z


@kernel("grad_start", "grad_end", light=True)
def angle_adjoint(
    i,
    # forward inputs
    start,
    end,
    first_piece,
    first_step,
    # gradients of outputs
    grad_step_cos,
    # gradients of inputs
    grad_start,
    grad_end,
):
    """Gradients of segment i, summed over its steps, first_step[first_piece[i]] to ...[first_piece[i + 1]].

    With d = end - start, r its length, c = dz/r: dc/dx = -c dx/r^2, likewise y; dc/dz = (dx^2 + dy^2)/r^3; 0 for r = 0
    """
    total = type(start[i, 0])(0.0)
    for step in range(first_step[first_piece[i]], first_step[first_piece[i + 1]]):
        total += grad_step_cos[step]
    cos_adjoint(start, end, i, total, i, grad_start, grad_end)

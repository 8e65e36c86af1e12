"""Kernels in plain Python, and their adjoints, to try a tape with."""

import numpy as np


class Plain:
    """A kernel in plain Python: `body(threads, **arguments)`."""

    def __init__(self, name, arguments, outputs, body, work=()):
        self.name, self.arguments, self.outputs, self.work, self.body = name, arguments, outputs, work, body

    def __call__(self, threads, /, **arrays):
        self.body(threads, **arrays)


def product(threads, x, y, z):
    z[...] = x * y


def product_adjoint(threads, x, y, grad_z, grad_x, grad_y):
    grad_x += grad_z * y
    grad_y += grad_z * x


def scale(threads, x, factor, z):
    z[...] = factor[0] * x


def scale_adjoint(threads, x, factor, unused, grad_z, grad_x, grad_factor):
    assert grad_factor.shape == (threads,)
    grad_x += factor[0] * grad_z
    for i in range(threads):
        grad_factor[i] += np.sum(grad_z[i::threads] * x[i::threads])


multiply = Plain("multiply", ("x", "y", "z"), ("z",), product)
rescale = Plain("rescale", ("x", "factor", "z"), ("z",), scale)


def copy_adjoint(threads, grad_z, grad_x):
    grad_x[...] = grad_z  # whatever it held before


def square(threads, x, half, z):
    half[...] = 0.5 * x
    z[...] = 2.0 * x * half


def square_adjoint(threads, x, twice, grad_z, grad_x):
    twice[...] = 2.0 * x
    grad_x += twice * grad_z

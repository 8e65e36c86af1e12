import pytest
from toy_kernels import Plain, multiply, product_adjoint, rescale, scale_adjoint, square, square_adjoint

from lartpc.adjoint.pairs import ADJOINTS, Adjoint


@pytest.fixture
def ran_adjoints(monkeypatch):
    """The two kernels in the table of adjoints; returns the names of the adjoints that ran."""
    ran = []

    def adjoint(name, body, arguments, outputs):
        def run(threads, **arrays):
            ran.append(name)
            body(threads, **arrays)

        return Plain(f"{name}_adjoint", arguments, outputs, run)

    arguments = ("x", "y", "grad_z", "grad_x", "grad_y")
    both = adjoint("multiply", product_adjoint, arguments, ("grad_x", "grad_y"))
    arguments = ("x", "factor", "unused", "grad_z", "grad_x", "grad_factor")
    shared = adjoint("rescale", scale_adjoint, arguments, ("grad_x", "grad_factor"))
    monkeypatch.setitem(ADJOINTS, multiply, Adjoint(both))
    monkeypatch.setitem(ADJOINTS, rescale, Adjoint(shared, shared=("factor",), row="row"))
    return ran


@pytest.fixture
def working(monkeypatch):
    """z = x^2, by way of x/2 in `half`; its adjoint works in `twice`."""
    forward = Plain("square", ("x", "half", "z"), ("z",), square, work=("half",))
    back = Plain("square_adjoint", ("x", "twice", "grad_z", "grad_x"), ("grad_x",), square_adjoint, work=("twice",))
    monkeypatch.setitem(ADJOINTS, forward, Adjoint(back))
    return forward

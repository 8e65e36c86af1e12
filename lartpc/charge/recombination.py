"""The models of recombination: one row each, which command line, checks, messages and documentation read."""

from __future__ import annotations

from typing import NamedTuple

from lartpc.kernels.charge.models import BIRKS, BOX


class Recombination(NamedTuple):
    """One model: R, the fraction of electrons that escape, at dE/dx [MeV/cm], field E [kV/cm] and density [g/cm^3]."""

    name: str
    number: int  # in `quench`
    parameters: tuple[str, ...]  # that act with this model, and not with every other
    formula: str
    source: str


RECOMBINATION = {
    row.name: row
    for row in (
        Recombination(
            "birks",
            BIRKS,
            ("Ab", "kb"),
            "R = Ab/(1 + kb dEdx/(E lArDensity))",
            "Amoruso et al., NIM A 523 (2004) 275",
        ),
        Recombination(
            "box",
            BOX,
            ("alpha", "beta"),
            "R = ln(alpha + xi)/xi, xi = beta dEdx/(E lArDensity), 0 <= R <= 1",
            "Acciarri et al., JINST 8 (2013) P08005",
        ),
    )
}


def idle(name: str) -> set[str]:
    """The parameters of other models, which do not act with this one."""
    every = {parameter for row in RECOMBINATION.values() for parameter in row.parameters}
    return every - set(RECOMBINATION[name].parameters)

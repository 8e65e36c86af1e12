"""The models of recombination: one row each, which command line, checks, messages and documentation read."""

from __future__ import annotations

from typing import NamedTuple

from lartpc.kernels.charge.recombination import BIRKS, BOX, ELLIPSOID


class Recombination(NamedTuple):
    """One model: R, the fraction of electrons that escape, at dE/dx [MeV/cm], field E [kV/cm] and density [g/cm^3]."""

    name: str
    number: int  # in `quench`
    parameters: tuple[str, ...]  # that act with this model, and not with every other
    formula: str
    source: str
    by_angle: bool = False  # between track and field


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
            "R = ln(alpha + xi)/xi, xi = beta dEdx/(E lArDensity), 0 <= R <= 1, dEdx >= 1 MeV/cm",
            "Acciarri et al., JINST 8 (2013) P08005",
        ),
        Recombination(
            "ellipsoid",
            ELLIPSOID,
            ("alpha_emb", "beta_90", "R_anisotropy"),
            "R = ln(alpha_emb + xi)/xi, xi = beta_90 dEdx/(E lArDensity sqrt(sin^2 phi + cos^2 phi/R_anisotropy^2)), "
            "0 <= R <= 1, dEdx >= 1 MeV/cm, phi between track and field",
            "ICARUS, JINST 20 (2025) P01033",
            by_angle=True,
        ),
    )
}


def idle(name: str) -> set[str]:
    """The parameters of other models, which do not act with this one."""
    every = {parameter for row in RECOMBINATION.values() for parameter in row.parameters}
    return every - set(RECOMBINATION[name].parameters)

"""The models of recombination, by name."""

from __future__ import annotations

from lartpc.kernels.charge.quench import BIRKS, BOX

RECOMBINATION = {"birks": BIRKS, "box": BOX}

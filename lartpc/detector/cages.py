"""Wire planes of detectors: biases and gaps as published, in argon at their drift fields.

Biases are those that the experiments publish: of SBND, of DUNE's design with its grid plane, of MicroBooNE in operation
at 273 V/cm (not its design at 500), of ICARUS at Fermilab. All wires have a diameter of 150 um. Each cage has one
pitch, that of Wire-Cell's field responses: wires of real planes cross, and their pitches differ by up to 2 %.

DUNE has a grounded mesh one gap behind the collection wires. What is grounded behind those of the others (frames,
screens of light detectors, the cryostat) is no plane: 3 cm are assumed, with which the responses are nearest to
Wire-Cell's files for all three (docs/wires-response.md).
"""

from __future__ import annotations

from lartpc.detector.cage import Cage, CagePlane

HEIGHT = 10.0  # [cm]
RADIUS = 0.0075  # [cm]
GROUND = 3.0  # [cm], assumed


def three_planes(biases: tuple[float, float, float], field: float) -> Cage:
    """Planes of 3 mm pitch, 3 mm apart; `biases` [V] in the order in which electrons pass them, `field` [kV/cm]."""
    planes = tuple(CagePlane(*one) for one in zip((0.6, 0.3, 0.0), (0.3, 0.3, 0.3), biases, strict=True))
    return Cage(planes, field, HEIGHT, RADIUS, GROUND)


def with_grid() -> Cage:
    """DUNE's: a grid plane before the first induction plane, gaps of 4.76 mm."""
    gap, pitch = 0.476, 0.471
    grid = CagePlane(3.0 * gap, pitch, -665.0, read=False)
    planes = (CagePlane(2.0 * gap, pitch, -370.0), CagePlane(gap, pitch, 0.0), CagePlane(0.0, pitch, 820.0))
    return Cage((grid, *planes), 0.5, HEIGHT, RADIUS, gap)


CAGES = {
    "sbnd": three_planes((-200.0, 0.0, 440.0), 0.5),
    "microboone": three_planes((-110.0, 0.0, 230.0), 0.273),
    "icarus": three_planes((-250.0, -30.0, 250.0), 0.5),
    "dune-fd1": with_grid(),
}

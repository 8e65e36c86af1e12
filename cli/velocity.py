"""lartpc velocity: the drift velocity from the hits of muons through cathodes."""

import click

from lartpc import InputError
from lartpc.cli.question import Question, question_options


@click.command(epilog="Example: lartpc velocity hits.h5 -o velocity")
@question_options
def velocity(context, hits, output, detector, layout, fitted, changes, constrain, overwrite, **options):
    """The drift velocity and field, from muons that cross a cathode in HITS, a file of hits or of packets.

    By a joint fit of the field of each module and of all tracks; beside it the velocity at which lines are straight.
    The velocity follows from field and temperature. Other parameters are those given, or with an error those of
    --constrain. Writes velocity.json and velocity.png into DIR. Exit code 1 where the result is not to be used.
    """
    asked = Question.of(context, hits, output, detector, layout, fitted, changes, constrain, overwrite, options)
    given, chosen = asked.simulation.parameters, asked.simulation.detector
    if given.vdrift is not None:
        raise InputError("vdrift: is set, allowed is a velocity that follows from eField")

    from lartpc.plots.velocity import velocity_figure
    from lartpc.reconstruction.drift import crossing_in, name_of, quick_estimates, result_of_velocity

    target, _ = asked.target.usable(chosen)
    quick = quick_estimates(target.hits, chosen, given, asked.setting["t0"].centre)
    if not quick:
        raise InputError(f"{hits}: no track crosses a cathode that two TPCs share")
    names = [name_of(one.module, chosen) for one in quick]
    start = {name: one.field for name, one in zip(names, quick, strict=True)} if chosen.n_modules > 1 else None
    joint = asked.fit(asked.unknowns(names, start), crossing_in)
    result = result_of_velocity(joint, quick, target.hits, chosen, given)
    asked.answer(result, lambda: velocity_figure(result))

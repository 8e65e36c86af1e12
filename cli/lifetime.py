"""lartpc lifetime: the electron lifetime from the hits of fast muons."""

import click

from lartpc.cli.question import ASKED, Question, question_options


@click.command(epilog="Example: lartpc lifetime hits.h5 -o lifetime")
@question_options
def lifetime(context, hits, output, detector, layout, fitted, changes, constrain, overwrite, **options):
    """The electron lifetime, from muons that go through the TPCs in HITS, a file of hits or of packets.

    By a joint fit of it, of a factor of all charge (Ab, so that a wrong gain does no harm) and of all tracks, with what
    muons lose as Vavilov's distribution has it; beside it what the truncated means of charge per length say. Other
    parameters are those given, or with an error those of --constrain. Writes lifetime.json and lifetime.png into DIR.
    Exit code 1 where the result is not to be used.
    """
    asked = Question.of(context, hits, output, detector, layout, fitted, changes, constrain, overwrite, options)

    from lartpc.plots.lifetime import lifetime_figure
    from lartpc.reconstruction.lifetime import result_of_lifetime, through_in

    joint = asked.fit(asked.unknowns(ASKED["lifetime"]), through_in)
    result = result_of_lifetime(joint, asked.simulation.detector)
    asked.answer(result, lambda: lifetime_figure(result))

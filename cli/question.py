"""What commands share that answer one question from hits alone, by the joint fit of `lartpc calibrate HITS`."""

import functools
import json
import os
import shlex
import sys
import time
from typing import Any, NamedTuple

import click

from lartpc import InputError
from lartpc.cli.compare import simulation_of, simulation_options
from lartpc.cli.fitting import given_constraints, hits_alone, prepare
from lartpc.cli.hits import track_options
from lartpc.cli.info import versions
from lartpc.cli.options import overwrite_option, say, trust_option
from lartpc.cli.progress import announce_compilation, progress_bar


def question_options(command):
    """The decorator with the argument and options of `Question.of`."""
    options = (
        click.argument("hits"),
        click.option("-o", "--output", metavar="DIR", help="The folder to write numbers and a picture to."),
        simulation_options,
        click.option(
            "--constrain",
            multiple=True,
            metavar="NAME=VALUE+-ERROR|FILE",
            help="A parameter that is known to an error only, or those of a fit.json. May be repeated.",
        ),
        *track_options(),
        trust_option,
        overwrite_option,
        click.pass_context,
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), command)


class Question(NamedTuple):
    """What is asked, with all that is given for it."""

    name: str  # that of the command
    started: float
    folder: Any  # None where nothing is written
    simulation: Any
    target: Any
    constrain: tuple  # texts of --constrain
    setting: dict  # t0, t0_of and density of the fit
    chain: dict  # what is to be told of the simulation

    @staticmethod
    def of(context, hits, output, detector, layout, fitted, changes, constrain, overwrite, options):
        """The question of a command whose options are `question_options`."""
        started, name = time.perf_counter(), context.info_name
        folder = None if output is None else prepare(output, None, overwrite, results_of(name))
        simulation, chain = simulation_of(context, detector, layout, fitted, changes, options)

        from lartpc.fit.agreement import check_agreement, differences
        from lartpc.generator.transport import DENSITY
        from lartpc.parameters import TABLE
        from lartpc.reconstruction.reconstruct import KNOWN

        target = hits_alone(hits, simulation.detector, (detector, layout), options)
        check_agreement(target, simulation, list(TABLE))  # the parameters of data are not known
        told = name_of_constraints(constrain)
        for what, found, taken in differences(target, simulation, [*ASKED[name], *told]):
            say(f"{hits}: was simulated with {what} {found}, the fit takes {taken}")
        width, density = options["t0_width"], options["track_density"]
        setting = {
            "t0": KNOWN if width is None else KNOWN._replace(width=width),
            "t0_of": options["t0_of"],
            "density": DENSITY if density is None else density,
        }
        return Question(name, started, folder, simulation, target, constrain, setting, chain)

    def unknowns(self, names, start=None):
        """Those of `names`, and what --constrain names besides."""
        from lartpc.fit.runs import unknowns_of_runs

        fitted = list(dict.fromkeys((*names, *name_of_constraints(self.constrain))))
        constraints = given_constraints(self.constrain, fitted)
        return unknowns_of_runs([self.simulation], fitted, (), start, None, constraints)

    def fit(self, unknowns, finder):
        """The joint fit, with each step shown; the result as `calibrate HITS` has it."""
        from lartpc import calibrate_hits_of_runs
        from lartpc.reconstruction.calibrate import Journal
        from lartpc.reconstruction.result import result_of
        from lartpc.reconstruction.used import HitRun

        steps = []

        def report(phase, state, reduced, left, hits):
            steps.append(phase)
            shown = ", ".join(f"{name} {value:.5g}" for name, value in zip(unknowns.names, state.theta, strict=True))
            click.echo(f"{phase} {len(steps)}: F {state.value:.6g}, {left:.2g} errors to go; {shown}")

        announce_compilation(self.chain["device"])
        bar = functools.partial(progress_bar, doing="fitting tracks", unit="step")
        run = HitRun(self.simulation, self.target)
        journal = Journal(report=report, progress=bar)
        found = calibrate_hits_of_runs(
            [run], unknowns, particles=("muon",), journal=journal, finder=finder, **self.setting
        )
        return result_of(found)

    def answer(self, result, figure):
        """Print the result, write it with the picture that `figure` makes, and end with 1 where it is not good."""
        from lartpc.files.atomic import new_file
        from lartpc.plots.figure import write_figure

        click.echo(str(result))
        if self.folder is not None:
            more = {
                "versions": versions(),
                "command": shlex.join(["lartpc", *sys.argv[1:]]),
                "given": self.simulation.parameters.as_dict(),
                "detector": self.simulation.detector.name,
                **self.chain,
            }
            self.folder.mkdir(exist_ok=True)
            numbers, picture = results_of(self.name)
            with new_file(self.folder / numbers, overwrite=True) as path:
                path.write_text(json.dumps({**result.as_dict(), **more}, indent=1) + "\n")
            write_figure(self.folder / picture, figure())
            click.echo(f"{self.folder}: {numbers}, {picture}; ", nl=False)
        click.echo(f"{time.perf_counter() - self.started:.1f} s")
        if not result.good:
            sys.exit(1)


ASKED = {"lifetime": ("lifetime", "Ab"), "velocity": ("eField",)}  # what the commands fit


def results_of(name):
    """The files that a command writes."""
    return f"{name}.json", f"{name}.png"


def name_of_constraints(texts):
    """The parameters that --constrain names."""
    from lartpc.fit.fitfile import read_fit
    from lartpc.parameters import is_known

    names = []
    for text in texts:
        if os.path.isfile(text):
            names += read_fit(text, f"{text}: is no fit.json, allowed is one that lartpc calibrate writes")[0]
        else:
            names.append(text.partition("=")[0].strip())
            if not is_known(names[-1]):
                raise InputError(f"--constrain {text}: {names[-1]} is no parameter, allowed are those of lartpc info")
    return names

"""The command `lartpc`: its subcommands, and the one place where a failure becomes a line and an exit code."""

import errno
import signal
import sys
import threading

import click

from lartpc import InputError, __version__
from lartpc.cli.calibrate import calibrate
from lartpc.cli.compare import compare
from lartpc.cli.demo import demo
from lartpc.cli.forecast import forecast
from lartpc.cli.generate import generate
from lartpc.cli.gradcheck import gradcheck
from lartpc.cli.info import info
from lartpc.cli.lifetime import lifetime
from lartpc.cli.options import NOTES
from lartpc.cli.plot import plot
from lartpc.cli.reconstruct import reconstruct
from lartpc.cli.response import response
from lartpc.cli.scan import scan
from lartpc.cli.simulate import simulate
from lartpc.cli.thresholds import thresholds
from lartpc.cli.velocity import velocity

LONGEST = 300  # characters of a message


class Lartpc(click.Group):
    """A group whose failures are one line on stderr: exit code 2 for wrong input, 1 for a loss that is not finite,
    130 for an interrupt."""

    def get_command(self, context, name):
        return super().get_command(context, {"errors": "forecast"}.get(name, name))  # as older scripts call it

    def invoke(self, context):
        try:
            return self.in_order(context)
        except (SystemExit, click.ClickException) as end:
            if (end.code if isinstance(end, SystemExit) else end.exit_code) not in (0, 1):
                context.meta.pop(NOTES, None)  # a refusal is one line
            raise
        finally:
            for note in context.meta.get(NOTES, ()):
                click.echo(note, err=True)

    def in_order(self, context):
        """Invoke a command, or fail with one line."""
        try:
            return super().invoke(context)
        except InputError as failure:
            fail(failure, 2)
        except OSError as failure:
            if failure.errno == errno.EPIPE:  # the reader of stdout has gone: click ends quietly
                raise
            fail(f"{failure.filename}: {failure.strerror}" if failure.filename else failure, 2)
        except FloatingPointError as failure:
            fail(failure, 1)
        except MemoryError as failure:
            fail(f"not enough memory: {failure}", 2)
        except KeyboardInterrupt:
            fail("interrupted", 130)

    def main(self, *arguments, standalone_mode=True, **keywords):
        keep_memory()
        end_in_order()
        try:
            status = super().main(*arguments, standalone_mode=False, **keywords)
        except click.ClickException as failure:
            fail(failure.format_message(), 2)
        sys.exit(status if isinstance(status, int) else 0)


def keep_memory():
    """Let the C library keep up to 64 MB of freed memory instead of returning it, to be asked for again page by page.

    The GNU library does so once it has freed a block of a little less than 32 MB; elsewhere this has no effect. Only a
    command does it: a process that imports the library keeps its own ways.
    """
    bytes(2**25 - 2**13)


def end_in_order():
    """Let a request to end, as of a batch system or a terminal that closes, end a command as an interrupt does."""
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:  # not under nohup
                signal.signal(getattr(signal, name), signal.default_int_handler)


def fail(message, code):
    """Print one line, of bounded length whatever an input holds, and exit."""
    line = " ".join(f"lartpc: {message}".split())
    click.echo(line if len(line) < LONGEST else f"{line[: LONGEST - 4]} ...", err=True)
    sys.exit(code)


@click.group(
    cls=Lartpc,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Example: lartpc demo",
)
@click.version_option(__version__, prog_name="lartpc")
@click.pass_context
def main(context):
    """Simulation and calibration of liquid-argon time projection chambers with pixel readout."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


COMMANDS = (
    simulate,
    calibrate,
    compare,
    thresholds,
    scan,
    forecast,
    reconstruct,
    lifetime,
    velocity,
    generate,
    response,
    plot,
    info,
    gradcheck,
    demo,
)
for command in COMMANDS:
    main.add_command(command)

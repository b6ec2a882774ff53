"""The `dicebox` command: the group of all commands, and how its errors look."""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from commons.auth import key_from_env
from commons.errors import DiceboxError
from dicebox.commands.classifying import classify
from dicebox.commands.evolution import evolve
from dicebox.commands.genomes import genomes
from dicebox.commands.history import history
from dicebox.commands.images import import_images
from dicebox.commands.jobs import jobs
from dicebox.commands.keys import keys
from dicebox.commands.load import load
from dicebox.commands.networks import networks
from dicebox.commands.options import UrlType
from dicebox.commands.report import report
from dicebox.commands.runs import runs
from dicebox.commands.serving import demo, up
from dicebox.commands.snapshots import datasets, diff, export, freeze, snapshots
from dicebox.commands.storage import fsck, purge
from dicebox.commands.training import train
from dicebox.commands.workers import workers
from dicebox.connect import Place

_FAILED = 1
_WRONG_USAGE = 2
_INTERRUPTED = 130
_TERMINATED = 143
_LOOPBACK = "127.0.0.1,localhost,::1"

_HELP = """Labeled images in, a bred Keras network out, served.

\b
A first look:        dicebox demo
Your own images:     dicebox import photos/ --dataset photos
                     dicebox evolve --dataset photos --seconds 600
                     dicebox classify picture.jpg
How it went:         dicebox report --open
Page and services:   dicebox up
For other trainers:  dicebox freeze photos
                     dicebox export ID -o photos.tar

Every command works on one data folder (--data) or one server (--url), both given before the
command's name. If `dicebox up` serves the folder the command talks to it, otherwise it opens
the folder itself, and `evolve` and `train` run the services for as long as they take. A server
that asks for a key gets the one in $DICEBOX_KEY, or in the file that $DICEBOX_KEY_FILE names.

Progress goes to standard error, results to standard output. The exit code is 0 for success, 1
for failure, 2 for wrong usage, 130 for Ctrl-C.
"""


class _InOrder(click.Group):
    """Lists its commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names as they were added."""
        return list(self.commands)


@click.group(
    cls=_InOrder,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--data",
    envvar="DICEBOX_DATA",
    default="./dicebox-data",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with everything an embedded Dicebox keeps ($DICEBOX_DATA).",
)
@click.option(
    "--url",
    envvar="DICEBOX_URL",
    type=UrlType(),
    metavar="URL",
    help="A running Dicebox instead, such as http://127.0.0.1:8000 ($DICEBOX_URL).",
)
@click.version_option(package_name="dicebox")
@click.pass_context
def dicebox(context: click.Context, data: Path, url: str | None) -> None:
    """Say where the commands work; the help is above."""
    context.obj = Place(data, url, key_from_env(os.environ))


for command in (
    demo,
    up,
    import_images,
    evolve,
    train,
    classify,
    history,
    jobs,
    networks,
    runs,
    workers,
    genomes,
    report,
    datasets,
    freeze,
    snapshots,
    diff,
    export,
    load,
    keys,
    fsck,
    purge,
):
    dicebox.add_command(command)


def main(*, interruptible: bool = False) -> None:
    """Run the command and end the process; an error is one line that says what to do.

    The exit code is 0 for success, 1 for failure, 2 for bad usage, 130 for Ctrl-C.

    Args:
        interruptible: From here on Ctrl-C is for the command to end in order.
    """
    logging.basicConfig(level=logging.WARNING, format="dicebox: %(message)s")
    # What is tried again is nobody's business before it fails for good.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    _leave_proxies_out()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run()
    except KeyboardInterrupt:  # once more, while the first one was being told
        code = _tell("interrupted", _INTERRUPTED)
    # From here on there is nothing to interrupt, and Python would say so with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if code == _INTERRUPTED:
        # An interrupt that comes in an `eval`, such as that of a named tuple, has CPython end
        # itself by SIGINT at exit, although it was caught.
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command, those of this process by default, and return its exit code."""
    try:
        code = dicebox.main(arguments, prog_name="dicebox", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else _FAILED
    except BrokenPipeError:
        # Whoever read our output has enough of it; Python must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except (Exception, KeyboardInterrupt) as error:  # the outermost frame of the process
        code = _tell(*_explained(error))
        if os.environ.get("DICEBOX_TRACEBACK"):
            traceback.print_exception(error)
    return code or 0


def _tell(message: str, code: int) -> int:
    click.echo(f"dicebox: {' '.join(message.split())}", err=True)
    return code


def _explained(error: BaseException) -> tuple[str, int]:
    """Return what to say about an error, and the exit code."""
    code = _FAILED
    match error:
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "dicebox"
            message, code = f"{error.format_message()} (see {path} --help)", _WRONG_USAGE
        case click.ClickException():
            message = error.format_message()
        case click.Abort() | KeyboardInterrupt():
            message, code = "interrupted", _INTERRUPTED
        case DiceboxError():
            message = str(error)
        case OSError():
            message = f"{error.filename or 'the system'}: {error.strerror or error}"
        case _:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            message = (
                f"this is a bug in Dicebox: {type(error).__name__}: {error} ({where}); "
                "DICEBOX_TRACEBACK=1 shows all of it"
            )
    return message, code


def _leave_proxies_out() -> None:
    """Have this process and its children reach this machine directly, whatever proxy is set."""
    for name in ("NO_PROXY", "no_proxy"):
        given = os.environ.get(name)
        os.environ[name] = f"{given},{_LOOPBACK}" if given else _LOOPBACK


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    # The first signal unwinds what runs; a second must not disturb that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(_TERMINATED)

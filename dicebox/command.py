"""The `dicebox` command: the group of all commands, and how its errors look."""

import logging
import sys
from pathlib import Path

import click

from commons.errors import DiceboxError
from dicebox.commands.evolution import evolve, runs, train
from dicebox.commands.images import import_images
from dicebox.commands.networks import classify, networks
from dicebox.commands.serving import demo, up
from dicebox.connect import Place

_FAILED = 1
_WRONG_USAGE = 2
_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--data",
    envvar="DICEBOX_DATA",
    default="./dicebox-data",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with everything an embedded Dicebox keeps ($DICEBOX_DATA).",
)
@click.option("--url", envvar="DICEBOX_URL", help="A running Dicebox instead ($DICEBOX_URL).")
@click.version_option(package_name="dicebox")
@click.pass_context
def dicebox(context: click.Context, data: Path, url: str | None) -> None:
    r"""Labeled images in, a bred Keras network out, served.

    \b
    A first look:        dicebox demo
    Your own images:     dicebox import photos/ --dataset photos
                         dicebox evolve --dataset photos --seconds 600
                         dicebox classify picture.jpg
    Page and services:   dicebox up

    Every command works on one data folder (--data) or one server (--url). If `dicebox up`
    serves the folder the command talks to it, otherwise it opens the folder itself.
    """
    context.obj = Place(data, url)


for command in (demo, up, import_images, evolve, train, classify, networks, runs):
    dicebox.add_command(command)


def main() -> None:
    """Run the command; an error is one line that says what to do.

    The exit code is 0 for success, 1 for failure, 2 for bad usage, 130 for Ctrl-C.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        sys.exit(dicebox.main(standalone_mode=False))
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "dicebox"
        _say(f"{error.format_message()} (see {path} --help)")
        sys.exit(_WRONG_USAGE)
    except click.ClickException as error:
        _say(error.format_message())
        sys.exit(_FAILED)
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        sys.exit(_INTERRUPTED)
    except DiceboxError as error:
        _say(str(error))
        sys.exit(_FAILED)
    except OSError as error:
        _say(f"{error.filename or 'the system'}: {error.strerror or error}")
        sys.exit(_FAILED)


def _say(message: str) -> None:
    click.echo(f"dicebox: {' '.join(message.split())}", err=True)

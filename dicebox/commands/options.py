"""Options that several commands share, and how their values are read."""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

import click
import httpx
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from commons.messages import DatasetName, PromotePolicy, ResizePolicy, RunRequest
from commons.training import shape_from_text
from commons.worker_messages import EngineKind

Function = TypeVar("Function", bound=Callable[..., Any])
_DATASET = TypeAdapter[str](DatasetName)


class ShapeType(click.ParamType[tuple[int, int, int]]):
    """Height, width and channels, written 28x28x1."""

    name = "HxWxC"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int]:
        """Return (height, width, channels)."""
        if isinstance(value, tuple):
            height, width, channels = value
            return height, width, channels
        try:
            return shape_from_text(str(value))
        except ValueError as error:
            self.fail(f"{error}, got {value!r}", param, ctx)


class DatasetType(click.ParamType[str]):
    """The name of a dataset."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        try:
            return _DATASET.validate_python(value)
        except ValidationError:
            self.fail(
                f"expected small letters, digits, - and _, at most 63 of them, got {value!r}",
                param,
                ctx,
            )


class UrlType(click.ParamType[str]):
    """The address of a server."""

    name = "URL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address."""
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL:
            url = httpx.URL()
        if url.scheme not in ("http", "https") or not url.host:
            self.fail(f"expected an address like http://127.0.0.1:8000, got {value!r}", param, ctx)
        return str(value)


class ListingGroup(click.Group):
    """A group that means `list` where no command of its own is named, options of that or not."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` where it is meant."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


LONGEST_S = 30 * 86400.0
_LONGEST_COMMAND = 4000
_WIDE = 10_000

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object as the last line."
)
shape_option = click.option(
    "--shape",
    type=ShapeType(),
    metavar="HxWxC",
    help="Input size, such as 28x28x1; default: the median size of the images, at most 64x64.",
)
resize_option = click.option(
    "--resize",
    type=click.Choice(get_args(ResizePolicy)),
    default="fit",
    show_default=True,
    help="Stretch, pad with black, or cut to the input size.",
)


def promote_option(default: PromotePolicy) -> Callable[[Function], Function]:
    """Return the option that says whether a new network answers."""
    return click.option(
        "--promote",
        type=click.Choice(get_args(PromotePolicy)),
        default=default,
        show_default=True,
        help="Whether the network answers. Auto: at once where none does yet; else it is compared "
        "with the champion on the newest snapshot's validation images and answers unless it is "
        "worse there (exact McNemar test, 5 %). Canary: it answers a tenth of the requests until "
        "it is better or worse on these images (e-value of 20), fails, or two weeks are over.",
    )


seed_option = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Another seed makes other choices.",
)
engine_option = click.option(
    "--engine",
    type=click.Choice(get_args(EngineKind)),
    help="Who trains: workers on this machine (local, the default), or those that take trainings "
    "from a broker (celery; its address is in $DICEBOX_BROKER_URL or $BROKER_URL_FILE). "
    "$DICEBOX_ENGINE says the same.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Trainings at once; default: one a processor core, or all trainers there are.",
)


def print_json(value: Any) -> None:
    """Print one JSON value as the last line of standard output."""
    click.echo(json.dumps(value))


def print_table(table: Table) -> None:
    """Print a table, on a terminal within its width; what is read by programs is never wrapped."""
    width = None if sys.stdout.isatty() else _WIDE
    Console(highlight=False, markup=False, width=width).print(table)


def split_names(value: str | None) -> list[str] | None:
    """Return the names of a comma-separated list."""
    if value is None:
        return None
    return [name.strip() for name in value.split(",") if name.strip()]


def typed_command() -> str:
    """Return the command as it was typed, for the card of what comes of it."""
    return shlex.join(["dicebox", *sys.argv[1:]])[:_LONGEST_COMMAND]


def given(request: dict[str, Any], null: Sequence[str] = ()) -> RunRequest:
    """Return a run request with what was given; the rest keeps its default.

    Args:
        request: What was given, None where nothing was.
        null: Where None is what was given.

    Raises:
        UsageError: A value that the options let through is none for a run.
    """
    try:
        return RunRequest.model_validate(
            {name: value for name, value in request.items() if value is not None or name in null}
        )
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise click.UsageError(first["msg"].removeprefix("Value error, ")) from error
        where = str(first["loc"][0]).replace("_", "-")
        raise click.UsageError(f"--{where}: {first['msg']}, got {first['input']!r}") from error

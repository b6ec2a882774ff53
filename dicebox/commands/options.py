"""Options that several commands share, and how their values are read."""

import json
from typing import Any

import click

from commons.messages import RunRequest


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
        parts = str(value).lower().split("x")
        if len(parts) != 3 or not all(part.isdigit() for part in parts):  # noqa: PLR2004
            self.fail(f"expected a shape like 28x28x1, got {value!r}", param, ctx)
        height, width, channels = map(int, parts)
        if not (1 <= height <= 1024 and 1 <= width <= 1024 and channels in (1, 3)):  # noqa: PLR2004
            self.fail(f"expected 1..1024 x 1..1024 x 1 or 3, got {value!r}", param, ctx)
        return height, width, channels


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
shape_option = click.option(
    "--shape", type=ShapeType(), help="Input size; default: the median size, at most 64x64."
)


def print_json(value: Any) -> None:
    """Print one JSON value as the last line of standard output."""
    click.echo(json.dumps(value))


def split_names(value: str | None) -> list[str] | None:
    """Return the names of a comma-separated list."""
    if value is None:
        return None
    return [name.strip() for name in value.split(",") if name.strip()]


def given(request: dict[str, Any]) -> RunRequest:
    """Return a run request with what was given; the rest keeps its default."""
    return RunRequest(**{name: value for name, value in request.items() if value is not None})

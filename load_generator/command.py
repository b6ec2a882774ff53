"""The command line: how much is offered to whom, and what is told of it."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from commons.auth import authorization, key_from_env
from commons.errors import DiceboxError, InvalidInputError
from load_generator.adapters.sender import Sender
from load_generator.report import LoadReport, as_text, report_of
from load_generator.schedule import Arrivals, Step, due_times
from load_generator.target import target_of

_CLASSIFY = "/api/classification/v1/classify"
_MOST = 20_000_000

_OPTIONS = (
    click.option(
        "--image",
        required=True,
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="What is sent; several are sent in turn.",
    ),
    click.option(
        "--rate",
        required=True,
        type=click.FloatRange(0, 1_000_000, min_open=True),
        metavar="N",
        help="Requests a second.",
    ),
    click.option(
        "--seconds",
        default=10.0,
        show_default=True,
        type=click.FloatRange(0, 86_400, min_open=True),
        metavar="S",
        help="For so long.",
    ),
    click.option(
        "--arrivals",
        default="poisson",
        show_default=True,
        type=click.Choice(["poisson", "constant"]),
        help="As independent clients come, or at equal distances.",
    ),
    click.option(
        "--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the arrivals."
    ),
    click.option(
        "--connections",
        default=1024,
        show_default=True,
        type=click.IntRange(1, 60_000),
        metavar="N",
        help="The most at once; with all of them waiting the run becomes INVALID.",
    ),
    click.option(
        "--timeout-s",
        default=10.0,
        show_default=True,
        type=click.FloatRange(0, 3600, min_open=True),
        metavar="S",
        help="A request is given up so long after it was due.",
    ),
    click.option(
        "--within-ms",
        type=click.FloatRange(0, min_open=True),
        metavar="MS",
        help="A later answer is no good one.",
    ),
    click.option("--dataset", metavar="NAME", help="Whose champion is asked."),
    click.option("--network", metavar="ID", help="Which network is asked."),
    click.option(
        "--header", multiple=True, metavar="'NAME: VALUE'", help="Sent with every request."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


@dataclass(frozen=True)
class Asked:
    """What one run was asked for; see the options of the command."""

    image: tuple[Path, ...]
    rate: float
    seconds: float
    arrivals: Arrivals
    seed: int
    connections: int
    timeout_s: float
    within_ms: float | None
    dataset: str | None
    network: str | None
    header: tuple[str, ...]


def offer(url: str, key: str | None, asked: Asked) -> LoadReport:
    """Return how a service fared under the load that was asked for.

    Raises:
        InvalidInputError: The address, a header or the number of requests is none.
        UnavailableError: The host has no address, or the system gives us no connection.
    """
    if asked.rate * asked.seconds > _MOST:
        raise InvalidInputError(f"expected at most {_MOST:,} requests in one run")
    query = {"dataset": asked.dataset, "network": asked.network}
    target = target_of(
        url,
        [file.read_bytes() for file in asked.image],
        path=_CLASSIFY,
        query={name: value for name, value in query.items() if value is not None},
        headers={**authorization(key), **_headers(asked.header)},
    )
    steps = [Step(asked.rate, asked.seconds)]
    due = due_times(np.random.default_rng(asked.seed), steps, asked.arrivals)
    sender = Sender(target, connections=asked.connections, timeout_s=asked.timeout_s)
    outcomes = sender.run(due, _progress(len(due)))
    return report_of(outcomes, asked.seconds, asked.arrivals, within_ms=asked.within_ms)


def show(report: LoadReport, *, as_json: bool) -> None:
    """Print the report; an INVALID run ends the command with 1."""
    click.echo(report.model_dump_json() if as_json else as_text(report))
    if not report.valid:
        raise SystemExit(1)


def load_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a run, each a field of `Asked`, and `--json`."""
    for option in reversed(_OPTIONS):
        option(command)
    return command


@click.command("load_generator", context_settings={"max_content_width": 100})
@click.option("--url", required=True, metavar="URL", help="Such as http://127.0.0.1:8003.")
@load_options
def main(url: str, as_json: bool, **asked: Any) -> None:
    """Offer a service so many requests a second, and say how they fared.

    The key comes from $DICEBOX_KEY, or from the file that $DICEBOX_KEY_FILE names.
    """
    try:
        report = offer(url, key_from_env(os.environ), Asked(**asked))
    except DiceboxError as error:
        raise click.ClickException(str(error)) from error
    show(report, as_json=as_json)


def _headers(lines: tuple[str, ...]) -> Mapping[str, str]:
    pairs = [line.partition(":") for line in lines]
    if any(not colon or not name.strip() for name, colon, _ in pairs):
        raise InvalidInputError("expected headers as `Name: value`")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _progress(planned: int) -> Callable[[int, int], None]:
    if not sys.stderr.isatty():
        return lambda _sent, _ended: None
    return lambda sent, ended: click.echo(
        f"{sent:,} of {planned:,} sent, {ended:,} ended", err=True
    )

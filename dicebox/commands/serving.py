"""`dicebox up` and `dicebox demo`."""

import signal
import threading

import click

from commons.messages import RunRequest
from dicebox.commands.options import as_json, print_json
from dicebox.connect import Place, connect_to_workers
from dicebox.data_folder import DataFolder
from dicebox.demo import DATASET, run_demo, show_result
from dicebox.house import DEFAULT_PORT, House
from dicebox.run_display import progress_console

_port = click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the page and the API; 0 takes a free one.",
)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@_port
@click.pass_obj
def up(place: Place, host: str, port: int) -> None:
    """Serve page, API and workers of one data folder until Ctrl-C."""
    if place.url:
        raise click.UsageError("up serves a data folder: leave --url out")
    with House(DataFolder(place.data), host=host, port=port) as house:
        click.echo(f"Dicebox serves {place.data} at {house.url} (Ctrl-C ends it)")
        wait_for_signal()


@click.command()
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1.0),
    help="Wall-clock budget of the evolution.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Trainings at once [default: cores].")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@_port
@click.option("--exit", "leave", is_flag=True, help="End when all is done: 0 if it went well.")
@as_json
@click.pass_obj
def demo(
    place: Place,
    seconds: float,
    workers: int | None,
    seed: int,
    port: int,
    leave: bool,
    as_json: bool,
) -> None:
    """Send 1,797 scanned digits in, breed a network, serve it and measure it.

    Everything goes through the REST API; every number printed is measured in this run. The
    test images are not seen before the last step.
    """
    console = progress_console()
    request = RunRequest(dataset=DATASET, seconds=seconds, workers=workers, seed=seed)
    with connect_to_workers(place, port) as client:
        console.print(f"Dicebox serves {place.url or place.data} at [bold]{client.url}[/]")
        result = run_demo(client, request, console)
        show_result(result, console)
        if as_json:
            print_json(result.as_json())
        if not leave:
            console.print(f"\nOpen [bold]{client.url}[/] to look around. Ctrl-C ends it.")
            wait_for_signal()


def wait_for_signal() -> None:
    """Return when SIGTERM or Ctrl-C comes."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()

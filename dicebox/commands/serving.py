"""`dicebox up` and `dicebox demo`."""

import queue
import signal

import click

from commons.adapters.key_guard import KeyPolicy
from dicebox.commands.options import (
    LONGEST_S,
    as_json,
    engine_option,
    given,
    print_json,
    seed_option,
    workers_option,
)
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
    metavar="PORT",
    help="Port of the page and the API; 0 takes a free one.",
)


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; other than a loopback address only if there is a key.",
)
@_port
@click.option(
    "--keys",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "required"]),
    help="auto asks this machine for a key once the first one is made.",
)
@engine_option
@as_json
@click.pass_obj
def up(
    place: Place, host: str, port: int, keys: KeyPolicy, engine: str | None, as_json: bool
) -> None:
    """Serve page, API and workers of one data folder until Ctrl-C.

    Prints the address when every service is ready. What the services log is in `logs/` of the
    data folder. A service that dies is started again.
    """
    if place.url:
        raise click.UsageError("up serves a data folder: leave --url ($DICEBOX_URL) out")
    folder = DataFolder(place.data)
    with House(folder, host=host, port=port, keys=keys, engine=engine) as house:
        if as_json:
            print_json({"url": house.url, "data": str(place.data.absolute())})
        else:
            click.echo(f"Dicebox serves {place.data} at {house.url} (Ctrl-C ends it)")
            if house.engine == "celery":
                click.echo(
                    "It trains nothing itself: `python -m trainer.worker` does, on any machine;"
                    " `dicebox workers` lists them."
                )
        wait_for_signal()


@click.command(short_help="See all of it on scanned digits.")
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1.0, LONGEST_S),
    metavar="S",
    help="Wall-clock budget of the evolution.",
)
@workers_option
@seed_option
@engine_option
@_port
@click.option("--exit", "leave", is_flag=True, help="End when all is done, with 0 if it went well.")
@as_json
@click.pass_obj
def demo(
    place: Place,
    seconds: float,
    workers: int | None,
    seed: int,
    engine: str | None,
    port: int,
    leave: bool,
    as_json: bool,
) -> None:
    """Send 1,797 scanned digits in, breed a network, serve it and measure it.

    Everything goes through the REST API; every number printed is measured in this run. The
    test images are not seen before the last step. Then it keeps serving until Ctrl-C.
    """
    console = progress_console()
    request = given({"dataset": DATASET, "seconds": seconds, "workers": workers, "seed": seed})
    with connect_to_workers(place, port, engine) as client:
        console.print(
            f"Dicebox serves {place.url or place.data} at [bold]{client.url}[/]", soft_wrap=True
        )
        result = run_demo(client, request, console)
        show_result(result, console)
        if as_json:
            print_json(result.as_json())
        if not leave:
            console.print(f"\nOpen [bold]{client.url}[/] to look around. Ctrl-C ends it.")
            wait_for_signal()


def wait_for_signal() -> None:
    """Return when SIGTERM or Ctrl-C comes."""
    # An event would deadlock where a second signal comes while the first one sets it.
    came = queue.SimpleQueue[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: came.put(number))
    came.get()

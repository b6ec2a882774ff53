"""Runs and trainings as they go, on a terminal."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import Progress, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from commons.errors import DiceboxError
from commons.messages import Run, RunRequest, WorkerActivity
from commons.training import TrainProgress
from dicebox.client import Client

_POLL_S = 0.25
_LINE_EVERY_S = 10.0
ENDED = frozenset({"complete", "failed", "stopped", "interrupted"})


def progress_console() -> Console:
    """Return where progress goes: standard error, so that results alone are on standard output."""
    return Console(file=sys.stderr, highlight=False)


def watch_run(client: Client, run_id: str, console: Console) -> Run:
    """Show a run until it ends and return it: live on a terminal, else a line now and then."""
    if not console.is_terminal:
        return _follow(client, run_id, _line_printer(console))
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        return _follow(client, run_id, lambda run: live.update(render_run(run)))


@contextmanager
def started_run(client: Client, request: RunRequest) -> Iterator[Run]:
    """Start a run and give it; Ctrl-C in the block, or while it starts, has it stopped."""
    run: Run | None = None
    try:
        with _ctrl_c_afterwards():
            run = client.evolution.start(request)
        yield run
    except KeyboardInterrupt:
        if run is not None:
            # Nobody would wait for it, and it would keep the next one waiting.
            with suppress(DiceboxError):
                client.evolution.stop(run.id)
        raise


@contextmanager
def _ctrl_c_afterwards() -> Iterator[None]:
    """Put off a Ctrl-C to the end of the block, where it is known what was begun."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


@contextmanager
def training_bar(console: Console) -> Iterator[Callable[[TrainProgress], None]]:
    """Give a function that shows a training: as a bar on a terminal, else a line an epoch."""
    if not console.is_terminal:
        yield lambda progress: console.print(
            f"epoch {progress.epoch} of {progress.epochs}: {_percent(progress.accuracy)} of "
            f"validation after {progress.seconds:.1f} s",
            soft_wrap=True,
        )
        return
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[accuracy]}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("Training", total=None, accuracy="")

        def report(progress: TrainProgress) -> None:
            accuracy = f"{_percent(progress.accuracy)} of validation"
            bar.update(task, completed=progress.epoch, total=progress.epochs, accuracy=accuracy)

        yield report


def _follow(client: Client, run_id: str, show: Callable[[Run], None]) -> Run:
    while True:
        run = client.evolution.run(run_id)
        show(run)
        if run.state in ENDED:
            return run
        time.sleep(_POLL_S)


def _line_printer(console: Console) -> Callable[[Run], None]:
    shown = {"at": -_LINE_EVERY_S, "phase": ""}

    def show(run: Run) -> None:
        progress, now = run.progress, time.monotonic()
        due = now - float(shown["at"]) >= _LINE_EVERY_S  # type: ignore[arg-type]
        if not due and progress.phase == shown["phase"] and run.state not in ENDED:
            return
        shown.update(at=now, phase=progress.phase)
        console.print(
            f"{progress.phase}: {progress.seconds_left:.0f} s left, "
            f"{progress.evaluated} trained of {progress.births} born, "
            f"best {_percent(progress.best)}, median {_percent(progress.median)}",
            soft_wrap=True,
        )

    return show


def render_run(run: Run) -> RenderableType:
    """Return the live picture of a run."""
    progress = run.progress
    parts: list[RenderableType] = [_clock(run), _figures(run), _workers(progress.workers)]
    if progress.best_genome:
        parts.append(Text.assemble(("best  ", "bold"), (progress.best_genome, "green")))
    shape = "x".join(map(str, run.shape)) if run.shape else "?"
    title = f"[bold]{run.request.dataset}[/] {shape}  run {run.id}"
    return Panel(
        Group(*parts), title=title, title_align="left", border_style="cyan", padding=(0, 1)
    )


def _clock(run: Run) -> RenderableType:
    progress, total = run.progress, run.request.seconds
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1)
    row.add_column(justify="right")
    bar = ProgressBar(total=total, completed=min(progress.seconds, total), complete_style="cyan")
    left = f"{progress.phase}, {progress.seconds_left:.0f} s left"
    row.add_row(bar, Text(left, style="bold"))
    return row


def _figures(run: Run) -> RenderableType:
    progress = run.progress
    row = Table.grid(padding=(0, 3))
    cells = [
        f"born [bold]{progress.births}[/]",
        f"trained [bold]{progress.evaluated}[/]",
        f"failed [bold]{progress.failed}[/]",
        f"best [bold green]{_percent(progress.best)}[/]",
        f"median [bold]{_percent(progress.median)}[/]",
    ]
    if progress.candidates_per_minute is not None:
        cells.append(f"[bold]{progress.candidates_per_minute:.1f}[/] a minute")
    row.add_row(*cells)
    return row


def _workers(workers: list[WorkerActivity]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for worker in workers:
        doing = worker.genome or "starting" if worker.individual else "idle"
        number = f"#{worker.individual}" if worker.individual else ""
        epoch = f"epoch {worker.epoch}/{worker.epochs}" if worker.epoch else ""
        accuracy = _percent(worker.accuracy) if worker.accuracy is not None else ""
        table.add_row(
            Text(worker.name, style="dim"),
            number,
            Text(doing, no_wrap=True, overflow="ellipsis"),
            epoch,
            accuracy,
        )
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"

"""Runs and trainings as they go, on a terminal."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from commons.errors import DiceboxError
from commons.messages import (
    FrontPoint,
    Run,
    RungProgress,
    RunProgress,
    RunRequest,
    WorkerActivity,
)
from commons.training import TrainProgress
from dicebox.client import Client

_POLL_S = 0.25
_LINE_EVERY_S = 10.0
# Of a fleet no more fit on a screen; `dicebox workers` lists them all.
_SHOWN_WORKERS = 12
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
    with _begun(client, lambda: client.evolution.start(request)) as run:
        yield run


@contextmanager
def resumed_run(client: Client, run_id: str) -> Iterator[Run]:
    """Go on with a run and give it; Ctrl-C as above."""
    with _begun(client, lambda: client.evolution.resume(run_id)) as run:
        yield run


@contextmanager
def _begun(client: Client, begin: Callable[[], Run]) -> Iterator[Run]:
    run: Run | None = None
    try:
        with _ctrl_c_afterwards():
            run = begin()
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


class TrainingLines:
    """`trainer.standalone.Display` where nobody looks: a line for each epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def fetched(self, here: int, every: int) -> None:
        """Say so once all examples are here."""
        if here == every:
            self.say(f"{every:,} examples are here")

    def trained(self, progress: TrainProgress) -> None:
        """Print the epoch."""
        self.say(
            f"epoch {progress.epoch} of {progress.epochs}: {_percent(progress.accuracy)} of "
            f"validation after {progress.seconds:.1f} s"
        )

    def say(self, sentence: str) -> None:
        """Print a sentence."""
        self._console.print(sentence, soft_wrap=True, markup=False)


class TrainingBar(TrainingLines):
    """The same on a terminal: a bar for the examples, then one for the training."""

    def __init__(self, console: Console, bars: Progress, seconds: float | None) -> None:
        super().__init__(console)
        self._bars = bars
        self._seconds = seconds
        self._examples: TaskID | None = None
        self._training: TaskID | None = None

    def fetched(self, here: int, every: int) -> None:
        """Move the bar of the examples."""
        if self._examples is None:
            self._examples = self._bars.add_task("Examples", total=every, facts="")
        facts = f"{here:,} of {every:,}"
        self._bars.update(self._examples, completed=here, facts=facts)

    def trained(self, progress: TrainProgress) -> None:
        """Move the bar of the training."""
        if self._training is None:
            self._training = self._bars.add_task("Training", total=1.0, facts="")
        share, left = training_end(progress, self._seconds)
        facts = (
            f"epoch {progress.epoch}/{progress.epochs}  {_percent(progress.accuracy)} of "
            f"validation  {left:.0f} s left"
        )
        self._bars.update(self._training, completed=share, facts=facts)


def training_end(progress: TrainProgress, seconds: float | None) -> tuple[float, float]:
    """Return the share of its budget that a training has spent, and the seconds it has left."""
    share = progress.epoch / progress.epochs
    left = progress.seconds * (1 - share) / share
    if seconds is not None and seconds - progress.seconds < left:
        share, left = progress.seconds / seconds, seconds - progress.seconds
    return min(1.0, share), max(0.0, left)


@contextmanager
def training_bar(console: Console, seconds: float | None = None) -> Iterator[TrainingLines]:
    """Give what shows a training: as bars on a terminal, else a line an epoch.

    Args:
        console: Where it is shown.
        seconds: The budget, if it is not of epochs alone.
    """
    if not console.is_terminal:
        yield TrainingLines(console)
        return
    columns = (TextColumn("{task.description:8}"), BarColumn(), TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=console) as bars:
        yield TrainingBar(console, bars, seconds)


def _follow(client: Client, run_id: str, show: Callable[[Run], None]) -> Run:
    while True:
        run = client.evolution.run(run_id)
        show(run)
        if run.state in ENDED:
            return run
        time.sleep(_POLL_S)


def _line_printer(console: Console) -> Callable[[Run], None]:
    shown = {"at": -_LINE_EVERY_S, "phase": "", "further": ""}

    def show(run: Run) -> None:
        progress, now = run.progress, time.monotonic()
        due = now - float(shown["at"]) >= _LINE_EVERY_S  # type: ignore[arg-type]
        phase = _phase(run)
        if not due and phase == shown["phase"] and run.state not in ENDED:
            return
        shown.update(at=now, phase=phase)
        console.print(
            f"{phase}: {_left(run)}, "
            f"{progress.evaluated} trained of {progress.births} born, "
            f"best {_percent(progress.best)}, median {_percent(progress.median)}",
            soft_wrap=True,
        )
        further = "; ".join(_further(progress.rungs, with_best=False))
        if further and further != shown["further"]:
            shown["further"] = further
            console.print(f"  {further}", soft_wrap=True)

    return show


def render_run(run: Run) -> RenderableType:
    """Return the live picture of a run."""
    progress = run.progress
    parts: list[RenderableType] = [_clock(run), _figures(run)]
    parts += [Text(line, no_wrap=True, overflow="ellipsis") for line in _standing(progress)]
    parts.append(_workers(progress.workers))
    if progress.best_genome:
        parts.append(Text.assemble(("best  ", "bold"), (progress.best_genome, "green")))
    shape = "x".join(map(str, run.shape)) if run.shape else "?"
    title = f"[bold]{run.request.dataset}[/] {shape}  run {run.id}"
    return Panel(
        Group(*parts), title=title, title_align="left", border_style="cyan", padding=(0, 1)
    )


def _clock(run: Run) -> RenderableType:
    progress = run.progress
    total = run.request.seconds or max(progress.seconds, 1.0)
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(ratio=1)
    row.add_column(justify="right")
    bar = ProgressBar(total=total, completed=min(progress.seconds, total), complete_style="cyan")
    left = f"{_phase(run)}, {_left(run)}"
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


def _standing(progress: RunProgress) -> Iterator[str]:
    """Yield lines of who was trained further, and one of the front if it is more than one."""
    yield from _further(progress.rungs, with_best=True)
    if len(progress.front) > 1:
        yield "front  " + "   ".join(map(_point, progress.front))


def _point(point: FrontPoint) -> str:
    cost = f"{point.parameters:,}" if point.latency_us is None else f"{point.latency_us:.0f} µs"
    return f"#{point.number} {_percent(point.accuracy)} {cost}"


def _phase(run: Run) -> str:
    """Return what a run does, or what it waits for."""
    waits = run.reason if run.state == "running" else None
    return f"{run.progress.phase}, {waits}" if waits else run.progress.phase


def _left(run: Run) -> str:
    """Return what is left of the budget, or what was spent where no seconds were given."""
    if run.progress.seconds_left is not None:
        return f"{run.progress.seconds_left:.0f} s left"
    return f"{run.progress.epochs} epochs in {run.progress.seconds:.0f} s"


def _further(rungs: list[RungProgress], *, with_best: bool) -> Iterator[str]:
    """Yield how many were trained to each rung above the first, and how many afresh at the end."""

    def best(rung: RungProgress) -> str:
        return f" (best {_percent(rung.best)})" if with_best else ""

    higher = [rung for rung in rungs if rung.rung not in ("1", "final")]
    if higher:
        each = (f"{rung.ended} to rung {rung.rung}{best(rung)}" for rung in higher)
        yield f"trained further: {', '.join(each)}"
    for rung in rungs:
        if rung.rung == "final":
            yield f"trained for the end: {rung.ended}{best(rung)}"


def _workers(workers: list[WorkerActivity]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    shown = workers
    if len(workers) > _SHOWN_WORKERS:
        shown = sorted(workers, key=lambda worker: worker.individual is None)[:_SHOWN_WORKERS]
    for worker in shown:
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
    if len(workers) > len(shown):
        busy = sum(worker.individual is not None for worker in workers)
        table.add_row("", "", f"and {len(workers) - len(shown)} more: {busy} of all are busy")
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"

"""The whole story on real digits: images in, a network bred, served, and measured."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from commons.errors import DiceboxError, UnavailableError
from commons.messages import FreezeRequest, Run, RunRequest, Snapshot
from dicebox.client import Client
from dicebox.digits import digit_files
from dicebox.held_out import HeldOutResult, classify_held_out
from dicebox.run_display import started_run, watch_run

DATASET = "digits"
_UPLOADS_AT_ONCE = 4
_FILES_A_REQUEST = 64
_PICKED_UP_S = 10.0


@dataclass(frozen=True)
class DemoResult:
    """What one demo measured."""

    run: Run
    snapshot: Snapshot
    held_out: HeldOutResult
    seconds: float

    def as_json(self) -> dict[str, object]:
        """Return the figures a script wants."""
        return {
            "test_accuracy": self.held_out.accuracy,
            "test_images": self.held_out.images,
            "candidates": self.run.progress.evaluated,
            "failed_candidates": self.run.progress.failed,
            "candidates_per_minute": self.run.progress.candidates_per_minute,
            "seconds": self.seconds,
            "evolution_seconds": self.run.progress.seconds,
            "validation_accuracy": self.run.progress.best,
            "classification_median_ms": self.held_out.median_ms,
            "champion": self.held_out.network,
            "run": self.run.id,
            "snapshot": self.snapshot.id,
        }


def run_demo(client: Client, request: RunRequest, console: Console) -> DemoResult:
    """Upload, freeze, evolve, publish and measure; say what happens on the console.

    Raises:
        DiceboxError: A step failed; the message says which and why.
    """
    started = time.monotonic()
    _upload(client, console)
    snapshot = client.sensory.freeze(DATASET, FreezeRequest())
    counts = ", ".join(f"{count} {split}" for split, count in snapshot.counts.items())
    console.print(f"Froze snapshot {snapshot.id[:12]}: {counts}.")
    request = request.model_copy(update={"dataset": DATASET, "snapshot": snapshot.id})
    with started_run(client, request) as started_one:
        run = watch_run(client, started_one.id, console)
    if run.state != "complete" or run.network is None:
        raise DiceboxError(f"the run {run.id} ended as {run.state}: {run.reason}")
    if run.promoted:
        _wait_for_champion(client, run.network)
    does = "is the champion and answers now" if run.promoted else run.verdict
    console.print(f"Published network {run.network[:12]}; it {does}.")
    # A champion of before goes on where the new network is found worse, and is measured.
    champion = client.gallery.champion(DATASET).network or run.network
    held_out = _measure(client, snapshot, champion, console)
    return DemoResult(run, snapshot, held_out, time.monotonic() - started)


def show_result(result: DemoResult, console: Console) -> None:
    """Print accuracy, the confusion matrix and a few answers."""
    held_out = result.held_out
    wrong = held_out.images - sum(row[i] for i, row in enumerate(held_out.confusion))
    console.print(
        f"\n[bold green]{100 * held_out.accuracy:.2f} %[/] of {held_out.images} held-out test "
        f"images right over HTTP ({wrong} wrong), median {held_out.median_ms:.1f} ms a request; "
        f"{result.run.progress.evaluated} candidates trained in "
        f"{result.run.progress.seconds:.0f} s."
    )
    console.print(_confusion_table(held_out))
    for truth, answer in held_out.samples:
        best = answer.answers[0]
        mark = "[green]right[/]" if best.category.name == truth else "[red]wrong[/]"
        rest = ", ".join(f"{a.category.name} {a.probability:.3f}" for a in answer.answers)
        console.print(f"  {mark}  image {answer.image[:8]} is {truth}: {rest}")


def _upload(client: Client, console: Console) -> None:
    started = time.monotonic()
    requests = [
        (category, files[start : start + _FILES_A_REQUEST])
        for category, files in digit_files().items()
        for start in range(0, len(files), _FILES_A_REQUEST)
    ]
    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as threads:
        replies = list(
            threads.map(lambda part: client.sensory.upload(DATASET, part[1], part[0]), requests)
        )
    refused = [fault for reply in replies for fault in reply.refused]
    if refused:
        raise DiceboxError(f"{len(refused)} digits were refused, first: {refused[0].detail}")
    images = [image for reply in replies for image in reply.stored]
    known = sum(image.duplicate for image in images)
    seconds = time.monotonic() - started
    console.print(
        f"Sent {len(images)} labeled PNG files in {seconds:.1f} s"
        f" ({len(images) / seconds:.0f} a second, {known} were there already)."
    )


def _wait_for_champion(client: Client, network: str) -> None:
    deadline = time.monotonic() + _PICKED_UP_S
    while client.gallery.champion(DATASET).network != network:
        if time.monotonic() > deadline:
            raise UnavailableError(f"network {network[:12]} did not become the champion in time")
        time.sleep(0.05)


def _measure(client: Client, snapshot: Snapshot, network: str, console: Console) -> HeldOutResult:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Classifying held-out images", total=snapshot.counts.get("test", 0))
        return classify_held_out(client, snapshot, network, lambda: bar.advance(task))


def _confusion_table(held_out: HeldOutResult) -> Table:
    table = Table(title="Rows: the truth, columns: the answer", title_style="dim", box=None)
    table.add_column("")
    for name in held_out.categories:
        table.add_column(name, justify="right")
    for i, (name, row) in enumerate(zip(held_out.categories, held_out.confusion, strict=True)):
        cells = [
            f"[green]{count}[/]" if i == j else (f"[red]{count}[/]" if count else "[dim]·[/]")
            for j, count in enumerate(row)
        ]
        table.add_row(f"[bold]{name}[/]", *cells)
    return table

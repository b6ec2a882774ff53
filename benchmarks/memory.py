"""`python -m benchmarks.memory`: the memory of all processes over many candidates."""

from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from benchmarks.datasets import freeze_dataset
from benchmarks.frame import Findings, Options, benchmark, figure
from benchmarks.installation import fresh_dicebox
from benchmarks.processes import Observer, Sample
from benchmarks.rows import Row, at_most
from benchmarks.runs import WORKERS, Overheads, drive_run, overheads, short_candidates
from commons.errors import DiceboxError
from commons.messages import Run, RunRequest

_CANDIDATE_EPOCHS = 3
_QUICK_CANDIDATES = 20
_TENTHS = 10
_MB = 1e6


@benchmark("memory")
@click.option(
    "--candidates",
    default=200,
    show_default=True,
    type=click.IntRange(_TENTHS),
    help="Random networks to train.",
)
def memory(options: Options, candidates: int) -> Findings:
    """Train many different random networks, each shortly, and sample the memory of everything."""
    if options.quick:
        candidates = min(candidates, _QUICK_CANDIDATES)
    request = short_candidates(candidates, _CANDIDATE_EPOCHS)
    run, samples, spent = _measure(request, options)
    peaks = tenths(samples, candidates)
    details: dict[str, Any] = {
        "request": request.model_dump(mode="json"),
        "failed": run.progress.failed,
        "overheads": vars(spent),
        "tenths_bytes": peaks,
        "samples": [[round(s.seconds, 2), s.bytes, s.processes, s.mark] for s in samples],
    }
    return Findings(summary(run, peaks, spent), [_tenths_table(peaks)], details)


def _measure(request: RunRequest, options: Options) -> tuple[Run, list[Sample], Overheads]:
    """Return the run, the samples of its search, and where its workers' time went."""
    searching: list[Run] = []
    with fresh_dicebox(options.work / "houses") as (running, client), Observer(running.pid) as seen:
        freeze_dataset(client, request.dataset, options.datasets, options.work)
        seen.samples.clear()

        def watch(run: Run) -> None:
            if run.progress.phase == "searching":
                searching.append(run)
            if seen.mark == request.evaluations and not stopped:
                # What comes after the search is not measured here.
                # The finalist that dies of it has its worker replaced, which is not counted either.
                stopped.append(len(seen.samples))
                starts.update(seen.trainers)
                client.evolution.stop(run.id)

        stopped: list[int] = []
        starts: set[int] = set()
        run = drive_run(client, request, seen, watch)
        individuals = client.evolution.individuals(run.id)
    if not searching or not stopped:
        raise DiceboxError(
            f"expected {request.evaluations} candidates, {seen.mark} ended;"
            f" the run is {run.state}: {run.reason}"
        )
    seconds = searching[-1].progress.seconds - searching[0].progress.seconds
    return (
        run,
        seen.samples[: stopped[0]],
        overheads(individuals, seconds * WORKERS, len(starts)),
    )


def tenths(samples: Sequence[Sample], candidates: int) -> list[int | None]:
    """Return the peak while each tenth of the candidates was being finished."""

    def peak(tenth: int) -> int | None:
        sizes = (
            sample.bytes
            for sample in samples
            if min(sample.mark * _TENTHS // candidates, _TENTHS - 1) == tenth
        )
        return max(sizes, default=None)

    return [peak(tenth) for tenth in range(_TENTHS)]


def summary(run: Run, peaks: Sequence[int | None], spent: Overheads) -> list[Row]:
    """Return the rows."""
    second, last = peaks[1], peaks[-1]
    ratio = last / second if second and last else None

    def each_ms(seconds: float) -> float | None:
        return 1000 * seconds / spent.candidates if spent.candidates else None

    between_s = spent.outside_s - spent.building_s
    return [
        Row("peak of all processes, second tenth", "MB", None if second is None else second / _MB),
        Row("peak of all processes, last tenth", "MB", None if last is None else last / _MB),
        Row("last tenth / second tenth", "", ratio, goal=at_most(1.05)),
        Row("recycled workers", "", spent.restarts),
        Row("starting recycled workers again", "s of a worker", spent.starts_s),
        Row("candidates a minute", "", run.progress.candidates_per_minute),
        Row("outside training, each candidate", "ms", each_ms(spent.outside_s), goal=at_most(50)),
        Row("of it between the jobs, each candidate", "ms", each_ms(between_s)),
    ]


def _tenths_table(peaks: Sequence[int | None]) -> Table:
    table = Table(title="peak memory by tenth of the candidates, MB", box=None, title_style="dim")
    for tenth in range(1, _TENTHS + 1):
        table.add_column(str(tenth), justify="right")
    table.add_row(*[figure(None if peak is None else peak / _MB) for peak in peaks])
    return table


if __name__ == "__main__":
    memory()

"""`python -m benchmarks.memory`: the memory of all processes over many candidates.

One house is watched from the first candidate to the last, so there is nothing that a second call
could go on with. A search that Ctrl-C or SIGTERM cuts short is reported as far as it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Watched:
    """A search of `wanted` candidates that was watched until `ended` of them had ended.

    Args:
        run: As it was last seen.
        samples: Of the search alone.
        spent: Where the workers' time went; None if it was cut short.
        ended: How many candidates trained or failed.
        wanted: How many were asked for.
    """

    run: Run
    samples: Sequence[Sample]
    spent: Overheads | None
    ended: int
    wanted: int

    @property
    def individuals(self) -> str:
        """Say how many candidates the figures are of."""
        if self.ended >= self.wanted:
            return f"{self.wanted:,} individuals"
        return f"cut short after {self.ended:,} of {self.wanted:,} individuals"


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
    watched = _measure(request, options)
    peaks = tenths(watched.samples, watched.ended)
    details: dict[str, Any] = {
        "request": request.model_dump(mode="json"),
        "ended": watched.ended,
        "failed": watched.run.progress.failed,
        "overheads": None if watched.spent is None else vars(watched.spent),
        "tenths_bytes": peaks,
        "samples": [[round(s.seconds, 2), s.bytes, s.processes, s.mark] for s in watched.samples],
    }
    return Findings(summary(watched, peaks), [_tenths_table(peaks)], details)


def _measure(request: RunRequest, options: Options) -> Watched:
    """Return what was seen of the search, whole or cut short.

    Raises:
        DiceboxError: It ended by itself with fewer candidates, or was cut before it had tenths.
    """
    wanted = request.evaluations or 0
    searching: list[Run] = []
    with fresh_dicebox(options.work / "houses") as (running, client), Observer(running.pid) as seen:
        freeze_dataset(client, request.dataset, options.datasets, options.work)
        seen.samples.clear()

        def watch(run: Run) -> None:
            if run.progress.phase == "searching":
                searching.append(run)
            if seen.mark == wanted and not stopped:
                # What comes after the search is not measured here.
                # The finalist that dies of it has its worker replaced, which is not counted either.
                stopped.append(len(seen.samples))
                starts.update(seen.trainers)
                client.evolution.stop(run.id)

        stopped: list[int] = []
        starts: set[int] = set()
        try:
            run = drive_run(client, request, seen, watch)
            individuals = client.evolution.individuals(run.id)
        except KeyboardInterrupt:
            options.say(f"memory: cut short after {seen.mark} candidates")
            return cut_short(searching, list(seen.samples), seen.mark, wanted)
    if not searching or not stopped:
        raise DiceboxError(
            f"expected {wanted} candidates, {seen.mark} ended; the run is {run.state}: {run.reason}"
        )
    seconds = searching[-1].progress.seconds - searching[0].progress.seconds
    spent = overheads(individuals, seconds * WORKERS, len(starts))
    return Watched(run, seen.samples[: stopped[0]], spent, wanted, wanted)


def cut_short(looks: Sequence[Run], samples: Sequence[Sample], ended: int, wanted: int) -> Watched:
    """Return what is known of a search that was not watched to its end.

    Raises:
        DiceboxError: Too few candidates had ended.
    """
    if not looks or ended < _TENTHS:
        raise DiceboxError(f"expected {_TENTHS} candidates at least, cut short after {ended}")
    return Watched(looks[-1], samples, None, ended, wanted)


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


def summary(watched: Watched, peaks: Sequence[int | None]) -> list[Row]:
    """Return the rows; those of the workers' time only of a search that was not cut short."""
    second, last = peaks[1], peaks[-1]
    ratio = last / second if second and last else None
    rows = [
        Row("peak of all processes, second tenth", "MB", None if second is None else second / _MB),
        Row("peak of all processes, last tenth", "MB", None if last is None else last / _MB),
        Row(f"last tenth / second tenth, {watched.individuals}", "", ratio, goal=at_most(1.05)),
        Row("candidates a minute", "", watched.run.progress.candidates_per_minute),
    ]
    return rows if watched.spent is None else rows + _overhead_rows(watched.spent)


def _overhead_rows(spent: Overheads) -> list[Row]:
    def each_ms(seconds: float) -> float | None:
        return 1000 * seconds / spent.candidates if spent.candidates else None

    between_s = spent.outside_s - spent.building_s
    return [
        Row("recycled workers", "", spent.restarts),
        Row("starting recycled workers again", "s of a worker", spent.starts_s),
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

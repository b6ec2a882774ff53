"""Who trains: the workers of a fleet, or those of the runs that are driven here."""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from commons.errors import UnavailableError
from commons.messages import Run, WorkerActivity
from commons.ports import Clock
from commons.worker_messages import Trainer, WorkerPage, WorkerSlot
from evolver.ports import RunTable

# Every page that is open asks, and each question goes to all workers.
_FRESH_S = 2.0
_LATEST = 50


class _Answer(NamedTuple):
    """What was said at a moment of monotonic time: a page, or why there is none."""

    at: float
    said: WorkerPage | UnavailableError


class Trainers:
    """Knows who trains, as of two seconds ago at most.

    Args:
        table: The runs; their progress says what the embedded engine's workers do.
        clock: Time.
        ask: Asks a fleet; None: there is none.
    """

    def __init__(
        self, table: RunTable, clock: Clock, ask: Callable[[], WorkerPage] | None = None
    ) -> None:
        self._clock = clock
        self._ask = ask or (lambda: _of_runs(table.newest(_LATEST), clock.now()))
        self._asking = threading.Lock()
        self._known: _Answer | None = None

    def page(self) -> WorkerPage:
        """Return all workers, with what each of them does.

        Raises:
            UnavailableError: The broker, or the tables, cannot be reached.
        """
        known = self._known
        # Who comes while another one asks has the answer before: none of them holds a thread of
        # the server for as long as a broker takes, or does not answer.
        if self._is_old(known) and self._asking.acquire(blocking=known is None):
            try:
                if self._is_old(self._known):
                    self._known = self._answer()
            finally:
                self._asking.release()
        known = self._known
        if known is None or isinstance(known.said, UnavailableError):
            raise UnavailableError(str(known.said) if known else "nobody has answered yet")
        return known.said

    def _is_old(self, answer: _Answer | None) -> bool:
        return answer is None or self._clock.monotonic() - answer.at >= _FRESH_S

    def _answer(self) -> _Answer:
        said: WorkerPage | UnavailableError
        try:
            said = self._ask()
        except UnavailableError as error:
            said = error
        return _Answer(self._clock.monotonic(), said)

    def figures(self) -> Mapping[tuple[str, str, str], Callable[[], Mapping[str, float]]]:
        """Return the gauges of a fleet: name, help and label, to values by label."""
        slots, queue = "kind", "queue"
        return {
            ("dicebox_slots", "Slots of the workers that train", slots): lambda: _slots(
                self.page(), busy=False
            ),
            ("dicebox_slots_busy", "Those that train now", slots): lambda: _slots(
                self.page(), busy=True
            ),
            ("dicebox_jobs_ready", "Jobs that wait for a worker", queue): lambda: self.page().ready,
            ("dicebox_jobs_dead", "Jobs, or what was none, that were given up", queue): lambda: (
                self.page().dead
            ),
        }


def _slots(page: WorkerPage, *, busy: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    for worker in page.workers:
        kind = worker.kind or "unknown"
        counted = [slot for slot in worker.slots if slot.job is not None or not busy]
        found[kind] = found.get(kind, 0.0) + len(counted)
    return found


def _of_runs(runs: list[Run], now: float) -> WorkerPage:
    """Return the workers of runs by their progress: one entry a run, its workers are slots."""
    workers = [_of_run(run, now) for run in runs if run.state == "running" and run.progress.workers]
    return WorkerPage(engine="local", workers=workers)


def _of_run(run: Run, now: float) -> Trainer:
    progress = run.progress
    return Trainer(
        name=f"run {run.id}",
        cpu=run.card.machine.get("cpu") if run.card else None,
        slots=[
            _slot(run.id, number, activity, now)
            for number, activity in enumerate(progress.workers, 1)
        ],
        started=run.created,
        done=progress.evaluated + progress.failed,
        failed=progress.failed,
        per_minute=progress.candidates_per_minute,
    )


def _slot(run: str, number: int, activity: WorkerActivity, now: float) -> WorkerSlot:
    if activity.individual is None:
        return WorkerSlot(number=number)
    since = None if activity.seconds is None else now - activity.seconds
    return WorkerSlot(number=number, job=f"{run}/{activity.individual}", since=since)

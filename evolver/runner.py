"""Takes queued runs one at a time and drives each to its end, whatever the end is."""

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from commons.errors import ConflictError, DiceboxError, UnavailableError
from commons.messages import Run, RunCard, RunRequest
from commons.ports import Blobs, Clock, Engine
from evolver.budget import Plan
from evolver.crew import Crew
from evolver.drive import Drive
from evolver.ports import Gallery, Journal, RunLedger, Sensory
from evolver.preparation import Prepared, prepare

_IDLE_S = 0.2
_RECOVER_EVERY_S = 2.0
_BROKEN_S = 2.0
_LOG = logging.getLogger(__name__)


class Runner:
    """The process that evolves. Any number of them may share the tables: each run has one.

    Args:
        name: Tells this runner from every other; whose name a run bears may change it.
        ledger: The runs.
        journal: Their individuals.
        blobs: Where the workers leave what comes of their jobs.
        sensory: Where the data is frozen.
        gallery: Where networks are published.
        open_engine: Gives an engine of so many workers, closed at the end of the block.
        clock: Time.
        sensory_url: Where the workers find the images.
        workers: How many workers a run gets that does not say.
        machine: The processor, its cores and the memory, for the cards of runs.
        versions: Those of the software.
        is_dead: Says of a runner by its name that it is known to have ended.
        holding: Keeps a run in this runner's hands while a block waits for others.
        fleet: The engine's workers are of other machines; there may be none, and they change.
        patience_s: After how long without any worker a run fails, to be resumed.
        resume_runs: So many times a run whose runner ended before it goes on by itself.
    """

    def __init__(
        self,
        *,
        name: str,
        ledger: RunLedger,
        journal: Journal,
        blobs: Blobs,
        sensory: Sensory,
        gallery: Gallery,
        open_engine: Callable[[int], AbstractContextManager[Engine]],
        clock: Clock,
        sensory_url: str,
        workers: int,
        machine: dict[str, str],
        versions: dict[str, str],
        is_dead: Callable[[str], bool],
        holding: Callable[[str], AbstractContextManager[None]],
        fleet: bool = False,
        patience_s: float = math.inf,
        resume_runs: int = 0,
    ) -> None:
        self._name = name
        self._ledger = ledger
        self._journal = journal
        self._blobs = blobs
        self._sensory = sensory
        self._gallery = gallery
        self._open_engine = open_engine
        self._clock = clock
        self._sensory_url = sensory_url
        self._workers = workers
        self._machine = machine
        self._versions = versions
        self._is_dead = is_dead
        self._holding = holding
        self._fleet = fleet
        self._patience_s = patience_s
        self._resume_runs = resume_runs

    def run(self) -> None:
        """Drive runs for ever; a KeyboardInterrupt ends it, and its run as `interrupted`.

        Where runs go on by themselves, that run is queued for the next runner instead.
        """
        try:
            while True:
                try:
                    self._run_all()
                except DiceboxError:
                    _LOG.exception("the tables failed")
                    self._clock.sleep(_BROKEN_S)
        except KeyboardInterrupt:
            # It may have come when a run was claimed and not begun, where nobody else marks it;
            # and a run goes on elsewhere only when the engine here has closed.
            with suppress(DiceboxError):  # without tables the next runner does
                self.recover()
            raise

    def _run_all(self) -> None:
        looked = -_RECOVER_EVERY_S
        while True:
            if self._clock.monotonic() - looked >= _RECOVER_EVERY_S:
                self.recover()
                looked = self._clock.monotonic()
            if not self.run_next():
                self._clock.sleep(_IDLE_S)

    def recover(self) -> None:
        """Mark the runs that a runner left behind as interrupted, or queue them again."""

        def is_dead(name: str) -> bool:
            # What this runner still has in its name while it looks for work, it could not end.
            return name == self._name or self._is_dead(name)

        reason = "its runner ended before it did"
        for run in self._ledger.interrupt_abandoned(reason, is_dead, self._resume_runs):
            _LOG.warning("run %s was left by its runner", run)

    def run_next(self) -> bool:
        """Drive the oldest queued run to its end and say whether there was one.

        Raises:
            DiceboxError: The end could not be written down.
            KeyboardInterrupt: The process is to end; the run is marked.
        """
        run = self._ledger.claim(self._name)
        if run is None:
            return False
        # What earlier runners spent on it counts.
        began = self._clock.monotonic() - run.progress.seconds
        _LOG.info("run %s %s", run.id, "is taken up again" if run.resumed else "starts")
        with (
            self._holding(run.id),
            self._open_engine(_workers(run.request) or self._workers) as engine,
        ):
            self._drive(run, engine, began)
        return True

    def _drive(self, run: Run, engine: Engine, began: float) -> None:
        """Evolve, and write down the end before the engine closes."""
        drive: Drive | None = None
        try:
            prepared = prepare(_frozen(run), self._sensory, self._sensory_url)
            run = self._resolved(run, prepared)
            began += self._wait_for_workers(run, engine)
            crew = Crew(
                run.id,
                self._name,
                engine,
                self._journal,
                self._blobs,
                self._clock,
                began,
                fleet=self._fleet,
                device=run.request.device,
            )
            drive = Drive(
                run,
                prepared,
                self._shared(prepared.plan, engine),
                crew,
                self._ledger,
                lambda: self._open_engine(1),
                self._patience_s,
            )
            drive.search()
            drive.train_finalists()
            drive.publish(self._gallery)
        except KeyboardInterrupt:
            # What is under way stays "submitted": it neither ended nor failed.
            self._save_end(drive.run if drive else run, "interrupted", "its runner was stopped")
            raise
        except DiceboxError as error:
            _LOG.warning("run %s failed: %s", run.id, error)
            self._fail(drive, run, str(error))
        except Exception as error:  # the outermost frame of a run
            _LOG.exception("run %s failed", run.id)
            self._fail(drive, run, f"internal error: {type(error).__name__}: {error}")
        finally:
            if drive is not None:
                drive.close()

    def _shared(self, plan: Plan, engine: Engine) -> Plan:
        workers = max(1, engine.capacity())
        return plan.on_fleet(workers) if self._fleet else plan.shared_by(workers)

    def _wait_for_workers(self, run: Run, engine: Engine) -> float:
        """Return when there is a worker, after how many seconds, or the run is to be stopped.

        Raises:
            UnavailableError: None came in time.
        """
        started = self._clock.monotonic()
        waited = 0.0
        while engine.capacity() < 1 and not self._ledger.stop_requested(run.id):
            if waited > self._patience_s:
                raise UnavailableError(
                    f"no trainer came within {self._patience_s:g} s: "
                    "`python -m trainer.worker` starts one; then the run can be resumed"
                )
            if not waited:
                said = run.model_copy(update={"reason": "it waits for trainers"})
                self._ledger.save(said, self._name)
            self._clock.sleep(_IDLE_S)
            waited = self._clock.monotonic() - started
        return waited

    def _resolved(self, run: Run, prepared: Prepared) -> Run:
        """Return the run with what it works on, and the card that says where it came from."""
        card = RunCard(
            seed=run.request.seed,
            snapshot=prepared.snapshot.id,
            command=run.request.command,
            machine=self._machine,
            versions=self._versions,
        )
        update = {
            "snapshot": prepared.snapshot.id,
            "shape": prepared.problem.shape,
            "card": run.card or card,
        }
        return run.model_copy(update=update)

    def _fail(self, drive: Drive | None, run: Run, reason: str) -> None:
        if drive is None:
            self._save_end(run, "failed", reason)
            return
        try:
            drive.end("failed", reason)
        except ConflictError as error:
            _LOG.warning("%s", error)

    def _save_end(self, run: Run, state: str, reason: str) -> None:
        progress = run.progress.model_copy(update={"seconds_left": 0.0, "workers": []})
        update = {"state": state, "reason": reason, "progress": progress}
        try:
            self._ledger.save(run.model_copy(update=update), self._name)
        except ConflictError as error:
            _LOG.warning("%s", error)


def _workers(request: RunRequest) -> int | None:
    """Return how many workers a run asks for, None if it does not say."""
    return 1 if request.deterministic else request.workers


def _frozen(run: Run) -> RunRequest:
    """Return the request for the very data that the run has begun on."""
    snapshot = run.snapshot or run.request.snapshot
    return run.request.model_copy(update={"snapshot": snapshot})

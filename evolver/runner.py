"""Takes queued runs one at a time and drives each to its end, whatever the end is."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

from commons.errors import ConflictError, DiceboxError
from commons.messages import Run
from commons.ports import Clock, Engine
from evolver.budget import plan_of
from evolver.crew import Crew
from evolver.drive import Drive
from evolver.ports import Gallery, Journal, RunLedger, Sensory
from evolver.preparation import Prepared, prepare

_IDLE_S = 0.2
_BROKEN_S = 2.0
_LOG = logging.getLogger(__name__)


class Runner:
    """The process that evolves. One per set of tables: the last to start takes over.

    Args:
        name: Tells this runner from every other; whose name a run bears may change it.
        ledger: The runs.
        journal: Their individuals.
        sensory: Where the data is frozen.
        gallery: Where networks are published.
        open_engine: Gives an engine of so many workers, closed at the end of the block.
        clock: Time.
        sensory_url: Where the workers find the images.
        workers: How many workers a run gets that does not say.
    """

    def __init__(
        self,
        *,
        name: str,
        ledger: RunLedger,
        journal: Journal,
        sensory: Sensory,
        gallery: Gallery,
        open_engine: Callable[[int], AbstractContextManager[Engine]],
        clock: Clock,
        sensory_url: str,
        workers: int,
    ) -> None:
        self._name = name
        self._ledger = ledger
        self._journal = journal
        self._sensory = sensory
        self._gallery = gallery
        self._open_engine = open_engine
        self._clock = clock
        self._sensory_url = sensory_url
        self._workers = workers

    def run(self) -> None:
        """Drive runs for ever; a KeyboardInterrupt ends it, and its run as `interrupted`."""
        while True:
            try:
                self.recover()
                while True:
                    if not self.run_next():
                        self._clock.sleep(_IDLE_S)
            except DiceboxError:
                _LOG.exception("the tables failed")
                self._clock.sleep(_BROKEN_S)

    def recover(self) -> None:
        """Mark the runs that an earlier runner left behind as interrupted."""
        for run in self._ledger.interrupt_abandoned("its runner ended before it did"):
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
        started = self._clock.monotonic()
        _LOG.info("run %s starts", run.id)
        with self._open_engine(run.request.workers or self._workers) as engine:
            self._drive(run, engine, started)
        return True

    def _drive(self, run: Run, engine: Engine, started: float) -> None:
        """Evolve, and write down the end before the engine closes."""
        drive: Drive | None = None
        try:
            prepared = prepare(run.request, self._sensory, self._sensory_url)
            run = _resolved(run, prepared)
            drive = self._drive_of(run, prepared, engine, started)
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

    def _drive_of(self, run: Run, prepared: Prepared, engine: Engine, started: float) -> Drive:
        return Drive(
            run,
            self._name,
            prepared,
            plan_of(run.request),
            Crew(run.id, engine, self._journal, self._clock),
            self._ledger,
            self._clock,
            started,
        )

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


def _resolved(run: Run, prepared: Prepared) -> Run:
    update = {"snapshot": prepared.snapshot.id, "shape": prepared.problem.shape}
    return run.model_copy(update=update)

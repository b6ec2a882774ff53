"""The worker that trains the winner alone, with all cores: it starts while others still search."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack

from commons.jobs import JobResult, JobSpec
from commons.ports import Engine
from commons.training import READY_FUNCTION, ReadyJob, TrainingData
from evolver.crew import Crew

_TIMEOUT_S = 300.0


class FinalWorker:
    """An engine of one worker that is opened, and its worker started, when it is asked to.

    Args:
        crew: The run's.
        open_engine: Gives the engine, closed at the end of the block.
        data: What it will train on.
    """

    def __init__(
        self,
        crew: Crew,
        open_engine: Callable[[], AbstractContextManager[Engine]],
        data: TrainingData,
    ) -> None:
        self._crew = crew
        self._open_engine = open_engine
        self._data = data
        self._block = ExitStack()
        self._engine: Engine | None = None
        self._starting: Future[JobResult] | None = None

    def start(self) -> Engine:
        """Return the engine; the first call starts its worker, which reads the data in.

        Raises:
            UnavailableError: There is none to be had.
        """
        if self._engine is None:
            self._engine = self._block.enter_context(self._open_engine())
            spec = JobSpec(
                id=f"{self._crew.run}/{self._crew.runner}/ready",
                function=READY_FUNCTION,
                arguments=ReadyJob(data=self._data).model_dump(mode="json"),
                timeout_s=_TIMEOUT_S,
            )
            self._starting = self._engine.submit(spec)
        return self._engine

    def is_ready(self) -> bool:
        """Say whether the worker was asked for and has started, or tried to."""
        if self._starting is None or not self._starting.done():
            return False
        self._crew.discard_result(self._starting.result().id)
        return True

    def close(self) -> None:
        """End the worker; safe to call twice."""
        self._block.close()

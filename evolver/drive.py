"""One run from its first candidate, or from where it was left, to its published network."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

from commons.errors import DiceboxError, UnavailableError
from commons.messages import Individual, Run
from commons.ports import Engine
from commons.promotion import put_to_use
from evolver.breeding import Breeding
from evolver.budget import Plan
from evolver.crew import Crew
from evolver.final_worker import FinalWorker
from evolver.journal import FINAL_RUNG, trained
from evolver.keeping import Keeper
from evolver.latencies import Latencies
from evolver.ports import Gallery, RunLedger
from evolver.preparation import Prepared
from evolver.progress import Standing, last_failure, measured
from evolver.publishing import export_best
from evolver.search import able

_POLL_S = 0.02
_REPORT_S = 0.5
# So many failures and no success mean that the platform is broken, not the genomes.
_LEAST_FAILURES = 6


class Drive:
    """The phases of one run; every change of its state is in its journal before it happens.

    Args:
        run: The run as the runner claimed it.
        prepared: What it works on.
        plan: How its seconds or epochs are divided.
        crew: Its engine and journal.
        ledger: Where its progress goes.
        open_alone: Gives an engine of one worker that has all cores.
        patience_s: After how long without any worker a run that needs one fails.
    """

    def __init__(
        self,
        run: Run,
        prepared: Prepared,
        plan: Plan,
        crew: Crew,
        ledger: RunLedger,
        open_alone: Callable[[], AbstractContextManager[Engine]],
        patience_s: float = math.inf,
    ) -> None:
        self.run = run
        self._crew = crew
        self._ledger = ledger
        self._breeding = Breeding(run.request, prepared, plan, crew)
        self._latencies = Latencies(run.request, prepared, crew)
        self._final_worker = FinalWorker(crew, open_alone, prepared.data)
        self._keeper = Keeper(crew, run.request)
        self._standing = Standing(run.request, crew)
        self._prepared = prepared
        self._reported = -_REPORT_S
        self._stopping = False
        self._untidy = False
        self._patience_s = patience_s
        self._had_workers_at = crew.clock.monotonic()

    def search(self) -> None:
        """Train candidates until the budget of the search, or the space, is used up.

        Raises:
            DiceboxError: All candidates so far failed, or the tables or the engine did.
        """
        self._breeding.take_up()
        self._report("searching")
        while not self._stopping:
            if self._collect():
                self._check_hope()
            self._assign(self._breeding.assign)
            if self._search_is_over():
                break
            self._cancel_late(self._search_deadline(), final=False)
            if self._breeding.is_time_for_the_final_worker():
                self._final_worker.start()
            self._wait_for_workers("searching")
        self._standing.search_ended()

    def train_finalists(self) -> None:
        """Train the best longer: one a free worker, or one on all cores.

        Raises:
            DiceboxError: The tables or the engine failed.
        """
        plan = self._breeding.end_search()
        if self._stopping or not plan.alone:
            self._train_finalists(plan)
            return
        if self._idle() and self._breeding.next_finalist() is None:
            return  # of a run that was taken up after its final training
        engine = self._final_worker.start()
        while not self._stopping and not (self._idle() and self._final_worker.is_ready()):
            self._collect()
            self._cancel_late(plan.search_end + plan.grace_s, final=False)
            self._wait("final training")
        if self._stopping:
            self._crew.cancel()
            self._collect()
        elif self._breeding.next_finalist() is not None:
            with self._crew.working_with(engine):
                self._train_finalists(plan)
        self._final_worker.close()

    def _train_finalists(self, plan: Plan) -> None:
        breeding = self._breeding
        late = plan.final_end + plan.final_grace_s
        while not self._stopping:
            self._collect()
            nothing_left = self._assign(breeding.assign_finalist)
            is_late = self._crew.now() > late
            if self._idle() and (nothing_left or is_late or breeding.next_finalist() is None):
                break
            if is_late and nothing_left:
                break
            self._cancel_late(plan.search_end + plan.grace_s, final=False)
            self._cancel_late(late, final=True)
            self._wait_for_workers("final training")
        self._crew.cancel()
        self._collect()

    def publish(self, gallery: Gallery) -> Run:
        """Export the best network, register it, promote it as asked for; return the ended run.

        Raises:
            DiceboxError: There is nothing to publish, or it could not be published.
        """
        self._report("publishing")
        found = trained(self._able())
        if not found and self._stopping:
            return self.end("stopped", reason="stopped before a candidate was trained")
        if not found:
            raise DiceboxError(self._why_nothing(), kind="no-network")
        self._had_workers_at = self._crew.clock.monotonic()
        card = export_best(
            found, self._prepared, self._crew, wait=lambda: self._wait_for_workers("publishing")
        )
        network = gallery.register(card)
        self.run = self.run.model_copy(update={"network": network})
        outcome = put_to_use(
            gallery,
            self.run.request.dataset,
            network,
            self.run.request.promote,
            self._crew.now,
            lambda: self._wait("publishing"),
        )
        self.run = self.run.model_copy(update=vars(outcome))
        return self.end("stopped" if self._stopping else "complete")

    def end(self, state: str, reason: str | None = None) -> Run:
        """Return the run in its last state; what still runs is killed and written down as ended.

        Of a run that failed it stays written down as submitted, for whoever resumes it.

        Raises:
            DiceboxError: The tables failed, or the run is in other hands.
        """
        if state == "failed":
            # It may be taken up again, and needs what it has; its engine closes next.
            self._crew.leave()
        else:
            self._crew.cancel()
            self._crew.give_up()
        self._crew.tidy()
        if state != "failed":
            self._keeper.clear_all(self._breeding.search)
        progress = self._standing.progress("done").model_copy(
            update={"seconds_left": 0.0, "workers": []}
        )
        update = {"state": state, "reason": reason, "progress": progress}
        self.run = self.run.model_copy(update=update)
        self._ledger.save(self.run, self._crew.runner)
        return self.run

    def close(self) -> None:
        """End what only this drive has; safe to call twice."""
        self._final_worker.close()

    def _assign(self, assign: Callable[[], bool]) -> bool:
        """Give all who are free work; say whether somebody is, and there is nothing to do."""
        while self._crew.free() > 0:
            if not self._latencies.assign() and not assign():
                return True
        return False

    def _wait_for_workers(self, phase: str) -> None:
        """Wait a moment for what only workers can do.

        Raises:
            UnavailableError: There has been none for too long.
        """
        now = self._crew.clock.monotonic()
        if self._crew.engine.capacity() > 0:
            self._had_workers_at = now
        elif now - self._had_workers_at > self._patience_s:
            raise UnavailableError(f"no trainer was there for {self._patience_s:g} s")
        self._wait(phase)

    def _wait(self, phase: str) -> None:
        self._tidy()
        if self._crew.now() - self._reported >= _REPORT_S:
            self._report(phase)
            self._stopping = self._stopping or self._ledger.stop_requested(self.run.id)
        self._crew.clock.sleep(_POLL_S)

    def _collect(self) -> bool:
        """Tell the search what ended since the last call and say whether a training did."""
        ended = self._crew.collect()
        for training, evaluation in ended:
            self._breeding.take(training.number, evaluation)
        self._breeding.search = self._latencies.collect(self._breeding.search)
        self._untidy = self._untidy or bool(ended)
        return bool(ended)

    def _tidy(self) -> None:
        """Delete what nobody needs any more, once the workers have something to do again."""
        if self._untidy:
            self._untidy = False
            self._crew.tidy()
            self._keeper.clear(self._breeding.search, self._breeding.finalists())

    def _search_is_over(self) -> bool:
        """Say whether no candidate can come any more and there is something else to do."""
        if not self._breeding.is_over():
            return False
        may_go_on = self._crew.free() > 0 and self._breeding.next_finalist() is not None
        return may_go_on or self._idle()

    def _idle(self) -> bool:
        """Say whether nothing is under way."""
        return not self._crew.under_way and not self._latencies.busy()

    def _search_deadline(self) -> float:
        """Return when candidates are killed: while there is no network yet, as late as can be."""
        plan = self._breeding.plan
        if not self._has_trained():
            return plan.final_end + plan.final_grace_s
        return plan.search_end + plan.grace_s

    def _cancel_late(self, deadline: float, *, final: bool) -> None:
        if self._crew.now() > deadline:
            self._crew.cancel(lambda training: (training.rung == FINAL_RUNG) is final)

    def _has_trained(self) -> bool:
        """Say whether any candidate was trained without failing."""
        return bool(self._breeding.search.ranking)

    def _check_hope(self) -> None:
        if self._has_trained():
            return
        progress = measured(self._crew.individuals)
        least = max(_LEAST_FAILURES, 2 * self._crew.engine.capacity())
        if progress.failed >= least:
            raise DiceboxError(
                f"the first {progress.failed} candidates all failed; the last one:"
                f" {last_failure(self._crew.individuals)}",
                kind="all-failed",
            )

    def _able(self) -> list[Individual]:
        """Return the individuals that cost no more than was asked for."""
        request = self.run.request
        members = able(self._breeding.search, request.max_latency_us, request.max_parameters)
        return [self._crew.individuals[member.number] for member in members]

    def _why_nothing(self) -> str:
        progress = measured(self._crew.individuals)
        request = self.run.request
        if progress.evaluated and request.max_latency_us is not None:
            return (
                f"none of {progress.evaluated} candidates answers within"
                f" {request.max_latency_us:g} µs: allow more, or restrict the taxonomy"
            )
        if progress.failed:
            reason = last_failure(self._crew.individuals)
            return f"no candidate could be trained; the last failure: {reason}"
        if request.seconds is None:
            return "no candidate was trained to the end: give more evaluations or epochs"
        return (
            f"no candidate was trained to the end within {request.seconds:g} s: give more seconds"
        )

    def _report(self, phase: str) -> None:
        self._reported = self._crew.now()
        self.run = self.run.model_copy(update={"progress": self._standing.progress(phase)})
        self._ledger.save(self.run, self._crew.runner)

"""One run from its first candidate to its published network."""

import numpy as np

from commons.errors import DiceboxError
from commons.genome import Genome
from commons.messages import Evaluation, Run, RunProgress
from commons.ports import Clock
from commons.training import Budget, TrainJob
from evolver.budget import Plan, cautious_overhead, expected_overhead, seconds_left
from evolver.crew import Crew
from evolver.journal import FINAL_RUNG, FIRST_RUNG, fitness_of, new_individual, trained
from evolver.ports import Gallery, RunLedger
from evolver.preparation import Prepared
from evolver.progress import Reports, activity, measured
from evolver.publishing import export_best
from evolver.search import Birth, ask, born, told
from evolver.selection import Member, evaluated, ranked

_POLL_S = 0.02
_REPORT_S = 0.5
# A final training may see the data many more times; its seconds end it first.
_FINAL_EPOCHS = 10
# So many failures and no success mean that the platform is broken, not the genomes.
_LEAST_FAILURES = 6


class Drive:
    """The phases of one run; every change of its state is in its journal before it happens.

    Args:
        run: The run as the runner claimed it.
        runner: Who drives it.
        prepared: What it works on.
        plan: How its seconds are divided.
        crew: Its engine and journal.
        ledger: Where its progress goes.
        clock: Measures its seconds.
        started: Monotonic time at which the runner took the run.
    """

    def __init__(
        self,
        run: Run,
        runner: str,
        prepared: Prepared,
        plan: Plan,
        crew: Crew,
        ledger: RunLedger,
        clock: Clock,
        started: float,
    ) -> None:
        self.run = run
        self._runner = runner
        self._prepared = prepared
        self._search = prepared.search
        self._plan = plan
        self._crew = crew
        self._ledger = ledger
        self._clock = clock
        self._started = started
        self._reports = Reports()
        self._reported = -_REPORT_S
        self._searched_from = self._now()
        self._searched_until: float | None = None
        self._exhausted = False
        self._stopping = False
        self._finalists: set[int] = set()

    def search(self) -> None:
        """Train candidates until the time of the search, or the space, is used up.

        Raises:
            DiceboxError: All candidates so far failed, or the tables or the engine did.
        """
        self._report("searching")
        while not self._stopping:
            if self._collect():
                self._check_hope()
            while self._crew.free() > 0 and self._bear():
                pass
            if self._search_is_over():
                break
            self._cancel_late(FIRST_RUNG, self._search_deadline())
            self._wait("searching")
        self._searched_until = self._now()

    def train_finalists(self) -> None:
        """Train the best genomes afresh and longer, one a free worker.

        Raises:
            DiceboxError: The tables or the engine failed.
        """
        self._plan = self._plan.ended_early(self._now())
        late = self._plan.final_end + self._plan.final_grace_s
        while not self._stopping:
            self._collect()
            while self._crew.free() > 0 and self._train_finalist():
                pass
            if not self._crew.under_way or (self._now() > late and self._crew.free() > 0):
                break
            self._cancel_late(FIRST_RUNG, self._plan.search_end + self._plan.grace_s)
            self._cancel_late(FINAL_RUNG, late)
            self._wait("final training")
        self._crew.cancel()
        self._collect()

    def publish(self, gallery: Gallery) -> Run:
        """Export the best network, register it, promote it if asked; return the ended run.

        Raises:
            DiceboxError: There is nothing to publish, or it could not be published.
        """
        self._report("publishing")
        found = trained(self._crew.individuals.values())
        if not found and self._stopping:
            return self.end("stopped", reason="stopped before a candidate was trained")
        if not found:
            raise DiceboxError(self._why_nothing(), kind="no-network")
        card = export_best(found, self._prepared, self._crew, wait=lambda: self._wait("publishing"))
        network = gallery.register(card)
        self.run = self.run.model_copy(update={"network": network})
        if self.run.request.promote == "auto":
            gallery.promote(self.run.request.dataset, network)
            self.run = self.run.model_copy(update={"promoted": True})
        return self.end("stopped" if self._stopping else "complete")

    def end(self, state: str, reason: str | None = None) -> Run:
        """Kill what still runs, write all down as ended, and return the run in its last state.

        Raises:
            DiceboxError: The tables failed, or the run is in other hands.
        """
        self._crew.cancel()
        self._crew.give_up()
        progress = self._progress("done").model_copy(update={"seconds_left": 0.0, "workers": []})
        update = {"state": state, "reason": reason, "progress": progress}
        self.run = self.run.model_copy(update=update)
        self._ledger.save(self.run, self._runner)
        return self.run

    def _now(self) -> float:
        return self._clock.monotonic() - self._started

    def _wait(self, phase: str) -> None:
        if self._now() - self._reported >= _REPORT_S:
            self._report(phase)
            self._stopping = self._stopping or self._ledger.stop_requested(self.run.id)
        self._clock.sleep(_POLL_S)

    def _collect(self) -> bool:
        """Tell the search what ended since the last call and say whether anything did."""
        ended = self._crew.collect()
        for training, evaluation in ended:
            if training.rung == FIRST_RUNG:
                self._search = told(self._search, training.number, 1, fitness_of(evaluation))
        return bool(ended)

    def _bear(self) -> bool:
        """Submit one more candidate and say whether there was time and a genome for it."""
        if len(self._search.members) == self.run.request.evaluations:
            self._exhausted = True
        seconds = self._plan.candidate(self._now(), self._overhead())
        if seconds is None or self._exhausted:
            return False
        proposal = ask(self._search)
        if not isinstance(proposal, Birth):
            self._exhausted = True
            return False
        number = len(self._search.members) + 1
        self._crew.add(new_individual(number, proposal, self._prepared.problem))
        self._search = born(self._search, number, proposal.genome)
        self._train(number, FIRST_RUNG, proposal.genome, seconds)
        return True

    def _train_finalist(self) -> bool:
        """Submit the best genome that is no finalist yet and say whether there was one."""
        seconds = self._plan.finalist(self._now(), cautious_overhead(self._crew.overheads))
        candidate = self._next_finalist()
        if seconds is None or candidate is None:
            return False
        self._finalists.add(candidate.number)
        self._crew.add_rung(candidate.number, Evaluation(rung=FINAL_RUNG))
        self._train(candidate.number, FINAL_RUNG, candidate.genome, seconds)
        return True

    def _next_finalist(self) -> Member | None:
        for member in ranked(self._search.members):
            if member.fitness is None or member.fitness.failed:
                return None
            if member.number not in self._finalists:
                return member
        return None

    def _train(self, number: int, rung: str, genome: Genome, seconds: float) -> None:
        epochs = self.run.request.candidate_epochs * (_FINAL_EPOCHS if rung == FINAL_RUNG else 1)
        job = TrainJob(
            genome=genome,
            data=self._prepared.data,
            categories=self._prepared.problem.categories,
            budget=Budget(epochs=epochs, seconds=seconds),
            seed=training_seed(self.run.request.seed, number, rung),
        )
        self._crew.train(number, rung, job, self._plan.timeout_s(self._now(), seconds))

    def _overhead(self) -> float:
        return expected_overhead(self._crew.overheads)

    def _search_is_over(self) -> bool:
        """Say whether no candidate can come any more and there is something else to do."""
        if not self._exhausted and self._plan.candidate(self._now(), self._overhead()):
            return False
        may_go_on = self._crew.free() > 0 and self._next_finalist() is not None
        return may_go_on or not self._crew.under_way

    def _search_deadline(self) -> float:
        """Return when candidates are killed: while there is no network yet, as late as can be."""
        if not evaluated(self._search.members):
            return self._plan.final_end + self._plan.final_grace_s
        return self._plan.search_end + self._plan.grace_s

    def _cancel_late(self, rung: str, deadline: float) -> None:
        if self._now() > deadline:
            self._crew.cancel(lambda training: training.rung == rung)

    def _check_hope(self) -> None:
        progress = measured(self._crew.individuals)
        least = max(_LEAST_FAILURES, 2 * self._crew.engine.capacity())
        if progress.evaluated == 0 and progress.failed >= least:
            raise DiceboxError(
                f"the first {progress.failed} candidates all failed; the last one:"
                f" {self._last_failure()}",
                kind="all-failed",
            )

    def _last_failure(self) -> str:
        for number in sorted(self._crew.individuals, reverse=True):
            individual = self._crew.individuals[number]
            if individual.outcome not in (None, "ok", "cancelled"):
                return f"{individual.outcome}: {individual.reason or 'no reason given'}"
        return "none"

    def _why_nothing(self) -> str:
        progress = measured(self._crew.individuals)
        if progress.failed:
            return f"no candidate could be trained; the last failure: {self._last_failure()}"
        return f"no candidate was trained to the end within {self._plan.end:g} s: give more seconds"

    def _report(self, phase: str) -> None:
        self._reported = self._now()
        self.run = self.run.model_copy(update={"progress": self._progress(phase)})
        self._ledger.save(self.run, self._runner)

    def _progress(self, phase: str) -> RunProgress:
        engine, individuals = self._crew.engine, self._crew.individuals
        workers = engine.workers()
        running = {worker.job for worker in workers if worker.job}
        self._reports.take(engine.events(self._reports.seen), running)
        progress = measured(individuals)
        until = self._now() if self._searched_until is None else self._searched_until
        minutes = (until - self._searched_from) / 60.0
        ended = progress.evaluated + progress.failed
        now = self._clock.now()
        return RunProgress.model_validate(
            progress.model_dump()
            | {
                "phase": phase,
                "seconds": self._now(),
                "seconds_left": seconds_left(self.run.request, self._now()),
                "candidates_per_minute": ended / minutes if ended and minutes > 0 else None,
                "workers": [activity(each, self._reports, individuals, now) for each in workers],
            }
        )


def training_seed(seed: int, number: int, rung: str) -> int:
    """Return the seed of one training, different for every individual and rung of a run."""
    sequence = np.random.SeedSequence([seed, number, 0 if rung == FIRST_RUNG else 1])
    return int(sequence.generate_state(1)[0])

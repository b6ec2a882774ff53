"""The search of one run in motion: what is trained next, and what came of it."""

import math
from dataclasses import replace

from commons.genome import Genome
from commons.messages import Evaluation, Individual, RunRequest
from evolver.assignments import Assignment, final_training, first_training, next_training
from evolver.budget import Plan, cautious_overhead, expected_overhead, start_overhead
from evolver.crew import Crew
from evolver.curves import Curves, kind_to_be
from evolver.finalists import finalists
from evolver.journal import (
    FINAL_RUNG,
    FIRST_RUNG,
    epochs_of,
    evaluation_of,
    fitness_of,
    fold,
    new_individual,
)
from evolver.preparation import Prepared
from evolver.search import (
    Birth,
    Climb,
    Search,
    able,
    ask,
    born,
    climbs,
    searching,
    told,
    waiting,
)
from evolver.selection import Member

# A training that was under way at so many deaths of a runner may be what kills them. In a fleet it
# is elsewhere, and whoever hands it out counts its starts.
_MOST_ATTEMPTS = 5


class Breeding:
    """Decides with the pure search, and has the crew train what was decided.

    Args:
        request: What was asked for.
        prepared: What it works on, and the search before its first decision.
        plan: How its seconds or epochs are divided.
        crew: Its engine and journal.
    """

    def __init__(self, request: RunRequest, prepared: Prepared, plan: Plan, crew: Crew) -> None:
        self.search: Search = prepared.search
        self.plan = plan
        self._request = request
        self._prepared = prepared
        self._crew = crew
        self._left: list[tuple[int, Evaluation]] = []
        self._curves = Curves(plan)
        self._finalists: set[int] = set()
        self._exhausted = False
        # Whether anything happened since there was last nothing to assign.
        self._fresh = True

    def take_up(self) -> None:
        """Go on from what the journal has; results that workers stored meanwhile are taken.

        Raises:
            DiceboxError: The tables or the blobs failed.
        """
        for individual in self._crew.load():
            for evaluation in individual.evaluations:
                if evaluation.state == "submitted":
                    self._adopt(individual.number, evaluation)
                    continue
                self._curves.remember(individual, evaluation)
                if evaluation.rung == FINAL_RUNG:
                    self._finalists.add(individual.number)
        individuals = self._crew.individuals
        self.search = fold(self.search, [individuals[number] for number in sorted(individuals)])

    def take(self, number: int, evaluation: Evaluation) -> None:
        """Tell the search what came of a training."""
        self._fresh = True
        if evaluation.rung == FINAL_RUNG:
            return
        rung = int(evaluation.rung)
        self.search = told(self.search, number, rung, fitness_of(evaluation))
        self._curves.remember(self._crew.individuals[number], evaluation)

    def assign(self) -> bool:
        """Give a worker the next candidate and say whether there was time and one for it.

        Raises:
            DiceboxError: The tables or the engine failed.
        """
        if self._left:
            return self._again(*self._left.pop(0))
        if self._exhausted or not self._fresh:
            return False
        decision = ask(self.search)
        if isinstance(decision, Climb):
            if self._climb(decision):
                return True
            # There is no time for it any more, but perhaps for the short trial of a birth.
            decision = ask(replace(self.search, rungs=1))
        if isinstance(decision, Birth) and self._may_bear():
            done = self._bear(decision)
        else:
            done = False
            still = waiting(self.search) if decision is None else searching(self.search)
            self._exhausted = not still
        self._fresh = done
        return done

    def is_time_for_the_final_worker(self) -> bool:
        """Say whether who will train the winner alone must start to be ready in time."""
        if not self.plan.alone:
            return False
        search_ends = self.plan.last_begin(self._overhead())
        # It is one more process on the cores that the others have too.
        workers = max(1, self._crew.engine.capacity())
        start_s = start_overhead(self._crew.starts) * (workers + 1) / workers
        return self._crew.now() >= search_ends - start_s

    def end_search(self) -> Plan:
        """Return the plan for what comes after the search, which is over.

        Where evaluations, epochs or generations ended it, the run ends early. Else it keeps its
        seconds, and the winner gets what the search had no use for.
        """
        plan = self.plan
        all_bred = not self._may_bear() or self._request.strategy == "generational"
        if (all_bred and self._exhausted) or self._epochs_left(plan.search_epochs) < 1:
            plan = plan.ended_early(self._crew.now())
        self.plan = plan.with_publishing(self._overhead())
        return self.plan

    def assign_finalist(self) -> bool:
        """Train who should be trained longer next and say whether there was anybody."""
        plan, crew = self.plan, self._crew
        overhead_s = cautious_overhead(crew.overheads)
        seconds = plan.finalist(crew.now(), overhead_s)
        member = self.next_finalist()
        if seconds is None or member is None:
            return False
        budget = plan.final_budget(seconds, self._epochs_left(plan.epochs))
        if budget is None:
            return False
        steps_end = plan.final_end - min(cautious_overhead(crew.tails or crew.overheads), seconds)
        until = None if math.isinf(steps_end) else crew.clock.now() + steps_end - crew.now()
        individual = crew.individuals[member.number]
        assignment = final_training(self._request, self._prepared, individual, budget, until)
        self._finalists.add(member.number)
        self._start(member.number, assignment)
        return True

    def next_finalist(self) -> Member | None:
        """Return who should be trained longer next and is no finalist yet, or None."""
        if len(self._finalists) >= self.plan.finalists_of(self._crew.engine.capacity()):
            return None
        return next((each for each in self.finalists() if each.number not in self._finalists), None)

    def finalists(self) -> list[Member]:
        """Return the members that may be published, in the order of their final trainings."""
        request = self._request
        members = able(self.search, request.max_latency_us, request.max_parameters)
        further = self.plan.further(warm=request.fidelity.warm_final)
        return finalists(members, further, self._prepared.snapshot.counts["validation"])

    def is_over(self) -> bool:
        """Say whether no candidate can come any more."""
        if self._left:
            return False
        too_late = self.plan.candidate(self._crew.now(), self._overhead()) is None
        return self._exhausted or too_late or self._epochs_left(self.plan.search_epochs) < 1

    def _adopt(self, number: int, evaluation: Evaluation) -> None:
        """Take the result of a training whose runner died, or train it again."""
        ended = self._crew.adopt(number, evaluation)
        if ended is not None:
            self._curves.remember(self._crew.individuals[number], ended)
            if ended.rung == FINAL_RUNG:
                self._finalists.add(number)
        elif evaluation.rung != FINAL_RUNG:
            self._left.append((number, evaluation))

    def _again(self, number: int, evaluation: Evaluation) -> bool:
        """Submit a training again whose runner died; what is too late, or deadly, ends here."""
        individual = self._crew.individuals[number]
        rung, attempt = int(evaluation.rung), evaluation.attempt + 1
        before = evaluation_of(individual, str(rung - 1)) if rung > 1 else None
        assignment = self._assignment(individual, rung, before, evaluation.inherited)
        deadly = attempt > _MOST_ATTEMPTS and not self._crew.fleet
        if deadly or assignment is None:
            ended = self._crew.cut_short(evaluation, 0.0)
            if deadly:
                reason = f"its runner died {evaluation.attempt} times while it was trained"
                ended = ended.model_copy(update={"outcome": "lost", "reason": reason})
            self._crew.put(number, ended)
            self.take(number, ended)
            return True
        known = assignment.evaluation.model_copy(update={"attempt": attempt})
        self._start(number, assignment._replace(evaluation=known))
        return True

    def _may_bear(self) -> bool:
        return len(self.search.members) != self._request.evaluations

    def _bear(self, birth: Birth) -> bool:
        number = len(self.search.members) + 1
        draft = new_individual(number, birth, self._prepared.problem, Evaluation(rung=FIRST_RUNG))
        assignment = self._assignment(draft, 1, None, birth.inherit_from)
        if assignment is None:
            return False
        self.search = born(self.search, number, birth)
        self._start(number, assignment, draft)
        return True

    def _climb(self, climb: Climb) -> bool:
        individual = self._crew.individuals[climb.number]
        before = evaluation_of(individual, str(climb.rung - 1))
        assignment = self._assignment(individual, climb.rung, before, None)
        if assignment is None:
            return False
        self.search = climbs(self.search, climb.number, climb.rung)
        self._start(climb.number, assignment)
        return True

    def _assignment(
        self, individual: Individual, rung: int, before: Evaluation | None, parent: int | None
    ) -> Assignment | None:
        """Return a training of the search, None if there is no time or no epoch for it."""
        spent_s, spent_epochs = 0.0, 0
        if before is not None and before.checkpoint is not None:
            spent_s, spent_epochs = before.trained_s or 0.0, before.epochs or 0
        seconds = self.plan.candidate(self._crew.now(), self._overhead(), rung, spent_s)
        if seconds is None:
            return None
        left = self._epochs_left(self.plan.search_epochs)
        budget = self.plan.budget(rung, seconds, spent_epochs + left)
        if budget is None or budget.epochs <= spent_epochs:
            return None
        source = self._crew.individuals.get(parent) if parent is not None else None
        kind = kind_to_be(individual, rung, before, source)
        bar = self._curves.bar(kind) if self._request.fidelity.curve_stop else None
        higher = rung < self.plan.rungs
        if before is not None:
            return next_training(
                self._request, self._prepared, individual, rung, budget, before, bar, climbs=higher
            )
        return first_training(
            self._request,
            self._prepared,
            Genome.model_validate(individual.genome),
            budget,
            source,
            bar,
            climbs=higher,
        )

    def _start(self, number: int, assignment: Assignment, draft: Individual | None = None) -> None:
        """Write a training down and submit it, or take what an earlier run has of it."""
        known = self._known_before(assignment.evaluation)
        evaluation = known or assignment.evaluation.model_copy(
            update={"started": self._crew.clock.now()}
        )
        if draft is not None:
            self._crew.add(draft.model_copy(update={"evaluations": [evaluation]}))
        else:
            self._crew.put(number, evaluation)
        if known is not None:
            self.take(number, known)
            return
        job = assignment.job
        seconds = float("inf") if job.budget.seconds is None else job.budget.seconds
        timeout_s = self.plan.timeout_s(self._crew.now(), seconds)
        before = assignment.before if job.start is not None else None
        self._crew.train(number, evaluation, job, timeout_s, before)

    def _known_before(self, evaluation: Evaluation) -> Evaluation | None:
        """Return what the same training gave before, in any run."""
        if evaluation.key is None or not self._request.fidelity.cache:
            return None
        # A run that is to be the same again must not depend on what was done before.
        if self._request.deterministic:
            return None
        return self._crew.known(evaluation)

    def _epochs_left(self, of: int | None) -> float:
        if of is None:
            return float("inf")
        spent = sum(epochs_of(individual) for individual in self._crew.individuals.values())
        return of - spent - sum(training.epochs for training in self._crew.under_way)

    def _overhead(self) -> float:
        return expected_overhead(self._crew.overheads)

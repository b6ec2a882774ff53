"""Between the journal's words (`commons.messages`) and the search's: individuals and members."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import ValidationError

from commons.genome import Genome, describe_genome, genome_hash
from commons.jobs import JobResult
from commons.messages import EpochReport, Evaluation, Individual, Objective
from commons.shapes import infer_shape
from commons.training import TrainResult
from evolver.limits import Problem
from evolver.pareto import choose
from evolver.search import Birth, Search, born, climbs, front, timed, told
from evolver.selection import FAILED, Fitness, Member

FIRST_RUNG = "1"
FINAL_RUNG = "final"
# Where a member is compared and nothing asks for its genome.
_ANY = Genome()


class Trained(NamedTuple):
    """One training that ended well: the weights of an individual and how good they are."""

    fitness: Fitness
    number: int
    rung: str
    weights: str


def new_individual(
    number: int, birth: Birth, problem: Problem, evaluation: Evaluation
) -> Individual:
    """Return the individual of a birth with its first training."""
    network = infer_shape(birth.genome, problem.shape, problem.categories)
    individual = Individual(
        number=number,
        genome=birth.genome.model_dump(mode="json"),
        genome_hash=genome_hash(birth.genome),
        description=describe_genome(birth.genome),
        parents=list(birth.parents),
        operator=birth.operator,
        state="submitted",
        parameters=network.parameters,
        multiply_adds=network.multiply_adds,
        evaluations=[evaluation],
    )
    return summarised(individual)


def finished(submitted: Evaluation, result: JobResult) -> Evaluation:
    """Return what became of a training by its job's result; numbers that are none diverged."""
    evaluation = submitted.model_copy(
        update={
            "state": "finished",
            "outcome": result.outcome,
            "reason": result.reason,
            "seconds": result.seconds,
            "worker": result.worker,
        }
    )
    if result.outcome != "ok":
        return evaluation
    try:
        trained = TrainResult.model_validate(result.value)
    except ValidationError as error:
        reason = f"the training returned no result: {error.error_count()} faults in its value"
        return evaluation.model_copy(update={"outcome": "error", "reason": reason})
    if not (math.isfinite(trained.accuracy) and math.isfinite(trained.loss)):
        reason = f"loss {trained.loss}, accuracy {trained.accuracy}"
        return evaluation.model_copy(update={"outcome": "diverged", "reason": reason})
    return evaluation.model_copy(
        update={
            "accuracy": trained.accuracy,
            "loss": trained.loss,
            "epochs": trained.epochs,
            "trained_s": trained.history[-1].seconds if trained.history else 0.0,
            "weights": trained.weights,
            "checkpoint": trained.checkpoint,
            "resumed": trained.resumed,
            "stopped": trained.stopped,
            "inherited": submitted.inherited if trained.inherited_share > 0 else None,
            "history": [
                EpochReport(
                    epoch=report.epoch,
                    seconds=report.seconds,
                    accuracy=report.accuracy,
                    loss=report.loss,
                )
                for report in trained.history
            ],
        }
    )


def with_evaluation(individual: Individual, evaluation: Evaluation) -> Individual:
    """Return the individual with one rung replaced or added, and its best one in front."""
    others = [known for known in individual.evaluations if known.rung != evaluation.rung]
    return summarised(individual.model_copy(update={"evaluations": [*others, evaluation]}))


def summarised(individual: Individual) -> Individual:
    """Return the individual with its own fields taken from its evaluations."""
    evaluations = sorted(individual.evaluations, key=rung_order)
    first = next((known for known in evaluations if known.rung == FIRST_RUNG), None)
    best = max(evaluations, key=lambda known: fitness_of(known).rank, default=first)
    if first is None or best is None:
        return individual
    seen = [known for known in evaluations if known.rung != FINAL_RUNG and known.accuracy]
    shown = ("outcome", "reason", "accuracy", "loss", "epochs", "seconds", "worker")
    update = {name: getattr(best, name) for name in shown}
    fitness = seen[-1].accuracy if seen else first.accuracy
    return individual.model_copy(
        update={**update, "state": first.state, "fitness": fitness, "evaluations": evaluations}
    )


def rung_order(evaluation: Evaluation) -> tuple[bool, int]:
    """Return a key that sorts the evaluations of an individual as they were done."""
    final = evaluation.rung == FINAL_RUNG
    return (final, 0 if final else int(evaluation.rung))


def fitness_of(evaluation: Evaluation) -> Fitness:
    """Return what selection makes of an evaluation; one that did not end well is `FAILED`."""
    if evaluation.outcome != "ok" or evaluation.accuracy is None or evaluation.loss is None:
        return FAILED
    return Fitness(evaluation.accuracy, evaluation.loss)


def trained(individuals: Iterable[Individual]) -> list[Trained]:
    """Return every training that ended well, of all rungs, the best first."""
    found = [
        Trained(fitness_of(evaluation), individual.number, evaluation.rung, evaluation.weights)
        for individual in individuals
        for evaluation in individual.evaluations
        if evaluation.weights is not None and not fitness_of(evaluation).failed
    ]
    return sorted(found, key=lambda item: item.fitness.rank, reverse=True)


def fold(search: Search, individuals: Iterable[Individual]) -> Search:
    """Return the search after all that a journal says happened, oldest first."""
    found = list(individuals)
    cpu = measured_on(found)
    for individual in found:
        search = born(search, individual.number, Genome.model_validate(individual.genome))
        for evaluation in individual.evaluations:
            if evaluation.rung == FINAL_RUNG:
                continue
            rung = int(evaluation.rung)
            if rung > 1:
                search = climbs(search, individual.number, rung)
            if evaluation.state == "finished":
                search = told(search, individual.number, rung, fitness_of(evaluation))
        if individual.latency_us is not None and individual.cpu == cpu:
            search = timed(search, individual.number, individual.latency_us)
    return search


def measured_on(individuals: Iterable[Individual]) -> str | None:
    """Return the processor that counts for a run: latencies of others are left out of its front."""
    return next((each.cpu for each in individuals if each.cpu is not None), None)


def epochs_of(individual: Individual) -> int:
    """Return the epochs that all trainings of an individual in this run took together."""
    total = before = 0
    for known in sorted(individual.evaluations, key=rung_order):
        if known.epochs is not None and not known.cached:
            total += known.epochs - (before if known.resumed else 0)
        before = known.epochs or 0
    return total


def front_of(
    objectives: Sequence[Objective], individuals: Sequence[Individual]
) -> list[Individual]:
    """Return the individuals that no other beats in all objectives, the most accurate first.

    Those whose latency was measured on another processor than the run's first are left out
    where latency counts.
    """
    by_number = {each.number: each for each in individuals}
    return [by_number[member.number] for member in front(_members(individuals), objectives)]


def best_within(
    individuals: Sequence[Individual], max_latency_us: float | None, max_parameters: int | None
) -> Individual | None:
    """Return the best individual that costs no more than that, or None if none is so cheap.

    Latencies count as in `front_of`; one that is not known is above any.
    """
    found = choose(_members(individuals), max_latency_us, max_parameters)
    return next((each for each in individuals if found and each.number == found.number), None)


def _members(individuals: Sequence[Individual]) -> list[Member]:
    """Return individuals with their best trainings, for comparisons alone."""
    cpu = measured_on(individuals)
    members = []
    for individual in individuals:
        best = max(map(fitness_of, individual.evaluations), key=lambda fitness: fitness.rank)
        here = individual.latency_us if individual.cpu == cpu else None
        number, parameters = individual.number, individual.parameters
        members.append(Member(number, _ANY, "", parameters, (best,), here))
    return members


def evaluation_of(individual: Individual, rung: str) -> Evaluation | None:
    """Return what is known of one rung of an individual."""
    return next((known for known in individual.evaluations if known.rung == rung), None)


def lineage(individuals: Iterable[Individual], number: int) -> list[Individual]:
    """Return an individual and all its ancestors, the oldest first; empty if it is not there."""
    by_number = {each.number: each for each in individuals}
    wanted, found = [number], dict[int, Individual]()
    while wanted:
        each = by_number.get(wanted.pop())
        if each is not None and each.number not in found:
            found[each.number] = each
            wanted += each.parents
    return [found[each] for each in sorted(found)]

"""Between the journal's words (`commons.messages`) and the search's: individuals and members."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import ValidationError

from commons.genome import Genome, describe_genome, genome_hash
from commons.jobs import JobResult
from commons.messages import EpochReport, Evaluation, Individual
from commons.shapes import infer_shape
from commons.training import TrainResult
from evolver.limits import Problem
from evolver.search import Birth, Search, born, told
from evolver.selection import FAILED, Fitness

FIRST_RUNG = "1"
FINAL_RUNG = "final"


class Trained(NamedTuple):
    """One training that ended well: the weights of an individual and how good they are."""

    fitness: Fitness
    number: int
    rung: str
    weights: str


def new_individual(number: int, birth: Birth, problem: Problem) -> Individual:
    """Return the individual of a birth, its search training submitted."""
    network = infer_shape(birth.genome, problem.shape, problem.categories)
    return Individual(
        number=number,
        genome=birth.genome.model_dump(mode="json"),
        genome_hash=genome_hash(birth.genome),
        description=describe_genome(birth.genome),
        parents=list(birth.parents),
        operator=birth.operator,
        state="submitted",
        parameters=network.parameters,
        multiply_adds=network.multiply_adds,
        evaluations=[Evaluation(rung=FIRST_RUNG)],
    )


def finished(rung: str, result: JobResult) -> Evaluation:
    """Return the evaluation that a job's result is; numbers that are none are a divergence."""
    evaluation = Evaluation.model_validate(
        {
            "rung": rung,
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
            "weights": trained.weights,
            "checkpoint": trained.checkpoint,
            "stopped": trained.stopped,
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
    for individual in individuals:
        genome = Genome.model_validate(individual.genome)
        search = born(search, individual.number, genome)
        for evaluation in individual.evaluations:
            if evaluation.rung == FIRST_RUNG and evaluation.state == "finished":
                search = told(search, individual.number, 1, fitness_of(evaluation))
    return search

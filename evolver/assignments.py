"""What one training is told: its budget, its seed, what it goes on or starts from."""

import hashlib
from typing import NamedTuple

import numpy as np

from commons.genome import Genome, genome_hash
from commons.learning_curve import Curve
from commons.messages import Evaluation, Individual, RunRequest
from commons.training import Budget, InheritedWeights, TrainJob, training_id
from evolver.journal import FINAL_RUNG, fitness_of
from evolver.preparation import Prepared

_SEED_WORDS = 4


class Assignment(NamedTuple):
    """A training before it is written down; `before` is the rung that it goes on from."""

    job: TrainJob
    evaluation: Evaluation
    before: Evaluation | None = None


def first_training(
    request: RunRequest,
    prepared: Prepared,
    genome: Genome,
    budget: Budget,
    parent: Individual | None,
    bar: Curve | None,
    *,
    climbs: bool,
) -> Assignment:
    """Return the training of a new genome on the first rung.

    Args:
        request: What was asked for.
        prepared: What it is trained on.
        genome: What is trained.
        budget: What it may cost.
        parent: Whose weights it may start from.
        bar: What its learning curve must pass.
        climbs: Whether it may be trained further later.
    """
    weights = best_weights(parent) if parent else None
    inherit = None
    if parent is not None and weights is not None:
        inherit = InheritedWeights(genome=Genome.model_validate(parent.genome), weights=weights)
    job = _job(request, prepared, genome, budget, "1").model_copy(
        update={"inherit": inherit, "curve": bar, "leave_checkpoint": climbs}
    )
    inherited = parent.number if parent is not None and inherit else None
    return Assignment(job, Evaluation(rung="1", inherited=inherited, key=_key(request, job)))


def next_training(
    request: RunRequest,
    prepared: Prepared,
    individual: Individual,
    rung: int,
    budget: Budget,
    before: Evaluation,
    bar: Curve | None,
    *,
    climbs: bool,
) -> Assignment:
    """Return the training of an individual on a higher rung; arguments as above."""
    genome = Genome.model_validate(individual.genome)
    # The seed of the first rung: it is the same training, only longer.
    job = _job(request, prepared, genome, budget, "1").model_copy(
        update={"start": before.checkpoint, "curve": bar, "leave_checkpoint": climbs}
    )
    key = _key(request, job, before.key)
    return Assignment(job, Evaluation(rung=str(rung), key=key), before)


def final_training(
    request: RunRequest,
    prepared: Prepared,
    individual: Individual,
    budget: Budget,
    until: float | None,
) -> Assignment:
    """Return the longer training of an individual at the end of a run.

    It begins with the weights that the individual has, unless this run has `warm_final` off, and
    with a whole schedule. Its steps end at `until`, unix seconds, whenever they begin.
    """
    genome = Genome.model_validate(individual.genome)
    weights = best_weights(individual) if request.fidelity.warm_final else None
    inherit = InheritedWeights(genome=genome, weights=weights) if weights else None
    job = _job(request, prepared, genome, budget, FINAL_RUNG).model_copy(
        update={"inherit": inherit, "until": until}
    )
    inherited = individual.number if inherit else None
    return Assignment(job, Evaluation(rung=FINAL_RUNG, inherited=inherited, key=_key(request, job)))


def training_seed(seed: int, genome: Genome, rung: str) -> int:
    """Return the seed of a training: one for a genome in all runs of a seed, another at the end.

    Were it drawn by the individual's number, no training of one run would be one of another.
    """
    digest = bytes.fromhex(genome_hash(genome))
    words = [int.from_bytes(digest[4 * word : 4 * word + 4]) for word in range(_SEED_WORDS)]
    sequence = np.random.SeedSequence([seed, *words, int(rung == FINAL_RUNG)])
    return int(sequence.generate_state(1)[0])


def best_weights(individual: Individual) -> str | None:
    """Return the blob of the best weights an individual still has, or None."""
    known = [
        evaluation
        for evaluation in individual.evaluations
        if evaluation.weights is not None and not fitness_of(evaluation).failed
    ]
    best = max(known, key=lambda evaluation: fitness_of(evaluation).rank, default=None)
    return best.weights if best else None


def _job(
    request: RunRequest, prepared: Prepared, genome: Genome, budget: Budget, rung: str
) -> TrainJob:
    return TrainJob(
        genome=genome,
        data=prepared.data,
        categories=prepared.problem.categories,
        budget=budget,
        seed=training_seed(request.seed, genome, rung),
        deterministic=request.deterministic,
    )


def _key(request: RunRequest, job: TrainJob, before: str | None = None) -> str:
    """Return the same key for trainings that give the same; the bar of a curve changes nothing."""
    parts = (
        training_id(job, job.budget),
        # The folder is that of a run, the file bears the hash of what is in it.
        job.inherit.weights.rpartition("/")[2] if job.inherit else "",
        before or "",
        str(request.deterministic),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

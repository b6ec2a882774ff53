"""A run with its journal, made up in an instant, for tests of the report."""

import math

import numpy as np

from commons.genome import Genome, describe_genome, genome_hash
from commons.messages import EpochReport, Evaluation, Individual, Run, RunCard, RunProgress
from commons.shapes import infer_shape
from dicebox.report.gather import RunFacts
from dicebox.report.trials import fitness
from evolver.limits import Problem
from evolver.operators import Child, create, cross, mutate
from evolver.taxonomy import Taxonomy
from tests.evolver_builders import HASH, request, snapshot

PROBLEM = Problem((8, 8, 1), 10)
WORKERS = 2


def evaluation(rung: str = "1", accuracy: float | None = 0.9, **values: object) -> Evaluation:
    """Return a training that ended well, or diverged where there is no accuracy."""
    ended_well = {
        "outcome": "ok",
        "accuracy": accuracy,
        "loss": 1.0 - (accuracy or 0.0),
        "epochs": 2,
        "trained_s": 2.0,
        "history": [
            EpochReport(epoch=e, seconds=float(e), accuracy=(accuracy or 0.0) * e / 2, loss=1.0)
            for e in (1, 2)
        ],
    }
    failed = {"outcome": "diverged", "reason": "loss nan, accuracy 0.1"}
    return Evaluation.model_validate(
        {"rung": rung, "state": "finished", "seconds": 3.0, "worker": "w1"}
        | (failed if accuracy is None else ended_well)
        | values
    )


def individual(
    number: int,
    *evaluations: Evaluation,
    genome: Genome | None = None,
    operator: str = "random",
    parents: tuple[int, ...] = (),
) -> Individual:
    genome = genome or Genome()
    bare = Individual(
        number=number,
        genome=genome.model_dump(mode="json"),
        genome_hash=genome_hash(genome),
        description=describe_genome(genome),
        parents=list(parents),
        operator=operator,
        state="finished",
        parameters=infer_shape(genome, PROBLEM.shape, PROBLEM.categories).parameters,
        evaluations=list(evaluations),
    )
    last = evaluations[-1] if evaluations else None
    seen = {"outcome": last.outcome, "reason": last.reason} if last else {}
    return bare.model_copy(update={"fitness": fitness(bare), **seen})


def bred(count: int = 40, seed: int = 0) -> list[Individual]:
    """Return a made-up search: seeds, then children of the best so far, rungs and failures."""
    rng = np.random.default_rng(seed)
    found: list[Individual] = []
    genomes: dict[int, Genome] = {}
    clocks = [0.0] * WORKERS
    for number in range(1, count + 1):
        child, parents = _child(rng, found, genomes)
        genomes[number] = child.genome
        results: list[Evaluation] = []
        for rung in ("1", "2", "3"):
            worker = int(np.argmin(clocks))
            spent = float(rng.uniform(1.0, 2.0)) * 3 ** (int(rung) - 1)
            accuracy = None if rng.random() < 0.06 else _accuracy(rng, child.genome, int(rung))
            results.append(
                evaluation(
                    rung,
                    accuracy,
                    seconds=spent,
                    trained_s=0.9 * spent,
                    at=clocks[worker] + spent,
                    started=1000.0 + clocks[worker],
                    ended=1000.0 + clocks[worker] + spent,
                    worker=f"worker-{worker}",
                )
            )
            clocks[worker] += spent + 0.1
            if accuracy is None or rng.random() > 0.33:
                break
        one = individual(
            number, *results, genome=child.genome, operator=child.operator, parents=parents
        )
        found.append(one)
    return found


def facts(individuals: list[Individual] | None = None, **run: object) -> RunFacts:
    """Return a run that has ended, without network and examination."""
    individuals = bred() if individuals is None else individuals
    known = [one for one in individuals if one.fitness is not None]
    best = max(known, key=lambda one: one.fitness or 0.0, default=None)
    values = {
        "id": "r1",
        "state": "complete",
        "request": request(seconds=60.0, command="dicebox evolve --dataset digits"),
        "snapshot": HASH,
        "shape": PROBLEM.shape,
        "created": 1_700_000_000.0,
        "progress": RunProgress(
            phase="done",
            seconds=60.5,
            births=len(individuals),
            evaluated=len(known),
            failed=len(individuals) - len(known),
            best=best.fitness if best else None,
            best_individual=best.number if best else None,
        ),
        "card": RunCard(
            seed=0,
            snapshot=HASH,
            command="dicebox evolve --dataset digits",
            machine={"processor": "a fine one", "cores": "2"},
            versions={"dicebox": "0.1.0"},
        ),
    }
    return RunFacts(
        run=Run.model_validate(values | run),
        individuals=individuals,
        snapshot=snapshot(validation=270),
    )


def _child(
    rng: np.random.Generator, found: list[Individual], genomes: dict[int, Genome]
) -> tuple[Child, tuple[int, ...]]:
    living = [one for one in found if one.fitness is not None][-12:]
    if len(found) < 4 or not living or rng.random() < 0.1:
        child = create(rng, Taxonomy(), PROBLEM)
        return (child._replace(operator="seed") if len(found) < 4 else child), ()
    living.sort(key=lambda one: one.fitness or 0.0)
    mother = living[-1 - min(len(living) - 1, int(rng.integers(3)))]
    if len(living) > 1 and rng.random() < 0.2:
        father = living[0]
        child = cross(rng, genomes[mother.number], genomes[father.number], Taxonomy(), PROBLEM)
        return child, (mother.number, father.number)
    child = mutate(rng, genomes[mother.number], Taxonomy(), PROBLEM)
    assert child is not None
    return child, (mother.number,)


def _accuracy(rng: np.random.Generator, genome: Genome, rung: int) -> float:
    """Return more for wide networks with a rate near 0.002 and longer trainings, by 270ths."""
    parameters = infer_shape(genome, PROBLEM.shape, PROBLEM.categories).parameters
    rate = abs(math.log10(genome.training.learning_rate) + 2.7)
    error = 0.3 * math.exp(-math.log10(parameters + 1) / 1.6) * (1 + rate) * 0.7**rung
    return round(270 * (1 - min(0.9, error * float(rng.uniform(0.6, 1.5))))) / 270

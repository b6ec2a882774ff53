"""From a request to a problem: freezes the data and refuses what cannot be evolved."""

from dataclasses import dataclass

from pydantic import ValidationError

from commons.errors import InvalidInputError
from commons.genome import Genome
from commons.messages import FreezeRequest, RunRequest, Snapshot
from commons.training import TrainingData, resolve_shape
from evolver.budget import Plan, affordable_multiply_adds, plan_of
from evolver.limits import Problem
from evolver.ports import Sensory
from evolver.search import Search, start_search
from evolver.taxonomy import Taxonomy, taxonomy_from_value

_LEAST_CATEGORIES = 2


@dataclass(frozen=True)
class Prepared:
    """What a run works on: frozen data, a plan, and a search that has not begun."""

    snapshot: Snapshot
    plan: Plan
    data: TrainingData
    problem: Problem
    search: Search


def prepare(request: RunRequest, sensory: Sensory, sensory_url: str) -> Prepared:
    """Return what a run works on; only counts of training and validation images are looked at.

    Args:
        request: What was asked for.
        sensory: Freezes, or knows the snapshot that was named.
        sensory_url: Where the engine's workers find the images.

    Raises:
        InvalidInputError: The data cannot be evolved, or the taxonomy allows nothing for it.
        DiceboxError: What the sensory service says.
    """
    snapshot = _snapshot(request, sensory)
    _check(snapshot)
    shape = resolve_shape(request.shape, snapshot.median_shape)
    problem = Problem(shape, len(snapshot.categories))
    plan = plan_of(request)
    search = start_search(
        _affordable(request, plan, snapshot.counts["train"]),
        problem,
        seed=request.seed,
        size=request.population,
        strategy=request.strategy,
        rungs=plan.rungs,
        objectives=request.objectives,
        generational=request.generational,
        inheritance=request.fidelity.inheritance,
        start=genomes_of(request),
    )
    data = TrainingData(
        sensory_url=sensory_url, snapshot=snapshot.id, shape=shape, resize=request.resize
    )
    return Prepared(snapshot, plan, data, problem, search)


def genomes_of(request: RunRequest) -> list[Genome] | None:
    """Return the genomes that a run is to start with.

    Raises:
        InvalidInputError: One of them is none.
    """
    if request.start is None:
        return None
    found: list[Genome] = []
    for number, value in enumerate(request.start, 1):
        try:
            found.append(Genome.model_validate(value))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidInputError(
                f"the genome {number} to start with is none: {where}: {first['msg']}"
            ) from error
    return found


def _snapshot(request: RunRequest, sensory: Sensory) -> Snapshot:
    if request.snapshot is None:
        return sensory.freeze(request.dataset, FreezeRequest(categories=request.categories))
    snapshot = sensory.snapshot(request.snapshot)
    if snapshot.dataset != request.dataset:
        raise InvalidInputError(
            f"snapshot {snapshot.id} is of dataset {snapshot.dataset!r}, not {request.dataset!r}"
        )
    return snapshot


def _check(snapshot: Snapshot) -> None:
    train, validation = snapshot.counts.get("train", 0), snapshot.counts.get("validation", 0)
    categories = len(snapshot.categories)
    name = f"dataset {snapshot.dataset!r}"
    if train + validation == 0:
        raise InvalidInputError(f"{name} has no labeled images to learn from: label some first")
    if categories < _LEAST_CATEGORIES:
        raise InvalidInputError(
            f"{name} has {categories} category: label images of at least {_LEAST_CATEGORIES}"
        )
    if validation == 0:
        raise InvalidInputError(
            f"{name} has no validation images: label more images, so that some can be held out"
        )
    if train < categories:
        raise InvalidInputError(
            f"{name} has fewer training images ({train}) than categories ({categories}):"
            " label more images"
        )


def _affordable(request: RunRequest, plan: Plan, train_images: int) -> Taxonomy:
    """Return the search space, less what costs more than there is time, or than was asked for."""
    taxonomy = taxonomy_from_value(request.taxonomy)
    affordable = affordable_multiply_adds(train_images, plan.final_s)
    most = min(taxonomy.limits.multiply_adds, affordable)
    update = {"multiply_adds": most}
    if request.max_parameters is not None:
        update["parameters"] = min(taxonomy.limits.parameters, request.max_parameters)
    limits = taxonomy.limits.model_copy(update=update)
    return taxonomy.model_copy(update={"limits": limits})

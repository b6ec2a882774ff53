"""A second run in the same folder takes what the first one trained, where it is worth taking."""

from typing import Any

from commons.jobs import JobSpec
from commons.messages import Individual
from commons.training import TrainJob
from evolver.journal import evaluation_of
from tests.evolver_builders import Stage, queued_run, synthetic_fitness

FIRST = {"seconds": None, "evaluations": 12, "workers": 1}
SECOND = {**FIRST, "evaluations": 24}
BY_RUNG = {"1": 0.90, "2": 0.92, "3": 0.94}


def seed_wins(final: float) -> Stage:
    """Return a stage on which the first seed is the best, and so good after its final training."""

    def accuracy(spec: JobSpec) -> float:
        _, number, rung = spec.id.split("/")
        if number == "1":
            return {**BY_RUNG, "final": final}[rung]
        return synthetic_fitness(TrainJob.model_validate(spec.arguments).genome)[0] / 2

    return Stage(accuracy=accuracy)


def again(stage: Stage, **values: Any) -> list[Individual]:
    """Drive a second run and return what it has bred."""
    stage.tables.add(queued_run("r2", **values))
    stage.runner().run_next()
    assert stage.tables.get("r2").state == "complete"
    return stage.tables.individuals("r2")


def heirs(stage: Stage, individuals: list[Individual]) -> list[TrainJob]:
    """Return the first trainings of all who have parents and were really trained."""
    specs = {spec.id: spec for spec in stage.engine.specs}
    trained = (f"r2/{each.number}/1" for each in individuals if each.parents)
    return [TrainJob.model_validate(specs[job].arguments) for job in trained if job in specs]


def test_what_still_has_its_weights_is_not_trained_again() -> None:
    stage = Stage()
    same = {**FIRST, "keep_weights": 30, "fidelity": {"rungs": False, "inheritance": False}}
    stage.evolve(**same)
    second = again(stage, **same)
    trained = stage.engine.trained
    # Of an individual the best weights are kept, and that may be those before its final training.
    assert {job.split("/")[2] for job in trained} <= {"final", "export"}
    first = stage.tables.individuals("r1", histories=True)
    assert [each.genome_hash for each in second] == [each.genome_hash for each in first]
    second = stage.tables.individuals("r2", histories=True)
    for before, after in zip(first, second, strict=True):
        known, taken = evaluation_of(before, "1"), evaluation_of(after, "1")
        assert known is not None
        assert taken is not None
        assert (taken.cached, taken.seconds, taken.checkpoint) == (True, 0.0, None)
        assert (taken.accuracy, taken.history) == (known.accuracy, known.history)
    finals = [evaluation_of(each, "final") for each in second]
    epochs = sum(final.epochs or 0 for final in finals if final and not final.cached)
    assert stage.tables.get("r2").progress.epochs == epochs


def test_what_has_no_weights_any_more_is_trained_again_so_that_others_can_go_on_from_it() -> None:
    stage = seed_wins(final=0.96)
    stage.evolve(**FIRST)
    left = [name for name in stage.blobs.held if name.startswith("weights/")]
    assert 0 < len(left) < FIRST["evaluations"]
    second = again(stage, **SECOND)
    children = heirs(stage, second)
    assert len(children) > 5
    assert all(job.inherit for job in children)
    final = evaluation_of(second[0], "final")
    assert final is not None
    assert final.inherited == 1
    assert stage.gallery.cards[-1].individual == 1


def test_others_go_on_from_what_is_taken_from_another_run() -> None:
    stage = seed_wins(final=0.85)
    kept = {"keep_weights": 30, "fidelity": {"rungs": False}}
    stage.evolve(**FIRST, **kept)
    second = again(stage, **SECOND, **kept)
    taken = [known for each in second if (known := evaluation_of(each, "1")) and known.cached]
    assert len(taken) >= FIRST["evaluations"]
    children = heirs(stage, second)
    assert all(job.inherit for job in children)
    assert any(job.inherit.weights.startswith("weights/r1/") for job in children if job.inherit)
    final = evaluation_of(second[0], "final")
    assert final is not None
    assert final.inherited == 1

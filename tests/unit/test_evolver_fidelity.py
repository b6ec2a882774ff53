"""What makes a fitness cheap, budgets other than seconds, and several objectives."""

import math

import pytest

from commons.errors import NotFoundError
from commons.jobs import JobResult, JobSpec
from commons.messages import Individual
from commons.shapes import infer_shape
from commons.training import TRAIN_FUNCTION, LatencyResult, TrainJob
from evolver.journal import evaluation_of
from evolver.runs import Runs
from tests.evolver_builders import FakeSensory, Stage, nobody_is_dead, queued_run, snapshot
from tests.memory_blobs import MemoryBlobs

BARE = dict.fromkeys(("rungs", "inheritance", "curve_stop", "cache", "warm_final"), False)


def jobs(stage: Stage, run: str = "r1") -> dict[str, TrainJob]:
    """Return the trainings that a stage's engines were given for a run, by number and rung."""
    specs = [spec for engine in stage.engines for spec in engine.specs]
    trainings = [spec for spec in specs if spec.function == TRAIN_FUNCTION]
    return {
        spec.id.removeprefix(f"{run}/"): TrainJob.model_validate(spec.arguments)
        for spec in trainings
        if spec.id.startswith(f"{run}/")
    }


def climbers(individuals: list[Individual]) -> list[Individual]:
    return [each for each in individuals if evaluation_of(each, "2") is not None]


def test_the_best_climb_from_their_checkpoints_on_three_times_the_budget() -> None:
    stage = Stage()
    stage.evolve(seconds=120)
    found, trainings = stage.tables.individuals("r1"), jobs(stage)
    climbed = climbers(found)
    first = [each for each in found if each.fitness is not None]
    assert 0 < len(climbed) <= len(first) / 3
    for each in climbed:
        below, above = (trainings[f"{each.number}/{rung}"] for rung in "12")
        assert below.leave_checkpoint
        assert above.start == f"checkpoints/r1/{each.number}/1/x.npz"
        assert above.inherit is None
        assert above.seed == below.seed
        assert above.budget.epochs == 3 * below.budget.epochs
        second = evaluation_of(each, "2")
        assert second is not None
        assert second.resumed or second.outcome == "cancelled"
    tops = [job for name, job in trainings.items() if name.endswith("/3")]
    assert tops
    assert not any(job.leave_checkpoint for job in tops)


def test_children_start_from_the_weights_of_a_parent_that_still_has_some() -> None:
    stage = Stage()
    stage.evolve(seconds=120)
    found = {each.number: each for each in stage.tables.individuals("r1")}
    heirs = 0
    for name, job in jobs(stage).items():
        number, rung = name.split("/")
        if job.inherit is None:
            continue
        parent = int(job.inherit.weights.split("/")[2])
        if rung == "final":
            assert parent == int(number), "it goes on with what it has"
            continue
        heirs += 1
        assert rung == "1"
        assert parent in found[int(number)].parents
        assert job.inherit.genome.model_dump(mode="json") == found[parent].genome
        assert evaluation_of(found[int(number)], "1").inherited == parent  # type: ignore[union-attr]
    assert heirs > 5


def test_a_final_training_begins_with_the_weights_that_its_individual_has() -> None:
    stage = Stage()
    stage.evolve(seconds=120)
    found = {each.number: each for each in stage.tables.individuals("r1", histories=False)}
    finals = {name: job for name, job in jobs(stage).items() if name.endswith("/final")}
    assert finals
    for name, job in finals.items():
        individual = found[int(name.split("/")[0])]
        assert job.inherit is not None
        assert job.inherit.weights.startswith(f"weights/r1/{individual.number}/")
        final = evaluation_of(individual, "final")
        assert final is not None
        assert final.inherited == individual.number


def test_without_a_warm_final_it_begins_afresh_and_children_still_inherit() -> None:
    stage = Stage()
    stage.evolve(seconds=120, fidelity={"warm_final": False})
    trainings = jobs(stage)
    finals = [job for name, job in trainings.items() if name.endswith("/final")]
    assert [job.inherit for job in finals] == [None] * len(finals)
    assert any(job.inherit for job in trainings.values())


def test_without_any_of_it_everybody_is_trained_once_and_afresh() -> None:
    stage = Stage()
    stage.evolve(seconds=120, fidelity=BARE)
    trainings = jobs(stage)
    assert {name.split("/")[1] for name in trainings} == {"1", "final"}
    for job in trainings.values():
        assert (job.start, job.inherit, job.curve, job.leave_checkpoint) == (
            None,
            None,
            None,
            False,
        )


def test_a_bar_is_sent_along_once_enough_curves_are_known() -> None:
    stage = Stage()
    stage.evolve(seconds=120)
    bars = [job.curve for name, job in jobs(stage).items() if name.endswith("/1")]
    assert bars[0] is None
    assert bars[-1] is not None
    assert all(job.curve is None for name, job in jobs(stage).items() if name.endswith("final"))


@pytest.mark.parametrize("change", [{"seed": 1}, {"fidelity": {"cache": False}}])
def test_another_seed_or_the_switch_has_everything_trained(change: dict) -> None:
    stage = Stage()
    same = {"seconds": None, "evaluations": 6, "workers": 1}
    stage.evolve(**same)
    stage.tables.add(queued_run("r2", **same, **change))
    stage.runner().run_next()
    assert len(jobs(stage, "r2")) >= 6


def test_epochs_in_all_are_kept_and_some_are_left_for_the_winner() -> None:
    stage = Stage()
    run = stage.evolve(seconds=None, epochs_total=200)
    assert run.state == "complete"
    finals = [job for name, job in jobs(stage).items() if name.endswith("final")]
    assert [job.budget.seconds for job in jobs(stage).values()] == [None] * len(jobs(stage))
    assert len(finals) == 1
    assert finals[0].budget.epochs >= 44
    assert 150 < run.progress.epochs <= 200
    assert run.progress.seconds_left is None or run.progress.seconds_left == 0.0


@pytest.mark.parametrize(
    ("budget", "kind"),
    [
        ({"seconds": 600, "evaluations": 5}, "births"),
        ({"seconds": 30, "evaluations": 5000}, "seconds"),
        ({"seconds": 600, "epochs_total": 60}, "epochs"),
    ],
)
def test_what_ends_first_ends_the_run(budget: dict, kind: str) -> None:
    run = Stage().evolve(**budget)
    assert run.state == "complete"
    limit = {"births": 5, "seconds": 31.5, "epochs": 60}[kind]
    assert getattr(run.progress, kind) <= limit


def test_generations_wait_for_each_other_and_end_the_run() -> None:
    stage = Stage()
    run = stage.evolve(
        seconds=600, strategy="generational", population=6, generational={"generations": 3}
    )
    assert run.state == "complete"
    assert 6 < run.progress.births <= 18
    assert stage.clock.time < 1000 + 400


@pytest.mark.parametrize("seconds", [60, 600])
def test_the_seeds_alone_are_trained_and_their_winner_has_the_rest_of_the_time(
    seconds: int,
) -> None:
    stage = Stage()
    run = stage.evolve(seconds=seconds, strategy="seeds")
    individuals = stage.tables.individuals("r1")
    assert {each.operator for each in individuals} == {"seed"}
    assert run.state == "complete"
    assert 0.95 * seconds < stage.clock.time - 1000 < 1.05 * seconds
    finals = [final for each in individuals if (final := evaluation_of(each, "final"))]
    assert max(final.trained_s or 0.0 for final in finals) > 0.4 * seconds


def test_a_run_starts_with_the_genomes_it_is_given() -> None:
    stage = Stage()
    stage.evolve(seconds=30, start=[{"head": "flatten"}, {"head": "max"}])
    heads = [each.genome["head"] for each in stage.tables.individuals("r1")[:2]]
    assert heads == ["flatten", "max"]


def test_latencies_are_measured_once_each_and_make_a_front() -> None:
    stage = Stage()
    run = stage.evolve(seconds=60, objectives=["accuracy", "latency"])
    assert run.state == "complete"
    measured = [spec.id for spec in stage.engine.specs if spec.id.endswith("/latency")]
    assert len(measured) == len(set(measured)) > 5
    found = stage.tables.individuals("r1")
    assert {each.cpu for each in found if each.latency_us is not None} == {"a processor"}
    runs = Runs(stage.tables, stage.tables, stage.clock, lambda: "x", nobody_is_dead, MemoryBlobs())
    front = runs.front("r1")
    assert len(front) > 1
    latencies = [each.latency_us for each in front]
    assert latencies == sorted(latencies, reverse=True)


def test_latencies_of_another_processor_are_kept_and_never_compared() -> None:
    def fate(spec: JobSpec) -> JobResult | None:
        number = int(spec.id.split("/")[1])
        if not spec.id.endswith("/latency") or number != 3:
            return None
        value = LatencyResult(latency_us=0.1, cpu="another").model_dump()
        return JobResult(id=spec.id, outcome="ok", value=value)

    stage = Stage(fate=fate)
    stage.evolve(seconds=60, objectives=["accuracy", "latency"])
    third = stage.tables.individuals("r1")[2]
    assert (third.latency_us, third.cpu) == (0.1, "another")
    runs = Runs(stage.tables, stage.tables, stage.clock, lambda: "x", nobody_is_dead, MemoryBlobs())
    assert 3 not in [each.number for each in runs.front("r1")]


def test_only_a_network_that_is_fast_enough_is_published() -> None:
    free = Stage()
    free.evolve(seconds=60, objectives=["accuracy", "latency"])
    limit = sorted(each.latency_us or math.inf for each in free.tables.individuals("r1"))[4]
    stage = Stage()
    run = stage.evolve(seconds=60, objectives=["accuracy", "latency"], max_latency_us=limit)
    number = stage.gallery.cards[0].individual
    latency = stage.tables.individuals("r1")[number - 1].latency_us
    assert run.state == "complete"
    assert latency is not None
    assert latency <= limit


@pytest.mark.parametrize("fidelity", [{}, {"inheritance": False, "warm_final": False}])
def test_the_final_weights_are_published_though_slower_networks_are_better(
    fidelity: dict,
) -> None:
    limit_us = 100.0

    def accuracy(spec: JobSpec) -> float:
        genome = TrainJob.model_validate(spec.arguments).genome
        slow = infer_shape(genome, (8, 8, 1), 10).parameters / 100.0 > limit_us
        return 0.99 if slow else 0.7 if spec.id.endswith("/final") else 0.6

    stage = Stage(accuracy=accuracy)
    run = stage.evolve(
        seconds=120, objectives=["accuracy", "latency"], max_latency_us=limit_us, fidelity=fidelity
    )
    assert run.state == "complete", run.reason
    slow = [each for each in stage.tables.individuals("r1") if (each.latency_us or 0.0) > limit_us]
    assert len(slow) > run.request.keep_weights
    (export,) = stage.engines[0].jobs("export")
    assert str(export.arguments["weights"]).endswith("/final/x.npz")
    assert stage.blobs.exists(str(export.arguments["weights"]))


@pytest.mark.parametrize("objectives", [["accuracy"], ["accuracy", "parameters"]])
def test_who_climbs_still_has_the_checkpoint_of_the_rung_below(objectives: list[str]) -> None:
    stage = Stage()
    stage.evolve(seconds=240, objectives=objectives)
    climbs = {name: job for name, job in jobs(stage).items() if name.endswith(("/2", "/3"))}
    afresh = [name for name, job in climbs.items() if job.start is None]
    # Who was outside the better half of a rung for a while may climb after all.
    assert len(afresh) <= len(climbs) // 10


def test_a_latency_that_nothing_reaches_is_said() -> None:
    run = Stage().evolve(seconds=30, max_latency_us=0.001)
    assert run.state == "failed"
    assert "0.001 µs" in str(run.reason)


def test_no_network_above_the_most_parameters_is_ever_trained() -> None:
    stage = Stage()
    run = stage.evolve(seconds=30, max_parameters=5000)
    assert run.state == "complete"
    assert max(each.parameters for each in stage.tables.individuals("r1")) <= 5000


def test_a_run_bears_a_card_that_says_where_it_came_from() -> None:
    run = Stage().evolve(seconds=20, seed=4, command="dicebox evolve --dataset digits")
    assert run.card is not None
    assert run.card.model_dump() == {
        "seed": 4,
        "snapshot": snapshot().id,
        "command": "dicebox evolve --dataset digits",
        "machine": {"cpu": "a processor"},
        "versions": {"dicebox": "1"},
    }


@pytest.mark.parametrize(
    ("known", "categories"),
    [
        (snapshot(train=1000, validation=1000, categories=1000), 1000),
        (snapshot(train=2, validation=1, categories=2), 2),
        (snapshot(median_shape=(1, 1, 1)), 10),
        (snapshot(median_shape=(1, 1, 3)), 10),
    ],
)
def test_unusual_data_is_evolved(known, categories: int) -> None:
    stage = Stage(sensory=FakeSensory(known))
    assert stage.evolve(seconds=20).state == "complete"
    assert {job.categories for job in jobs(stage).values()} == {categories}


def test_a_worker_that_runs_out_of_memory_or_disk_is_a_recorded_failure() -> None:
    def fate(spec: JobSpec) -> JobResult | None:
        number, rung = spec.id.split("/")[1:]
        if number == "2":
            return JobResult(id=spec.id, outcome="killed", reason="ended by SIGKILL")
        if rung == "2":
            reason = "no space is left to store a checkpoint"
            return JobResult(id=spec.id, outcome="error", reason=reason)
        return None

    stage = Stage(fate=fate)
    run = stage.evolve(seconds=60)
    assert run.state == "complete"
    found = stage.tables.individuals("r1")
    assert (found[1].outcome, found[1].reason) == ("killed", "ended by SIGKILL")
    climbed = climbers(found)
    assert climbed
    for each in climbed:
        second = evaluation_of(each, "2")
        assert second is not None
        assert second.outcome in ("error", "cancelled")
        assert each.outcome == "ok"
        assert evaluation_of(each, "3") is None


def test_a_run_that_is_discarded_leaves_no_files_but_those_of_others_and_its_journal() -> None:
    stage = Stage()
    stage.evolve(seconds=30)
    before = stage.tables.individuals("r1")
    kept = [known.weights for each in before for known in each.evaluations if known.weights]
    stage.blobs.put("weights/r2/1/1/other.npz", b"of another run")
    # A training that another run took over from the cache.
    other = before[0].evaluations[0].model_copy(update={"weights": kept[0]})
    stage.tables.rows["r2"] = {1: before[0].model_copy(update={"evaluations": [other]})}
    runs = Runs(stage.tables, stage.tables, stage.clock, lambda: "x", nobody_is_dead, stage.blobs)
    assert runs.discard("r1").blobs == len(set(kept)) - 1
    assert sorted(stage.blobs.names("weights/")) == sorted([kept[0], "weights/r2/1/1/other.npz"])
    after = stage.tables.individuals("r1")
    assert [each.accuracy for each in after] == [each.accuracy for each in before]
    assert runs.discard("r1").blobs == 0
    with pytest.raises(NotFoundError):
        runs.discard("nothing")

import json
import sys
from types import FrameType

import pytest

from commons.errors import StorageFullError
from commons.genome import genome_hash
from commons.jobs import JobResult, JobSpec
from commons.messages import Individual
from commons.training import TRAIN_FUNCTION, TrainJob
from evolver.journal import fold, trained
from evolver.limits import Problem
from evolver.search import start_search
from evolver.taxonomy import taxonomy_from_value
from tests.evolver_builders import FakeSensory, MemoryRuns, Stage, queued_run, snapshot


def failing(outcome: str):
    return lambda spec: JobResult(id=spec.id, outcome=outcome, reason="for the test")


def test_a_run_breeds_trains_finalists_and_publishes_the_best() -> None:
    stage = Stage()
    run = stage.evolve(seconds=60)
    assert (run.state, run.reason, run.promoted) == ("complete", None, True)
    assert stage.gallery.promoted == [("digits", run.network)]
    best = trained(stage.tables.individuals("r1"))[0]
    assert stage.gallery.cards[0].individual == best.number == run.progress.best_individual
    assert run.progress.best == best.fitness.accuracy
    assert run.shape == (8, 8, 1)
    assert stage.engine.closed


@pytest.mark.parametrize("seconds", [20, 60, 600])
def test_a_run_ends_within_five_percent_of_its_seconds(seconds: int) -> None:
    stage = Stage()
    started = stage.clock.time
    assert stage.evolve(seconds=seconds).state == "complete"
    assert 0.95 * seconds <= stage.clock.time - started <= 1.05 * seconds


def test_workers_are_busy_from_the_start_and_nobody_is_killed_in_a_good_run() -> None:
    stage = Stage()
    stage.evolve(seconds=60)
    assert stage.engine.killed == []
    assert len(stage.engine.jobs("1")) >= 15
    assert len(stage.engine.jobs("final")) == 2
    assert [spec.id for spec in stage.engine.specs[:2]] == ["r1/1/1", "r1/2/1"]


@pytest.mark.parametrize("start_s", [1.0, 6.0, 25.0])
def test_the_winner_of_a_long_run_is_trained_alone_by_a_worker_with_all_cores(
    start_s: float,
) -> None:
    stage = Stage(start_s=start_s)
    run = stage.evolve(seconds=600)
    assert stage.engine.killed == []
    search, alone = stage.engines
    assert (search.size, alone.size) == (2, 1)
    assert [spec.id.split("/")[2] for spec in alone.specs] == ["ready", "final"]
    assert [spec.id.split("/")[2] for spec in search.specs][-1] == "export"
    assert (search.closed, alone.closed, run.state) == (True, True, "complete")
    number = int(alone.specs[1].id.split("/")[1])
    individuals = stage.tables.individuals("r1")
    assert individuals[number - 1] == max(individuals, key=_standing)
    final = individuals[number - 1].evaluations[-1]
    assert (final.rung, final.outcome) == ("final", "ok")
    assert final.trained_s is not None
    # All of its time but for building it, its end and publishing: its worker had started before.
    assert final.trained_s > 206 - 6
    assert 590 < stage.clock.time - 1000 < 601
    searched = [known.at for each in individuals for known in each.evaluations if known != final]
    assert final.started is not None
    assert final.started - 1000 == pytest.approx(max(at for at in searched if at), abs=0.5)
    assert not [name for name in stage.blobs.names() if name.endswith("/ready.json")]


def test_the_winner_is_who_would_end_best_though_others_are_ahead() -> None:
    def accuracy(spec: JobSpec) -> float | None:
        _, number, rung = spec.id.split("/")
        late = {"1": 0.5, "2": 0.7, "3": 0.8}
        return late.get(rung) if number == "1" else {"1": 0.75, "2": 0.8, "3": 0.81}.get(rung)

    stage = Stage(sensory=FakeSensory(snapshot(train=20_000, validation=5_000)), accuracy=accuracy)
    assert stage.evolve(seconds=600).state == "complete"
    individuals = stage.tables.individuals("r1")
    assert sum(_standing(each)[0] == 3 for each in individuals) > 1
    final = next(spec for spec in stage.engines[-1].specs if spec.id.endswith("/final"))
    assert final.id == "r1/1/final"
    # What it begins with was kept, though it never was among the best.
    assert TrainJob.model_validate(final.arguments).inherit is not None
    assert stage.blobs.exists("weights/r1/1/final/x.npz")


def test_finalists_are_the_best_of_the_search_with_more_time() -> None:
    stage = Stage()
    stage.evolve(seconds=60)
    first, second = (TrainJob.model_validate(spec.arguments) for spec in stage.engine.jobs("final"))
    assert first.budget.seconds is not None
    assert first.budget.seconds > 9
    individuals = stage.tables.individuals("r1")
    by_fitness = sorted(individuals, key=_standing, reverse=True)
    assert by_fitness[0].genome in (
        first.genome.model_dump(mode="json"),
        second.genome.model_dump(mode="json"),
    )


def _standing(individual: Individual) -> tuple[int, float]:
    rungs = [known for known in individual.evaluations if known.rung != "final"]
    return len(rungs), individual.fitness or 0.0


def test_an_individual_is_in_the_journal_before_it_is_submitted() -> None:
    stage = Stage()

    def look(spec: JobSpec) -> None:
        _, number, rung = spec.id.split("/")
        if rung != "export":
            row = stage.tables.rows["r1"][int(number)]
            states = {known.rung: known.state for known in row.evaluations}
            assert states[rung] == "submitted"

    stage.fate = look
    assert stage.evolve(seconds=30).state == "complete"


def test_the_test_split_is_never_named_to_the_engine() -> None:
    stage = Stage()
    stage.evolve(seconds=20)
    told = json.dumps([spec.arguments for spec in stage.engine.specs])
    assert '"test"' not in told
    assert all(spec.function for spec in stage.engine.specs)


def test_a_failed_candidate_is_a_recorded_result() -> None:
    def fate(spec: JobSpec) -> JobResult | None:
        number = int(spec.id.split("/")[1])
        return failing("diverged")(spec) if number % 2 else None

    stage = Stage(fate=fate)
    run = stage.evolve(seconds=60)
    assert run.state == "complete"
    assert run.progress.failed > 0
    individuals = stage.tables.individuals("r1")
    failures = [each for each in individuals if each.number % 2]
    assert all(each.fitness is None for each in failures)
    assert {each.outcome for each in failures} <= {"diverged", "cancelled"}
    failed = {each.number for each in failures}
    assert not failed & {parent for each in individuals for parent in each.parents}


def test_a_result_that_is_none_is_a_failed_candidate() -> None:
    def fate(spec: JobSpec) -> JobResult | None:
        if spec.id == "r1/1/1":
            return JobResult(id=spec.id, outcome="ok", value={"accuracy": 1.0})
        return None

    stage = Stage(fate=fate)
    assert stage.evolve(seconds=30).state == "complete"
    first = stage.tables.individuals("r1")[0]
    assert first.fitness is None
    assert "no result" in str(first.evaluations[0].reason)


def test_a_run_whose_candidates_all_fail_ends_early_and_says_why() -> None:
    stage = Stage(fate=failing("error"))
    started = stage.clock.time
    run = stage.evolve(seconds=600)
    assert run.state == "failed"
    assert "all failed" in str(run.reason)
    assert "for the test" in str(run.reason)
    assert stage.clock.time - started < 100


def test_a_run_too_short_for_any_candidate_says_so() -> None:
    run = Stage(fate=lambda _: "hang").evolve(seconds=10)
    assert run.state == "failed"
    assert "within 10 s: give more seconds" in str(run.reason)


def test_workers_that_start_slowly_still_give_a_short_run_its_network() -> None:
    stage = Stage(start_s=12.0)
    started = stage.clock.time
    run = stage.evolve(seconds=20)
    assert run.state == "complete"
    assert stage.clock.time - started <= 21


def test_the_start_of_the_workers_is_not_expected_again() -> None:
    stage = Stage(start_s=12.0)
    stage.evolve(seconds=60)
    assert len(stage.engine.jobs("final")) == 2


def test_a_hanging_candidate_costs_only_its_worker_for_a_while() -> None:
    stage = Stage(fate=lambda spec: "hang" if spec.id == "r1/2/1" else None)
    started = stage.clock.time
    run = stage.evolve(seconds=60)
    assert run.state == "complete"
    second = stage.tables.individuals("r1")[1]
    assert second.outcome == "cancelled"
    assert stage.clock.time - started <= 63
    long = Stage(fate=lambda spec: "hang" if spec.id == "r1/2/1" else None)
    long.evolve(seconds=1200)
    assert long.tables.individuals("r1")[1].outcome == "timed-out"


def test_all_is_written_down_as_ended_when_the_run_is() -> None:
    stage = Stage(fate=lambda spec: "hang" if spec.id.endswith("/final") else None)
    assert stage.evolve(seconds=60).state == "complete"
    states = [known.state for row in stage.tables.individuals("r1") for known in row.evaluations]
    assert set(states) == {"finished"}


def test_a_stopped_run_publishes_the_best_it_has() -> None:
    stage = Stage()
    stage.clock.alarms.append(lambda now: stage.tables.stops.add("r1") if now > 1030 else None)
    run = stage.evolve(seconds=600)
    assert run.state == "stopped"
    assert run.network is not None
    assert stage.clock.time < 1050
    assert stage.engine.jobs("final") == []
    assert len(stage.engines) == 1


def test_a_run_that_is_stopped_at_the_end_of_its_search_lets_the_winner_s_worker_go() -> None:
    stage = Stage()
    stage.clock.alarms.append(lambda now: stage.tables.stops.add("r1") if now > 1374 else None)
    run = stage.evolve(seconds=600)
    assert (run.state, run.network is not None) == ("stopped", True)
    search, alone = stage.engines
    assert [spec.id.split("/")[2] for spec in alone.specs] == ["ready"]
    assert (search.closed, alone.closed) == (True, True)


def test_an_only_worker_has_all_cores_already() -> None:
    stage = Stage()
    run = stage.evolve(seconds=600, workers=1)
    assert run.state == "complete"
    assert len(stage.engines) == 1
    assert len(stage.engine.jobs("final")) == 1


def test_a_run_that_is_stopped_before_its_first_result_publishes_nothing() -> None:
    stage = Stage()
    stage.tables.stops.add("r1")
    run = stage.evolve(seconds=600)
    assert (run.state, run.network) == ("stopped", None)
    assert stage.clock.time < 1005


def test_an_interrupted_run_is_marked_and_keeps_what_is_finished() -> None:
    stage = Stage()

    def interrupt(now: float) -> None:
        if now > 1030:
            raise KeyboardInterrupt

    stage.clock.alarms.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        stage.evolve(seconds=600)
    run = stage.tables.get("r1")
    assert run.state == "interrupted"
    assert stage.engine.closed
    individuals = stage.tables.individuals("r1")
    states = [known.state for each in individuals for known in each.evaluations]
    assert states.count("finished") >= 5
    assert states.count("submitted") == 2


def test_a_signal_between_claim_and_begin_leaves_no_run_that_seems_to_go_on() -> None:
    class Interrupted(MemoryRuns):
        def claim(self, runner: str):
            super().claim(runner)
            raise KeyboardInterrupt

    stage = Stage(tables=Interrupted())
    stage.tables.add(queued_run("r1"))
    with pytest.raises(KeyboardInterrupt):
        stage.runner().run()
    assert stage.tables.get("r1").state == "interrupted"


def test_runs_that_a_dead_runner_left_are_marked_and_out_of_its_hands() -> None:
    stage = Stage()
    stage.tables.add(queued_run("r1"))
    stage.tables.claim("dead")
    stage.runner("alive").recover()
    assert stage.tables.get("r1").state == "running"
    stage.dead.add("dead")
    stage.runner("alive").recover()
    assert stage.tables.get("r1").state == "interrupted"
    assert stage.tables.runners["r1"] is None
    assert not stage.runner("alive").run_next()


def test_a_runner_whose_run_was_taken_over_lets_go_of_it() -> None:
    stage = Stage()
    stage.clock.alarms.append(
        lambda now: stage.tables.runners.update(r1="other") if now > 1020 else None
    )
    run = stage.evolve(seconds=60)
    assert run.state == "running"
    assert stage.gallery.cards == []


def test_the_search_ends_after_the_evaluations_that_were_asked_for() -> None:
    stage = Stage()
    run = stage.evolve(seconds=600, evaluations=7)
    assert run.progress.births == 7
    assert run.state == "complete"
    assert stage.clock.time - 1000 < 280


def test_a_space_that_holds_one_genome_is_searched_once() -> None:
    only = {
        "features": {"kinds": [], "least": 0, "most": 0},
        "heads": ["flatten"],
        "mirror": [False],
        "classifier": {"kinds": [], "most": 0},
        "training": {
            "optimizers": {"adam": {"low": 0.001, "high": 0.001}},
            "schedules": ["cosine"],
            "batch_sizes": [64],
            "weight_decays": [0.0],
            "label_smoothing": [0.0],
            "augmentation": {
                "flip": [False],
                "shift": [0.0],
                "rotate": [0.0],
                "cutout": [0.0],
                "noise": [0.0],
            },
        },
    }
    stage = Stage()
    run = stage.evolve(seconds=60, taxonomy=only)
    assert run.progress.births == 1
    assert run.state == "complete"


def test_the_network_of_a_run_that_never_promotes_is_only_registered() -> None:
    stage = Stage()
    run = stage.evolve(seconds=20, promote="never")
    assert run.network is not None
    assert not run.promoted
    assert stage.gallery.promoted == []


def test_a_winner_that_is_to_be_a_canary_is_put_on_trial_and_nobody_waits_for_the_end() -> None:
    stage = Stage()
    stage.gallery.states = ["running", "promoted"]
    run = stage.evolve(seconds=20, promote="canary")
    assert [trial.mode for trial in stage.gallery.tried] == ["canary"]
    assert not run.promoted
    assert str(run.verdict).startswith("answers 10 % of the requests")


def test_a_winner_is_compared_with_the_champion_and_promoted_unless_it_is_worse() -> None:
    stage = Stage()
    stage.gallery.states = ["running", "running", "promoted"]
    run = stage.evolve(seconds=20)
    assert [trial.mode for trial in stage.gallery.tried] == ["check"]
    assert (run.promoted, run.verdict) == (True, "answers from now on")


def test_a_winner_that_is_found_worse_is_not_promoted_and_the_run_says_why() -> None:
    stage = Stage()
    stage.gallery.states = ["running", "refused"]
    run = stage.evolve(seconds=20)
    assert (run.state, run.promoted) == ("complete", False)
    assert run.verdict == "is published, not promoted: the judge said so"


def test_a_run_does_not_wait_for_ever_for_a_judge() -> None:
    stage = Stage()
    stage.gallery.states = ["running"]
    run = stage.evolve(seconds=20)
    assert (run.state, run.promoted) == ("complete", False)
    assert str(run.verdict).startswith("is still compared")


def test_a_winner_that_cannot_be_exported_gives_way_to_the_next() -> None:
    exports = []

    def fate(spec: JobSpec) -> JobResult | None:
        if spec.id.endswith("/export"):
            exports.append(spec.id)
            return failing("out-of-memory")(spec) if len(exports) == 1 else None
        return None

    run = Stage(fate=fate).evolve(seconds=60)
    assert run.state == "complete"
    assert len(set(exports)) == 2


def test_a_gallery_that_refuses_fails_the_run_with_its_words() -> None:
    stage = Stage()
    stage.gallery.refuses = True
    run = stage.evolve(seconds=20)
    assert (run.state, run.reason) == ("failed", "the card is refused")
    states = [known.state for row in stage.tables.individuals("r1") for known in row.evaluations]
    assert set(states) == {"finished"}


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (snapshot(train=0, validation=0), "no labeled images"),
        (snapshot(categories=1), "at least 2"),
        (snapshot(validation=0), "no validation images"),
        (snapshot(train=9), "fewer training images"),
    ],
)
def test_data_that_cannot_be_evolved_fails_clearly(known, words: str) -> None:
    stage = Stage(sensory=FakeSensory(known))
    run = stage.evolve()
    assert run.state == "failed"
    assert words in str(run.reason)
    assert stage.engine.specs == []


def test_a_dataset_that_does_not_exist_fails_the_run_with_the_neighbours_words() -> None:
    run = Stage().evolve(dataset="nothing")
    assert run.state == "failed"
    assert "nothing" in str(run.reason)


def test_a_snapshot_of_another_dataset_is_refused() -> None:
    stage = Stage(sensory=FakeSensory(snapshot(dataset="letters")))
    run = stage.evolve(snapshot="a" * 64)
    assert "letters" in str(run.reason)


def test_a_taxonomy_that_allows_nothing_for_the_images_fails_the_run() -> None:
    run = Stage().evolve(taxonomy={"limits": {"parameters": 3}})
    assert run.state == "failed"
    assert "allows no network" in str(run.reason)


@pytest.mark.parametrize(
    ("asked", "median", "shape"),
    [
        (None, (8, 8, 1), (8, 8, 1)),
        (None, (480, 640, 3), (48, 64, 3)),
        (None, (10, 1000, 1), (1, 64, 1)),
        ((20, 20, 3), (8, 8, 1), (20, 20, 3)),
    ],
)
def test_the_shape_is_what_was_asked_for_or_the_median_capped_at_64(asked, median, shape) -> None:
    stage = Stage(sensory=FakeSensory(snapshot(median_shape=median)))
    assert stage.evolve(seconds=20, shape=asked).shape == shape


def test_progress_shows_each_phase_and_what_the_workers_train() -> None:
    stage = Stage()
    stage.evolve(seconds=60)
    seen = stage.tables.saved
    phases = list(dict.fromkeys(run.progress.phase for run in seen))
    assert phases == ["searching", "final training", "publishing", "done"]
    assert len(seen) > 90
    busy = [worker for run in seen for worker in run.progress.workers if worker.individual]
    assert busy[-1].genome
    assert busy[0].epochs == 40
    halfway = seen[len(seen) // 2].progress
    assert halfway.candidates_per_minute is not None
    assert halfway.best is not None
    assert halfway.median is not None
    assert halfway.best >= halfway.median
    assert halfway.seconds + halfway.seconds_left == pytest.approx(60)


def test_a_surprise_fails_the_run_and_not_the_runner(caplog: pytest.LogCaptureFixture) -> None:
    def fate(_spec: JobSpec) -> None:
        raise RuntimeError("a surprise")

    run = Stage(fate=fate).evolve()
    assert run.state == "failed"
    assert "a surprise" in str(run.reason)
    assert "Traceback" in caplog.text


def test_a_full_disk_ends_the_run_and_the_runner_goes_on_when_there_is_room_again() -> None:
    class FullDisk(MemoryRuns):
        def check_room(self) -> None:
            if 1020 < stage.clock.time < 1030:
                raise StorageFullError("no space is left for the database")

        def save(self, run, runner: str) -> None:
            self.check_room()
            super().save(run, runner)

        def claim(self, runner: str):
            self.check_room()
            return super().claim(runner)

        def interrupt_abandoned(self, *arguments) -> list[str]:
            self.check_room()
            return super().interrupt_abandoned(*arguments)

    def end(now: float) -> None:
        if now > 1200:
            raise KeyboardInterrupt

    stage = Stage(tables=FullDisk())
    stage.clock.alarms.append(end)
    for name in ("r1", "r2"):
        stage.tables.add(queued_run(name, seconds=60))
    with pytest.raises(KeyboardInterrupt):
        stage.runner().run()
    assert stage.tables.get("r1").state == "interrupted"
    assert stage.tables.individuals("r1")
    assert stage.tables.get("r2").state == "complete"


def test_the_search_can_be_rebuilt_from_the_journal() -> None:
    stage = Stage()
    stage.evolve(seconds=60, seed=3)
    individuals = stage.tables.individuals("r1")
    fresh = start_search(taxonomy_from_value(None), Problem((8, 8, 1), 10), seed=3, size=16)
    search = fold(fresh, individuals)
    assert [member.number for member in search.members] == list(range(1, len(individuals) + 1))
    assert [genome_hash(member.genome) for member in search.members] == [
        each.genome_hash for each in individuals
    ]
    assert len(search.keys) == len(individuals)


def test_one_seed_gives_one_run() -> None:
    def journal() -> list[str]:
        stage = Stage()
        stage.evolve(seconds=30, seed=5)
        return [row.model_dump_json() for row in stage.tables.individuals("r1")]

    assert journal() == journal()


def test_every_training_has_a_seed_of_its_own_and_keeps_it_on_all_rungs() -> None:
    stage = Stage()
    stage.evolve(seconds=60)
    jobs = [spec for spec in stage.engine.specs if spec.function == TRAIN_FUNCTION]
    seeds = {(spec.id.split("/")[1], spec.id.endswith("final")): set[int]() for spec in jobs}
    for spec in jobs:
        seed = TrainJob.model_validate(spec.arguments).seed
        seeds[spec.id.split("/")[1], spec.id.endswith("final")].add(seed)
    assert all(len(found) == 1 for found in seeds.values())
    assert len(set.union(*seeds.values())) == len(seeds) < len(jobs)


def calls_for_each_of(evaluations: int) -> float:
    """Return how many functions of the evolver a run calls for each of its individuals."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and "/evolver/" in frame.f_code.co_filename

    stage = Stage()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        stage.evolve(seconds=None, evaluations=evaluations, fidelity={"rungs": False})
    finally:
        sys.setprofile(before)
    return calls / evaluations


def test_an_individual_of_a_long_run_costs_hardly_more_than_one_of_a_short_run() -> None:
    assert calls_for_each_of(100) < 1.3 * calls_for_each_of(25)

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commons.jobs import JobResult
from commons.messages import Evaluation
from commons.shapes import infer_shape
from commons.training import Budget
from evolver.budget import affordable_multiply_adds, cautious_overhead, expected_overhead, plan_of
from evolver.journal import finished, fitness_of, trained, with_evaluation
from evolver.seeds import seed_genomes
from tests.evolver_builders import individual, request

NO_RUNGS = {"rungs": False}


@pytest.mark.parametrize("seconds", [5, 20, 60, 600, 7200])
def test_the_phases_of_a_plan_follow_each_other_and_fill_the_seconds(seconds: float) -> None:
    plan = plan_of(request(seconds=seconds))
    assert 0 < plan.search_end < plan.final_end < plan.end == seconds
    assert 0.2 <= plan.final_s / seconds <= 0.35
    assert plan.end - plan.final_end <= 4.0
    assert plan.final_grace_s <= 0.02 * seconds


@pytest.mark.parametrize(("seconds", "share"), [(5, 1.0), (60, 3.0), (600, 30.0), (36_000, 120.0)])
def test_a_candidate_gets_a_share_of_the_seconds_within_reason(seconds: int, share: float) -> None:
    assert plan_of(request(seconds=seconds, fidelity=NO_RUNGS)).candidate_s == share
    assert plan_of(request(seconds=seconds)).candidate_s <= share
    assert plan_of(request(seconds=seconds, candidate_seconds=9)).candidate_s == 9


def test_late_candidates_get_what_is_left_and_then_none_start() -> None:
    plan = plan_of(request(seconds=60, fidelity=NO_RUNGS))
    assert plan.rungs == 1
    assert plan.candidate(0, 2.0) == 3.0
    assert plan.candidate(plan.search_end - 4.0, 2.0) == pytest.approx(2.0)
    assert plan.candidate(plan.search_end - 2.5, 2.0) is None
    assert plan.candidate(plan.search_end + 9, 0.0) is None
    assert plan.candidate(plan.last_begin(2.0) - 0.01, 2.0) is not None
    assert plan.candidate(plan.last_begin(2.0) + 0.01, 2.0) is None


def test_each_rung_takes_three_times_the_one_below_what_that_took_included() -> None:
    plan = plan_of(request(seconds=600, candidate_epochs=4))
    assert plan.rungs == 3
    assert [plan.rung_s(rung) for rung in (1, 2, 3)] == [15.0, 45.0, 135.0]
    assert [plan.rung_epochs(rung) for rung in (1, 2, 3)] == [4, 12, 36]
    assert plan.candidate(0, 1.0, rung=2, spent_s=14.0) == 45.0
    assert plan.candidate(plan.search_end - 21.0, 1.0, rung=2, spent_s=14.0) == pytest.approx(34.0)
    assert plan.candidate(plan.search_end - 11.0, 1.0, rung=2, spent_s=14.0) is None
    assert plan.budget(2, 45.0, 7.9) == Budget(epochs=7, seconds=45.0)
    assert plan.budget(2, 45.0, 0.5) is None


def test_a_short_run_has_as_many_rungs_as_there_is_room_for() -> None:
    rungs = [plan_of(request(seconds=seconds)).rungs for seconds in (2, 20, 60, 7200)]
    assert rungs == [1, 2, 3, 3]
    assert plan_of(request(seconds=7200, strategy="generational")).rungs == 1


def test_a_run_without_seconds_has_no_end_but_its_epochs() -> None:
    plan = plan_of(request(seconds=None, epochs_total=100))
    assert plan.candidate(1e9, 2.0) == math.inf
    assert plan.finalist(1e9, 2.0) == math.inf
    assert plan.ended_early(50.0).finalist(1e9, 2.0) == math.inf
    assert (plan.search_epochs, plan.epochs, plan.finalists) == (65, 100, 1)
    assert [plan.rung_epochs(rung) for rung in (1, 2, 3)] == [5, 15, 45]
    assert plan.budget(1, math.inf, 78) == Budget(epochs=5)
    assert plan.final_budget(math.inf, math.inf) == Budget(epochs=90)
    assert plan.final_budget(math.inf, 22) == Budget(epochs=22)
    assert plan.timeout_s(5.0, math.inf) == 86400.0


def test_a_final_training_gets_all_that_is_left_of_its_phase() -> None:
    plan = plan_of(request(seconds=60))
    assert plan.finalist(plan.search_end, 2.0) == pytest.approx(plan.final_s - 2.0)
    assert plan.finalist(plan.final_end - 3.0, 2.0) is None


def test_a_search_that_ends_early_leaves_the_final_phase_its_length() -> None:
    plan = plan_of(request(seconds=600)).ended_early(30.0)
    assert plan.final_end == pytest.approx(30.0 + 0.35 * 590)
    assert plan.end == pytest.approx(plan.final_end + 4.0)


@pytest.mark.parametrize(
    ("workers", "warm", "times"),
    [
        # 206.5 s of all cores after 135 s of one, and without those.
        (2, True, 1 + 2 * 206.5 / 135),
        (2, False, 2 * 206.5 / 135),
        # The only worker trains the winner on its own.
        (1, True, 1 + 206.5 / 135),
        (1, False, 206.5 / 135),
    ],
)
def test_how_much_further_the_final_training_goes(workers: int, warm: bool, times: float) -> None:
    plan = plan_of(request(seconds=600)).shared_by(workers)
    assert plan.rungs == 3
    assert 3.0 ** plan.further(warm=warm) == pytest.approx(times)


def test_without_seconds_the_final_training_is_one_rung_more() -> None:
    plan = plan_of(request(seconds=None, evaluations=9))
    assert plan.further(warm=True) == pytest.approx(1.0)


@settings(max_examples=200, deadline=None)
@given(seconds=st.floats(5, 7200), overhead_s=st.floats(0.0, 60))
def test_what_publishing_does_not_need_is_the_winner_s(seconds: float, overhead_s: float) -> None:
    plan = plan_of(request(seconds=seconds))
    known = plan.with_publishing(overhead_s)
    assert plan.final_end <= known.final_end <= seconds - 0.5
    assert known.final_end == plan.final_end or seconds - known.final_end >= overhead_s
    assert (known.search_end, known.end) == (plan.search_end, seconds)
    unlimited = plan_of(request(seconds=None, evaluations=3))
    assert unlimited.with_publishing(overhead_s) == unlimited


def test_the_only_worker_trains_the_winner_too() -> None:
    plan = plan_of(request(seconds=600, workers=None))
    assert plan.shared_by(2).alone
    assert not plan.shared_by(1).alone
    assert plan.shared_by(1).finalists == 1


def test_a_timeout_is_generous_but_ends_with_the_run() -> None:
    plan = plan_of(request(seconds=600))
    assert plan.timeout_s(0.0, 30.0) == 120.0
    assert plan.timeout_s(590.0, 5.0) <= 10.0 + plan.grace_s


def test_networks_may_cost_more_where_there_are_fewer_images_or_more_seconds() -> None:
    assert affordable_multiply_adds(50_000, 3.0) == 4_000_000
    assert affordable_multiply_adds(1250, 13.0) == affordable_multiply_adds(2500, 13.0) > 10_000_000
    assert affordable_multiply_adds(20_000, 60.0) > affordable_multiply_adds(50_000, 60.0)
    assert affordable_multiply_adds(50_000, float("inf")) == 60_000_000


def test_ten_minutes_pay_for_the_seeds_of_small_photographs() -> None:
    affordable = affordable_multiply_adds(42_500, plan_of(request(seconds=600)).final_s)
    for genome in seed_genomes((32, 32, 3)):
        assert infer_shape(genome, (32, 32, 3), 10).multiply_adds <= affordable


def test_the_expected_overhead_is_the_median_of_what_was_measured() -> None:
    assert expected_overhead([]) == 2.0
    assert expected_overhead([7.0, 1.0, 1.2]) == 1.2
    assert cautious_overhead([]) == 2.0
    assert cautious_overhead([6.0, *[1.0] * 11, 2.0, 2.0, 1.0]) == 2.0


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (None, "error"),
        ({"accuracy": 1}, "error"),
        (
            {
                "accuracy": 0.1,
                "loss": float("nan"),
                "epochs": 1,
                "parameters": 1,
                "seconds": 1,
                "build_seconds": 1,
                "weights": "w",
                "history": [],
            },
            "diverged",
        ),
    ],
)
def test_a_result_without_numbers_is_a_failure_with_a_reason(value, outcome: str) -> None:
    evaluation = finished(Evaluation(rung="1"), JobResult(id="x", outcome="ok", value=value))
    assert evaluation.outcome == outcome
    assert evaluation.reason
    assert fitness_of(evaluation).failed


def test_an_individual_shows_its_best_training_and_the_fitness_of_the_search() -> None:
    def evaluation(rung: str, accuracy: float) -> Evaluation:
        return Evaluation.model_validate(
            {
                "rung": rung,
                "state": "finished",
                "outcome": "ok",
                "accuracy": accuracy,
                "loss": 0.5,
                "weights": f"w/{rung}",
            }
        )

    searched = with_evaluation(individual(), evaluation("1", 0.8))
    assert (searched.state, searched.fitness, searched.accuracy) == ("finished", 0.8, 0.8)
    again = with_evaluation(searched, Evaluation(rung="final"))
    assert again.accuracy == 0.8
    better = with_evaluation(again, evaluation("final", 0.9))
    assert (better.fitness, better.accuracy) == (0.8, 0.9)
    worse = with_evaluation(again, evaluation("final", 0.7))
    assert (worse.fitness, worse.accuracy) == (0.8, 0.8)
    assert [found.rung for found in trained([better])] == ["final", "1"]

"""What a report computes from a journal."""

import pytest

from commons.genome import Convolution, Dropout, Genome, Training
from dicebox.report.confusion import Judgement, confusion, spread, worst
from dicebox.report.costs import costs, failures, savings
from dicebox.report.front import front, measuring_cpu
from dicebox.report.genes import gene_statistics
from dicebox.report.lineage import ancestors, edges, main_line
from dicebox.report.operators import operator_figures
from dicebox.report.rungs import rung_figures
from dicebox.report.trials import fitness, gain, origin, records, standing, timeline
from tests.report_builders import bred, evaluation, individual


def test_fitness_is_of_the_highest_rung_that_ended_well_and_never_of_the_final_training() -> None:
    one = individual(
        1,
        evaluation("1", 0.9),
        evaluation("2", 0.95),
        evaluation("3", None),
        evaluation("final", 0.99),
    )
    assert fitness(one) == 0.95
    assert standing(one) == (2, 0.95, pytest.approx(-0.05))
    assert fitness(individual(2, evaluation("1", None))) is None
    assert standing(individual(2)) is None


def test_a_gain_compares_what_both_were_trained_for() -> None:
    parent = individual(1, evaluation("1", 0.80), evaluation("2", 0.95))
    child = individual(2, evaluation("1", 0.85))
    assert gain(child, parent) == pytest.approx(0.05)
    assert gain(child, individual(3, evaluation("1", None))) is None


def test_trainings_stand_in_the_order_of_their_ends_on_the_clock_of_the_run() -> None:
    slow = individual(1, evaluation("1", 0.9, at=32.0, started=100.0, ended=130.0))
    fast = individual(2, evaluation("1", 0.8, at=12.0, started=101.0, ended=110.0))
    cached = individual(4, evaluation("1", 0.8, at=1.0, seconds=5.0, cached=True))
    adopted = individual(5, evaluation("1", 0.8, at=40.0, started=0.0, ended=9000.0))
    running = individual(3, evaluation("1", state="submitted", outcome=None))
    found = timeline([slow, fast, running, cached, adopted])
    assert found.exact
    assert [(trial.number, trial.started, trial.ended) for trial in found.trials] == [
        (4, 0.0, 1.0),
        (2, 3.0, 12.0),
        (1, 2.0, 32.0),
        (5, 0.0, 40.0),
    ]


def test_without_times_trainings_follow_each_other_on_their_worker() -> None:
    found = timeline(
        [
            individual(1, evaluation("1", 0.9, seconds=5.0, worker="a"), evaluation("final", 0.99)),
            individual(2, evaluation("1", 0.8, seconds=2.0, worker="b")),
            individual(3, evaluation("1", 0.8, seconds=2.0, worker="b")),
        ]
    )
    assert not found.exact
    places = [(trial.number, trial.rung, trial.ended) for trial in found.trials]
    assert places == [(2, "1", 2.0), (1, "final", 3.0), (3, "1", 4.0), (1, "1", 5.0)]


def test_records_only_ever_rise_and_failures_are_none() -> None:
    found = records(timeline(bred()).trials)
    accuracies = [one.accuracy for one in found]
    assert accuracies == sorted(set(accuracies))
    assert [one.trainings for one in found] == sorted(one.trainings for one in found)
    failed = [individual(1, evaluation("1", None, at=1.0))]
    assert records(timeline(failed).trials) == []


@pytest.mark.parametrize(
    ("operator", "kind"),
    [("seed", "seed"), ("crossover", "crossover"), ("add-layer+change-head", "mutation")],
)
def test_an_operator_has_a_kind(operator: str, kind: str) -> None:
    assert origin(operator) == kind


def test_ancestors_are_all_parents_of_parents_each_once() -> None:
    family = {
        1: individual(1),
        2: individual(2),
        3: individual(3, parents=(1, 2)),
        4: individual(4, parents=(2,)),
        5: individual(5, parents=(3, 1)),
        6: individual(6, parents=(99,)),
    }
    assert ancestors(family, 5) == [1, 2, 3, 5]
    assert sorted(edges(family, [1, 2, 3, 5])) == [(1, 3), (1, 5), (2, 3), (3, 5)]
    assert ancestors(family, 6) == [6]


def test_the_line_of_a_champion_goes_by_the_closest_parent_and_says_what_changed() -> None:
    plain = Genome(features=(Convolution(filters=8, kernel=3),))
    wide = Genome(features=(Convolution(filters=16, kernel=3),))
    other = Genome(features=(Dropout(rate=0.5),), head="max", training=Training(optimizer="sgd"))
    family = {
        1: individual(1, evaluation("1", 0.7), genome=plain, operator="seed"),
        2: individual(2, evaluation("1", 0.8), genome=other),
        3: individual(3, evaluation("1", 0.75), genome=wide, operator="crossover", parents=(2, 1)),
    }
    founder, champion = main_line(family, 3)
    assert (founder.individual.number, founder.changes, founder.gain) == (1, [], None)
    assert champion.parent == 1
    assert [str(one) for one in champion.changes] == ["layer 1 convolution filters: 8 → 16"]
    assert champion.gain == pytest.approx(0.05)


def test_nobody_on_the_front_is_beaten_and_everybody_else_is() -> None:
    population = bred(60)
    found = front(population, "parameters")
    assert len(found) == len([one for one in population if fitness(one) is not None])
    for one in found:
        beaten = any(
            other.accuracy >= one.accuracy
            and other.cost <= one.cost
            and (other.accuracy, other.cost) != (one.accuracy, one.cost)
            for other in found
        )
        twin = [two.number for two in found if two[1:3] == one[1:3]]
        assert one.on_front is (not beaten and one.number == min(twin))


def test_latencies_of_two_processors_are_never_on_one_front() -> None:
    measured = [
        individual(number, evaluation("1", 0.5 + number / 10)).model_copy(
            update={"latency_us": 10.0 * number, "cpu": "old" if number == 3 else "new"}
        )
        for number in (1, 2, 3)
    ]
    assert measuring_cpu(measured) == "new"
    assert [one.number for one in front(measured, "latency_us")] == [1, 2]
    assert front(bred(5), "latency_us") == []


def test_genes_are_compared_between_the_best_quarter_and_all() -> None:
    def one(number: int, accuracy: float, optimizer: str) -> object:
        genome = Genome(training=Training.model_validate({"optimizer": optimizer}))
        return individual(number, evaluation("1", accuracy), genome=genome)

    population = [one(n, 0.9 if n <= 2 else 0.5, "sgd" if n <= 4 else "adam") for n in range(1, 9)]
    found = gene_statistics(population)  # type: ignore[arg-type]
    assert found is not None
    assert (found.best, found.all) == (2, 8)
    (gene,) = found.genes
    assert (gene.name, gene.distance) == ("optimizer", 0.5)
    assert {value.value: (value.best, value.all) for value in gene.values} == {
        "sgd": (1.0, 0.5),
        "adam": (0.0, 0.5),
    }
    assert gene_statistics(population[:3]) is None  # type: ignore[arg-type]


def test_the_shares_of_a_gene_are_of_everybody_and_many_numbers_become_ranges() -> None:
    found = gene_statistics(bred(80))
    assert found is not None
    for gene in found.genes:
        assert sum(value.best for value in gene.values) == pytest.approx(1.0)
        assert sum(value.all for value in gene.values) == pytest.approx(1.0)
        assert len(gene.values) > 1
    (rate,) = [gene for gene in found.genes if gene.name == "learning rate"]
    assert 2 <= len(rate.values) <= 4
    assert any(" to " in value.value for value in rate.values)


def test_an_operator_is_judged_by_the_best_parent_and_each_part_of_a_birth_counts() -> None:
    population = [
        individual(1, evaluation("1", 0.8), operator="seed"),
        individual(2, evaluation("1", 0.6), operator="random"),
        individual(3, evaluation("1", 0.7), operator="crossover", parents=(1, 2)),
        individual(4, evaluation("1", 0.9), operator="add-layer+change-head", parents=(1,)),
        individual(5, evaluation("1", None), operator="add-layer", parents=(1,)),
    ]
    figures = {one.name: one for one in operator_figures(population)}
    assert figures["crossover"].mean_gain == pytest.approx(-0.1)
    layer = figures["add-layer"]
    assert (layer.births, layer.trained, layer.compared, layer.better) == (2, 1, 1, 1)
    assert layer.mean_gain == pytest.approx(0.1)
    assert figures["change-head"].best == 0.9
    assert (figures["seed"].compared, figures["seed"].mean_gain) == (0, None)


def test_seconds_are_of_all_workers_and_add_up() -> None:
    trials = timeline(
        [
            individual(1, evaluation("1", 0.9, seconds=4.0, worker="w-2"), evaluation("final")),
            individual(2, evaluation("1", None, seconds=2.0, worker="w-10")),
            individual(3, evaluation("1", 0.9, seconds=9.0, cached=True, worker=None)),
        ]
    ).trials
    found = costs(trials, wall_s=10.0, workers=2)
    assert (found.available, found.useful, found.lost, found.training) == (20.0, 7.0, 2.0, 4.0)
    assert found.building + (found.training or 0.0) + found.lost + found.rest == 20.0
    assert [part.name for part in found.by_worker] == ["w1", "w-2", "none", "w-10"]
    assert [tuple(part) for part in found.by_rung] == [
        ("rung 1", 3, 6.0),
        ("final training", 1, 3.0),
    ]
    assert (
        costs(timeline([individual(1, evaluation(trained_s=None))]).trials, 9.0, 1).training is None
    )


def test_a_rung_that_went_on_costs_what_it_added() -> None:
    one = individual(
        1,
        evaluation("1", trained_s=2.0),
        evaluation("2", trained_s=5.5, resumed=True),
        evaluation("final", trained_s=7.0),
    )
    assert costs(timeline([one]).trials, 20.0, 1).training == 12.5


def test_savings_count_what_was_not_trained_from_the_beginning_to_the_end() -> None:
    trials = timeline(
        [
            individual(1, evaluation("1"), evaluation("2", resumed=True)),
            individual(2, evaluation("1", inherited=1, stopped=True)),
            individual(3, evaluation("1", inherited=1)),
            individual(4, evaluation("1", cached=True)),
        ]
    ).trials
    assert savings(trials)._asdict() == {"resumed": 1, "inherited": 2, "stopped": 1, "cached": 1}


def test_failures_are_grouped_by_outcome_with_their_reasons() -> None:
    late = {"outcome": "timed-out", "reason": "after 5 s"}
    trials = timeline(
        [individual(n, evaluation("1", None)) for n in (1, 2)]
        + [individual(3, evaluation("1", None, **late)), individual(4, evaluation("1", 0.5))]
    ).trials
    diverged, timed_out = failures(trials)
    assert (diverged.outcome, diverged.trainings) == ("diverged", 2)
    assert diverged.reasons == [("loss nan, accuracy 0.1", 2)]
    assert (timed_out.outcome, timed_out.seconds) == ("timed-out", 3.0)


def test_rungs_count_who_finished_and_who_went_on() -> None:
    population = [
        individual(1, evaluation("1", 0.5), evaluation("2", 0.7)),
        individual(2, evaluation("1", 0.6), evaluation("2", None)),
        individual(3, evaluation("1", 0.7)),
    ]
    first, second = rung_figures(population)
    assert (first.finished, first.climbed, first.median, first.best) == (3, 1, 0.6, 0.7)
    assert (second.rung, second.finished, second.climbed, second.seconds) == (2, 1, 0, 3.0)


def test_precision_recall_and_mixups_come_from_one_matrix() -> None:
    judged = [
        Judgement("a", 0, 0, 0.9, 0.9),
        Judgement("b", 0, 1, 0.8, 0.1),
        Judgement("c", 1, 1, 0.9, 0.9),
        Judgement("d", 0, 1, 0.6, 0.3),
    ]
    found = confusion(["cat", "dog", "fox"], judged)
    assert found.matrix == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]
    assert (found.images, found.right) == (4, 2)
    cat, dog, fox = found.categories()
    assert (cat.precision, cat.recall) == (1.0, pytest.approx(1 / 3))
    assert (dog.precision, dog.recall, dog.f1) == (pytest.approx(1 / 3), 1.0, pytest.approx(0.5))
    assert (fox.precision, fox.recall, fox.f1) == (None, None, None)
    assert found.mixups(5) == [("cat", "dog", 2)]
    assert [one.image for one in worst(judged, 5)] == ["b", "d"]
    assert len(worst(judged, 1)) == 1


def test_what_is_spread_is_even_and_no_more_than_asked_for() -> None:
    assert spread(3, 10) == [0, 1, 2]
    assert spread(10, 4) == [0, 2, 5, 7]
    assert len(set(spread(12_345, 2_000))) == 2_000
    assert spread(5, 0) == []

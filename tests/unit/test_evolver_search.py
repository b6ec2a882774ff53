from collections import Counter

import numpy as np
import pytest

from commons.genome import Genome, genome_hash
from evolver.search import Search, ask, best, born, parents, start_search, told
from evolver.selection import FAILED, Fitness, Member, ranked, tournament
from evolver.taxonomy import Taxonomy
from tests.evolver_builders import problem, synthetic_fitness


def search(**values) -> Search:
    values = {"seed": 0, "size": 8, **values}
    return start_search(Taxonomy(), problem(), **values)


def play(state: Search, births: int, failing: int = 0) -> tuple[Search, list]:
    """Ask and tell that many times; every `failing`-th genome fails."""
    proposals = []
    for number in range(len(state.members) + 1, len(state.members) + births + 1):
        proposal = ask(state)
        assert proposal is not None
        proposals.append(proposal)
        state = born(state, number, proposal.genome)
        fails = failing and number % failing == 0
        fitness = FAILED if fails else Fitness(*synthetic_fitness(proposal.genome))
        state = told(state, number, 1, fitness)
    return state, proposals


def member(number: int, accuracy: float | None, loss: float = 1.0) -> Member:
    fitness = None if accuracy is None else Fitness(accuracy, loss)
    return Member(number, Genome(), "x", results=(fitness,))


def test_a_search_starts_with_the_seeds_and_never_proposes_a_genome_twice() -> None:
    state, proposals = play(search(), 150)
    assert [proposal.operator for proposal in proposals[:5]] == ["seed"] * 5
    assert len({genome_hash(proposal.genome) for proposal in proposals}) == 150
    assert len(state.keys) == 150


def test_most_children_are_mutants_and_a_minority_is_crossed_or_fresh() -> None:
    _, proposals = play(search(), 200)
    kinds = Counter(
        "mutation" if len(proposal.parents) == 1 else proposal.operator for proposal in proposals
    )
    assert kinds["mutation"] > 130
    assert 10 < kinds["crossover"] < 60
    assert 2 < kinds["random"] < 30


def test_parents_are_among_the_youngest_and_never_failed() -> None:
    state, proposals = play(search(), 120, failing=3)
    failed = {each.number for each in state.members if each.fitness and each.fitness.failed}
    for number, proposal in enumerate(proposals, start=1):
        assert not failed & set(proposal.parents)
        # Eight live; one in three fails and never counts.
        assert all(parent >= number - 14 for parent in proposal.parents)


def test_evolution_beats_random_search_on_a_smooth_landscape() -> None:
    evolved = [best(play(search(seed=seed), 60)[0]) for seed in range(5)]
    drawn = [best(play(search(seed=seed, strategy="random"), 60)[0]) for seed in range(5)]
    assert np.mean([each.fitness.accuracy for each in evolved if each and each.fitness]) > np.mean(
        [each.fitness.accuracy for each in drawn if each and each.fitness]
    )


def test_random_search_has_no_seeds_and_no_parents() -> None:
    _, proposals = play(search(strategy="random"), 40)
    assert {proposal.operator for proposal in proposals} == {"random"}
    assert {proposal.parents for proposal in proposals} == {()}


def test_with_nothing_finished_yet_fresh_genomes_are_proposed() -> None:
    state = search()
    for number in range(1, 9):
        proposal = ask(state)
        assert proposal is not None
        state = born(state, number, proposal.genome)
    assert best(state) is None
    assert proposal.operator == "random"


def test_the_order_of_results_does_not_matter() -> None:
    state, _ = play(search(), 30)
    again = search()
    for each in state.members:
        again = born(again, each.number, each.genome)
    for each in reversed(state.members):
        assert each.fitness is not None
        again = told(again, each.number, 1, each.fitness)
    assert again == state
    assert ask(again) == ask(state)


def test_a_search_depends_on_its_seed_alone() -> None:
    assert play(search(seed=1), 30) == play(search(seed=1), 30)
    assert play(search(seed=1), 30)[1] != play(search(seed=2), 30)[1]


def test_asking_changes_nothing() -> None:
    state, _ = play(search(), 10)
    assert ask(state) == ask(state)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Fitness(0.9, 5.0), Fitness(0.8, 0.1)),
        (Fitness(0.9, 0.1), Fitness(0.9, 0.2)),
        (Fitness(0.0, 9.0), FAILED),
        (Fitness(0.9, 5.0), Fitness(0.9, float("nan"))),
    ],
)
def test_accuracy_decides_then_loss_and_failures_are_below_all(
    better: Fitness, worse: Fitness
) -> None:
    assert better.rank > worse.rank


def test_ranking_puts_the_older_of_equals_first_and_failures_last() -> None:
    members = [member(1, None), member(2, 0.5), member(3, 0.7), member(4, 0.5)]
    assert [each.number for each in ranked(members)] == [3, 2, 4, 1]


def test_the_oldest_die() -> None:
    state = search(size=3)
    for number, accuracy in enumerate((0.99, None, 0.1, 0.2, 0.3), 1):
        proposal = ask(state)
        assert proposal is not None
        fitness = FAILED if accuracy is None else Fitness(accuracy, 1.0)
        state = told(born(state, number, proposal.genome), number, 1, fitness)
    assert [each.number for each in parents(state)] == [3, 4, 5]


def test_a_tournament_among_all_gives_the_best_and_one_among_few_a_chance_to_others() -> None:
    members = [member(number, number / 10) for number in range(1, 10)]
    assert tournament(np.random.default_rng(0), members, 99).number == 9
    winners = {tournament(np.random.default_rng(seed), members, 2).number for seed in range(50)}
    assert len(winners) > 4
    first, again = (tournament(np.random.default_rng(5), members, 2) for _ in range(2))
    assert first == again

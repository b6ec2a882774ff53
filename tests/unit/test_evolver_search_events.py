"""Searches played as runs play them: several at a time, ending in any order, some failing."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commons.errors import InvalidInputError
from commons.genome import Convolution, Genome, Pooling
from commons.inheritance import kept_share
from commons.messages import Objective, Strategy
from evolver.limits import excess
from evolver.search import (
    FAILED,
    Birth,
    Climb,
    Fitness,
    Search,
    ask,
    best,
    born,
    choose,
    climbs,
    front,
    start_search,
    timed,
    told,
    waiting,
)
from evolver.seeds import large_seed_genomes, seed_genomes
from evolver.selection import evaluated, ranked
from evolver.taxonomy import Taxonomy, strangers, taxonomy_from_value
from tests.evolver_builders import problem

STRATEGIES: list[Strategy] = ["evolution", "random", "generational", "seeds"]
SOME: tuple[Objective, ...] = ("accuracy", "parameters")
ALL: tuple[Objective, ...] = ("accuracy", "latency", "parameters")


def toy(genome: Genome) -> tuple[float, float]:
    """Return accuracy and loss on a landscape of a dozen slopes, each with a gene of its own."""
    convolutions = [gene for gene in genome.features if isinstance(gene, Convolution)]
    share = 1.0 / max(1, len(convolutions))
    recipe = genome.training
    width = math.log2(sum(gene.filters for gene in convolutions) * share + 1.0)
    poor = [
        abs(len(convolutions) - 7) / 6,
        abs(sum(isinstance(gene, Pooling) for gene in genome.features) - 2) / 2,
        share * sum(not gene.norm for gene in convolutions),
        abs(share * sum(gene.residual for gene in convolutions) - 0.5),
        1.0 - share * sum(gene.activation == "silu" for gene in convolutions),
        abs(width - math.log2(49.0)) / 3,
        0.0 if genome.head == "average" else 0.5,
        abs(math.log10(recipe.learning_rate) + 2.7),
        abs(recipe.label_smoothing - 0.1) / 0.1,
        abs(math.log2(recipe.batch_size / 64)) / 2,
        0.0 if recipe.schedule == "one-cycle" else 0.5,
        abs(recipe.augmentation.shift - 0.08) / 0.08,
    ]
    accuracy = 1.0 - 0.5 * sum(min(1.0, each) for each in poor) / len(poor)
    return accuracy, 1.0 - accuracy


def search(**values) -> Search:
    return start_search(Taxonomy(), problem(), **{"seed": 0, "size": 8, **values})


def play(
    state: Search,
    rng: np.random.Generator,
    decisions: int,
    workers: int = 4,
    failing: float = 0.1,
    measure: Callable[[Genome], tuple[float, float]] = toy,
) -> tuple[Search, list[Birth | Climb]]:
    """Return the search after so many decisions, all told, and the decisions."""
    running: list[tuple[int, int]] = []
    made: list[Birth | Climb] = []
    while True:
        asked = ask(state) if len(running) < workers and len(made) < decisions else None
        if isinstance(asked, Birth):
            number, rung = len(state.members) + 1, 1
            state = born(state, number, asked)
        elif isinstance(asked, Climb):
            number, rung = asked
            state = climbs(state, number, rung)
        elif not running:
            return state, made
        else:
            number, rung = running.pop(int(rng.integers(len(running))))
            accuracy, loss = measure(state.members[number - 1].genome)
            failed = rng.random() < failing
            result = FAILED if failed else Fitness(accuracy + 0.001 * rung, loss)
            state = told(state, number, rung, result)
            if "latency" in state.objectives and rung == 1 and not failed:
                state = timed(state, number, 10.0 + 100.0 * loss)
            continue
        made.append(asked)
        running.append((number, rung))


def replayed(start: Search, live: Search) -> Search:
    """Return what folding over a journal gives: member by member, rung by rung."""
    for member in live.members:
        start = born(start, member.number, member.genome)
        for rung, result in enumerate(member.results, start=1):
            if rung > 1:
                start = climbs(start, member.number, rung)
            if result is not None:
                start = told(start, member.number, rung, result)
        if member.latency_us is not None:
            start = timed(start, member.number, member.latency_us)
    return start


@settings(max_examples=40, deadline=None)
@given(
    strategy=st.sampled_from(STRATEGIES),
    objectives=st.sampled_from([("accuracy",), SOME, ALL]),
    seed=st.integers(0, 2**32),
    workers=st.integers(1, 6),
    rungs=st.integers(1, 3),
    failing=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
)
def test_in_any_order_of_results_the_search_stays_valid_and_can_be_replayed(
    strategy: Strategy,
    objectives: tuple[Objective, ...],
    seed: int,
    workers: int,
    rungs: int,
    failing: float,
) -> None:
    start = search(strategy=strategy, objectives=objectives, rungs=rungs, seed=seed)
    live, made = play(start, np.random.default_rng(seed), 50, workers, failing)
    births = [each for each in made if isinstance(each, Birth)]
    assert [member.genome for member in live.members] == [birth.genome for birth in births]
    assert len({member.key for member in live.members}) == len(live.members)
    for number, birth in enumerate(births, start=1):
        assert strangers(live.taxonomy, birth.genome) == []
        assert excess(birth.genome, live.taxonomy, live.problem) == {}
        assert all(parent < number for parent in birth.parents)
        assert birth.inherit_from in (None, *birth.parents)
    ups = [each for each in made if isinstance(each, Climb)]
    assert len(set(ups)) == len(ups)
    assert all(1 < climb.rung <= rungs for climb in ups)
    assert list(live.trained) == evaluated(live.members)
    assert list(live.ranking) == ranked(evaluated(live.members))
    again = replayed(start, live)
    assert again == live
    assert ask(again) == ask(live)
    assert not waiting(live)


def test_rungs_send_about_a_third_up_each() -> None:
    state, _ = play(search(rungs=3), np.random.default_rng(0), 300, failing=0.0)
    counts = [sum(len(member.results) >= rung for member in state.members) for rung in (1, 2, 3)]
    assert sum(counts) == 300
    assert counts[0] // 4 <= counts[1] <= counts[0] // 3
    assert counts[1] // 4 <= counts[2] <= counts[1] // 3
    found = best(state)
    assert found is not None
    assert len(found.results) == 3


def test_the_surest_seed_is_trained_to_the_top_though_others_learn_faster() -> None:
    state = search(rungs=3)
    for number, accuracy in ((1, 0.2), (2, 0.9)):
        birth = ask(state)
        assert isinstance(birth, Birth)
        state = born(state, number, birth)
        assert isinstance(ask(state), Birth), "nobody waits for it"
        state = told(state, number, 1, Fitness(accuracy, 1.0)) if number > 1 else state
    state = told(state, 1, 1, Fitness(0.2, 1.0))
    for rung in (2, 3):
        assert ask(state) == Climb(1, rung)
        state = climbs(state, 1, rung)
        assert isinstance(ask(state), Birth)
        state = told(state, 1, rung, Fitness(0.2, 1.0))
    assert isinstance(ask(state), Birth)
    failed = told(born(search(rungs=3), 1, state.members[0].genome), 1, 1, FAILED)
    assert isinstance(ask(failed), Birth)


@pytest.mark.parametrize("options", [{"start": []}, {"strategy": "random"}])
def test_where_nothing_is_known_to_be_good_nobody_is_spared(options: dict[str, Any]) -> None:
    state = search(rungs=3, **options)
    birth = ask(state)
    assert isinstance(birth, Birth)
    state = told(born(state, 1, birth), 1, 1, Fitness(0.2, 1.0))
    assert isinstance(ask(state), Birth)


def test_what_climbed_is_compared_by_where_it_is() -> None:
    state = search(rungs=2, start=[])
    for number in range(1, 4):
        birth = ask(state)
        assert isinstance(birth, Birth)
        state = told(born(state, number, birth), number, 1, Fitness(number / 10, 1.0))
    assert ask(state) == Climb(3, 2)
    state = climbs(state, 3, 2)
    assert isinstance(ask(state), Birth)
    assert state.members[2].under_way
    assert state.members[2].fitness == Fitness(0.3, 1.0, 1)
    lower = told(state, 3, 2, Fitness(0.05, 1.0))
    assert best(lower) == lower.members[2]
    failed = told(state, 3, 2, FAILED)
    assert failed.members[2].fitness == Fitness(0.3, 1.0, 1)
    assert ask(failed) != Climb(3, 2)


def test_seeds_alone_are_trained_and_then_there_is_nothing() -> None:
    state = search(strategy="seeds")
    assert not waiting(state)
    for number in range(1, 6):
        birth = ask(state)
        assert isinstance(birth, Birth)
        assert birth.operator == "seed"
        state = born(state, number, birth)
    assert ask(state) is None
    assert waiting(state)
    for number in range(1, 6):
        state = told(state, number, 1, Fitness(0.5, 1.0))
    assert ask(state) is None
    assert not waiting(state)


def test_a_large_seed_comes_first_where_it_is_affordable_and_else_not_at_all() -> None:
    solved = problem((32, 32, 3))
    (large,) = large_seed_genomes(solved.shape)
    rich = start_search(Taxonomy(), solved, seed=0, size=8)
    assert rich.seeds == (large, *seed_genomes(solved.shape))
    limited = taxonomy_from_value({"limits": {"multiply_adds": 60_000_000}})
    assert start_search(limited, solved, seed=0, size=8).seeds == seed_genomes(solved.shape)


def test_genomes_to_start_from_come_first_made_to_fit_and_once_each() -> None:
    tight = taxonomy_from_value({"limits": {"parameters": 5000}})
    given_genomes = [search().seeds[0], search().seeds[1], search().seeds[0]]
    state = start_search(tight, problem(), seed=0, size=8, start=given_genomes)
    assert len(state.seeds) == 2
    assert all(excess(genome, tight, problem()) == {} for genome in state.seeds)
    birth = ask(state)
    assert isinstance(birth, Birth)
    assert birth.genome == state.seeds[0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_taxonomy_that_allows_nothing_is_refused_before_anything_begins(
    strategy: Strategy,
) -> None:
    nothing = taxonomy_from_value({"limits": {"parameters": 10}})
    with pytest.raises(InvalidInputError, match="allows no network"):
        start_search(nothing, problem(), seed=0, size=8, strategy=strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_space_of_a_few_genomes_is_searched_to_its_end(strategy: Strategy) -> None:
    few = taxonomy_from_value(
        {
            "features": {"kinds": [], "least": 0, "most": 0},
            "heads": ["flatten"],
            "mirror": [False],
            "activations": ["relu"],
            "classifier": {"kinds": ["dense"], "most": 1, "units": [8, 16], "norm": [False]},
            "training": {
                "optimizers": {"adam": {"low": 0.001, "high": 0.001}},
                "schedules": ["cosine"],
                "batch_sizes": [32, 64],
                "weight_decays": [0.0],
                "label_smoothing": [0.0],
                "augmentation": {
                    name: [0.0] for name in ("flip", "shift", "rotate", "cutout", "noise")
                },
            },
        }
    )
    state = start_search(few, problem(), seed=0, size=4, strategy=strategy, rungs=2)
    state, made = play(state, np.random.default_rng(0), 50, failing=0.0)
    births = [each for each in made if isinstance(each, Birth)]
    # No layer, or one of two sizes; two sizes of a batch.
    assert len(births) == 6 if strategy != "seeds" else 0 < len(births) <= 6
    assert ask(state) is None
    assert not waiting(state)


def test_without_inheritance_no_child_names_a_parent_to_inherit_from() -> None:
    for inheritance in (True, False):
        _, made = play(search(inheritance=inheritance), np.random.default_rng(0), 60)
        named = [each for each in made if isinstance(each, Birth) and each.inherit_from]
        assert bool(named) is inheritance


def test_a_crossed_child_inherits_from_the_parent_it_is_nearer_to() -> None:
    state, made = play(search(), np.random.default_rng(0), 120)
    crossed = [each for each in made if isinstance(each, Birth) and len(each.parents) == 2]
    assert {birth.parents.index(birth.inherit_from or 0) for birth in crossed} == {0, 1}
    for birth in crossed:
        shares = {
            parent: kept_share(state.members[parent - 1].genome, birth.genome, (8, 8, 1), 10)
            for parent in birth.parents
        }
        assert shares[birth.inherit_from or 0] == max(shares.values())


def test_several_objectives_give_a_front_and_a_choice_by_budget() -> None:
    state, _ = play(search(objectives=SOME, size=12), np.random.default_rng(1), 150)
    found = front(state.members, SOME)
    sizes = [member.parameters for member in found]
    assert len(found) >= 5
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) > 10 * min(sizes)
    limit = sorted(sizes)[len(sizes) // 2]
    chosen = choose(state.members, max_parameters=limit)
    assert chosen in found
    assert chosen is not None
    assert chosen.parameters == limit


def test_several_objectives_find_a_better_front_than_random_search() -> None:
    """By the area under the front, of accuracy above one half over the logarithm of the size."""

    def area(state: Search) -> float:
        found = sorted(front(state.members, SOME), key=lambda member: member.parameters)
        ends = [*(math.log10(member.parameters) for member in found[1:]), 7.0]
        return sum(
            (member.results[0].accuracy - 0.5) * (end - math.log10(member.parameters))
            for member, end in zip(found, ends, strict=True)
            if member.results[0]
        )

    areas: dict[str, list[float]] = {"evolution": [], "random": []}
    for strategy, found in areas.items():
        for seed in range(4):
            state = search(strategy=strategy, objectives=SOME, size=16, seed=seed, start=[])
            state, _ = play(state, np.random.default_rng(seed), 200, failing=0.0)
            found.append(area(state))
    assert np.mean(areas["evolution"]) > np.mean(areas["random"])


@pytest.mark.parametrize("rungs", [1, 3])
def test_evolution_beats_random_search_on_average(rungs: int) -> None:
    def mean_best(strategy: Strategy) -> float:
        found = []
        for seed in range(4):
            state = search(strategy=strategy, seed=seed, size=12, rungs=rungs, start=[])
            state, _ = play(state, np.random.default_rng(seed), 80, failing=0.05)
            accuracies = [
                member.results[0].accuracy for member in state.members if member.results[0]
            ]
            found.append(np.nanmax(accuracies))
        return float(np.mean(found))

    assert mean_best("evolution") > mean_best("random") + 0.005

from collections.abc import Callable

import numpy as np
import pytest

from commons.genome import Convolution, Dense, Genome, Head, Training, genome_hash
from commons.messages import Generational
from evolver.generational import breed, survivors
from evolver.operators import create
from evolver.sameness import network_key
from evolver.search import FAILED, Birth, Fitness, Search, ask, born, start_search, told, waiting
from evolver.selection import Member
from evolver.taxonomy import Taxonomy, strangers
from tests.evolver_builders import problem, synthetic_fitness

RULE = Generational(generations=5, retain=0.4, random_select=0.1, mutate_chance=0.2)
SIZE = 10


def search(rule: Generational = RULE, size: int = SIZE, seed: int = 0, **values) -> Search:
    return start_search(
        Taxonomy(),
        problem(),
        seed=seed,
        size=size,
        strategy="generational",
        generational=rule,
        **values,
    )


def play(
    state: Search, fitness: Callable[[Genome], Fitness], workers: int = 3
) -> tuple[Search, list[list[int]]]:
    """Train to the end with that many at a time, and return the batches between waits."""
    running: list[tuple[int, Genome]] = []
    batches: list[list[int]] = [[]]
    while True:
        asked = ask(state) if len(running) < workers else None
        if isinstance(asked, Birth):
            number = len(state.members) + 1
            state = born(state, number, asked)
            running.append((number, asked.genome))
            batches[-1].append(number)
        elif running:
            if len(running) < workers and waiting(state) and batches[-1]:
                batches.append([])
            number, genome = running.pop()
            state = told(state, number, 1, fitness(genome))
        else:
            return state, [batch for batch in batches if batch]


def toy(genome: Genome) -> Fitness:
    return Fitness(*synthetic_fitness(genome))


def reference(seed: int, size: int, rule: Generational) -> list[str]:
    """Return the hashes of all genomes in order of birth: the algorithm as a plain loop."""
    taxonomy, solved = Taxonomy(), problem()
    order: list[str] = []
    seen: set[str] = set()

    def add(genome: Genome) -> bool:
        if network_key(genome, solved) in seen:
            return False
        seen.add(network_key(genome, solved))
        order.append(genome_hash(genome))
        return True

    population: list[Genome] = []
    while len(population) < size:
        rng = np.random.default_rng([seed, len(order)])
        genome = create(rng, taxonomy, solved).genome
        while not add(genome):
            genome = create(rng, taxonomy, solved).genome
        population.append(genome)
    for generation in range(1, rule.generations):
        graded = sorted(population, key=synthetic_fitness, reverse=True)
        kept = int(len(graded) * rule.retain)
        rng = np.random.default_rng([seed, generation, 0])
        parents = graded[:kept] + [
            genome for genome in graded[kept:] if rng.random() < rule.random_select
        ]
        children: list[Genome] = []
        while len(children) < size - len(parents):
            draw = np.random.default_rng([seed, generation, 1 + len(children) // 2])
            mother, father = draw.choice(len(parents), 2, replace=False)
            rng = np.random.default_rng([seed, len(order)])
            pair = parents[int(mother)], parents[int(father)]
            child = breed(rng, *pair, taxonomy, solved, rule.mutate_chance)
            while not add(child):
                child = breed(rng, *pair, taxonomy, solved, rule.mutate_chance)
            children.append(child)
        population = parents + children
    return order


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("workers", [1, 4])
def test_it_does_what_the_classic_algorithm_does_in_a_plain_loop(seed: int, workers: int) -> None:
    state, _ = play(search(seed=seed), toy, workers)
    found = [genome_hash(member.genome) for member in state.members]
    assert found == reference(seed, SIZE, RULE)


def test_a_generation_begins_when_the_one_before_has_ended() -> None:
    rule = Generational(generations=4, retain=0.4, random_select=0.0)
    state, batches = play(search(rule), toy)
    assert [len(batch) for batch in batches] == [10, 6, 6, 6]
    assert ask(state) is None
    assert not waiting(state)


def test_children_have_two_parents_of_the_best_and_the_best_improve() -> None:
    rule = Generational(generations=3, retain=0.4, random_select=0.0)
    state = search(rule)
    births: list[Birth] = []
    while isinstance(asked := ask(state), Birth):
        births.append(asked)
        number = len(state.members) + 1
        state = told(born(state, number, asked), number, 1, toy(asked.genome))
    first = sorted(range(1, 11), key=lambda n: toy(births[n - 1].genome).rank, reverse=True)
    assert all(birth.parents == () for birth in births[:10])
    for birth in births[10:16]:
        assert len(set(birth.parents)) == 2
        assert set(birth.parents) <= set(first[:4])
        assert birth.inherit_from in birth.parents
    # Two children a pair.
    pairs = [birth.parents for birth in births[10:16]]
    assert pairs[::2] == pairs[1::2]
    assert all(strangers(Taxonomy(), birth.genome) == [] for birth in births)


def test_failures_are_no_parents_and_a_generation_of_failures_is_followed_by_fresh_genomes() -> (
    None
):
    state, batches = play(search(Generational(generations=3), size=4), lambda _: FAILED)
    assert [len(batch) for batch in batches] == [4, 4, 4]
    assert len({member.key for member in state.members}) == 12


def test_survivors_are_the_best_share_and_others_by_luck() -> None:
    members = [
        Member(number, Genome(), str(number), results=(Fitness(number / 100, 1.0),))
        for number in range(100)
    ]
    kept = survivors(np.random.default_rng(0), members, RULE)
    assert [member.number for member in kept[:40]] == list(range(99, 59, -1))
    assert 1 <= len(kept[40:]) <= 14
    everybody = survivors(np.random.default_rng(0), members, Generational(random_select=1.0))
    assert len(everybody) == 100


def test_genomes_to_start_from_are_the_first_generation() -> None:
    start = [create(np.random.default_rng(n), Taxonomy(), problem()).genome for n in range(4)]
    state, _ = play(search(Generational(generations=2), size=6, start=[*start, start[0]]), toy)
    assert [member.genome for member in state.members[:4]] == start
    assert len(state.members) >= 6


def test_without_mutation_a_child_has_genes_of_its_parents_alone() -> None:
    rng, taxonomy, solved = np.random.default_rng(3), Taxonomy(), problem()
    for _ in range(30):
        mother, father = (create(rng, taxonomy, solved).genome for _ in range(2))
        child = breed(rng, mother, father, taxonomy, solved, 0.0)
        assert set(child.features) <= {*mother.features, *father.features}
        assert child.head in (mother.head, father.head)
        own = (child.training.optimizer, child.training.learning_rate)
        assert own in [
            (parent.training.optimizer, parent.training.learning_rate)
            for parent in (mother, father)
        ]
        for name in type(child.training).model_fields:
            if name != "augmentation":
                assert getattr(child.training, name) in (
                    getattr(mother.training, name),
                    getattr(father.training, name),
                )


def parent(size: int, head: Head, *, mirror: bool) -> Genome:
    """Return a genome that has no part in common with one of another size, head and mirror."""
    return Genome(
        features=(Convolution(filters=size, kernel=3),),
        head=head,
        classifier=(Dense(units=size),),
        mirror=mirror,
        training=Training(batch_size=2 * size),
    )


MOTHER, FATHER = parent(16, "average", mirror=False), parent(32, "max", mirror=True)
PARTS = sorted({*Genome.model_fields} - {"version"})


def parts_of_children(name: str, father: Genome, mutate_chance: float) -> set[object]:
    rng, given = np.random.default_rng(4), (Taxonomy(), problem(), mutate_chance)
    return {getattr(breed(rng, MOTHER, father, *given), name) for _ in range(40)}


@pytest.mark.parametrize("name", PARTS)
def test_every_part_of_a_genome_is_of_either_parent(name: str) -> None:
    parts = {getattr(MOTHER, name), getattr(FATHER, name)}
    assert len(parts) == 2, "a new part belongs into the parents above"
    assert parts_of_children(name, FATHER, mutate_chance=0.0) == parts


@pytest.mark.parametrize("name", PARTS)
def test_every_part_of_a_genome_is_drawn_anew_with_a_chance(name: str) -> None:
    assert parts_of_children(name, MOTHER, mutate_chance=0.0) == {getattr(MOTHER, name)}
    assert len(parts_of_children(name, MOTHER, mutate_chance=1.0)) > 1

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commons.errors import InvalidInputError
from commons.genome import Convolution, Dense, Genome, genome_to_json
from commons.shapes import infer_shape
from evolver.limits import Problem, excess, repair
from evolver.mutations import MUTATIONS
from evolver.operators import create, cross, mutate
from evolver.seeds import seed_genomes
from evolver.taxonomy import Taxonomy, strangers, taxonomy_from_value
from tests.evolver_builders import SHAPES, genomes, problem

DEFAULT = Taxonomy()
SMALL = taxonomy_from_value(
    {"limits": {"parameters": 20_000, "multiply_adds": 3_000_000, "activations": 60_000}}
)
DENSE_ONLY = taxonomy_from_value(
    {"features": {"kinds": [], "least": 0, "most": 0}, "heads": ["average", "flatten"]}
)
sides = st.sampled_from([1, 2, 3, 7, 8, 16, 28, 32, 33, 64, 97, 224])
problems = st.builds(
    lambda height, width, channels, categories: Problem((height, width, channels), categories),
    sides,
    sides,
    st.sampled_from([1, 3]),
    st.sampled_from([2, 3, 10, 100, 1000]),
)


def check(genome: Genome, taxonomy: Taxonomy, solved: Problem) -> None:
    assert strangers(taxonomy, genome) == []
    assert excess(genome, taxonomy, solved) == {}
    layers = infer_shape(genome, solved.shape, solved.categories).layers
    assert layers[-1].output == (solved.categories,)
    assert all(min(layer.output) >= 1 for layer in layers)
    assert repair(genome, taxonomy, solved) == genome
    assert Genome.model_validate_json(genome_to_json(genome)) == genome


@pytest.mark.parametrize("taxonomy", [DEFAULT, SMALL, DENSE_ONLY], ids=["all", "small", "dense"])
@settings(max_examples=150, deadline=None)
@given(solved=problems, seed=st.integers(0, 2**32))
def test_random_mutated_and_crossed_genomes_always_fit(
    taxonomy: Taxonomy, solved: Problem, seed: int
) -> None:
    # Five genomes an example: more than 2,000 in all.
    rng = np.random.default_rng(seed)
    genome = create(rng, taxonomy, solved).genome
    other = create(rng, taxonomy, solved).genome
    child = cross(rng, genome, other, taxonomy, solved).genome
    for each in (genome, other, child):
        check(each, taxonomy, solved)
    for parent in (genome, child):
        mutant = mutate(rng, parent, taxonomy, solved)
        assert mutant is not None
        assert mutant.genome != parent
        check(mutant.genome, taxonomy, solved)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_long_line_of_mutations_stays_inside(shape: tuple[int, int, int]) -> None:
    rng, solved = np.random.default_rng(0), problem(shape)
    genome = create(rng, DEFAULT, solved).genome
    for _ in range(200):
        mutant = mutate(rng, genome, DEFAULT, solved)
        assert mutant is not None
        assert mutant.genome != genome
        genome = mutant.genome
        check(genome, DEFAULT, solved)


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_applies_to_some_genome_and_changes_it(name: str) -> None:
    mutation = MUTATIONS[name][0]
    rng = np.random.default_rng(1)
    results = [
        (genome, mutation(rng, genome, DEFAULT)) for genome, _, _ in genomes(60, ((8, 8, 1),))
    ]
    changed = [child for genome, child in results if child is not None and child != genome]
    assert changed
    for child in changed:
        check(repair(child, DEFAULT, problem()), DEFAULT, problem())


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_the_same_for_the_same_seed_and_leaves_its_parent_alone(name: str) -> None:
    mutation = MUTATIONS[name][0]
    for genome, _, _ in genomes(10, ((8, 8, 1),)):
        before = genome_to_json(genome)
        first = mutation(np.random.default_rng(4), genome, DEFAULT)
        assert first == mutation(np.random.default_rng(4), genome, DEFAULT)
        assert genome_to_json(genome) == before


def test_operators_are_the_same_for_the_same_seed() -> None:
    def family(seed: int) -> list[Genome]:
        rng = np.random.default_rng(seed)
        mother, father = (create(rng, DEFAULT, problem()).genome for _ in range(2))
        mutant = mutate(rng, mother, DEFAULT, problem())
        assert mutant is not None
        return [
            mother,
            father,
            mutant.genome,
            cross(rng, mother, father, DEFAULT, problem()).genome,
        ]

    assert family(3) == family(3)
    assert family(3) != family(4)


def test_a_mutant_is_named_by_what_changed() -> None:
    genome = seed_genomes((8, 8, 1))[0]
    mutants = [mutate(np.random.default_rng(n), genome, DEFAULT, problem()) for n in range(50)]
    names = [mutant.operator.split("+") for mutant in mutants if mutant]
    assert len(names) == 50
    assert set(sum(names, [])) <= set(MUTATIONS)  # noqa: RUF017
    assert 1 < max(map(len, names)) <= 3


def test_a_space_of_one_genome_has_no_mutants() -> None:
    only = taxonomy_from_value(
        {
            "features": {"kinds": [], "least": 0, "most": 0},
            "heads": ["flatten"],
            "classifier": {"kinds": [], "most": 0},
            "mirror": [False],
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
    )
    rng = np.random.default_rng(0)
    genome = create(rng, only, problem()).genome
    assert mutate(rng, genome, only, problem()) is None


def test_a_child_of_a_crossing_has_features_of_both_parents() -> None:
    mother = Genome(features=(Convolution(filters=8, kernel=3),) * 4)
    father = Genome(features=(Convolution(filters=64, kernel=3),) * 4)
    children = [
        cross(np.random.default_rng(n), mother, father, DEFAULT, problem()).genome
        for n in range(20)
    ]
    widths = [[gene.filters for gene in child.features] for child in children]  # type: ignore[union-attr]
    assert all(found == sorted(found) and len(found) == 4 for found in widths)
    assert any(len(set(found)) == 2 for found in widths)


def test_repair_keeps_a_genome_that_fits_and_shrinks_the_costliest_part_of_another() -> None:
    genome = Genome(
        features=(Convolution(filters=16, kernel=3), Convolution(filters=128, kernel=5)),
        head="flatten",
        classifier=(Dense(units=256),),
    )
    tight = taxonomy_from_value({"limits": {"parameters": 40_000}})
    smaller = repair(genome, tight, problem())
    assert excess(smaller, tight, problem()) == {}
    assert smaller.features[0] == genome.features[0]
    assert repair(genome, tight, problem()) == smaller


def test_wide_images_are_strided_before_filters_are_given_up() -> None:
    genome = Genome(features=(Convolution(filters=32, kernel=3),) * 2)
    smaller = repair(genome, DEFAULT, problem((224, 224, 3)))
    first = smaller.features[0]
    assert isinstance(first, Convolution)
    assert first.stride == 2


def test_limits_that_nothing_meets_are_a_clear_error() -> None:
    impossible = taxonomy_from_value({"limits": {"parameters": 10}})
    with pytest.raises(InvalidInputError, match="allows no network"):
        create(np.random.default_rng(0), impossible, problem())

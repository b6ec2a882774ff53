import numpy as np
import pytest

from commons.errors import InvalidInputError
from commons.genome import Convolution, Dense, Genome
from evolver.genes import confine, random_genome, random_learning_rate
from evolver.limits import Problem, excess
from evolver.sameness import network_key
from evolver.seeds import large_seed_genomes, seed_genomes
from evolver.spaces import Interval
from evolver.taxonomy import (
    Taxonomy,
    strangers,
    taxonomy_from_toml,
    taxonomy_from_value,
)

DENSE_ONLY = """
heads = ["flatten"]

[features]
kinds = []
least = 0
most = 0

[limits]
parameters = 50_000
"""


def test_a_taxonomy_survives_json_both_ways() -> None:
    taxonomy = taxonomy_from_toml(DENSE_ONLY)
    assert Taxonomy.model_validate_json(taxonomy.model_dump_json()) == taxonomy
    assert taxonomy_from_value(taxonomy.model_dump(mode="json")) == taxonomy


def test_a_toml_text_restricts_the_default() -> None:
    taxonomy = taxonomy_from_toml(DENSE_ONLY)
    assert taxonomy.limits.parameters == 50_000
    assert taxonomy.training == Taxonomy().training
    genome = random_genome(np.random.default_rng(0), taxonomy)
    assert (genome.features, genome.head) == ((), "flatten")


def test_a_range_stands_for_all_its_numbers_and_a_beginning_for_the_size_of_random_genomes() -> (
    None
):
    taxonomy = taxonomy_from_toml(
        "heads = ['flatten']\n[classifier]\nunits = {low = 3, high = 7}\nmost = 9\nbegin = 9"
    )
    assert taxonomy.classifier.units == (3, 4, 5, 6, 7)
    assert taxonomy_from_value(taxonomy.model_dump(mode="json")) == taxonomy
    drawn = [random_genome(np.random.default_rng(seed), taxonomy) for seed in range(60)]
    assert {len(genome.classifier) for genome in drawn} == set(range(10))
    usual = [random_genome(np.random.default_rng(seed), Taxonomy()) for seed in range(60)]
    assert {len(genome.classifier) for genome in usual} == {0, 1, 2}
    assert {len(genome.features) for genome in usual} == set(range(3, 10))


def test_no_taxonomy_is_the_default() -> None:
    assert taxonomy_from_value(None) == Taxonomy()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("heads = [", "no TOML"),
        ("heads = []", "heads"),
        ("layers = 3", "layers"),
        ("[features]\nkinds = []", "expected kinds"),
        ("[features]\nleast = 5\nmost = 4", "least <= most"),
        ("[features.convolution]\nfilters = [0]", "filters"),
        ("[training.optimizers]\nadam = {low = 0.1, high = 0.01}", "low <= high"),
        ("[training]\noptimizers = {}", "optimizers"),
        ("dropout_rates = [nan]", "dropout_rates"),
        ("[classifier]\nunits = {low = 5, high = 4}", "1 <= low <= high"),
        ("[classifier]\nunits = {low = 1, high = 1e3}", "whole numbers"),
        ("[classifier]\nunits = {low = 1, top = 2}", "units"),
        ("[features]\nbegin = 13", "begin <= most"),
    ],
)
def test_a_taxonomy_that_allows_nothing_or_is_none_is_refused_with_its_fault(
    text: str, words: str
) -> None:
    with pytest.raises(InvalidInputError, match=words):
        taxonomy_from_toml(text)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InvalidInputError, match=r"heads.*activations"):
        taxonomy_from_toml('heads = []\nactivations = ["sinus"]')


def test_strangers_are_named() -> None:
    genome = Genome(features=(Convolution(filters=33, kernel=3),), classifier=(Dense(units=7),) * 4)
    found = strangers(Taxonomy(), genome)
    assert {"filters 33", "units 7", "4 classifier genes"} <= set(found)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_drawn_or_confined_is_inside(seed: int) -> None:
    narrow = taxonomy_from_value(
        {
            "features": {"kinds": ["convolution"], "most": 3},
            "heads": ["max"],
            "activations": ["tanh"],
            "training": {"optimizers": {"sgd": {"low": 0.1, "high": 0.2}}},
        }
    )
    genome = random_genome(np.random.default_rng(seed), Taxonomy())
    assert strangers(Taxonomy(), genome) == []
    assert confine(genome, Taxonomy()) == genome
    assert strangers(narrow, confine(genome, narrow)) == []


@pytest.mark.parametrize("side", [1, 8, 12, 13, 28, 32, 40, 41, 64, 96, 224])
@pytest.mark.parametrize("channels", [1, 3])
def test_seeds_are_five_networks_inside_the_default_taxonomy_and_its_limits(
    side: int, channels: int
) -> None:
    solved = Problem((side, side, channels), 10)
    seeds = seed_genomes(solved.shape)
    for genome in seeds:
        assert strangers(Taxonomy(), genome) == []
        assert excess(genome, Taxonomy(), solved) == {}
    assert len({network_key(genome, solved) for genome in seeds}) == 5
    for genome in large_seed_genomes(solved.shape):
        assert strangers(Taxonomy(), genome) == []


def test_a_seed_draws_the_same_genome_again() -> None:
    first, again = (random_genome(np.random.default_rng(7), Taxonomy()) for _ in range(2))
    other = random_genome(np.random.default_rng(8), Taxonomy())
    assert first == again != other


def test_a_learning_rate_stays_in_its_interval_with_three_digits() -> None:
    interval = Interval(low=0.00123, high=0.0456)
    rates = [random_learning_rate(np.random.default_rng(seed), interval) for seed in range(200)]
    assert all(interval.low <= rate <= interval.high for rate in rates)
    assert np.median(rates) < 0.015
    assert rates[3] == random_learning_rate(np.random.default_rng(3), interval)

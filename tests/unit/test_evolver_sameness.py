import numpy as np
import pytest

from commons.genome import Convolution, Dense, Dropout, Genome, Pooling, genome_hash
from commons.weight_transfer import inherit_weights
from evolver.limits import Problem
from evolver.sameness import network_key, plainest
from tests.evolver_builders import genomes
from tests.numpy_network import logits, random_weights

CONV = Convolution(filters=8, kernel=3)
TINY = Problem((1, 1, 3), 4)
SMALL = Problem((4, 4, 3), 4)
SAME = {
    "dropout of nothing": (SMALL, (CONV, Dropout(rate=0.0)), (CONV,)),
    "separable single pixels": (
        SMALL,
        (Convolution(filters=8, kernel=1, separable=True),),
        (Convolution(filters=8, kernel=1),),
    ),
    "pooling of a single pixel": (TINY, (CONV, Pooling()), (CONV,)),
    "pooling of more than all": (
        SMALL,
        (CONV, Pooling(), Pooling(size=3)),
        (CONV, *[Pooling()] * 2),
    ),
    "window on a single pixel": (TINY, (CONV,), (Convolution(filters=8, kernel=1, stride=2),)),
}
OTHER = {
    "dropout": (SMALL, (CONV, Dropout(rate=0.1)), (CONV,)),
    "separable": (SMALL, (CONV,), (CONV.model_copy(update={"separable": True}),)),
    "pooling": (SMALL, (CONV, Pooling()), (CONV, Pooling(size=3))),
    "kernel": (SMALL, (CONV,), (Convolution(filters=8, kernel=1),)),
    "order": (SMALL, (CONV, Pooling()), (Pooling(), CONV)),
}


@pytest.mark.parametrize("name", SAME)
def test_two_names_of_one_network_have_one_key(name: str) -> None:
    solved, one, other = SAME[name]
    keys = {network_key(Genome(features=features), solved) for features in (one, other)}
    assert len(keys) == 1


@pytest.mark.parametrize("name", OTHER)
def test_different_networks_have_different_keys(name: str) -> None:
    solved, one, other = OTHER[name]
    keys = {network_key(Genome(features=features), solved) for features in (one, other)}
    assert len(keys) == 2


def test_heads_differ_only_where_there_is_more_than_one_place() -> None:
    def keys(solved: Problem) -> set[str]:
        heads = ("average", "max", "flatten")
        return {network_key(Genome(features=(CONV,), head=head), solved) for head in heads}

    assert len(keys(TINY)) == 1
    assert len(keys(SMALL)) == 3


def test_dropouts_of_nothing_in_the_classifier_are_nothing() -> None:
    dense = Dense(units=16)
    one = Genome(classifier=(dense, Dropout(rate=0.0)))
    assert network_key(one, SMALL) == network_key(Genome(classifier=(dense,)), SMALL)


def test_the_plainest_genome_is_its_own_plainest_and_most_genomes_are_already() -> None:
    changed = 0
    for genome, shape, categories in genomes(140):
        plain = plainest(genome, Problem(shape, categories))
        assert plainest(plain, Problem(shape, categories)) == plain
        changed += genome_hash(plain) != genome_hash(genome)
    assert changed < 70


def check_equal(genome: Genome, other: Genome, solved: Problem) -> None:
    """Weights of the one, put into the other, compute the same."""
    rng = np.random.default_rng(0)
    weights, fresh = (
        random_weights(rng, each, solved.shape, solved.categories) for each in (genome, other)
    )
    arrays = inherit_weights(genome, weights, other, fresh, solved.shape, solved.categories).arrays
    image = rng.normal(size=solved.shape)
    np.testing.assert_allclose(
        logits(genome, weights, image), logits(other, arrays, image), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("name", SAME)
def test_two_names_of_one_network_compute_the_same(name: str) -> None:
    solved, *pair = SAME[name]
    one, other = (Genome(features=features) for features in pair)
    check_equal(one, other, solved)


def test_the_plainest_genome_can_compute_what_the_genome_does() -> None:
    renamed = 0
    for genome, shape, categories in genomes(120, ((1, 1, 1), (3, 2, 1), (4, 4, 3))):
        solved = Problem(shape, categories)
        plain = plainest(genome, solved)
        if plain != genome:
            renamed += 1
            check_equal(genome, plain, solved)
    assert renamed > 30

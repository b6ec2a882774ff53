"""Genomes in words: what changed, what a layer is, what a network is made of."""

import numpy as np
import pytest

from commons.genome import (
    Augmentation,
    Convolution,
    Dense,
    Dropout,
    Genome,
    Pooling,
    Training,
)
from commons.shapes import infer_shape
from dicebox.report.genome_diff import describe_gene, flat, genome_diff
from dicebox.report.genome_table import layer_rows, recipe_rows
from evolver.operators import mutate
from evolver.taxonomy import Taxonomy
from tests.evolver_builders import genomes, problem

BASE = Genome(
    features=(
        Convolution(filters=32, kernel=3),
        Pooling(),
        Convolution(filters=64, kernel=3, residual=True),
    ),
    head="average",
    classifier=(Dense(units=64),),
    training=Training(optimizer="adam", learning_rate=0.003),
)


def changes(before: Genome, after: Genome) -> list[str]:
    return [str(one) for one in genome_diff(before.model_dump(), after.model_dump())]


def with_features(*features: Convolution | Pooling | Dropout) -> Genome:
    return BASE.model_copy(update={"features": features})


def test_equal_genomes_have_no_changes() -> None:
    assert changes(BASE, BASE) == []


def test_a_changed_field_names_its_layer_and_both_values() -> None:
    _, pool, last = BASE.features
    wider = with_features(Convolution(filters=48, kernel=3), pool, last)
    assert changes(BASE, wider) == ["layer 1 convolution filters: 32 → 48"]
    assert changes(wider, BASE) == ["layer 1 convolution filters: 48 → 32"]


def test_a_layer_that_was_put_in_is_added_and_the_others_are_unchanged() -> None:
    first, pool, last = BASE.features
    more = with_features(first, Dropout(rate=0.2), pool, last)
    assert changes(BASE, more) == ["layer 2 added: dropout 0.2"]
    assert changes(more, BASE) == ["layer 2 removed: dropout 0.2"]


def test_a_layer_of_another_kind_is_no_changed_one() -> None:
    first, _, last = BASE.features
    assert changes(BASE, with_features(first, Dropout(rate=0.5), last)) == [
        "layer 2 removed: max pooling 2x2",
        "layer 2 added: dropout 0.5",
    ]


def test_head_classifier_and_recipe_are_named_by_their_words() -> None:
    after = BASE.model_copy(
        update={
            "head": "flatten",
            "classifier": (),
            "training": Training(
                optimizer="sgd", learning_rate=0.1, augmentation=Augmentation(flip=True)
            ),
        }
    )
    assert changes(BASE, after) == [
        "head: average → flatten",
        "classifier layer 1 removed: dense, 64 units, relu",
        "optimizer: adam → sgd",
        "learning rate: 0.003 → 0.1",
        "flip: off → on",
    ]


def test_fields_that_only_a_later_version_has_are_shown_too() -> None:
    old = {"features": [], "training": {"optimizer": "sgd"}}
    new = {
        "features": [{"type": "attention", "heads": 4}],
        "stem": {"width": 8},
        "training": {"optimizer": "sgd", "momentum": 0.9},
    }
    assert [str(one) for one in genome_diff(old, new)] == [
        "layer 1 added: attention, heads 4",
        "momentum: - → 0.9",
        "stem added: width 8",
    ]
    assert [str(one) for one in genome_diff({"stem": {"width": 8}}, {"stem": None})] == [
        "stem removed: width 8"
    ]


def test_every_mutation_is_seen_and_its_way_back_is_as_long() -> None:
    rng, solved = np.random.default_rng(3), problem()
    for genome, _, _ in genomes(60, shapes=((8, 8, 1),)):
        child = mutate(rng, genome, Taxonomy(), solved)
        assert child is not None
        there = changes(genome, child.genome)
        assert there
        assert len(changes(child.genome, genome)) == len(there)


@pytest.mark.parametrize(
    ("gene", "words"),
    [
        (Convolution(filters=1, kernel=5, norm=False), "convolution 5x5, 1 filter, relu"),
        (
            Convolution(filters=8, kernel=3, stride=2, separable=True, activation="leaky_relu"),
            "separable convolution 3x3, 8 filters, stride 2, batch norm, leaky relu",
        ),
        (Pooling(kind="average", size=3), "average pooling 3x3"),
        (Dropout(rate=0.25), "dropout 0.25"),
        (Dense(units=10, norm=True), "dense, 10 units, batch norm, relu"),
    ],
)
def test_a_layer_in_words(gene: Convolution | Pooling | Dropout | Dense, words: str) -> None:
    assert describe_gene(gene.model_dump()) == words


def test_nested_fields_become_leaves() -> None:
    assert flat({"a_b": 1, "augmentation": {"flip": True}, "stem": {"size": 2}}) == {
        "a b": 1,
        "flip": True,
        "stem size": 2,
    }


def test_the_table_has_every_layer_with_what_shape_inference_says() -> None:
    rows = layer_rows(BASE.model_dump(), (8, 8, 1), 10)
    network = infer_shape(BASE, (8, 8, 1), 10)
    assert [row.layer for row in rows] == [
        "convolution 3x3, 32 filters, batch norm, relu",
        "max pooling 2x2",
        "convolution 3x3, 64 filters, batch norm, relu, residual",
        "global average",
        "dense, 64 units, relu",
        "answer: 10 categories",
    ]
    assert [row.output for row in rows] == ["8x8x32", "4x4x32", "4x4x64", "64", "64", "10"]
    assert sum(row.parameters or 0 for row in rows) == network.parameters
    assert sum(row.multiply_adds or 0 for row in rows) == network.multiply_adds


def test_a_genome_of_another_version_has_its_layers_and_no_costs() -> None:
    genome = BASE.model_dump() | {"not-known-here": {"width": 8}}
    rows = layer_rows(genome, (8, 8, 1), 10)
    assert len(rows) == 6
    assert all(row.parameters is None and row.output == "" for row in rows)


def test_the_recipe_is_all_of_the_training_in_words() -> None:
    recipe = dict(recipe_rows(BASE.model_dump()))
    assert recipe["learning rate"] == "0.003"
    assert recipe["weight decay"] == "0"
    assert recipe["flip"] == "off"
    assert recipe["optimizer"] == "adam"

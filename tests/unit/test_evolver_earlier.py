"""Genomes of the earlier system, made from what is written about its files."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commons.errors import InvalidInputError
from commons.genome import Augmentation, Convolution, Dense, Dropout, Genome, Pooling, Training
from commons.shapes import infer_shape
from evolver.earlier import ACTIVATIONS, OPTIMIZERS, read_genome, write_genome
from evolver.genome_files import (
    read_population,
    write_earlier_population,
    write_population,
)

LONESTAR: dict[str, Any] = {
    "input_shape": [100, 100, 3],
    "output_size": 19,
    "optimizer": "adam",
    "layers": [
        {
            "type": "conv2d",
            "filters": 32,
            "kernel_size": [3, 3],
            "strides": [2, 2],
            "padding": "same",
            "activation": "swish",
        },
        {"type": "dropout", "rate": 0.25},
        {"type": "flatten"},
        {"type": "dense", "size": 987, "activation": "relu"},
        {"type": "normal", "size": 34, "activation": "tanh"},
    ],
}


def dense(size: int = 8, activation: str = "relu") -> dict[str, Any]:
    return {"type": "dense", "size": size, "activation": activation}


def conv(filters: int = 8, **values: Any) -> dict[str, Any]:
    layer = {
        "type": "conv2d",
        "filters": filters,
        "kernel_size": [3, 3],
        "strides": [1, 1],
        "padding": "same",
        "activation": "relu",
    }
    return {**layer, **values}


def earlier(*layers: dict[str, Any], optimizer: str = "sgd") -> dict[str, Any]:
    return {
        "input_shape": [28, 28, 1],
        "output_size": 10,
        "optimizer": optimizer,
        "layers": list(layers),
    }


activations = st.sampled_from(ACTIVATIONS)
dropouts = st.sampled_from([0.1, 0.25, 0.5]).map(lambda rate: {"type": "dropout", "rate": rate})
denses = st.builds(dense, st.integers(1, 1597), activations)
convolutions = st.builds(
    lambda filters, side, stride, activation: conv(
        filters, kernel_size=[side, side], strides=[stride, stride], activation=activation
    ),
    st.integers(1, 64),
    st.integers(1, 7),
    st.integers(1, 3),
    activations,
)
written = st.builds(
    lambda maps, vectors, optimizer: earlier(
        *maps, {"type": "flatten"}, *vectors, optimizer=optimizer
    ),
    st.lists(convolutions | dropouts, max_size=5),
    st.lists(denses | dropouts, max_size=21),
    st.sampled_from(OPTIMIZERS),
)


def test_the_chosen_network_of_the_earlier_system_is_read_to_the_letter() -> None:
    genome, notes = read_genome(LONESTAR)
    assert notes == ()
    assert genome == Genome(
        features=(
            Convolution(filters=32, kernel=3, stride=2, norm=False, activation="silu"),
            Dropout(rate=0.25),
        ),
        head="flatten",
        classifier=(Dense(units=987), Dense(units=34, activation="tanh")),
        training=Training(optimizer="adam", learning_rate=0.001, schedule="constant"),
    )
    network = infer_shape(genome, (100, 100, 3), 19)
    assert network.layers[2].output == (50 * 50 * 32,)
    assert network.parameters == (
        (27 * 32 + 32) + (80_000 * 987 + 987) + (987 * 34 + 34) + (34 * 19 + 19)
    )


@settings(max_examples=200, deadline=None)
@given(value=written)
def test_what_is_read_can_be_written_back_and_is_the_same(value: dict[str, Any]) -> None:
    genome, notes = read_genome(value)
    assert notes == ()
    again, lost = write_genome(genome, (28, 28, 1), 10)
    assert again == json.loads(json.dumps(value))
    assert lost == ()
    assert read_genome(again) == (genome, ())


def test_what_is_mapped_by_a_rule_is_told() -> None:
    value = earlier(
        dense(5),
        conv(padding="valid", kernel_size=[3, 5], strides=[1, 2]),
        conv(),
        dense(7),
        optimizer="sgd",
    )
    genome, notes = read_genome(value)
    assert [gene.type for gene in genome.features] == ["convolution"] * 3
    first, second, _ = genome.features
    assert first == Convolution(filters=5, kernel=1, norm=False)
    assert second == Convolution(filters=8, kernel=5, norm=False)
    assert genome.classifier == (Dense(units=7),)
    assert genome.training.learning_rate == 0.01
    assert notes == (
        "a flatten is put after layer 3",
        "layer 2: padding valid becomes same",
        "layer 2: kernel_size [3, 5] becomes square",
        "layer 2: strides [1, 2] becomes square",
    )
    twice = earlier({"type": "flatten"}, dense(3), {"type": "flatten"})
    assert read_genome(twice).notes == ("layer 3 flattens a vector and is dropped",)
    assert read_genome(earlier(dense(3), dense(4))).genome.features == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (earlier({"type": "flatten"}, conv()), "layer 2 is a conv2d after the flatten"),
        (earlier(dense(activation="gelu")), "layer 1 has the activation 'gelu'"),
        (earlier(dense(), optimizer="lion"), "the optimizer 'lion'"),
        (earlier({"type": "lstm", "size": 3}), "layers.0"),
        (earlier(dense(0)), "layers.0.dense.size"),
        (earlier(conv(kernel_size=[3])), "kernel_size"),
        (earlier(conv(kernel_size=[64, 64])), "kernel"),
        (earlier({"type": "dropout", "rate": 0.95}), "rate"),
        ({**earlier(dense()), "loss": "mse"}, "loss"),
        ({"layers": []}, "input_shape"),
    ],
)
def test_what_ours_cannot_say_is_refused_with_its_place(value: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        read_genome(value)
    assert "\n" not in str(caught.value)


def test_what_the_earlier_system_cannot_say_is_named_all_at_once() -> None:
    genome = Genome(
        features=(
            Convolution(filters=8, kernel=3, residual=True),
            Pooling(),
            Convolution(filters=8, kernel=3, norm=False, activation="gelu"),
        ),
        classifier=(Dense(units=8, norm=True),),
    )
    with pytest.raises(InvalidInputError) as caught:
        write_genome(genome, (28, 28, 1), 10)
    assert str(caught.value).endswith(
        "no word for a convolution with norm, a convolution with residual, a pooling,"
        " a convolution with gelu, a dense with norm, the head 'average'"
    )


def test_a_recipe_that_is_left_out_is_told() -> None:
    training = Training(optimizer="adam", learning_rate=0.003, augmentation=Augmentation(flip=True))
    genome = Genome(head="flatten", mirror=True, training=training)
    value, notes = write_genome(genome, (8, 8, 1), 2)
    assert value["optimizer"] == "adam"
    assert notes == ("left out: learning_rate, schedule, augmentation, mirror",)


def test_a_population_is_read_best_first_and_what_cannot_be_is_listed() -> None:
    population = {
        "population": [
            {"accuracy": 0.5, "genome": LONESTAR},
            {"accuracy": 0.9, "genome": earlier(dense(3))},
            {"accuracy": 0.7, "genome": earlier({"type": "lstm"})},
            {"accuracy": None, "genome": earlier(conv(padding="valid"), {"type": "flatten"})},
        ],
        "average_accuracy": 0.7,
    }
    found = read_population(json.dumps(population))
    assert [len(genome.classifier) for genome in found.genomes] == [1, 2, 0]
    assert found.notes == ("genome 4: layer 1: padding valid becomes same",)
    assert len(found.refused) == 1
    assert found.refused[0].startswith("genome 3: ")


def test_a_population_is_written_as_it_was_read() -> None:
    genomes = [read_genome(value).genome for value in (LONESTAR, earlier(dense(5)))]
    members = [(genomes[0], 0.25), (genomes[1], 0.75)]
    value, notes, refused = write_earlier_population(members, (100, 100, 3), 19)
    assert (notes, refused) == ((), ())
    assert value["average_accuracy"] == 0.5
    assert value["population"][0] == {"accuracy": 0.25, "genome": LONESTAR | _as_dense(LONESTAR)}
    assert list(read_population(json.dumps(value)).genomes) == genomes[::-1]
    ours = write_population(members)
    assert list(read_population(json.dumps(ours)).genomes) == genomes[::-1]
    for none in (lambda: write_population([]), lambda: write_earlier_population([], (8, 8, 1), 2)):
        with pytest.raises(InvalidInputError, match="got none"):
            none()


def _as_dense(value: dict[str, Any]) -> dict[str, Any]:
    layers = [
        {**layer, "type": "dense"} if layer["type"] == "normal" else layer
        for layer in value["layers"]
    ]
    return {"layers": layers}


def test_a_genome_without_words_is_left_out_of_a_population_and_told() -> None:
    strange, plain = Genome(), Genome(head="flatten", mirror=True)
    written_down = write_earlier_population([(strange, 0.9), (plain, 0.8)], (8, 8, 1), 2)
    assert [row["accuracy"] for row in written_down.value["population"]] == [0.8]
    assert written_down.refused == (
        "genome 1: the earlier system has no word for the head 'average'",
    )
    assert written_down.notes == ("genome 2: left out: schedule, mirror",)
    with pytest.raises(InvalidInputError, match=r"genome 1: .* head 'average'"):
        write_earlier_population([(strange, 0.9)], (8, 8, 1), 2)


def test_our_own_genomes_are_read_too() -> None:
    ours = Genome(features=(Convolution(filters=8, kernel=3),))
    text = ours.model_dump_json()
    assert read_population(text).genomes == (ours,)
    mixed = json.dumps([ours.model_dump(mode="json"), LONESTAR])
    assert read_population(mixed).genomes == (ours, read_genome(LONESTAR).genome)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "genomes as JSON"),
        ("[]", "at least one genome"),
        ("3", "expected an object, got 3"),
        ('{"population": []}', "at least one genome"),
        ('{"features": 3}', "features"),
        ('{"population": [{"accuracy": 1, "genome": null}]}', "genome 1: .* got null"),
    ],
)
def test_a_file_without_a_genome_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        read_population(text)
    assert "\n" not in str(caught.value)

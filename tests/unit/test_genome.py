import json

import pytest
from pydantic import ValidationError

from commons.genome import (
    Convolution,
    Dense,
    Dropout,
    Genome,
    Pooling,
    Training,
    describe_genome,
    genome_from_json,
    genome_hash,
    genome_to_json,
)
from tests.evolver_builders import genomes

GENOME = Genome(
    features=(
        Convolution(filters=32, kernel=3),
        Convolution(filters=64, kernel=5, stride=2, residual=True),
        Convolution(filters=8, kernel=1, separable=True),
        Pooling(kind="average"),
        Dropout(rate=0.25),
    ),
    classifier=(Dense(units=128),),
    training=Training(learning_rate=0.003),
)


def test_a_genome_survives_json_both_ways() -> None:
    for genome, _, _ in genomes(70):
        assert genome_from_json(genome_to_json(genome)) == genome


def test_the_hash_depends_on_the_values_and_not_on_how_they_were_written() -> None:
    value = json.loads(genome_to_json(GENOME))
    reversed_fields = json.dumps(dict(reversed(value.items())), indent=3)
    assert genome_hash(genome_from_json(reversed_fields)) == genome_hash(GENOME)
    other = GENOME.model_copy(update={"head": "max"})
    assert genome_hash(other) != genome_hash(GENOME)


def test_the_hash_is_the_same_in_every_process_and_version() -> None:
    assert (
        genome_hash(Genome()) == "14376911a696471515d7e933d2581d93730da5fc1c051167688425814a7c2264"
    )


def test_a_genome_is_described_in_one_line() -> None:
    assert describe_genome(GENOME) == (
        "32c3 64c5/2r 8s1 ave2 drop0.25 | average | d128 | adam 0.003 b64"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2}',
        '{"layers": []}',
        '{"features": [{"type": "lambda"}]}',
        '{"features": [{"type": "dense", "units": 3}]}',
        '{"training": {"learning_rate": 1e999}}',
        '{"training": {"learning_rate": -1}}',
    ],
)
def test_what_is_no_genome_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        genome_from_json(text)


def test_a_genome_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        GENOME.head = "max"  # type: ignore[misc]

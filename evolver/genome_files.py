"""Genomes in files: to start a run with, and to take away.

A file is JSON: one genome or a list of them, ours or the earlier system's (`evolver.earlier`), or
a `population.json` of that one.
"""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from commons.errors import InvalidInputError
from commons.genome import Genome
from evolver.earlier import Reading, first_fault, read_genome, refusal, write_genome


class Population(NamedTuple):
    """What was read from a file: the genomes, those that were said to be best first.

    `notes` tells what was mapped and not to the letter, `refused` which could not be read and
    why; both by the place in the file, counted from 1.
    """

    genomes: tuple[Genome, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def read_population(text: str | bytes) -> Population:
    """Return the genomes of a JSON text.

    Raises:
        InvalidInputError: It is no JSON, or has no genome that can be read.
    """
    found: list[tuple[float, Genome]] = []
    notes: list[str] = []
    refused: list[str] = []
    for number, (value, accuracy) in enumerate(_members(text), 1):
        try:
            reading = _read(value)
        except InvalidInputError as error:
            refused.append(f"genome {number}: {error}")
            continue
        found.append((accuracy, reading.genome))
        notes += [f"genome {number}: {note}" for note in reading.notes]
    if not found:
        reason = refused[0] if refused else "expected at least one genome, got none"
        raise InvalidInputError(reason, kind="genome")
    found.sort(key=lambda pair: pair[0], reverse=True)
    return Population(tuple(genome for _, genome in found), tuple(notes), tuple(refused))


def write_population(
    members: Sequence[tuple[Genome, float]], input_shape: Sequence[int], categories: int
) -> dict[str, Any]:
    """Return the earlier system's `population.json` of genomes and their accuracies.

    Raises:
        InvalidInputError: There are none, or one has what the earlier system does not.
    """
    if not members:
        raise InvalidInputError("expected at least one genome, got none", kind="genome")
    return {
        "population": [
            {"accuracy": accuracy, "genome": write_genome(genome, input_shape, categories)[0]}
            for genome, accuracy in members
        ],
        "average_accuracy": sum(accuracy for _, accuracy in members) / len(members),
    }


def _members(text: str | bytes) -> list[tuple[Any, float]]:
    """Return what should be genomes, each with the accuracy it was said to have, or -1."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"expected genomes as JSON: {error}", kind="genome") from error
    if isinstance(value, dict) and "population" in value:
        value = value["population"]
    return [_member(each) for each in (value if isinstance(value, list) else [value])]


def _member(value: Any) -> tuple[Any, float]:
    if not isinstance(value, dict) or "genome" not in value:
        return value, -1.0
    accuracy = value.get("accuracy")
    if not isinstance(accuracy, int | float) or not math.isfinite(accuracy):
        return value["genome"], -1.0
    return value["genome"], float(accuracy)


def _read(value: Any) -> Reading:
    if not isinstance(value, dict):
        raise refusal(f"expected an object, got {json.dumps(value)[:40]}")
    if "layers" in value:
        return read_genome(value)
    try:
        return Reading(Genome.model_validate(value))
    except ValidationError as error:
        raise refusal(first_fault(error)) from error

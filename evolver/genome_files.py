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


class Written(NamedTuple):
    """A `population.json`; `notes` and `refused` by the place among the members, from 1."""

    value: dict[str, Any]
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def write_population(members: Sequence[tuple[Genome, float]]) -> dict[str, Any]:
    """Return a population of our genomes, each with its accuracy, as `read_population` reads it.

    Raises:
        InvalidInputError: There are none.
    """
    return _population([(genome.model_dump(mode="json"), accuracy) for genome, accuracy in members])


def write_earlier_population(
    members: Sequence[tuple[Genome, float]], input_shape: Sequence[int], categories: int
) -> Written:
    """Return the earlier system's `population.json` of those genomes that it has words for.

    Raises:
        InvalidInputError: There is none, or it has words for none.
    """
    rows: list[tuple[dict[str, Any], float]] = []
    notes: list[str] = []
    refused: list[str] = []
    for number, (genome, accuracy) in enumerate(members, 1):
        try:
            value, lost = write_genome(genome, input_shape, categories)
        except InvalidInputError as error:
            refused.append(f"genome {number}: {error}")
            continue
        rows.append((value, accuracy))
        notes += [f"genome {number}: {note}" for note in lost]
    if refused and not rows:
        raise InvalidInputError(refused[0], kind="genome")
    return Written(_population(rows), tuple(notes), tuple(refused))


def _population(rows: Sequence[tuple[dict[str, Any], float]]) -> dict[str, Any]:
    if not rows:
        raise InvalidInputError("expected at least one genome, got none", kind="genome")
    return {
        "population": [{"accuracy": accuracy, "genome": genome} for genome, accuracy in rows],
        "average_accuracy": sum(accuracy for _, accuracy in rows) / len(rows),
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

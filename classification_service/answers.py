"""Answers as JSON bytes, written by hand: the message costs as much as the inference itself.

What comes out is a `commons.messages.Classification` (a test compares the two), with what stays
the same from answer to answer written once for each network.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from commons.messages import Category

_FEW = 40

# Indices of the most probable categories, most probable first, with their probabilities.
Verdict = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Wording:
    """What all answers of a network have in common, as JSON."""

    head: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of an answer went, in seconds, and how many images were asked together.

    `batch` is 0 where the answer was remembered.
    """

    queue_s: float
    decode_s: float
    infer_s: float
    batch: int


def wording(network: str, dataset: str, categories: Sequence[Category]) -> Wording:
    """Return what the answers of a network have in common."""
    return Wording(
        f'"dataset":{json.dumps(dataset)},"network":{json.dumps(network)},"answers":[',
        tuple(
            f'{{"category":{category.model_dump_json()},"probability":' for category in categories
        ),
    )


def are_numbers(probabilities: npt.NDArray[np.float32]) -> bool:
    """Say whether nothing in (n, categories) is infinite or NaN."""
    if probabilities.shape[1] <= _FEW:
        # Half the time that numpy takes.
        return math.isfinite(sum(map(sum, probabilities.tolist())))
    return bool(np.isfinite(probabilities).all())


def ranked(probabilities: npt.NDArray[np.float32], top: int) -> list[list[tuple[int, float]]]:
    """Return the `top` most probable categories of every row of (n, categories).

    Equal probabilities keep the order of the categories.
    """
    if probabilities.shape[1] <= _FEW:
        # The standard library is there before numpy has begun.
        rows: list[list[float]] = probabilities.tolist()
        return [
            [(i, row[i]) for i in sorted(range(len(row)), key=row.__getitem__, reverse=True)[:top]]
            for row in rows
        ]
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    values = np.take_along_axis(probabilities, order, axis=1)
    return [
        list(zip(indices, row, strict=True))
        for indices, row in zip(order.tolist(), values.tolist(), strict=True)
    ]


def answer_json(
    said: Wording, image: str, verdict: Verdict, spent: Spent, classification: str | None
) -> bytes:
    """Return one answer.

    Args:
        said: The words of the network that answers.
        image: The image's sha256.
        verdict: What the network says.
        spent: Where the time went.
        classification: The id under which it is recorded, if it is.
    """
    answers = ",".join([f"{said.categories[index]}{value!r}}}" for index, value in verdict])
    recorded = "null" if classification is None else json.dumps(classification)
    return (
        f'{{"image":"{image}",{said.head}{answers}],'
        f'"seconds":{spent.decode_s + spent.infer_s:.7f},"id":{recorded},'
        f'"timing":{{"queue_s":{spent.queue_s:.7f},"decode_s":{spent.decode_s:.7f},'
        f'"infer_s":{spent.infer_s:.7f},"batch":{spent.batch}}}}}'
    ).encode()

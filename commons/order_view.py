"""The order in which a batch order with a seed gives its examples: a view of shared shards.

The service permutes the shards of each split; whoever reads one permutes the examples in it. Both
go by SHA-256, which every language has and no release of a library changes.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

Value = TypeVar("Value")


def permuted(
    values: Iterable[Value], seed: int | None, name: Callable[[Value], object]
) -> list[Value]:
    """Return the values sorted by the SHA-256 of `seed/name`, or as they are without a seed."""
    if seed is None:
        return list(values)
    return sorted(
        values, key=lambda value: hashlib.sha256(f"{seed}/{name(value)}".encode()).digest()
    )


def example_order(seed: int | None, sequence: int, examples: int) -> list[int]:
    """Return the order in which the examples of a shard are taken.

    With a seed they are sorted by the SHA-256 of `seed/sequence/position`, all decimal numbers.
    """
    return permuted(range(examples), seed, lambda position: f"{sequence}/{position}")

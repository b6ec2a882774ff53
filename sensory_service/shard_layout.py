"""How a snapshot is cut into shards; a pure matter of its counts, the same for everybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commons.messages import SPLITS, OrderRequest, ResizePolicy, Split
from commons.order_view import permuted

MOST_EXAMPLES = 4096
MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class ShardPlan:
    """One shard: rows `first` to `first + examples` of a snapshot, decoded to one shape."""

    snapshot: str
    split: Split
    shape: tuple[int, int, int]
    resize: ResizePolicy
    first: int
    examples: int


def examples_per_shard(shape: tuple[int, int, int]) -> int:
    """Return how many examples of a shape a full shard holds, at least one."""
    height, width, channels = shape
    return max(1, min(MOST_EXAMPLES, MOST_BYTES // (height * width * channels)))


def span_of(counts: Mapping[Split, int], split: Split) -> range:
    """Return the rows of a split: a manifest holds its splits one after the other."""
    first = sum(counts.get(earlier, 0) for earlier in SPLITS[: SPLITS.index(split)])
    return range(first, first + counts.get(split, 0))


def cut(counts: Mapping[Split, int], request: OrderRequest) -> Sequence[ShardPlan]:
    """Return the shards of an order, split by split as it lists them, each split once.

    A seed permutes the shards of a split, which are the same for every seed.
    """
    size = examples_per_shard(request.shape)
    plans = []
    for split in dict.fromkeys(request.splits):
        span = span_of(counts, split)
        for first in permuted(span[::size], request.seed, str):
            plans.append(
                ShardPlan(
                    snapshot=request.snapshot,
                    split=split,
                    shape=request.shape,
                    resize=request.resize,
                    first=first,
                    examples=min(size, span.stop - first),
                )
            )
    return plans

"""What goes over the queues between the service and its batch processors."""

from typing import TypeVar

from pydantic import ValidationError

from commons.messages import Message, Sha256

SHARD_QUEUE = "sensory.shards"
# Each order has a queue of its own, which ends with it.
ORDER_QUEUES = "sensory.orders."
ORDER_QUEUE_EXPIRES_S = 3600.0

Received = TypeVar("Received", bound=Message)


class MakeShard(Message):
    """A task: which shard to make, and for which order.

    The tables say the rest, so that a task that comes late does what is right now.
    """

    shard: int
    order: str


class ShardOutcome(Message):
    """What became of a task: the hash of a shard that is stored, or why it can never be made."""

    shard: int
    sha256: Sha256 | None = None
    reason: str | None = None


def order_queue(order: str) -> str:
    """Return the queue on which the outcomes for an order come back."""
    return ORDER_QUEUES + order


def read_message(kind: type[Received], body: bytes) -> Received | None:
    """Return the message in a body, or nothing if it holds none of this kind."""
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError:
        return None

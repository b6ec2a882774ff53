"""What a queue is on RabbitMQ: everybody who uses one must declare it alike."""

from collections.abc import Mapping
from dataclasses import dataclass

_DEAD = ".dead"


@dataclass(frozen=True)
class Declarations:
    """The queues' arguments.

    A queue is a quorum queue, which survives the loss of a node, with a dead-letter queue beside
    it. One that expires is a plain durable queue: there may be many of them, and a quorum queue
    costs a log each.

    Args:
        attempts: Deliveries after which a message goes to the dead-letter queue.
        expiring: Prefixes of queues that expire, with the seconds after which they do.
    """

    attempts: int
    expiring: Mapping[str, float]

    def of(self, queue: str) -> list[tuple[str, dict[str, object]]]:
        """Return what must exist, so that no message of a queue can go nowhere, in order."""
        for prefix, seconds in self.expiring.items():
            if queue.startswith(prefix):
                return [(queue, {"x-queue-type": "classic", "x-expires": int(1000 * seconds)})]
        dead = self.dead_letters_of(queue)
        own = self._arguments(queue) | {"x-delivery-limit": self.attempts - 1}
        if dead is None:
            # Looking at dead letters time and again must not lose them.
            return [(queue, self._arguments(queue))]
        return [(dead, self._arguments(dead)), (queue, own)]

    def dead_letters_of(self, queue: str) -> str | None:
        """Return where messages go that cannot be handled; nowhere from there, or if it expires."""
        if queue.endswith(_DEAD) or queue.startswith(tuple(self.expiring)):
            return None
        return queue + _DEAD

    def _arguments(self, queue: str) -> dict[str, object]:
        return {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": queue + _DEAD,
        }

"""What an engine needs of the broker: `commons.adapters.broker_link`, or a fake in tests."""

from collections.abc import Callable
from typing import Protocol

from commons.fleet import Word
from commons.jobs import JobSpec


class Link(Protocol):
    """What the engine needs of `commons.adapters.broker_link`; errors are said there."""

    def submit(self, spec: JobSpec, reply_to: str, queue: str) -> None:
        """Publish a job."""
        ...

    def tell(self, queue: str, word: Word) -> bool:
        """Send a word and say whether there is such a queue."""
        ...

    def announce(self, exchange: str, word: Word) -> None:
        """Send a word to all who listen to an exchange."""
        ...

    def listen(
        self,
        queue: str | None,
        heard: Callable[[Word], None],
        *,
        exchange: str | None = None,
        expires_s: float | None = None,
    ) -> str:
        """Hear every word that comes to a queue."""
        ...

    def stop_listening(self, name: str) -> None:
        """Hear no more and delete the queue."""
        ...

    def ready(self, queue: str) -> tuple[int, int] | None:
        """Return how many messages wait in a queue and how many consume it."""
        ...

    def away_s(self) -> float:
        """Return for how many seconds the broker has been away."""
        ...

    def close(self) -> None:
        """End."""
        ...

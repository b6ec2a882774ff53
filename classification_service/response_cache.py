"""Answers that were given before: the same image and the same network."""

import threading
from collections import OrderedDict

from classification_service.ports import Floats

# Network, and sha256 of the image.
Key = tuple[str, str]


class ResponseCache:
    """What networks said of the images they were asked about last; from any number of threads.

    A network never changes under its id, so that what is remembered is never wrong, and what a
    champion said is not taken for what the next one says.

    Args:
        most: Answers that are kept; 0 keeps none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._said: OrderedDict[Key, Floats] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self._most > 0

    def get(self, key: Key) -> Floats | None:
        """Return the probabilities, (categories,), if they are still known."""
        with self._lock:
            said = self._said.get(key)
            if said is not None:
                self._said.move_to_end(key)
            return said

    def put(self, key: Key, probabilities: Floats) -> None:
        """Remember what a network said, which nobody changes any more."""
        if not self._most:
            return
        with self._lock:
            self._said[key] = probabilities
            self._said.move_to_end(key)
            if len(self._said) > self._most:
                self._said.popitem(last=False)

"""Answers that were given before: the same image, the same network, the same question."""

import threading
from collections import OrderedDict

from classification_service.answers import Verdict

# Network, sha256 of the image, and how many categories were asked for.
Key = tuple[str, str, int]


class ResponseCache:
    """The verdicts asked for last; from any number of threads.

    A network never changes under its id, so that what is remembered is never wrong, and what a
    champion said is not taken for what the next one says.

    Args:
        most: Verdicts that are kept; 0 keeps none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._verdicts: OrderedDict[Key, Verdict] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """Whether anything is kept at all."""
        return self._most > 0

    def get(self, key: Key) -> Verdict | None:
        """Return what was said, if it is still known."""
        with self._lock:
            verdict = self._verdicts.get(key)
            if verdict is not None:
                self._verdicts.move_to_end(key)
            return verdict

    def put(self, key: Key, verdict: Verdict) -> None:
        """Remember what was said."""
        if not self._most:
            return
        with self._lock:
            self._verdicts[key] = verdict
            self._verdicts.move_to_end(key)
            if len(self._verdicts) > self._most:
                self._verdicts.popitem(last=False)

"""How many images may wait: who would come too late to be of use is told so at once."""

import math
import threading

from commons.errors import UnavailableError

_SMOOTHING = 0.1


class Admission:
    """Counts the images that wait or are asked, and refuses what is too many.

    Args:
        most: Images that may be inside at once.
        most_wait_s: As long may a new one have to wait, as far as can be told from the rate.
        lanes: How many batches are asked at the same time.
    """

    def __init__(self, most: int, most_wait_s: float = math.inf, lanes: int = 1) -> None:
        self._most = most
        self._most_wait_s = most_wait_s
        self._lanes = lanes
        self._lock = threading.Lock()
        self._inside = 0
        self._seconds = 0.0

    @property
    def inside(self) -> int:
        """How many images wait or are asked."""
        return self._inside

    def enter(self, images: int = 1) -> None:
        """Let images in; an empty queue takes any number.

        Raises:
            UnavailableError: There are too many (kind `overloaded`); says when there are fewer.
        """
        with self._lock:
            inside = self._inside
            wait_s = inside * self._seconds / self._lanes
            if inside and (inside + images > self._most or wait_s > self._most_wait_s):
                raise UnavailableError(
                    f"{inside} images wait for an answer already",
                    kind="overloaded",
                    retry_after_s=max(wait_s, 0.05),
                )
            self._inside = inside + images

    def leave(self, images: int = 1) -> None:
        """Count images out: answered, refused or given up."""
        with self._lock:
            self._inside -= images

    def learn(self, images: int, seconds: float) -> None:
        """Take into account how long some images took, decoding and inference."""
        if not images:
            return
        each = seconds / images
        with self._lock:
            known = self._seconds
            self._seconds = each if not known else known + _SMOOTHING * (each - known)

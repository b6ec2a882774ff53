"""Holds a run while its runner waits for others: for a large dataset to be frozen, say."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from commons.errors import ConflictError, DiceboxError

_EVERY_S = 3.0
_LOG = logging.getLogger(__name__)


@contextmanager
def renewed(renew: Callable[[], None], every_s: float = _EVERY_S) -> Iterator[None]:
    """Call `renew` again and again, from another thread, until the block ends.

    It stops where the run is in other hands: the runner finds out with its next word.
    """
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(every_s):
            try:
                renew()
            except ConflictError as error:
                _LOG.warning("%s", error)
                return
            except DiceboxError as error:
                _LOG.warning("the lease could not be renewed: %s", error)

    thread = threading.Thread(target=work, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

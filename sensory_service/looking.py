"""Looks at every image once, while there is nothing else to do, and groups near-duplicates.

An image joins the group of the one it is most like, of those that were looked at before; else it
begins a group of its own. Groups are never joined afterwards: an image between two of them stays
in one. Two processes that look at alike images at the same moment may begin two groups.
"""

import logging

from commons.adapters.decode import decode_image
from commons.errors import (
    GoneError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from commons.ports import Blobs, Clock
from sensory_service.appearance import SIDE, Appearance, describe
from sensory_service.blob_names import image_blob
from sensory_service.ports import AppearanceCatalog

_A_TURN_S = 0.4
_PAGE = 1000
_AT_ONCE = 16  # images that are written down together: labels wait meanwhile
# Two datasets may get their images in another order than they are numbered.
_AGAIN_S = 3600.0
_LOG = logging.getLogger(__name__)


class Looker:
    """Describes images.

    Args:
        catalog: Which were looked at, and their groups.
        blobs: Their bytes.
        clock: Its `monotonic` bounds a turn.
    """

    def __init__(self, catalog: AppearanceCatalog, blobs: Blobs, clock: Clock) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._clock = clock
        self._last = 0  # the membership up to which all were looked at
        self._began = -float("inf")
        self._waiting: list[str] = []

    def look(self) -> bool:
        """Look at some images for less than half a second, and say whether there were any.

        Raises:
            UnavailableError: The tables or the blobs cannot be reached; an image that could not be
                read comes again in the next hour.
            StorageFullError: No space is left.
        """
        until = self._clock.monotonic() + _A_TURN_S
        if until - self._began >= _AGAIN_S:
            self._last, self._began = 0, until
        found = False
        while self._clock.monotonic() < until:
            if not self._waiting and not self._more():
                break
            if self._waiting:
                found = True
                self._describe(until)
        return found

    def _more(self) -> bool:
        """Have the next images wait, and say whether there may be more of them."""
        self._waiting, last = self._catalog.unlooked(self._last, _PAGE)
        is_over = last == self._last
        self._last = last
        return not is_over

    def _describe(self, until: float) -> None:
        """Describe the next images, one at least, as long as there is time."""
        seen: dict[str, Appearance] = {}
        tried, faults = 0, list[UnavailableError]()
        while self._waiting and tried < _AT_ONCE:
            if tried and self._clock.monotonic() >= until:
                break
            tried, image = tried + 1, self._waiting.pop(0)
            try:
                data = self._blobs.get(image_blob(image))
                seen[image] = describe(decode_image(data, (SIDE, SIDE, 1), "fit"))
            except (NotFoundError, GoneError):
                continue  # erased since
            except (InvalidInputError, TooLargeError) as error:
                _LOG.warning("image %s cannot be looked at: %s", image, error)
            except UnavailableError as error:
                _LOG.warning("image %s cannot be read at the moment: %s", image, error)
                faults.append(error)
        if seen:
            self._catalog.add(seen)
        if len(faults) == tried:
            raise faults[0]

"""What people say that images really show, on its way to the sensory service."""

import logging

from classification_service.history import unknown
from classification_service.history_ports import CorrectionTables, Labels, Outgoing
from classification_service.recording import classified_blob
from commons.errors import (
    DiceboxError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    UnsupportedMediaError,
)
from commons.history_messages import Correction
from commons.ports import Blobs, Clock

# Longer than sending takes. Where it is not, two send the same, which makes one label.
_LEASE_S = 20.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MOST_AT_ONCE = 500
# The same bytes and category will never be taken.
_FINAL = (InvalidInputError, TooLargeError, UnsupportedMediaError)
_LOG = logging.getLogger(__name__)


class CorrectionDesk:
    """Takes corrections; they are durable when they are answered, and sent by somebody else."""

    def __init__(self, tables: CorrectionTables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    def correct(
        self, classification: str, category: str, who: str | None
    ) -> tuple[Correction, bool]:
        """Return a correction, and whether it is new: to say the same again changes nothing.

        Args:
            classification: What was recorded.
            category: The name of the right category; the dataset makes it when it is new.
            who: The name of the key of whoever says so.

        Raises:
            NotFoundError: It is not recorded, or not yet (kind `not-recorded-yet`).
            StorageFullError: No space is left; nothing was changed.
        """
        now = self._clock.now()
        try:
            return self._tables.add(classification, category, who, now)
        except NotFoundError as error:
            raise unknown(classification, now) from error


class CorrectionSender:
    """Sends what waits, each until it has arrived or was refused for good.

    An attempt is written down before it is made. So one that follows another, which may have
    arrived although nobody heard of it, asks first; and of several senders one has it.

    Args:
        tables: What waits.
        blobs: Where the images are.
        labels: Where corrections go.
        clock: When the next attempt is due.
    """

    def __init__(
        self, tables: CorrectionTables, blobs: Blobs, labels: Labels, clock: Clock
    ) -> None:
        self._tables = tables
        self._blobs = blobs
        self._labels = labels
        self._clock = clock

    def step(self) -> int:
        """Send what is due, until one fails for now; return how many are settled."""
        for settled in range(_MOST_AT_ONCE):
            outgoing = self._tables.take(self._clock.now(), _LEASE_S)
            if outgoing is None or not self._settled(outgoing):
                return settled
        return _MOST_AT_ONCE

    def _settled(self, outgoing: Outgoing) -> bool:
        try:
            self._send(outgoing)
        except _FINAL as error:
            _LOG.warning("the correction of image %s was refused: %s", outgoing.image, error)
            self._tables.settle(outgoing.number, "refused", str(error))
        except DiceboxError as error:
            pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(outgoing.attempt - 1, 16))
            if outgoing.attempt == 1:
                _LOG.warning("corrections wait for the sensory service: %s", error)
            self._tables.postpone(outgoing.number, self._clock.now() + pause_s, str(error))
            return False
        else:
            self._tables.settle(outgoing.number, "sent")
        return True

    def _send(self, outgoing: Outgoing) -> None:
        if outgoing.attempt > 1 and self._labels.has(outgoing):
            return
        try:
            data = self._blobs.get(classified_blob(outgoing.image))
        except NotFoundError as error:
            raise InvalidInputError(f"the bytes of image {outgoing.image} are gone") from error
        self._labels.send(outgoing, data)

"""The work of jobs: a part's images through each of its networks, each answer kept at once."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from classification_service.answers import ranked
from classification_service.batching import pace_of, stacked
from classification_service.gallery import Gallery
from classification_service.job_ports import AnswerBook, JobWork, PartImage, PartWork, Said
from classification_service.loading import LoadedNetwork
from commons.adapters.decode import Pixels, decode_stored
from commons.errors import (
    ConflictError,
    DiceboxError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
)
from commons.job_messages import KEPT_ANSWERS
from commons.network_card import Preprocessing
from commons.ports import Blobs, Clock

# What is claimed and kept together: as much memory and time as this at most.
_BATCH_BYTES = 32 * 1024 * 1024
_BATCH_S = 1.0
_MOST_TOGETHER = 128
_FLOAT_BYTES = 4
# Then others have their turn, and no lease of a queue ends meanwhile.
_TURN_S = 10.0
_OTHERS_S = 0.2

Decoded = Pixels | InvalidInputError | TooLargeError


class PartClassifier:
    """Classifies parts of jobs as `POST classify` does it: same decoder, same preprocessing.

    Images are claimed before a network is asked about them, and what it says is kept before the
    next ones are taken: a kill costs the answers to one batch, and nothing is asked twice.

    Args:
        work: What is to be done.
        book: What was said.
        gallery: Brings networks into memory.
        blobs: Where the bytes of images are.
        clock: What time it is.
        claim_s: Who claimed images and says nothing for so long is taken for dead.
    """

    def __init__(
        self,
        work: JobWork,
        book: AnswerBook,
        gallery: Gallery,
        blobs: Blobs,
        clock: Clock,
        claim_s: float,
    ) -> None:
        self._work = work
        self._book = book
        self._gallery = gallery
        self._blobs = blobs
        self._clock = clock
        self._claim_s = claim_s

    def classify(self, number: int, stopped: Callable[[], bool]) -> bool:
        """Say whether there is nothing left to be done for a part; if there is, come again.

        Raises:
            UnavailableError: Tables or blobs cannot be reached.
            StorageFullError: No space is left for answers. What was kept stays.
        """
        part = self._work.begin(number, self._clock.now())
        if part is None:
            return True
        networks = self._loaded(part)
        try:
            data = self._blobs.get(part.blob) if networks else b""
        except NotFoundError:
            return self._is_lost(part)
        until = self._clock.monotonic() + _TURN_S
        others = 0
        for images in _together(part.images, networks):
            decoded: dict[tuple[str, Preprocessing], Decoded] = {}
            for loaded in list(networks):
                if stopped() or self._clock.monotonic() >= until:
                    return False
                try:
                    others += self._answer(part, loaded, images, data, decoded)
                except InvalidInputError as error:
                    # It took such images when it was loaded: not they are wrong but the network.
                    self._work.give_up(number, loaded.network, str(error))
                    networks.remove(loaded)
                except _OverError:
                    return True
        if others:
            # Another worker is about to say it, or has died: its claims end.
            self._clock.sleep(_OTHERS_S)
            return False
        self._work.finish(number, self._clock.now())
        return True

    def give_up(self, number: int, reason: str) -> None:
        """Have all of a part failed that is not there."""
        self._work.give_up(number, None, reason)
        self._work.finish(number, self._clock.now())

    def _is_lost(self, part: PartWork) -> bool:
        """Give up a part whose bytes are gone; say no if they only lie elsewhere now."""
        again = self._work.begin(part.number, self._clock.now())
        if again is not None and again.blob != part.blob:
            # An image was erased in between.
            return False
        self.give_up(part.number, "the bytes of its images are gone")
        return True

    def _loaded(self, part: PartWork) -> list[LoadedNetwork]:
        networks: list[LoadedNetwork] = []
        for network in part.networks:
            try:
                networks.append(self._gallery.network(network))
            except (ConflictError, InvalidInputError, NotFoundError) as error:
                self._work.give_up(part.number, network, str(error))
        return networks

    def _answer(
        self,
        part: PartWork,
        loaded: LoadedNetwork,
        images: Sequence[PartImage],
        data: bytes,
        decoded: dict[tuple[str, Preprocessing], Decoded],
    ) -> int:
        """Keep what a network says of images; return of how many others are asking it now."""
        now, network = self._clock.now(), loaded.network
        names = [one.image for one in images]
        claim = self._book.claim(names, network, now, now + self._claim_s)
        if not claim.mine:
            return claim.others
        mine = set(claim.mine)
        is_kept = False
        try:
            said = _ask(loaded, [one for one in images if one.image in mine], data, decoded)
            is_kept = self._book.record(part.number, said, self._clock.now())
        finally:
            if not is_kept:
                self._book.release(claim.mine, network)
        if not is_kept:
            raise _OverError
        return claim.others


class _OverError(Exception):
    """The part is not to be worked on any more."""


def _together(
    images: Sequence[PartImage], networks: Sequence[LoadedNetwork]
) -> Iterator[Sequence[PartImage]]:
    """Yield as many images at once as the largest and the slowest network allow."""
    size = _MOST_TOGETHER
    for loaded in networks:
        size = min(size, _BATCH_BYTES // (_FLOAT_BYTES * math.prod(_shape(loaded))))
        seconds = pace_of(loaded.predictor).seconds
        if math.isfinite(seconds):  # else nobody has measured it
            size = min(size, int(_BATCH_S / seconds))
    size = max(1, size)
    for start in range(0, len(images) if networks else 0, size):
        yield images[start : start + size]


def _shape(loaded: LoadedNetwork) -> tuple[int, int, int]:
    return loaded.card.preprocessing.shape


def _ask(
    loaded: LoadedNetwork,
    images: Sequence[PartImage],
    data: bytes,
    decoded: dict[tuple[str, Preprocessing], Decoded],
) -> list[Said]:
    """Return what a network says of images, or why it says nothing of one.

    Args:
        loaded: The network.
        images: Where in `data` they are.
        data: The bytes of the whole part.
        decoded: Pixels by image and preprocessing, also for networks to come.

    Raises:
        InvalidInputError: The network refuses them all.
    """
    how, network = loaded.card.preprocessing, loaded.network
    said: list[Said] = []
    good: list[str] = []
    pixels: list[Pixels] = []
    for one in images:
        key = (one.image, how)
        if key not in decoded:
            decoded[key] = _decoded(data[one.start : one.start + one.size], how)
        found = decoded[key]
        if isinstance(found, DiceboxError):
            said.append(Said(one.image, network, kind=found.kind, reason=str(found)))
        else:
            good.append(one.image)
            pixels.append(found)
    if good:
        rows = loaded.predictor.predict(stacked(pixels))
        if not np.all(np.isfinite(rows)):
            raise InvalidInputError(f"network {network} gives no probabilities")
        said += [
            Said(image, network, answers)
            for image, answers in zip(good, ranked(rows, KEPT_ANSWERS), strict=True)
        ]
    return said


def _decoded(data: bytes, how: Preprocessing) -> Decoded:
    try:
        return decode_stored(data, how.shape, how.resize, how.decoder)[np.newaxis]
    except (InvalidInputError, TooLargeError) as error:
        return error

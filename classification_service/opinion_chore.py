"""Asks the champion about every image of its dataset, and tells the sensory service.

It runs behind the requests, in the job worker: who labels then sees what the champion says
without waiting for it, and where it disagrees with a label. Nothing is recorded or counted as
an answer to anybody.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from classification_service.gallery import Gallery
from classification_service.loading import LoadedNetwork
from classification_service.ports import Floats, GalleryTables, UnjudgedImages
from commons.adapters.decode import Pixels, decode_stored
from commons.errors import (
    DiceboxError,
    GoneError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from commons.label_messages import GivenOpinion, Guess
from commons.network_card import Preprocessing
from commons.ports import Clock

_WANTED = 500
_MOST_WANTED = 1000  # in one answer of the sensory service
_AT_ONCE = 32
_TOP = 5
# The other chores of the worker wait meanwhile.
_A_STEP_S = 1.0
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
_AWAY_S = 10.0
_LOG = logging.getLogger(__name__)


@dataclass
class _State:
    """What is remembered of a dataset: nothing that another process would miss.

    Args:
        seen: The champion and the number of images when nothing more was wanted.
        wanted: Images still to be asked about.
        unusable: Images that are gone, or none; the champion failed on them, or what it says of
            them is nothing that the dataset knows.
        unreadable: Images that could not be had; they come after all others.
        pause_s: How long nothing is asked, where nothing changes.
        again: When to look again, on the clock's `monotonic`.
        waits_for: What was logged last.
    """

    network: str
    seen: int | None = None
    wanted: list[str] = field(default_factory=list)
    unusable: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    pause_s: float = _FIRST_PAUSE_S
    again: float = 0.0
    waits_for: str | None = None


class OpinionChore:
    """Has the champions say what they take the images of their datasets for.

    Args:
        tables: Says who is champion.
        gallery: Loads the networks.
        images: The images, and where opinions go.
        clock: Its `monotonic` bounds a step and the pauses.
    """

    def __init__(
        self, tables: GalleryTables, gallery: Gallery, images: UnjudgedImages, clock: Clock
    ) -> None:
        self._tables = tables
        self._gallery = gallery
        self._images = images
        self._clock = clock
        self._states: dict[str, _State] = {}
        self._look_at = -float("inf")

    def step(self) -> None:
        """Go on for about a second; where nothing is wanted, look every other second.

        Raises:
            UnavailableError: The tables or the sensory service cannot be reached.
        """
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        champions = {reign.dataset: reign.network for reign in self._tables.champions()}
        self._states = {
            dataset: self._state(dataset, network) for dataset, network in champions.items()
        }
        # Until they are known, so that a service that is away is not asked every second.
        self._look_at = now + _AWAY_S
        counts = {one.name: one.images for one in self._images.datasets()} if champions else {}
        self._look_at = now
        until, is_idle = now + _A_STEP_S, True
        for dataset, state in self._states.items():
            if self._is_due(state, counts.get(dataset, 0)):
                is_idle = not self._tried(dataset, state, counts[dataset], until) and is_idle
        if is_idle:
            self._look_at = self._clock.monotonic() + _FIRST_PAUSE_S

    def _state(self, dataset: str, network: str) -> _State:
        known = self._states.get(dataset)
        return known if known is not None and known.network == network else _State(network)

    def _is_due(self, state: _State, images: int) -> bool:
        if not images:
            return False
        is_paused = self._clock.monotonic() < state.again
        return bool(state.wanted) or not is_paused or state.seen not in (None, images)

    def _tried(self, dataset: str, state: _State, images: int, until: float) -> bool:
        """Go on with a dataset, and say whether there is more to do; a fault is for later."""
        try:
            is_done = self._is_done(dataset, state, until)
        except DiceboxError as error:
            if str(error) != state.waits_for:
                _LOG.warning("the opinions about %s wait: %s", dataset, error)
            state.waits_for, state.wanted, is_done = str(error), [], True
        else:
            state.waits_for = None
        if not is_done:
            state.pause_s = _FIRST_PAUSE_S
            return True
        state.seen = images
        state.again = self._clock.monotonic() + state.pause_s
        state.pause_s = min(2.0 * state.pause_s, _LONGEST_PAUSE_S)
        return False

    def _is_done(self, dataset: str, state: _State, until: float) -> bool:
        """Ask about what is wanted until the time is over; say whether nothing was left."""
        if not state.wanted:
            limit = min(_WANTED + len(state.unusable | state.unreadable), _MOST_WANTED)
            wanted = self._images.opinions_wanted(dataset, state.network, limit)
            wanted = [image for image in wanted if image not in state.unusable]
            state.wanted = sorted(wanted, key=state.unreadable.__contains__)
        if not state.wanted:
            return True
        network = self._gallery.network(state.network)
        while state.wanted and self._clock.monotonic() < until:
            some = self._pictures(state, network.card.preprocessing, until)
            opinions = _opinions(network, some)
            kept = {opinion.image for opinion in opinions}
            if opinions:
                reply = self._images.give_opinions(dataset, state.network, opinions)
                kept = kept if reply.stored else set()
            state.unusable |= set(some) - kept
        return False

    def _pictures(
        self, state: _State, how: Preprocessing, until: float
    ) -> dict[str, Pixels | None]:
        """Take the next images off those that are wanted; None: it is gone by now, or is none.

        Raises:
            UnavailableError: None of them can be had at the moment.
        """
        pictures: dict[str, Pixels | None] = {}
        fault: UnavailableError | None = None
        while state.wanted and len(pictures) < _AT_ONCE:
            # Each that cannot be had was waited for.
            if fault and self._clock.monotonic() >= until:
                break
            image = state.wanted.pop(0)
            try:
                data = self._images.image(image)
                pictures[image] = decode_stored(data, how.shape, how.resize, how.decoder)
            except (NotFoundError, GoneError):
                pictures[image] = None
            except (InvalidInputError, TooLargeError) as error:
                _LOG.warning("there is no opinion about image %s: %s", image, error)
                pictures[image] = None
            except UnavailableError as error:
                if image not in state.unreadable:
                    _LOG.warning("the opinion about image %s waits: %s", image, error)
                state.unreadable.add(image)
                fault = error
        if fault and not pictures:
            raise fault
        return pictures


def _opinions(network: LoadedNetwork, pictures: Mapping[str, Pixels | None]) -> list[GivenOpinion]:
    """Return what a network says of images."""
    decoded = {image: picture for image, picture in pictures.items() if picture is not None}
    if not decoded:
        return []
    said = network.predictor.predict(np.stack(list(decoded.values())).astype(np.float32))
    categories = [category.id for category in network.card.categories]
    return [
        opinion_of(image, row, categories)
        for image, row in zip(decoded, said, strict=True)
        if np.isfinite(row).all()
    ]


def opinion_of(image: str, probabilities: Floats, categories: Sequence[str]) -> GivenOpinion:
    """Return probabilities, one a category (id), as an opinion: the most probable ones first."""
    order = np.argsort(-probabilities, kind="stable")[:_TOP]
    top = [float(p) for p in np.clip(probabilities[order], 0.0, 1.0)]
    return GivenOpinion(
        image=image,
        top=[Guess(category=categories[n], probability=p) for n, p in zip(order, top, strict=True)],
        margin=top[0] - top[1] if len(top) > 1 else top[0],
    )

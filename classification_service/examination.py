"""What a network gets right and what it takes for what, measured once and kept.

The validation images of the snapshot it was bred on are asked about, never test images. It runs
behind the requests, in the job worker.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from classification_service.gallery import Gallery
from classification_service.loading import LoadedNetwork
from classification_service.ports import ExaminationTables, Floats, GalleryTables
from classification_service.trial_ports import LabeledImages
from commons.adapters.decode import decode_stored
from commons.errors import (
    DiceboxError,
    GoneError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
)
from commons.messages import Examination
from commons.ports import Clock

# Of more, those with the smallest hashes: a sample that stays the same.
_MOST_IMAGES = 2000
_AT_ONCE = 32
# The other chores of the worker wait meanwhile.
_A_STEP_S = 1.0
_WARM_UP_RUNS = 10
_TIMED_RUNS = 50
_QUANTILE = 0.1  # of the runs: what others on the machine add is left out
_PAUSE_S = 60.0
_LOG = logging.getLogger(__name__)


class Examinations:
    """What was found out about networks.

    Args:
        tables: The networks.
        examinations: What is known of them.
    """

    def __init__(self, tables: GalleryTables, examinations: ExaminationTables) -> None:
        self._tables = tables
        self._examinations = examinations

    def of(self, network: str) -> Examination:
        """Return the examination of a network, by its id, first digits or name.

        Raises:
            NotFoundError: There is no such network, or it is not examined yet (kind
                `not-examined`).
        """
        return self._examinations.examination(self._tables.network(network).network)


@dataclass
class _Paper:
    """An examination under way; a process that dies begins it anew."""

    network: LoadedNetwork
    labels: dict[str, int]
    left: list[str]
    confusion: list[list[int]]
    pixels: Floats | None = None

    @property
    def images(self) -> int:
        """How many images were asked about."""
        return sum(map(sum, self.confusion))


@dataclass
class _Delays:
    """When networks may be tried again whose images could not be had, and what was logged."""

    until: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


class Examiner:
    """Examines one network after the other: champions first, then the newest.

    Args:
        tables: The networks.
        examinations: Where results are kept.
        gallery: Loads the networks.
        images: The labeled images.
        clock: Says when, and how long an answer takes.
        cpu: Returns the name of the processor.
    """

    def __init__(
        self,
        tables: GalleryTables,
        examinations: ExaminationTables,
        gallery: Gallery,
        images: LabeledImages,
        clock: Clock,
        cpu: Callable[[], str],
    ) -> None:
        self._tables = tables
        self._examinations = examinations
        self._gallery = gallery
        self._images = images
        self._clock = clock
        self._cpu = cpu
        self._paper: _Paper | None = None
        self._delays = _Delays()

    def step(self) -> None:
        """Go on with an examination for about a second, or begin the next one.

        Raises:
            UnavailableError: The tables cannot be reached.
        """
        name = self._paper.network.network if self._paper else self._next()
        if name is None:
            return
        try:
            self._go_on(name)
        except DiceboxError as error:
            self._paper = None
            self._delays.until[name] = self._clock.monotonic() + _PAUSE_S
            if self._delays.reasons.get(name) != str(error):
                _LOG.warning("the examination of network %s waits: %s", name, error)
            self._delays.reasons[name] = str(error)

    def _next(self) -> str | None:
        now = self._clock.monotonic()
        self._delays.until = {k: v for k, v in self._delays.until.items() if v > now}
        waiting = self._examinations.unexamined(len(self._delays.until) + 100)
        champions = {reign.network for reign in self._tables.champions()}
        ready = [network for network in waiting if network not in self._delays.until]
        return min(ready, key=lambda network: network not in champions, default=None)

    def _go_on(self, name: str) -> None:
        until = self._clock.monotonic() + _A_STEP_S
        paper = self._paper = self._paper or self._begun(name)
        while paper.left and self._clock.monotonic() < until:
            some, paper.left = paper.left[:_AT_ONCE], paper.left[_AT_ONCE:]
            self._ask(paper, some)
        if not paper.left:
            if paper.pixels is None:
                raise NotFoundError("none of its validation images is there any more")
            self._examinations.add(self._result(paper, paper.pixels))
            self._paper = None

    def _begun(self, name: str) -> _Paper:
        network = self._gallery.network(name)
        snapshot = self._images.snapshot(network.card.snapshot)
        places = {category.id: n for n, category in enumerate(network.card.categories)}
        labels = {
            line.image: places[snapshot.categories[line.category].id]
            for line in self._images.snapshot_images(snapshot.id, "validation")
            if snapshot.categories[line.category].id in places
        }
        size = len(places)
        return _Paper(
            network, labels, sorted(labels)[:_MOST_IMAGES], [[0] * size for _ in range(size)]
        )

    def _ask(self, paper: _Paper, images: Sequence[str]) -> None:
        how = paper.network.card.preprocessing
        labels: list[int] = []
        pixels: list[Floats] = []
        for image in images:
            try:
                data = self._images.image(image)
                decoded = decode_stored(data, how.shape, how.resize, how.decoder)
            except (NotFoundError, GoneError, InvalidInputError, TooLargeError):
                continue  # erased since: it is one less
            pixels.append(decoded.astype(np.float32))
            labels.append(paper.labels[image])
        if not pixels:
            return
        paper.pixels = pixels[0][np.newaxis] if paper.pixels is None else paper.pixels
        said = np.argmax(paper.network.predictor.predict(np.stack(pixels)), axis=1)
        for label, answer in zip(labels, said.tolist(), strict=True):
            paper.confusion[label][answer] += 1

    def _result(self, paper: _Paper, pixels: Floats) -> Examination:
        card = paper.network.card
        right = sum(row[n] for n, row in enumerate(paper.confusion))
        return Examination(
            network=paper.network.network,
            snapshot=card.snapshot,
            split="validation",
            images=paper.images,
            categories=card.categories,
            confusion=paper.confusion,
            accuracy=right / paper.images,
            latency_us=1e6 * self._latency_s(paper.network, pixels),
            cpu=self._cpu(),
            at=self._clock.now(),
        )

    def _latency_s(self, network: LoadedNetwork, pixels: Floats) -> float:
        """Return how long one picture takes, by what is the least disturbed of many runs."""
        took = []
        for _ in range(_WARM_UP_RUNS + _TIMED_RUNS):
            before = self._clock.monotonic()
            network.predictor.predict(pixels)
            took.append(self._clock.monotonic() - before)
        return float(np.quantile(took[_WARM_UP_RUNS:], _QUANTILE))

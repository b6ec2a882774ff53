"""The answer to an image: one path for one, for many, and for tensors; no table, no file.

Whoever waits in a thread calls `classify`, `classify_files` or `infer`. An event loop takes the
same steps itself: `begin`, then `answer` for what is quick and `submit` for what is not.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np

from classification_service.admission import Admission
from classification_service.answering import Answering
from classification_service.asking import Ask
from classification_service.batching import batches
from classification_service.gallery import Choice, Gallery, NotLoadedError
from classification_service.history_ports import Recorder
from classification_service.lanes import Lanes
from classification_service.ports import Floats
from classification_service.questions import Question
from classification_service.response_cache import ResponseCache
from commons.adapters.picture_size import said_pixels
from commons.errors import DiceboxError, InvalidInputError, UnavailableError
from commons.messages import Classification, ClassifiedFile, ClassifyReply, UploadFault
from commons.ports import Clock

_LOG = logging.getLogger(__name__)
# What an event loop may do itself: a network this fast, a picture this small.
_QUICK_S = 0.0003
_QUICK_BYTES = 128 * 1024
_QUICK_PIXELS = 256 * 256
# From so many on, a picture goes by a lane of its own: others must not wait for its decoding.
_LARGE_PIXELS = 4_000_000
_OF_IMAGE = frozenset({"not-an-image", "too-many-pixels"})
_TOGETHER = 32


class Answerer:
    """Asks the champion, or a network by its id.

    Args:
        gallery: Who answers.
        clock: Its seconds are those of deadlines.
        draw: Draws from 0…1: whether a request is in a trial.
        admission: How many may wait; default: any number.
        cache: What was said before; default: nothing is kept.
        recorder: Who may want to record; default: nobody.
        lanes: How many batches are asked at once, each in a thread of its own.
        count_batch: Called for every batch with its network and its size.
        show_queue: Called whenever a batch begins or ends with how many images wait.
    """

    def __init__(
        self,
        gallery: Gallery,
        clock: Clock,
        draw: Callable[[], float],
        *,
        admission: Admission | None = None,
        cache: ResponseCache | None = None,
        recorder: Recorder | None = None,
        lanes: int = 1,
        count_batch: Callable[[str, int], None] = lambda network, images: None,
        show_queue: Callable[[int], None] = lambda images: None,
    ) -> None:
        self._gallery = gallery
        self._now = clock.monotonic
        self._draw = draw
        self._admission = admission or Admission(2**62)
        self._show_queue = show_queue
        self._lanes = Lanes(self._serve, lanes)
        self._slow_lane = Lanes(partial(self._serve, is_typical=False))
        self._answering = Answering(
            gallery, self._now, cache or ResponseCache(0), recorder, count_batch, self._shadow
        )

    @property
    def waiting(self) -> int:
        """How many images wait for an answer, or are asked about."""
        return self._admission.inside

    def classify(self, ask: Ask, data: bytes, deadline: float = math.inf) -> bytes:
        """Return the `Classification` of an image as JSON.

        Raises:
            InvalidInputError: It is no image (kind `not-an-image`), or the dataset must be named.
            TooLargeError: The image has too many pixels.
            ConflictError: There is no champion yet (kind `no-network`).
            NotFoundError: No network has this id.
            UnavailableError: Too many wait already (kind `overloaded`), or the network's files
                cannot be used, or it fails (kind `failing-network`).
            DeadlineError: The deadline, on the clock's `monotonic`, has passed.
        """
        question = self._question(self.choose(ask.dataset, ask.network), ask, data, deadline)
        self._run(self._let_in([question]))
        if question.error is not None:
            raise question.error
        return question.reply

    def classify_files(
        self, ask: Ask, files: Iterable[tuple[str, bytes]], deadline: float = math.inf
    ) -> ClassifyReply:
        """Return what is said of each file, by its name; a bad one is refused alone.

        Raises:
            DiceboxError: The same as for one, where it is not the fault of a file.
        """
        classified: list[ClassifiedFile] = []
        refused: list[UploadFault] = []
        for some in _by(files, _TOGETHER):
            questions = [
                self._question(self.choose(ask.dataset, ask.network), ask, data, deadline)
                for _, data in some
            ]
            self._run(self._let_in(questions))
            for (name, _), question in zip(some, questions, strict=True):
                error = question.error
                if error is None:
                    said = Classification.model_validate_json(question.reply)
                    classified.append(ClassifiedFile(file=name, classification=said))
                elif isinstance(error, DiceboxError) and error.kind in _OF_IMAGE:
                    refused.append(UploadFault(file=name, kind=error.kind, detail=str(error)))
                else:
                    raise error
        return ClassifyReply(classified=classified, refused=refused)

    def infer(self, choice: Choice, images: Floats, deadline: float = math.inf) -> Floats:
        """Return the probabilities (n, categories) of float32 (n, height, width, channels).

        For pixels that are decoded already, under the same admission and in the same lanes.
        Nobody stands in, who may be made for other pixels and name other categories.

        Args:
            choice: From `choose`.
            images: 0…255, in the shape of the network's card.
            deadline: On the clock's `monotonic`.

        Raises:
            InvalidInputError: The shape is not that of the network's images.
            UnavailableError: Too many wait already (kind `overloaded`), or the network fails
                (kind `failing-network`).
            DeadlineError: The deadline has passed.
        """
        expected = tuple(choice.answering.card.preprocessing.shape)
        if images.shape[1:] != expected or not len(images):
            raise InvalidInputError(
                f"expected images of the shape (n, {', '.join(map(str, expected))}) "
                f"with n of 1 or more, got {images.shape}"
            )
        self._admission.enter(len(images))
        choice, now = Choice(choice.answering, choice.shadow), self._now()
        questions = [
            Question.about(choice, now, deadline, images=images[at : at + _TOGETHER])
            for at in range(0, len(images), _TOGETHER)
        ]
        self._run(questions)
        found: list[Floats] = []
        for question in questions:
            if question.error is not None:
                raise question.error
            if question.probabilities is not None:
                found.append(question.probabilities)
        return np.concatenate(found)

    def choose(self, dataset: str | None = None, network: str | None = None) -> Choice:
        """Return who is asked, bringing a named network into memory first if need be.

        Raises:
            DiceboxError: As `classify` says.
        """
        try:
            return self._gallery.choose(dataset, network, self._draw())
        except NotLoadedError:
            self._gallery.network(str(network))
        return self._gallery.choose(dataset, network, self._draw())

    def begin(self, ask: Ask, data: bytes, deadline: float = math.inf) -> Question:
        """Return a question that was let in and waits for `answer` or `submit`; never waits.

        It is settled at once where the answer to a small image is remembered.

        Raises:
            NotLoadedError: A network is named that `choose` must bring into memory first.
            DiceboxError: As `classify` says.
        """
        choice = self._gallery.choose(ask.dataset, ask.network, self._draw())
        question = self._question(choice, ask, data, deadline)
        if not question.is_settled:
            self._admission.enter()
        return question

    def is_quick(self, question: Question) -> bool:
        """Say whether an answer takes so little time that an event loop may give it itself."""
        if question.pace.seconds > _QUICK_S or len(question.data) > _QUICK_BYTES:
            return False
        pixels = said_pixels(question.data)
        return pixels is not None and pixels <= _QUICK_PIXELS

    def submit(self, question: Question, done: Callable[[], object]) -> None:
        """Have a question answered in another thread, which then calls `done`."""
        self._lane_of(question).submit(question, done)

    def answer(self, questions: Sequence[Question]) -> None:
        """Answer questions, together where that is faster; never raises."""
        for batch in batches(questions, lambda one: one.group, lambda _: len(questions)):
            self._serve(batch)

    def _question(self, choice: Choice, ask: Ask, data: bytes, deadline: float) -> Question:
        question = Question.about(choice, self._now(), deadline, ask=ask, data=data)
        if len(data) <= _QUICK_BYTES:
            # The hash of a larger one takes long: it is looked up in a lane.
            question.reply = self._answering.remembered(question) or b""
        return question

    def _let_in(self, questions: Sequence[Question]) -> list[Question]:
        """Let in at once those of some questions that must be asked, and return these.

        Together, for a queue that is empty takes any number: however slow a network is, it
        answers the files of one form.
        """
        open_ones = [question for question in questions if not question.is_settled]
        if open_ones:
            self._admission.enter(len(open_ones))
        return open_ones

    def _run(self, questions: Sequence[Question]) -> None:
        """Return when all of these are answered."""
        answered = threading.Semaphore(0)
        for question in questions:
            self.submit(question, answered.release)
        for _ in questions:
            answered.acquire()

    def _lane_of(self, question: Question) -> Lanes:
        if question.images is None:
            pixels = said_pixels(question.data)
            if pixels is None or pixels > _LARGE_PIXELS:
                return self._slow_lane
        return self._lanes

    def _serve(self, batch: Sequence[Question], *, is_typical: bool = True) -> None:
        if self._admission.inside > len(batch):
            self._show_queue(self._admission.inside)
        try:
            images, seconds = self._answering.answer(batch)
            if is_typical:
                self._admission.learn(images, seconds)
        except Exception as error:
            # The outermost loop of a lane: the next batch has nothing to do with this one.
            _LOG.exception("a batch of %d questions failed", len(batch))
            for question in batch:
                if not question.is_settled:
                    question.error = error
        finally:
            self._admission.leave(sum(question.size for question in batch))
            self._show_queue(self._admission.inside)

    def _shadow(self, shadow: Choice, images: Floats, expected: Sequence[str]) -> None:
        """Ask a second network behind the scenes, unless too much waits already."""
        try:
            self._admission.enter(len(images))
        except UnavailableError:
            return
        question = Question.about(shadow, self._now(), math.inf, images=images, expected=expected)
        self._lanes.submit(question, lambda: None)


def _by(files: Iterable[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    rest = iter(files)
    while some := list(islice(rest, size)):
        yield some

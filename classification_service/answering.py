"""What is done for some questions to one network together: decode, ask, put into words."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from classification_service.answers import (
    Spent,
    Verdict,
    Wording,
    answer_json,
    are_numbers,
    ranked,
    wording,
)
from classification_service.batching import stacked
from classification_service.gallery import Choice, Gallery
from classification_service.history_ports import Recorder
from classification_service.loading import LoadedNetwork
from classification_service.ports import Floats
from classification_service.questions import Question
from classification_service.response_cache import ResponseCache
from commons.adapters.decode import Pixels, decode_stored
from commons.errors import DiceboxError, InvalidInputError, UnavailableError

_MOST_WORDINGS = 512

# Gets who is to be asked too, the images, and the categories (their ids) that were named.
Shadowing = Callable[[Choice, Floats, Sequence[str]], None]


@dataclass(slots=True)
class _Decoded:
    question: Question
    pixels: Pixels | Floats
    decode_s: float


@dataclass(slots=True)
class _Said:
    """What a network said of the images of a batch."""

    network: LoadedNetwork
    probabilities: Floats
    asked: float
    infer_s: float


class Answering:
    """Answers batches of questions of one group; what one does wrong is its own error.

    Args:
        gallery: Is told how it went.
        monotonic: Seconds, those of deadlines.
        cache: Where verdicts are remembered.
        recorder: Who may want to record; None: nobody.
        count_batch: Called for every batch with its network and its size.
        shadowing: Called where a second network is to be asked.
    """

    def __init__(
        self,
        gallery: Gallery,
        monotonic: Callable[[], float],
        cache: ResponseCache,
        recorder: Recorder | None,
        count_batch: Callable[[str, int], None],
        shadowing: Shadowing,
    ) -> None:
        self._gallery = gallery
        self._now = monotonic
        self._cache = cache
        self._remembers = cache.is_on
        self._recorder = recorder
        self._count_batch = count_batch
        self._shadowing = shadowing
        self._wordings: dict[str, Wording] = {}

    def remembered(self, question: Question) -> bytes | None:
        """Return the answer to a question that was answered before, if that is known."""
        if not self._remembers:
            return None
        question.image = hashlib.sha256(question.data).hexdigest()
        network = question.choice.answering
        said = self._cache.get((network.network, question.image))
        if said is None:
            return None
        spent = Spent(0.0, 0.0, 0.0, 0)
        recorded = self._record(question, network, said, spent)
        verdict = ranked(said[np.newaxis], question.ask.top)[0]
        return answer_json(self._wording(network), question.image, verdict, spent, recorded)

    def answer(self, batch: Sequence[Question]) -> tuple[int, float]:
        """Answer questions of one group; return how many images were asked and the seconds.

        All are decoded, then all are asked, as many at once as is fastest, then all are put into
        words: what is done again at once is found in the processor's caches.
        """
        start = before = self._now()
        ready: list[_Decoded] = []
        for question in batch:
            pixels = self._pixels(question, before)
            after = self._now()
            if pixels is not None:
                ready.append(_Decoded(question, pixels, after - before))
            before = after
        answered: list[tuple[Sequence[_Decoded], _Said]] = []
        seats = batch[0].seats
        for at in range(0, len(ready), seats):
            asked = self._asked_together(batch[0].choice, ready[at : at + seats])
            if asked is not None:
                answered.append(asked)
        for some, said in answered:
            self._reply(some, said)
        images = sum(len(said.probabilities) for _, said in answered)
        return images, self._now() - start if images else 0.0

    def _asked_together(
        self, choice: Choice, decoded: Sequence[_Decoded]
    ) -> tuple[Sequence[_Decoded], _Said] | None:
        now = self._now()
        ready = [one for one in decoded if not one.question.is_late(now)]
        if not ready:
            return None
        images = stacked([one.pixels for one in ready])
        said = self._ask(choice, images, ready)
        if said is None:
            return None
        self._count_batch(said.network.network, len(images))
        if choice.shadow is not None and said.network is choice.answering:
            self._ask_shadow(choice.shadow, said, images)
        return ready, said

    def _pixels(self, question: Question, now: float) -> Pixels | Floats | None:
        if question.is_given_up or question.is_late(now):
            return None
        if question.images is not None:
            return question.images
        if self._remembers and not question.image:
            question.reply = self.remembered(question) or b""
            if question.reply:
                return None
        try:
            return _decoded(question, question.choice.answering)
        except DiceboxError as error:
            question.error = error
            return None

    def _ask(self, choice: Choice, images: Floats, ready: Sequence[_Decoded]) -> _Said | None:
        try:
            return self._said(choice.answering, images)
        except InvalidInputError as error:
            failure: DiceboxError = error
        if choice.fallback is not None:
            try:
                if not _sees_alike(choice.answering, choice.fallback):
                    images = stacked([_decoded(one.question, choice.fallback) for one in ready])
                return self._said(choice.fallback, images)
            except DiceboxError as error:
                failure = error
        for one in ready:
            one.question.error = UnavailableError(str(failure), kind="failing-network")
        return None

    def _said(self, network: LoadedNetwork, images: Floats) -> _Said:
        before = self._now()
        try:
            probabilities = network.predictor.predict(images)
            if not are_numbers(probabilities):
                raise InvalidInputError(f"network {network.network} gives no probabilities")
        except InvalidInputError:
            # It took such images when it was loaded: not they are wrong, but the network.
            self._observe(network, len(images), math.nan, ok=False)
            raise
        infer_s = self._now() - before
        self._observe(network, len(images), infer_s / len(images), ok=True)
        return _Said(network, probabilities, before, infer_s)

    def _ask_shadow(self, shadow: LoadedNetwork, said: _Said, images: Floats) -> None:
        if _sees_alike(shadow, said.network):
            self._shadowing(Choice(shadow), images, _named(said.network, said.probabilities))

    def _observe(self, network: LoadedNetwork, times: int, seconds: float, *, ok: bool) -> None:
        for _ in range(times):
            self._gallery.observe(network.network, seconds, ok)

    def _reply(self, ready: Sequence[_Decoded], said: _Said) -> None:
        words = self._wording(said.network)
        verdicts: dict[int, Sequence[Verdict]] = {}
        at = 0
        for one in ready:
            question, first = one.question, at
            at += question.size
            if question.images is not None:
                self._reply_tensors(question, said.probabilities[first:at])
                continue
            top = question.ask.top
            if top not in verdicts:
                verdicts[top] = ranked(said.probabilities, top)
            question.image = question.image or hashlib.sha256(question.data).hexdigest()
            queue_s = said.asked - question.came - one.decode_s
            spent = Spent(queue_s, one.decode_s, said.infer_s, len(said.probabilities))
            probabilities = said.probabilities[first]
            recorded = self._record(question, said.network, probabilities, spent)
            if self._remembers and said.network is question.choice.answering:
                # A copy, for a row would keep its whole batch.
                self._cache.put((said.network.network, question.image), probabilities.copy())
            verdict = verdicts[top][first]
            question.reply = answer_json(words, question.image, verdict, spent, recorded)

    def _reply_tensors(self, question: Question, probabilities: Floats) -> None:
        question.probabilities = probabilities
        if question.expected is not None:
            shadow = question.choice.answering
            named = _named(shadow, probabilities)
            for one, other in zip(named, question.expected, strict=True):
                self._gallery.compare(shadow.network, one == other)

    def _record(
        self, question: Question, network: LoadedNetwork, probabilities: Floats, spent: Spent
    ) -> str | None:
        if self._recorder is None or not question.ask.record:
            return None
        return self._recorder.offer(
            data=question.data,
            image=question.image,
            dataset=network.card.dataset,
            network=network.network,
            categories=network.card.categories,
            probabilities=probabilities,
            seconds=spent.decode_s + spent.infer_s,
        )

    def _wording(self, network: LoadedNetwork) -> Wording:
        words = self._wordings.get(network.network)
        if words is None:
            if len(self._wordings) >= _MOST_WORDINGS:
                self._wordings.clear()
            words = wording(network.network, network.card.dataset, network.card.categories)
            self._wordings[network.network] = words
        return words


def _decoded(question: Question, network: LoadedNetwork) -> Pixels:
    """Return the picture of a question (1, height, width, channels) as a network is to see it."""
    how = network.card.preprocessing
    return decode_stored(question.data, how.shape, how.resize, how.decoder)[np.newaxis]


def _named(network: LoadedNetwork, probabilities: Floats) -> list[str]:
    """Return the id of the most probable category of every row."""
    categories = network.card.categories
    return [categories[index].id for index in np.argmax(probabilities, axis=1).tolist()]


def _sees_alike(one: LoadedNetwork, other: LoadedNetwork) -> bool:
    """Say whether two networks are made for the same pixels."""
    return one.card.preprocessing == other.card.preprocessing

"""One path for one image, many and tensors: what is asked together, and whose fault is whose."""

import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from classification_service.admission import Admission
from classification_service.asking import Ask
from classification_service.batching import Pace
from classification_service.classify import Answerer
from classification_service.gallery import Choice, NotLoadedError
from classification_service.loading import LoadedNetwork
from classification_service.response_cache import ResponseCache
from commons.adapters.clock import SystemClock
from commons.adapters.decode import DECODER
from commons.errors import (
    ConflictError,
    DeadlineError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from commons.messages import Category, Classification
from commons.network_card import Preprocessing
from tests.dicebox_processes import until
from tests.serving_processes import picture

CATEGORIES = [Category(id="c0", name="dark"), Category(id="c1", name="bright")]
SHAPE = (8, 8, 1)


class Brightness:
    """Says how bright images are; may be held up, and may fail."""

    def __init__(self, limit: int = 8, *, opposite: bool = False) -> None:
        self.pace = Pace(limit, 1e-5)
        self.opposite = opposite
        self.fails = False
        self.unsure_of: int | None = None
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, images):
        self.sizes.append(len(images))
        self.shape = images.shape[1:]
        assert self.gate.wait(10)
        if self.fails:
            raise InvalidInputError("it refuses", kind="damaged-network")
        bright = images.mean(axis=(1, 2, 3)) / 255
        bright[np.round(255 * bright) == self.unsure_of] = np.nan
        pair = (bright, 1 - bright) if self.opposite else (1 - bright, bright)
        return np.stack(pair, axis=1).astype(np.float32)


def network(name: str, predictor: Brightness, dataset: str = "digits", **changes) -> LoadedNetwork:
    fields = {
        "dataset": dataset,
        "categories": CATEGORIES,
        "preprocessing": Preprocessing(shape=SHAPE, resize="fit", decoder=DECODER),
    }
    card = SimpleNamespace(**{**fields, **changes})
    return LoadedNetwork(name, card, predictor)


class FakeGallery:
    """Knows a champion and cold networks, and remembers what it is told."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.cold: dict[str, LoadedNetwork] = {}
        self.warm: dict[str, LoadedNetwork] = {}
        self.observed: list[tuple[str, bool]] = []
        self.compared: list[tuple[str, bool]] = []

    def choose(self, dataset, network, turn):
        assert 0 <= turn < 1
        if network is None:
            return self.choice
        if network in self.warm:
            return Choice(self.warm[network])
        raise NotLoadedError("it must be brought first")

    def network(self, network):
        if network not in self.cold:
            raise NotFoundError("there is no such network")
        self.warm[network] = self.cold[network]

    def observe(self, network, seconds, ok):
        self.observed.append((network, ok))

    def compare(self, shadow, same):
        self.compared.append((shadow, same))


class House:
    """An answerer and all that is around it."""

    def __init__(self, choice: Choice | None = None, **options) -> None:
        self.predictor = Brightness()
        self.gallery = FakeGallery(choice or Choice(network("a" * 64, self.predictor)))
        self.answerer = Answerer(self.gallery, SystemClock(), lambda: 0.5, **options)

    def ask(self, value: int = 255, **options) -> Classification:
        said = self.answerer.classify(Ask(**options), picture(value))
        return Classification.model_validate_json(said)


def best(said: Classification) -> str:
    return said.answers[0].category.name


def test_an_image_is_answered_with_its_hash_its_network_and_where_the_time_went():
    said = House().ask(255)
    assert best(said) == "bright"
    assert said.network == "a" * 64
    assert said.timing.batch == 1
    assert said.timing.queue_s >= 0
    assert said.seconds == pytest.approx(said.timing.decode_s + said.timing.infer_s, abs=1e-6)


def test_those_who_wait_are_asked_together_and_each_gets_its_own_answer():
    house = House()
    house.predictor.gate.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(house.ask, 0)
        until(lambda: house.predictor.sizes == [1])
        others = [pool.submit(house.ask, value) for value in (0, 255) * 4]
        until(lambda: house.answerer.waiting == 9)
        house.predictor.gate.set()
        assert best(first.result()) == "dark"
        assert [best(one.result()) for one in others] == ["dark", "bright"] * 4
    assert house.predictor.sizes == [1, 8]


def test_no_more_go_together_than_was_found_good():
    house = House()
    house.predictor.pace = Pace(3, 1e-5)
    questions = [house.answerer.begin(Ask(), picture()) for _ in range(7)]
    house.answerer.answer(questions)
    assert house.predictor.sizes == [3, 3, 1]
    assert house.answerer.waiting == 0


def test_a_bad_image_fails_alone():
    house = House()
    data = [picture(), b"no image", picture(), picture()[:40]]
    questions = [house.answerer.begin(Ask(), each) for each in data]
    house.answerer.answer(questions)
    assert [question.error is None for question in questions] == [True, False, True, False]
    assert {question.error.kind for question in questions if question.error} == {"not-an-image"}
    assert house.predictor.sizes == [2]
    assert house.answerer.waiting == 0


def test_a_network_that_fails_is_unavailable_and_not_the_image_wrong():
    house = House()
    house.predictor.fails = True
    with pytest.raises(UnavailableError) as caught:
        house.ask()
    assert caught.value.kind == "failing-network"
    assert house.gallery.observed == [("a" * 64, False)]


def test_a_network_that_says_no_numbers_fails():
    house = House(cache=ResponseCache(10))
    house.predictor.unsure_of = 7
    with pytest.raises(UnavailableError) as caught:
        house.ask(7)
    assert caught.value.kind == "failing-network"
    with pytest.raises(UnavailableError) as caught:
        house.answerer.infer(house.answerer.choose(), np.full((2, *SHAPE), 7, np.float32))
    assert caught.value.kind == "failing-network"
    assert {ok for _, ok in house.gallery.observed} == {False}
    assert best(house.ask(255)) == "bright"


def test_the_stand_in_answers_where_a_candidate_says_no_numbers():
    candidate, champion = Brightness(), Brightness()
    candidate.unsure_of = 7
    house = House(Choice(network("c" * 64, candidate), fallback=network("a" * 64, champion)))
    assert house.ask(7).network == "a" * 64
    assert house.gallery.observed == [("c" * 64, False), ("a" * 64, True)]


def test_a_surprise_in_a_network_is_an_error_of_its_batch_alone(caplog):
    house = House()
    house.predictor.predict = lambda images: 1 / 0
    with pytest.raises(ZeroDivisionError):
        house.ask()
    assert "a batch of 1 questions failed" in caplog.text
    assert house.answerer.waiting == 0


def test_the_stand_in_answers_where_a_candidate_fails():
    candidate, champion = Brightness(), Brightness()
    candidate.fails = True
    house = House(Choice(network("c" * 64, candidate), fallback=network("a" * 64, champion)))
    said = house.ask(255)
    assert (best(said), said.network) == ("bright", "a" * 64)
    assert house.gallery.observed == [("c" * 64, False), ("a" * 64, True)]


def test_a_shadow_is_held_against_the_answer_and_nobody_waits_for_it():
    champion, shadow = Brightness(), Brightness(opposite=True)
    house = House(Choice(network("a" * 64, champion), shadow=network("b" * 64, shadow)))
    shadow.gate.clear()
    assert house.ask(255).network == "a" * 64
    shadow.gate.set()
    until(lambda: house.gallery.compared == [("b" * 64, False)])
    until(lambda: ("b" * 64, True) in house.gallery.observed)
    shadow.fails = True
    assert house.ask(255).network == "a" * 64
    until(lambda: ("b" * 64, False) in house.gallery.observed)


def test_who_stands_in_sees_the_picture_its_own_way_and_names_its_own_categories():
    candidate, champion = Brightness(), Brightness(opposite=True)
    candidate.fails = True
    how = Preprocessing(shape=(4, 4, 3), resize="crop", decoder="pillow-1")
    other = network("a" * 64, champion, preprocessing=how, categories=CATEGORIES[::-1])
    house = House(Choice(network("c" * 64, candidate), fallback=other))
    said = house.ask(255)
    assert (best(said), said.network, champion.shape) == ("bright", "a" * 64, (4, 4, 3))


def test_a_shadow_that_names_the_same_category_in_another_place_agrees():
    champion, shadow = Brightness(), Brightness(opposite=True)
    turned = network("b" * 64, shadow, categories=CATEGORIES[::-1])
    house = House(Choice(network("a" * 64, champion), shadow=turned))
    house.ask(255)
    until(lambda: house.gallery.compared == [("b" * 64, True)])


def test_a_shadow_made_for_other_pixels_is_not_asked():
    how = Preprocessing(shape=SHAPE, resize="crop", decoder=DECODER)
    shadow = network("b" * 64, Brightness(), preprocessing=how)
    house = House(Choice(network("a" * 64, Brightness()), shadow=shadow))
    house.ask(255)
    assert house.answerer.waiting == 0
    assert [name for name, _ in house.gallery.observed] == ["a" * 64]


def test_what_comes_too_late_is_neither_decoded_nor_asked():
    house = House()
    with pytest.raises(DeadlineError):
        house.answerer.classify(Ask(), b"not even an image", SystemClock().monotonic() - 0.001)
    assert house.predictor.sizes == []


def test_who_waits_no_longer_is_left_out():
    house = House()
    questions = [house.answerer.begin(Ask(), picture()) for _ in range(2)]
    questions[0].is_given_up = True
    house.answerer.answer(questions)
    assert house.predictor.sizes == [1]
    assert house.answerer.waiting == 0


def test_what_is_too_much_is_refused_and_leaves_room_afterwards():
    house = House(admission=Admission(2))
    begun = [house.answerer.begin(Ask(), picture()) for _ in range(2)]
    with pytest.raises(UnavailableError) as caught:
        house.ask()
    assert caught.value.kind == "overloaded"
    house.answerer.answer(begun)
    assert best(house.ask()) == "bright"


def test_a_network_that_is_not_in_memory_is_brought_there():
    house = House()
    house.gallery.cold["d" * 64] = network("d" * 64, Brightness(opposite=True))
    with pytest.raises(NotLoadedError):
        house.answerer.begin(Ask(network="d" * 64), picture())
    assert best(house.ask(255, network="d" * 64)) == "dark"
    with pytest.raises(NotFoundError):
        house.ask(network="e" * 64)


def test_files_are_answered_each_by_its_name():
    house = House()
    files = [("one.png", picture(255)), ("bad.txt", b"text"), ("two.png", picture(0))]
    reply = house.answerer.classify_files(Ask(top=1), files)
    assert [(one.file, best(one.classification)) for one in reply.classified] == [
        ("one.png", "bright"),
        ("two.png", "dark"),
    ]
    assert [(one.file, one.kind) for one in reply.refused] == [("bad.txt", "not-an-image")]


def test_many_files_are_answered_though_few_may_wait_at_once():
    house = House(admission=Admission(40))
    reply = house.answerer.classify_files(Ask(), [(f"{i}", picture(i)) for i in range(100)])
    assert len(reply.classified) == 100
    assert house.answerer.waiting == 0


def test_all_files_of_a_form_are_answered_however_slow_the_network_is():
    admission = Admission(1000, most_wait_s=0.5)
    admission.learn(1, 0.3)
    house = House(admission=admission)
    reply = house.answerer.classify_files(Ask(), [(f"{i}", picture(i)) for i in range(40)])
    assert len(reply.classified) == 40


def test_files_that_find_no_room_leave_none_behind():
    house = House(admission=Admission(4))
    begun = house.answerer.begin(Ask(), picture())
    with pytest.raises(UnavailableError):
        house.answerer.classify_files(Ask(), [(f"{i}", picture()) for i in range(10)])
    assert house.answerer.waiting == 1
    house.answerer.answer([begun])
    assert house.answerer.waiting == 0


def test_tensors_get_their_probabilities_in_their_order():
    house = House()
    images = np.stack([np.full(SHAPE, value, np.float32) for value in range(100)])
    found = house.answerer.infer(house.answerer.choose(), images)
    assert found.shape == (100, 2)
    np.testing.assert_allclose(found[:, 1], np.arange(100) / 255, atol=1e-6)
    assert house.answerer.waiting == 0


@pytest.mark.parametrize("shape", [(0, 8, 8, 1), (1, 8, 8, 3), (1, 64), (2, 9, 8, 1)])
def test_tensors_of_another_shape_are_refused(shape):
    house = House()
    with pytest.raises(InvalidInputError, match="expected images of the shape"):
        house.answerer.infer(house.answerer.choose(), np.zeros(shape, np.float32))


def test_tensors_and_images_go_by_the_same_admission():
    house = House(admission=Admission(4))
    begun = house.answerer.begin(Ask(), picture())
    with pytest.raises(UnavailableError):
        house.answerer.infer(house.answerer.choose(), np.zeros((4, *SHAPE), np.float32))
    house.answerer.answer([begun])


def test_what_was_asked_before_is_remembered_until_another_network_answers():
    house = House(cache=ResponseCache(10))
    first, again = house.ask(255), house.ask(255, top=1)
    assert (first.timing.batch, again.timing.batch) == (1, 0)
    assert again.answers == first.answers[:1]
    assert house.predictor.sizes == [1]
    house.gallery.choice = Choice(network("b" * 64, Brightness(opposite=True)))
    swapped = house.ask(255)
    assert (best(swapped), swapped.network) == ("dark", "b" * 64)


def test_a_large_picture_is_looked_up_in_a_lane_and_not_by_an_event_loop():
    house = House(cache=ResponseCache(10))
    large = picture(255) + bytes(200_000)
    question = house.answerer.begin(Ask(), large)
    assert question.image == ""
    house.answerer.answer([question])
    again = Classification.model_validate_json(house.answerer.classify(Ask(), large))
    assert (best(again), again.timing.batch) == ("bright", 0)
    assert house.predictor.sizes == [1]
    assert house.answerer.waiting == 0


def test_every_answer_is_offered_to_the_recorder_also_one_that_is_remembered():
    offers: list[dict] = []

    class Recorder:
        def offer(self, **offer):
            offers.append(offer)
            return f"id-{len(offers)}"

        def close(self, timeout_s=5.0):
            return None

    house = House(cache=ResponseCache(10), recorder=Recorder())
    assert [house.ask(255).id, house.ask(255).id, house.ask(0).id] == ["id-1", "id-2", "id-3"]
    assert [offer["image"] for offer in offers[:2]] == [house.ask(255).image] * 2
    for offer in offers:
        assert offer["probabilities"].shape == (2,)
        assert offer["dataset"] == "digits"


def test_only_small_pictures_and_fast_networks_are_for_an_event_loop():
    house = House()

    def is_quick(data: bytes) -> bool:
        question = house.answerer.begin(Ask(), data)
        house.answerer.answer([question])
        return house.answerer.is_quick(question)

    assert is_quick(picture())
    assert is_quick(picture(form="JPEG"))
    assert not is_quick(picture(size=(500, 500)))
    assert not is_quick(picture(form="WEBP"))
    house.predictor.pace = Pace(1, 0.005)
    assert not is_quick(picture())
    house.predictor.pace = Pace(1, math.inf)
    assert not is_quick(picture())


def test_small_pictures_do_not_wait_for_the_decoding_of_large_ones(monkeypatch):
    from classification_service import answering  # noqa: PLC0415

    decode, decoding, go_on = answering.decode_stored, threading.Event(), threading.Event()

    def slow(data, *how):
        if data == large:
            decoding.set()
            assert go_on.wait(10)
        return decode(data, *how)

    large = picture(size=(2500, 2500))
    monkeypatch.setattr(answering, "decode_stored", slow)
    house = House()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(house.answerer.classify, Ask(), large)
        assert decoding.wait(10)
        assert best(house.ask(0)) == "dark"
        assert not waiting.done()
        go_on.set()
        assert best(Classification.model_validate_json(waiting.result())) == "bright"


def test_a_network_sees_what_the_decoder_on_its_card_makes_of_a_picture(monkeypatch):
    from classification_service import answering  # noqa: PLC0415

    decoders = []
    decode = answering.decode_stored
    monkeypatch.setattr(
        answering, "decode_stored", lambda *what: decoders.append(what[3]) or decode(*what)
    )
    house = House()
    house.ask()
    how = house.gallery.choice.answering.card.preprocessing
    house.gallery.choice.answering.card.preprocessing = how.model_copy(
        update={"decoder": "pillow-1"}
    )
    house.ask()
    assert decoders == [DECODER, "pillow-1"]


def test_a_gallery_without_champion_says_so():
    house = House()

    def choose(dataset, network, turn):
        raise ConflictError("there is no champion yet", kind="no-network")

    house.gallery.choose = choose
    with pytest.raises(ConflictError):
        house.ask()
    assert house.answerer.waiting == 0


def test_answers_are_json():
    house = House()
    assert json.loads(house.answerer.classify(Ask(), picture()))["id"] is None

"""The small rules of the sensory service: layout of shards, labels, waiting, settings."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commons.errors import InvalidInputError
from commons.messages import OrderRequest, Split
from sensory_service.app import Settings
from sensory_service.labeling import Standing, after_upload, event_of, is_relabeled
from sensory_service.shard_layout import MOST_BYTES, cut, examples_per_shard, span_of
from sensory_service.waiting import WaitingRoom
from tests.sensory_house import ManualClock

COUNTS: dict[Split, int] = {"train": 10_000, "validation": 3, "test": 5_000}


def request(*splits: Split, shape: tuple[int, int, int] = (28, 28, 1)) -> OrderRequest:
    return OrderRequest.model_validate({"snapshot": "0" * 64, "splits": splits, "shape": shape})


@pytest.mark.parametrize(
    ("shape", "examples"), [((28, 28, 1), 4096), ((100, 100, 3), 1118), ((1024, 1024, 3), 10)]
)
def test_a_shard_is_bounded_in_examples_and_in_bytes(
    shape: tuple[int, int, int], examples: int
) -> None:
    assert examples_per_shard(shape) == examples
    assert examples * shape[0] * shape[1] * shape[2] <= MOST_BYTES


def test_splits_follow_each_other_in_a_manifest() -> None:
    assert span_of(COUNTS, "train") == range(10_000)
    assert span_of(COUNTS, "validation") == range(10_000, 10_003)
    assert span_of(COUNTS, "test") == range(10_003, 15_003)
    assert len(span_of({"train": 1}, "test")) == 0


def test_the_shards_of_an_order_hold_every_row_once_in_the_order_of_its_splits() -> None:
    plans = cut(COUNTS, request("test", "train"))
    assert [plan.split for plan in plans] == ["test", "test", "train", "train", "train"]
    rows = [row for plan in plans for row in range(plan.first, plan.first + plan.examples)]
    assert rows == [*range(10_003, 15_003), *range(10_000)]


def test_a_split_named_twice_is_ordered_once_and_an_empty_one_not_at_all() -> None:
    assert len(cut(COUNTS, request("validation", "validation"))) == 1
    assert cut({"train": 1, "validation": 0, "test": 0}, request("validation", "test")) == []


def test_sending_an_image_again_without_a_word_changes_nothing() -> None:
    before = Standing("cat", "train", said=True)
    assert after_upload(before, None, None) == before


def test_a_new_word_about_the_label_counts_and_about_the_split_does_not() -> None:
    before = Standing("cat", "train", said=False)
    after = after_upload(before, "dog", "test")
    assert after == Standing("dog", "train", said=False)
    assert is_relabeled(before, after)
    assert not is_relabeled(None, after)


def test_who_sent_an_image_is_who_said_what_it_is_until_somebody_says_more() -> None:
    assert after_upload(None, None, None, "ada").by == "ada"
    by_ada = Standing("cat", by="ada")
    assert after_upload(by_ada, None, None, "bob").by == "ada"
    assert after_upload(by_ada, "cat", None, "bob").by == "ada"
    assert after_upload(by_ada, "dog", None, "bob").by == "bob"
    assert after_upload(Standing("cat", removed=True), None, None, "bob").by == "bob"


def test_every_image_that_comes_is_an_event_and_so_is_every_other_label() -> None:
    cat, none = Standing("cat"), Standing()
    assert event_of(None, cat) == "labeled"
    assert event_of(None, none) == "added"
    assert event_of(Standing("cat", removed=True), cat) == "restored"
    assert event_of(Standing(removed=True), none) == "restored"
    assert [event_of(cat, none), event_of(none, cat)] == ["labeled", "labeled"]
    assert event_of(cat, Standing("cat", "test")) is None


def test_a_split_said_by_an_import_is_remembered_as_said() -> None:
    assert after_upload(None, None, "test") == Standing(None, "test", said=True)
    assert after_upload(Standing(), None, "test").said


def test_what_is_there_is_not_waited_for() -> None:
    clock = ManualClock()
    room = WaitingRoom(clock, slots=1, longest_s=10.0)
    assert room.wait_for(lambda: "here", 5.0) == ("here", False)
    assert clock.now() == ManualClock().now()


def test_waiting_ends_when_it_comes() -> None:
    clock = ManualClock(0.0)
    room = WaitingRoom(clock, slots=1, longest_s=10.0)
    found = room.wait_for(lambda: "here" if clock.time >= 3.0 else None, 5.0)
    assert found == ("here", False)
    assert clock.time == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.0), (5.0, 5.0), (1e9, 10.0)])
def test_waiting_ends_when_the_time_is_over(asked: float, waited: float) -> None:
    clock = ManualClock(0.0)
    room = WaitingRoom(clock, slots=1, longest_s=10.0)
    assert room.wait_for(lambda: None, asked) == (None, False)
    assert clock.time == pytest.approx(waited)


def test_who_finds_no_free_slot_is_answered_at_once_and_slots_come_back() -> None:
    clock = ManualClock()
    room = WaitingRoom(clock, slots=1, longest_s=10.0)
    waiting, go = threading.Event(), threading.Event()
    asked = []

    def ask() -> str | None:
        asked.append(1)
        if len(asked) == 1:
            return None
        waiting.set()
        go.wait(10)
        return "late"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(room.wait_for, ask, 5.0)
        waiting.wait(10)
        assert room.wait_for(lambda: None, 5.0) == (None, True)
        go.set()
        assert first.result() == ("late", False)
    assert room.wait_for(lambda: None, 1.0) == (None, False)


def test_a_slot_comes_back_after_an_error() -> None:
    room = WaitingRoom(ManualClock(), slots=1, longest_s=10.0)
    answers = iter([None])
    with pytest.raises(StopIteration):
        room.wait_for(lambda: next(answers), 5.0)
    assert room.wait_for(lambda: None, 1.0) == (None, False)


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_env({"DICEBOX_DATA": "/there", "DICEBOX_WAITING_SLOTS": "9"})
    assert (settings.data, settings.waiting_slots) == (Path("/there"), 9)
    assert Settings.from_env({}).data == Path("dicebox-data")


def test_all_faults_of_the_settings_are_named_at_once() -> None:
    with pytest.raises(InvalidInputError, match=r"WAITING_SLOTS.*DECODE_THREADS"):
        Settings.from_env({"DICEBOX_WAITING_SLOTS": "none", "DICEBOX_DECODE_THREADS": "0"})

"""The words of engines and workers, and what an engine makes of beats."""

import pytest

from commons.adapters.fleet_board import FleetBoard
from commons.errors import InvalidInputError, TooLargeError
from commons.fleet import (
    MOST_BYTES,
    Ask,
    Ended,
    Report,
    SlotState,
    Started,
    Stop,
    TellToo,
    Word,
    WorkerBeat,
    from_bytes,
    running_queue,
    to_bytes,
)
from commons.jobs import JobResult
from tests.trial_builders import StandingClock

STARTED = Started(job="run/1/a", worker="m-1", slot=1, time=5.0, waited_s=0.1)


def beat(
    name: str = "m-1", jobs: tuple[str | None, ...] = (None,), time: float = 1.0, **changes: object
) -> WorkerBeat:
    slots = tuple(SlotState(number=n, job=job, since=time) for n, job in enumerate(jobs, 1))
    known = {"machine": "m", "kind": "cpu", "cpu": "c", "started": 0.0, "every_s": 2.0}
    return WorkerBeat.model_validate(
        {"name": name, "slots": slots, "time": time, **known, **changes}
    )


@pytest.mark.parametrize(
    "word",
    [
        beat(jobs=("run/1/a", None)),
        Ask(),
        STARTED,
        Report(job="run/1/a", worker="m-1/1", time=2.0, data={"epoch": 3, "loss": 0.5}),
        Ended(result=JobResult(id="run/1/a", outcome="ok", value={"accuracy": 1.0})),
        Stop(job="run/1/a", keep=False),
        TellToo(job="run/1/a", reply_to="dicebox.replies.1"),
    ],
    ids=lambda word: word.word,
)
def test_a_word_comes_out_of_its_bytes_as_it_went_in(word: Word) -> None:
    assert from_bytes(to_bytes(word)) == word


@pytest.mark.parametrize(
    "body", [b"", b"5", b"[1]", b'{"word": "unheard"}', b'{"word": "stop"}', b"\xff", b"{"]
)
def test_what_is_no_word_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInputError, match="expected a word of the fleet"):
        from_bytes(body)


def test_a_word_that_would_carry_data_is_refused() -> None:
    with pytest.raises(TooLargeError, match=f"at most {MOST_BYTES} bytes"):
        to_bytes(Report(job="j", worker="w", time=1.0, data={"pixels": "x" * MOST_BYTES}))


def test_the_queue_of_a_long_job_id_has_a_short_name_of_its_own() -> None:
    names = {running_queue("run/" + "x" * 500 + end) for end in ("a", "b")}
    assert len(names) == 2
    assert all(len(name) < 100 for name in names)


def test_capacity_is_the_slots_of_live_workers_that_take_jobs() -> None:
    clock = StandingClock()
    board = FleetBoard(clock)
    board.hear_beat(beat("m-1", ("a", None)))
    board.hear_beat(beat("m-2", (None,), kind="gpu"))
    board.hear_beat(beat("m-3", ("b",), leaving=True))
    assert (board.capacity(), board.capacity("cpu"), board.capacity("gpu")) == (3, 2, 1)
    assert (board.free("cpu"), board.free("gpu")) == (1, 1)
    assert board.running() == {"a", "b"}


def test_a_worker_that_missed_three_beats_is_gone_until_it_speaks() -> None:
    clock = StandingClock()
    board = FleetBoard(clock)
    board.hear_beat(beat(jobs=("a",)))
    clock.time += 6.0
    assert board.capacity() == 1
    clock.time += 0.1
    assert (board.capacity(), board.running(), board.slots()) == (0, set(), [])
    board.hear_beat(beat(jobs=("a",), time=2.0))
    assert board.capacity() == 1


def test_what_a_slot_begins_is_known_before_the_next_beat_and_ends_with_it() -> None:
    board = FleetBoard(StandingClock())
    board.hear_beat(beat(time=4.0))
    board.hear_started(STARTED)
    assert [(slot.name, slot.job, slot.since) for slot in board.slots()] == [
        ("m-1/1", "run/1/a", 5.0)
    ]
    board.hear_beat(beat(time=4.5))
    assert board.running() == {"run/1/a"}
    board.hear_beat(beat(time=6.0))
    assert board.running() == set()
    assert [slot.jobs_done for slot in board.slots()] == [1]


def test_a_beat_that_comes_late_changes_nothing() -> None:
    board = FleetBoard(StandingClock())
    board.hear_beat(beat(jobs=("new",), time=3.0))
    board.hear_beat(beat(jobs=("old",), time=2.0))
    board.hear_started(STARTED.model_copy(update={"time": 1.0}))
    assert board.running() == {"new"}

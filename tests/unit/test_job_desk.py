"""What a worker does with a job that it is handed, on a broker and an engine in memory."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from commons.adapters.clock import SystemClock
from commons.adapters.job_desk import JobDesk, Verdict
from commons.adapters.worker_presence import Presence
from commons.errors import UnavailableError
from commons.fleet import (
    BEATS,
    Ended,
    Report,
    Started,
    Stop,
    TellToo,
    Word,
    WorkerBeat,
    running_queue,
)
from commons.jobs import JobEvent, JobResult, JobSpec, WorkerInfo, result_blob, stored_result
from tests.memory_blobs import MemoryBlobs

WAIT_S = 10.0
REPLIES = "dicebox.replies.one"
SPEC = JobSpec(id="run/1/search", function="tests.engine_jobs:double", arguments={"number": 1})


@dataclass
class FakeBroker:
    """Queues that words are told to, and who holds which job."""

    queues: dict[str, list[Word]] = field(default_factory=lambda: {REPLIES: []})
    held: dict[str, Callable[[Word], None]] = field(default_factory=dict)
    announced: list[tuple[str, Word]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    away: bool = False
    on_hold: Callable[[], None] = lambda: None

    def tell(self, queue: str, word: Word) -> bool:
        self._reach()
        if queue in self.held:
            self.held[queue](word)
            return True
        if queue in self.queues:
            self.queues[queue].append(word)
        return queue in self.queues

    def announce(self, exchange: str, word: Word) -> None:
        self._reach()
        self.announced.append((exchange, word))

    def hold(self, job: str, heard: Callable[[Word], None]) -> bool:
        self._reach()
        self.on_hold()
        if job in self.refused or running_queue(job) in self.held:
            return False
        self.held[running_queue(job)] = heard
        return True

    def let_go(self, job: str) -> None:
        self.held.pop(running_queue(job), None)

    def told(self, kind: type[Word], queue: str = REPLIES) -> list[Any]:
        return [word for word in self.queues[queue] if isinstance(word, kind)]

    def _reach(self) -> None:
        if self.away:
            raise UnavailableError("the broker is away")


class FakeEngine:
    """Jobs end when the test says so."""

    def __init__(self) -> None:
        self.futures: dict[str, Future[JobResult]] = {}
        self.submitted: list[str] = []
        self.reported: list[JobEvent] = []
        self.refuses = False

    def submit(self, spec: JobSpec) -> "Future[JobResult]":
        if self.refuses:
            raise UnavailableError("the engine is closed")
        self.submitted.append(spec.id)
        self.futures[spec.id] = Future()
        return self.futures[spec.id]

    def kill(self, job_id: str) -> bool:
        future = self.futures.get(job_id)
        if future is None or future.done():
            return False
        future.set_result(JobResult(id=job_id, outcome="cancelled", reason="stopped on request"))
        return True

    def end(self, job_id: str = SPEC.id, **values: Any) -> None:
        result = {"id": job_id, "outcome": "ok", "value": {"number": 2}, "seconds": 3.0, **values}
        self.futures[job_id].set_result(JobResult(**result))

    def capacity(self) -> int:
        return 2

    def workers(self) -> list[WorkerInfo]:
        return []

    def events(self, after: int) -> list[JobEvent]:
        return [event for event in self.reported if event.sequence > after]


@dataclass
class House:
    broker: FakeBroker
    engine: FakeEngine
    blobs: MemoryBlobs
    desk: JobDesk
    threads: ThreadPoolExecutor

    def hand_in(
        self,
        spec: JobSpec = SPEC,
        reply_to: str = REPLIES,
        *,
        redelivered: bool = False,
        starts: int = 0,
        current: Callable[[], bool] = lambda: True,
    ) -> "Future[Verdict]":
        return self.threads.submit(
            self.desk.handle,
            spec,
            reply_to,
            redelivered=redelivered,
            starts=starts,
            sent=time.time() - 7.0,
            current=current,
        )

    def begun(self, spec: JobSpec = SPEC, **options: Any) -> "Future[Verdict]":
        """Hand a job in and return once it trains."""
        verdict = self.hand_in(spec, **options)
        eventually(lambda: spec.id in self.engine.futures or verdict.done())
        assert not verdict.done()
        return verdict

    def stored(self, job: str = SPEC.id) -> JobResult | None:
        return stored_result(self.blobs, job)


def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.002)


def store(blobs: MemoryBlobs, **values: Any) -> JobResult:
    result = JobResult(**{"id": SPEC.id, "outcome": "ok", "value": {"number": 5}, **values})
    blobs.put(result_blob(result.id), result.model_dump_json().encode())
    return result


@pytest.fixture
def house() -> Iterator[House]:
    broker, engine, blobs = FakeBroker(), FakeEngine(), MemoryBlobs()
    desk = JobDesk(
        engine, blobs, broker, SystemClock(), name="machine-1", grace_s=0.05, pause_s=0.02
    )
    with ThreadPoolExecutor(8) as threads:
        yield House(broker, engine, blobs, desk, threads)
        desk.drain(0.0)


def test_a_job_is_held_trained_stored_and_told_in_this_order(house: House) -> None:
    verdict = house.begun()
    assert running_queue(SPEC.id) in house.broker.held
    [started] = house.broker.told(Started)
    assert (started.job, started.worker, started.slot) == (SPEC.id, "machine-1", 1)
    assert 7.0 <= started.waited_s < 7.0 + WAIT_S
    assert house.desk.table.free() == 1
    house.engine.end()
    assert verdict.result(WAIT_S) == "ack"
    [ended] = house.broker.told(Ended)
    assert ended.result == house.stored()
    assert ended.result.value == {"number": 2}
    assert house.broker.held == {}
    assert house.desk.table.free() == 2


def test_a_job_with_a_result_is_told_and_not_run(house: House) -> None:
    result = store(house.blobs)
    assert house.hand_in().result(WAIT_S) == "ack"
    assert house.broker.told(Ended) == [Ended(result=result)]
    assert house.engine.submitted == []


def test_what_the_child_has_stored_is_what_is_told(house: House) -> None:
    verdict = house.begun()
    kept = store(house.blobs)
    house.engine.end(outcome="killed", value=None, reason="SIGKILL")
    assert verdict.result(WAIT_S) == "ack"
    assert house.broker.told(Ended) == [Ended(result=kept)]


def test_a_job_that_comes_again_while_it_trains_here_trains_once(house: House) -> None:
    house.broker.queues["dicebox.replies.two"] = []
    verdict = house.begun()
    again = house.hand_in(reply_to="dicebox.replies.two", redelivered=True)
    assert again.result(WAIT_S) == "ack"
    house.engine.end()
    assert verdict.result(WAIT_S) == "ack"
    assert house.engine.submitted == [SPEC.id]
    for queue in house.broker.queues:
        assert [type(word) for word in house.broker.queues[queue]] == [Started, Ended]


def test_a_job_held_elsewhere_is_acknowledged_and_its_submitter_told_of(house: House) -> None:
    house.broker.refused.add(SPEC.id)
    elsewhere: list[Word] = []
    house.broker.queues[running_queue(SPEC.id)] = elsewhere
    assert house.hand_in().result(WAIT_S) == "ack"
    assert elsewhere == [TellToo(job=SPEC.id, reply_to=REPLIES)]
    assert house.engine.submitted == []


def test_whoever_asks_the_holder_is_told_too(house: House) -> None:
    house.broker.queues["dicebox.replies.two"] = []
    verdict = house.begun()
    word = TellToo(job=SPEC.id, reply_to="dicebox.replies.two")
    assert house.broker.tell(running_queue(SPEC.id), word)
    house.engine.end()
    verdict.result(WAIT_S)
    assert [type(word) for word in house.broker.queues["dicebox.replies.two"]] == [Started, Ended]


def test_a_redelivered_job_waits_for_whoever_reconnects(house: House) -> None:
    elsewhere: list[Word] = []

    def comes_back() -> None:
        house.broker.queues[running_queue(SPEC.id)] = elsewhere

    timer = threading.Timer(0.02, comes_back)
    timer.start()
    assert house.hand_in(redelivered=True).result(WAIT_S) == "ack"
    timer.join()
    assert elsewhere == [TellToo(job=SPEC.id, reply_to=REPLIES)] * 2
    assert house.engine.submitted == []


def test_a_redelivered_job_that_nobody_has_is_run(house: House) -> None:
    verdict = house.begun(redelivered=True)
    house.engine.end()
    assert verdict.result(WAIT_S) == "ack"


def test_a_job_whose_holder_the_broker_has_not_forgotten_yet_is_run(house: House) -> None:
    def dies(_word: Word) -> None:
        house.broker.let_go(SPEC.id)

    house.broker.held[running_queue(SPEC.id)] = dies
    verdict = house.begun(redelivered=True)
    house.engine.end()
    assert verdict.result(WAIT_S) == "ack"


def test_after_a_reconnection_every_job_may_be_somebodys(house: House) -> None:
    house.desk.connected()
    house.desk.connected()
    house.broker.queues[running_queue(SPEC.id)] = []
    assert house.hand_in().result(WAIT_S) == "ack"
    assert house.engine.submitted == []


def test_a_tombstone_that_comes_while_it_is_taken_wins(house: House) -> None:
    house.broker.on_hold = lambda: store(house.blobs, outcome="cancelled", value=None) and None
    assert house.hand_in().result(WAIT_S) == "ack"
    [ended] = house.broker.told(Ended)
    assert ended.result.outcome == "cancelled"
    assert house.engine.submitted == []
    assert house.broker.held == {}


def test_a_job_is_stopped_on_request_and_its_end_is_stored(house: House) -> None:
    verdict = house.begun()
    assert house.broker.tell(running_queue(SPEC.id), Stop(job=SPEC.id))
    assert verdict.result(WAIT_S) == "ack"
    stored = house.stored()
    assert stored is not None
    assert stored.outcome == "cancelled"
    assert house.broker.told(Ended) == [Ended(result=stored)]


def test_a_job_whose_engine_closes_stores_nothing_and_is_not_given_back(house: House) -> None:
    verdict = house.begun()
    house.broker.tell(running_queue(SPEC.id), Stop(job=SPEC.id, keep=False))
    assert verdict.result(WAIT_S) == "ack"
    assert house.stored() is None
    assert house.broker.told(Ended) == []


@pytest.mark.parametrize("outcome", ["cancelled", "ok"])
def test_a_fenced_training_stores_and_tells_nothing(house: House, outcome: str) -> None:
    verdict = house.begun()
    if outcome == "ok":
        house.desk.table.end(SPEC.id, "fenced")
        house.engine.end()
    else:
        house.desk.fence(SPEC.id)
    assert verdict.result(WAIT_S) == "requeue"
    assert house.stored() is None
    assert house.broker.told(Ended) == []
    assert house.desk.table.jobs() == frozenset()


def test_a_thawed_worker_ends_what_another_has_trained_meanwhile(house: House) -> None:
    house.desk.connected()
    verdict = house.begun()
    house.desk.connected()
    assert not verdict.done()
    result = store(house.blobs)
    house.desk.connected()
    assert verdict.result(WAIT_S) == "ack"
    assert house.broker.told(Ended) == [Ended(result=result)]


def test_a_job_whose_submitter_is_gone_is_not_trained(house: House) -> None:
    assert house.hand_in(reply_to="dicebox.replies.gone").result(WAIT_S) == "ack"
    assert house.engine.submitted == []
    assert house.broker.held == {}


def test_too_many_starts_are_lost(house: House) -> None:
    assert house.hand_in(redelivered=True, starts=10).result(WAIT_S) == "ack"
    [ended] = house.broker.told(Ended)
    assert (ended.result.outcome, ended.result) == ("lost", house.stored())
    assert "10 workers" in ended.result.reason


def test_a_platform_fault_is_tried_elsewhere(house: House) -> None:
    verdict = house.begun()
    house.engine.end(outcome="error", value=None, reason="no room", platform=True)
    assert verdict.result(WAIT_S) == "requeue"
    assert house.stored() is None
    assert house.broker.held == {}
    assert house.desk.table.tally().last_failure == "no room"


def failed_by_platform(house: House, spec: JobSpec = SPEC) -> Verdict:
    house.engine.futures.pop(spec.id, None)
    verdict = house.begun(spec)
    house.engine.end(spec.id, outcome="error", value=None, reason="no service", platform=True)
    return verdict.result(WAIT_S)


def test_a_platform_fault_that_only_this_job_has_is_its_own_in_the_end(house: House) -> None:
    for number, expected in enumerate(("requeue", "requeue", "ack")):
        assert failed_by_platform(house) == expected
        other = SPEC.model_copy(update={"id": f"run/{number + 2}/search"})
        verdict = house.begun(other)
        house.engine.end(other.id)
        assert verdict.result(WAIT_S) == "ack"
    stored = house.stored()
    assert stored is not None
    assert (stored.outcome, stored.reason, stored.platform) == ("error", "no service", False)


def test_a_platform_fault_is_no_jobs_own_while_no_other_ends_here(house: House) -> None:
    other = SPEC.model_copy(update={"id": "run/2/search"})
    for spec in (SPEC, other) * 4:
        assert failed_by_platform(house, spec) == "requeue"
    assert house.stored() is None
    assert house.stored(other.id) is None
    assert house.broker.told(Ended) == []


@pytest.mark.parametrize("closed", [True, False])
def test_who_waits_is_told_of_a_platform_that_stays_broken_and_nothing_is_stored(
    house: House, closed: bool
) -> None:
    desk = JobDesk(
        house.engine, house.blobs, house.broker, SystemClock(), name="m", pause_s=0.01, patience_s=0
    )
    house.desk, house.engine.refuses = desk, closed
    for _ in range(2):
        verdict = house.hand_in().result(WAIT_S) if closed else failed_by_platform(house)
        assert verdict == "requeue"
    result = house.broker.told(Ended)[-1].result
    assert (result.id, result.platform, result.worker) == (SPEC.id, True, "m")
    assert house.stored() is None


def test_a_slot_that_finds_its_platform_broken_pauses_longer_each_time(house: House) -> None:
    house.engine.refuses = True
    seconds = []
    for _ in range(4):
        began = time.monotonic()
        assert house.hand_in().result(WAIT_S) == "requeue"
        seconds.append(time.monotonic() - began)
    assert seconds[0] >= 0.02
    assert seconds[3] >= 0.16
    assert house.desk.table.tally().last_failure == "the engine is closed"


def test_a_result_waits_for_the_blobs_to_take_it(house: House) -> None:
    verdict = house.begun()
    house.blobs.room = 0
    house.engine.end()
    assert not verdict.done()
    house.blobs.room = 1 << 20
    assert verdict.result(WAIT_S) == "ack"
    assert house.stored() is not None


def test_a_training_goes_on_while_the_broker_is_away(house: House) -> None:
    verdict = house.begun()
    house.broker.away = True
    house.engine.end()
    assert verdict.result(WAIT_S) == "ack"
    assert house.stored() is not None


def test_a_delivery_of_an_earlier_connection_is_left_to_the_broker(house: House) -> None:
    assert house.hand_in(current=lambda: False).result(WAIT_S) == "requeue"
    assert house.engine.submitted == []


def test_drain_lets_end_what_ends_and_requeues_what_does_not(house: House) -> None:
    other = SPEC.model_copy(update={"id": "run/2/search"})
    ends, stays = house.begun(), house.begun(other)
    drained = house.threads.submit(house.desk.drain, 0.2)
    eventually(lambda: house.desk.table.draining)
    assert house.desk.table.free() == 0
    assert house.hand_in(SPEC.model_copy(update={"id": "late"})).result(WAIT_S) == "requeue"
    house.engine.end()
    assert ends.result(WAIT_S) == "ack"
    assert stays.result(WAIT_S) == "requeue"
    drained.result(WAIT_S)
    assert house.stored() is not None
    assert house.stored(other.id) is None
    assert house.broker.held == {}


def test_a_drain_in_a_hurry_waits_for_no_training(house: House) -> None:
    verdict = house.begun()
    drained = house.threads.submit(house.desk.drain, 60.0)
    house.desk.hurry()
    drained.result(WAIT_S)
    assert verdict.result(WAIT_S) == "requeue"


def test_reports_are_thinned_and_the_last_one_comes_before_the_end(house: House) -> None:
    verdict = house.begun()
    for number in range(1, 4):
        house.engine.reported.append(
            JobEvent(sequence=number, job=SPEC.id, worker="w/1", time=1.0, data={"epoch": number})
        )
    house.engine.end()
    verdict.result(WAIT_S)
    [report] = house.broker.told(Report)
    assert (report.data, report.worker) == ({"epoch": 3}, "machine-1/1")
    assert isinstance(house.broker.queues[REPLIES][-1], Ended)


def test_a_beat_says_what_each_slot_does_and_what_was_done(house: House) -> None:
    presence = Presence(
        house.desk.table,
        house.desk.reports,
        house.broker,
        name="machine-1",
        kind="gpu",
        machine="machine",
        cpu="a cpu",
        card_of=lambda _: "7",
    )
    other = SPEC.model_copy(update={"id": "run/2/search"})
    house.begun(other)
    verdict = house.begun()
    house.engine.end(outcome="diverged", value=None, reason="NaN")
    verdict.result(WAIT_S)
    beat = presence.beat()
    assert [(slot.number, slot.job, slot.card) for slot in beat.slots] == [
        (1, other.id, "7"),
        (2, None, None),
    ]
    assert (beat.done, beat.failed, beat.seconds_busy) == (1, 1, 3.0)
    assert beat.last_failure == "run/1/search: NaN"
    assert beat.per_minute == pytest.approx(60.0)
    assert not beat.leaving


def test_beats_are_said_at_changes_and_at_the_end(house: House) -> None:
    presence = Presence(
        house.desk.table,
        house.desk.reports,
        house.broker,
        name="machine-1",
        kind="cpu",
        machine="machine",
        cpu="a cpu",
        every_s=60.0,
    )
    said = house.threads.submit(presence.run)
    eventually(lambda: house.broker.announced)
    house.begun()
    eventually(lambda: any(slot.job for slot in beats(house)[-1].slots))
    house.desk.drain(0.0)
    presence.close()
    said.result(WAIT_S)
    assert beats(house)[-1].leaving
    assert len(beats(house)) <= 5


def beats(house: House) -> list[WorkerBeat]:
    return [
        word
        for exchange, word in house.broker.announced
        if exchange == BEATS and isinstance(word, WorkerBeat)
    ]

"""The engine of many machines against a broker that is made up."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from commons.adapters.celery_engine import CeleryEngine
from commons.adapters.file_blobs import FileBlobs
from commons.errors import TooLargeError, UnavailableError
from commons.fleet import (
    ASKS,
    BEATS,
    MOST_BYTES,
    Ask,
    Ended,
    Report,
    Started,
    Stop,
    Word,
    WorkerBeat,
    running_queue,
)
from commons.jobs import JobResult, JobSpec, Outcome, result_blob, stored_result
from commons.ports import Clock
from tests.unit.test_fleet import beat

WAIT_S = 20.0


class WoundClock:
    """Real time, and what it was wound on by."""

    def __init__(self) -> None:
        self.wound = 0.0

    def now(self) -> float:
        return time.time() + self.wound

    def monotonic(self) -> float:
        return time.monotonic() + self.wound

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.005))


class FakeLink:
    """Records what is said; `running` are the jobs that a worker holds, `ready` what waits."""

    def __init__(self, _url: str, _clock: Clock, on_connected: Callable[[], None]) -> None:
        self.on_connected = on_connected
        self.submitted: list[tuple[str, str, str]] = []
        self.told: list[Word] = []
        self.announced: list[tuple[str, Word]] = []
        self.heard: dict[str, Callable[[Word], None]] = {}
        self.gone: list[str] = []
        self.running: dict[str, bool] = {}
        self.waiting = 0
        self.away = 0.0
        self.closed = False

    def submit(self, spec: JobSpec, reply_to: str, queue: str) -> None:
        self._check()
        self.submitted.append((spec.id, reply_to, queue))

    def tell(self, queue: str, word: Word) -> bool:
        self._check()
        self.told.append(word)
        return self.running.get(queue, False)

    def announce(self, exchange: str, word: Word) -> None:
        self.announced.append((exchange, word))

    def listen(
        self,
        queue: str | None,
        heard: Callable[[Word], None],
        *,
        exchange: str | None = None,
        expires_s: float | None = None,
    ) -> str:
        name = queue or str(exchange)
        assert (expires_s is None) == (queue is None)
        self.heard[name] = heard
        return name

    def stop_listening(self, name: str) -> None:
        self.gone.append(name)

    def ready(self, _queue: str) -> tuple[int, int] | None:
        self._check()
        return self.waiting, 1

    def away_s(self) -> float:
        return self.away

    def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.away:
            raise UnavailableError("away")

    @property
    def replies(self) -> str:
        return next(name for name in self.heard if name != BEATS)


class House:
    """An engine, what it is connected to, and its time."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = WoundClock()
        self.blobs = FileBlobs(folder / "blobs")
        self.links: list[FakeLink] = []
        self.engine = CeleryEngine(
            broker_url="amqp://x",
            blobs=self.blobs,
            clock=self.clock,
            poll_s=0.01,
            link_to=self._link,
            **options,
        )
        self.link = self.links[0]
        self.engine.capacity()

    def _link(self, url: str, clock: Clock, on_connected: Callable[[], None]) -> FakeLink:
        self.links.append(FakeLink(url, clock, on_connected))
        return self.links[-1]

    def beats(self, *beats: WorkerBeat) -> None:
        for each in beats:
            self.link.heard[BEATS](each)

    def hears(self, word: Word) -> None:
        self.link.heard[self.link.replies](word)

    def stores(self, job: str, outcome: Outcome = "ok") -> JobResult:
        value = {"accuracy": 0.5} if outcome == "ok" else None
        result = JobResult(id=job, outcome=outcome, value=value, seconds=1.5)
        self.blobs.put(result_blob(job), result.model_dump_json().encode())
        return result

    def queues_of(self, job: str) -> list[str]:
        return [queue for known, _, queue in self.link.submitted if known == job]

    def published(self, job: str, times: int = 1) -> None:
        eventually(lambda: len(self.queues_of(job)) == times)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.engine.close()


def job(job_id: str = "run/1/a", **fields: Any) -> JobSpec:
    return JobSpec.model_validate(
        {"id": job_id, "function": "a.b:c", "arguments": {"number": 1}, **fields}
    )


def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.002)


def test_the_workers_are_asked_for_beats_and_make_the_capacity(house: House) -> None:
    assert (ASKS, Ask()) in house.link.announced
    assert house.engine.capacity() == 0
    house.beats(beat("m-1", ("x", None)), beat("m-2", (None,), kind="gpu"))
    assert house.engine.capacity() == 3
    assert [(info.name, info.job) for info in house.engine.workers()] == [
        ("m-1/1", "x"),
        ("m-1/2", None),
        ("m-2/1", None),
    ]
    house.clock.wound += 7.0
    assert house.engine.capacity() == 0


def test_no_more_slots_are_used_than_were_asked_for(tmp_path: Path) -> None:
    house = House(tmp_path, workers=2)
    house.beats(beat("m-1", (None, None, None)))
    assert house.engine.capacity() == 2
    house.engine.close()


def test_who_waits_for_workers_is_told_of_the_first(house: House) -> None:
    assert house.engine.wait_for_workers(0.05) == 0
    timer = threading.Timer(0.05, lambda: house.beats(beat("m-1", (None, None))))
    timer.start()
    assert house.engine.wait_for_workers(WAIT_S) == 2
    timer.join()


def test_a_job_is_published_once_and_ends_with_the_word_of_its_end(house: House) -> None:
    future = house.engine.submit(job())
    assert house.engine.submit(job()) is future
    house.published("run/1/a")
    assert house.link.submitted == [("run/1/a", house.link.replies, "dicebox.jobs.cpu")]
    result = house.stores("run/1/a")
    house.hears(Ended(result=result))
    assert future.result(WAIT_S) == result
    house.hears(Ended(result=result))
    assert not house.engine.kill("run/1/a")


def test_a_platform_that_stays_broken_ends_the_wait_unless_another_worker_trains(
    house: House,
) -> None:
    future = house.engine.submit(job())
    fault = JobResult(id="run/1/a", outcome="error", reason="no room", worker="m-1", platform=True)
    house.beats(beat("m-1", (None, "run/3/a")), beat("m-2", ("run/2/a",)))
    house.hears(Ended(result=fault))
    assert not future.done()
    house.beats(beat("m-2", (None,), time=2.0))
    house.hears(Ended(result=fault))
    assert future.result(WAIT_S) == fault


def test_a_job_with_a_stored_result_is_not_published(house: House) -> None:
    result = house.stores("run/1/a", "diverged")
    assert house.engine.submit(job()).result(0) == result
    assert house.link.submitted == []


def test_a_result_that_no_word_told_of_is_found(house: House) -> None:
    future = house.engine.submit(job())
    house.published("run/1/a")
    result = house.stores("run/1/a")
    assert future.result(WAIT_S) == result


def test_a_job_that_would_carry_data_is_refused(house: House) -> None:
    with pytest.raises(TooLargeError, match="the job run/1/a has"):
        house.engine.submit(job(arguments={"pixels": "x" * MOST_BYTES}))


def test_what_was_begun_and_reported_is_listed(house: House) -> None:
    house.engine.submit(job())
    house.beats(beat("m-1", time=1.0))
    house.hears(Started(job="run/1/a", worker="m-1", slot=1, time=2.0, waited_s=0.0))
    assert [info.job for info in house.engine.workers()] == ["run/1/a"]
    for epoch in (1, 2):
        data = {"epoch": epoch}
        house.hears(Report(job="run/1/a", worker="m-1/1", time=3.0, data=data))
    events = house.engine.events(0)
    assert [(event.job, event.data["epoch"]) for event in events] == [
        ("run/1/a", 1),
        ("run/1/a", 2),
    ]
    assert house.engine.events(events[0].sequence) == events[1:]


def test_a_job_goes_where_it_must_and_else_where_there_is_room(house: House) -> None:
    house.beats(beat("m-1", ("x",)), beat("m-2", (None, None), kind="gpu"))
    house.engine.submit(job("must", device="cpu"))
    house.published("must")
    assert house.queues_of("must") == ["dicebox.jobs.cpu"]
    for name in ("one", "two"):
        house.engine.submit(job(name))
        house.published(name)
        assert house.queues_of(name) == ["dicebox.jobs.gpu"]
    house.beats(beat("m-3", (None, None, None, None)))
    house.engine.submit(job("three"))
    house.published("three")
    assert house.queues_of("three") == ["dicebox.jobs.cpu"]


def test_a_job_that_no_worker_names_and_no_queue_holds_is_published_again(house: House) -> None:
    future = house.engine.submit(job())
    house.published("run/1/a")
    house.clock.wound += 9.0
    time.sleep(0.1)
    house.published("run/1/a", 1)
    house.clock.wound += 1.5
    house.published("run/1/a", 2)
    house.clock.wound += 15.0
    time.sleep(0.1)
    house.published("run/1/a", 2)
    for times in (3, 4, 5):
        house.clock.wound += 100.0
        house.published("run/1/a", times)
    house.clock.wound += 161.0
    result = future.result(WAIT_S)
    assert (result.outcome, result.reason) == ("lost", "published 5 times, and no worker has it")
    assert result.platform
    assert stored_result(house.blobs, "run/1/a") is None


@pytest.mark.parametrize("where", ["waiting", "running"])
def test_a_job_that_waits_or_runs_is_not_published_again(house: House, where: str) -> None:
    house.engine.submit(job())
    house.published("run/1/a")
    house.link.waiting = int(where == "waiting")
    house.clock.wound += 60.0
    if where == "running":
        house.beats(beat("m-1", ("run/1/a",), time=house.clock.now()))
    time.sleep(0.1)
    house.published("run/1/a", 1)


def test_a_job_whose_workers_have_all_gone_goes_to_the_others_if_it_may(house: House) -> None:
    house.beats(beat("m-1", (None, None), kind="gpu"))
    house.engine.submit(job("may"))
    house.engine.submit(job("must", device="gpu"))
    house.published("may")
    house.published("must")
    house.link.waiting = 2
    house.clock.wound += 11.0
    house.beats(beat("m-2"))
    house.published("may", 2)
    assert house.queues_of("may") == ["dicebox.jobs.gpu", "dicebox.jobs.cpu"]
    assert house.queues_of("must") == ["dicebox.jobs.gpu"]


def test_a_waiting_job_is_killed_by_its_result(house: House) -> None:
    future = house.engine.submit(job())
    house.published("run/1/a")
    assert house.engine.kill("run/1/a")
    result = future.result(0)
    assert (result.outcome, result.reason) == ("cancelled", "before it started")
    assert stored_result(house.blobs, "run/1/a") == result


def test_a_running_job_is_stopped_by_its_worker(house: House) -> None:
    future = house.engine.submit(job())
    house.published("run/1/a")
    house.link.running[running_queue("run/1/a")] = True
    house.beats(beat("m-1", ("run/1/a",)))
    assert house.engine.kill("run/1/a")
    assert house.link.told == [Stop(job="run/1/a")]
    assert not future.done()
    house.hears(Ended(result=house.stores("run/1/a", "cancelled")))
    assert future.result(WAIT_S).outcome == "cancelled"


@pytest.mark.parametrize("why", ["the worker does not obey", "the broker is away"])
def test_a_kill_takes_two_seconds_whoever_does_not_answer(house: House, why: str) -> None:
    future = house.engine.submit(job())
    house.published("run/1/a")
    house.link.running[running_queue("run/1/a")] = True
    house.link.away = float(why == "the broker is away")
    house.beats(beat("m-1", ("run/1/a",)))
    assert house.engine.kill("run/1/a")
    time.sleep(0.1)
    assert not future.done()
    house.clock.wound += 1.8
    assert future.result(WAIT_S).outcome == "cancelled"
    assert stored_result(house.blobs, "run/1/a") == future.result(0)


def test_a_job_that_had_ended_when_it_was_killed_has_the_result_that_was_stored(
    house: House,
) -> None:
    future = house.engine.submit(job())
    house.published("run/1/a")
    house.beats(beat("m-1", ("run/1/a",)))
    result = house.stores("run/1/a")
    assert house.engine.kill("run/1/a")
    assert future.result(0) == result


def test_what_is_submitted_while_the_broker_is_away_is_published_later(house: House) -> None:
    house.link.away = 5.0
    house.engine.submit(job())
    time.sleep(0.1)
    assert house.link.submitted == []
    house.link.away = 0.0
    house.published("run/1/a")


def test_a_broker_that_is_away_for_too_long_ends_the_run(house: House) -> None:
    house.link.away = 299.0
    house.engine.submit(job())
    house.link.away = 301.0
    for use in (house.engine.capacity, house.engine.workers, lambda: house.engine.submit(job())):
        with pytest.raises(UnavailableError, match="away for 301 s"):
            use()


def test_after_a_connection_workers_are_asked_and_jobs_get_their_time_again(house: House) -> None:
    house.engine.submit(job())
    house.published("run/1/a")
    house.link.away = 1.0
    house.clock.wound += 60.0
    asked = len(house.link.announced)
    house.link.on_connected()
    house.link.away = 0.0
    assert house.link.announced[asked:] == [(ASKS, Ask())]
    time.sleep(0.1)
    house.published("run/1/a", 1)


def test_closing_stops_what_runs_and_stores_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    futures = [house.engine.submit(job(f"run/{n}")) for n in range(2)]
    for n in range(2):
        house.published(f"run/{n}")
    running = running_queue("run/0")
    house.link.running[running] = True
    timer = threading.Timer(0.1, lambda: house.link.running.update({running: False}))
    timer.start()
    house.engine.close()
    timer.join()
    assert {future.result(0).outcome for future in futures} == {"cancelled"}
    assert [*house.blobs.names("results/")] == []
    assert Stop(job="run/0", keep=False) in house.link.told
    assert house.link.gone == [house.link.replies]
    assert house.link.closed
    with pytest.raises(UnavailableError, match="closed"):
        house.engine.submit(job("run/2"))
    house.engine.close()

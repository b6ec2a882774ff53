"""Everything that can end while a fleet trains: children, workers, the broker, the network.

After each fault every id has one result, none is lost, no process is left, and the dead letters
are as expected. Trainings sleep where their own end is not the fault.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.light_worker import LightWorkers
from commons.adapters.celery_app import JOB_TASK
from commons.fleet import jobs_queue
from commons.jobs import JobResult, JobSpec
from commons.ports import Engine
from tests.cut_network import laid_wire
from tests.dicebox_processes import is_alive
from tests.fleet import (
    HEARTBEAT_S,
    WAIT_S,
    Fleet,
    eventually,
    sleeping,
    started_light_workers,
)
from tests.servers import Rabbit, started_rabbit

pytestmark = pytest.mark.integration
TIMES = 5 if os.environ.get("DICEBOX_CAMPAIGN") == "full" else 1
AGAIN_S = 5.0
KILLED_S = 2.0
Tell = Callable[[str], None]
Moment = Callable[[], None]


@pytest.fixture
def fleet(broker: Rabbit, light: tuple[LightWorkers, str], tmp_path: Path) -> Iterator[Fleet]:
    with _fleet(broker, light, tmp_path) as fleet:
        yield fleet


@pytest.fixture
def hurried_fleet(light: tuple[LightWorkers, str], tmp_path: Path) -> Iterator[Fleet]:
    """Give a fleet whose broker has little patience with a message that is not acknowledged."""
    advanced = "[{rabbit, [{channel_tick_interval, 500}]}]."
    with (
        started_rabbit("consumer_timeout = 2000", advanced) as broker,
        _fleet(broker, light, tmp_path) as fleet,
    ):
        yield fleet


@contextmanager
def _fleet(broker: Rabbit, light: tuple[LightWorkers, str], folder: Path) -> Iterator[Fleet]:
    fleet = Fleet(broker, folder, *light)
    fleet.purge()
    try:
        yield fleet
    finally:
        fleet.stop()
        # pytest shows it where a test failed.
        print(fleet.log())


@pytest.fixture(autouse=True, params=range(TIMES))
def moment(request: pytest.FixtureRequest) -> Moment:
    """Return what waits for the next moment of a fault: another one every time."""
    rng = random.Random(request.param)
    return lambda: time.sleep(rng.uniform(0.0, 0.5))


def job(name: str, job_id: str, **arguments: object) -> JobSpec:
    timeout_s = arguments.pop("timeout_s", None)
    return JobSpec.model_validate(
        {"id": job_id, "function": name, "arguments": arguments, "timeout_s": timeout_s}
    )


def all_idle(engine: Engine) -> bool:
    return all(worker.job is None for worker in engine.workers())


def test_what_ends_a_child_is_a_result_and_the_worker_goes_on(fleet: Fleet, tell: Tell) -> None:
    fleet.start_real(2, memory_bytes=300 * 2**20)
    jobs = "tests.engine_jobs"
    with fleet.engine() as engine:
        hangs = engine.submit(job(f"{jobs}:sleep_in_c", "c/hangs", seconds=60))
        late = engine.submit(job(f"{jobs}:sleep_in_c", "c/late", seconds=60, timeout_s=2.0))
        eventually(lambda: len({event.job for event in engine.events(0)}) == 2)
        children = {event.job: event.data["process"] for event in engine.events(0)}
        asked = time.monotonic()
        assert engine.kill("c/hangs")
        assert hangs.result(WAIT_S).outcome == "cancelled"
        eventually(lambda: not is_alive(children["c/hangs"]))
        took = time.monotonic() - asked
        assert took < KILLED_S
        large = job("tests.fleet_jobs:fill_memory", "c/large", megabytes=600, seconds=60)
        futures = {
            "c/hangs": hangs,
            "c/late": late,
            "c/killed": engine.submit(job(f"{jobs}:die", "c/killed")),
            "c/large": engine.submit(large),
            "c/after": engine.submit(sleeping("c/after", 0.0)),
        }
        outcomes = {name: future.result(WAIT_S).outcome for name, future in futures.items()}
        assert outcomes == {
            "c/hangs": "cancelled",
            "c/late": "timed-out",
            "c/killed": "killed",
            "c/large": "out-of-memory",
            "c/after": "ok",
        }
        counts = fleet.check_all_is_well(futures, outcome=None)
        tell(f"{counts}; C code that never returns killed within {took:.2f} s")


def test_jobs_of_a_killed_worker_run_elsewhere_within_five_seconds(
    fleet: Fleet, tell: Tell, moment: Moment
) -> None:
    whole, parent = fleet.start_real(), fleet.start_real()
    with fleet.engine() as engine:
        eventually(lambda: engine.capacity() == 2)
        futures = {name: engine.submit(sleeping(name, 3.0)) for name in ("k/1", "k/2")}
        eventually(lambda: {event.job for event in engine.events(0)} == set(futures))
        children = [event.data["process"] for event in engine.events(0)]
        fleet.start(2)
        eventually(lambda: engine.capacity() == 4)
        moment()
        killed = time.time()
        os.killpg(whole.pid, signal.SIGKILL)
        os.kill(parent.pid, signal.SIGKILL)
        eventually(lambda: all(fleet.begun(name) for name in futures))
        took = [fleet.begun(name)[0] - killed for name in futures]
        assert max(took) < AGAIN_S
        eventually(lambda: not any(is_alive(child) for child in children))
        counts = fleet.check_all_is_well(futures)
        tell(f"{counts}; begun again after {took[0]:.2f} s and {took[1]:.2f} s")


def test_a_frozen_worker_and_one_behind_a_cut_network_lose_their_jobs_and_come_back(
    fleet: Fleet, tell: Tell, moment: Moment
) -> None:
    with (
        laid_wire(fleet.rabbit.port) as wire,
        started_light_workers(wire.before) as (there, _),
        fleet.engine() as engine,
    ):
        behind = fleet.rabbit.url.replace(
            f"127.0.0.1:{fleet.rabbit.port}", f"{wire.host}:{wire.port}"
        )
        frozen, far = fleet.start(), fleet.start(by=there, broker_url=behind)
        eventually(lambda: engine.capacity() == 2)
        # Longer than two heartbeats and the time that a holder has to reconnect.
        futures = {name: engine.submit(sleeping(name, 8.0)) for name in ("f/1", "f/2")}
        eventually(lambda: len(fleet.starts()) == 2)
        assert {fleet.runs_on(name) for name in futures} == {frozen, far}
        moment()
        os.kill(frozen, signal.SIGSTOP)
        wire.cut()
        silent = time.time()
        fresh = fleet.start(2)
        eventually(lambda: all(fleet.runs_on(name) == fresh for name in futures))
        took = [fleet.begun(name)[-1] - silent for name in futures]
        os.kill(frozen, signal.SIGCONT)
        wire.mend()
        counts = fleet.check_all_is_well(futures)
        # Both take jobs again, though others had theirs.
        eventually(lambda: engine.capacity() == 4 and all_idle(engine))
        more = [f"f/{number}" for number in range(3, 7)]
        futures |= {name: engine.submit(sleeping(name, 1.0)) for name in more}
        eventually(lambda: len(fleet.starts()) == 6)
        assert {fleet.runs_on(name) for name in more} == {frozen, far, fresh}
        fleet.check_all_is_well(futures)
        tell(
            f"{counts}; heartbeat {HEARTBEAT_S} s, cut by {wire.kind}, begun again after "
            f"{took[0]:.1f} s and {took[1]:.1f} s"
        )


def test_a_worker_that_is_told_to_stop_ends_what_is_short_and_gives_back_the_rest(
    fleet: Fleet, tell: Tell, moment: Moment
) -> None:
    leaving = fleet.start(2, grace_s=2.0)
    with fleet.engine() as engine:
        eventually(lambda: engine.capacity() == 2)
        futures = {
            name: engine.submit(sleeping(name, seconds))
            for name, seconds in (("t/short", 1.5), ("t/long", 5.0))
        }
        eventually(lambda: len(fleet.starts()) == 2)
        staying = fleet.start(2)
        eventually(lambda: engine.capacity() == 4)
        moment()
        told = time.monotonic()
        os.kill(leaving, signal.SIGTERM)
        eventually(lambda: not is_alive(leaving))
        took = time.monotonic() - told
        assert took < 8.0
        counts = fleet.check_all_is_well(futures)
        assert fleet.starts() == {"t/short": 1, "t/long": 2}
        assert fleet.runs_on("t/long") == staying
        tell(f"{counts}; gone after {took:.1f} s")


def test_a_broker_that_is_killed_costs_neither_busy_nor_idle_workers_anything(
    fleet: Fleet, tell: Tell, moment: Moment
) -> None:
    fleet.start(1)
    with fleet.engine() as engine:
        eventually(lambda: engine.capacity() == 1)
        futures = {"b/busy": engine.submit(sleeping("b/busy", 12.0))}
        eventually(lambda: fleet.begun("b/busy"))
        fleet.start(1)
        eventually(lambda: engine.capacity() == 2)
        # RabbitMQ 3.10 loses a quorum queue that is killed in the second after its making.
        time.sleep(2.0)
        moment()
        fleet.rabbit.kill()
        futures["b/meanwhile"] = engine.submit(sleeping("b/meanwhile", 0.1))
        fleet.rabbit.start()
        back = time.time()
        assert futures["b/meanwhile"].result(WAIT_S).outcome == "ok"
        took = fleet.begun("b/meanwhile")[0] - back
        assert futures["b/busy"].result(WAIT_S).outcome == "ok"
        eventually(lambda: engine.capacity() == 2 and all_idle(engine))
        for name in ("b/after/1", "b/after/2"):
            futures[name] = engine.submit(sleeping(name, 1.0))
        eventually(lambda: len(fleet.starts()) == 4)
        assert {fleet.runs_on(f"b/after/{number}") for number in (1, 2)} == set(fleet.workers)
        counts = fleet.check_all_is_well(futures)
        assert set(fleet.starts().values()) == {1}
        tell(f"{counts}; the next job began {took:.1f} s after the broker was back")


def test_messages_that_are_no_jobs_are_dead_letters_and_harm_nobody(
    fleet: Fleet, tell: Tell
) -> None:
    worker = fleet.start(1)
    headers = {"task": JOB_TASK, "id": "p", "lang": "py", "root_id": "p", "parent_id": None}
    coded = {"content_type": "application/json", "content_encoding": "utf-8"}
    good = json.dumps([[], {"spec": {}, "reply_to": "x", "sent": 0.0}, {}]).encode()
    with fleet.engine() as engine:
        eventually(lambda: engine.capacity() == 1)
        poison: list[tuple[bytes, dict[str, object]]] = [
            (b"{", {"headers": headers, **coded}),
            (good, {"headers": {}, **coded}),
            (good, {"headers": {"task": JOB_TASK, "lang": "py"}, **coded}),
            (b"5", {"headers": headers, **coded}),
            (b"[1]", {"headers": headers, **coded}),
            (good, {"headers": headers | {"task": "no.such.task"}, **coded}),
            (good, {"headers": headers, **coded}),
            (b"\x80\x04N.", {"headers": headers, "content_type": "application/x-python-serialize",
                             "content_encoding": "binary"}),
        ]  # fmt: skip
        for body, properties in poison:
            fleet.publish(body, **properties)
        dead = jobs_queue("cpu") + ".dead"
        eventually(lambda: fleet.messages(dead) == len(poison))
        futures = {"p/after": engine.submit(sleeping("p/after", 0.0))}
        counts = fleet.check_all_is_well(futures, dead=len(poison))
        assert is_alive(worker)
        tell(counts)


def test_two_engines_that_ask_for_one_job_are_both_told_of_the_one_training(
    fleet: Fleet, tell: Tell
) -> None:
    fleet.start(2)
    with fleet.engine() as first, fleet.engine() as second:
        eventually(lambda: first.capacity() == second.capacity() == 2)
        one = first.submit(sleeping("e/1", 1.0))
        eventually(lambda: fleet.begun("e/1"))
        other = second.submit(sleeping("e/1", 1.0))
        assert one.result(WAIT_S) == other.result(WAIT_S)
        counts = fleet.check_all_is_well({"e/1": other})
        assert fleet.starts() == {"e/1": 1}
        tell(counts)


def test_jobs_of_an_engine_that_has_closed_are_not_trained(fleet: Fleet, tell: Tell) -> None:
    with fleet.engine(workers=1) as engine:
        # Nobody is there to take them, so they wait.
        left: list[Future[JobResult]] = [
            engine.submit(sleeping(f"n/{number}", 1.0, device="cpu")) for number in range(3)
        ]
        eventually(lambda: fleet.messages(jobs_queue("cpu")) == len(left))
    assert {future.result(WAIT_S).outcome for future in left} == {"cancelled"}
    fleet.start(1)
    with fleet.engine() as engine:
        futures = {"n/wanted": engine.submit(sleeping("n/wanted", 0.0))}
        counts = fleet.check_all_is_well(futures)
        assert fleet.starts() == {"n/wanted": 1}
        tell(counts)


def test_a_job_that_outlives_the_consumer_timeout_is_trained_once(
    hurried_fleet: Fleet, tell: Tell
) -> None:
    fleet = hurried_fleet
    fleet.start(1)
    with fleet.engine() as engine:
        eventually(lambda: engine.capacity() == 1)
        futures = {"l/long": engine.submit(sleeping("l/long", 7.0))}
        eventually(lambda: fleet.begun("l/long"))
        futures |= {"l/next": engine.submit(sleeping("l/next", 0.0))}
        counts = fleet.check_all_is_well(futures)
        assert fleet.starts() == {"l/long": 1, "l/next": 1}
        log = "".join(file.read_text() for file in (fleet.rabbit.folder / "log").glob("*.log"))
        assert "delivery acknowledgement on channel" in log
        tell(counts)

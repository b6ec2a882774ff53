"""Who trains, in the words of the API: a fleet by its beats, or the runs of this machine."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import evolver.app
from commons.adapters.clock import SystemClock
from commons.adapters.services import Caller, EvolutionClient
from commons.errors import InvalidInputError, UnavailableError
from commons.fleet import SlotState, WorkerBeat
from commons.messages import RunCard, RunProgress, WorkerActivity
from commons.worker_messages import Trainer, WorkerPage, WorkerSlot
from evolver.adapters.fleet import page_of
from evolver.app import Settings, create_app, settings_of
from evolver.trainers import Trainers
from tests.evolver_builders import HASH, FakeClock, MemoryRuns, queued_run

BROKER = "amqp://somebody:secret@127.0.0.1:1//"


def beat(name: str, machine: str, jobs: list[str | None], **facts: object) -> WorkerBeat:
    slots = tuple(
        SlotState(number=number, job=job, since=job and 900.0, card="GPU-1")
        for number, job in enumerate(jobs, 1)
    )
    return WorkerBeat.model_validate(
        {
            "name": name,
            "machine": machine,
            "kind": "gpu",
            "cpu": "a processor",
            "slots": slots,
            "started": 800.0,
            "time": 1000.0,
            "every_s": 2.0,
            **facts,
        }
    )


def test_a_fleet_is_listed_by_machine_with_what_every_slot_does() -> None:
    last = {"done": 7, "failed": 2, "per_minute": 3.5, "last_failure": "diverged: it did"}
    beats = [beat("b-1", "b", ["r1/4/2", None]), beat("a-9", "a", [None], leaving=True, **last)]
    page = page_of(beats, {"dicebox.jobs.gpu": 3}, {"dicebox.jobs.gpu": 1})
    assert [worker.name for worker in page.workers] == ["a-9", "b-1"]
    leaving, busy = page.workers
    assert (leaving.leaving, leaving.done, leaving.failed) == (True, 7, 2)
    assert (leaving.per_minute, leaving.last_failure) == (3.5, "diverged: it did")
    assert busy.slots == [
        WorkerSlot(number=1, job="r1/4/2", since=900.0, card="GPU-1"),
        WorkerSlot(number=2, card="GPU-1"),
    ]
    assert (page.engine, page.ready, page.dead) == (
        "celery",
        {"dicebox.jobs.gpu": 3},
        {"dicebox.jobs.gpu": 1},
    )


def running(name: str, workers: list[WorkerActivity]) -> MemoryRuns:
    tables = MemoryRuns()
    progress = RunProgress(
        evaluated=5, failed=1, candidates_per_minute=12.0, phase="searching", workers=workers
    )
    card = RunCard(seed=0, snapshot=HASH, command=None, machine={"cpu": "mine"}, versions={})
    update = {"state": "running", "progress": progress, "card": card}
    tables.add(queued_run(name).model_copy(update=update))
    tables.add(queued_run("waits"))
    return tables


def test_of_the_embedded_engine_the_workers_of_the_runs_are_listed() -> None:
    busy = WorkerActivity(name="worker-1", individual=4, genome="a network", seconds=3.0)
    tables = running("r1", [busy, WorkerActivity(name="worker-2")])
    page = Trainers(tables, FakeClock()).page()
    assert page == WorkerPage(
        engine="local",
        workers=[
            Trainer(
                name="run r1",
                cpu="mine",
                slots=[WorkerSlot(number=1, job="r1/4", since=997.0), WorkerSlot(number=2)],
                started=0.0,
                done=6,
                failed=1,
                per_minute=12.0,
            )
        ],
    )


def test_a_fleet_is_asked_once_for_all_who_look_within_two_seconds() -> None:
    asked: list[float] = []
    clock = FakeClock()

    def ask() -> WorkerPage:
        asked.append(clock.time)
        return WorkerPage(engine="celery", workers=[], ready={"dicebox.jobs.cpu": len(asked)})

    trainers = Trainers(MemoryRuns(), clock, ask)
    assert trainers.page() is trainers.page()
    clock.time += 1.9
    assert trainers.page().ready == {"dicebox.jobs.cpu": 1}
    clock.time += 0.2
    assert trainers.page().ready == {"dicebox.jobs.cpu": 2}


def test_a_broker_that_is_away_is_asked_as_seldom() -> None:
    asked: list[float] = []
    clock = FakeClock()

    def ask() -> WorkerPage:
        asked.append(clock.time)
        raise UnavailableError("it is away")

    trainers = Trainers(MemoryRuns(), clock, ask)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="it is away"):
            trainers.page()
    assert len(asked) == 1


def test_nobody_waits_while_another_one_asks_but_for_the_first_answer() -> None:
    begun, may_answer = threading.Event(), threading.Event()
    clock, pages = FakeClock(), list[WorkerPage]()

    def ask() -> WorkerPage:
        if pages:
            begun.set()
            assert may_answer.wait(20.0)
        pages.append(WorkerPage(engine="celery", workers=[]))
        return pages[-1]

    trainers = Trainers(MemoryRuns(), clock, ask)
    first = trainers.page()
    clock.time += 3.0
    slow = threading.Thread(target=trainers.page)
    slow.start()
    assert begun.wait(20.0)
    assert trainers.page() is first
    may_answer.set()
    slow.join()
    assert trainers.page() is pages[1]


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Give the API of an evolver with a fleet of three slots, two of them busy."""
    page = page_of(
        [beat("a-1", "a", ["r1/1/1", "r1/2/1"]), beat("b-1", "b", [None], kind="cpu")],
        {"dicebox.jobs.cpu": 4, "dicebox.jobs.gpu": 0},
        {"dicebox.jobs.cpu": 1, "dicebox.jobs.gpu": 0},
    )
    monkeypatch.setattr(evolver.app, "_asking", lambda _: lambda: page)
    app = create_app(Settings(data=tmp_path))
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client


def test_the_api_lists_the_workers(fleet: httpx.Client) -> None:
    page = EvolutionClient(Caller(fleet, patience_s=0.1)).workers()
    assert [(worker.name, len(worker.slots)) for worker in page.workers] == [("a-1", 2), ("b-1", 1)]


def test_a_scrape_tells_the_slots_and_the_queues(fleet: httpx.Client) -> None:
    text = fleet.get("/api/evolution/v1/metrics").text
    found = dict(re.findall(r"^(dicebox_(?:slots|jobs)\w*\{.*\}) (\S+)$", text, re.M))
    where = 'service="/api/evolution/v1"'
    expected = {
        f'dicebox_slots{{kind="gpu",{where}}}': "2.0",
        f'dicebox_slots{{kind="cpu",{where}}}': "1.0",
        f'dicebox_slots_busy{{kind="gpu",{where}}}': "2.0",
        f'dicebox_slots_busy{{kind="cpu",{where}}}': "0.0",
        f'dicebox_jobs_ready{{queue="dicebox.jobs.cpu",{where}}}': "4.0",
        f'dicebox_jobs_ready{{queue="dicebox.jobs.gpu",{where}}}': "0.0",
        f'dicebox_jobs_dead{{queue="dicebox.jobs.cpu",{where}}}': "1.0",
        f'dicebox_jobs_dead{{queue="dicebox.jobs.gpu",{where}}}': "0.0",
    }
    assert found == expected


def test_a_broker_that_is_away_is_told_and_leaves_the_other_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask() -> WorkerPage:
        raise UnavailableError("the broker cannot be reached")

    monkeypatch.setattr(evolver.app, "_asking", lambda _: ask)
    transport = httpx.WSGITransport(app=create_app(Settings(data=tmp_path)))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        reply = client.get("/api/evolution/v1/workers")
        assert (reply.status_code, reply.json()["detail"]) == (503, "the broker cannot be reached")
        text = client.get("/api/evolution/v1/metrics").text
        assert "dicebox_requests_total" in text
        assert "dicebox_slots" not in text


def test_an_embedded_engine_has_no_queues_to_tell_of(tmp_path: Path) -> None:
    transport = httpx.WSGITransport(app=create_app(Settings(data=tmp_path)))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        assert client.get("/api/evolution/v1/workers").json() == {
            "engine": "local",
            "workers": [],
            "ready": {},
            "dead": {},
        }
        assert "dicebox_jobs_ready" not in client.get("/api/evolution/v1/metrics").text


def test_the_engine_celery_needs_a_broker(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="DICEBOX_BROKER_URL: the engine celery needs"):
        settings_of({"DICEBOX_DATA": str(tmp_path), "DICEBOX_ENGINE": "celery"})
    with pytest.raises(InvalidInputError, match=r"DICEBOX_ENGINE: .*'local' or 'celery'"):
        settings_of({"DICEBOX_DATA": str(tmp_path), "DICEBOX_ENGINE": "ray"})


@pytest.mark.parametrize("name", ["DICEBOX_BROKER_URL", "BROKER_URL"])
@pytest.mark.parametrize("file", [False, True])
def test_the_broker_is_named_by_the_environment_or_a_file(
    tmp_path: Path, name: str, file: bool
) -> None:
    environ = {"DICEBOX_DATA": str(tmp_path), "DICEBOX_ENGINE": "celery", name: BROKER}
    if file:
        (tmp_path / "broker").write_text(BROKER + "\n", encoding="ascii")
        del environ[name]
        environ[f"{name}_FILE"] = str(tmp_path / "broker")
    assert settings_of(environ).broker_url == BROKER


def test_our_own_name_of_the_broker_counts_first(tmp_path: Path) -> None:
    environ = {"DICEBOX_DATA": str(tmp_path), "DICEBOX_ENGINE": "celery"}
    both = {
        "BROKER_URL_FILE": "/nowhere",
        "BROKER_URL": "amqp://other",
        "DICEBOX_BROKER_URL": BROKER,
    }
    assert settings_of({**environ, **both}).broker_url == BROKER
    # Without a fleet a broker of that name is somebody else's.
    assert settings_of({"DICEBOX_DATA": str(tmp_path), "BROKER_URL": BROKER}).broker_url is None


def test_a_runner_of_a_fleet_takes_all_there_are_and_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, object]] = []
    monkeypatch.setattr(evolver.app, "Runner", lambda **options: given.append(options))
    fleet = {"engine": "celery", "broker_url": BROKER, "trainers_patience_s": 9.0}
    evolver.app.create_runner(Settings(data=tmp_path, **fleet), SystemClock())  # type: ignore[arg-type]
    evolver.app.create_runner(Settings(data=tmp_path, workers=3), SystemClock())
    assert [(one["fleet"], one["patience_s"]) for one in given] == [(True, 9.0), (False, 600.0)]
    assert given[0]["workers"] == 100_000
    assert given[1]["workers"] == 3

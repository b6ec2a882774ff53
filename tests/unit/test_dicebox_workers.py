"""`dicebox workers`, and where `--engine` may be said."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from werkzeug.serving import make_server

from commons.worker_messages import Trainer, WorkerPage, WorkerSlot
from dicebox.command import run
from dicebox.connect import Place, connect
from dicebox.data_folder import DataFolder
from dicebox.house import House

NOBODY = WorkerPage(engine="celery", workers=[])
BUSY = WorkerPage(
    engine="celery",
    workers=[
        Trainer(
            name="a-17",
            machine="a",
            kind="gpu",
            slots=[
                WorkerSlot(number=1, job="r1/4/2", since=0.0),
                WorkerSlot(number=2, job="r1/5/1"),
                WorkerSlot(number=3),
            ],
            done=12,
            failed=2,
            per_minute=3.25,
            last_failure="diverged: the loss\nis nan",
        ),
        Trainer(name="b-3", slots=[WorkerSlot(number=1)], leaving=True),
    ],
    ready={"dicebox.jobs.cpu": 0, "dicebox.jobs.gpu": 7},
    dead={"dicebox.jobs.cpu": 1, "dicebox.jobs.gpu": 0},
)


class Front:
    """A server with one route, whose answer can be chosen."""

    def __init__(self) -> None:
        self.page = NOBODY
        self.url = ""
        self.app = Flask("front")
        for prefix in ("sensory", "evolution", "classification"):
            self.app.add_url_rule(
                f"/api/{prefix}/v1/readyz", prefix, lambda: {"ready": True, "missing": {}}
            )
            self.app.add_url_rule(
                f"/api/{prefix}/v1/healthz", f"{prefix}-lives", lambda: {"status": "alive"}
            )
        self.app.add_url_rule("/api/evolution/v1/workers", "workers", self._workers)

    def _workers(self) -> Response:
        return Response(self.page.model_dump_json(), mimetype="application/json")


@pytest.fixture
def front() -> Iterator[Front]:
    front = Front()
    server = make_server("127.0.0.1", 0, front.app, threaded=True)
    front.url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield front
    server.shutdown()
    thread.join()
    server.server_close()


def test_workers_are_listed_with_what_they_train(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    since = time.time() - 30.0
    slot = BUSY.workers[0].slots[0].model_copy(update={"since": since})
    long = WorkerSlot(number=4, job="r1/6/final", since=time.time() - 600.0)
    first = BUSY.workers[0].model_copy(update={"slots": [slot, *BUSY.workers[0].slots[1:], long]})
    front.page = BUSY.model_copy(update={"workers": [first, BUSY.workers[1]]})
    assert run(["--url", front.url, "workers"]) == 0
    out = capsys.readouterr().out
    header, one, other, *queues = [" ".join(line.split()) for line in out.splitlines()]
    assert header == "worker machine kind busy trains a minute done failed last failure"
    assert one.startswith("a-17 a gpu 3/4 r1/4/2 for 3")
    assert one.endswith("r1/5/1, r1/6/final for 10 min 3.2 12 2 diverged: the loss is nan")
    assert other == "b-3 (leaving) - - 0/1 - - 0 0 -"
    assert queues == ["7 wait in dicebox.jobs.gpu", "1 were given up in dicebox.jobs.cpu"]


def test_where_nobody_is_it_says_who_could_be(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--url", front.url, "workers"]) == 0
    assert "python -m trainer.worker" in capsys.readouterr().out


def test_workers_are_one_json_object_for_programs(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    front.page = BUSY
    assert run(["--url", front.url, "workers", "--json"]) == 0
    assert WorkerPage.model_validate(json.loads(capsys.readouterr().out)) == BUSY


def test_a_folder_that_nobody_works_on_has_no_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    with connect(Place(data)) as client:
        assert client.sensory.datasets() == []
    assert run(["--data", str(data), "workers"]) == 0
    assert "`dicebox evolve --dataset NAME` starts a run" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["demo", "--exit"], ["evolve", "--dataset", "a"], ["evolve", "--resume", "r1"]]
)
def test_an_engine_cannot_be_chosen_for_a_server_that_runs(
    front: Front, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run(["--url", front.url, *command, "--engine", "celery"]) == 1
    assert "leave --engine out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("engine", "around", "expected"),
    [
        (None, None, "local"),
        (None, "celery", "celery"),
        ("local", "celery", "local"),
        ("celery", None, "celery"),
    ],
)
def test_a_house_tells_its_services_who_trains(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: str | None,
    around: str | None,
    expected: str,
) -> None:
    monkeypatch.delenv("DICEBOX_ENGINE", raising=False)
    if around:
        monkeypatch.setenv("DICEBOX_ENGINE", around)
    house: Any = House(DataFolder(tmp_path), engine=engine)
    assert house.engine == expected
    assert house._environment("evolver")["DICEBOX_ENGINE"] == expected


def test_an_engine_that_is_none_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--data", str(tmp_path), "up", "--engine", "ray"]) == 2
    assert "'ray' is not one of 'local', 'celery'" in capsys.readouterr().err

"""What every engine promises, whatever runs the jobs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from commons.adapters.celery_engine import CeleryEngine
from commons.adapters.clock import SystemClock
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.local_engine import LocalEngine
from commons.errors import UnavailableError
from commons.jobs import JobSpec
from commons.ports import Engine
from tests.dicebox_processes import is_alive
from tests.engine_workers import WorkerStarter, worker_starter
from tests.servers import Rabbit
from tests.small_disk import mounted_disk

WAIT_S = 30


@pytest.fixture(params=["local", pytest.param("celery", marks=pytest.mark.integration)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "celery":
        yield request.getfixturevalue("celery_engine")
        return
    engine = LocalEngine(workers=2, blobs_url=str(tmp_path / "blobs"), folder=tmp_path / "engine")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def starter() -> Iterator[WorkerStarter]:
    with worker_starter() as starter:
        yield starter


@pytest.fixture
def celery_engine(rabbit: Rabbit, starter: WorkerStarter, tmp_path: Path) -> Iterator[CeleryEngine]:
    """Give an engine with one worker of two slots."""
    engine = CeleryEngine(
        broker_url=rabbit.url, blobs=FileBlobs(tmp_path / "blobs"), clock=SystemClock()
    )
    starter.start(rabbit.url, tmp_path, DICEBOX_SLOTS="2")
    assert engine.wait_for_workers(WAIT_S) == 2
    yield engine
    engine.close()
    starter.end_all()


def job(name: str, job_id: str = "run/1/search", **arguments: Any) -> JobSpec:
    timeout_s = arguments.pop("timeout_s", None)
    function = f"tests.engine_jobs:{name}"
    return JobSpec(id=job_id, function=function, arguments=arguments, timeout_s=timeout_s)


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)
    return value


def process_of(engine: Engine) -> int:
    """Return the process that runs a job which has reported its own."""
    reports = eventually(lambda: [e for e in engine.events(0) if "process" in e.data])
    return int(reports[-1].data["process"])


def test_a_job_gives_its_value_and_its_cost(engine: Engine) -> None:
    result = engine.submit(job("double", number=21)).result(WAIT_S)
    assert (result.outcome, result.id) == ("ok", "run/1/search")
    assert result.value is not None
    assert result.value["number"] == 42
    assert result.seconds >= 0
    assert result.worker


def test_jobs_run_in_processes_of_their_own_that_are_used_again(engine: Engine) -> None:
    results = [engine.submit(job("double", job_id=f"r/{n}/s", number=n)) for n in range(8)]
    processes = {future.result(WAIT_S).value["process"] for future in results}  # type: ignore[index]
    assert os.getpid() not in processes
    assert len(processes) <= engine.capacity() == 2


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("diverge", "diverged", "NaN in epoch 2"),
        ("stumble", "error", "no such layer"),
        ("run_out_of_memory", "out-of-memory", "1 TB"),
        ("die", "killed", "SIGKILL"),
        ("leave", "error", "code 7"),
    ],
)
def test_a_failure_is_a_result_with_a_reason(
    engine: Engine, name: str, outcome: str, reason: str
) -> None:
    result = engine.submit(job(name)).result(WAIT_S)
    assert result.outcome == outcome
    assert reason in (result.reason or "")
    assert result.value is None


def test_a_job_that_names_nothing_is_a_failed_job(engine: Engine) -> None:
    result = engine.submit(job("there_is_no_such_job")).result(WAIT_S)
    assert result.outcome == "error"
    assert "there_is_no_such_job" in (result.reason or "")


def test_after_a_crash_the_next_jobs_run(engine: Engine) -> None:
    crashes = [engine.submit(job("die", job_id=f"crash/{n}")) for n in range(4)]
    after = engine.submit(job("double", job_id="after/1", number=2))
    assert {future.result(WAIT_S).outcome for future in crashes} == {"killed"}
    assert after.result(WAIT_S).outcome == "ok"


def test_a_worker_killed_while_idle_is_replaced(engine: Engine) -> None:
    for n in range(2):
        value = engine.submit(job("double", job_id=f"before/{n}", number=2)).result(WAIT_S).value
        assert value is not None
        os.kill(value["process"], signal.SIGKILL)
    for n in range(4):
        result = engine.submit(job("double", job_id=f"after/{n}", number=2)).result(WAIT_S)
        assert result.outcome == "ok", result.reason


@pytest.mark.parametrize("name", ["sleep", "sleep_in_c"])
def test_a_job_past_its_time_is_ended(engine: Engine, name: str) -> None:
    result = engine.submit(job(name, seconds=60, timeout_s=0.5)).result(WAIT_S)
    assert result.outcome == "timed-out"
    assert 0.5 <= result.seconds < 10
    assert engine.submit(job("double", job_id="after", number=1)).result(WAIT_S).outcome == "ok"


@pytest.mark.parametrize("name", ["sleep", "sleep_in_c"])
def test_a_running_job_is_killed_within_two_seconds(engine: Engine, name: str) -> None:
    future = engine.submit(job(name, seconds=60))
    process = process_of(engine)
    started = time.monotonic()
    assert engine.kill("run/1/search")
    assert future.result(WAIT_S).outcome == "cancelled"
    eventually(lambda: not is_alive(process))
    assert time.monotonic() - started < 2


def test_a_waiting_job_is_cancelled_and_never_starts(engine: Engine, tmp_path: Path) -> None:
    busy = [engine.submit(job("sleep", job_id=f"busy/{n}", seconds=60)) for n in range(2)]
    waiting = engine.submit(job("count_calls", job_id="waiting", file=str(tmp_path / "calls")))
    assert engine.kill("waiting")
    for n in range(2):
        assert engine.kill(f"busy/{n}")
    assert waiting.result(WAIT_S).outcome == "cancelled"
    assert {future.result(WAIT_S).outcome for future in busy} == {"cancelled"}
    assert not (tmp_path / "calls").exists()


def test_killing_what_is_not_there_says_so(engine: Engine) -> None:
    assert not engine.kill("nobody")
    engine.submit(job("double", job_id="done", number=1)).result(WAIT_S)
    assert not engine.kill("done")


def test_a_job_with_a_stored_result_is_not_run_again(engine: Engine, tmp_path: Path) -> None:
    spec = job("count_calls", file=str(tmp_path / "calls"))
    first = engine.submit(spec).result(WAIT_S)
    second = engine.submit(spec).result(WAIT_S)
    assert first == second
    assert (tmp_path / "calls").read_text() == "x"


def test_the_result_is_in_the_blobs_before_the_future_is_done(
    engine: Engine, tmp_path: Path
) -> None:
    result = engine.submit(job("double", number=4)).result(WAIT_S)
    stored = FileBlobs(tmp_path / "blobs").get("results/run/1/search.json")
    assert stored == result.model_dump_json().encode()


@pytest.mark.parametrize("end", ["killed", "timed out", "cancelled"])
def test_what_a_worker_had_stored_when_it_ended_is_the_result(engine: Engine, end: str) -> None:
    if end == "killed":
        future = engine.submit(job("store_and_die"))
    else:
        timeout_s = 2.0 if end == "timed out" else None
        future = engine.submit(job("store_and_sleep", seconds=60, timeout_s=timeout_s))
        process_of(engine)
    if end == "cancelled":
        assert engine.kill("run/1/search")
    result = future.result(WAIT_S)
    assert (result.outcome, result.value, result.seconds) == ("ok", {"number": 42}, 1.5)
    assert engine.submit(job("double", job_id="after", number=1)).result(WAIT_S).outcome == "ok"


def test_progress_is_reported_while_the_job_runs(engine: Engine) -> None:
    engine.submit(job("sleep", seconds=60))
    event = eventually(lambda: engine.events(0))[0]
    assert event.job == "run/1/search"
    assert engine.events(event.sequence) == []
    assert [worker.job for worker in engine.workers()].count("run/1/search") == 1
    assert engine.kill("run/1/search")
    eventually(lambda: all(worker.job is None for worker in engine.workers()))


def test_a_closed_engine_leaves_no_process_and_takes_no_job(tmp_path: Path) -> None:
    engine = LocalEngine(workers=2, blobs_url=str(tmp_path / "b"), folder=tmp_path / "e")
    future = engine.submit(job("sleep", seconds=60))
    waiting = [engine.submit(job("sleep", job_id=f"w/{n}", seconds=60)) for n in range(3)]
    process = process_of(engine)
    engine.close()
    assert future.result(WAIT_S).outcome == "cancelled"
    assert {f.result(WAIT_S).outcome for f in waiting} == {"cancelled"}
    assert not is_alive(process)
    with pytest.raises(UnavailableError):
        engine.submit(job("double", number=1))
    engine.close()


@pytest.mark.integration
def test_a_closed_engine_of_many_machines_leaves_no_training(
    celery_engine: CeleryEngine, tmp_path: Path
) -> None:
    future = celery_engine.submit(job("sleep", seconds=60))
    waiting = [celery_engine.submit(job("sleep", job_id=f"w/{n}", seconds=60)) for n in range(3)]
    process = process_of(celery_engine)
    celery_engine.close()
    assert {f.result(0).outcome for f in (future, *waiting)} == {"cancelled"}
    eventually(lambda: not is_alive(process))
    assert [*FileBlobs(tmp_path / "blobs").names("results/")] == []
    with pytest.raises(UnavailableError):
        celery_engine.submit(job("double", number=1))


def test_a_worker_that_grew_too_large_is_replaced_between_jobs(tmp_path: Path) -> None:
    engine = LocalEngine(
        workers=1,
        blobs_url=str(tmp_path / "b"),
        folder=tmp_path / "e",
        worker_memory_bytes=200 * 2**20,
    )
    processes = []
    for n in range(4):
        value = engine.submit(job("grow", job_id=f"g/{n}", bytes=120 * 2**20)).result(WAIT_S).value
        assert value is not None
        processes.append(value["process"])
    engine.close()
    assert len(set(processes)) == 2
    assert engine.recycled == 2


def test_a_worker_is_replaced_after_its_number_of_jobs(tmp_path: Path) -> None:
    engine = LocalEngine(workers=1, blobs_url=str(tmp_path / "b"), folder=tmp_path, worker_jobs=2)
    processes = []
    for n in range(5):
        value = engine.submit(job("double", job_id=f"d/{n}", number=n)).result(WAIT_S).value
        assert value is not None
        processes.append(value["process"])
    engine.close()
    assert len(set(processes)) == 3
    assert processes[0] == processes[1] != processes[2] == processes[3] != processes[4]
    assert engine.recycled == 2


def test_two_engines_in_one_folder_leave_each_other_alone(tmp_path: Path) -> None:
    first, second = (
        LocalEngine(workers=1, blobs_url=str(tmp_path / "b"), folder=tmp_path) for _ in range(2)
    )
    assert first.submit(job("double", job_id="a/1", number=1)).result(WAIT_S).outcome == "ok"
    assert second.submit(job("double", job_id="a/2", number=2)).result(WAIT_S).outcome == "ok"
    assert [event.job for event in first.events(0)] == ["a/1"]
    second.close()
    assert first.submit(job("double", job_id="a/3", number=3)).result(WAIT_S).outcome == "ok"
    first.close()
    assert [*(tmp_path / "engines").iterdir()] == []


def test_what_a_killed_worker_left_lying_about_goes_with_the_engine(tmp_path: Path) -> None:
    engine = LocalEngine(workers=1, blobs_url=str(tmp_path / "b"), folder=tmp_path)
    result = engine.submit(job("litter_and_die")).result(WAIT_S)
    assert result.outcome == "killed"
    assert [file.read_text() for file in tmp_path.glob("engines/*/*.litter")] == ["x"]
    engine.close()
    assert [*(tmp_path / "engines").iterdir()] == []


def test_workers_end_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from commons.adapters.local_engine import LocalEngine\n"
        "from commons.jobs import JobSpec\n"
        "folder = Path(sys.argv[1])\n"
        "if __name__ == '__main__':\n"
        "    engine = LocalEngine(workers=1, blobs_url=str(folder / 'b'), folder=folder)\n"
        "    engine.submit(JobSpec(id='j', function='tests.engine_jobs:sleep_in_c',\n"
        "        arguments={'seconds': 300})).result()\n"
    )
    file = tmp_path / "submitter.py"
    file.write_text(script, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, str(file), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    progress = eventually(lambda: [*tmp_path.glob("engines/*/worker-1.jsonl")])[0]
    eventually(progress.read_text)
    worker = int(progress.read_text().split('"process": ')[1].split("}")[0])
    assert is_alive(worker)
    parent.kill()
    parent.wait()
    eventually(lambda: not is_alive(worker))


def test_an_engine_clears_up_after_one_that_was_killed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, kept = (tmp_path / "engines" / f"{pid}-00000000" for pid in (ended.pid, os.getpid()))
    left.mkdir(parents=True)
    kept.mkdir()
    engine = LocalEngine(workers=1, blobs_url=str(tmp_path / "b"), folder=tmp_path)
    engine.submit(job("double", number=1)).result(WAIT_S)
    engine.close()
    assert not left.exists()
    assert kept.exists()


def test_a_result_that_finds_no_room_is_an_error_and_can_be_had_later(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", "256k") as disk:
        engine = LocalEngine(workers=1, blobs_url=str(disk), folder=tmp_path / "engine")
        filler = disk / "filler"
        filler.write_bytes(b"x" * (256 * 1024))
        try:
            result = engine.submit(job("double", number=21)).result(WAIT_S)
            assert (result.outcome, result.value) == ("error", None)
            assert "no space is left to store results/run/1/search.json" in str(result.reason)
            filler.unlink()
            assert engine.submit(job("double", number=21)).result(WAIT_S).outcome == "ok"
        finally:
            engine.close()

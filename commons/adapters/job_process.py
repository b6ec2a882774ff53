"""The inside of a worker process: find the function a job names, run it, keep the result."""

import importlib
import json
import logging
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from commons.adapters.blobs import open_blobs
from commons.adapters.cards import check_card
from commons.adapters.parent_death import end_with_parent
from commons.errors import DiceboxError, JobFailedError, StorageFullError, UnavailableError
from commons.jobs import (
    JobContext,
    JobFunction,
    JobResult,
    JobSpec,
    Outcome,
    result_blob,
    stored_result,
)
from commons.ports import Blobs

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerPlace:
    """Where a worker stands: its name, its folders, its share of the machine.

    `environment` is what it finds there beside what its parent has; with `check_card` it must
    find the card that this names. `process` is the file in which it writes its process id.
    """

    name: str
    blobs_url: str
    cache: str
    progress: str
    process: str
    temporary: str
    log: str
    threads: int
    environment: Mapping[str, str] = field(default_factory=dict)
    check_card: bool = False


class JobReply(BaseModel):
    """What a worker process answers: the result, and how large it has become."""

    result: JobResult
    resident_bytes: int


def start_worker(place: WorkerPlace) -> None:
    """Prepare a fresh worker process; the numeric libraries are imported later, by the job."""
    global _place  # noqa: PLW0603 - a process is one worker, and pebble hands nothing through
    _place = place
    # pebble's own handler waits for Python to come back from C code; the default does not.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threads = str(place.threads)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[name] = threads
    os.environ.update(place.environment)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # A killed worker leaves its temporary files (TensorFlow makes some) where the engine clears up.
    os.environ["TMPDIR"] = tempfile.tempdir = place.temporary
    _write_output_to(Path(place.log))
    end_with_parent()
    Path(place.process).write_text(str(os.getpid()), encoding="ascii")


def run_job(spec_json: str) -> str:
    """Run a job in this process and return its `JobReply` as JSON."""
    spec = JobSpec.model_validate_json(spec_json)
    blobs = open_blobs(_place.blobs_url)
    result = stored_result(blobs, spec.id)
    if result is None:
        result = _run(spec, blobs)
        # What the platform failed at can be run again: it has no result yet.
        result = result if result.platform else _kept(result, blobs)
    return JobReply(result=result, resident_bytes=_resident_bytes()).model_dump_json()


def _kept(result: JobResult, blobs: Blobs) -> JobResult:
    """Return a result once it is in the blobs, or what kept it from there."""
    try:
        if blobs.put(result_blob(result.id), result.model_dump_json().encode()):
            return result
        return stored_result(blobs, result.id) or result
    except DiceboxError as error:
        # No result is stored: the same job can be run again when there is room.
        reason = str(error) if result.value is not None else f"{result.reason}; {error}"
        fault = {"outcome": "error", "value": None, "reason": reason, "platform": True}
        return result.model_copy(update=fault)


def read_reports(progress: Path, start: int) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines after byte `start` of a progress file, and where they end."""
    try:
        with progress.open("rb") as file:
            file.seek(start)
            data = file.read()
    except FileNotFoundError:
        return [], start
    whole = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], start + len(whole)


def _run(spec: JobSpec, blobs: Blobs) -> JobResult:
    started = time.monotonic()

    def ended(
        outcome: Outcome,
        value: dict[str, Any] | None = None,
        reason: str | None = None,
        *,
        platform: bool = False,
    ) -> JobResult:
        return JobResult(
            id=spec.id,
            outcome=outcome,
            value=value,
            reason=reason,
            seconds=time.monotonic() - started,
            worker=_place.name,
            platform=platform,
        )

    context = JobContext(spec.id, blobs, Path(_place.cache), _reporter(spec.id))
    try:
        _check_card()
        return ended("ok", _function(spec.function)(spec.arguments, context))
    except JobFailedError as error:
        return ended(error.outcome, reason=error.reason)  # type: ignore[arg-type]
    except (UnavailableError, StorageFullError) as error:
        return ended("error", reason=str(error), platform=True)
    except DiceboxError as error:
        # Its message is a sentence for people: where it was raised adds nothing.
        return ended("error", reason=str(error))
    except MemoryError as error:
        return ended("out-of-memory", reason=str(error) or "no memory left")
    except Exception as error:  # the outermost loop of this process
        _LOG.exception("job %s failed", spec.id)
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        return ended("error", reason=reason)


@cache
def _check_card() -> None:
    if _place.check_card:
        check_card(_place.environment.get("CUDA_VISIBLE_DEVICES"))


def _function(dotted: str) -> JobFunction:
    module, _, name = dotted.partition(":")
    function: JobFunction = getattr(importlib.import_module(module), name)
    return function


def _reporter(job_id: str) -> Callable[[dict[str, Any]], None]:
    def report(data: dict[str, Any]) -> None:
        line = json.dumps({"job": job_id, "worker": _place.name, "time": time.time(), "data": data})
        # One write of one line in append mode: a killed worker leaves no half line behind it
        # that a later one would continue.
        descriptor = os.open(_place.progress, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)

    return report


def _write_output_to(log: Path) -> None:
    """Send everything this process prints, from C code too, to its log file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, sys.stdout.fileno())
    os.dup2(descriptor, sys.stderr.fileno())
    os.close(descriptor)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")


def _resident_bytes() -> int:
    """Return the present resident size; where the system does not tell, the peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


_place: WorkerPlace

"""Jobs for the engine's contract suite, named by their dotted names."""

import ctypes
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from commons.errors import JobFailedError, UnavailableError
from commons.jobs import JobContext, JobResult, result_blob

PROCESS_STARTED = time.time()


def double(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    context.report({"seen": arguments["number"]})
    return {"number": arguments["number"] * 2, "process": os.getpid()}


def environment(arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    return {name: os.environ.get(name) for name in arguments["names"]}


def count_calls(arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    with Path(arguments["file"]).open("a", encoding="ascii") as file:
        file.write("x")
    return {}


def sleep(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    context.report({"process": os.getpid()})
    time.sleep(arguments["seconds"])
    return {}


def sleep_until(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    context.report({"process": os.getpid()})
    while not Path(arguments["file"]).exists():
        time.sleep(0.02)
    return {}


def sleep_in_c(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    context.report({"process": os.getpid()})
    # PyDLL keeps the interpreter lock: no Python code runs in this process meanwhile.
    ctypes.PyDLL(None).sleep(arguments["seconds"])
    return {}


def diverge(_arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    raise JobFailedError("diverged", "the loss became NaN in epoch 2")


def stumble(_arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    raise KeyError("no such layer")


def run_out_of_memory(_arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    raise MemoryError("1 TB asked for")


def die(_arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def store_and_die(_arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    _store(context)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def store_and_sleep(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    _store(context)
    context.report({"process": os.getpid()})
    time.sleep(arguments["seconds"])
    return {}


def _store(context: JobContext) -> None:
    """Store what the worker does when a job has ended, before it answers."""
    result = JobResult(id=context.job_id, outcome="ok", value={"number": 42}, seconds=1.5)
    context.blobs.put(result_blob(context.job_id), result.model_dump_json().encode())


def litter_and_die(_arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".litter", delete=False) as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def leave(_arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    os._exit(7)


def hoard(arguments: dict[str, Any], context: JobContext) -> dict[str, Any]:
    KEPT.append(b"x" * arguments["bytes"])
    context.report({"process": os.getpid()})
    time.sleep(arguments["seconds"])
    return {}


def miss_a_service(_arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    raise UnavailableError("the sensory service does not answer")


def grow(arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    KEPT.append(b"x" * arguments["bytes"])
    return {"process": os.getpid()}


KEPT: list[bytes] = []

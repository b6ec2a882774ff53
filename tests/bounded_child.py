"""Work in a process of its own, which says how much memory and processor time it took."""

import ctypes
import gc
import json
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

MOST_BYTES = 256 << 20
MOST_CPU_S = 20.0
Opened = TypeVar("Opened")


def measured(open_it: Callable[[], Opened], send: Callable[[Opened], object]) -> tuple[Any, int]:
    """Return what `send` returned, as JSON has it, and the bytes that memory grew by.

    Fails where that is more than `MOST_BYTES`, or takes more than `MOST_CPU_S`.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            opened = open_it()
            forget_peak()
            before = resource.getrusage(resource.RUSAGE_SELF)
            answer = send(opened)
            after = resource.getrusage(resource.RUSAGE_SELF)
            grown = 1024 * (after.ru_maxrss - before.ru_maxrss)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            os.write(writer, json.dumps([answer, grown, cpu]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    assert told, "it ended without an answer"
    answer, grown, cpu = json.loads(told)
    assert grown <= MOST_BYTES
    assert cpu <= MOST_CPU_S, "work without end"
    return answer, grown


def forget_peak() -> None:
    """Give freed memory back and begin the measure anew: what is left of others hides growth."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")

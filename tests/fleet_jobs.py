"""Jobs for tests of a fleet, named by their dotted names and imported in a worker's child alone."""

import time
from typing import Any

from commons.jobs import JobContext

_PIECE = 2**20


def fill_memory(arguments: dict[str, Any], _context: JobContext) -> dict[str, Any]:
    """Take `megabytes` of memory and keep them for `seconds`."""
    kept = [b"x" * _PIECE for _ in range(arguments["megabytes"])]
    time.sleep(arguments["seconds"])
    return {"pieces": len(kept)}

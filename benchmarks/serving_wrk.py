"""A closed loop with wrk: so many connections, each of which asks as soon as it is answered."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commons.errors import DiceboxError, UnavailableError

_TIMEOUT_S = 10
_MORE_S = 30
_SCRIPT = """
local file = io.open(%(image)s, "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
%(headers)s
done = function(summary, latency, requests)
  local failed = summary.errors
  io.write(string.format(
    '\\n{"requests": %%d, "seconds": %%f, "refused": %%d, "lost": %%d, "bad": %%d, ' ..
    '"timeouts": %%d, "p50_ms": %%f, "p99_ms": %%f}\\n',
    summary.requests, summary.duration / 1e6, failed.connect, failed.read + failed.write,
    failed.status, failed.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


@dataclass(frozen=True)
class Closed:
    """What wrk saw.

    Args:
        rate: Good answers a second.
        failed: Requests without a good answer.
        p50_ms: The median of the answers' times, in milliseconds.
        p99_ms: Their 99th percentile.
    """

    rate: float
    failed: int
    p50_ms: float
    p99_ms: float


def need_wrk() -> str:
    """Return the path of wrk.

    Raises:
        UnavailableError: It is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise UnavailableError("wrk is not installed: `apt-get install wrk`")
    return found


def closed_loop(
    url: str, body: bytes, headers: Mapping[str, str], *, connections: int, seconds: float
) -> Closed:
    """Return how many requests a server answers, one thread of wrk beside it.

    Raises:
        UnavailableError: wrk is not installed.
        DiceboxError: It failed, or there was not one good answer.
    """
    command = [need_wrk(), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    with tempfile.TemporaryDirectory(prefix="wrk-") as folder:
        sent, script = Path(folder) / "body", Path(folder) / "script.lua"
        sent.write_bytes(body)
        text = _SCRIPT % {"image": _quoted(str(sent)), "headers": _headers(headers)}
        script.write_text(text, encoding="utf-8")
        ended = subprocess.run(
            [*command, f"--timeout={_TIMEOUT_S}s", "-s", str(script), url],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + _MORE_S,
        )
    if ended.returncode != 0:
        raise DiceboxError(f"wrk ended with {ended.returncode}: {ended.stderr[-500:]}")
    return read_figures(ended.stdout)


def read_figures(output: str) -> Closed:
    """Return what the script prints at the end of wrk's output.

    Raises:
        DiceboxError: There is nothing of it, or not one good answer.
    """
    lines = [line for line in output.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    good = found.get("requests", 0) - found.get("bad", 0)
    if good <= 0:
        raise DiceboxError(f"wrk got no good answer: {output[-500:]}")
    failed = sum(found[name] for name in ("refused", "lost", "bad", "timeouts"))
    return Closed(good / found["seconds"], failed, found["p50_ms"], found["p99_ms"])


def _headers(headers: Mapping[str, str]) -> str:
    return "\n".join(
        f"wrk.headers[{_quoted(name)}] = {_quoted(value)}" for name, value in headers.items()
    )


def _quoted(text: str) -> str:
    """Return a string of Lua, whose escapes are those of JSON where the text is ASCII."""
    if not text.isascii():
        raise DiceboxError(f"expected ASCII, got {text!r}")
    return json.dumps(text)

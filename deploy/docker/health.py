"""The health check of every image: one line and code 1 when something is wrong.

    health.py PORT PATH             PATH/readyz answers 200; once it did, PATH/healthz does;
                                    DICEBOX_PORT, or PORT, counts instead where it is set
    health.py PORT PATH --plain     PATH answers 200
    health.py --tcp PORT            somebody takes connections there
    health.py --file FILE --age S   FILE was touched within S seconds

A service has to be ready once. From then on it has to live: whoever replaced every service whose
database is away would make things worse. It runs every few seconds in every container, as
`python3 -I -S`, and so imports little. One answer takes 2.5 seconds at most; Docker waits longer,
so that a check that has no core yet is not taken for a service that hangs.
"""

import os
import socket
import sys
import time

_LIMIT_S = 2.5
_LONGEST = 65536
_OK = 200
_UNAVAILABLE = 503
# Who can store nothing more still answers.
_NO_ROOM = ["room"]


def main(arguments: list[str]) -> str | None:
    """Return what is wrong, or None."""
    try:
        match arguments:
            case ["--tcp", port]:
                socket.create_connection(("127.0.0.1", int(port)), _LIMIT_S).close()
                return None
            case ["--file", file, "--age", age]:
                return _stale(file, float(age))
            case [port, path, "--plain"]:
                return _answers(int(port), path)
            case [port, path]:
                # Who moves a service by a setting does not move its image's check.
                told = os.environ.get("DICEBOX_PORT") or os.environ.get("PORT") or port
                return _lives(int(told), path)
    except (OSError, ValueError) as error:
        return f"{' '.join(arguments)}: {error}"
    return __doc__


def _lives(port: int, path: str) -> str | None:
    marker = os.environ.get("HEALTH_MARKER", "/tmp/was-ready")  # noqa: S108 - the container's own
    # A restarted container may have kept its files; its first process is another one.
    life = _start_of_first_process()
    if _read(marker) == life:
        return _answers(port, f"{path}/healthz")
    status, body = _get(port, f"{path}/readyz")
    if status == _OK or (status == _UNAVAILABLE and _missing(body) == _NO_ROOM):
        try:
            with open(marker, "wb") as file:
                file.write(life)
        except OSError:
            pass  # It is asked whether it is ready again, which is stricter.
        return None
    return f"{path}/readyz: {status} {body.decode(errors='replace').strip()}"


def _answers(port: int, path: str) -> str | None:
    status, _ = _get(port, path)
    return None if status == _OK else f"{path}: {status}"


def _stale(file: str, age: float) -> str | None:
    seconds = time.time() - os.stat(file).st_mtime
    return None if seconds <= age else f"{file}: not touched for {seconds:.0f} s"


def _get(port: int, path: str) -> tuple[int, bytes]:
    """Return the status and the body; what is not there by the limit counts as not said."""
    end = time.monotonic() + _LIMIT_S
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    received = b""
    with socket.create_connection(("127.0.0.1", port), _LIMIT_S) as connection:
        connection.sendall(request.encode())
        while len(received) < _LONGEST:
            connection.settimeout(max(end - time.monotonic(), 0.001))
            part = connection.recv(_LONGEST)
            if not part:
                break
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):  # noqa: PLR2004 - HTTP/1.1 200
        raise ValueError(f"no answer at {path}")
    return int(words[1]), body


def _missing(body: bytes) -> list[str]:
    import json  # noqa: PLC0415 - seldom needed, and slow to load

    said = json.loads(body)
    return sorted(said.get("missing", ())) if isinstance(said, dict) else []


def _read(file: str) -> bytes | None:
    try:
        with open(file, "rb") as opened:
            return opened.read(_LONGEST)
    except OSError:
        return None


def _start_of_first_process() -> bytes:
    stat = _read("/proc/1/stat")
    # After the name, which may hold blanks: the 20th field, in ticks since the machine's start.
    return stat.rpartition(b")")[2].split()[19] if stat else b"?"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

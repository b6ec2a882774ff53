"""Who is sent what: an address and whole HTTP requests, made before the first one is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from commons.errors import InvalidInputError

_PORT = 80
_IN_PATHS = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True)
class Target:
    """An address and the requests that it gets, in turn."""

    host: str
    port: int
    requests: Sequence[bytes]


def target_of(
    url: str,
    bodies: Sequence[bytes],
    *,
    path: str = "/",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Target:
    """Return the target that gets each of the bodies in a POST request.

    Args:
        url: `http://host:port`, or with a path of its own.
        bodies: What is sent; at least one.
        path: Where to, if the URL has no path.
        query: Added to what the URL asks for.
        headers: In place of ours, or beside them.

    Raises:
        InvalidInputError: The URL is none of `http://`, or there is no body.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        host, port = None, _PORT
    if host is None or parts.scheme != "http":
        raise InvalidInputError(f"expected an address like http://127.0.0.1:8003, got {url!r}")
    if not bodies:
        raise InvalidInputError("expected at least one image to send, got none")
    place = parts.path if parts.path not in ("", "/") else path
    asked = "&".join(filter(None, [parts.query, urlencode(query or {})]))
    line = f"POST {quote(place, _IN_PATHS)}{'?' if asked else ''}{asked} HTTP/1.1\r\n"
    given = {
        "Host": parts.netloc.rpartition("@")[2],
        "User-Agent": "dicebox-load",
        "Content-Type": "application/octet-stream",
        **{name.title(): value for name, value in (headers or {}).items()},
    }
    if "Content-Length" in given or any(c in "".join(given.values()) for c in "\r\n"):
        raise InvalidInputError("expected headers of one line each, and no Content-Length")
    head = line + "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return Target(host, port, [_request(head, body) for body in bodies])


def _request(head: str, body: bytes) -> bytes:
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body

"""The head of a request, from its first line to the empty one, as WSGI has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from commons.errors import InvalidInputError

_VERSIONS = frozenset({"1.0", "1.1"})
_PLAIN = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a request says.

    `length` is None where the body comes in chunks; `environ` is shared by requests with the
    same head: whoever answers them may only add what follows from it.
    """

    method: str
    path: str
    environ: dict[str, Any]
    length: int | None
    is_kept_alive: bool
    expects_continue: bool

    @property
    def content_type(self) -> str:
        """The kind of content that the body is said to be."""
        return str(self.environ.get("CONTENT_TYPE", ""))


def parsed_head(
    method: bytes,
    url: bytes,
    version: str,
    headers: Sequence[tuple[bytes, bytes]],
    peer: str,
    own: tuple[str, int],
    *,
    is_kept_alive: bool,
) -> Head:
    """Return the head of a request that a strict parser has taken apart.

    Raises:
        InvalidInputError: The version or the address is none, or there is no `Host`.
    """
    if version not in _VERSIONS:
        raise InvalidInputError(f"expected HTTP/1.1, got {version}", kind="bad-request")
    target = url.partition(b"#")[0]
    if not target.startswith(b"/"):
        # A proxy's form of an address: its path is behind the third slash.
        _, found, rest = target.partition(b"://")
        target = b"/" + rest.partition(b"/")[2] if found else target
        if not target.startswith(b"/"):
            raise InvalidInputError(f"expected a path, got {url[:100]!r}", kind="bad-request")
    path, _, query = target.partition(b"?")
    text = unquote_to_bytes(path).decode("latin-1")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method.decode("latin-1"),
        "SCRIPT_NAME": "",
        "PATH_INFO": text,
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{version}",
        "SERVER_NAME": own[0],
        "SERVER_PORT": str(own[1]),
        "REMOTE_ADDR": peer,
    }
    is_chunked = False
    for name, value in headers:
        key = _environ_name(name)
        if key is None:
            continue
        is_chunked = is_chunked or key == "HTTP_TRANSFER_ENCODING"
        given = value.decode("latin-1").strip()
        known = environ.get(key)
        joint = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = given if known is None else f"{known}{joint}{given}"
    if version == "1.1" and "HTTP_HOST" not in environ:
        raise InvalidInputError("expected a Host header, got none", kind="bad-request")
    length = None if is_chunked else int(environ.get("CONTENT_LENGTH") or 0)
    keeps = is_kept_alive and version == "1.1"
    expects = environ.get("HTTP_EXPECT", "").lower() == "100-continue" and version == "1.1"
    return Head(environ["REQUEST_METHOD"], text, environ, length, keeps, expects)


@lru_cache(512)
def _environ_name(name: bytes) -> str | None:
    """Return what WSGI calls a header; nothing for one that would pass for another."""
    if b"_" in name:
        return None
    text = name.decode("latin-1").upper()
    return _PLAIN.get(text) or f"HTTP_{text.replace('-', '_')}"

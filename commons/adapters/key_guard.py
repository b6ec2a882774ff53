"""Decides whether a request may pass: the one place where keys are asked for.

It reads the WSGI environment and nothing else, so that it serves Flask's views and bare
callables alike. A good key is remembered for some seconds: the hot routes ask no table.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from commons.auth import (
    COOKIE,
    SCOPES,
    Caller,
    KeyFinder,
    KeyInfo,
    PresentedKey,
    Scope,
    allows,
    present_key,
)
from commons.errors import DiceboxError, ForbiddenError, UnauthorizedError, UnavailableError
from commons.listening import LOOPBACK

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

KeyPolicy = Literal["auto", "required"]
_REMEMBERED_S = 5.0
# So long before that is over somebody is asked again, while those who come do not wait for it.
_RENEWED_BEFORE_S = 2.0
_MOST_RENEWALS = 4
# So long a good key stays good while nobody can be asked: an update of the sensory service
# must not stop the classification service.
_GRACE_S = 120.0
_MOST_REMEMBERED = 4096
_KEYLESS_S = 1.0
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class KeyGuard:
    """Lets a request pass, or says why not.

    Args:
        keys: Who knows the keys.
        required: Whether everybody needs one. If not, requests from this very machine need
            none until the first key is made, as long as their Host and Origin are of this
            machine too: a page of another site in a browser here is refused.
    """

    def __init__(
        self,
        keys: KeyFinder,
        *,
        required: bool,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._required = required
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._remembered: dict[str, tuple[KeyInfo | None, float]] = {}
        self._renewing: set[str] = set()
        self._keys_exist = required
        self._asked_at = -_KEYLESS_S

    def admit(self, environ: "WSGIEnvironment", needed: Sequence[Scope]) -> Caller:
        """Return who calls, if they may: one of the needed scopes is enough, none needs none.

        Raises:
            UnauthorizedError: There is no key, or it is not good.
            ForbiddenError: The key lacks the scope, or the request comes from another site.
            UnavailableError: Nobody can be asked about the key.
        """
        text, from_cookie = _presented_text(environ)
        if text is None:
            return self._without_key(environ)
        if from_cookie:
            check_origin(environ)
        presented = present_key(text)
        key = self._find(presented) if presented is not None else None
        return self._allowed(key, needed)

    def admit_now(self, environ: "WSGIEnvironment", needed: Sequence[Scope]) -> Caller | None:
        """Return who calls, or None where somebody must be asked first: `admit` does, and waits.

        Raises:
            UnauthorizedError: There is no key, or it is not good.
            ForbiddenError: The key lacks the scope, or the request comes from another site.
        """
        text, from_cookie = _presented_text(environ)
        if text is None:
            is_known = self._keys_exist or self._monotonic() - self._asked_at < _KEYLESS_S
            return self._without_key(environ) if is_known else None
        if from_cookie:
            check_origin(environ)
        # What is no key at all is never remembered, and left to `admit` for that.
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        key, until = self._remembered.get(sha256, (None, -_GRACE_S))
        left = until - self._monotonic()
        if left <= 0:
            return None
        if left < _RENEWED_BEFORE_S and sha256 not in self._renewing:
            self._renew(text, sha256)
        return self._allowed(key, needed)

    def is_keyless(self) -> bool:
        """Say whether this machine needs no key yet."""
        if not self._keys_exist and self._monotonic() - self._asked_at >= _KEYLESS_S:
            # A key is never deleted, only revoked: once there was one, keys are asked for.
            self._keys_exist = self._keys.exists()
            self._asked_at = self._monotonic()
        return not self._keys_exist

    def forget(self) -> None:
        """Ask about every key again: one was made, revoked or traded here."""
        with self._lock:
            self._remembered.clear()
        self._asked_at = self._monotonic() - _KEYLESS_S

    def _allowed(self, key: KeyInfo | None, needed: Sequence[Scope]) -> Caller:
        if key is None or not key.is_good_at(self._now()):
            raise UnauthorizedError("this key is unknown, expired or revoked", kind="invalid-key")
        if not allows(key.scopes, needed):
            raise ForbiddenError(
                f"expected a key with the scope {' or '.join(needed)}, "
                f"this one has {', '.join(key.scopes)}",
                kind="missing-scope",
                scope=needed[0],
            )
        return Caller(key, key.scopes)

    def _without_key(self, environ: "WSGIEnvironment") -> Caller:
        if not _comes_from_here(environ) or not self.is_keyless():
            raise UnauthorizedError(
                "expected a key as `Authorization: Bearer dbx_...`; the dicebox command takes it "
                "from DICEBOX_KEY or DICEBOX_KEY_FILE"
            )
        check_local(environ)
        return Caller(None, SCOPES)

    def _find(self, presented: PresentedKey) -> KeyInfo | None:
        now = self._monotonic()
        key, until = self._remembered.get(presented.sha256, (None, -_GRACE_S))
        if now < until:
            return key
        try:
            return self._ask(presented)
        except UnavailableError:
            if key is not None and now < until + _GRACE_S:
                return key
            raise

    def _renew(self, text: str, sha256: str) -> None:
        """Have somebody asked about a remembered key in a thread that nobody waits for."""
        presented = present_key(text)
        if presented is None or len(self._renewing) >= _MOST_RENEWALS:
            return
        self._renewing.add(sha256)

        def renew() -> None:
            try:
                self._ask(presented)
            except DiceboxError:
                # Once it is forgotten whoever comes asks again, and hears what is wrong.
                return
            finally:
                self._renewing.discard(sha256)

        threading.Thread(target=renew, name="key-renewal", daemon=True).start()

    def _ask(self, presented: PresentedKey) -> KeyInfo | None:
        now = self._monotonic()
        key = self._keys.find(presented)
        with self._lock:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[presented.sha256] = (key, now + _REMEMBERED_S)
        return key


class NoKeys:
    """`commons.auth.KeyFinder` of a service that stands alone: there are no keys."""

    def find(self, presented: PresentedKey) -> KeyInfo | None:
        """Return nothing."""
        return None

    def exists(self) -> bool:
        """Say no."""
        return False


class OpenGuard(KeyGuard):
    """Lets everything pass: for a command that opens its own data folder in its own process."""

    def __init__(self) -> None:
        super().__init__(NoKeys(), required=False)

    def admit(self, environ: "WSGIEnvironment", needed: Sequence[Scope]) -> Caller:
        """Return somebody who may do everything."""
        return Caller(None, SCOPES)

    def admit_now(self, environ: "WSGIEnvironment", needed: Sequence[Scope]) -> Caller | None:
        """Return the same."""
        return Caller(None, SCOPES)


def check_origin(environ: "WSGIEnvironment") -> None:
    """Refuse what a page of another site makes a browser send along with our cookie.

    Raises:
        ForbiddenError: The Origin is another one than the Host, or missing where there must be one.
    """
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        if (
            environ["REQUEST_METHOD"] in _SAFE
            or environ.get("HTTP_SEC_FETCH_SITE") == "same-origin"
        ):
            return
        raise ForbiddenError("expected an Origin header beside the cookie", kind="foreign-origin")
    if _authority(origin) != environ.get("HTTP_HOST", ""):
        raise ForbiddenError(
            f"expected Origin to be this site, got {origin[:100]!r}", kind="foreign-origin"
        )


def check_local(environ: "WSGIEnvironment") -> None:
    """Refuse a name that was rebound to this machine, and pages of other sites.

    Raises:
        ForbiddenError: Host or Origin is not of this machine.
    """
    for name in ("HTTP_HOST", "HTTP_ORIGIN"):
        value = environ.get(name)
        if value is not None and not _is_local(value):
            raise ForbiddenError(
                f"expected {name[5:].title()} to be of this machine, got {value[:100]!r}",
                kind="foreign-origin",
            )


def _presented_text(environ: "WSGIEnvironment") -> tuple[str | None, bool]:
    """Return the key of a request, and whether it came as a cookie."""
    header: str | None = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        scheme, _, text = header.partition(" ")
        return (text.strip() if scheme.lower() == "bearer" else ""), False
    if COOKIE not in environ.get("HTTP_COOKIE", ""):
        return None, False
    try:
        morsel = SimpleCookie(environ["HTTP_COOKIE"]).get(COOKIE)
    except CookieError:
        return None, False
    return (morsel.value, True) if morsel is not None else (None, False)


def _comes_from_here(environ: "WSGIEnvironment") -> bool:
    """Say whether peer and, behind a proxy, client are this machine."""
    peer = environ.get("REMOTE_ADDR", "")
    forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", peer)).rpartition(",")[2].strip()
    return peer in LOOPBACK and forwarded in LOOPBACK


@lru_cache(256)
def _is_local(value: str) -> bool:
    try:
        return urlsplit(value if "//" in value else f"//{value}").hostname in LOOPBACK
    except ValueError:
        return False


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""

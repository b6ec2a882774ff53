"""What is done with keys: make, list, revoke, trade one for a cookie, and say which are good."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from commons.auth import (
    KeyInfo,
    KeyRequest,
    KeyTables,
    NewKey,
    PresentedKey,
    StoredKey,
    generate_key,
    is_same_secret,
    present_key,
    stored_key,
)
from commons.errors import DiceboxError, NotFoundError, UnauthorizedError
from commons.ports import Clock

LOGIN_S = 7 * 86400.0
_TOUCH_S = 60.0


class KeyDesk:
    """Keys over their tables; it is a `commons.auth.KeyFinder` too.

    Args:
        given: Keys that somebody else keeps: those of the house and its workers, or the first
            admin key of a stack, which comes from a secret file.
    """

    def __init__(
        self,
        tables: KeyTables,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        given: Sequence[StoredKey] = (),
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._random_bytes = random_bytes
        self._given = {key.id: key for key in given}

    def create(self, request: KeyRequest) -> NewKey:
        """Return a new key with its text, which is shown this once."""
        text = generate_key(self._random_bytes)
        now = self._clock.now()
        kept = stored_key(text, request.name, request.scopes, now)
        if request.expires_in_s is not None:
            kept = kept.model_copy(update={"expires": now + request.expires_in_s})
        self._tables.add(kept)
        return NewKey(key=text, **_info(kept).model_dump())

    def list(self) -> list[KeyInfo]:
        """Return all keys, newest first, also those that are no longer good."""
        return [_info(key) for key in self._tables.all()]

    def revoke(self, key_id: str) -> KeyInfo:
        """Return the key that is no longer good from now on; revoking twice is no error.

        Raises:
            NotFoundError: There is no such key.
        """
        kept = self._tables.get(key_id)
        if kept is None:
            raise NotFoundError(f"there is no key {key_id}")
        self._tables.revoke(key_id, self._clock.now())
        return _info(self._tables.get(key_id) or kept)

    def login(self, text: str) -> tuple[str, float]:
        """Return what goes into a cookie for a good key, and for how many seconds it holds.

        Raises:
            UnauthorizedError: The key is not good.
        """
        presented = present_key(text)
        key = self._kept(presented) if presented else None
        now = self._clock.now()
        # A cookie is no key to be traded again: it would outlive what it came from.
        if key is None or key.login_of is not None or not key.is_good_at(now):
            raise UnauthorizedError("this key is unknown, expired or revoked", kind="invalid-key")
        expires = min(now + LOGIN_S, key.expires or now + LOGIN_S)
        cookie = generate_key(self._random_bytes)
        kept = stored_key(cookie, key.name, key.scopes, now)
        self._tables.add(kept.model_copy(update={"login_of": key.id, "expires": expires}))
        return cookie, expires - now

    def logout(self, cookie: str) -> None:
        """Make a cookie worthless; one that is so already is no error."""
        presented = present_key(cookie)
        if presented is not None and self._kept(presented) is not None:
            self._tables.revoke(presented.id, self._clock.now())

    def find(self, presented: PresentedKey) -> KeyInfo | None:
        """Return the key if the secret is right and it is neither revoked nor expired."""
        kept = self._kept(presented)
        now = self._clock.now()
        if kept is None or not kept.is_good_at(now):
            return None
        if kept.id not in self._given and now - (kept.last_used or 0.0) >= _TOUCH_S:
            # A full disk must not lock everybody out.
            with suppress(DiceboxError):
                self._tables.touch(kept.id, now)
        return _info(kept)

    def exists(self) -> bool:
        """Say whether a person ever made a key."""
        return self._tables.exist()

    def has_good_key(self) -> bool:
        """Say whether somebody has a key that is good."""
        now = self._clock.now()
        return any(key.is_good_at(now) for key in (*self._given.values(), *self._tables.all()))

    def _kept(self, presented: PresentedKey) -> StoredKey | None:
        kept = self._given.get(presented.id) or self._tables.get(presented.id)
        return kept if kept is not None and is_same_secret(kept, presented) else None


def _info(kept: StoredKey) -> KeyInfo:
    return KeyInfo(**kept.model_dump(exclude={"sha256", "login_of"}))

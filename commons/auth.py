"""API keys as values: what they look like, what they may do, and whether one is good.

A key reads `dbx_<id>_<secret>`: twelve hex digits by which it is found and named, and 256
random bits that are shown once. Only the sha256 of the whole key is kept. No slow hash is
needed: nobody guesses 256 bits. The cookie of the page is a key of the same form that lives
and dies with the key it was traded for.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from commons.errors import InvalidInputError
from commons.settings import secret_text

Scope = Literal[
    "sensory:read",
    "sensory:write",
    "label",
    "train",
    "evolve",
    "publish",
    "classify",
    "admin",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)
COOKIE = "dicebox_session"
# What the trainings of a house need, and nothing else.
WORKER_SCOPES: tuple[Scope, ...] = ("sensory:read", "train", "publish")
# What the classification service needs to send corrections to the sensory service.
CLASSIFICATION_SCOPES: tuple[Scope, ...] = ("sensory:read", "sensory:write")

_FORM = re.compile(r"dbx_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_ID_BYTES = 6
_SECRET_BYTES = 32


class AuthMessage(BaseModel):
    """Base of the messages below: frozen, and nothing unknown slips in."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyInfo(AuthMessage):
    """A key as anybody may see it; times are unix seconds."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created: float
    expires: float | None = None
    last_used: float | None = None
    revoked: float | None = None

    def is_good_at(self, now: float) -> bool:
        """Say whether it is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class StoredKey(KeyInfo):
    """A key as it is kept; `login_of` is the key that a cookie was traded for."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    login_of: str | None = None


class KeyRequest(AuthMessage):
    """What a new key is to be; without `expires_in_s` it holds until it is revoked."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=len(SCOPES))]
    expires_in_s: float | None = Field(default=None, gt=0.0, le=3.2e9)


class NewKey(KeyInfo):
    """A key that was just made, with its text: shown this once and kept nowhere."""

    key: str


class KeyList(AuthMessage):
    """All keys, newest first."""

    keys: list[KeyInfo]


class LoginRequest(AuthMessage):
    """The key that is traded for a cookie."""

    key: str = Field(min_length=1, max_length=200)


class PresentedKey(AuthMessage):
    """What is asked about a key: its id and its sha256, never the key itself."""

    id: str = Field(pattern=r"^[0-9a-f]{12}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class WhoAmI(AuthMessage):
    """Who asks, and what they may do; `key` is null where no key is needed yet."""

    key: str | None
    name: str | None
    scopes: tuple[Scope, ...]
    expires: float | None


@dataclass(frozen=True)
class Caller:
    """Who a request comes from; without a key from this very machine."""

    key: KeyInfo | None
    scopes: tuple[Scope, ...]


class KeyFinder(Protocol):
    """Knows which keys are good. Any method raises `UnavailableError` if it cannot tell."""

    def find(self, presented: PresentedKey) -> KeyInfo | None:
        """Return the key if the secret is right and it is neither revoked nor expired."""
        ...

    def exists(self) -> bool:
        """Say whether any key was ever made."""
        ...


class KeyTables(Protocol):
    """Where keys are kept.

    Any method raises `UnavailableError` while that cannot be reached, and one that writes
    `StorageFullError` when there is no room.
    """

    def add(self, key: StoredKey) -> None:
        """Keep a key, and forget cookies that expired before it was made.

        Raises:
            ConflictError: There is a key with this id.
        """
        ...

    def get(self, key_id: str) -> StoredKey | None:
        """Return a key, also one that is no longer good."""
        ...

    def all(self) -> list[StoredKey]:
        """Return all keys, newest first, without those of cookies."""
        ...

    def exist(self) -> bool:
        """Say whether any key was ever added."""
        ...

    def revoke(self, key_id: str, now: float) -> None:
        """Revoke a key and the cookies it was traded for."""
        ...

    def touch(self, key_id: str, now: float) -> None:
        """Write down that a key was used, and with a cookie the key it was traded for."""
        ...


def generate_key(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new key from `secrets.token_bytes`."""
    secret = base64.urlsafe_b64encode(random_bytes(_SECRET_BYTES)).decode().rstrip("=")
    return f"dbx_{random_bytes(_ID_BYTES).hex()}_{secret}"


def present_key(text: str) -> PresentedKey | None:
    """Return what identifies a key, or nothing if the text is none."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    return PresentedKey(id=form[1], sha256=hashlib.sha256(text.encode()).hexdigest())


def is_same_secret(kept: StoredKey, presented: PresentedKey) -> bool:
    """Say whether the presented key is the kept one, in constant time."""
    return hmac.compare_digest(kept.sha256, presented.sha256)


def allows(scopes: Sequence[Scope], needed: Sequence[Scope]) -> bool:
    """Say whether one of the needed scopes is there; `admin` has all, and none needs none."""
    return not needed or "admin" in scopes or any(scope in scopes for scope in needed)


def stored_key(text: str, name: str, scopes: Sequence[Scope], now: float) -> StoredKey:
    """Return what is kept of a key.

    Raises:
        InvalidInputError: The text is no key.
    """
    presented = present_key(text)
    if presented is None:
        raise InvalidInputError(
            f"expected the key named {name} to read dbx_<12 hex digits>_<43 characters>, "
            f"got {len(text)} other characters (`dicebox keys generate` makes one)"
        )
    return StoredKey(
        id=presented.id, sha256=presented.sha256, name=name, scopes=tuple(scopes), created=now
    )


def key_from_env(environ: Mapping[str, str]) -> str | None:
    """Return the key in `DICEBOX_KEY`, or in the file that `DICEBOX_KEY_FILE` names.

    Raises:
        InvalidInputError: The file cannot be read, or is empty.
    """
    if environ.get("DICEBOX_KEY"):
        return environ["DICEBOX_KEY"].strip()
    file = environ.get("DICEBOX_KEY_FILE")
    if not file:
        return None
    try:
        return secret_text(file)
    except OSError as error:
        raise InvalidInputError(
            f"DICEBOX_KEY_FILE: cannot read {file}: {error.strerror}", kind="invalid-settings"
        ) from error
    except ValueError as error:
        raise InvalidInputError(f"DICEBOX_KEY_FILE: {error}", kind="invalid-settings") from error


def authorization(key: str | None) -> dict[str, str]:
    """Return the headers that a request carries a key in."""
    return {"Authorization": f"Bearer {key}"} if key else {}

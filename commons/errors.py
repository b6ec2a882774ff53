"""Every error that crosses a seam, one tree.

    DiceboxError
    ├── InvalidInputError      400  never again: the request itself is wrong
    ├── UnauthorizedError      401  no key, or one that is no longer good
    ├── ForbiddenError         403  not from here, or not with this key
    ├── NotFoundError          404  there is no such thing
    ├── SlowRequestError       408  the request did not come in time
    ├── ConflictError          409  it contradicts what is there
    ├── GoneError              410  it was there once
    ├── TooLargeError          413  above a stated limit
    ├── UnsupportedMediaError  415  a kind of content that this route does not take
    ├── UnavailableError       503  again later (`retry_after_s`)
    ├── DeadlineError          504  the caller's own deadline passed first
    └── StorageFullError       507  no room left; nothing was changed

    JobFailedError                  a job's own failure: a result, not a fault of the platform

A message says what was expected and what came. `kind` is the short stable word that
programs match on; people read the message.
"""


class DiceboxError(Exception):
    """Something the caller can act on, in one sentence."""

    kind = "error"

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind or type(self).kind


class InvalidInputError(DiceboxError):
    """The input is wrong and will be wrong again."""

    kind = "invalid-input"


class UnauthorizedError(DiceboxError):
    """The caller must say who they are: with a key, or with one that is still good."""

    kind = "unauthorized"


class ForbiddenError(DiceboxError):
    """The caller may not do this; `scope` is what their key lacks, if that is the reason."""

    kind = "forbidden"

    def __init__(self, message: str, *, kind: str | None = None, scope: str | None = None) -> None:
        super().__init__(message, kind=kind)
        self.scope = scope


class NotFoundError(DiceboxError):
    """What was named does not exist."""

    kind = "not-found"


class SlowRequestError(DiceboxError):
    """The request did not come whole in the time a client has for it."""

    kind = "slow-request"


class ConflictError(DiceboxError):
    """The request contradicts the present state."""

    kind = "conflict"


class GoneError(DiceboxError):
    """It existed and was removed on purpose."""

    kind = "gone"


class TooLargeError(DiceboxError):
    """The input is above a stated limit."""

    kind = "too-large"


class UnsupportedMediaError(DiceboxError):
    """The content is of a kind that is not taken here."""

    kind = "unsupported-media"


class UnavailableError(DiceboxError):
    """It may work later; `retry_after_s` (seconds) says when to ask again."""

    kind = "unavailable"

    def __init__(
        self, message: str, *, kind: str | None = None, retry_after_s: float = 1.0
    ) -> None:
        super().__init__(message, kind=kind)
        self.retry_after_s = retry_after_s


class DeadlineError(DiceboxError):
    """The time the caller had set for an answer is over; nothing more was done."""

    kind = "deadline-passed"


class StorageFullError(DiceboxError):
    """No space is left; nothing was stored."""

    kind = "storage-full"


class JobFailedError(Exception):
    """A job ended without a value, for a reason of its own (`outcome`: see `commons.jobs`)."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


# The one table by which services make HTTP answers of errors, and clients errors of answers.
HTTP_STATUS: tuple[tuple[type[DiceboxError], int], ...] = (
    (InvalidInputError, 400),
    (UnauthorizedError, 401),
    (ForbiddenError, 403),
    (NotFoundError, 404),
    (SlowRequestError, 408),
    (ConflictError, 409),
    (GoneError, 410),
    (TooLargeError, 413),
    (UnsupportedMediaError, 415),
    (UnavailableError, 503),
    (DeadlineError, 504),
    (StorageFullError, 507),
)

"""What is to be changed at Amazon: said before it is done, and done only if that was asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from commons.errors import UnavailableError

Answer = TypeVar("Answer")
TAG = "dicebox"
# A mount target takes a minute or two to come or to go.
_PATIENCE_S = 600.0


class AwsError(UnavailableError):
    """What Amazon said instead of doing it."""

    kind = "aws"


@dataclass
class Plan:
    """Says every change, and makes it where it may.

    Args:
        name: Of the whole; everything that is made has the tag `dicebox` with it.
        apply: Whether changes are made.
        say: Gets a line for each change, before it is made.
        pause_s: Between two looks at what takes its time.
    """

    name: str
    apply: bool
    say: Callable[[str], None]
    pause_s: float = 2.0
    changes: int = 0

    @property
    def tags(self) -> list[dict[str, str]]:
        """What marks a thing as made by this, in the form of most of Amazon's calls."""
        return [{"Key": TAG, "Value": self.name}, {"Key": "Name", "Value": self.name}]

    def change(self, what: str, do: Callable[[], Answer]) -> Answer | None:
        """Say a change and make it; None where it is only said."""
        self.changes += 1
        self.say(f"{what}" if self.apply else f"would {what}")
        return do() if self.apply else None

    def wait(self, what: str, is_there: Callable[[], bool]) -> None:
        """Return when something has come true; nothing is waited for where nothing is done.

        Raises:
            AwsError: It has not in ten minutes.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while self.apply and not is_there():
            if time.monotonic() > deadline:
                raise AwsError(f"{what}: not yet after {_PATIENCE_S:.0f} s; try again")
            time.sleep(self.pause_s)


def is_ours(tags: list[dict[str, Any]], name: str) -> bool:
    """Say whether something has the tag that everything made for this name has."""
    return {"Key": TAG, "Value": name} in tags

"""What a network is called: its id, the first digits of it, or a name that it was given."""

import re
from typing import Annotated

from pydantic import StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9._-]{0,63}$"
NetworkReference = Annotated[str, StringConstraints(pattern=r"^[0-9a-z][0-9a-z._-]{0,63}$")]
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")
_DIGITS = re.compile(r"[0-9a-f]+")
_SHORTEST_START = 8
_ID_DIGITS = 64


def is_id(said: str) -> bool:
    """Say whether this is a whole id."""
    return len(said) == _ID_DIGITS and _DIGITS.fullmatch(said) is not None


def is_start(said: str) -> bool:
    """Say whether this is an id, or so much of one that it names a network; no name is."""
    return _SHORTEST_START <= len(said) <= _ID_DIGITS and _DIGITS.fullmatch(said) is not None


def is_name(said: str) -> bool:
    """Say whether a network may have this name: it is never what an id begins with."""
    return _NAME.fullmatch(said) is not None and not is_start(said)

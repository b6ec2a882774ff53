"""What the classification service says of classifications that it recorded."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from commons.messages import Answer, CategoryName, Message, Sha256

# When it was recorded in milliseconds, 12 hex digits, and 16 random ones.
ClassificationId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{28}$")]
# `uncertain` has the smallest margin first, `entropy` the largest entropy.
HistoryOrder = Literal["newest", "uncertain", "entropy"]
CorrectionState = Literal["waiting", "sent", "refused"]


class CorrectionRequest(Message):
    """What an image really shows: the name of a category, made when new."""

    category: CategoryName


class Correction(Message):
    """What somebody said that an image really shows; `at` is in unix seconds.

    It is `waiting` until the sensory service has it as a label, then `sent`, or `refused` for
    the `reason`. `who` is the name of a key.
    """

    category: str
    who: str | None
    at: float
    state: CorrectionState
    reason: str | None = None


class RecordedClassification(Message):
    """What a network said about an image once; `at` is in unix seconds.

    `margin` is what the most probable category is ahead of the next, `entropy` that of all
    probabilities in nats: the smaller the one and the larger the other, the less certain the
    answer. `correction` is the latest.
    """

    id: ClassificationId
    image: Sha256
    dataset: str
    network: str
    answers: list[Answer]
    margin: float
    entropy: float
    seconds: float
    at: float
    correction: Correction | None = None


class HistoryPage(Message):
    """A page of the history; `cursor` asks for the next one and is null on the last."""

    classifications: list[RecordedClassification]
    cursor: str | None


class ForgottenImage(Message):
    """How many recorded classifications of an image are gone, with its bytes."""

    image: Sha256
    classifications: int = Field(ge=0)

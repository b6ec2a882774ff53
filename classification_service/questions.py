"""A question on its way: from the door it came in by to its answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from classification_service.asking import Ask
from classification_service.batching import Pace, pace_of
from classification_service.gallery import Choice
from classification_service.ports import Floats
from commons.errors import DeadlineError

# By their ids: who answers, who is asked too, who stands in.
Group = tuple[str, str | None, str | None]


@dataclass(slots=True, eq=False)
class Question:
    """An image, or some that are tensors already; in the end `reply` or `error` is there.

    Args:
        ask: What is asked.
        data: The image as it came; nothing where there are tensors.
        choice: Who answers.
        group: Those of one group may be answered together.
        pace: How fast that is.
        came: When it came, in the seconds of the clock that `deadline` is of.
        deadline: From then on nobody wants the answer.
        images: Tensors, float32 (n, height, width, channels).
        expected: For each of the tensors, the category (its id) that the champion named: whoever
            is asked in its shadow is held against that.
        image: The sha256 of `data`, once it is known.
        is_given_up: Nobody waits any more: what was not begun is left out.
    """

    ask: Ask
    data: bytes
    choice: Choice
    group: Group
    pace: Pace
    came: float
    deadline: float
    images: Floats | None = None
    expected: Sequence[str] | None = None
    image: str = ""
    is_given_up: bool = False
    reply: bytes = b""
    probabilities: Floats | None = None
    error: Exception | None = None

    @classmethod
    def about(
        cls,
        choice: Choice,
        came: float,
        deadline: float,
        *,
        ask: Ask = Ask(),  # noqa: B008 - frozen
        data: bytes = b"",
        images: Floats | None = None,
        expected: Sequence[str] | None = None,
    ) -> "Question":
        """Return the question to these networks."""
        answering, shadow, fallback = choice.answering, choice.shadow, choice.fallback
        group = (
            answering.network,
            shadow.network if shadow else None,
            fallback.network if fallback else None,
        )
        pace = pace_of(answering.predictor)
        return cls(ask, data, choice, group, pace, came, deadline, images, expected)

    @property
    def seats(self) -> int:
        """How many questions go together."""
        return self.pace.limit

    @property
    def size(self) -> int:
        """How many images it is about."""
        return 1 if self.images is None else len(self.images)

    @property
    def is_settled(self) -> bool:
        """Whether there is an answer already."""
        return bool(self.reply) or self.probabilities is not None or self.error is not None

    def is_late(self, now: float) -> bool:
        """Say whether its deadline has passed, which settles it."""
        if self.deadline >= now:
            return False
        self.error = DeadlineError(
            f"the deadline passed {1000 * (now - self.deadline):.0f} ms before an answer was there"
        )
        return True

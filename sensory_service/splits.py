"""Who learns, who selects and who judges: splits assigned once, category by category."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from commons.messages import Split


class Candidate(Protocol):
    """An image that may have a split already; `said` when an import brought it."""

    @property
    def image(self) -> str:
        """The hash of the image."""
        ...

    @property
    def category(self) -> str:
        """The id of its category."""
        ...

    @property
    def split(self) -> Split | None:
        """Its split, if it has one."""
        ...

    @property
    def said(self) -> bool:
        """Whether an import said the split."""
        ...


@dataclass(frozen=True)
class Shares:
    """The parts of a category that validate and test; the rest trains."""

    validation: float
    test: float


def assign_splits(images: Sequence[Candidate], shares: Shares) -> dict[str, Split]:
    """Return a split for every image that has none, by hash and so the same for any order.

    The counts of a category come as near to the shares as its earlier splits allow. Of one
    image a category trains, of two it also validates, of three it also tests. Where an import
    brought test images of its own, they alone are the test split: a published benchmark's
    figures stay comparable, and no later image slips in.
    """
    if any(image.said and image.split == "test" for image in images):
        shares = Shares(shares.validation, 0.0)
    by_category: dict[str, list[Candidate]] = defaultdict(list)
    for image in images:
        by_category[image.category].append(image)
    assigned: dict[str, Split] = {}
    for members in by_category.values():
        assigned |= _assign_category(members, shares)
    return assigned


def _assign_category(images: Sequence[Candidate], shares: Shares) -> dict[str, Split]:
    free = sorted(image.image for image in images if image.split is None)
    has = [image.split for image in images]
    training, validation, test = (has.count("train"), has.count("validation"), has.count("test"))
    validate, judge = _targets(len(images), shares)
    spare = len(free) - (training == 0)
    more_validation = _between(0, validate - validation, spare)
    more_test = _between(0, judge - test, spare - more_validation)
    assigned: dict[str, Split] = dict.fromkeys(free, "train")
    assigned |= dict.fromkeys(free[:more_validation], "validation")
    assigned |= dict.fromkeys(free[more_validation : more_validation + more_test], "test")
    return assigned


def _targets(total: int, shares: Shares) -> tuple[int, int]:
    """Return how many of a category's images should validate and test."""
    spare = total - 1  # one always trains
    validate = min(spare, max(1, round(total * shares.validation)))
    least_test = 1 if shares.test > 0 else 0
    judge = min(spare - validate, max(least_test, round(total * shares.test)))
    return validate, max(0, judge)


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))

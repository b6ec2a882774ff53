"""Who learns, who selects and who judges: splits assigned once, category by category."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

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


def hash_order(hashes: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return the positions of some hashes (64 hexadecimal digits each) in their order."""
    words = np.frombuffer(bytes.fromhex("".join(hashes)), ">u8").reshape(-1, 4).astype(np.uint64)
    order = np.argsort(words[:, 0], kind="stable")
    first = words[order, 0]
    if (first[1:] == first[:-1]).any():  # hardly ever
        order = np.lexsort(words.T[::-1])
    return order


def assign_splits(
    images: Sequence[Candidate], order: npt.NDArray[np.intp], shares: Shares
) -> list[Split]:
    """Return the split of every image: its own, or one by hash and so the same for all times.

    The counts of a category come as near to the shares as its earlier splits allow. Of one
    image a category trains, of two it also validates, of three it also tests. Where an import
    brought test images of its own, they alone are the test split: a published benchmark's
    figures stay comparable, and no later image slips in.

    Args:
        images: In any order.
        order: Their positions in the order of their hashes.
        shares: What is to validate and to test.
    """
    if any(image.said and image.split == "test" for image in images):
        shares = Shares(shares.validation, 0.0)
    splits = [image.split for image in images]
    numbers: dict[str, int] = {}
    category = np.fromiter(
        (numbers.setdefault(image.category, len(numbers)) for image in images), int, len(images)
    )
    by_category = order[np.argsort(category[order], kind="stable")]
    ends = np.cumsum(np.bincount(category, minlength=len(numbers)))
    for members in np.split(by_category, ends[:-1]):
        _assign_category(splits, members.tolist(), shares)
    return cast("list[Split]", splits)  # none is left without one


def _assign_category(splits: list[Split | None], members: Sequence[int], shares: Shares) -> None:
    """Give those members a split that have none, the first of them to validate."""
    has = Counter([splits[member] for member in members])
    free = [member for member in members if splits[member] is None]
    validate, judge = _targets(len(members), shares)
    spare = len(free) - (has["train"] == 0)
    more_validation = _between(0, validate - has["validation"], spare)
    more_test = _between(0, judge - has["test"], spare - more_validation)
    for number, member in enumerate(free):
        if number < more_validation:
            splits[member] = "validation"
        elif number < more_validation + more_test:
            splits[member] = "test"
        else:
            splits[member] = "train"


def _targets(total: int, shares: Shares) -> tuple[int, int]:
    """Return how many of a category's images should validate and test."""
    spare = total - 1  # one always trains
    validate = min(spare, max(1, round(total * shares.validation)))
    least_test = 1 if shares.test > 0 else 0
    judge = min(spare - validate, max(least_test, round(total * shares.test)))
    return validate, max(0, judge)


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))

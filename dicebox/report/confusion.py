"""What the champion takes for what; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Judgement(NamedTuple):
    """One image: its category and the answered one (indices), and the answer's probabilities.

    `sure` is the probability of the answer, `truth` that of the right category.
    """

    image: str
    category: int
    answer: int
    sure: float
    truth: float


@dataclass(frozen=True)
class CategoryFigures:
    """A category: its images, and how well it is found.

    `precision` is the share of right ones among the answers with it, `recall` the share of its
    images that are found; both are None where there is nothing to divide by.
    """

    name: str
    images: int
    answers: int
    precision: float | None
    recall: float | None

    @property
    def f1(self) -> float | None:
        """Return the harmonic mean of precision and recall."""
        if self.precision is None or self.recall is None:
            return None
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


class Mixup(NamedTuple):
    """How many images of a category were taken for another one, both by name."""

    category: str
    answer: str
    images: int


@dataclass(frozen=True)
class Confusion:
    """`matrix[i][j]` counts images of category i that were taken for j."""

    names: list[str]
    matrix: list[list[int]]

    @property
    def images(self) -> int:
        """Return how many images were judged."""
        return sum(map(sum, self.matrix))

    @property
    def right(self) -> int:
        """Return how many of them were answered right."""
        return sum(row[i] for i, row in enumerate(self.matrix))

    def categories(self) -> list[CategoryFigures]:
        """Return the figures of every category, in the order of the snapshot."""
        answers = [sum(column) for column in zip(*self.matrix, strict=True)]
        return [
            CategoryFigures(
                name=name,
                images=sum(row),
                answers=answers[i],
                precision=row[i] / answers[i] if answers[i] else None,
                recall=row[i] / sum(row) if sum(row) else None,
            )
            for i, (name, row) in enumerate(zip(self.names, self.matrix, strict=True))
        ]

    def mixups(self, most: int) -> list[Mixup]:
        """Return the most frequent wrong answers."""
        wrong = [
            Mixup(self.names[i], self.names[j], count)
            for i, row in enumerate(self.matrix)
            for j, count in enumerate(row)
            if i != j and count
        ]
        return sorted(wrong, key=lambda each: -each.images)[:most]


def confusion(names: Sequence[str], judgements: Sequence[Judgement]) -> Confusion:
    """Return how often which category was taken for which."""
    matrix = [[0] * len(names) for _ in names]
    for one in judgements:
        matrix[one.category][one.answer] += 1
    return Confusion(list(names), matrix)


def worst(judgements: Sequence[Judgement], most: int) -> list[Judgement]:
    """Return the wrong answers, those first that gave the right category the least."""
    wrong = [one for one in judgements if one.answer != one.category]
    return sorted(wrong, key=lambda one: (one.truth, -one.sure, one.image))[:most]


def spread(total: int, most: int) -> list[int]:
    """Return at most so many of the indices 0 to `total` - 1, evenly far apart."""
    if total <= most:
        return list(range(total))
    return [index * total // most for index in range(most)]

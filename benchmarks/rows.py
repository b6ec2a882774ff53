"""One line of a benchmark's table, with its goal and whether that was met."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """What a measure should reach: a bound of our own figure, or of its ratio to the best peer."""

    kind: Literal["at least", "at most"]
    bound: float
    of: Literal["ours", "ratio"] = "ours"

    def is_met(self, value: float) -> bool:
        """Say whether a figure keeps the bound."""
        return value >= self.bound if self.kind == "at least" else value <= self.bound

    def __str__(self) -> str:
        """Return it as the issues write it, such as `≥ 98.5`."""
        sign = "≥" if self.kind == "at least" else "≤"
        return f"{sign} {self.bound:g}" + (" of the peer's" if self.of == "ratio" else "")


def at_least(bound: float) -> Goal:
    """Return the goal that our figure is not below a bound."""
    return Goal("at least", bound)


def at_most(bound: float) -> Goal:
    """Return the goal that our figure is not above a bound."""
    return Goal("at most", bound)


@dataclass(frozen=True)
class Row:
    """One measure; what has not been measured is None, and never a zero.

    Args:
        measure: What was measured, in words.
        unit: The unit of `ours` and `best_peer`; empty for a bare number.
        ours: Dicebox's figure.
        best_peer: The figure of the best of the peers, if any ran.
        peer: That peer's name.
        goal: What was asked for, if anything was.
    """

    measure: str
    unit: str
    ours: float | None
    best_peer: float | None = None
    peer: str | None = None
    goal: Goal | None = None

    @property
    def ratio(self) -> float | None:
        """Return ours over the best peer's, if both are known."""
        if self.ours is None or not self.best_peer:
            return None
        return self.ours / self.best_peer

    @property
    def met(self) -> bool | None:
        """Say whether the goal is met; None without a goal or without the figure it is of."""
        if self.goal is None:
            return None
        value = self.ours if self.goal.of == "ours" else self.ratio
        return None if value is None else self.goal.is_met(value)

    def as_json(self) -> dict[str, object]:
        """Return the row as reports keep it."""
        return {
            "measure": self.measure,
            "unit": self.unit,
            "ours": self.ours,
            "best_peer": self.best_peer,
            "peer": self.peer,
            "ratio": self.ratio,
            "goal": None if self.goal is None else str(self.goal),
            "met": self.met,
        }

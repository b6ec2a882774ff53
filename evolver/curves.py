"""The learning curves of a run, each kept with those of trainings that began as it did.

Who starts with a parent's weights starts high, and who goes on from a rung below starts where
that one ended: beside them a training from scratch would look hopeless.
"""

import math
from typing import NamedTuple

from commons.learning_curve import Curve, bar_of, curve_of
from commons.messages import Evaluation, Individual
from evolver.assignments import best_weights
from evolver.budget import Plan
from evolver.journal import FINAL_RUNG, FIRST_RUNG, evaluation_of

_KEPT = 60
# A learning curve that ended this early says nothing about the whole budget.
_NEARLY_ALL = 0.9


class Kind(NamedTuple):
    """What two trainings share whose curves can be compared."""

    rung: str
    resumed: bool
    inherited: bool


class Curves:
    """The latest curves of each kind.

    Args:
        plan: Says what the whole budget of a rung is.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[Kind, list[Curve]] = {}

    def remember(self, individual: Individual, evaluation: Evaluation) -> None:
        """Keep the learning curve of a training that had its whole budget."""
        if evaluation.outcome != "ok" or evaluation.stopped or evaluation.rung == FINAL_RUNG:
            return
        rung = int(evaluation.rung)
        enough_s = (evaluation.trained_s or 0.0) >= _NEARLY_ALL * self._plan.rung_s(rung)
        if enough_s or (evaluation.epochs or 0) >= self._plan.rung_epochs(rung):
            curves = self._known.setdefault(kind_of(individual, evaluation), [])
            curves.append(self._curve(evaluation))
            del curves[:-_KEPT]

    def _curve(self, evaluation: Evaluation) -> Curve:
        history = evaluation.history
        # Where epochs are the budget nothing may depend on how long they took.
        by_epochs = math.isinf(self._plan.candidate_s)
        spent = [each.epoch if by_epochs else each.seconds for each in history]
        return curve_of(spent, [each.accuracy for each in history])

    def bar(self, kind: Kind) -> Curve | None:
        """Return what a training of a kind must pass, None while too few are known."""
        return bar_of(self._known.get(kind, []))


def kind_of(individual: Individual, ended: Evaluation) -> Kind:
    """Return the kind of a training that has ended."""
    if ended.rung == FIRST_RUNG:
        return Kind(ended.rung, resumed=False, inherited=ended.inherited is not None)
    return Kind(ended.rung, ended.resumed, ended.resumed and _inherited(individual))


def kind_to_be(
    individual: Individual, rung: int, before: Evaluation | None, parent: Individual | None
) -> Kind:
    """Return the kind of a training that is to begin.

    Args:
        individual: Who is trained.
        rung: Up to which rung.
        before: The rung below, if it may go on from there.
        parent: Whose weights it may start from, on the first rung.
    """
    if rung == 1:
        inherited = parent is not None and best_weights(parent) is not None
        return Kind(FIRST_RUNG, resumed=False, inherited=inherited)
    resumed = before is not None and before.checkpoint is not None
    return Kind(str(rung), resumed, resumed and _inherited(individual))


def _inherited(individual: Individual) -> bool:
    first = evaluation_of(individual, FIRST_RUNG)
    return first is not None and first.inherited is not None

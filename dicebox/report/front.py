"""Who is beaten by nobody in both accuracy and cost; pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from commons.messages import Individual
from dicebox.report.trials import fitness

Cost = Literal["parameters", "latency_us"]


class Point(NamedTuple):
    """An individual with its accuracy and what it costs; `on_front` if nobody beats it."""

    number: int
    accuracy: float
    cost: float
    on_front: bool


def front(individuals: Sequence[Individual], cost: Cost) -> list[Point]:
    """Return all individuals that have both, the cheapest first.

    Latencies are of one processor alone: of that which measured the most of them.
    """
    cpu = measuring_cpu(individuals)
    found = [
        (one, accuracy, float(price))
        for one in individuals
        if (accuracy := fitness(one)) is not None
        # What costs nothing has no place on a scale of logarithms, and no reason to be there.
        and (price := getattr(one, cost))
        and (cost == "parameters" or one.cpu == cpu)
    ]
    points: list[Point] = []
    best = -1.0
    for one, accuracy, price in sorted(found, key=lambda item: (item[2], -item[1], item[0].number)):
        points.append(Point(one.number, accuracy, price, accuracy > best))
        best = max(best, accuracy)
    return points


def measuring_cpu(individuals: Sequence[Individual]) -> str | None:
    """Return the processor that most latencies were measured on, None if none was."""
    counts = Counter(one.cpu for one in individuals if one.latency_us is not None)
    return counts.most_common(1)[0][0] if counts else None

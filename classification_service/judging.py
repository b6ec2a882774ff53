"""The paired tests by which a network on trial is promoted or sent away.

Both networks are asked about the same images. Only those count on which exactly one of them is
right: if both are equally good, each of these is a fair coin. Pure; exact; no approximation.
"""

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class Rule:
    """How sure one must be.

    Args:
        risk: How often a network that is not better may be promoted, however often one looks;
            and how often one that is not worse may be sent away.
    """

    risk: float = 0.05


def e_value(wins: int, losses: int) -> float:
    """Return the evidence that wins are more likely than losses, valid at every look.

    It is what somebody has now who bet on every coin, starting with 1, their stakes spread
    evenly over all chances of a win from 1/2 to 1. If a win is at most as likely as a loss, that
    ever reaches 1/risk with at most the chance `risk`, so it may be looked at after every image.

    Source:
        Ville (1939); Robbins (1970), mixtures of likelihood ratios; in this closed form from
        P(Beta(w+1, l+1) > 1/2) = P(Binomial(w+l+1, 1/2) <= w).
    """
    coins = wins + losses
    return _ratio(_ways(coins + 1, wins), (coins + 1) * math.comb(coins, wins))


def mcnemar(wins: int, losses: int) -> float:
    """Return how likely so many wins, or more, are if wins and losses are equally likely.

    The exact one-sided McNemar test; for a number of images that was fixed before, and one look.

    Source:
        McNemar (1947), with the binomial in place of chi squared.
    """
    coins = wins + losses
    return _ratio(_ways(coins, losses), 2**coins)


def judge_any_time(better: int, worse: int, rule: Rule) -> Verdict:
    """Return what is known of a network after any number of images, looked at any number of times.

    Args:
        better: On so many images it was right and the champion wrong.
        worse: The other way round.
        rule: How sure one must be.
    """
    if e_value(better, worse) >= 1.0 / rule.risk:
        return "better"
    if e_value(worse, better) >= 1.0 / rule.risk:
        return "worse"
    return "open"


def judge_once(better: int, worse: int, rule: Rule) -> Verdict:
    """Return what is known of a network after a number of images that was fixed before."""
    if mcnemar(better, worse) <= rule.risk:
        return "better"
    if mcnemar(worse, better) <= rule.risk:
        return "worse"
    return "open"


def _ways(coins: int, heads: int) -> int:
    """Return in how many ways so many coins show at most so many heads."""
    ways = total = 1
    for shown in range(heads):
        ways = ways * (coins - shown) // (shown + 1)
        total += ways
    return total


def _ratio(numerator: int, denominator: int) -> float:
    """Return a quotient of integers that may each be too large for a float."""
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf

"""The paired tests: against tables, against the integral they stand for, and by simulation."""

import math
from fractions import Fraction

import numpy as np
import pytest

from classification_service.judging import Rule, e_value, judge_any_time, judge_once, mcnemar

RULE = Rule(risk=0.05)


@pytest.mark.parametrize(
    ("wins", "losses", "two_sided"),
    [
        # Exact McNemar: the binomial table for p = 1/2, doubled.
        (121, 59, 4.434e-06),
        (10, 2, 0.03857),
        (9, 1, 0.02148),
        (5, 0, 0.0625),
        (15, 5, 0.04139),
    ],
)
def test_mcnemar_is_that_of_the_tables(wins: int, losses: int, two_sided: float) -> None:
    assert 2.0 * mcnemar(wins, losses) == pytest.approx(two_sided, rel=1e-3)


def test_mcnemar_of_nothing_says_nothing() -> None:
    assert mcnemar(0, 0) == 1.0


def test_the_two_sides_of_mcnemar_share_what_lies_between() -> None:
    for wins in range(12):
        for losses in range(12):
            coins = wins + losses
            both = Fraction(math.comb(coins, wins), 2**coins)
            assert mcnemar(wins, losses) + mcnemar(losses, wins) == pytest.approx(float(1 + both))


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (0, 1), (7, 0), (12, 5), (3, 30)])
def test_the_e_value_is_the_integral_that_it_stands_for(wins: int, losses: int) -> None:
    middles = 0.5 + (np.arange(200_000) + 0.5) / 400_000
    likelihood = (2 * middles) ** wins * (2 * (1 - middles)) ** losses
    assert e_value(wins, losses) == pytest.approx(float(likelihood.mean()), rel=1e-6)


def test_a_fair_coin_leaves_the_bet_where_it_was_on_average() -> None:
    """A supermartingale: the mean after the next coin is at most what is there before it."""
    for wins in range(15):
        for losses in range(15):
            after = (e_value(wins + 1, losses) + e_value(wins, losses + 1)) / 2
            assert after <= e_value(wins, losses) * (1 + 1e-12)


def test_large_numbers_are_no_trouble() -> None:
    assert e_value(5_000, 0) == math.inf or e_value(5_000, 0) > 1e300
    assert e_value(0, 5_000) < 1e-3
    assert 0.0 < e_value(3_000, 3_000) < 1.0
    assert mcnemar(3_000, 3_000) > 0.5


def first_verdicts(chance: float, images: int, runs: int, seed: int) -> dict[str, float]:
    """Return the shares of runs by the first verdict, looked for after every single image."""
    generator = np.random.default_rng(seed)
    table = {
        (wins, coins - wins): judge_any_time(wins, coins - wins, RULE)
        for coins in range(images + 1)
        for wins in range(coins + 1)
    }
    shares = {"better": 0.0, "worse": 0.0, "open": 0.0}
    for _ in range(runs):
        wins = np.cumsum(generator.random(images) < chance)
        path = (table[int(won), coin - int(won)] for coin, won in enumerate(wins, start=1))
        verdict = next((said for said in path if said != "open"), "open")
        shares[verdict] += 1 / runs
    return shares


def test_a_network_that_is_no_better_is_promoted_in_one_run_of_twenty_at_most() -> None:
    shares = first_verdicts(0.5, images=150, runs=3_000, seed=0)
    assert 0.0 < shares["better"] <= RULE.risk
    assert 0.0 < shares["worse"] <= RULE.risk


def test_one_that_is_worse_is_hardly_ever_promoted_and_mostly_sent_away() -> None:
    shares = first_verdicts(0.3, images=150, runs=1_000, seed=1)
    assert shares["better"] <= 0.01
    assert shares["worse"] > 0.9


def test_one_that_is_better_is_promoted() -> None:
    assert first_verdicts(0.75, images=150, runs=1_000, seed=2)["better"] > 0.95


def test_looking_at_mcnemar_again_and_again_would_promote_too_often() -> None:
    """Why canaries are judged by the e-value: the fixed test is not made for many looks."""
    generator = np.random.default_rng(3)
    promoted = 0
    for _ in range(500):
        wins = np.cumsum(generator.random(100) < 0.5)
        looks = [judge_once(int(won), coin - int(won), RULE) for coin, won in enumerate(wins, 1)]
        promoted += "better" in looks
    assert promoted / 500 > 2 * RULE.risk


@pytest.mark.parametrize("images", [5, 20, 61])
def test_a_single_look_keeps_the_risk_of_both_errors(images: int) -> None:
    chances = {"better": 0.0, "worse": 0.0, "open": 0.0}
    for won in range(images + 1):
        chances[judge_once(won, images - won, RULE)] += math.comb(images, won) / 2**images
    assert 0.0 < chances["better"] <= RULE.risk
    assert 0.0 < chances["worse"] <= RULE.risk


def test_fewer_than_five_images_prove_nothing() -> None:
    for better in range(5):
        assert judge_once(better, 0, RULE) == judge_once(0, better, RULE) == "open"
    assert judge_once(5, 0, RULE) == "better"
    assert judge_any_time(6, 0, RULE) == "open"
    assert judge_any_time(7, 0, RULE) == "better"
    assert judge_any_time(0, 7, RULE) == "worse"

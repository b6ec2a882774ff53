"""The guard: new networks that fail or are slow go, whichever process saw it."""

from pathlib import Path

import pytest

from commons.errors import UnavailableError
from commons.trial_messages import RollbackRequest, TrialRequest
from tests.trial_builders import TrialHouse


@pytest.fixture
def house(tmp_path: Path) -> TrialHouse:
    return TrialHouse(tmp_path)


def observe(house: TrialHouse, network: str, good: int, bad: int = 0, seconds: float = 0.001):
    for number in range(good + bad):
        house.gallery.observe(network, seconds, ok=number < good)


def step(*houses: TrialHouse) -> None:
    """Let each watcher have its turn, and time pass."""
    for house in houses:
        house.gallery.refresh()
        house.probation.step()
        house.clock.sleep(1.0)


def test_a_champion_that_fails_is_rolled_back_and_the_history_says_why(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    observe(house, second, 40, 20)
    step(house)
    assert house.champion() == first
    assert house.gallery.champion("digits").network == first
    event = house.trials.history("digits")[0]
    assert (event.undone, event.automatic) == (second, True)
    assert event.reason == "20 of 60 requests failed, 0 of 0 with the network before"


def test_a_champion_that_is_much_slower_than_the_one_before_is_rolled_back(house):
    first, second = house.network(), house.network(3)
    house.promote(first)
    observe(house, first, 60, seconds=0.001)
    house.promote(second)
    step(house)
    observe(house, second, 60, seconds=0.2)
    step(house)
    assert house.champion() == first


def test_what_two_processes_saw_adds_up(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    other = house.more()
    step(house, other)
    for process in (house, other):
        observe(process, second, 20, 10)
    step(house)
    assert house.champion() == second
    step(other)
    assert house.champion() == first


def test_a_promotion_is_undone_once_whoever_sees_it_first(house):
    networks = [house.network(value) for value in (1, 2, 3)]
    house.promote(*networks)
    other = house.more()
    step(house, other)
    for process in (house, other):
        observe(process, networks[2], 40, 20)
    other.gallery.refresh()
    house.probation.step()
    other.probation.step()
    assert house.champion() == networks[1]
    assert len(house.trials.history("digits")) == 4


def test_few_requests_say_nothing(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    observe(house, second, 20, 20)
    step(house)
    assert house.champion() == second


def test_old_requests_do_not_count(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    observe(house, second, 30, 15)
    step(house)
    house.clock.sleep(120.0)
    observe(house, second, 30, 4)
    step(house)
    assert house.champion() == second


def test_the_first_champion_has_nobody_to_go_back_to(house):
    network = house.network()
    house.promote(network)
    observe(house, network, 0, 100)
    step(house)
    assert house.champion() == network


def test_a_champion_that_has_proved_itself_is_no_longer_rolled_back(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    observe(house, second, 100)
    step(house)
    assert house.gallery.choose("digits", None, 0.5).fallback is not None
    house.clock.sleep(300.0)
    step(house)
    step(house)
    assert house.gallery.choose("digits", None, 0.5).fallback is None
    observe(house, second, 0, 100)
    step(house)
    assert house.champion() == second


def test_a_champion_of_yesterday_is_not_rolled_back_after_a_start(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    other = house.more()
    other.clock.sleep(86_401.0)
    step(other)
    observe(other, second, 0, 100)
    step(other)
    assert house.champion() == second


def test_a_network_that_was_gone_back_to_can_be_rolled_back_too(house):
    networks = [house.network(value) for value in (1, 2, 3)]
    house.promote(*networks)
    house.trials.roll_back("digits", RollbackRequest())
    observe(house, networks[1], 40, 20)
    step(house)
    assert house.champion() == networks[0]


def test_a_canary_that_fails_is_no_longer_asked(house):
    champion, canary = house.network(), house.network(3)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=canary, share=1.0))
    observe(house, champion, 500)
    observe(house, canary, 40, 20)
    step(house)
    trial = house.trials.trials("digits")[0]
    assert (trial.state, trial.answers, trial.errors) == ("failed", 60, 20)
    assert house.gallery.choose("digits", None, 0.0).answering.network == champion
    assert house.champion() == champion


def test_what_makes_both_slow_is_not_the_canarys_fault(house):
    champion, canary = house.network(), house.network(3)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=canary))
    observe(house, champion, 100, seconds=0.08)
    observe(house, canary, 100, seconds=0.09)
    step(house)
    assert house.trials.trials("digits")[0].state == "running"


def test_a_shadows_disagreements_are_counted_over_all_processes(house):
    champion, shadow = house.network(), house.network(3)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=shadow, mode="shadow"))
    other = house.more()
    step(house, other)
    for process, same in ((house, True), (house, False), (other, False)):
        process.gallery.compare(shadow, same=same)
    step(house, other)
    trial = house.trials.trials("digits")[0]
    assert (trial.compared, trial.disagreed) == (3, 2)


def test_where_nobody_is_watched_nothing_is_stored(house):
    network = house.network()
    house.promote(network)
    observe(house, network, 100)
    step(house)
    assert house.traffic.total(network, 0.0).answers == 0


def test_tables_that_fail_are_logged_once_and_serving_goes_on(house, caplog, monkeypatch):
    first, second = house.network(), house.network(3)
    house.promote(first, second)

    def fail(*_: object) -> None:
        raise UnavailableError("the database is away")

    monkeypatch.setattr(house.traffic, "add", fail)
    for _ in range(3):
        observe(house, second, 0, 100)
        step(house)
    assert sum("cannot be watched" in record.message for record in caplog.records) == 1
    assert house.gallery.champion("digits").network == second
    monkeypatch.undo()
    observe(house, second, 0, 100)
    step(house)
    assert house.champion() == first

"""What every implementation of the tables in `classification_service.trial_ports` must do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

import classification_service
from classification_service.adapters.tables import SqlGalleryTables
from classification_service.adapters.trial_tables import (
    SqlReignTables,
    SqlTrafficTables,
    SqlTrialTables,
)
from classification_service.ports import RegisteredNetwork
from classification_service.trial_ports import LATENCY_RANGES, Pair, Traffic
from commons.adapters.database import migrate
from commons.errors import ConflictError, NotFoundError
from commons.network_card import network_id
from commons.trial_messages import Trial
from tests.databases import database_urls, opened_database
from tests.memory_blobs import MemoryBlobs
from tests.onnx_builders import network_card

MIGRATIONS = Path(classification_service.__file__).parent / "migrations"


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    for opened in opened_database(request):
        migrate(opened, MIGRATIONS)
        yield opened


@pytest.fixture
def gallery(database: sqlalchemy.Engine) -> SqlGalleryTables:
    return SqlGalleryTables(database)


@pytest.fixture
def reigns(database: sqlalchemy.Engine) -> SqlReignTables:
    return SqlReignTables(database)


@pytest.fixture
def trials(database: sqlalchemy.Engine) -> SqlTrialTables:
    return SqlTrialTables(database)


@pytest.fixture
def traffic(database: sqlalchemy.Engine) -> SqlTrafficTables:
    return SqlTrafficTables(database)


@pytest.fixture
def networks(gallery: SqlGalleryTables) -> list[str]:
    """Give the ids of four registered networks."""
    cards = [network_card(MemoryBlobs(), created=float(number)) for number in range(4)]
    for card in cards:
        gallery.add_network(RegisteredNetwork(network_id(card), card, card.created))
    return [network_id(card) for card in cards]


def champion(gallery: SqlGalleryTables, dataset: str = "digits") -> tuple[str, str | None] | None:
    found = {reign.dataset: (reign.network, reign.before) for reign in gallery.champions()}
    return found.get(dataset)


def undo(gallery: SqlGalleryTables, reigns: SqlReignTables, when: float = 9.0) -> None:
    latest = next(reign for reign in gallery.champions() if reign.dataset == "digits")
    reigns.roll_back(latest.promotion, "worse", when, automatic=False)


# Rolling back


def test_each_rollback_goes_one_promotion_further_back(gallery, reigns, networks):
    for network in networks[:3]:
        gallery.promote("digits", network, 1.0)
    assert champion(gallery) == (networks[2], networks[1])
    undo(gallery, reigns)
    assert champion(gallery) == (networks[1], networks[0])
    undo(gallery, reigns)
    assert champion(gallery) == (networks[0], None)


def test_a_promotion_after_a_rollback_counts_and_is_undone_to_who_answered_before(
    gallery, reigns, networks
):
    for network in networks[:2]:
        gallery.promote("digits", network, 1.0)
    undo(gallery, reigns)
    gallery.promote("digits", networks[2], 1.0)
    assert champion(gallery) == (networks[2], networks[0])


def test_a_promotion_that_came_between_a_look_and_a_rollback_stays(gallery, reigns, networks):
    for network in networks[:2]:
        gallery.promote("digits", network, 1.0)
    seen = gallery.champions()[0].promotion
    gallery.promote("digits", networks[2], 1.0)
    reigns.roll_back(seen, "worse", 2.0, automatic=True)
    assert champion(gallery) == (networks[2], networks[0])


def test_a_promotion_is_undone_once(gallery, reigns, networks):
    for network in networks[:2]:
        gallery.promote("digits", network, 1.0)
    seen = gallery.champions()[0].promotion
    reigns.roll_back(seen, "worse", 2.0, automatic=True)
    with pytest.raises(ConflictError, match="already") as caught:
        reigns.roll_back(seen, "worse", 3.0, automatic=True)
    assert caught.value.kind == "rolled-back"
    assert champion(gallery) == (networks[0], None)


def test_an_unknown_promotion_is_not_undone(reigns):
    with pytest.raises(NotFoundError):
        reigns.roll_back(7, "worse", 1.0, automatic=False)


def test_rollbacks_of_one_dataset_leave_the_others(gallery, reigns, networks):
    for dataset in ("digits", "letters"):
        for network in networks[:2]:
            gallery.promote(dataset, network, 1.0)
    undo(gallery, reigns)
    assert champion(gallery, "letters") == (networks[1], networks[0])


def test_the_history_says_who_answered_from_when_on_and_why(gallery, reigns, networks):
    gallery.promote("letters", networks[3], 0.0)
    for when, network in enumerate(networks[:3]):
        gallery.promote("digits", network, float(when))
    undo(gallery, reigns, 3.0)
    undo(gallery, reigns, 4.0)
    said = [(event.kind, event.network, event.undone) for event in reigns.history("digits")]
    assert said == [
        ("rollback", networks[0], networks[1]),
        ("rollback", networks[1], networks[2]),
        ("promotion", networks[2], None),
        ("promotion", networks[1], None),
        ("promotion", networks[0], None),
    ]
    newest = reigns.history("digits")[0]
    assert (newest.when, newest.reason, newest.automatic) == (4.0, "worse", False)


# Trials


def trial(networks: list[str], **changes: object) -> Trial:
    fields: dict[str, object] = {
        "id": 0,
        "dataset": "digits",
        "network": networks[1],
        "champion": networks[0],
        "mode": "canary",
        "share": 0.25,
        "promote": True,
        "state": "running",
        "started": 5.0,
    }
    return Trial.model_validate({**fields, **changes})


def test_a_trial_comes_back_as_it_went_in(trials, networks):
    begun = trials.begin(trial(networks))
    assert begun == trial(networks, id=begun.id)
    assert trials.running() == trials.trials("digits") == [begun]
    assert trials.trials("letters") == []


def test_one_trial_runs_for_each_dataset_and_a_new_one_takes_the_place(trials, networks):
    first = trials.begin(trial(networks))
    letters = trials.begin(trial(networks, dataset="letters"))
    second = trials.begin(trial(networks, network=networks[2], started=6.0))
    assert trials.running() == [second, letters]
    ended = trials.trials("digits")[1]
    assert (ended.id, ended.state, ended.ended) == (first.id, "superseded", 6.0)


def test_a_trial_that_was_over_at_once_does_not_run(trials, networks):
    over = trials.begin(trial(networks, state="promoted", champion=None, ended=5.0))
    assert trials.running() == []
    assert trials.trials("digits") == [over]


def test_a_trial_ends_once(trials, networks):
    begun = trials.begin(trial(networks))
    assert trials.end(begun.id, "failed", "too slow", 8.0)
    assert not trials.end(begun.id, "promoted", "better", 9.0)
    ended = trials.trials("digits")[0]
    assert (ended.state, ended.reason, ended.ended) == ("failed", "too slow", 8.0)
    assert trials.running() == []


def test_a_trial_is_won_while_it_runs_beside_its_champion(trials, gallery, networks):
    gallery.promote("digits", networks[0], 1.0)
    begun = trials.begin(trial(networks))
    assert trials.promote(begun, "better", 8.0)
    assert not trials.promote(begun, "better", 9.0)
    assert champion(gallery) == (networks[1], networks[0])
    ended = trials.trials("digits")[0]
    assert (ended.state, ended.reason, ended.ended) == ("promoted", "better", 8.0)


def test_a_trial_that_has_ended_or_lost_its_champion_is_not_won(trials, gallery, reigns, networks):
    gallery.promote("digits", networks[3], 1.0)
    gallery.promote("digits", networks[0], 1.0)
    stopped = trials.begin(trial(networks))
    trials.end(stopped.id, "stopped", "asked for", 7.0)
    assert not trials.promote(stopped, "better", 8.0)
    running = trials.begin(trial(networks))
    undo(gallery, reigns)
    assert not trials.promote(running, "better", 8.0)
    assert champion(gallery) == (networks[3], None)
    assert trials.running() == [running]


def test_the_requests_of_a_trial_add_up(trials, networks):
    begun = trials.begin(trial(networks))
    trials.count(begun.id, Traffic(10, 1, 8, 2))
    trials.count(begun.id, Traffic(5, 0, 4, 1))
    found = trials.running()[0]
    assert (found.answers, found.errors, found.compared, found.disagreed) == (15, 1, 12, 3)


def test_each_image_of_a_trial_counts_once(trials, networks):
    begun, other = (trials.begin(trial(networks, dataset=name)) for name in ("digits", "letters"))
    pairs = [Pair("a", True, False), Pair("b", False, True), Pair("c", True, True)]
    assert trials.add_pairs(begun.id, pairs[:2]).images == 2
    found = trials.add_pairs(begun.id, [*pairs, Pair("d", True, False)])
    assert (found.images, found.better, found.worse) == (4, 2, 1)
    assert trials.judged(begun.id) == {"a", "b", "c", "d"}
    assert trials.judged(other.id) == set()
    assert [one.images for one in trials.running()] == [4, 0]
    assert trials.add_pairs(begun.id, []).images == 4


def test_pairs_of_an_unknown_trial_are_refused(trials):
    with pytest.raises(NotFoundError):
        trials.add_pairs(7, [Pair("a", True, False)])


# Traffic


def latencies(**places: int) -> tuple[int, ...]:
    counts = [0] * LATENCY_RANGES
    for place, count in places.items():
        counts[int(place[1:])] = count
    return tuple(counts)


def test_traffic_adds_up_over_processes_and_time(traffic):
    traffic.add([("n1", Traffic(3, 1, 0, 0, latencies(_2=2))), ("n2", Traffic(1))], 10.0)
    traffic.add([("n1", Traffic(4, 0, 2, 1, latencies(_2=1, _5=3)))], 20.0)
    assert traffic.total("n1", 0.0) == Traffic(7, 1, 2, 1, latencies(_2=3, _5=3))
    assert traffic.total("n1", 15.0) == Traffic(4, 0, 2, 1, latencies(_2=1, _5=3))
    assert traffic.total("n3", 0.0) == Traffic()


def test_what_is_old_is_forgotten(traffic):
    traffic.add([("n1", Traffic(3))], 10.0)
    traffic.add([("n1", Traffic(4))], 20.0)
    traffic.forget(15.0)
    assert traffic.total("n1", 0.0) == Traffic(4)


def test_no_traffic_is_no_row(traffic):
    traffic.add([], 10.0)
    assert traffic.total("n1", 0.0) == Traffic()

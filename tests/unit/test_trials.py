"""Networks beside a champion, and going back to the one before."""

import random
from pathlib import Path

import pytest

from commons.errors import ConflictError, NotFoundError
from commons.trial_messages import RollbackRequest, TrialRequest
from tests.trial_builders import TrialHouse


@pytest.fixture
def house(tmp_path: Path) -> TrialHouse:
    return TrialHouse(tmp_path)


def roll_back(house: TrialHouse, network: str | None = None) -> str | None:
    return house.trials.roll_back("digits", RollbackRequest(network=network)).network


# Rolling back


def test_a_rollback_is_answered_by_the_network_before_without_loading_anything(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    loaded = house.gallery.network(first)
    assert roll_back(house) == first
    assert house.gallery.champion("digits") is loaded


def test_a_second_rollback_goes_one_further_back_and_a_third_nowhere(house):
    networks = [house.network(value) for value in (1, 2, 3)]
    house.promote(*networks)
    assert [roll_back(house), roll_back(house)] == [networks[1], networks[0]]
    with pytest.raises(ConflictError) as caught:
        roll_back(house)
    assert caught.value.kind == "nothing-before"
    assert house.champion() == networks[0]


def test_a_rollback_that_names_its_network_undoes_nothing_else(house):
    networks = [house.network(value) for value in (1, 2, 3)]
    house.promote(*networks)
    roll_back(house, networks[2])
    with pytest.raises(ConflictError) as caught:
        roll_back(house, networks[2])
    assert caught.value.kind == "other-champion"
    assert house.champion() == networks[1]


def test_a_rollback_without_a_champion_is_refused(house):
    with pytest.raises(ConflictError) as caught:
        roll_back(house)
    assert caught.value.kind == "nothing-before"


def test_a_rollback_to_a_damaged_network_is_refused_and_the_champion_stays(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    other = house.more()
    blob = other.tables.network(first).card.onnx.blob
    other.blobs.held[blob] = b"x" * len(other.blobs.held[blob])
    with pytest.raises(ConflictError) as caught:
        roll_back(other)
    assert caught.value.kind == "damaged-network"
    assert other.champion() == second


def test_a_rollback_says_why_in_the_history(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    house.trials.roll_back("digits", RollbackRequest(reason="it sees ghosts"))
    event = house.trials.history("digits")[0]
    assert (event.kind, event.network, event.undone) == ("rollback", first, second)
    assert (event.reason, event.automatic) == ("it sees ghosts", False)


def test_another_process_follows_a_rollback(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    other = house.more()
    other.gallery.refresh()
    roll_back(house)
    other.gallery.refresh()
    assert other.gallery.champion("digits").network == first


# The network before stays


def test_the_network_before_stays_loaded_whatever_is_asked_for_by_name(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    loaded = house.gallery.network(first)
    for value in range(20):
        house.gallery.network(house.network(100 + value))
    choice = house.gallery.choose("digits", None, 0.5)
    assert choice.fallback is loaded
    assert house.gallery.choose("digits", first, 0.5).answering is loaded


def test_once_the_champion_has_proved_itself_the_one_before_is_a_spare_like_others(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    loaded = house.gallery.network(first)
    house.gallery.prove(house.tables.champions()[0].promotion)
    house.gallery.refresh()
    assert house.gallery.choose("digits", None, 0.5).fallback is None
    for value in range(3):
        house.gallery.network(house.network(100 + value))
    assert house.gallery.network(first) is not loaded


def test_after_a_start_the_network_before_is_loaded_too(house):
    first, second = house.network(), house.network(3)
    house.promote(first, second)
    other = house.more()
    other.gallery.refresh()
    fallback = other.gallery.choose("digits", None, 0.5).fallback
    assert fallback is not None
    assert fallback.network == first


# Beside the champion


def answering(house: TrialHouse, turn: float) -> str:
    return house.gallery.choose("digits", None, turn).answering.network


def test_a_canary_answers_its_share_and_the_champion_answers_where_it_fails(house):
    champion, canary = house.network(), house.network(3)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=canary, share=0.2))
    turns = random.Random(0)
    asked = [answering(house, turns.random()) for _ in range(5_000)]
    assert 0.17 < asked.count(canary) / 5_000 < 0.23
    choice = house.gallery.choose("digits", None, 0.1)
    assert choice.fallback is not None
    assert (choice.answering.network, choice.fallback.network) == (canary, champion)


def test_a_shadow_is_asked_beside_the_champion_and_never_answers(house):
    champion, shadow = house.network(), house.network(3)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=shadow, mode="shadow", share=0.5))
    within, without = (house.gallery.choose("digits", None, turn) for turn in (0.4, 0.6))
    assert within.shadow is not None
    assert (within.answering.network, within.shadow.network) == (champion, shadow)
    assert (without.answering.network, without.shadow) == (champion, None)


def test_a_shadow_that_is_made_for_other_pixels_than_the_champion_is_refused_with_the_reason(house):
    champion, shadow = house.network(), house.network(3, resize="crop")
    house.promote(champion)
    with pytest.raises(ConflictError, match="canary") as caught:
        house.trials.begin("digits", TrialRequest(network=shadow, mode="shadow"))
    assert caught.value.kind == "other-pixels"
    assert house.trial_tables.running() == []
    assert house.trials.begin("digits", TrialRequest(network=shadow)).state == "running"


def test_a_check_answers_nobody_and_is_loaded_nowhere(house):
    champion, checked = house.network(), house.network(3)
    house.promote(champion)
    begun = house.trials.begin("digits", TrialRequest(network=checked, mode="check", share=0.9))
    assert (begun.state, begun.share) == ("running", 0.0)
    assert house.gallery.posts()[0].trial is None
    assert answering(house, 0.0) == champion


def test_a_network_that_is_asked_for_by_name_is_not_on_trial(house):
    champion, canary = house.network(), house.network(3)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=canary, share=1.0))
    assert house.gallery.choose("digits", champion, 0.0).answering.network == champion


@pytest.mark.parametrize("mode", ["check", "canary", "shadow"])
def test_where_nobody_answers_yet_a_network_is_promoted_at_once(house, mode):
    network = house.network()
    trial = house.trials.begin("digits", TrialRequest(network=network, mode=mode))
    assert (trial.state, trial.champion) == ("promoted", None)
    assert house.gallery.champion("digits").network == network


def test_who_is_not_to_be_promoted_needs_a_champion_to_be_beside(house):
    with pytest.raises(ConflictError) as caught:
        house.trials.begin("digits", TrialRequest(network=house.network(), promote=False))
    assert caught.value.kind == "no-network"
    assert house.champion() is None


def test_putting_the_champion_on_trial_is_over_at_once(house):
    network = house.network()
    house.promote(network)
    assert house.trials.begin("digits", TrialRequest(network=network)).state == "promoted"
    assert house.trial_tables.running() == []


def test_a_trial_that_is_begun_again_is_the_same_trial(house):
    champion, canary = house.network(), house.network(3)
    house.promote(champion)
    request = TrialRequest(network=canary)
    assert house.trials.begin("digits", request) == house.trials.begin("digits", request)
    assert len(house.trials.trials("digits")) == 1


def test_a_network_of_another_dataset_or_of_nobody_is_not_put_on_trial(house):
    house.promote(house.network())
    with pytest.raises(ConflictError) as caught:
        house.trials.begin("digits", TrialRequest(network=house.network(dataset="letters")))
    assert caught.value.kind == "other-dataset"
    with pytest.raises(NotFoundError):
        house.trials.begin("digits", TrialRequest(network="a" * 64))
    assert house.trials.trials("digits") == []


def test_a_trial_is_stopped_and_nobody_is_promoted(house):
    champion, canary = house.network(), house.network(3)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=canary, share=1.0))
    assert house.trials.stop("digits").state == "stopped"
    assert (answering(house, 0.0), house.champion()) == (champion, champion)
    with pytest.raises(NotFoundError) as caught:
        house.trials.stop("digits")
    assert caught.value.kind == "no-trial"


def test_a_promotion_by_hand_ends_what_the_trial_was_beside(house):
    champion, canary, other = house.network(), house.network(3), house.network(4)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=canary, share=1.0))
    house.promote(other)
    assert answering(house, 0.0) == other


def test_a_canary_that_cannot_be_loaded_leaves_the_champion_answering(house, caplog):
    champion, canary = house.network(), house.network(3)
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=canary, share=1.0))
    other = house.more()
    other.blobs.held.pop(other.tables.network(canary).card.onnx.blob)
    for _ in range(3):
        other.gallery.refresh()
    assert answering(other, 0.0) == champion
    assert sum("not in the blobs" in record.message for record in caplog.records) == 1

"""The judge: on validation images alone, as sure as the rule says, and safe to interrupt."""

from pathlib import Path

import pytest

from classification_service import trial_judge
from commons.trial_messages import Trial, TrialMode, TrialRequest
from tests.trial_builders import TrialHouse

IMAGES = range(1, 41)


@pytest.fixture
def house(tmp_path: Path) -> TrialHouse:
    return TrialHouse(tmp_path)


def begun(house: TrialHouse, champion: str, network: str, mode: TrialMode = "canary", **more):
    house.promote(champion)
    house.trials.begin("digits", TrialRequest(network=network, mode=mode, **more))


def latest(house: TrialHouse) -> Trial:
    return house.trials.trials("digits")[0]


def test_a_canary_that_is_right_where_the_champion_is_wrong_is_promoted(house):
    champion, canary = house.network(*range(1, 21)), house.network()
    begun(house, champion, canary)
    house.shelf.freeze(IMAGES)
    house.judge.step()
    trial = latest(house)
    assert (trial.state, house.champion()) == ("promoted", canary)
    assert (trial.images, trial.better, trial.worse) == (40, 20, 0)
    assert "e-value" in str(trial.reason)


def test_a_canary_that_is_worse_is_sent_away(house):
    champion, canary = house.network(), house.network(*range(1, 21))
    begun(house, champion, canary)
    house.shelf.freeze(IMAGES)
    house.judge.step()
    assert (latest(house).state, house.champion()) == ("refused", champion)


def test_a_canary_of_which_nothing_is_known_goes_on_until_there_are_more_images(house):
    champion, canary = house.network(*range(1, 4), *range(101, 121)), house.network()
    begun(house, champion, canary)
    house.shelf.freeze(IMAGES)
    house.judge.step()
    trial = latest(house)
    assert (trial.state, trial.better, house.champion()) == ("running", 3, champion)
    house.shelf.freeze([*IMAGES, *range(101, 121)])
    house.judge.step()
    assert (latest(house).state, house.champion()) == ("promoted", canary)


def test_no_image_is_asked_for_twice_and_none_while_there_is_nothing_new(house):
    begun(house, house.network(1), house.network(2))
    house.shelf.freeze(IMAGES)
    house.judge.step()
    first = list(house.shelf.asked)
    house.judge.step()
    house.shelf.freeze([*IMAGES, 50, 51])
    house.judge.step()
    assert sorted(first) == sorted(set(first))
    assert len(house.shelf.asked) == len(set(house.shelf.asked)) == 42


def test_the_test_split_is_never_asked_for(house):
    begun(house, house.network(*IMAGES), house.network())
    house.shelf.freeze(IMAGES)
    house.shelf.freeze(range(60, 80), split="test")
    house.judge.step()
    assert set(house.shelf.splits) == {"validation"}
    assert latest(house).images == 40


def test_a_check_promotes_what_is_not_found_worse(house):
    champion, checked = house.network(1, 2), house.network(3, 4, 5)
    begun(house, champion, checked, "check")
    house.shelf.freeze(IMAGES)
    house.judge.step()
    trial = latest(house)
    assert (trial.state, trial.better, trial.worse) == ("promoted", 2, 3)
    assert house.champion() == checked


def test_a_check_refuses_what_is_found_worse(house):
    champion, checked = house.network(), house.network(1, 2, 3, 4, 5)
    begun(house, champion, checked, "check")
    house.shelf.freeze(IMAGES)
    house.judge.step()
    assert (latest(house).state, house.champion()) == ("refused", champion)
    assert "p = 0.031" in str(latest(house).reason)


def test_a_check_without_any_validation_image_has_nothing_against_it(house):
    begun(house, house.network(), house.network(1), "check")
    house.judge.step()
    assert latest(house).state == "promoted"


def test_a_check_waits_for_a_sensory_service_that_is_away(house):
    begun(house, house.network(), house.network(1), "check")
    house.shelf.freeze(IMAGES)
    house.shelf.away = True
    house.judge.step()
    assert latest(house).state == "running"
    house.shelf.away = False
    house.judge.step()
    assert latest(house).state == "promoted"


def test_a_snapshot_that_leaves_out_categories_is_not_compared_on(house):
    begun(house, house.network(*range(1, 21)), house.network())
    house.shelf.freeze(IMAGES)
    house.shelf.freeze(range(60, 70), categories=1)
    house.judge.step()
    assert latest(house).images == 40


def test_images_that_are_gone_or_damaged_are_left_out(house):
    begun(house, house.network(1), house.network(2))
    house.shelf.freeze(IMAGES)
    gone, damaged = list(house.shelf.data)[:2]
    del house.shelf.data[gone]
    house.shelf.data[damaged] = b"no image"
    house.judge.step()
    assert latest(house).images == 38


@pytest.mark.parametrize("fault", ["fails", "unsure"])
def test_a_network_that_fails_is_wrong_and_no_reason_to_leave_images_out(house, fault):
    champion, broken = house.network(), house.network(**{fault: True})
    begun(house, champion, broken, "check")
    house.shelf.freeze(IMAGES)
    house.judge.step()
    assert (latest(house).worse, latest(house).state) == (40, "refused")


def test_who_is_not_to_be_promoted_is_compared_and_nothing_else(house):
    champion, canary = house.network(*range(1, 21)), house.network()
    begun(house, champion, canary, promote=False)
    house.shelf.freeze(IMAGES)
    house.judge.step()
    assert (latest(house).state, latest(house).better) == ("running", 20)
    assert house.champion() == champion


def test_at_most_so_many_images_are_asked_about_and_always_the_same(house, monkeypatch):
    monkeypatch.setattr(trial_judge, "_MOST_IMAGES", 10)
    begun(house, house.network(1), house.network(2))
    house.shelf.freeze(IMAGES)
    house.judge.step()
    assert latest(house).images == 10
    assert house.shelf.asked == sorted(house.shelf.data)[:10]


def test_a_step_asks_about_some_images_so_that_other_chores_have_their_turn(house, monkeypatch):
    monkeypatch.setattr(trial_judge, "_A_STEP", 15)
    begun(house, house.network(1), house.network(2), "check")
    house.shelf.freeze(IMAGES)
    del house.shelf.data[min(house.shelf.data)]
    for images in (14, 29):
        house.judge.step()
        assert (latest(house).state, latest(house).images) == ("running", images)
    house.judge.step()
    assert (latest(house).state, latest(house).images) == ("promoted", 39)


def test_a_trial_whose_champion_was_replaced_ends(house):
    begun(house, house.network(), house.network(1))
    house.promote(house.network(2))
    house.judge.step()
    assert latest(house).state == "superseded"


def test_a_judge_that_died_between_promoting_and_writing_it_down_is_followed_by_one_that_does(
    house,
):
    canary = house.network(1)
    begun(house, house.network(), canary)
    house.tables.promote("digits", canary, 1.0)
    house.judge.step()
    assert (latest(house).state, house.champion()) == ("promoted", canary)


@pytest.mark.parametrize("mode", ["canary", "check"])
@pytest.mark.parametrize(
    ("meanwhile", "ended"),
    [
        (lambda house, other: house.trials.stop("digits"), "stopped"),
        (lambda house, other: house.promote(other), "superseded"),
        (
            lambda house, other: house.trial_tables.end(latest(house).id, "failed", "slow", 1.0),
            "failed",
        ),
    ],
    ids=["stopped", "promoted-by-hand", "failed"],
)
def test_what_is_decided_while_the_judge_asks_holds(house, mode, meanwhile, ended):
    champion, network, other = house.network(*range(1, 21)), house.network(), house.network(40)
    begun(house, champion, network, mode)
    house.shelf.freeze(IMAGES)
    image = house.shelf.image

    def image_at_last(sha256: str) -> bytes:
        if len(house.shelf.asked) == len(house.shelf.data) - 1:
            meanwhile(house, other)
        return image(sha256)

    house.shelf.image = image_at_last
    house.judge.step()
    assert house.champion() == (other if ended == "superseded" else champion)
    house.judge.step()
    assert (latest(house).state, house.champion() == network) == (ended, False)


def test_two_judges_promote_once(house):
    champion, canary = house.network(*range(1, 21)), house.network()
    begun(house, champion, canary)
    for judge in (house, house.more()):
        judge.tables.promote("digits", canary, 200.0)
    assert [event.network for event in house.trials.history("digits")] == [canary, champion]


def test_a_trial_in_which_nothing_is_proved_ends_after_two_weeks(house):
    champion = house.network(1)
    begun(house, champion, house.network(2))
    house.shelf.freeze(IMAGES)
    house.judge.step()
    house.clock.sleep(14 * 86_400.0 + 1.0)
    house.judge.step()
    assert (latest(house).state, house.champion()) == ("undecided", champion)


def test_one_trial_that_waits_does_not_stop_the_others(house, caplog):
    letters = [house.network(value, dataset="letters") for value in (1, 2)]
    house.networks.promote("letters", letters[0])
    house.trials.begin("letters", TrialRequest(network=letters[1]))
    broken = house.network(3)
    begun(house, house.network(), broken)
    house.gallery.network(broken)
    other = house.more()
    other.blobs.held.pop(other.tables.network(broken).card.onnx.blob)
    other.shelf.freeze(IMAGES)
    for _ in range(3):
        other.judge.step()
    assert caplog.text.count(f"the trial of {broken} waits") == 1
    assert [one.state for one in other.trial_tables.running()] == ["running", "running"]

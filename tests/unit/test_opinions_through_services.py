"""From a champion to what people see of it: chores of one service on the routes of the other."""

from pathlib import Path

import pytest

from classification_service.adapters.examination_tables import SqlExaminationTables
from classification_service.examination import Examiner
from classification_service.opinion_chore import OpinionChore
from classification_service.ports import RegisteredNetwork
from commons.label_messages import Decision
from commons.messages import Category, FreezeRequest
from commons.network_card import network_id
from tests.onnx_builders import network_card
from tests.sensory_house import BASE, House, open_house
from tests.trial_builders import TrialHouse, picture


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Give a service with dark and bright pictures, and some without a label."""
    house = open_house(tmp_path / "sensory")
    for name, values in (("dark", range(2, 40, 2)), ("bright", range(1, 40, 2))):
        files = [(f"{value}.png", picture(value)) for value in values]
        house.client.upload("digits", files, name)
    files = [(f"{value}.png", picture(value)) for value in range(41, 61)]
    house.client.upload("digits", files)
    return house


@pytest.fixture
def trials(tmp_path: Path) -> TrialHouse:
    (tmp_path / "classification").mkdir()
    return TrialHouse(tmp_path / "classification")


def champion(house: House, trials: TrialHouse) -> str:
    """Register and promote a network that was bred on what the service has frozen."""
    snapshot = house.client.freeze("digits", FreezeRequest(validation_share=0.3))
    told = b'{"wrong": [3], "fails": false, "unsure": false}'
    card = network_card(
        trials.blobs, told, snapshot=snapshot.id, categories=_by_name(snapshot.categories)
    )
    trials.tables.add_network(RegisteredNetwork(network_id(card), card, 1.0))
    trials.promote(network_id(card))
    return network_id(card)


def _by_name(categories: list[Category]) -> list[Category]:
    return sorted(categories, key=lambda category: category.name, reverse=True)


def test_the_champion_finds_planted_label_errors(house: House, trials: TrialHouse) -> None:
    network = champion(house, trials)
    by_name = {c.name: c.id for c in house.client.dataset("digits").categories}
    bright = list(house.client.images("digits", category="bright"))[:2]
    house.client.label_many(
        "digits", [Decision(image=one.image, category="dark") for one in bright]
    )
    chore = OpinionChore(trials.tables, trials.gallery, house.client, trials.clock)
    for _ in range(3):
        chore.step()
    assert house.client.opinions_wanted("digits", network) == []
    found = house.http.get(f"{BASE}/datasets/digits/images?order=disagreement").json()["images"]
    wrong = {one.image for one in bright}
    assert wrong <= {one["image"] for one in found}
    assert len(found) <= 3, "and perhaps the one that the network is wrong about"
    assert {one["opinion"]["top"][0]["category"]["id"] for one in found} <= set(by_name.values())
    queue = house.http.post(f"{BASE}/datasets/digits/queue", json={"client": "a"}).json()
    assert (queue["suggested"], queue["left"], queue["network"]) == (20, 20, network)


def test_a_network_is_examined_on_the_snapshot_of_its_card(
    house: House, trials: TrialHouse
) -> None:
    network = champion(house, trials)
    tables = SqlExaminationTables(trials.database)
    examiner = Examiner(
        trials.tables, tables, trials.gallery, house.client, trials.clock, lambda: "made up"
    )
    examiner.step()
    found = tables.examination(network)
    snapshot = house.client.snapshot(found.snapshot)
    assert found.images == snapshot.counts["validation"] == sum(map(sum, found.confusion))
    assert found.accuracy >= (found.images - 1) / found.images

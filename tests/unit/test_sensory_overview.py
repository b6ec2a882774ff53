"""Figures about whole datasets, and browsing by split and source, through the real app."""

from pathlib import Path

import pytest

from commons.label_messages import Balance, Decision
from commons.messages import DatasetImages, FreezeRequest
from tests.builders import png_bytes, png_files
from tests.sensory_house import BASE, House, ManualClock, open_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def balance(house: House) -> Balance:
    reply = house.http.get(f"{BASE}/datasets/pets/balance")
    return Balance.model_validate_json(reply.content)


def cells(house: House) -> list[tuple[str | None, str | None, int]]:
    return [
        (cell.category.name if cell.category else None, cell.split, cell.images)
        for cell in balance(house).cells
    ]


def wait(house: House, seconds: float) -> None:
    assert isinstance(house.platform.clock, ManualClock)
    house.platform.clock.time += seconds


def browse(house: House, query: str) -> list[str]:
    reply = house.http.get(f"{BASE}/datasets/pets/images?{query}")
    return [one.image for one in DatasetImages.model_validate_json(reply.content).images]


def test_the_balance_is_by_category_and_split(house: House) -> None:
    house.client.upload("pets", png_files(3, seed=1), "dog", "test")
    house.client.upload("pets", png_files(2, seed=2), "cat")
    house.client.upload("pets", png_files(4, seed=3))
    assert cells(house) == [("dog", "test", 3), ("cat", None, 2), (None, None, 4)]
    found = balance(house)
    assert [(one.source, one.images) for one in found.sources] == [("upload", 5)]
    assert sum(cell.images for cell in found.cells) == house.client.dataset("pets").images


def test_the_balance_is_counted_once_in_five_seconds(house: House) -> None:
    house.fill("pets", {"dog": 10, "cat": 10})
    before = [("dog", None, 10), ("cat", None, 10)]
    assert cells(house) == before
    house.client.freeze("pets", FreezeRequest())
    assert cells(house) == before
    wait(house, 5.0)
    assert (None not in [split for _, split, _ in cells(house)], len(cells(house))) == (True, 6)


def test_the_balance_of_an_unknown_dataset_is_none(house: House) -> None:
    assert house.http.get(f"{BASE}/datasets/pets/balance").status_code == 404


def test_images_are_found_by_their_split_and_by_how_their_label_came(house: House) -> None:
    (tested,) = house.client.upload("pets", [("a", png_bytes(seed=1))], "dog", "test").stored
    (sent,) = house.client.upload("pets", [("b", png_bytes(seed=2))], "cat").stored
    (bare,) = house.client.upload("pets", [("c", png_bytes(seed=3))]).stored
    decision = Decision(image=sent.image, category="dog")
    house.client.label_many("pets", [decision], "suggestion")
    assert browse(house, "split=test") == [tested.image]
    assert browse(house, "split=train") == []
    assert browse(house, "source=suggestion") == [sent.image]
    assert browse(house, "source=upload") == [tested.image]
    assert browse(house, "source=upload&split=test&category=dog") == [tested.image]
    assert browse(house, "") == [bare.image, sent.image, tested.image]
    wrong = house.http.get(f"{BASE}/datasets/pets/images?source=magic")
    assert wrong.status_code == 400

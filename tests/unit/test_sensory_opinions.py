"""Opinions through the real app: what a network says, and how people find it."""

from pathlib import Path
from typing import Any

import pytest

from commons.label_messages import GivenOpinion, Guess
from tests.builders import png_files
from tests.sensory_house import BASE, House, open_house

PETS = f"{BASE}/datasets/pets"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def give(house: House, images: list[str], confidence: float = 0.9) -> tuple[int, int]:
    cat, dog = house.client.dataset("pets").categories
    top = [
        Guess(category=cat.id, probability=confidence),
        Guess(category=dog.id, probability=1.0 - confidence),
    ]
    opinions = [GivenOpinion(image=image, top=top, margin=0.8) for image in images]
    reply = house.client.give_opinions("pets", "network", opinions)
    return reply.stored, reply.unknown


def filled(house: House) -> list[str]:
    house.fill("pets", {"cat": 1, "dog": 1})
    return [one.image for one in house.client.upload("pets", png_files(3, seed=9)).stored]


def test_a_network_says_something_about_all_that_are_wanted(house: House) -> None:
    filled(house)
    wanted = house.client.opinions_wanted("pets", "network", 2)
    assert len(wanted) == 2
    assert give(house, wanted) == (2, 0)
    rest = house.client.opinions_wanted("pets", "network")
    assert give(house, [*rest, "0" * 64]) == (3, 1)
    assert house.client.opinions_wanted("pets", "network") == []
    found = house.http.get(f"{PETS}/images?order=disagreement").json()["images"]
    assert [one["category"]["name"] for one in found] == ["dog"]
    assert found[0]["opinion"]["top"][0]["category"]["name"] == "cat"
    sure = house.http.get(f"{PETS}/images?order=confident&limit=2").json()
    again = house.http.get(f"{PETS}/images?order=confident&cursor={sure['cursor']}").json()
    assert (len(sure["images"]), len(again["images"]), again["cursor"]) == (2, 1, None)


@pytest.mark.parametrize(
    "body",
    [
        {"network": "n", "opinions": []},
        {"network": "", "opinions": [{"image": "0" * 64, "top": [], "margin": 0.1}]},
        {
            "network": "n",
            "opinions": [
                {"image": "0" * 64, "top": [{"category": "c", "probability": 2}], "margin": 0.1}
            ],
        },
    ],
)
def test_what_is_no_opinion_is_refused(house: House, body: dict[str, Any]) -> None:
    filled(house)
    assert house.http.put(f"{PETS}/opinions", json=body).status_code == 400


@pytest.mark.parametrize("query", ["order=best", "said=eel", "min_confidence=2", "disagrees=maybe"])
def test_what_is_no_filter_is_refused(house: House, query: str) -> None:
    filled(house)
    assert house.http.get(f"{PETS}/images?{query}").status_code in (400, 404)

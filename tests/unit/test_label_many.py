"""Many decisions through the real app: what the page sends when keys are pressed."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from commons.label_messages import Decision, LabelsReply
from tests.archive_builders import tar_bytes
from tests.builders import png_bytes, png_files
from tests.sensory_house import BASE, House, ManualClock, open_house

LABELS = f"{BASE}/datasets/pets/labels"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def images(house: House, count: int) -> list[str]:
    stored = house.client.upload("pets", png_files(count, seed=7)).stored
    return [one.image for one in stored]


def say(house: House, image: str, category: str | None, **fields: Any) -> LabelsReply:
    return house.client.label_many("pets", [Decision(image=image, category=category, **fields)])


def refused(house: House, body: dict[str, Any]) -> httpx.Response:
    reply = house.http.post(LABELS, json=body)
    assert reply.headers["content-type"] == "application/problem+json"
    return reply


def test_a_thousand_decisions_are_one_request(house: House) -> None:
    some = images(house, 1000)
    decisions = [
        Decision(image=image, category="cat" if number % 2 else "<script>dog")
        for number, image in enumerate(some)
    ]
    reply = house.client.label_many("pets", decisions, "suggestion")
    assert [one.image for one in reply.labeled] == some
    summary = house.client.dataset("pets")
    assert {c.name: c.images for c in summary.categories} == {"<script>dog": 500, "cat": 500}
    assert summary.labeled == 1000
    found = house.client.lookup("pets", some[:3])
    assert {one.source for one in found.values()} == {"suggestion"}
    again = house.client.label_many("pets", decisions)
    assert not any(one.relabeled for one in again.labeled)


def test_a_conflict_says_who_said_what(house: House) -> None:
    (image,) = images(house, 1)
    seen = house.client.lookup("pets", [image])[image].changed
    assert isinstance(house.platform.clock, ManualClock)
    house.platform.clock.time += 1.0
    say(house, image, "cat")
    house.platform.clock.time += 1.0
    (conflict,) = say(house, image, "dog", seen=seen).conflicts
    assert conflict.category is not None
    assert conflict.category.name == "cat"
    assert conflict.changed == seen + 1.0
    (labeled,) = say(house, image, "dog", seen=conflict.changed).labeled
    assert labeled.changed == seen + 2.0


def test_an_undo_is_a_decision_like_any_other(house: House) -> None:
    (image,) = images(house, 1)
    say(house, image, "cat")
    undo = [Decision(image=image, category=None)]
    house.client.label_many("pets", undo, "undo")
    events = house.client.history("pets", image).events
    assert [event.source for event in events] == ["upload", "person", "undo"]
    assert house.client.dataset("pets").labeled == 0


def test_the_same_name_in_another_form_is_one_category(house: House) -> None:
    first, second = images(house, 2)
    composed = Decision(image=first, category="caf\u00e9")
    decomposed = Decision(image=second, category=" cafe\u0301 ")
    reply = house.client.label_many("pets", [composed, decomposed])
    assert len({one.category.id for one in reply.labeled if one.category}) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"labels": []},
        {"labels": [{"image": "1", "category": "cat"}]},
        {"labels": [{"image": "0" * 64, "category": "a/b"}]},
        {"labels": [{"image": "0" * 64}]},
        {"labels": [{"image": "0" * 64, "category": "cat"}] * 1001},
        {"labels": [{"image": "0" * 64, "category": "cat"}], "source": "magic"},
        {"labels": [{"image": "0" * 64, "category": "cat", "seen": "now"}]},
    ],
)
def test_what_is_no_decision_is_refused(house: House, body: dict[str, Any]) -> None:
    images(house, 1)
    assert refused(house, body).status_code == 400


def test_an_unknown_dataset_is_not_made(house: House) -> None:
    body = {"labels": [{"image": "0" * 64, "category": "cat"}]}
    reply = refused(house, body)
    assert (reply.status_code, reply.json()["type"]) == (404, "unknown-dataset")
    assert house.client.datasets() == []


def test_how_an_image_came_is_kept_with_its_label(house: House) -> None:
    upload = f"{BASE}/datasets/pets/images"
    for number, source in enumerate([None, "capture", "correction"]):
        query = {"category": "cat"} | ({"source": source} if source else {})
        reply = house.http.post(upload, params=query, content=png_bytes(seed=number))
        image = reply.json()["image"]
        assert house.client.lookup("pets", [image])[image].source == (source or "upload")
    archive = tar_bytes([("train/dog/1.png", png_bytes(seed=9))])
    house.http.post(f"{BASE}/datasets/pets/imports", content=archive)
    dogs = [one.source for one in house.client.images("pets", category="dog")]
    assert dogs == ["import"]
    wrong = house.http.post(upload, params={"source": "magic"}, content=png_bytes())
    assert wrong.status_code == 400


def test_sending_bytes_again_keeps_the_source_of_the_label(house: House) -> None:
    reply = house.client.upload("pets", [("a.png", png_bytes(seed=3))])
    image = reply.stored[0].image
    assert house.client.lookup("pets", [image])[image].source is None, "it has no label"
    say(house, image, "cat")
    house.client.upload("pets", [("a.png", png_bytes(seed=3))], "cat")
    assert house.client.lookup("pets", [image])[image].source == "person"
    house.client.upload("pets", [("a.png", png_bytes(seed=3))], "dog")
    assert house.client.lookup("pets", [image])[image].source == "upload"

"""The queue through the real app, as two browsers use it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commons.label_messages import Decision, LabelQueue
from sensory_service.queueing import diverse
from tests.builders import png_files
from tests.sensory_house import BASE, House, ManualClock, open_house

QUEUE = f"{BASE}/datasets/pets/queue"


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = open_house(tmp_path)
    house.client.upload("pets", png_files(12, seed=3))
    return house


def take(house: House, client: str, **more: Any) -> LabelQueue:
    reply = house.http.post(QUEUE, json={"client": client, **more})
    assert reply.status_code == 200, reply.text
    return LabelQueue.model_validate_json(reply.content)


def names(queue: LabelQueue) -> set[str]:
    return {one.image for one in queue.images}


def test_two_browsers_label_different_images_until_none_is_left(house: House) -> None:
    labeled: list[str] = []
    while True:
        both = [take(house, client, limit=3) for client in ("one", "two")]
        assert not names(both[0]) & names(both[1])
        decisions = [
            Decision(image=name, category="cat") for queue in both for name in names(queue)
        ]
        if not decisions:
            break
        house.client.label_many("pets", decisions)
        labeled += [decision.image for decision in decisions]
    assert len(labeled) == len(set(labeled)) == 12
    assert both[0].left == 0


def test_a_browser_that_is_gone_holds_nothing_for_long(house: House) -> None:
    first = take(house, "one", limit=12)
    assert take(house, "two").images == []
    assert isinstance(house.platform.clock, ManualClock)
    house.platform.clock.time += 120.0
    assert names(take(house, "two")) == names(first)


def test_skipping_and_leaving_answer_nothing(house: House) -> None:
    (image,) = names(take(house, "one", limit=1))
    skip = house.http.post(f"{QUEUE}/skip", json={"client": "one", "images": [image]})
    assert (skip.status_code, skip.content) == (204, b"")
    assert image not in names(take(house, "one"))
    release = house.http.post(f"{QUEUE}/release", json={"client": "one"})
    assert (release.status_code, release.content) == (204, b"")
    assert len(names(take(house, "two"))) == 12


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {}),
        ("", {"client": ""}),
        ("", {"client": "a\x00"}),
        ("", {"client": "a" * 65}),
        ("", {"client": "a", "said": "a/b"}),
        ("", {"client": "a", "limit": 0}),
        ("", {"client": "a", "hold_s": 1}),
        ("", {"client": "a", "order": "best"}),
        ("/skip", {"client": "a", "images": []}),
        ("/skip", {"client": "a", "images": ["../etc"]}),
        ("/release", {}),
    ],
)
def test_what_is_no_request_is_refused(house: House, path: str, body: dict[str, Any]) -> None:
    assert house.http.post(QUEUE + path, json=body).status_code == 400


def test_what_is_labeled_first_covers_more_than_what_is_most_uncertain() -> None:
    random = np.random.default_rng(5)
    clusters = [np.zeros(16, np.float32), *(100.0 * np.eye(16, dtype=np.float32)[:5])]
    sizes = [50, 4, 4, 4, 4, 4]
    vectors = [
        center + random.normal(0.0, 1.0, 16).astype(np.float32)
        for center, size in zip(clusters, sizes, strict=True)
        for _ in range(size)
    ]
    of = [number for number, size in enumerate(sizes) for _ in range(size)]
    doubt = [0.9] * 50 + [0.8] * 20  # the large cluster is the most uncertain
    plain = sorted(range(len(of)), key=lambda place: -doubt[place])[:6]
    assert {of[place] for place in plain} == {0}
    assert {of[place] for place in diverse(vectors, doubt, 6)} == {0, 1, 2, 3, 4, 5}
    left = diverse(vectors, doubt, 5, [clusters[0], clusters[1]])
    assert {2, 3, 4, 5} <= {of[place] for place in left[:4]}


def test_without_looks_the_most_uncertain_come_first() -> None:
    assert diverse([None] * 4, [0.1, 0.9, 0.5, 0.9], 3) == [1, 3, 2]
    assert diverse([], [], 3) == []
    assert sorted(diverse([None, np.zeros(4, np.float32)], [0.1, 0.2], 5)) == [0, 1]

"""Categories, history, removal, browsing and thumbnails through the real app."""

import io
from pathlib import Path

import httpx
import pytest
from PIL import Image

from commons.messages import DatasetSummary, FreezeRequest, ImageHistory
from tests.builders import jpeg_bytes, png_bytes, png_files
from tests.sensory_house import BASE, House, ManualClock, open_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def stored(house: House, seed: int = 1, category: str | None = "cat", **query: str) -> str:
    reply = house.client.upload("pets", [("a.png", png_bytes(seed=seed))], category, **query)
    return reply.stored[0].image


def category_id(house: House, name: str) -> str:
    return next(c.id for c in house.client.dataset("pets").categories if c.name == name)


def counts(house: House) -> dict[str, int]:
    summary: DatasetSummary = house.client.dataset("pets")
    return {category.name: category.images for category in summary.categories}


def history(house: House, image: str) -> ImageHistory:
    reply = house.http.get(f"{BASE}/datasets/pets/images/{image}/history")
    return ImageHistory.model_validate_json(reply.content)


def told(house: House, image: str) -> list[tuple[str, str | None]]:
    events = history(house, image).events
    return [(event.kind, event.category and event.category.name) for event in events]


def remove(house: House, image: str) -> httpx.Response:
    return house.http.delete(f"{BASE}/datasets/pets/images/{image}")


def browse(house: House, query: str = "") -> dict:
    return house.http.get(f"{BASE}/datasets/pets/images?{query}").json()


def test_a_removed_image_is_out_of_counts_and_of_the_next_snapshot(house: House) -> None:
    snapshot = house.frozen()
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    assert remove(house, line.image).status_code == 204
    summary = house.client.dataset("pets")
    assert (summary.images, summary.labeled) == (19, 19)
    assert line.image not in [row["image"] for row in browse(house)["images"]]
    again = house.client.freeze("pets", FreezeRequest())
    assert sum(again.counts.values()) == 19
    assert sum(house.client.snapshot(snapshot.id).counts.values()) == 20
    assert house.client.image(line.image)


def test_removing_twice_is_no_error_and_one_event(house: House) -> None:
    image = stored(house)
    assert [remove(house, image).status_code for _ in range(2)] == [204, 204]
    assert told(house, image) == [("labeled", "cat"), ("removed", None)]
    assert not history(house, image).present
    assert remove(house, "0" * 64).status_code == 404


def test_an_image_that_is_sent_again_is_back_with_its_label_and_its_split(house: House) -> None:
    image = stored(house, split="test")
    remove(house, image)
    relabel = f"{BASE}/datasets/pets/images/{image}/label"
    assert house.http.put(relabel, json={"category": "dog"}).status_code == 404
    reply = house.client.upload("pets", [("a.png", png_bytes(seed=1))], split="train")
    (back,) = reply.stored
    assert back.category is not None
    assert (back.category.name, back.split, back.duplicate, back.relabeled) == (
        "cat",
        "test",
        False,
        False,
    )
    assert told(house, image) == [("labeled", "cat"), ("removed", None), ("restored", "cat")]
    assert (house.client.dataset("pets").images, counts(house)) == (1, {"cat": 1})


def test_the_history_has_every_label_in_order(house: House) -> None:
    image = stored(house)
    stored(house, category="dog")
    house.http.put(f"{BASE}/datasets/pets/images/{image}/label", json={"category": None})
    assert told(house, image) == [("labeled", "cat"), ("labeled", "dog"), ("labeled", None)]
    reply = house.http.get(f"{BASE}/datasets/pets/images/{'0' * 64}/history")
    assert reply.json()["type"] == "unknown-image"


def test_a_category_is_added_once(house: House) -> None:
    path = f"{BASE}/datasets/pets/categories"
    first = house.http.post(path, json={"name": "<b>cat</b> 1"})
    assert first.status_code == 400, "a slash could be taken for a path"
    first = house.http.post(path, json={"name": "<b>cat"})
    second = house.http.post(path, json={"name": " <b>cat "})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert counts(house) == {"<b>cat": 0}


def test_a_renamed_category_keeps_its_id_and_images(house: House) -> None:
    stored(house)
    stored(house, 2, "dog")
    cat = category_id(house, "cat")
    path = f"{BASE}/datasets/pets/categories/{cat}/name"
    assert house.http.put(path, json={"name": "lion"}).json() == {"id": cat, "name": "lion"}
    assert counts(house) == {"lion": 1, "dog": 1}
    taken = house.http.put(path, json={"name": "dog"})
    assert (taken.status_code, taken.json()["type"]) == (409, "category-exists")
    assert house.http.put(path, json={"name": "a/b"}).status_code == 400
    assert house.http.put(path.replace(cat, "x"), json={"name": "y"}).status_code == 404


def merge(house: House, name: str, into: str) -> httpx.Response:
    return house.http.post(
        f"{BASE}/datasets/pets/categories/{category_id(house, name)}/merge",
        json={"into": category_id(house, into)},
    )


def test_merging_moves_every_image_and_forgets_no_label(house: House) -> None:
    image = stored(house, category="kitty")
    gone = stored(house, 2, "kitty")
    remove(house, gone)
    stored(house, 3, "cat")
    assert merge(house, "kitty", "cat").json()["name"] == "cat"
    assert counts(house) == {"cat": 2}
    assert told(house, image) == [("labeled", "kitty"), ("merged", "cat")]
    stored(house, 2, None)
    assert counts(house) == {"cat": 3}, "what comes back comes back as the new category"


def test_the_name_of_a_merged_category_means_the_new_one(house: House) -> None:
    for seed, name in enumerate(("kitty", "pussy", "cat")):
        stored(house, seed, name)
    merge(house, "kitty", "pussy")
    merge(house, "pussy", "cat")
    reply = house.client.upload("pets", [("a.png", png_bytes(seed=0))], "kitty")
    assert (reply.stored[0].duplicate, reply.stored[0].relabeled) == (True, False)
    assert counts(house) == {"cat": 3}
    assert len(browse(house, "category=kitty")["images"]) == 3
    cat = category_id(house, "cat")
    path = f"{BASE}/datasets/pets/categories/{cat}/name"
    assert house.http.put(path, json={"name": "kitty"}).json() == {"id": cat, "name": "kitty"}
    stored(house, 9, "cat")
    assert counts(house) == {"kitty": 4}


def test_a_category_cannot_be_merged_into_itself_or_into_nothing(house: House) -> None:
    stored(house)
    assert merge(house, "cat", "cat").status_code == 400
    path = f"{BASE}/datasets/pets/categories/{category_id(house, 'cat')}/merge"
    assert house.http.post(path, json={"into": "nothing"}).status_code == 404


def test_snapshots_keep_the_category_they_were_frozen_with(house: House) -> None:
    snapshot = house.frozen()
    house.fill("pets", {"kitty": 3}, shape=(5, 5, 1))
    merge(house, "kitty", "cat")
    assert house.client.snapshot(snapshot.id) == snapshot
    assert sum(house.client.freeze("pets", FreezeRequest()).counts.values()) == 23


def test_browsing_by_time_pages_from_the_latest_change(tmp_path: Path) -> None:
    clock = ManualClock(1000.0)
    house = open_house(tmp_path, clock)
    images = []
    for seed in range(6):
        images.append(stored(house, seed))
        clock.time += 1.0
    stored(house, 0, "dog")  # the oldest is the one that changed last

    def page(query: str) -> tuple[list[int], str | None]:
        reply = browse(house, query)
        return [images.index(row["image"]) for row in reply["images"]], reply["cursor"]

    found, cursor = page("since=1003&limit=2")
    assert found == [0, 5]
    assert page(f"since=1003&limit=2&cursor={cursor}") == ([4, 3], None)
    assert page("until=1003") == ([2, 1], None)
    assert page("since=1001&until=1003&category=cat") == ([2, 1], None)
    assert page("since=2000") == ([], None)


@pytest.mark.parametrize("query", ["cursor=x", "cursor=1:2", "since=1&cursor=5", "since=nan"])
def test_a_wrong_cursor_or_time_is_refused(house: House, query: str) -> None:
    stored(house)
    assert house.http.get(f"{BASE}/datasets/pets/images?{query}").status_code == 400


def test_every_page_by_number_comes_once(house: House) -> None:
    house.client.upload("pets", png_files(7))
    seen, cursor = [], ""
    while cursor is not None:
        page = browse(house, f"limit=3&labeled=false{cursor and f'&cursor={cursor}'}")
        seen += [row["image"] for row in page["images"]]
        cursor = page["cursor"]
    assert len(set(seen)) == len(seen) == 7


def test_a_thumbnail_is_small_upright_and_nothing_but_a_picture(house: House) -> None:
    data = jpeg_bytes((400, 200, 3), orientation=6)
    image = house.client.upload("pets", [("a.jpg", data)]).stored[0].image
    path = f"{BASE}/images/{image}/thumbnail"
    reply = house.http.get(path, params={"size": 64})
    assert Image.open(io.BytesIO(reply.content)).size == (64, 32)
    assert reply.headers["Content-Type"] == "image/webp"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Security-Policy"].startswith("sandbox")
    assert "immutable" in reply.headers["Cache-Control"]
    again = house.http.get(
        path, params={"size": 64}, headers={"If-None-Match": reply.headers["ETag"]}
    )
    assert again.status_code == 304
    assert house.http.get(path, params={"size": 5000}).status_code == 400
    assert house.http.get(path.replace(image, "0" * 64)).status_code == 404


def test_a_small_picture_is_not_enlarged(house: House) -> None:
    image = stored(house)
    reply = house.http.get(f"{BASE}/images/{image}/thumbnail")
    assert Image.open(io.BytesIO(reply.content)).size == (8, 8)

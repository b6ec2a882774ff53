"""Freezing through the real app."""

from pathlib import Path

import pytest

from commons.errors import ConflictError, InvalidInputError, NotFoundError
from commons.messages import Category, FreezeRequest, SnapshotImage, Split
from sensory_service.snapshots import manifest_hash
from tests.builders import png_bytes, png_files
from tests.sensory_house import BASE, House, open_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def test_a_snapshot_counts_its_images_and_names_its_categories(house: House) -> None:
    snapshot = house.frozen(each=20)
    assert snapshot.counts == {"train": 28, "validation": 6, "test": 6}
    assert [category.name for category in snapshot.categories] == ["cat", "dog"]
    assert snapshot.median_shape == (8, 8, 1)
    assert house.client.snapshot(snapshot.id) == snapshot


def test_the_same_content_is_the_same_snapshot(house: House) -> None:
    first = house.frozen()
    path = f"{BASE}/datasets/pets/snapshots"
    reply = house.http.post(path, json={})
    assert (reply.status_code, reply.json()) == (200, first.model_dump(mode="json"))
    house.fill("pets", {"eel": 5})
    reply = house.http.post(path, json={})
    assert reply.status_code == 201
    assert reply.json()["id"] != first.id


def test_the_snapshots_of_a_dataset_are_listed_newest_first(house: House) -> None:
    first = house.frozen(each=20)
    house.fill("pets", {"eel": 5}, shape=(9, 9, 1))
    second = house.client.freeze("pets", FreezeRequest())
    house.client.freeze("pets", FreezeRequest(categories=["cat", "dog"]))  # the first one again
    house.fill("zoo", {"ant": 5, "bee": 5}, shape=(5, 5, 1))
    assert house.client.snapshots("zoo") == []
    house.client.freeze("zoo", FreezeRequest())
    for entry, whole in zip(house.client.snapshots("pets"), (second, first), strict=True):
        assert (entry.id, entry.created) == (whole.id, whole.created)
        assert (entry.counts, entry.categories) == (whole.counts, len(whole.categories))
        assert entry.images == sum(whole.counts.values())


def test_the_snapshots_of_a_dataset_that_is_not_there_are_not_found(house: House) -> None:
    reply = house.http.get(f"{BASE}/datasets/birds/snapshots")
    assert (reply.status_code, reply.json()["type"]) == (404, "unknown-dataset")


def test_a_snapshot_is_found_by_the_start_of_its_id_in_every_route(house: House) -> None:
    snapshot = house.frozen()
    start, whole = f"{BASE}/snapshots/{snapshot.id[:6]}", f"{BASE}/snapshots/{snapshot.id}"
    for path in ("", "/images", "/state", "/batch?seed=3", "/export"):
        assert house.http.get(start + path).content == house.http.get(whole + path).content
    for path in (f"{start}/diff/{snapshot.id[:20]}", f"{whole}/diff/{snapshot.id}"):
        diff = house.http.get(path).json()
        assert (diff["before"], diff["after"]) == (snapshot.id, snapshot.id)


def test_an_order_names_its_snapshot_by_the_whole_id(house: House) -> None:
    snapshot = house.frozen()
    order = {"snapshot": snapshot.id[:12], "splits": ["train"], "shape": [8, 8, 1]}
    assert house.http.post(f"{BASE}/orders", json=order).status_code == 400


def test_a_start_that_is_too_short_or_of_no_snapshot_is_not_found(house: House) -> None:
    snapshot = house.frozen()
    other = "0" if snapshot.id[0] != "0" else "1"
    for start in (snapshot.id[:5], other + snapshot.id[1:8], snapshot.id + "0", "%5f%25", "g" * 8):
        reply = house.http.get(f"{BASE}/snapshots/{start}")
        assert (reply.status_code, reply.json()["type"]) == (404, "unknown-snapshot")


def test_the_id_is_the_hash_of_the_manifest_that_a_client_can_read(house: House) -> None:
    snapshot = house.frozen()
    splits: tuple[Split, ...] = ("train", "validation", "test")
    lines = [line for split in splits for line in house.client.snapshot_images(snapshot.id, split)]
    assert len({line.image for line in lines}) == 20
    assert manifest_hash("pets", snapshot.categories, lines) == snapshot.id


def test_splits_are_the_same_whatever_the_order_of_the_uploads(tmp_path: Path) -> None:
    files = {"cat": png_files(20, seed=1), "dog": png_files(20, seed=2)}
    found = []
    for name, turn in (("a", 1), ("b", -1)):
        house = open_house(tmp_path / name)
        for category in list(files)[::turn]:
            house.client.upload("pets", files[category][::turn], category)
        snapshot = house.client.freeze("pets", FreezeRequest())
        lines = house.client.snapshot_images(snapshot.id, "test")
        found.append({line.image for line in lines})
    assert found[0] == found[1]
    assert len(found[0]) == 6


def test_an_image_keeps_its_split_when_the_dataset_grows(house: House) -> None:
    first = house.frozen(each=10)
    house.client.upload("pets", png_files(30, seed=7), "cat")
    second = house.client.freeze("pets", FreezeRequest(validation_share=0.4))
    for split, images in first.counts.items():
        before = {line.image for line in house.client.snapshot_images(first.id, split)}
        after = {line.image for line in house.client.snapshot_images(second.id, split)}
        assert len(before) == images
        assert before <= after


def test_an_image_keeps_its_split_when_it_is_relabeled(house: House) -> None:
    snapshot = house.frozen()
    line = next(house.client.snapshot_images(snapshot.id, "test"))
    data = house.client.image(line.image)
    other = "dog" if snapshot.categories[line.category].name == "cat" else "cat"
    house.client.upload("pets", [("again.png", data)], other, "train")
    second = house.client.freeze("pets", FreezeRequest())
    again = {row.image: row.category for row in house.client.snapshot_images(second.id, "test")}
    assert again[line.image] != line.category


def test_the_splits_of_an_import_are_kept(house: House) -> None:
    for category in ("cat", "dog"):
        files = png_files(12, seed=ord(category[0]))
        house.client.upload("pets", files[:6], category, "train")
        house.client.upload("pets", files[6:8], category, "validation")
        house.client.upload("pets", files[8:], category, "test")
    snapshot = house.client.freeze("pets", FreezeRequest())
    assert snapshot.counts == {"train": 12, "validation": 4, "test": 8}


def test_later_images_never_join_the_test_images_of_an_import(house: House) -> None:
    house.client.upload("pets", png_files(2, seed=1), "cat", "test")
    house.fill("pets", {"dog": 40, "cat": 40}, shape=(9, 9, 1))
    assert house.client.freeze("pets", FreezeRequest()).counts["test"] == 2


def test_only_the_named_categories_are_frozen(house: House) -> None:
    house.fill("pets", {"cat": 5, "dog": 6, "eel": 7})
    snapshot = house.client.freeze("pets", FreezeRequest(categories=["eel", "cat"]))
    assert [category.name for category in snapshot.categories] == ["cat", "eel"]
    assert sum(snapshot.counts.values()) == 12


def test_a_new_category_does_not_renumber_the_others(house: House) -> None:
    first = house.frozen()
    house.fill("pets", {"ant": 5}, shape=(5, 5, 1))
    second = house.client.freeze("pets", FreezeRequest())
    assert second.categories[:2] == first.categories


def test_the_median_shape_has_colour_if_any_image_has(house: House) -> None:
    house.client.upload("pets", png_files(3, (10, 20, 1), 1), "cat")
    house.client.upload("pets", png_files(2, (30, 40, 3), 2), "dog")
    assert house.client.freeze("pets", FreezeRequest()).median_shape == (10, 20, 3)


def test_a_manifest_is_read_page_by_page(house: House) -> None:
    snapshot = house.frozen(each=20)

    def page(query: str) -> dict:
        return house.http.get(f"{BASE}/snapshots/{snapshot.id}/images?{query}").json()

    first = page("split=validation&limit=4")
    second = page(f"split=validation&limit=4&cursor={first['cursor']}")
    assert (len(first["images"]), len(second["images"]), second["cursor"]) == (4, 2, None)
    assert page("split=validation&cursor=100") == {"images": [], "cursor": None}
    everything = page("limit=100")["images"]
    assert len(everything) == 40
    assert everything[28:34] == first["images"] + second["images"]


@pytest.mark.parametrize(
    ("categories", "kind"),
    [
        ({"cat": 10}, "too-few-categories"),
        ({"cat": 1, "dog": 1}, "no-validation-images"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    house: House, categories: dict[str, int], kind: str
) -> None:
    house.fill("pets", categories)
    with pytest.raises(ConflictError) as caught:
        house.client.freeze("pets", FreezeRequest())
    assert caught.value.kind == kind
    assert "expected" in str(caught.value)


def test_fewer_images_than_categories_are_refused(house: House) -> None:
    for name in ("cat", "dog", "eel"):  # each takes the same image over
        house.client.upload("pets", [("a.png", png_bytes())], name)
    with pytest.raises(ConflictError, match=r"categories \(3\) in pets, got 1") as caught:
        house.client.freeze("pets", FreezeRequest())
    assert caught.value.kind == "too-few-images"


def test_a_refused_freeze_assigns_no_splits(house: House) -> None:
    house.fill("pets", {"cat": 1, "dog": 1})
    with pytest.raises(ConflictError):
        house.client.freeze("pets", FreezeRequest())
    found = house.http.get(f"{BASE}/datasets/pets/images").json()["images"]
    assert [row["split"] for row in found] == [None, None]


def test_a_category_that_only_tests_is_refused(house: House) -> None:
    house.fill("pets", {"cat": 10})
    house.client.upload("pets", png_files(3, seed=8), "dog", "test")
    with pytest.raises(ConflictError, match=r"training image in every category.*'dog'"):
        house.client.freeze("pets", FreezeRequest())


def test_an_import_without_images_to_select_by_is_told_what_to_send(house: House) -> None:
    for seed, category in enumerate(("cat", "dog")):
        house.client.upload("pets", png_files(4, seed=seed), category, "train")
    with pytest.raises(ConflictError, match="no split at all"):
        house.client.freeze("pets", FreezeRequest())


def test_what_is_not_there_is_not_found(house: House) -> None:
    with pytest.raises(NotFoundError, match="no dataset"):
        house.client.freeze("pets", FreezeRequest())
    house.fill("pets", {"cat": 2, "dog": 2})
    with pytest.raises(NotFoundError, match="no category 'eel'"):
        house.client.freeze("pets", FreezeRequest(categories=["cat", "eel"]))
    with pytest.raises(NotFoundError, match="no snapshot"):
        house.client.snapshot("0" * 64)
    with pytest.raises(NotFoundError, match="no snapshot"):
        list(house.client.snapshot_images("0" * 64, "test"))


def test_an_empty_list_of_categories_is_refused(house: House) -> None:
    house.fill("pets", {"cat": 3, "dog": 3})
    with pytest.raises((ConflictError, InvalidInputError)):
        house.client.freeze("pets", FreezeRequest(categories=[]))


def test_the_manifest_hash_is_fixed_for_ever() -> None:
    categories = [Category(id="1", name="cat"), Category(id="2", name="dog")]
    lines = [SnapshotImage(image="a" * 64, category=1, split="train")]
    assert manifest_hash("pets", categories, lines) == (
        "27292c8f019c307b5f9d01a139b5571937031be4305375ecc5fad764be80d8d6"
    )

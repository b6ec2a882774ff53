"""Erasure and the check of the storage, through the real app."""

import os
from pathlib import Path

import httpx
import pytest

from commons.blob_names import shard_blob
from commons.messages import CheckFault, Erasure, FreezeRequest
from sensory_service.blob_names import image_blob
from tests.builders import png_bytes, png_files
from tests.sensory_house import BASE, House, open_house


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def purge(house: House, image: str) -> Erasure:
    reply = house.http.delete(f"{BASE}/images/{image}")
    assert reply.status_code == 200, reply.text
    return Erasure.model_validate_json(reply.content)


def faults(house: House) -> list[tuple[str, str]]:
    found: list[CheckFault] = []
    for number in range(256):
        found += house.client.check(f"{number:02x}").faults
    return [(fault.kind, fault.name) for fault in found]


def all_bytes(house: House) -> bytes:
    blobs = house.platform.blobs
    return b"|".join(blobs.get(name) for name in blobs.names())


def test_an_erased_image_is_in_no_blob_and_in_no_dataset(house: House) -> None:
    snapshot = house.frozen()
    order = house.ordered(snapshot)
    house.work()
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    data = house.client.image(line.image)
    assert all_bytes(house).count(data) == 2, "the image and the pack"
    erasure = purge(house, line.image)
    assert (erasure.packs, erasure.shards, erasure.snapshots) == (1, 1, [snapshot.id])
    assert data not in all_bytes(house)
    assert house.http.get(f"{BASE}/images/{line.image}").status_code == 404
    assert house.http.get(f"{BASE}/images/{line.image}/thumbnail").status_code == 404
    assert house.client.dataset("pets").images == 19
    state = house.http.get(f"{BASE}/snapshots/{snapshot.id}/state").json()
    assert (state["purged"], state["packed"]) == (1, True)
    assert faults(house) == []
    assert house.client.order_state(order.id).state == "running", "a shard of it is gone"
    again = house.client.freeze("pets", FreezeRequest())
    assert sum(again.counts.values()) == 19
    new = house.ordered(again)
    house.work()
    assert house.client.order_state(new.id).state == "complete"


def test_an_order_of_a_marked_snapshot_fails_and_says_why(house: House) -> None:
    snapshot = house.frozen()
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    purge(house, line.image)
    order = house.ordered(snapshot)
    house.work()
    state = house.client.order_state(order.id)
    assert state.state == "failed"
    assert line.image in str(state.reason)
    export = house.http.get(f"{BASE}/snapshots/{snapshot.id}/export")
    assert (export.status_code, export.json()["type"]) == (410, "erased")


def test_other_images_of_a_pack_are_still_read_from_one(house: House) -> None:
    snapshot = house.frozen(each=60)
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    (before,) = house.platform.blobs.names("packs/")
    purge(house, line.image)
    (after,) = house.platform.blobs.names("packs/")
    assert after != before
    assert len(house.platform.blobs.get(after)) == sum(
        len(house.client.image(row["image"]))
        for row in house.http.get(f"{BASE}/datasets/pets/images?limit=200").json()["images"]
    )


def test_erasing_twice_changes_nothing_more(house: House) -> None:
    snapshot = house.frozen()
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    purge(house, line.image)
    assert purge(house, line.image).packs == 0
    state = house.http.get(f"{BASE}/snapshots/{snapshot.id}/state").json()
    assert state["purged"] == 1
    assert house.http.delete(f"{BASE}/images/{'0' * 64}").status_code == 404


def test_an_erased_image_that_is_sent_again_is_an_image_again(house: House) -> None:
    house.client.upload("pets", [("a.png", png_bytes())], "cat")
    (row,) = house.http.get(f"{BASE}/datasets/pets/images").json()["images"]
    purge(house, row["image"])
    (stored,) = house.client.upload("pets", [("a.png", png_bytes())]).stored
    assert house.client.image(stored.image) == png_bytes()
    assert faults(house) == []


def test_a_healthy_storage_has_no_faults(house: House) -> None:
    house.ordered(house.frozen())
    house.work()
    assert faults(house) == []


def test_what_is_missing_damaged_or_unknown_is_found(house: House) -> None:
    house.ordered(house.frozen())
    house.work()
    blobs = house.settings.data / "blobs"
    images = sorted(path for path in (blobs / "images").rglob("*") if path.is_file())
    images[0].unlink()
    images[1].write_bytes(b"rot")
    shard = next(path for path in (blobs / "shards").rglob("*") if path.is_file())
    shard.unlink()
    house.platform.blobs.put(image_blob("ab" * 32), b"nobody's")
    os.utime(blobs / image_blob("ab" * 32), (0, 0))
    old = blobs / ".temporary" / "old"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    (blobs / ".temporary" / "new").write_bytes(b"under way")
    assert set(faults(house)) == {
        ("missing", image_blob(images[0].name)),
        ("damaged", image_blob(images[1].name)),
        ("missing", shard_blob(shard.name)),
        ("orphan", image_blob("ab" * 32)),
        ("leftover", ".temporary/old"),
    }


def test_a_blob_that_no_table_knows_is_a_fault_once_it_is_old(house: House) -> None:
    name = image_blob("ab" * 32)
    house.platform.blobs.put(name, b"under way")
    file = house.settings.data / "blobs" / name
    now = house.platform.clock.now()
    for age_s, young, found in ((0, [name], []), (599, [name], []), (601, [], ["orphan"])):
        os.utime(file, (now - age_s, now - age_s))
        report = house.client.check("ab")
        assert (report.young, [fault.kind for fault in report.faults]) == (young, found)


def test_an_erasure_that_was_interrupted_is_found_and_finished(house: House) -> None:
    snapshot = house.frozen()
    line = next(house.client.snapshot_images(snapshot.id, "train"))
    data = house.client.image(line.image)

    class Stopping:
        def __getattr__(self, name: str):
            return getattr(house.platform.blobs, name)

        def delete(self, name: str) -> bool:
            raise RuntimeError("killed")

    stopped = house.with_parts(Stopping())  # type: ignore[arg-type]
    assert stopped.http.delete(f"{BASE}/images/{line.image}").status_code == 500
    assert ("unfinished", line.image) in faults(house)
    purge(house, line.image)
    assert faults(house) == []
    assert data not in all_bytes(house)


@pytest.mark.parametrize("prefix", ["0", "0g", "000", "%2e%2e"])
def test_a_wrong_prefix_is_refused(house: House, prefix: str) -> None:
    reply: httpx.Response = house.http.get(f"{BASE}/check/{prefix}")
    assert reply.status_code == 400


def test_the_packs_of_a_killed_writer_go_with_the_next_erasure(house: House) -> None:
    house.platform.blobs.put(f"packs/ab/{'ab' * 32}", b"bytes of somebody")
    (stored,) = house.client.upload("pets", png_files(1)).stored
    purge(house, stored.image)
    assert list(house.platform.blobs.names("packs/")) == []

"""Images through the real app: what is acknowledged is there, what is refused left nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commons.errors import ConflictError, InvalidInputError, NotFoundError, StorageFullError
from commons.messages import FreezeRequest, StoredImage
from sensory_service.app import Settings, create_platform
from tests.builders import bomb_png, encoded, jpeg_bytes, picture, png_bytes, png_files, truncated
from tests.sensory_house import BASE, House, ManualClock, MemoryBlobs, build_house, open_house
from tests.small_disk import mounted_disk


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


@pytest.fixture(scope="module")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Return a house for what is refused, and so leaves it as empty as it was."""
    return open_house(tmp_path_factory.mktemp("empty"))


def post(house: House, data: bytes, dataset: str = "pets", **query: str) -> tuple[int, dict]:
    reply = house.http.post(f"{BASE}/datasets/{dataset}/images", params=query, content=data)
    return reply.status_code, reply.json()


def test_a_new_image_is_created_and_the_same_again_is_a_duplicate(house: House) -> None:
    status, first = post(house, png_bytes((5, 6, 3)), category="cat")
    again, second = post(house, png_bytes((5, 6, 3)), category="cat")
    assert (status, again) == (201, 200)
    assert (first["height"], first["width"], first["channels"]) == (5, 6, 3)
    assert first["category"]["name"] == "cat"
    assert second == first | {"duplicate": True}


def test_the_same_image_with_another_category_is_relabeled(house: House) -> None:
    post(house, png_bytes(), category="cat")
    status, stored = post(house, png_bytes(), category="dog")
    assert (status, stored["duplicate"], stored["relabeled"]) == (200, True, True)
    assert stored["category"]["name"] == "dog"


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "image/jpeg", "text/html", "application/json"]
)
def test_a_raw_body_is_an_image_whatever_its_sender_calls_it(house: House, kind: str) -> None:
    reply = house.http.post(
        f"{BASE}/datasets/pets/images", content=png_bytes(), headers={"Content-Type": kind}
    )
    assert reply.status_code == 201
    image = house.http.get(f"{BASE}/images/{reply.json()['image']}")
    assert image.headers["Content-Type"] == "image/png"


def test_many_files_are_stored_or_refused_each_for_itself(house: House) -> None:
    files = [
        ("good.png", png_bytes(seed=1)),
        ("text.png", b"hello"),
        ("cut.png", truncated(png_bytes((64, 64, 3)))),
        ("bomb.png", bomb_png()),
        ("photo.jpg", jpeg_bytes(seed=2)),
    ]
    reply = house.client.upload("pets", files, category="cat", split="train")
    assert [(stored.channels, stored.split) for stored in reply.stored] == [
        (1, "train"),
        (3, "train"),
    ]
    assert [(fault.file, fault.kind) for fault in reply.refused] == [
        ("text.png", "not-an-image"),
        ("cut.png", "not-an-image"),
        ("bomb.png", "too-many-pixels"),
    ]
    assert house.client.dataset("pets").images == 2


def post_form(house: House, *files: tuple[str, bytes]) -> int:
    parts = [("files", file) for file in files]
    return house.http.post(f"{BASE}/datasets/pets/images", files=parts).status_code


def test_a_form_is_created_while_any_of_its_files_is_new(house: House) -> None:
    known, other, new = png_files(3)
    text = ("text.png", b"hello")
    assert post_form(house, known, other) == 201
    assert post_form(house, known, text, new) == 201
    assert post_form(house, known, other, new, text) == 200
    assert post_form(house, text) == 200
    removed = house.client.upload("pets", [known]).stored[0].image
    house.client.remove("pets", removed)
    assert post_form(house, known) == 201, "what comes back is new to the dataset"


def test_the_documentation_knows_both_answers_of_an_upload_by_both_codes(house: House) -> None:
    document = house.http.get(f"{BASE}/openapi.json").json()
    responses = document["paths"][f"{BASE}/datasets/{{dataset}}/images"]["post"]["responses"]
    for code in ("200", "201"):
        schema = responses[code]["content"]["application/json"]["schema"]
        answer = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        names = {one["$ref"].rpartition("/")[2] for one in answer["anyOf"]}
        assert names == {"StoredImage", "UploadReply"}


def test_thousands_of_files_in_one_request_are_no_error(house: House) -> None:
    data = png_bytes((1, 1, 1))
    reply = house.client.upload("pets", [(f"{number}.png", data) for number in range(3000)])
    assert len(reply.stored) == 3000
    assert house.client.dataset("pets").images == 1


def test_a_form_without_files_says_what_was_expected(house: House) -> None:
    reply = house.http.post(
        f"{BASE}/datasets/pets/images", files=[("picture", ("a.png", png_bytes()))]
    )
    assert reply.status_code == 400
    assert "`files`" in reply.json()["detail"]
    assert house.client.datasets() == []


@pytest.mark.parametrize(
    ("data", "status", "kind"),
    [
        (b"", 400, "not-an-image"),
        (b"hello", 400, "not-an-image"),
        (truncated(png_bytes((64, 64, 3))), 400, "not-an-image"),
        (encoded(picture((8, 8, 3)), "TIFF"), 400, "not-an-image"),
        (bomb_png(), 413, "too-many-pixels"),
    ],
    ids=["empty", "text", "truncated", "tiff", "bomb"],
)
def test_what_is_no_image_is_refused_and_leaves_nothing(
    empty_house: House, data: bytes, status: int, kind: str
) -> None:
    answered, problem = post(empty_house, data, category="cat")
    assert (answered, problem["type"]) == (status, kind)
    assert empty_house.client.datasets() == []
    assert list(empty_house.platform.blobs.names("images/")) == []


@pytest.mark.parametrize("category", ["../../etc", "a/b", "a\\b", "a\nb", "", " ", "x" * 121])
def test_a_category_that_could_be_taken_for_a_path_is_refused(
    empty_house: House, category: str
) -> None:
    status, problem = post(empty_house, png_bytes(), category=category)
    assert status == 400
    assert "expected a category name" in problem["detail"]
    with pytest.raises(InvalidInputError, match="category name"):
        empty_house.client.upload("pets", png_files(1), category=category)
    assert empty_house.client.datasets() == []


@pytest.mark.parametrize("name", ["Pets", "-pets", "p" * 64, "pets!"])
def test_a_wrong_dataset_name_is_refused(empty_house: House, name: str) -> None:
    status, problem = post(empty_house, png_bytes(), dataset=name)
    assert (status, problem["type"]) == (400, "invalid-name")
    assert "small letters" in problem["detail"]


def test_category_names_are_any_text_and_one_text_is_one_category(house: House) -> None:
    post(house, png_bytes(seed=1), category=" Käse & <b>Brot ")
    post(house, png_bytes(seed=2), category="Ka\u0308se & <b>Brot")
    (category,) = house.client.dataset("pets").categories
    assert (category.name, category.images) == ("Käse & <b>Brot", 2)


def test_a_misspelt_parameter_is_an_error(house: House) -> None:
    status, problem = post(house, png_bytes(), categorie="cat")
    assert status == 400
    assert "categorie" in problem["detail"]
    assert post(house, png_bytes(), split="training")[0] == 400


def test_an_image_comes_back_as_sent_and_as_nothing_but_an_image(house: House) -> None:
    data = jpeg_bytes() + b"<script>alert(1)</script>"
    _, stored = post(house, data)
    reply = house.http.get(f"{BASE}/images/{stored['image']}")
    assert reply.content == data
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Security-Policy"].startswith("sandbox")
    assert "immutable" in reply.headers["Cache-Control"]
    tag = reply.headers["ETag"]
    path = f"{BASE}/images/{stored['image']}"
    assert house.http.get(path, headers={"If-None-Match": tag}).status_code == 304
    head = house.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(data))


@pytest.mark.parametrize("sha256", ["0" * 64, "%2e%2e%2fsensory.sqlite3", "x"])
def test_an_image_that_is_not_there_is_not_found(empty_house: House, sha256: str) -> None:
    assert empty_house.http.get(f"{BASE}/images/{sha256}").status_code == 404


def test_counts_and_browsing_agree(house: House) -> None:
    house.fill("pets", {"cat": 3, "dog": 2})
    house.client.upload("pets", png_files(4, seed=9))
    summary = house.client.dataset("pets")
    assert (summary.images, summary.labeled) == (9, 5)
    assert [(c.name, c.images) for c in summary.categories] == [("cat", 3), ("dog", 2)]
    assert house.client.datasets() == [summary]

    def browse(query: str) -> dict:
        return house.http.get(f"{BASE}/datasets/pets/images?{query}").json()

    assert len(browse("category=dog")["images"]) == 2
    assert len(browse("labeled=false")["images"]) == 4
    first = browse("limit=5")
    second = browse(f"limit=5&cursor={first['cursor']}")
    assert (len(first["images"]), len(second["images"]), second["cursor"]) == (5, 4, None)


def test_a_label_is_changed_and_taken_away(house: House) -> None:
    _, stored = post(house, png_bytes(), category="cat")
    path = f"{BASE}/datasets/pets/images/{stored['image']}/label"
    changed = StoredImage.model_validate_json(
        house.http.put(path, json={"category": "dog"}).content
    )
    assert changed.category is not None
    assert (changed.category.name, changed.relabeled) == ("dog", True)
    assert house.http.put(path, json={"category": None}).json()["category"] is None
    assert house.client.dataset("pets").labeled == 0
    assert house.http.put(path, json={"category": "../x"}).status_code == 400
    assert house.http.put(path, json={}).status_code == 400
    assert house.http.put(path.replace(stored["image"], "0" * 64), json={"category": "x"}).json()[
        "type"
    ] == ("unknown-image")


def test_a_dataset_that_is_not_there_is_not_found(house: House) -> None:
    with pytest.raises(NotFoundError, match="no dataset named pets"):
        house.client.dataset("pets")
    assert house.http.get(f"{BASE}/datasets/pets/images").status_code == 404


def test_a_full_store_says_so_and_the_tables_know_nothing(house: House) -> None:
    blobs = MemoryBlobs(room=300)
    full = house.with_parts(blobs)
    with pytest.raises(StorageFullError, match="no space"):
        full.client.upload("pets", png_files(20), category="cat")
    status, problem = post(full, png_bytes((64, 64, 3)))
    assert (status, problem["type"]) == (507, "storage-full")
    assert full.client.datasets() == []
    blobs.room = 1 << 20
    reply = full.client.upload("pets", png_files(20), category="cat")
    assert not any(stored.duplicate for stored in reply.stored)


def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk: Path) -> None:
    house = open_house(small_disk / "data")
    acknowledged: list[StoredImage] = []
    with pytest.raises(StorageFullError, match="no space"):
        _upload_until_full(house, acknowledged)
    house.platform.database.dispose()
    again = open_house(small_disk / "data")
    assert again.client.dataset("pets").images == len(acknowledged)
    for stored in acknowledged:
        again.client.image(stored.image)
    again.platform.database.dispose()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk", "3m") as disk:
        yield disk


def _upload_until_full(house: House, acknowledged: list[StoredImage]) -> None:
    for file in png_files(1000, (64, 64, 3)):
        acknowledged += house.client.upload("pets", [file]).stored


class DyingBlobs(MemoryBlobs):
    """Stores, and then the process dies before the tables know."""

    def put(self, name: str, data: bytes) -> bool:
        super().put(name, data)
        raise RuntimeError("killed")


def test_bytes_whose_upload_died_before_the_tables_knew_are_stored_by_the_retry(
    house: House,
) -> None:
    blobs = DyingBlobs()
    dying = house.with_parts(blobs)
    assert post(dying, png_bytes(), category="cat")[0] == 500
    assert len(blobs.held) == 1
    assert dying.client.datasets() == []
    alive = MemoryBlobs()
    alive.held = blobs.held
    status, stored = post(house.with_parts(alive), png_bytes(), category="cat")
    assert (status, stored["duplicate"]) == (201, False)


def test_what_was_acknowledged_is_there_after_a_new_start(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "made" / "when new")
    first = build_house(settings, create_platform(settings, ManualClock()))
    _, stored = post(first, png_bytes(), category="cat")
    first.platform.database.dispose()
    second = build_house(settings, create_platform(settings, ManualClock()))
    assert second.client.image(stored["image"]) == png_bytes()
    assert second.client.dataset("pets").labeled == 1


def test_a_body_above_the_limit_is_refused(house: House) -> None:
    small = house.with_parts(max_body_bytes=1000)
    status, problem = post(small, bytes(2000))
    assert (status, problem["type"]) == (413, "too-large")
    assert problem["detail"] == "expected a body of at most 1,000 bytes, got 2,000"


def test_a_form_above_its_limits_is_refused_with_the_limit(house: House) -> None:
    def refused(where: House, *fields: str) -> str:
        # Fields and not files: a cut form leaves files of the framework open for a while.
        form = [("files", (None, field)) for field in fields]
        reply = where.http.post(f"{BASE}/datasets/pets/images", files=form)
        assert (reply.status_code, reply.json()["type"]) == (413, "too-large")
        assert reply.headers["Content-Type"] == "application/problem+json"
        return str(reply.json()["detail"])

    assert "at most 3 files" in refused(house.with_parts(max_upload_files=3), *"abcd")
    assert "500,000 bytes in fields" in refused(house, "x" * 600_000)
    assert house.client.datasets() == []


def test_the_documentation_lists_every_route(house: House) -> None:
    document = house.http.get(f"{BASE}/openapi.json").json()
    assert f"{BASE}/datasets/{{dataset}}/images" in document["paths"]
    body = document["paths"][f"{BASE}/datasets/{{dataset}}/images"]["post"]["requestBody"]
    assert set(body["content"]) == {"application/octet-stream", "multipart/form-data"}
    assert house.http.get(f"{BASE}/docs").status_code in {200, 302, 308}


def test_readiness_names_what_is_missing(house: House) -> None:
    assert house.http.get(f"{BASE}/readyz").json() == {"ready": True, "missing": {}}
    assert house.http.get(f"{BASE}/healthz").status_code == 200


def test_a_dataset_of_unlabeled_images_cannot_be_frozen(house: House) -> None:
    house.client.upload("pets", png_files(3))
    with pytest.raises(ConflictError, match="labeled images"):
        house.client.freeze("pets", FreezeRequest())

"""The history through the real app, as clients see it."""

import hashlib
import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.app import ClassificationService, Settings, create_service
from classification_service.history_retention import HistoryRetention
from classification_service.recording import classified_blob, new_id
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.history_client import HistoryClient
from commons.adapters.services import CLASSIFICATION, Caller
from commons.errors import InvalidInputError, NotFoundError
from commons.messages import Category
from tests.builders import encoded, jpeg_bytes, picture, png_bytes
from tests.sensory_house import ManualClock

CATEGORIES = [Category(id="c0", name="cat"), Category(id="c1", name="dog")]
NETWORK = "a" * 64


@pytest.fixture
def service(tmp_path: Path) -> ClassificationService:
    service = create_service(Settings(data=tmp_path, record_share=1.0))
    yield service
    service.recorder.close()


@pytest.fixture
def http(service: ClassificationService) -> httpx.Client:
    transport = httpx.WSGITransport(service.app)
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def history(http: httpx.Client) -> HistoryClient:
    return HistoryClient(Caller(http, patience_s=0.01))


@pytest.fixture
def said(service: ClassificationService):
    """Return what records a classification and gives its id."""

    def offer(data: bytes, probability: float = 0.75, dataset: str = "pets") -> str:
        name = service.recorder.offer(
            data=data,
            image=hashlib.sha256(data).hexdigest(),
            dataset=dataset,
            network=NETWORK,
            categories=CATEGORIES,
            probabilities=np.array([1 - probability, probability], np.float32),
            seconds=0.001,
        )
        assert name is not None
        return name

    return offer


def ids(found) -> list[str]:
    return [one.id for one in found]


def test_what_was_answered_a_moment_ago_can_be_looked_at(said, history):
    data = png_bytes()
    found = history.get(said(data, 0.75))
    answers = [(answer.category.name, answer.probability) for answer in found.answers]
    assert answers == [("dog", 0.75), ("cat", 0.25)]
    assert (found.dataset, found.network, found.margin) == ("pets", NETWORK, 0.5)
    assert history.image(found.id) == data
    with Image.open(io.BytesIO(history.thumbnail(found.id, 16))) as small:
        assert (small.format, max(small.size)) == ("WEBP", 8)


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
        ("WEBP", "image/webp"),
    ],
)
def test_a_picture_is_given_as_what_it_is_and_as_nothing_else(
    said, history, http, kind, media_type
):
    name = history.get(said(encoded(picture(), kind))).id
    reply = http.get(f"{CLASSIFICATION}/classifications/{name}/image")
    assert reply.headers["Content-Type"] == media_type
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in reply.headers["Content-Security-Policy"]
    tag = {"If-None-Match": reply.headers["ETag"]}
    again = http.get(f"{CLASSIFICATION}/classifications/{name}/image", headers=tag)
    assert again.status_code == 304


def test_the_history_is_listed_newest_first_or_uncertain_first(said, history):
    shares = [0.9, 0.5, 0.7]
    names = [said(png_bytes(seed=seed), share) for seed, share in enumerate(shares)]
    history.get(names[-1])  # which is there when the others are
    assert ids(history.list()) == names[::-1]
    uncertain = [names[1], names[2], names[0]]
    assert ids(history.list(order="uncertain")) == uncertain
    assert ids(history.list(order="entropy")) == uncertain
    assert ids(history.list(dataset="nothing")) == []
    assert ids(history.list(category="dog", min_confidence=0.6)) == [names[2], names[0]]


def test_more_than_a_page_is_listed_page_by_page(said, http, history):
    names = [said(b"BM" + bytes([number])) for number in range(7)]
    history.get(names[-1])
    seen, cursor, pages = [], None, 0
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = http.get(f"{CLASSIFICATION}/classifications", params=query).json()
        seen += [one["id"] for one in page["classifications"]]
        cursor, pages = page["cursor"], pages + 1
        if cursor is None:
            break
    assert (seen, pages) == (names[::-1], 3)


@pytest.mark.parametrize(
    "query",
    ["order=best", "limit=0", "limit=1001", "cursor=x", "since=nan", "dataset=A", "network=A"],
)
def test_wrong_questions_are_refused(http, query):
    assert http.get(f"{CLASSIFICATION}/classifications?{query}").status_code == 400


def test_a_correction_is_durable_when_it_is_answered(said, history, http, tmp_path):
    name = said(png_bytes())
    correction = history.correct(name, " eel ")
    assert (correction.category, correction.state) == ("eel", "waiting")
    other = SqlHistoryTables(create_database(sqlite_url(tmp_path / "classification.sqlite3")))
    assert other.get(name).correction == correction
    path = f"{CLASSIFICATION}/classifications/{name}/correction"
    assert http.post(path, json={"category": "eel"}).status_code == 200
    assert http.post(path, json={"category": "dog"}).status_code == 202
    assert ids(history.list(corrected=True)) == [name]
    assert ids(history.list(corrected=False)) == []


@pytest.mark.parametrize("category", ["", "a/b", "x" * 121, "a\nb", None])
def test_a_correction_to_what_is_no_category_is_refused(said, history, http, category):
    name = history.get(said(png_bytes())).id
    path = f"{CLASSIFICATION}/classifications/{name}/correction"
    assert http.post(path, json={"category": category}).status_code == 400
    assert history.get(name).correction is None


def test_an_unknown_classification_is_not_found_and_nobody_waits_for_it(history):
    old = new_id(1000.0)
    for call in (history.get, history.image, history.thumbnail, history.remove):
        with pytest.raises(NotFoundError) as caught:
            call(old)
        assert caught.value.kind == "unknown-classification"
    with pytest.raises(NotFoundError):
        history.correct(old, "dog")
    with pytest.raises(InvalidInputError):
        history.get("x")


def test_an_image_goes_with_the_last_classification_of_it(said, history, tmp_path):
    data, blobs = png_bytes(), FileBlobs(tmp_path / "blobs")
    blob = classified_blob(hashlib.sha256(data).hexdigest())
    first, second = said(data), said(data)
    history.get(second)
    history.remove(first)
    assert blobs.exists(blob)
    assert ids(history.list()) == [second]
    history.remove(second)
    assert not blobs.exists(blob)
    assert ids(history.list()) == []


def test_an_image_is_forgotten_with_all_its_classifications(said, history, tmp_path):
    data, other = png_bytes(), jpeg_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    said(data)
    history.correct(said(data), "cat")
    kept = history.get(said(other)).id
    assert history.forget_image(sha256).classifications == 2
    assert ids(history.list()) == [kept]
    blobs = FileBlobs(tmp_path / "blobs")
    assert not blobs.exists(classified_blob(sha256))
    assert history.forget_image(sha256).classifications == 0


def test_what_is_not_wanted_recorded_is_not(tmp_path):
    service = create_service(Settings(data=tmp_path))
    assert (
        service.recorder.offer(
            data=b"",
            image="0" * 64,
            dataset="pets",
            network=NETWORK,
            categories=CATEGORIES,
            probabilities=np.array([0.5, 0.5], np.float32),
            seconds=0.1,
        )
        is None
    )


def test_what_was_kept_long_enough_goes_with_its_images(said, history, tmp_path):
    names = [said(png_bytes(seed=seed)) for seed in range(3)]
    history.get(names[-1])
    tables = SqlHistoryTables(create_database(sqlite_url(tmp_path / "classification.sqlite3")))
    blobs, clock = FileBlobs(tmp_path / "blobs"), ManualClock(SystemClock().now())
    retention = HistoryRetention(tables, blobs, clock, most_s=3600.0, most=2)
    assert retention.step() == 1
    assert ids(history.list()) == names[:0:-1]
    assert len(list(blobs.names("classified/"))) == 2
    clock.time += 3590.0
    assert retention.step() == 0
    clock.time += 60.0
    assert retention.step() == 2
    assert list(blobs.names("classified/")) == []


def test_retention_keeps_up_with_more_than_it_removes_at_once(said, history, tmp_path):
    names = [said(b"BM" + number.to_bytes(2, "big")) for number in range(250)]
    history.get(names[-1])
    tables = SqlHistoryTables(create_database(sqlite_url(tmp_path / "classification.sqlite3")))
    retention = HistoryRetention(
        tables, FileBlobs(tmp_path / "blobs"), SystemClock(), most_s=3600.0, most=3
    )
    assert retention.step() == 247
    assert ids(history.list()) == names[:-4:-1]


def test_images_of_a_recorder_that_was_killed_are_swept_away(said, history, tmp_path):
    blobs, clock = FileBlobs(tmp_path / "blobs"), ManualClock(SystemClock().now())
    kept = classified_blob(history.get(said(png_bytes())).image)
    blobs.put(classified_blob("0" * 64), b"recorded nowhere")
    tables = SqlHistoryTables(create_database(sqlite_url(tmp_path / "classification.sqlite3")))
    retention = HistoryRetention(tables, blobs, clock, most_s=86400.0, most=10)
    retention.step()
    assert blobs.exists(classified_blob("0" * 64)), "its row may still come"
    clock.time += 6 * 3600.0
    retention.step()
    assert list(blobs.names("classified/")) == [kept]


def test_corrections_that_wait_are_measured(said, history, http):
    figure = 'dicebox_corrections{service="/api/classification/v1",state="waiting"}'
    assert f"{figure} 0.0" in http.get(f"{CLASSIFICATION}/metrics").text
    history.correct(said(png_bytes()), "cat")
    assert f"{figure} 1.0" in http.get(f"{CLASSIFICATION}/metrics").text

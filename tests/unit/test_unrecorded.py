"""Questions whose answers may not stand in the history: a webcam asks twice a second."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.app import ClassificationService, Settings, create_service
from classification_service.history_ports import HistoryFilter
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from tests.onnx_builders import network_card
from tests.serving_processes import picture
from tests.unit.test_classification_bare_route import barely


@pytest.fixture(params=[0, 16], ids=["asked", "remembered"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClassificationService]:
    settings = Settings(data=tmp_path, record_share=1.0, cached_answers=request.param)
    service = create_service(settings)
    card = network_card(FileBlobs(tmp_path / "blobs"))
    with client(service) as http:
        gallery = GalleryClient(Caller(http))
        gallery.promote("digits", gallery.register(card))
    yield service
    service.recorder.close()


def client(service: ClassificationService) -> httpx.Client:
    transport = httpx.WSGITransport(service.app)
    return httpx.Client(transport=transport, base_url="http://localhost")


def recorded(service: ClassificationService, folder: Path) -> int:
    service.recorder.close()
    tables = SqlHistoryTables(create_database(sqlite_url(folder / "classification.sqlite3")))
    return len(tables.page(HistoryFilter(), "newest", None, 100).classifications)


def ask(http: httpx.Client, query: str) -> httpx.Response:
    return http.post(f"{CLASSIFICATION}/classify{query}", content=picture())


def test_what_is_not_to_be_recorded_is_answered_and_leaves_nothing(
    service: ClassificationService, tmp_path: Path
) -> None:
    with client(service) as http:
        said = [ask(http, query).json() for query in ("?record=false", "?record=0", "", "")]
    assert [one.get("id") is None for one in said] == [True, True, False, False]
    assert len({str(one["answers"]) for one in said}) == 1
    assert recorded(service, tmp_path) == 2


def test_the_hot_route_records_it_no_more_than_the_other(
    service: ClassificationService, tmp_path: Path
) -> None:
    for query in ("record=false", "top=1&record=false"):
        errand = barely(service, query, picture(), {})
        assert errand.reply is not None
        assert errand.reply.status == 200
    assert recorded(service, tmp_path) == 0


def test_what_is_neither_yes_nor_no_is_refused(service: ClassificationService) -> None:
    with client(service) as http:
        assert ask(http, "?record=perhaps").status_code == 400

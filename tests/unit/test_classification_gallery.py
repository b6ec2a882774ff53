"""The gallery follows promotions of other processes, survives damage, and never makes one wait."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from onnx.external_data_helper import set_external_data
from PIL import Image

from classification_service.adapters import tables as sql
from classification_service.adapters.onnx_predictor import load_onnx
from classification_service.adapters.tables import SqlGalleryTables
from classification_service.app import ClassificationService, Settings, create_service
from classification_service.asking import Ask
from classification_service.classify import Answerer
from classification_service.gallery import Gallery
from classification_service.loading import Loader
from classification_service.memory import Spares
from classification_service.networks import Networks
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, reading, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION
from commons.errors import InvalidInputError, NotFoundError, UnavailableError
from commons.messages import Classification
from tests.onnx_builders import always, network_card
from tests.trial_builders import StandingClock


class House:
    """One data folder with a writer of pointers (another process) and a gallery of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = FileBlobs(folder / "blobs")
        self.other = create_service(Settings(data=folder))
        database = create_database(sqlite_url(folder / "classification.sqlite3"))
        self.tables = SqlGalleryTables(database)
        self.loads: list[int] = []
        self.clock = StandingClock()
        self.loader = Loader(self.blobs, self._load)
        self.gallery = Gallery(self.tables, self.loader, self.clock, spares=Spares(2))
        self.networks = Networks(self.tables, self.loader, self.gallery, self.clock)

    def _load(self, data: bytes):
        self.loads.append(len(data))
        return load_onnx(data)

    def register(self, answer: int = 0, created: float = 1.0, dataset: str = "digits"):
        card = network_card(self.blobs, always(answer), created=created, dataset=dataset)
        return self.networks.register(card)[0], self.folder / "blobs" / card.onnx.blob

    def promote_elsewhere(self, network: str, dataset: str = "digits") -> None:
        self.tables.promote(dataset, network, 1.0)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), 200).save(file, "PNG")
    return file.getvalue()


def test_a_promotion_by_another_process_is_followed_at_the_next_refresh(house):
    first, _ = house.register(0)
    second, _ = house.register(1)
    for network in (first, second):
        house.promote_elsewhere(network)
        house.gallery.refresh()
        assert house.gallery.champion().network == network


def test_a_refresh_without_news_loads_nothing(house):
    network, _ = house.register()
    house.promote_elsewhere(network)
    house.gallery.refresh()
    before = len(house.loads)
    house.gallery.refresh()
    assert len(house.loads) == before


def test_a_broken_new_champion_is_logged_once_and_the_old_goes_on(house, caplog):
    old, _ = house.register(0)
    new, file = house.register(1)
    house.promote_elsewhere(old)
    house.gallery.refresh()
    file.write_bytes(b"x" * file.stat().st_size)
    house.promote_elsewhere(new)
    for _ in range(3):
        house.gallery.refresh()
    assert house.gallery.champion("digits").network == old
    assert house.gallery.missing() == {}
    assert sum("hash" in record.message for record in caplog.records) == 1


def test_a_champion_that_is_whole_again_comes_into_service(house):
    network, file = house.register()
    whole = file.read_bytes()
    file.write_bytes(b"x" * len(whole))
    house.promote_elsewhere(network)
    house.gallery.refresh()
    file.write_bytes(whole)
    house.gallery.refresh()  # too early for another try
    with pytest.raises(UnavailableError, match="hash"):
        house.gallery.champion()
    house.clock.sleep(11.0)
    house.gallery.refresh()
    assert house.gallery.champion().network == network


def test_a_start_with_a_damaged_champion_names_it_and_serves_the_other_datasets(house, tmp_path):
    for dataset in ("digits", "letters"):
        network, file = house.register(0, dataset=dataset, created=float(len(dataset)))
        house.promote_elsewhere(network, dataset)
    damaged, file = house.register(1)
    house.promote_elsewhere(damaged)
    file.write_bytes(b"")
    service = create_service(Settings(data=tmp_path))
    client = service.app.test_client()
    ready = client.get(f"{CLASSIFICATION}/readyz")
    assert ready.status_code == 503
    assert list(ready.json["missing"]) == ["champion of digits"]
    classify = f"{CLASSIFICATION}/classify?dataset="
    assert client.post(classify + "letters", data=picture()).status_code == 200
    refused = client.post(classify + "digits", data=picture())
    assert (refused.status_code, refused.json["type"]) == (503, "damaged-network")
    assert "Retry-After" in refused.headers


def test_only_some_networks_besides_the_champions_stay_in_memory(house):
    champion, _ = house.register(0, 0.5)
    house.promote_elsewhere(champion)
    house.gallery.refresh()
    others = [house.register(0, float(i))[0] for i in range(1, 5)]
    for network in others:
        house.gallery.network(network)
    before = len(house.loads)
    for network in (champion, *others[-2:]):
        house.gallery.network(network)
    assert len(house.loads) == before
    house.gallery.network(others[0])
    assert len(house.loads) == before + 1


def test_before_the_first_reading_the_gallery_says_so(house):
    assert "gallery" in house.gallery.missing()


def test_an_unknown_network_is_not_found(house):
    with pytest.raises(NotFoundError):
        house.gallery.network("beef")


def test_the_watcher_follows_promotions_and_ends_when_told(tmp_path):
    service: ClassificationService = create_service(Settings(data=tmp_path, refresh_s=0.01))
    house = House(tmp_path)
    network, _ = house.register()
    stop = service.start_watching()
    house.promote_elsewhere(network)
    watcher = next(t for t in threading.enumerate() if t.name == "champion-watcher")
    client, status = service.app.test_client(), 0
    while status != 200:
        status = client.post(f"{CLASSIFICATION}/classify", data=picture()).status_code
    stop.set()
    watcher.join(5.0)
    assert not watcher.is_alive()


def test_the_watcher_survives_tables_that_fail(house, caplog):
    stop = threading.Event()

    class Failing:
        def champions(self):
            stop.set()
            raise UnavailableError("the database is away")

    Gallery(Failing(), house.loader, house.clock).watch(0.0, stop)
    assert "the loaded ones go on" in caplog.text


def test_requests_during_swaps_get_an_answer_of_the_network_they_name(house):
    pair = [house.register(index)[0] for index in (0, 1)]
    expected = dict(zip(pair, ("dark", "bright"), strict=True))
    house.promote_elsewhere(pair[0])
    house.gallery.refresh()
    answerer = Answerer(house.gallery, SystemClock(), lambda: 0.5)
    swapping = threading.Event()

    def ask() -> set[str]:
        seen: set[str] = set()
        while not swapping.is_set():
            said = answerer.classify(Ask("digits"), picture())
            reply = Classification.model_validate_json(said)
            assert reply.answers[0].category.name == expected[reply.network]
            seen.add(reply.network)
        return seen

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(ask) for _ in range(2)]
        try:
            for turn in range(40):
                house.promote_elsewhere(pair[turn % 2])
                house.gallery.refresh()
        finally:
            swapping.set()
        assert set().union(*(future.result() for future in futures)) == set(pair)


def test_a_network_with_weights_in_another_file_is_refused(tmp_path, monkeypatch):
    model = onnx.load_from_string(always(0))
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "weights")
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)
    set_external_data(weights, "weights.bin", offset=0, length=len(weights.raw_data))
    weights.ClearField("raw_data")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match="does not load"):
        load_onnx(model.SerializeToString())


def test_the_migrations_make_the_tables_the_code_uses(house):
    database = create_database(sqlite_url(house.folder / "classification.sqlite3"))

    def is_of_the_gallery(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in sql.METADATA.tables

    with reading(database) as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_of_the_gallery})
        assert compare_metadata(context, sql.METADATA) == []

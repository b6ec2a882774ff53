"""Names of networks through the real app, wherever an id may stand."""

from pathlib import Path

import httpx
import pytest
import sqlalchemy
from sqlalchemy import Engine

from classification_service.app import (
    ClassificationService,
    Settings,
    create_job_worker,
    create_service,
)
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.history_client import HistoryClient
from commons.adapters.job_client import JobClient
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from commons.errors import ConflictError, InvalidInputError, NotFoundError
from commons.network_names import is_id, is_name, is_start
from commons.trial_messages import TrialRequest
from tests.onnx_builders import always, network_card
from tests.trial_builders import picture


class House:
    """A service and its clients; `more()` is another process on the same tables."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.settings = Settings(data=data, record_share=1.0)
        self.service: ClassificationService = create_service(self.settings)
        transport = httpx.WSGITransport(self.service.app)
        self.http = httpx.Client(transport=transport, base_url="http://localhost")
        caller = Caller(self.http, patience_s=0.01)
        self.gallery, self.jobs = GalleryClient(caller), JobClient(caller)
        self.history = HistoryClient(caller)

    def more(self) -> "House":
        return House(self.data)

    def network(self, answer: int = 0, dataset: str = "digits", created: float = 1.0) -> str:
        card = network_card(
            FileBlobs(self.data / "blobs"), always(answer), dataset=dataset, created=created
        )
        return self.gallery.register(card)

    def says(self, network: str) -> str:
        """Return the id of who answers when a network is named."""
        return self.gallery.classify(picture(7), network=network).network

    def close(self) -> None:
        self.http.close()
        self.service.recorder.close()


@pytest.fixture
def house(tmp_path: Path):
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture
def two(house: House) -> list[str]:
    """Give two networks of `digits`, the first of which is called `best`."""
    networks = [house.network(answer) for answer in (0, 1)]
    house.gallery.give_name(networks[0], "best")
    return networks


@pytest.fixture
def asked(tmp_path: Path):
    """Return the statements that our tables are asked from now on."""
    statements: list[str] = []

    def listen(connection, _cursor, statement, *_) -> None:
        if str(tmp_path) in str(connection.engine.url):
            statements.append(statement)

    sqlalchemy.event.listen(Engine, "before_cursor_execute", listen)
    yield statements
    sqlalchemy.event.remove(Engine, "before_cursor_execute", listen)


# What a name is


@pytest.mark.parametrize("name", ["a", "best", "v1.2_final-3", "deadbee", "deadbeefs", "f" * 7])
def test_what_a_name_may_be(house, name) -> None:
    assert is_name(name)
    network = house.network()
    assert house.gallery.give_name(network, name).name == name
    assert house.says(name) == network


@pytest.mark.parametrize(
    "name", ["", "Best", "1st", "-x", "a b", "a/b", "é", "a" * 65, "deadbeef", "a" * 64, "best\n"]
)
def test_what_is_no_name_is_refused_and_said(house, name) -> None:
    assert not is_name(name)
    network = house.network()
    with pytest.raises(InvalidInputError, match="expected a name of 1 to 64 of a-z") as caught:
        house.gallery.give_name(network, name)
    assert f"got {name[:100]!r}" in str(caught.value)
    assert house.gallery.networks()[0]["name"] is None


def test_no_name_is_ever_the_beginning_of_an_id() -> None:
    for digits in range(1, 70):
        said = "abcdef01" * 9
        assert is_start(said[:digits]) == (8 <= digits <= 64)
        assert is_id(said[:digits]) == (digits == 64)
        assert is_name(said[:digits]) == (digits < 8)


# Giving, moving, taking


def test_the_gallery_shows_names(house, two) -> None:
    found = {entry["network"]: entry["name"] for entry in house.gallery.networks()}
    assert found == {two[0]: "best", two[1]: None}
    one = house.http.get(f"{CLASSIFICATION}/networks/best").json()
    assert (one["network"], one["name"]) == (two[0], "best")


def test_a_name_of_another_network_moves_only_if_that_is_said(house, two) -> None:
    assert house.says("best") == two[0]
    with pytest.raises(ConflictError, match=two[0]) as caught:
        house.gallery.give_name(two[1], "best")
    assert caught.value.kind == "name-taken"
    assert house.says("best") == two[0]
    moved = house.gallery.give_name(two[1], "best", move=True)
    assert (moved.network, moved.name) == (two[1], "best")
    assert house.says("best") == two[1]


def test_a_network_is_renamed_by_its_name(house, two) -> None:
    assert house.says("best") == two[0]
    house.gallery.give_name("best", "good")
    assert house.says("good") == two[0]
    with pytest.raises(NotFoundError, match="no network best"):
        house.says("best")


def test_a_name_that_was_taken_away_names_nobody(house, two) -> None:
    assert house.says("best") == two[0]
    for _ in range(2):
        assert house.gallery.take_name(two[0]).name is None
    with pytest.raises(NotFoundError):
        house.says("best")
    with pytest.raises(NotFoundError):
        house.gallery.take_name("best")


def test_an_unknown_network_gets_no_name(house) -> None:
    with pytest.raises(NotFoundError):
        house.gallery.give_name("a" * 64, "best")


def test_a_short_name_that_begins_the_id_of_its_network_is_forgotten_too(house) -> None:
    network, created = house.network(), 2.0
    while not network[0].isalpha():
        network, created = house.network(created=created), created + 1.0
    house.gallery.give_name(network, network[0])
    assert house.says(network[0]) == network
    house.gallery.take_name(network)
    with pytest.raises(NotFoundError):
        house.says(network[0])


def test_another_process_follows_as_it_follows_promotions(house, two) -> None:
    other = house.more()
    assert other.says("best") == two[0]
    house.gallery.give_name(two[1], "best", move=True)
    other.service.gallery.refresh()
    assert other.says("best") == two[1]
    house.gallery.take_name(two[1])
    other.service.gallery.refresh()
    with pytest.raises(NotFoundError):
        other.says("best")
    other.close()


def test_who_is_asked_by_name_again_costs_no_question_to_the_tables(tmp_path, asked) -> None:
    # Not recorded: what is recorded goes to the tables, in another thread.
    service = create_service(Settings(data=tmp_path))
    transport = httpx.WSGITransport(service.app)
    with httpx.Client(transport=transport, base_url="http://localhost") as http:
        gallery = GalleryClient(Caller(http))
        network = gallery.register(network_card(FileBlobs(tmp_path / "blobs")))
        gallery.give_name(network, "best")
        # By its id it comes into memory; at the next refresh its name is known too.
        gallery.classify(picture(7), network=network)
        service.gallery.refresh()
        asked.clear()
        for value in range(3):
            assert gallery.classify(picture(value), network="best").network == network
        assert asked == []
        service.gallery.refresh()
        assert asked


# Wherever an id may stand


def test_a_network_is_promoted_tried_and_rolled_back_by_name(house, two) -> None:
    gallery = house.gallery
    gallery.give_name(two[1], "other")
    assert gallery.promote("digits", "best").network == two[0]
    trial = gallery.try_out("digits", TrialRequest(network="other", mode="shadow"))
    assert (trial.network, trial.champion) == (two[1], two[0])
    assert gallery.try_out("digits", TrialRequest(network=two[1], mode="shadow")).id == trial.id
    assert gallery.promote("digits", "other").network == two[1]
    with pytest.raises(ConflictError) as caught:
        gallery.roll_back("digits", "best")
    assert caught.value.kind == "other-champion"
    assert gallery.roll_back("digits", "other").network == two[0]


def test_who_is_the_champion_already_is_not_promoted_again_by_name(house, two) -> None:
    assert house.gallery.promote("digits", two[0]) == house.gallery.promote("digits", "best")
    assert len(house.gallery.history("digits")) == 1


def test_a_name_promotes_whom_the_tables_say_whatever_is_in_memory(house, two) -> None:
    other = house.more()
    assert other.says("best") == two[0]
    house.gallery.give_name(two[1], "best", move=True)
    assert other.gallery.promote("digits", "best").network == two[1]
    other.close()


def test_a_job_and_its_results_know_names(house, two) -> None:
    job = house.jobs.make(["best", two[1][:8]])
    assert [one.network for one in job.networks] == two
    house.jobs.add(job.id, [("seven.png", picture(7))])
    house.jobs.close(job.id)
    worker = create_job_worker(house.settings)
    while house.jobs.job(job.id).state not in ("done", "failed"):
        worker.step()
    assert [one.network for one in house.jobs.results(job.id, network="best")] == [two[0]]
    for strange in (house.network(1, dataset="letters"), "nobody"):
        with pytest.raises(InvalidInputError, match="expected one of the 2 networks of the job"):
            list(house.jobs.results(job.id, network=strange))


def test_the_history_is_listed_by_name(house, two) -> None:
    for network in two:
        house.says(network)
    house.service.recorder.close()
    assert [one.network for one in house.history.list(network="best")] == [two[0]]
    with pytest.raises(NotFoundError):
        list(house.history.list(network="nobody"))


def test_a_file_that_is_asked_for_by_name_may_be_another_one_tomorrow(house, two) -> None:
    by_id, by_name = (
        house.http.get(f"{CLASSIFICATION}/networks/{one}/onnx") for one in (two[0], "best")
    )
    assert by_id.content == by_name.content
    assert "immutable" in by_id.headers["Cache-Control"]
    assert by_name.headers["Cache-Control"] == "private, no-cache"
    assert by_name.headers["Content-Disposition"] == "attachment; filename=best.onnx"


def test_a_name_is_a_model_and_a_version_of_the_standard_protocol(house, two) -> None:
    def versions(path: str) -> list[str]:
        reply = house.http.get(f"/v2/models/{path}")
        assert reply.status_code == 200, reply.text
        return list(reply.json()["versions"])

    house.gallery.promote("digits", two[1])
    assert versions("best") == versions("digits/versions/best") == [two[0]]
    assert versions(f"best/versions/{two[0]}") == versions(f"{two[0]}/versions/best") == [two[0]]
    assert house.http.get(f"/v2/models/best/versions/{two[1]}").status_code == 404
    assert house.http.get("/v2/models/nobody").json()["type"] == "unknown-model"


def test_a_dataset_comes_before_a_network_of_the_same_name(house, two) -> None:
    house.gallery.give_name(two[0], "digits")
    assert house.http.get("/v2/models/digits").json()["versions"] == [two[0]]
    house.gallery.promote("digits", two[1])
    assert house.http.get("/v2/models/digits").json()["versions"] == [two[1]]

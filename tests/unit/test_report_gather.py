"""What a report asks the services, and what it does without."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from commons.adapters.file_blobs import FileBlobs
from commons.errors import UnavailableError
from commons.messages import FreezeRequest, Individual, Run, Snapshot
from dicebox.client import Client
from dicebox.connect import Place, connect
from dicebox.report.examination import examine
from dicebox.report.gather import gather
from tests.builders import png_files
from tests.onnx_builders import always, network_card
from tests.report_builders import bred, facts


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with connect(Place(tmp_path)) as client:
        for seed, category in enumerate(("dark", "bright")):
            client.sensory.upload("digits", png_files(6, seed=seed), category, "train")
            client.sensory.upload(
                "digits", png_files(5 + seed, seed=10 + seed), category, "validation"
            )
            client.sensory.upload("digits", png_files(4, seed=20 + seed), category, "test")
        yield client


@pytest.fixture
def snapshot(client: Client) -> Snapshot:
    return client.sensory.freeze("digits", FreezeRequest(test_share=0.0))


@pytest.fixture
def network(client: Client, snapshot: Snapshot, tmp_path: Path) -> str:
    index = [category.name for category in snapshot.categories].index("bright")
    card = network_card(
        FileBlobs(tmp_path / "blobs"),
        always(index),
        categories=snapshot.categories,
        individual=3,
    )
    return client.gallery.register(card)


@dataclass
class Journal:
    """The evolution API of one run."""

    individuals_of_it: list[Individual] = field(default_factory=bred)

    def individuals(self, run: str, after: int = 0, *, histories: bool = False) -> list[Individual]:
        assert (after, histories) == (0, True)
        return self.individuals_of_it


def beside(client: Client, **other: Any) -> Client:
    """Return a client whose evolution API is a journal at hand."""
    parts = {"evolution": Journal(), "sensory": client.sensory, "gallery": client.gallery}
    return cast(Client, SimpleNamespace(**(parts | other)))


def run_of(snapshot: Snapshot | None, network: str | None) -> Run:
    identity = snapshot.id if snapshot else None
    return facts(snapshot=identity, network=network).run


def test_every_validation_image_is_asked_once_and_no_test_image(
    client: Client, snapshot: Snapshot, network: str
) -> None:
    steps: list[tuple[int, int]] = []
    found = examine(client, snapshot, network, 100, lambda *at: steps.append(at))
    assert steps == [(n, 11) for n in range(1, 12)]
    assert (found.validation_images, found.confusion.images, found.gone) == (11, 11, 0)
    assert found.confusion.right == 6
    validation = {line.image for line in client.sensory.snapshot_images(snapshot.id, "validation")}
    assert {one.judgement.image for one in found.mistakes} <= validation
    assert [(one.category, one.answer) for one in found.mistakes] == [("dark", "bright")] * 5
    for one in found.mistakes:
        assert one.picture is not None
        assert one.picture[8:12] == b"WEBP"
        assert one.judgement.sure > 0.9
        assert one.judgement.truth < 0.1
    assert found.median_ms is not None
    assert found.median_ms > 0.0


def test_more_images_than_asked_for_are_sampled(
    client: Client, snapshot: Snapshot, network: str
) -> None:
    found = examine(client, snapshot, network, 4, lambda *_: None)
    assert (found.validation_images, found.confusion.images) == (11, 4)


def test_an_erased_image_is_counted_as_gone(
    client: Client, snapshot: Snapshot, network: str
) -> None:
    first = next(client.sensory.snapshot_images(snapshot.id, "validation"))
    client.sensory.purge(first.image)
    found = examine(client, snapshot, network, 100, lambda *_: None)
    assert (found.confusion.images, found.gone) == (10, 1)


def test_all_that_is_there_is_gathered(client: Client, snapshot: Snapshot, network: str) -> None:
    found = gather(beside(client), run_of(snapshot, network), 100, lambda *_: None)
    assert found.missing == []
    assert found.snapshot == snapshot
    assert found.champion is not None
    assert found.champion.number == 3
    assert found.examination is not None
    assert len(found.individuals) == 40


def test_without_images_asked_for_none_is_classified(
    client: Client, snapshot: Snapshot, network: str
) -> None:
    found = gather(beside(client), run_of(snapshot, network), 0, lambda *_: None)
    assert found.examination is None
    assert found.missing == []


def test_a_run_without_network_is_shown_by_its_best_individual(
    client: Client, snapshot: Snapshot
) -> None:
    run = run_of(snapshot, None)
    found = gather(beside(client), run, 100, lambda *_: None)
    assert found.champion is not None
    assert found.champion.number == run.progress.best_individual
    assert found.examination is None


def test_a_service_that_is_away_costs_its_part_alone(client: Client, snapshot: Snapshot) -> None:
    class Away:
        def networks(self, dataset: str) -> list[dict[str, Any]]:
            raise UnavailableError("nothing answers there")

    found = gather(beside(client, gallery=Away()), run_of(snapshot, "n"), 9, lambda *_: None)
    assert found.snapshot == snapshot
    assert (found.card, found.examination) == (None, None)
    assert found.missing == ["the network's card: nothing answers there"]


def test_a_network_that_is_nowhere_is_named(client: Client, snapshot: Snapshot) -> None:
    found = gather(beside(client), run_of(snapshot, "n"), 9, lambda *_: None)
    assert found.missing == ["the network's card: network n is not in the gallery"]

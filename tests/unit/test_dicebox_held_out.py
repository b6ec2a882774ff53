"""The held-out measurement over the real services, with a network that always says the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from commons.adapters.file_blobs import FileBlobs
from commons.errors import InvalidInputError
from commons.messages import FreezeRequest, Snapshot
from dicebox.client import Client
from dicebox.connect import Place, connect
from dicebox.held_out import HeldOutResult, classify_held_out
from tests.builders import png_files
from tests.onnx_builders import always, network_card


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with connect(Place(tmp_path)) as client:
        for seed, category in enumerate(("dark", "bright")):
            client.sensory.upload("digits", png_files(8, seed=seed), category)
            client.sensory.upload("digits", png_files(4 + seed, seed=10 + seed), category, "test")
        yield client


@pytest.fixture
def snapshot(client: Client) -> Snapshot:
    return client.sensory.freeze("digits", FreezeRequest(test_share=0.0))


def publish(client: Client, folder: Path, snapshot: Snapshot, says: str) -> str:
    index = [category.name for category in snapshot.categories].index(says)
    card = network_card(FileBlobs(folder / "blobs"), always(index), categories=snapshot.categories)
    network = client.gallery.register(card)
    client.gallery.promote("digits", network)
    return network


def test_every_test_image_is_asked_once_and_counted_under_its_truth(
    client: Client, snapshot: Snapshot, tmp_path: Path
) -> None:
    network = publish(client, tmp_path, snapshot, "bright")
    steps: list[int] = []
    result = classify_held_out(client, snapshot, network, lambda: steps.append(1))
    assert len(steps) == result.images == snapshot.counts["test"] == 9
    truth = dict(zip(result.categories, result.confusion, strict=True))
    said = result.categories.index("bright")
    assert (truth["bright"][said], truth["dark"][said]) == (5, 4)
    assert result.accuracy == pytest.approx(5 / 9)
    assert result.median_ms > 0.0
    # What went wrong is shown first.
    assert [name for name, _ in result.samples] == ["dark"] * 4 + ["bright"] * 2


def test_a_champion_that_changes_meanwhile_changes_nothing_of_the_measurement(
    client: Client, snapshot: Snapshot, tmp_path: Path
) -> None:
    network = publish(client, tmp_path, snapshot, "dark")
    publish(client, tmp_path, snapshot, "bright")
    result = classify_held_out(client, snapshot, network, lambda: None)
    assert {answer.network for _, answer in result.samples} == {network}
    assert sum(row[result.categories.index("dark")] for row in result.confusion) == 9


def test_a_snapshot_without_test_images_measures_nothing(
    client: Client, snapshot: Snapshot
) -> None:
    for counts in ({"train": 16}, {"train": 16, "test": 0}):
        bare = snapshot.model_copy(update={"counts": counts})
        with pytest.raises(InvalidInputError, match="no test images"):
            classify_held_out(client, bare, "5" * 64, lambda: None)


def test_accuracy_is_the_share_on_the_diagonal() -> None:
    result = HeldOutResult("n", ["a", "b"], [[3, 1], [0, 4]], [], 1.0)
    assert (result.images, result.accuracy) == (8, 7 / 8)

"""Networks on trial in a real house: the job worker judges, the front follows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import Caller, GalleryClient
from commons.messages import FreezeRequest
from commons.trial_messages import Trial, TrialMode, TrialRequest
from dicebox.client import Client
from tests.dicebox_processes import Dicebox, until
from tests.onnx_builders import always, fails_on_grey, network_card, onnx_bytes
from tests.serving_processes import promote, serving
from tests.trial_builders import picture

pytestmark = pytest.mark.e2e

DARK, BRIGHT = range(60), range(196, 256)


@dataclass
class Trying:
    """A house with labeled pictures, a network that knows them and one that says always `dark`."""

    client: Client
    good: str
    bad: str

    def begin(self, network: str, mode: TrialMode) -> None:
        self.client.gallery.try_out("digits", TrialRequest(network=network, mode=mode))

    def ended(self) -> Trial:
        """Return the latest trial once it is over."""
        until(lambda: self.client.gallery.trials("digits")[0].state != "running")
        return self.client.gallery.trials("digits")[0]

    def answering(self) -> str:
        return self.client.gallery.classify(picture(7), "digits").network


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trying]:
    box = Dicebox(tmp_path_factory.mktemp("trials") / "data")
    _, url = box.up()
    with Client(url) as client:
        yield _with_networks(client, box.data)
    box.end()


def _with_networks(client: Client, data: Path) -> Trying:
    for name, values in (("dark", DARK), ("bright", BRIGHT)):
        files = [(f"{value}.png", picture(value)) for value in values]
        client.sensory.upload("digits", files, name)
    request = FreezeRequest(validation_share=0.4, test_share=0.4)
    snapshot = client.sensory.freeze("digits", request)
    categories = sorted(snapshot.categories, key=lambda category: category.name, reverse=True)
    assert [category.name for category in categories] == ["dark", "bright"]
    blobs = FileBlobs(data / "blobs")
    cards = [network_card(blobs, one, categories=categories) for one in (onnx_bytes(), always(0))]
    good, bad = (client.gallery.register(card) for card in cards)
    return Trying(client, good, bad)


def test_a_network_that_is_not_worse_is_promoted_and_one_that_is_is_refused(house) -> None:
    house.client.gallery.promote("digits", house.bad)
    house.begin(house.good, "check")
    trial = house.ended()
    assert (trial.state, trial.worse) == ("promoted", 0)
    assert 15 < trial.better < trial.images <= 60
    until(lambda: house.answering() == house.good, 5.0)

    house.begin(house.bad, "check")
    assert house.ended().state == "refused"
    assert house.client.gallery.champion("digits").network == house.good


def test_a_canary_that_is_better_becomes_the_champion_and_is_rolled_back_in_one_call(
    house,
) -> None:
    gallery = house.client.gallery
    gallery.promote("digits", house.bad)
    house.begin(house.good, "canary")
    assert house.ended().state == "promoted"
    until(lambda: house.answering() == house.good, 5.0)
    assert gallery.roll_back("digits").network == house.bad
    assert house.answering() == house.bad


def test_a_champion_that_fails_in_two_processes_is_rolled_back_and_no_client_notices(
    tmp_path: Path,
) -> None:
    good, bad = (promote(tmp_path, one) for one in (always(0), fails_on_grey(1)))
    with (
        serving(tmp_path, server_processes=2) as service,
        httpx.Client(base_url=f"http://127.0.0.1:{service.port}") as http,
    ):
        gallery = GalleryClient(Caller(http))
        answers: list[tuple[int, str]] = []

        def is_rolled_back() -> bool:
            # A connection of its own each, so that both processes are asked.
            headers = {"Connection": "close", "Content-Type": "image/png"}
            address = f"{service.url}/classify?dataset=digits"
            reply = http.post(address, content=picture(200), headers=headers)
            answers.append((reply.status_code, reply.json()["network"]))
            return gallery.champion("digits").network == good

        assert gallery.champion("digits").network == bad
        until(is_rolled_back)
        event = gallery.history("digits")[0]
    assert set(answers) == {(200, good)}
    assert (event.undone, event.automatic) == (bad, True)


def test_a_name_that_moves_is_followed_by_every_process(tmp_path: Path) -> None:
    first, second = (promote(tmp_path, always(answer)) for answer in (0, 1))
    with (
        serving(tmp_path, server_processes=2) as service,
        httpx.Client(base_url=f"http://127.0.0.1:{service.port}") as http,
    ):
        gallery = GalleryClient(Caller(http))

        def answering() -> set[str]:
            # A connection of its own each, so that both processes are asked.
            headers = {"Connection": "close", "Content-Type": "image/png"}
            address = f"{service.url}/classify?network=best"
            replies = [http.post(address, content=picture(9), headers=headers) for _ in range(16)]
            return {reply.json()["network"] for reply in replies}

        gallery.give_name(first, "best")
        assert answering() == {first}
        gallery.give_name(second, "best", move=True)
        until(lambda: answering() == {second}, 5.0)
        assert answering() == {second}

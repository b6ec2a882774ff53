"""Which networks are in memory, and that nobody waits for another one's loading."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from classification_service.gallery import Gallery, NotLoadedError
from classification_service.loading import Loader
from classification_service.memory import Spares
from commons.errors import InvalidInputError, NotFoundError
from tests.trial_builders import ToldPredictor, TrialHouse


class Gate:
    """Loads networks, and holds up one of them until it is let go."""

    def __init__(self, house: TrialHouse) -> None:
        self.held: bytes | None = None
        self.arrived = threading.Event()
        self.free = threading.Event()
        self.loaded: list[bytes] = []
        loader = Loader(house.blobs, self._load)
        self.gallery = Gallery(house.tables, loader, house.clock, house.trial_tables)
        self._house = house

    def hold(self, network: str) -> None:
        self.held = self._house.blobs.get(self._house.tables.network(network).card.onnx.blob)

    def _load(self, data: bytes) -> ToldPredictor:
        self.loaded.append(data)
        if data == self.held:
            self.arrived.set()
            assert self.free.wait(10.0)
        return ToldPredictor(data)


@pytest.fixture
def house(tmp_path: Path) -> TrialHouse:
    return TrialHouse(tmp_path)


@pytest.fixture
def gate(house: TrialHouse) -> Iterator[Gate]:
    gate = Gate(house)
    yield gate
    gate.free.set()


def meanwhile(gate: Gate, slow: Callable[[], object], quick: Callable[[], object]) -> None:
    """Do something quick while something slow is held up in its loading."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(slow)
        assert gate.arrived.wait(10.0)
        try:
            quick()
            assert not future.done()
        finally:
            gate.free.set()
        future.result()


def test_a_network_that_is_loaded_by_name_holds_up_no_promotion(house, gate) -> None:
    named, promoted = house.network(1), house.network(2)
    gate.hold(named)
    house.tables.promote("digits", promoted, 1.0)
    meanwhile(gate, lambda: gate.gallery.network(named), gate.gallery.refresh)
    assert gate.gallery.champion("digits").network == promoted
    assert gate.gallery.choose("digits", named, 0.5).answering.network == named


def test_a_promotion_that_is_loading_holds_up_no_network_that_is_asked_for_by_name(
    house, gate
) -> None:
    named, promoted = house.network(1), house.network(2)
    gate.hold(promoted)
    house.tables.promote("digits", promoted, 1.0)
    meanwhile(gate, gate.gallery.refresh, lambda: gate.gallery.network(named))
    assert gate.gallery.choose("digits", named, 0.5).answering.network == named


def test_choosing_never_waits_for_what_is_loading(house, gate) -> None:
    champion, new, named = house.network(1), house.network(2), house.network(3)
    house.tables.promote("digits", champion, 1.0)
    gate.gallery.refresh()
    gate.hold(new)
    house.tables.promote("digits", new, 2.0)

    def choose() -> None:
        assert gate.gallery.choose("digits", None, 0.5).answering.network == champion
        with pytest.raises(NotLoadedError):
            gate.gallery.choose("digits", named, 0.5)

    meanwhile(gate, gate.gallery.refresh, choose)
    assert gate.gallery.choose("digits", None, 0.5).answering.network == new


def test_two_who_ask_for_the_same_cold_network_load_it_once(house, gate) -> None:
    named = house.network(1)
    gate.hold(named)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(gate.gallery.network, named) for _ in range(4)]
        assert gate.arrived.wait(10.0)
        gate.free.set()
        found = {id(future.result()) for future in futures}
    assert (len(found), len(gate.loaded)) == (1, 1)


def test_a_network_is_chosen_by_the_digits_it_was_loaded_by(house) -> None:
    network = house.network(1)
    name = network[:8]
    with pytest.raises(NotLoadedError):
        house.gallery.choose(None, name, 0.5)
    assert house.gallery.network(name).network == network
    assert house.gallery.choose(None, name, 0.5).answering.network == network
    assert house.gallery.network(name) is house.gallery.network(network)


def test_an_unknown_network_is_not_found_by_any_name(house) -> None:
    for name in ("beef", "0" * 12, "0" * 64, "../etc", ""):
        with pytest.raises(NotFoundError):
            house.gallery.network(name)


def test_a_network_of_another_dataset_is_not_chosen(house) -> None:
    network = house.network(1)
    house.gallery.network(network)
    with pytest.raises(InvalidInputError, match="of the dataset letters"):
        house.gallery.choose("letters", network, 0.5)


def test_spares_are_bounded_in_bytes_and_the_one_just_asked_for_stays(house) -> None:
    networks = [house.network(value) for value in range(1, 6)]
    size = house.tables.network(networks[0]).card.onnx.bytes
    spares = Spares(networks=100, bytes=3 * size)
    loader = Loader(house.blobs, ToldPredictor)
    gallery = Gallery(house.tables, loader, house.clock, spares=spares)
    for network in networks:
        gallery.network(network)
    assert [is_loaded(gallery, network) for network in networks] == [False, False, True, True, True]
    small = Gallery(house.tables, loader, house.clock, spares=Spares(networks=1, bytes=1))
    for network in networks[:2]:
        small.network(network)
    assert [is_loaded(small, network) for network in networks[:2]] == [False, True]


def test_of_the_spares_the_one_asked_for_longest_ago_goes_first(house) -> None:
    first, second, third = (house.network(value) for value in (1, 2, 3))
    for network in (first, second):
        house.gallery.network(network)
    house.gallery.choose(None, first, 0.5)
    house.gallery.network(third)
    assert [is_loaded(house.gallery, one) for one in (first, second, third)] == [True, False, True]


def is_loaded(gallery: Gallery, network: str) -> bool:
    try:
        gallery.choose(None, network, 0.5)
    except NotLoadedError:
        return False
    return True

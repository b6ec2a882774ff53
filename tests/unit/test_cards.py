"""Which accelerators trainings may use, and what each worker has of them."""

import ctypes
import importlib.metadata
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commons.adapters import cards as tested
from commons.adapters.cards import card_bytes, card_environments, usable_cards
from commons.adapters.local_engine import LocalEngine
from commons.errors import UnavailableError
from commons.jobs import JobSpec
from trainer.adapters.card_share import limit_memory

JAX = {"KERAS_BACKEND": "jax"}


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    for name in ("nvidia10", "nvidia0", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    return tmp_path


def test_the_cards_are_those_of_the_system_in_their_order(devices: Path) -> None:
    assert usable_cards(JAX, devices) == ("0", "2", "10")


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("1", ("1",)), ("2, GPU-5f", ("2", "GPU-5f")), ("", ()), ("-1", ())],
)
def test_or_those_that_the_environment_lets_a_process_see(
    devices: Path, visible: str, expected: tuple[str, ...]
) -> None:
    assert usable_cards({**JAX, "CUDA_VISIBLE_DEVICES": visible}, devices) == expected


def test_tensorflow_for_processors_alone_uses_none(
    devices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        if package not in installed:
            raise importlib.metadata.PackageNotFoundError
        return "2"

    monkeypatch.setattr(tested.importlib.metadata, "version", version)
    installed = {"tensorflow-cpu"}
    assert usable_cards({}, devices) == ()
    installed = {"tensorflow"}
    assert usable_cards({"KERAS_BACKEND": "tensorflow"}, devices) == ("0", "2", "10")


def test_workers_are_dealt_to_the_cards_and_share_the_memory_of_each() -> None:
    dealt = card_environments(5, ("0", "7"))
    assert [each["CUDA_VISIBLE_DEVICES"] for each in dealt] == ["0", "7", "0", "7", "0"]
    for card in ("0", "7"):
        mine = [each for each in dealt if each["CUDA_VISIBLE_DEVICES"] == card]
        shares = [float(each["DICEBOX_CARD_SHARE"]) for each in mine]
        assert [float(each["XLA_PYTHON_CLIENT_MEM_FRACTION"]) for each in mine] == shares
        assert len(set(shares)) == 1
        assert 0.85 < sum(shares) <= 0.9001


def test_where_there_is_no_card_the_environment_stays_as_it_is() -> None:
    assert card_environments(2, ()) == [{}, {}]


def test_a_worker_finds_its_share_in_its_environment(tmp_path: Path) -> None:
    engine = LocalEngine(
        workers=2, blobs_url=str(tmp_path / "blobs"), folder=tmp_path / "work", cards=("3",)
    )
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        spec = JobSpec(
            id="run/1/search",
            function="tests.engine_jobs:environment",
            arguments={"names": ["CUDA_VISIBLE_DEVICES", "XLA_PYTHON_CLIENT_MEM_FRACTION"]},
            timeout_s=60,
        )
        assert engine.submit(spec).result(60).value == {
            "CUDA_VISIBLE_DEVICES": "3",
            "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.450",
        }
    finally:
        engine.close()
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def driver_of_16_gib(code: int = 0) -> SimpleNamespace:
    """Return what the driver says of its one card, or its code of an error."""

    def get(card: Any, _number: int) -> int:
        card._obj.value = 7
        return 0

    def measure(total: Any, card: ctypes.c_int) -> int:
        assert card.value == 7
        total._obj.value = 16 * 2**30
        return 0

    return SimpleNamespace(cuInit=lambda _flags: code, cuDeviceGet=get, cuDeviceTotalMem_v2=measure)


def test_the_driver_says_how_large_a_card_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="no driver says"):
        card_bytes("/nowhere/libcuda.so.1")
    monkeypatch.setattr(tested.ctypes, "CDLL", lambda _: driver_of_16_gib())
    assert card_bytes() == 16 * 2**30
    monkeypatch.setattr(tested.ctypes, "CDLL", lambda _: driver_of_16_gib(100))
    with pytest.raises(UnavailableError, match="code: 100"):
        card_bytes()


class Config:
    """`tensorflow.config` with some cards, and what it was told of them."""

    def __init__(self, *cards: str) -> None:
        self.cards = cards
        self.told: list[tuple[str, list[float]]] = []

    def list_physical_devices(self, kind: str) -> list[str]:
        assert kind == "GPU"
        return [*self.cards]

    def LogicalDeviceConfiguration(self, *, memory_limit: float) -> float:  # noqa: N802 - its name
        return memory_limit

    def set_logical_device_configuration(self, card: str, devices: list[float]) -> None:
        self.told.append((card, devices))


def test_tensorflow_is_told_to_keep_to_the_workers_share() -> None:
    config = Config("GPU:0")
    [first, *_] = card_environments(4, ("0",))
    limit_memory(config, first, lambda: 16 * 2**30)
    # The rest of 4,096 MiB is for the drivers.
    assert config.told == [("GPU:0", [3686])]


def test_on_processors_nobody_is_asked_how_large_a_card_is() -> None:
    config = Config()
    limit_memory(config, {"DICEBOX_CARD_SHARE": "0.225"}, lambda: card_bytes("/nowhere"))
    assert config.told == []

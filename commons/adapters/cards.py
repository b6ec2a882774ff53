"""The accelerators of this machine, and what each worker of an engine has of them."""

import ctypes
import importlib.metadata
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from commons.errors import UnavailableError

# Workers that one card has by default: while one prepares a step, others use the card.
WORKERS_PER_CARD = 4
# The rest is for what the drivers keep of each process, and for other programs.
_SHARED = 0.9
# JAX reads its part of a card's memory itself; for TensorFlow the trainer reads the other.
_VISIBLE, _FRACTION = "CUDA_VISIBLE_DEVICES", "XLA_PYTHON_CLIENT_MEM_FRACTION"
SHARE = "DICEBOX_CARD_SHARE"
_CARD = re.compile(r"nvidia(\d+)")
_DEVICES = Path("/dev")


def usable_cards(
    environ: Mapping[str, str] = os.environ, devices: Path = _DEVICES
) -> tuple[str, ...]:
    """Return the cards that trainings may use, as `CUDA_VISIBLE_DEVICES` would name them.

    There are none for TensorFlow where the package is the one for processors alone.

    Args:
        environ: Says which backend trains, and which cards it may see.
        devices: Where the system lists its devices.
    """
    if environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" and not _tensorflow_sees_cards():
        return ()
    visible = environ.get(_VISIBLE)
    if visible is not None:
        named = (card.strip() for card in visible.split(","))
        return tuple(card for card in named if card not in ("", "-1"))
    found = (_CARD.fullmatch(device.name) for device in devices.iterdir())
    return tuple(sorted((card[1] for card in found if card), key=int))


def card_environments(workers: int, cards: Sequence[str]) -> list[dict[str, str]]:
    """Return what the environment of each worker says: its card, and its share of the memory.

    Workers are dealt to the cards in turn. The share is what JAX keeps to, and for TensorFlow the
    trainer (`trainer.adapters.card_share`).
    """
    return [
        _environment(
            cards[number % len(cards)], len(range(number % len(cards), workers, len(cards)))
        )
        if cards
        else {}
        for number in range(workers)
    ]


def check_card(card: str | None, driver: str = "libcuda.so.1") -> None:
    """Return if this process sees exactly the one card that it was given, or was given none.

    It asks the driver, which looks at `CUDA_VISIBLE_DEVICES` once: no training library is needed.

    Raises:
        UnavailableError: It sees none, or there is no driver: trainings would run on processors.
    """
    if card is None:
        return
    try:
        library = ctypes.CDLL(driver)
    except OSError as error:
        raise UnavailableError(f"card {card} was given, but no driver is there: {error}") from error
    count = ctypes.c_int(0)
    code = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if code or count.value != 1:
        raise UnavailableError(
            f"card {card} was given, but the driver shows {count.value} cards (its code: {code})"
        )


def card_bytes(driver: str = "libcuda.so.1") -> int:
    """Return how large the memory is of the one card that this process sees.

    Raises:
        UnavailableError: There is no driver, or it shows no card.
    """
    try:
        library = ctypes.CDLL(driver)
    except OSError as error:
        raise UnavailableError(f"no driver says how large the card is: {error}") from error
    card, total = ctypes.c_int(0), ctypes.c_size_t(0)
    code = (
        library.cuInit(0)
        or library.cuDeviceGet(ctypes.byref(card), 0)
        or library.cuDeviceTotalMem_v2(ctypes.byref(total), card)
    )
    if code:
        raise UnavailableError(f"the driver does not say how large the card is (its code: {code})")
    return total.value


def _environment(card: str, workers: int) -> dict[str, str]:
    share = f"{_SHARED / workers:.3f}"
    return {_VISIBLE: card, _FRACTION: share, SHARE: share}


def _tensorflow_sees_cards() -> bool:
    try:
        importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

"""The cache of examples is killed at any step of its filling: each example once, in its place."""

import hashlib
import io
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commons.adapters.clock import SystemClock
from commons.errors import GoneError, InvalidInputError, NotFoundError, StorageFullError
from commons.messages import Category, Order, OrderRequest, ShardDescriptor, Snapshot, Split
from commons.training import TrainingData
from trainer.adapters.example_cache import ExampleCache
from trainer.adapters.filling import _Column
from trainer.examples import Examples

SHAPE = (4, 4, 1)
COUNTS: dict[Split, int] = {"train": 23, "validation": 9}
DATA = TrainingData(sensory_url="http://shelf", snapshot="a" * 64, shape=SHAPE)


EACH_ONCE = f"{sum(COUNTS.values())} examples each exactly once, in order"
# A campaign takes every step.
STRIDE = 1 if os.environ.get("DICEBOX_CAMPAIGN") == "full" else 7


class Shelf:
    """A sensory service with one snapshot, whose orders are all the same; it counts requests."""

    def __init__(self, size: int = 4) -> None:
        self.asked: list[str] = []
        self.orders: dict[str, str] = {}
        self.die: Callable[[], None] = lambda: None
        self._bytes: dict[str, bytes] = {}
        self._shards: list[ShardDescriptor] = []
        rng = np.random.default_rng(0)
        cuts = [(s, n, min(size, c - n)) for s, c in COUNTS.items() for n in range(0, c, size)]
        for sequence, (split, _, examples) in enumerate(cuts, 1):
            buffer = io.BytesIO()
            images = rng.integers(0, 256, (examples, *SHAPE), dtype=np.uint8)
            np.savez(buffer, images=images, labels=rng.integers(0, 9, examples))
            sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
            self._bytes[sha256] = buffer.getvalue()
            self._shards.append(
                ShardDescriptor(
                    order="x",
                    sequence=sequence,
                    split=split,
                    sha256=sha256,
                    examples=examples,
                    last=sequence == len(cuts),
                )
            )

    def snapshot(self, snapshot: str) -> Snapshot:
        categories = [Category(id=f"c{n}", name=str(n)) for n in range(9)]
        return Snapshot(
            id=snapshot,
            dataset="pets",
            categories=categories,
            counts=COUNTS,
            median_shape=SHAPE,
            created=0.0,
        )

    def order(self, request: OrderRequest) -> Order:
        self.asked.append("order")
        self.orders[f"order-{len(self.orders) + 1}"] = "complete"
        return self.order_state(f"order-{len(self.orders)}")

    def order_state(self, order: str) -> Order:
        state = self.orders[order]
        request = OrderRequest(snapshot="a" * 64, splits=["train"], shape=SHAPE)
        return Order(
            id=order,
            state=state,  # type: ignore[arg-type]
            request=request,
            shards=len(self._shards),
            ready=len(self._shards),
            examples=sum(COUNTS.values()),
        )

    def next_shard(self, order: str, after: int, wait_s: float) -> ShardDescriptor | None:
        self.asked.append(f"{order} {after}")
        self.die()
        if order not in self.orders:
            raise NotFoundError(f"there is no order {order}", kind="unknown-order")
        if self.orders[order] != "complete":
            raise GoneError(f"it {self.orders[order]}", kind=f"order-{self.orders[order]}")
        return self._shards[after]

    def shard(self, sha256: str) -> bytes:
        self.die()
        return self._bytes[sha256]


def fill(
    folder: Path, shelf: Shelf, keep_every_s: float = 0.0, report: Any = lambda *_: None
) -> Examples:
    cache = ExampleCache(folder, shelf, SystemClock(), 5.0, keep_every_s)
    return cache.examples(DATA, report)


def contents(examples: Examples) -> list[bytes]:
    parts = (examples.train, examples.validation)
    return [a.tobytes() for part in parts for a in (part.images, part.labels)]


def killed_at(step: int, folder: Path, shelf: Shelf, keep_every_s: float) -> bool:
    """Fill in a process that is killed before one of its steps; say whether it came so far."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            _die_at(step, shelf)
            fill(folder, shelf, keep_every_s)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _die_at(step: int, shelf: Shelf) -> None:
    """End this process before its `step`th question, sync or rename."""
    left = [step]

    def die() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            die()
            return function(*arguments, **options)

        return call

    shelf.die = die
    os.fsync = dying(os.fsync)  # this process ends with the test
    os.rename, os.replace = dying(os.rename), dying(os.replace)
    _Column.write = dying(_Column.write)  # type: ignore[method-assign]


@pytest.mark.parametrize("keep_every_s", [0.0, 60.0])
def test_killed_at_any_step_once_it_comes_to_the_same_examples(
    tmp_path: Path, keep_every_s: float, tell: Callable[[str], None]
) -> None:
    expected = contents(fill(tmp_path / "whole", Shelf()))
    step = kills = 0
    while killed_at(step, tmp_path / str(step), Shelf(), keep_every_s):
        assert contents(fill(tmp_path / str(step), Shelf(), 60.0)) == expected, step
        kills += 1
        step += STRIDE
    assert step > (60 if keep_every_s == 0.0 else 20)
    tell(f"killed {kills} times, {EACH_ONCE}")


def test_killed_again_and_again_in_one_folder_it_comes_to_its_end(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    expected = contents(fill(tmp_path / "whole", Shelf()))
    # What one life keeps takes less than this many steps, so it gets forward.
    kills = 0
    while killed_at(25, tmp_path / "torn", Shelf(), 0.0):
        kills += 1
    assert 2 <= kills <= 10
    assert contents(fill(tmp_path / "torn", Shelf())) == expected
    tell(f"killed {kills} times in one folder, {EACH_ONCE}")


class Interrupted(BaseException):
    """Stands for a kill where the process is to live on."""


def interrupted_after(shelf: Shelf, shards: int, folder: Path) -> None:
    """Fill until some shards are in, and stop there as a kill does."""

    def stop() -> None:
        if len([question for question in shelf.asked if question != "order"]) > shards:
            raise Interrupted

    shelf.die = stop
    with pytest.raises(Interrupted):
        fill(folder, shelf)
    shelf.die = lambda: None
    shelf.asked.clear()


def test_it_goes_on_with_its_order_after_the_last_shard_that_was_kept(tmp_path: Path) -> None:
    shelf = Shelf()
    interrupted_after(shelf, 3, tmp_path)
    seen: list[tuple[int, int]] = []
    fill(tmp_path, shelf, report=lambda *counts: seen.append(counts))
    assert shelf.asked[0] == "order-1 3"
    assert "order" not in shelf.asked
    assert seen[0] == (12, 32)
    assert seen[-1] == (32, 32)


@pytest.mark.parametrize("state", ["gone", "expired", "cancelled", "failed"])
def test_an_order_that_ended_meanwhile_is_placed_again_and_gone_on_with(
    tmp_path: Path, state: str
) -> None:
    expected = contents(fill(tmp_path / "whole", Shelf()))
    shelf = Shelf()
    interrupted_after(shelf, 3, tmp_path / "torn")
    shelf.orders = {"another": "complete"} if state == "gone" else {"order-1": state}
    assert contents(fill(tmp_path / "torn", shelf)) == expected
    assert shelf.asked[:3] == ["order-1 3", "order", "order-2 3"]


def test_an_order_that_expires_while_it_is_filled_from_is_placed_again(tmp_path: Path) -> None:
    shelf = Shelf()

    def expire() -> None:
        if shelf.asked[-1] == "order-1 3":
            shelf.orders["order-1"] = "expired"

    shelf.die = expire
    expected = contents(fill(tmp_path / "whole", Shelf()))
    assert contents(fill(tmp_path / "cache", shelf)) == expected
    assert shelf.asked.count("order") == 2


def test_orders_that_come_to_nothing_are_not_placed_for_ever(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.die = lambda: shelf.orders.update(dict.fromkeys(shelf.orders, "expired"))
    with pytest.raises(InvalidInputError, match="order-3: it expired"):
        fill(tmp_path, shelf)


def test_an_order_that_is_cut_otherwise_is_filled_from_its_start(tmp_path: Path) -> None:
    interrupted_after(Shelf(), 3, tmp_path)
    other = Shelf(size=5)
    assert contents(fill(tmp_path, other)) == contents(fill(tmp_path / "whole", Shelf(size=5)))
    assert other.asked[:2] == ["order-1 3", "order"]


def test_a_second_trainer_waits_for_the_first_and_asks_for_nothing(tmp_path: Path) -> None:
    shelf, idle = Shelf(), Shelf()
    begun, go = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go.wait(10)

    shelf.die = wait
    found: list[list[bytes]] = []
    first = threading.Thread(target=lambda: found.append(contents(fill(tmp_path, shelf))))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=lambda: found.append(contents(fill(tmp_path, idle))))
    second.start()
    second.join(0.3)
    assert second.is_alive()
    go.set()
    for thread in (first, second):
        thread.join(10)
    assert found[0] == found[1]
    assert idle.asked == []


def test_without_room_it_says_so_and_leaves_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(StorageFullError, match="no space is left for the examples"):
        fill(tmp_path, Shelf())
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []

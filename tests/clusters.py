"""The service on real servers, with processes of its own, for tests in which they die."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from commons.adapters.clock import SystemClock
from commons.adapters.decode import decode_image
from commons.adapters.services import SensoryClient
from commons.errors import UnavailableError
from commons.messages import Order, Snapshot
from sensory_service.app import Settings, create_platform
from tests.sensory_house import BASE, House, build_house

FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"
SHAPE = (1024, 1024, 3)  # ten examples a shard: many shards of few images
IMAGES = 140 if FULL else 90
LONGEST_S = 300.0 if FULL else 90.0


@dataclass(frozen=True)
class Cluster:
    """A house on real servers, and processors as processes of their own."""

    house: House
    settings: Settings
    folder: Path
    started: list[subprocess.Popen[bytes]]
    stop_collecting: Callable[[], None]

    def start_processor(self) -> subprocess.Popen[bytes]:
        return self._start("sensory_service.batch_processor")

    def start_service(self, port: int) -> subprocess.Popen[bytes]:
        """Start the service as a process; who kills it kills its group with `kill_group`."""
        options = ["--interface", "wsgi", "--no-ws", "--blocking-threads", "8"]
        app = "sensory_service.wsgi:app"
        return self._start("granian", *options, "--port", str(port), app)

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        settings = self.settings
        environ = {
            "DICEBOX_DATA": str(settings.data),
            "DICEBOX_DATABASE_URL": settings.database_url or "",
            "DICEBOX_BROKER_URL": settings.broker_url or "",
            "DICEBOX_REISSUE_AFTER_S": str(settings.reissue_after_s),
            "DICEBOX_RECONCILE_EVERY_S": str(settings.reconcile_every_s),
            "DICEBOX_DECODE_THREADS": "1",
        }
        with (self.folder / "processes.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**os.environ, **environ},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def wait_for(self, order: Order, ready: int) -> Order:
        """Return the order once that many shards are ready."""
        deadline = time.monotonic() + LONGEST_S
        now = order
        while time.monotonic() < deadline:
            with suppress(UnavailableError):  # of tables that are down: they come back
                now = self.house.client.order_state(order.id)
                if now.ready >= ready:
                    return now
            assert now.state in ("accepted", "running"), now
            time.sleep(0.05)
        raise AssertionError((now, self._log()))

    def _log(self) -> str:
        return (self.folder / "processes.log").read_text(errors="replace")[-4000:]


@contextmanager
def opened_cluster(folder: Path, broker_url: str, database_url: str) -> Iterator[Cluster]:
    settings = Settings(
        data=folder,
        database_url=database_url,
        broker_url=broker_url,
        reissue_after_s=3.0,
        reconcile_every_s=0.5,
    )
    platform = create_platform(settings, SystemClock())
    # The house itself keeps its keys in the folder: nobody could close their database else.
    house = build_house(settings.model_copy(update={"database_url": None}), platform)
    stopped = house.collector.start()
    cluster = Cluster(house, settings, folder, [], stopped.set)
    try:
        yield cluster
    finally:
        stopped.set()
        for process in cluster.started:
            kill_group(process)
        platform.queue.close()  # type: ignore[attr-defined]
        platform.database.dispose()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and those it started as a lost power line would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def placed(cluster: Cluster) -> tuple[Snapshot, Order]:
    """Return a new snapshot and an order of it."""
    snapshot = cluster.house.frozen(each=IMAGES // 2)
    return snapshot, cluster.house.ordered(snapshot, shape=SHAPE)


def check_every_example_once(client: SensoryClient, snapshot: Snapshot, order: Order) -> None:
    """Poll all shards of an order and compare them with the manifest and the images."""
    lines = [
        line
        for split in ("train", "validation", "test")
        for line in client.snapshot_images(snapshot.id, split)
    ]
    assert len(lines) == order.examples
    position = sequence = 0
    last = False
    deadline = time.monotonic() + LONGEST_S
    while not last:
        shard = client.next_shard(order.id, sequence, 1.0)
        if shard is None:
            assert time.monotonic() < deadline, sequence
            continue
        sequence, last = sequence + 1, shard.last
        assert shard.sequence == sequence
        expected = lines[position : position + shard.examples]
        position += shard.examples
        data = io.BytesIO(client.shard(shard.sha256))
        with np.load(data, allow_pickle=False) as arrays:
            assert arrays["labels"].tolist() == [line.category for line in expected]
            for pixels, line in zip(arrays["images"], expected, strict=True):
                image = client.image(line.image)
                np.testing.assert_array_equal(pixels, decode_image(image, SHAPE, "fit"))
    assert (position, sequence) == (len(lines), order.shards)


def readyz(http: httpx.Client) -> dict[str, object]:
    answer: dict[str, object] = http.get(f"{BASE}/readyz").json()
    return answer


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)

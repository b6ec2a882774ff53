"""The stand-alone trainer is killed while its cache is filled from an order that is being made.

Service, batch processor and trainer are processes on RabbitMQ and PostgreSQL. In the end the
cache is compared, pixel by pixel, with the manifest and the images themselves.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from commons.adapters.decode import decode_image
from commons.adapters.services import Caller
from commons.genome import Genome
from commons.messages import Snapshot, Split
from sensory_service.shard_messages import SHARD_QUEUE
from tests.clusters import (
    FULL,
    IMAGES,
    LONGEST_S,
    SHAPE,
    Cluster,
    kill_group,
    opened_cluster,
    until,
)
from tests.sensory_house import BASE
from tests.servers import Postgres, Rabbit, free_port

pytestmark = pytest.mark.integration

Process = subprocess.Popen[bytes]

KILLS = 25 if FULL else 4
SPLITS: tuple[Split, ...] = ("train", "validation")


@dataclass
class Trainer:
    """`python -m trainer` in a folder of its own, and what it has there."""

    url: str
    snapshot: Snapshot
    folder: Path
    started: list[Process] = field(default_factory=list)

    @property
    def examples(self) -> Path:
        """Return the folder that the cache has in the end."""
        shape = "x".join(map(str, SHAPE))
        return self.folder / "work" / "cache" / f"{self.snapshot.id[:32]}-{shape}-fit"

    def journal(self) -> dict[str, object] | None:
        """Return how far the filling is, if it has begun."""
        try:
            text = (self.examples.parent / f".{self.examples.name}" / "journal.json").read_text()
        except FileNotFoundError:
            return None
        journal: dict[str, object] = json.loads(text)
        return journal

    def start(self) -> Process:
        """Start it, and wait until it is at its examples."""
        genome = self.folder / "genome.json"
        genome.write_text(Genome().model_dump_json())
        told = {
            "SENSORY_URL": self.url,
            "DATA": str(self.folder),
            "GENOME": str(genome),
            "SNAPSHOT": self.snapshot.id,
            "SHAPE": "x".join(map(str, SHAPE)),
        }
        with (self.folder / "trainer.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "trainer"],
                env={**os.environ, **told},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        until(lambda: self._has_lock(process))
        return process

    def log(self) -> str:
        return (self.folder / "trainer.log").read_text(errors="replace")[-2000:]

    def _has_lock(self, process: Process) -> bool:
        assert process.poll() is None, self.log()
        lock = str(self.examples) + ".lock"
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                if str(link.readlink()) == lock:
                    return True
            except FileNotFoundError:  # it was closed meanwhile
                continue
        return False


@pytest.fixture
def cluster(rabbit: Rabbit, postgres: Postgres, tmp_path: Path) -> Iterator[Cluster]:
    with opened_cluster(tmp_path / "house", rabbit.url, postgres.new_database()) as cluster:
        cluster.house.platform.queue.delete(SHARD_QUEUE)
        # What becomes of shards is for the service's own process to record.
        cluster.stop_collecting()
        yield cluster


@pytest.fixture
def trainer(cluster: Cluster, tmp_path: Path) -> Iterator[Trainer]:
    """Give a trainer that has never run, beside a service that answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    cluster.start_service(port)
    with httpx.Client(base_url=url) as http:
        Caller(http, patience_s=LONGEST_S).call("GET", f"{BASE}/readyz")
    folder = tmp_path / "trainer"
    folder.mkdir()
    trainer = Trainer(url, cluster.house.frozen(each=IMAGES // 2), folder)
    yield trainer
    for process in trainer.started:
        kill_group(process)


def test_a_trainer_that_is_killed_in_the_middle_of_an_order_has_every_example_once(
    cluster: Cluster, trainer: Trainer, tell: Callable[[str], None]
) -> None:
    victim = trainer.start()
    until(trainer.journal)
    order = cluster.house.client.order_state(str(journal_of(trainer)["order"]))
    processor = cluster.start_processor()
    chance = random.Random(0)
    kept: list[int] = []
    for number in range(KILLS):
        # So many shards and hardly more: the order is not complete before the last kill.
        processor.send_signal(signal.SIGCONT)
        ready = cluster.wait_for(order, 1 + number * (order.shards - 3) // (KILLS - 1)).ready
        processor.send_signal(signal.SIGSTOP)
        # Every other time it has kept all there is, else it is killed wherever it may be.
        if number % 2:
            until(lambda ready=ready: sequence_of(trainer) >= ready)  # type: ignore[misc]
        else:
            time.sleep(chance.uniform(0.0, 1.5))
        kill_group(victim)
        assert not trainer.examples.exists(), "it was killed too late"
        journal = journal_of(trainer)
        assert journal["order"] == order.id, "it placed another order"
        kept.append(sequence_of(trainer))
        victim = trainer.start()
    processor.send_signal(signal.SIGCONT)
    cluster.wait_for(order, order.shards)
    until(trainer.examples.exists)
    kill_group(victim)
    assert kept == sorted(kept), "what was kept is never lost"
    assert kept[1] > 1, "it was killed with more than one shard in its cache"
    check_cache(cluster, trainer)
    tell(
        f"trainer killed {KILLS} times, with {kept[0]} to {kept[-1]} of {order.shards} shards in "
        f"its cache, {order.examples} examples each exactly once, in order"
    )


def journal_of(trainer: Trainer) -> dict[str, object]:
    journal = trainer.journal()
    assert journal is not None, trainer.log()
    return journal


def sequence_of(trainer: Trainer) -> int:
    sequence = journal_of(trainer)["sequence"]
    assert isinstance(sequence, int)
    return sequence


def check_cache(cluster: Cluster, trainer: Trainer) -> None:
    """Compare all that is in the cache with the manifest and the images."""
    client = cluster.house.client
    for split in SPLITS:
        lines = list(client.snapshot_images(trainer.snapshot.id, split))
        assert lines
        labels = np.load(trainer.examples / f"{split}-labels.npy")
        images = np.load(trainer.examples / f"{split}-images.npy", mmap_mode="r")
        assert labels.tolist() == [line.category for line in lines]
        for pixels, line in zip(images, lines, strict=True):
            expected = decode_image(client.image(line.image), SHAPE, "fit")
            np.testing.assert_array_equal(pixels, expected)

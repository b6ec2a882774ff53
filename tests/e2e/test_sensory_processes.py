"""The processes of the sensory service as a machine runs them: started, killed, told to end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from commons.adapters.services import Caller, SensoryClient
from commons.messages import FreezeRequest, OrderRequest
from tests.builders import png_files
from tests.clusters import kill_group

pytestmark = pytest.mark.e2e
Start = Callable[..., subprocess.Popen[bytes]]
FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a module on this test's data folder."""
    with ExitStack() as stack:

        def start(*command: str, **environment: str) -> subprocess.Popen[bytes]:
            environ = os.environ | {"DICEBOX_DATA": str(tmp_path / "data")} | environment
            process = subprocess.Popen(
                [sys.executable, "-m", *command], env=environ, start_new_session=True
            )
            # With its group: granian's worker would outlive it.
            stack.callback(kill_group, process)
            return process

        yield start


def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def ended_by(process: subprocess.Popen[bytes], number: int) -> int:
    process.send_signal(number)
    return process.wait(timeout=30)


@pytest.fixture
def client(start: Start) -> Iterator[SensoryClient]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start(
        "granian",
        "--interface",
        "wsgi",
        "--port",
        str(port),
        "--blocking-threads",
        "8",
        "--no-ws",
        "sensory_service.wsgi:app",
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        caller = Caller(http)
        caller.call("GET", "/api/sensory/v1/readyz")
        yield SensoryClient(caller)


def order(client: SensoryClient, images: int = 300) -> str:
    for seed, category in enumerate(("cat", "dog")):
        client.upload("pets", png_files(images, seed=seed), category)
    snapshot = client.freeze("pets", FreezeRequest())
    request = OrderRequest(snapshot=snapshot.id, splits=["train"], shape=(1024, 1024, 1))
    return client.order(request).id


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_batch_processor_ends_promptly_and_cleanly(
    start: Start, client: SensoryClient, number: int
) -> None:
    placed = order(client)
    processor = start("sensory_service.batch_processor")
    until(lambda: client.order_state(placed).ready > 0)
    assert ended_by(processor, number) == 0
    # It did not go on until all was done.
    state = client.order_state(placed)
    assert state.ready < state.shards


def test_killing_processors_in_the_middle_of_an_order_loses_nothing(
    start: Start, client: SensoryClient, tell: Callable[[str], None]
) -> None:
    placed = order(client)
    shards = client.order_state(placed).shards
    kills = (1, 3, 5, 7, 9, 11) if FULL else (1, 3)
    for ready in kills:
        victim = start("sensory_service.batch_processor", DICEBOX_TASK_LEASE_S="2")
        until(lambda ready=ready: client.order_state(placed).ready >= ready)
        victim.kill()
        victim.wait()
    start("sensory_service.batch_processor", DICEBOX_TASK_LEASE_S="2")
    examples, sequence, last = 0, 0, False
    while not last:
        shard = client.next_shard(placed, sequence, 20.0)
        if shard is not None:
            sequence, last = shard.sequence, shard.last
            examples += shard.examples
    assert (sequence, examples) == (shards, client.order_state(placed).examples)
    tell(
        f"processors killed {len(kills)} times, all {examples} examples delivered in {shards} "
        "shards"
    )

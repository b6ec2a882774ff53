"""What a user does with the stack, through nginx only, with what was acknowledged written down."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.serving_network import files_of, tasks, untrained_card
from benchmarks.swarm_ledger import Ledger
from benchmarks.swarm_load import new_image
from commons.errors import UnavailableError
from commons.messages import OrderRequest, RunRequest
from dicebox.client import Client
from dicebox.digits import digit_files

DATASET = "digits"
_ENDED = ("complete", "stopped", "failed")
_PART = 200
_POLL_S = 1.0
_ORDER_S = 120.0


@dataclass(frozen=True)
class Evolved:
    """A run that has ended, and the longest time in which no individual came in."""

    run: str
    state: str
    individuals: int
    pause_s: float


def upload(client: Client, ledger: Ledger, images: int) -> int:
    """Send digits, and noise where there are not enough, in requests of 200; return how many."""
    draw = np.random.default_rng(7)
    files = [(str(label), file) for label, each in digit_files().items() for file in each]
    files = files[:images]
    files += [(str(n % 10), (f"{n}.png", new_image(draw))) for n in range(images - len(files))]
    stored = 0
    for label in sorted({label for label, _ in files}):
        of_label = [file for each, file in files if each == label]
        for begin in range(0, len(of_label), _PART):
            part = of_label[begin : begin + _PART]
            client.sensory.upload(DATASET, part, label)
            ledger.note_images(DATASET, [hashlib.sha256(data).hexdigest() for _, data in part])
            stored += len(part)
    return stored


def freeze(client: Client, ledger: Ledger) -> str:
    """Freeze the digits; return the snapshot's id."""
    snapshot = client.sensory.freeze(DATASET).id
    ledger.snapshots.append(snapshot)
    return snapshot


def order(client: Client, ledger: Ledger, snapshot: str) -> int:
    """Order all training images and read every shard; return how many examples came."""
    placed = client.sensory.order(
        OrderRequest(snapshot=snapshot, splits=["train"], shape=(8, 8, 1), seed=1)
    )
    ledger.orders.append(placed.id)
    deadline, after, examples = time.monotonic() + _ORDER_S, 0, 0
    while time.monotonic() < deadline:
        shard = client.sensory.next_shard(placed.id, after, 10.0)
        if shard is None:
            continue
        examples += len(client.sensory.examples(shard).labels)
        after = shard.sequence
        if shard.last:
            return examples
    raise UnavailableError(f"order {placed.id} was not complete after {_ORDER_S:.0f} s")


def start_run(client: Client, ledger: Ledger, seconds: float) -> str:
    """Start an evolution of so many seconds; return its id."""
    request = RunRequest(dataset=DATASET, seconds=seconds, candidate_seconds=4.0, population=8)
    run = client.evolution.start(request).id
    ledger.runs[run] = 0
    return run


def follow_run(client: Client, ledger: Ledger, run: str, limit_s: float) -> Evolved:
    """Watch a run until its end; note its individuals and its network."""
    deadline = time.monotonic() + limit_s
    newest, pause, seen = time.monotonic(), 0.0, 0
    while time.monotonic() < deadline:
        state = client.evolution.run(run)
        have = len(client.evolution.individuals(run))
        if have > seen:
            pause = max(pause, time.monotonic() - newest)
            newest, seen = time.monotonic(), have
            ledger.runs[run] = seen
        if state.state in _ENDED:
            if state.network:
                ledger.networks.append(state.network)
            return Evolved(run, state.state, seen, pause)
        time.sleep(_POLL_S)
    raise UnavailableError(f"run {run} had not ended after {limit_s:.0f} s")


def publish(client: Client, ledger: Ledger, work: Path) -> str:
    """Publish a small untrained network as the champion of the digits; return its id.

    For where nobody trains: what answers, and not how well, is looked at.
    """
    task = tasks()["png"]
    data: dict[str, bytes] = {}
    card = untrained_card(task, files_of(task, work), data.__setitem__, dataset=DATASET)
    network = client.gallery.publish(card, data.__getitem__)
    client.gallery.promote(DATASET, network)
    ledger.networks.append(network)
    return network

"""Classifications and uploads of new images at a steady rate, through nginx, until told to end.

A process of its own, so that nothing that the harness does beside it makes it late:

    python -m benchmarks.swarm_load URL KEY_FILE DATASET IMAGE CLASSIFICATIONS UPLOADS LEDGER

It says `begun`, runs until its input ends, and then says what became of all requests. Uploads that
were answered with 2xx are written to LEDGER, those that were not are sent again as a client does.
"""

import hashlib
import io
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from commons.adapters.services import CLASSIFICATION, SENSORY
from commons.auth import authorization
from commons.errors import DiceboxError, UnavailableError
from dicebox.client import Client
from load_generator.adapters.sender import Sender
from load_generator.outcomes import Outcomes
from load_generator.schedule import Step, due_times
from load_generator.target import Target, target_of

UPLOADED = "uploaded"
_PIECE_S = 4.0
_SIDE = 12
_BEGUN = "begun"
_ENDS_IN_S = 60.0


@dataclass
class Offered:
    """What became of all requests of a load.

    `retried` uploads failed once and were taken when they were sent again, `lost` ones were not.
    """

    requests: int = 0
    failed: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    retried: int = 0
    lost: int = 0


def new_image(draw: np.random.Generator) -> bytes:
    """Return a PNG that nobody has sent before."""
    file = io.BytesIO()
    pixels = draw.integers(0, 256, (_SIDE, _SIDE), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def mixed(classify: Target, upload: Target | None, every: int) -> tuple[Target, list[int]]:
    """Return a target whose every n-th request is an upload, and the places of those."""
    if upload is None:
        return classify, []
    requests: list[bytes] = []
    places: list[int] = []
    for request in upload.requests:
        requests += [classify.requests[0]] * (every - 1)
        places.append(len(requests))
        requests.append(request)
    return Target(classify.host, classify.port, requests), places


def count(offered: Offered, outcomes: Outcomes) -> None:
    """Add what became of some requests."""
    offered.requests += int(outcomes.due.size)
    offered.failed += int(np.count_nonzero(~outcomes.is_good))
    for status, times in Counter(outcomes.status.tolist()).items():
        offered.statuses[str(status)] = offered.statuses.get(str(status), 0) + times


def main(arguments: Sequence[str]) -> None:
    """Offer load until the input ends; see the module's docstring."""
    url, key_file, dataset, image, *rates, ledger = arguments
    key = Path(key_file).read_text(encoding="utf-8").strip()
    classifications, uploads = map(float, rates)
    draw = np.random.default_rng()
    offered, ended = Offered(), threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    asked = target_of(
        f"{url}{CLASSIFICATION}/classify?dataset={dataset}",
        [Path(image).read_bytes()],
        headers=authorization(key),
    )
    every = round((classifications + uploads) / uploads) if uploads else 1
    print(_BEGUN, flush=True)
    unsure: list[bytes] = []
    with Path(ledger).open("a", encoding="utf-8") as book:
        while True:
            images = [new_image(draw) for _ in range(int(_PIECE_S * uploads) + every)]
            sent = (
                target_of(
                    f"{url}{SENSORY}/datasets/{UPLOADED}/images?category=new",
                    images,
                    headers=authorization(key),
                )
                if uploads
                else None
            )
            target, places = mixed(asked, sent, every)
            due = due_times(draw, [Step(classifications + uploads, _PIECE_S)], "constant")
            outcomes = Sender(target, connections=512, ready=32).run(due)
            count(offered, outcomes)
            for place, data in zip(places, images, strict=False):
                if place >= len(due):
                    break
                if outcomes.is_good[place]:
                    book.write(f"{hashlib.sha256(data).hexdigest()}\n")
                else:
                    unsure.append(data)
            if ended.is_set():
                break
        _send_again(url, key, unsure, offered, book.write)
    print(json.dumps(vars(offered)), flush=True)


def _send_again(url: str, key: str, images: list[bytes], offered: Offered, note: Any) -> None:
    if not images:
        return
    with Client(url, key=key) as client:
        for data in images:
            try:
                client.sensory.upload(UPLOADED, [("new.png", data)], "new")
            except DiceboxError:
                offered.lost += 1
            else:
                offered.retried += 1
                note(f"{hashlib.sha256(data).hexdigest()}\n")


@dataclass
class Load:
    """A load that is on; `offered` is there when it has ended."""

    offered: Offered = field(default_factory=Offered)


@contextmanager
def loaded(
    url: str,
    key_file: Path,
    dataset: str,
    image: Path,
    ledger: Path,
    *,
    classifications: float = 200.0,
    uploads: float = 20.0,
) -> Iterator[Load]:
    """Offer load for as long as the block lasts.

    Raises:
        UnavailableError: It could not begin.
    """
    words = [url, key_file, dataset, image, classifications, uploads, ledger]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.swarm_load", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    load = Load()
    assert process.stdout is not None  # noqa: S101 - as Popen was told
    try:
        if process.stdout.readline().strip() != _BEGUN:
            raise UnavailableError("the load did not begin")
        yield load
        said, _ = process.communicate("", timeout=_ENDS_IN_S)
        load.offered = Offered(**json.loads(said))
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])

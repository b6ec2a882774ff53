"""Images in: one a request, many a request, and a whole archive."""

import hashlib
import http.client
import io
import json
import os
import subprocess
import sysconfig
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from benchmarks.frame import Findings, Options
from benchmarks.installation import Running, dicebox_up
from benchmarks.rows import Goal, Row, at_least
from benchmarks.sensory_sizes import Sizes
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import SENSORY
from commons.errors import DiceboxError
from commons.messages import UploadReply
from sensory_service.blob_names import image_blob

CONNECTIONS = 8
_FILES_A_FORM = 128
_PART_BYTES = 1 << 20
_PATIENCE_S = 600.0
DATASET = "mnist"
Image = tuple[str, bytes]
Item = TypeVar("Item")


def measure(options: Options, sizes: Sizes, archive: Path) -> Findings:
    """Upload and import images of MNIST, each time into an empty data folder that stays."""
    images = list(islice(archived_images(archive), sizes.uploads + sizes.forms))
    figures = {"disk": _disk_alone(options.work / "disk", images[: sizes.uploads])}
    with dicebox_up(options.work / "single") as running:
        figures["single"] = _singles(running, images[: sizes.uploads])
    with dicebox_up(options.work / "form") as running:
        figures["form"] = _forms(running, images[sizes.uploads :])
    with (
        some_of(archive, sizes.imported, options.work) as chosen,
        dicebox_up(options.work / "command") as running,
    ):
        figures["command"] = _by_command(running, chosen)
        figures["again"] = _by_command(running, chosen)
    return Findings(summary(figures), details=figures)


def summary(figures: dict[str, float]) -> list[Row]:
    """Return the rows; all figures are files a second."""

    def beside_disk(measure: str, name: str, goal: Goal | None = None) -> Row:
        return Row(measure, "files/s", figures[name], figures["disk"], "files alone", goal)

    return [
        beside_disk(f"upload, one a request, {CONNECTIONS} connections", "single", at_least(300)),
        beside_disk(f"upload, {_FILES_A_FORM} a form, {CONNECTIONS} connections", "form"),
        beside_disk("import of MNIST, dicebox import", "command", at_least(1500)),
        Row("the same again, all duplicates", "files/s", figures["again"]),
    ]


def archived_images(archive: Path) -> Iterator[Image]:
    """Yield the category and bytes of the files of an archive, in its order."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and (file := tar.extractfile(member)) is not None:
                yield Path(member.name).parent.name, file.read()


@contextmanager
def some_of(archive: Path, count: int | None, folder: Path) -> Iterator[Path]:
    """Give the archive, or one of `count` files of each of its split folders."""
    if count is None:
        yield archive
        return
    taken: dict[str, int] = {}
    with TemporaryDirectory(dir=folder) as place:
        smaller = Path(place) / "some.tar.gz"
        with tarfile.open(archive) as tar, tarfile.open(smaller, "w:gz", compresslevel=1) as out:
            for member in tar:
                top = str(Path(member.name).parent)
                if member.isfile() and taken.setdefault(top, 0) < count // 10:
                    taken[top] += 1
                    out.addfile(member, tar.extractfile(member))
        yield smaller


def import_archive(running: Running, archive: Path) -> float:
    """Return the files a second of `POST imports`."""
    url = f"{running.url}{SENSORY}/datasets/{DATASET}/imports"
    started = time.perf_counter()
    with archive.open("rb") as file:
        parts = iter(lambda: file.read(_PART_BYTES), b"")
        with httpx.stream("POST", url, content=parts, timeout=_PATIENCE_S) as reply:
            *_, last = reply.iter_lines()
    took = time.perf_counter() - started
    report = json.loads(last)
    if not report.get("complete") or report["refused"]:
        raise DiceboxError(f"expected a whole import, got {report}")
    return float((report["stored"] + report["duplicates"]) / took)


def _by_command(running: Running, archive: Path) -> float:
    command = Path(sysconfig.get_path("scripts")) / "dicebox"
    started = time.perf_counter()
    done = subprocess.run(
        [command, "--url", running.url, "import", archive, "--dataset", DATASET, "--json"],
        capture_output=True,
        check=True,
    )
    took = time.perf_counter() - started
    report = json.loads(done.stdout)
    return float((report["stored"] + report["duplicates"]) / took)


def _singles(running: Running, images: Sequence[Image]) -> float:
    """Return the images a second of raw bodies over keep-alive connections."""
    address = urlsplit(running.url)

    def send(share: Sequence[Image]) -> None:
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        for category, data in share:
            path = f"{SENSORY}/datasets/{DATASET}/images?category={category}"
            connection.request("POST", path, data, {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            body = response.read()
            if response.status != http.client.CREATED:
                raise DiceboxError(f"expected 201, got {response.status}: {body[:200]!r}")
        connection.close()

    return _at_once(send, [images[first::CONNECTIONS] for first in range(CONNECTIONS)])


def _forms(running: Running, images: Sequence[Image]) -> float:
    """Return the images a second of multipart forms of one category each."""
    forms: list[tuple[str, list[bytes]]] = []
    for category in sorted({category for category, _ in images}):
        files = [data for other, data in images if other == category]
        for start in range(0, len(files), _FILES_A_FORM):
            forms.append((category, files[start : start + _FILES_A_FORM]))

    def send(share: Sequence[tuple[str, list[bytes]]]) -> None:
        with httpx.Client(base_url=running.url, timeout=_PATIENCE_S) as client:
            for category, files in share:
                parts = [("files", ("a.png", io.BytesIO(data))) for data in files]
                path = f"{SENSORY}/datasets/{DATASET}/images"
                reply = client.post(path, params={"category": category}, files=parts)
                found = UploadReply.model_validate_json(reply.raise_for_status().content)
                if len(found.stored) != len(files):
                    raise DiceboxError(f"expected no refusal, got {found.refused[0]}")

    shares = [forms[first::CONNECTIONS] for first in range(CONNECTIONS)]
    return _at_once(send, shares) * len(images) / len(forms)


def _disk_alone(folder: Path, images: Sequence[Image]) -> float:
    """Return the images a second that the disk takes as durable files, without any service."""
    blobs = FileBlobs(folder)

    def put(share: Sequence[Image]) -> None:
        for _, data in share:
            blobs.put(image_blob(hashlib.sha256(data).hexdigest()), data)

    rate = _at_once(put, [images[first::CONNECTIONS] for first in range(CONNECTIONS)])
    os.sync()
    return rate


def _at_once(do: Callable[[Sequence[Item]], None], shares: Sequence[Sequence[Item]]) -> float:
    """Do every share in a thread of its own and return the items a second."""
    started = time.perf_counter()
    with ThreadPoolExecutor(len(shares)) as threads:
        for _ in threads.map(do, shares):
            pass
    return sum(map(len, shares)) / (time.perf_counter() - started)

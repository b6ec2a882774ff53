"""What `readyz` says: every part on its own, none waited for long, and each fault by its name."""

import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

import classification_service.app
import evolver.app
from commons.adapters.clock import SystemClock
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.readiness import Readiness, blob_checks
from commons.adapters.shared_folder import SENTINEL, prepare
from commons.errors import UnavailableError
from sensory_service.app import Settings, create_app, create_keys, create_platform
from tests.builders import png_bytes
from tests.dicebox_processes import until
from tests.memory_blobs import MemoryBlobs
from tests.small_disk import mounted_disk


def failing() -> None:
    raise UnavailableError("nobody is there")


def test_what_does_not_answer_is_named_and_the_rest_is_not() -> None:
    broken = {"bad": failing, "worse": lambda: 1 / 0, "good": lambda: None}
    missing = Readiness(broken).missing()
    assert missing["bad"] == "nobody is there"
    assert missing["worse"].startswith("internal error: ZeroDivisionError")
    assert list(missing) == ["bad", "worse"]
    assert Readiness({}).missing() == {}


def test_a_part_that_hangs_costs_its_patience_once_and_keeps_nobody_from_the_others() -> None:
    goes_on, asked = threading.Event(), []

    def hang() -> None:
        asked.append(1)
        goes_on.wait()

    readiness = Readiness({"hung": hang, "also": goes_on.wait, "bad": failing}, patience_s=0.3)
    for _ in range(2):
        started = time.monotonic()
        missing = readiness.missing()
        assert time.monotonic() - started < 0.55
        assert missing["hung"].startswith("no answer for ")
        assert missing["bad"] == "nobody is there"
    assert len(asked) == 1, "nobody asks again what still hangs"
    goes_on.set()
    until(lambda: readiness.missing() == {"bad": "nobody is there"})


def test_what_comes_back_is_ready_with_the_next_question() -> None:
    faults = [UnavailableError("away")]

    def check() -> None:
        if faults:
            raise faults[0]

    readiness = Readiness({"part": check})
    assert readiness.missing() == {"part": "away"}
    faults.clear()
    assert readiness.missing() == {}


def test_blobs_that_are_no_files_are_not_probed() -> None:
    blobs = MemoryBlobs(room=0)
    assert Readiness(blob_checks(blobs)).missing() == {}
    assert not blobs.held


def test_a_folder_is_probed_now_and_then_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    readiness = Readiness(blob_checks(FileBlobs(folder)))
    for _ in range(3):
        assert readiness.missing() == {}
    assert [path.name for path in folder.rglob("*")] == [".temporary"]


def clients(data: Path, blobs_url: str) -> dict[str, httpx.Client]:
    """Return the three services over one data folder and one address of blobs."""
    told = {"data": data, "blobs_url": blobs_url}
    sensory = Settings(**told)
    apps = {
        "sensory": create_app(sensory, create_platform(sensory, SystemClock())),
        "evolution": evolver.app.create_app(evolver.app.Settings(**told)),
        "classification": classification_service.app.create_app(
            classification_service.app.Settings(**told)
        ),
    }
    return {
        name: httpx.Client(
            transport=httpx.WSGITransport(app), base_url=f"http://localhost/api/{name}/v1"
        )
        for name, app in apps.items()
    }


def missing(http: httpx.Client) -> dict[str, str]:
    reply = http.get("/readyz")
    said: dict[str, str] = reply.json()["missing"]
    assert reply.status_code == (503 if said else 200)
    return said


@pytest.mark.parametrize("service", ["sensory", "evolution", "classification"])
def test_a_mount_that_is_missing_is_named_and_comes_back(tmp_path: Path, service: str) -> None:
    folder = tmp_path / "mount"
    http = clients(tmp_path / "data", f"{folder.as_uri()}?sentinel={SENTINEL}")[service]
    assert missing(http) == {
        "blobs": f"{folder} has no {SENTINEL}: the shared folder is not mounted"
    }
    assert not folder.exists()
    prepare(folder)
    until(lambda: missing(http) == {})


def test_an_upload_without_the_mount_is_refused_and_stored_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "mount"
    folder.mkdir()
    http = clients(tmp_path / "data", f"{folder.as_uri()}?sentinel={SENTINEL}")["sensory"]
    reply = http.post("/datasets/pets/images", content=png_bytes())
    assert (reply.status_code, reply.json()["type"]) == (503, "unavailable")
    assert "not mounted" in reply.json()["detail"]
    assert not list(folder.iterdir())
    prepare(folder)
    until(lambda: missing(http) == {})
    assert http.post("/datasets/pets/images", content=png_bytes()).is_success


@pytest.mark.parametrize("service", ["sensory", "evolution", "classification"])
def test_a_full_folder_and_a_read_only_one_have_names_of_their_own(
    tmp_path: Path, service: str
) -> None:
    with mounted_disk(tmp_path / "disk", "256k") as disk:
        prepare(disk)
        with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        http = clients(tmp_path / "data", f"{disk.as_uri()}?sentinel={SENTINEL}")[service]
        assert missing(http) == {"room": f"no space is left in {disk}"}
        (disk / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        until(lambda: missing(http) == {"blobs": f"{disk} is read-only"}, 5.0)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        until(lambda: missing(http) == {}, 5.0)


def test_the_storage_that_admins_see_is_the_disk_of_the_blobs(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk", "256k") as disk:
        settings = Settings(data=tmp_path / "data", blobs_url=str(disk / "blobs"))
        platform = create_platform(settings, SystemClock())
        keys = create_keys(settings, platform.clock, is_open=True)
        app = create_app(settings, platform, keys)
        with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://localhost") as http:
            assert http.get("/api/admin/v1/storage").json()["total_bytes"] == 256 * 1024

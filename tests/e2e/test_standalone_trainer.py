"""The stand-alone trainer in a folder that shares nothing with the house but its address."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from commons.genome import Convolution, Dropout, Genome, Pooling, Training
from commons.messages import FreezeRequest, Snapshot
from dicebox.client import Client
from dicebox.digits import digit_files
from tests.dicebox_processes import Dicebox, Ended, ended, until
from tests.small_disk import mounted_disk

pytestmark = pytest.mark.e2e

GENOME = Genome(
    features=(Convolution(filters=8, kernel=3), Pooling(size=2), Dropout(rate=0.1)),
    training=Training(batch_size=16, learning_rate=0.01),
)
EACH = 60
FULL = os.environ.get("DICEBOX_CAMPAIGN") == "full"
KILLS = 10 if FULL else 2


@dataclass(frozen=True)
class Far:
    """A house that asks for keys, a snapshot in it, and a machine that knows its address."""

    box: Dicebox
    url: str
    key: str
    snapshot: Snapshot
    folder: Path

    @property
    def client(self) -> Client:
        return Client(self.url, key=self.key)

    def start(self, **environment: object) -> subprocess.Popen[str]:
        """Start `python -m trainer` in its own folder."""
        told = {name: str(value) for name, value in environment.items()}
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer"],
            env={
                **os.environ,
                "DICEBOX_TEST": self.box.mark,
                "DICEBOX_KEY": self.key,
                "SENSORY_URL": self.url,
                "DATA": str(self.folder / "trainer"),
                "GENOME": str(self.folder / "genome.json"),
                "SNAPSHOT": self.snapshot.id,
                **told,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.box.started.append(process)
        return process

    def run(self, **environment: object) -> Ended:
        """Return how it ended."""
        return ended(self.start(**environment))


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("far")
    (folder / "genome.json").write_text(GENOME.model_dump_json())
    box = Dicebox(folder / "house")
    _, url = box.up()
    with Client(url) as client:
        for category, files in digit_files().items():
            client.sensory.upload("digits", files[:EACH], category=category)
        snapshot = client.sensory.freeze("digits", FreezeRequest())
    scopes = ("sensory:read", "train", "publish", "classify")
    made = box.run("keys", "create", "far", *(f"--scope={s}" for s in scopes), "--json")
    assert made.code == 0, made.err
    yield Far(box, url, made.json["key"], snapshot, folder)
    box.end()


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("checkpoints/**/*.npz"))


def classify(far: Far, network: str) -> str:
    picture = digit_files()["3"][0][1]
    with far.client as client:
        return client.gallery.classify(picture, network=network).network


def epochs_of(lines: str) -> list[int]:
    return [json.loads(line)["epoch"] for line in lines.splitlines() if "epoch" in line[:9]]


def test_killed_again_and_again_it_goes_on_where_it_was_and_publishes_from_afar(
    far: Far, tell: Callable[[str], None]
) -> None:
    folder = far.folder / "trainer"
    epochs, kept = (200, 0) if FULL else (40, 0)
    for _ in range(KILLS):
        process = far.start(EPOCHS=epochs)
        # It has trained a while and is at it.
        lines = [process.stdout.readline() for _ in range(3)]
        assert all(lines), process.stderr.read()
        process.kill()
        process.communicate()
        assert epochs_of("".join(lines))[:1] == [kept + 1]
        until(lambda: not any("spawn_main" in line for line in far.box.processes().values()))
        kept = int(checkpoints(folder)[-1][:8])
        assert kept >= 2
    last = far.run(EPOCHS=epochs)
    assert last.code == 0, last.err
    assert epochs_of(last.out) == list(range(kept + 1, epochs + 1))
    assert f"goes on after epoch {kept} of {epochs}" in last.err
    published = last.json
    assert (published["epochs"], published["snapshot"]) == (epochs, far.snapshot.id)
    assert published["metrics"]["validation_accuracy"] > 0.5
    assert classify(far, published["network"]) == published["network"]
    assert checkpoints(folder) == []
    assert list((folder / "work" / "trainings").glob("*.json")) == []
    tell(f"trainer killed {KILLS} times, each of {epochs} epochs counted once")


def test_shape_and_resize_are_as_asked_and_on_the_card(far: Far, dicebox: Dicebox) -> None:
    told = far.run(EPOCHS=1, SHAPE="6x10x1", RESIZE="pad", DATA=dicebox.data)
    assert told.code == 0, told.err
    arguments = ("--shape", "6x10x1", "--resize", "crop", "--epochs", 1, "--json")
    typed = dicebox.run(
        *("train", "--snapshot", far.snapshot.id, "--genome", far.folder / "genome.json"),
        *("--sensory", far.url, *arguments),
        DICEBOX_KEY=far.key,
    )
    assert typed.code == 0, typed.err
    with far.client as client:
        cards = {one["network"]: one["card"] for one in client.gallery.networks("digits")}
    for end, resize in ((told, "pad"), (typed, "crop")):
        preprocessing = cards[end.json["network"]]["preprocessing"]
        assert (preprocessing["shape"], preprocessing["resize"]) == ([6, 10, 1], resize)
    # Either has examples of its own, of the shape in the order.
    for resize in ("pad", "crop"):
        (images,) = dicebox.data.glob(f"work/cache/*-6x10x1-{resize}/train-images.npy")
        assert np.load(images, mmap_mode="r").shape[1:] == (6, 10, 1)


def test_the_command_does_the_same_and_promotes(far: Far, dicebox: Dicebox) -> None:
    arguments = (
        *("train", "--snapshot", far.snapshot.id, "--genome", far.folder / "genome.json"),
        *("--sensory", far.url, "--epochs", 30, "--promote", "auto", "--json"),
    )
    process = dicebox.start(*arguments, DICEBOX_KEY=far.key)
    until(lambda: checkpoints(dicebox.data), timeout_s=60)
    os.killpg(process.pid, signal.SIGINT)
    end = ended(process)
    assert (end.code, end.last_words) == (130, "dicebox: interrupted")
    assert "the same command goes on from there" in end.err
    until(dicebox.left_nothing, timeout_s=5)
    end = dicebox.run(*arguments, DICEBOX_KEY=far.key)
    assert end.code == 0, end.err
    assert "goes on after epoch" in end.err
    with far.client as client:
        assert client.gallery.champion("digits").network == end.json["network"]
    assert not (dicebox.data / "house.lock").exists(), "it needs no house of its own"


def test_sigterm_ends_it_quickly_and_says_how_to_go_on(far: Far) -> None:
    process = far.start(EPOCHS=5000, DATA=far.folder / "ended")
    assert process.stdout.readline(), process.stderr.read()
    process.terminate()
    end = ended(process, timeout_s=20)
    assert end.code == 143
    assert end.last_words.startswith("trainer: ended by SIGTERM: what was trained is kept")
    assert checkpoints(far.folder / "ended")


def test_on_a_full_disk_it_says_so_and_goes_on_from_the_checkpoint_before(far: Far) -> None:
    with mounted_disk(far.folder / "disk", "8m") as disk:
        process = far.start(EPOCHS=40, DATA=disk)
        assert process.stdout.readline(), process.stderr.read()
        fill_up(disk / "filler")
        end = ended(process)
        assert end.code == 1
        assert "trainer: no space is left to store checkpoints/" in end.last_words
        assert checkpoints(disk)
        (disk / "filler").unlink()
        end = far.run(EPOCHS=40, DATA=disk)
        assert end.code == 0, end.err
        assert "goes on after epoch" in end.err


def fill_up(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


WRONG = {
    "key": ({"DICEBOX_KEY": "dbx_" + "0" * 12 + "_" + "A" * 43}, "key"),
    "snapshot": ({"SNAPSHOT": "0" * 64}, "no snapshot"),
    "genome": ({"GENOME": __file__}, "is no genome"),
    "genome file": ({"GENOME": "/nowhere/genome.json"}, "No such file"),
    "epochs": ({"EPOCHS": "0"}, "EPOCHS"),
    "dataset": ({"DATASET": "letters"}, "expected a snapshot of letters, got one of digits"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_told_in_one_line(far: Far, fault: str) -> None:
    changes, words = WRONG[fault]
    end = far.run(**changes, DATA=far.folder / "wrong")
    assert (end.code, end.out) == (1, "")
    assert end.err.count("\n") == 1
    assert end.err.startswith("trainer: ")
    assert words in end.err


def test_a_house_that_is_away_is_waited_for_and_said_to_be(far: Far) -> None:
    port = httpx.URL(far.url).port
    house = far.box.started[0]
    os.killpg(house.pid, signal.SIGINT)
    ended(house)
    # This one shares the blobs with the house, and sends none.
    shared = {"BLOBS_URL": far.box.data / "blobs", "DATA": far.folder / "patient"}
    process = far.start(EPOCHS=2, SEED=9, **shared)
    assert "trainer: waits: " in process.stderr.readline()
    again = far.box.start("up", "--port", port, "--json")
    assert again.stdout.readline(), again.stderr.read()
    end = ended(process)
    assert end.code == 0, end.err
    assert classify(far, end.json["network"]) == end.json["network"]
    assert not (far.folder / "patient" / "blobs").exists()

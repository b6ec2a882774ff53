"""`dicebox jobs` as one types it, on a server whose worker works when it is told to."""

import csv
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from classification_service.app import Settings, create_job_worker
from commons.adapters.file_blobs import FileBlobs
from dicebox.client import Client
from dicebox.command import run
from dicebox.front import create_front
from dicebox.job_upload import upload_pictures
from tests.builders import png_bytes
from tests.onnx_builders import always, network_card

# What was said of a picture once is known in the next test too.
_SEEDS = count(0, 100)


class Shell:
    """Runs commands in this process on one server."""

    def __init__(self, server: "Server", capture: pytest.CaptureFixture[str]) -> None:
        self.server = server
        self._capture = capture

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Return exit code, standard output and standard error."""
        code = run(["--url", self.server.url, "jobs", *map(str, arguments)])
        out, err = self._capture.readouterr()
        return code, out, err

    def purge(self, *arguments: object) -> tuple[int, str, str]:
        """Run `dicebox purge` without a question."""
        code = run(["--url", self.server.url, "purge", "--yes", *map(str, arguments)])
        out, err = self._capture.readouterr()
        return code, out, err

    def work(self) -> None:
        while self.server.worker.step():
            pass

    def submitted(self, *arguments: object) -> str:
        code, out, err = self("submit", "--no-wait", "--json", *arguments)
        assert (code, err.splitlines()[0].split()[0]) == (0, "job"), err
        return json.loads(out)["job"]["id"]


class Server:
    """All services on a port, and a worker that works when it is told to."""

    def __init__(self, data: Path, url: str) -> None:
        self.data = data
        self.url = url
        self.worker = create_job_worker(Settings(data=data))

    def publish(self, index: int) -> str:
        card = network_card(FileBlobs(self.data / "blobs"), always(index))
        with Client(self.url) as client:
            network = client.gallery.register(card)
            client.gallery.promote("digits", network)
        return network


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("house")
    http = make_server("127.0.0.1", 0, create_front(data, watch=False), threaded=True)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield Server(data, f"http://127.0.0.1:{http.server_port}")
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def shell(server: Server, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    server.publish(1)
    yield Shell(server, capsys)
    with Client(server.url) as client:
        for job in list(client.jobs.jobs()):
            client.jobs.remove(job.id)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    first = next(_SEEDS)
    for number in range(5):
        file = folder / ("a" if number % 2 else "b") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png_bytes(seed=first + number))
    (folder / "a" / ".hidden").write_bytes(b"nobody means this")
    return folder


def test_a_folder_is_a_job_whose_results_are_lines_and_a_table(
    shell: Shell, pictures: Path
) -> None:
    job = shell.submitted(pictures)
    shell.work()
    code, out, _ = shell("show", job)
    assert code == 0
    assert out.startswith(f"job {job} done: 5 images, 5 answers, 0 failed\nnetwork ")
    code, out, _ = shell("results", job)
    assert code == 0
    assert out.splitlines() == [
        f"{pictures / name}: bright 1.000" for name in ("a/1.png", "a/3.png", "b/0.png")
    ] + [f"{pictures / 'b'}/{number}.png: bright 1.000" for number in (2, 4)]
    rows = list(csv.DictReader(io.StringIO(shell("results", job, "--csv")[1])))
    assert [row["category"] for row in rows] == ["bright"] * 5
    assert shell("results", job, "--category", "dark") == (0, "", "")
    _, out, _ = shell("results", job, "--json", "--min-confidence", "0.5")
    assert len(json.loads(out)["results"]) == 5


def test_several_networks_are_told_apart(shell: Shell, pictures: Path) -> None:
    first, second = shell.server.publish(0), shell.server.publish(1)
    job = shell.submitted(pictures / "a", "--network", first, "--network", second[:10])
    shell.work()
    _, out, _ = shell("results", job)
    assert [line.split(" ", 1)[1] for line in out.splitlines()] == [
        f"{first[:12]}: dark 1.000",
        f"{second[:12]}: bright 1.000",
    ] * 2
    assert len(shell("results", job, "--network", first[:8])[1].splitlines()) == 2


def test_jobs_are_listed_cancelled_and_deleted(shell: Shell, pictures: Path) -> None:
    assert shell("list") == (0, "No job yet: `dicebox jobs submit FOLDER` makes one.\n", "")
    job = shell.submitted(pictures)
    code, out, _ = shell("list")
    assert code == 0
    assert out.splitlines()[1].split()[:3] == [job, "queued", "5"]
    assert json.loads(shell("list", "--json")[1])["jobs"][0]["id"] == job
    code, out, _ = shell("cancel", job)
    assert (code, out) == (0, f"job {job} cancelled: 5 images, 0 answers, 0 failed\n")
    shell.work()
    assert shell("results", job)[1].splitlines()[0] == f"{pictures / 'a' / '1.png'}: cancelled"
    assert shell("delete", job) == (0, f"job {job} is deleted\n", "")
    code, out, err = shell("show", job)
    assert (code, out, err) == (1, "", f"dicebox: there is no job {job}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit"],
        ["submit", "/nowhere"],
        ["results"],
        ["results", "a", "--csv", "--json"],
        ["results", "a", "--min-confidence", "2"],
        ["results", "a", "--state", "strange"],
        ["show"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_told_with_2(shell: Shell, arguments: list[str]) -> None:
    code, out, err = shell(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("dicebox: ")


def test_an_empty_folder_is_no_job(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = shell("submit", "--no-wait", tmp_path / "empty")
    assert code == 2
    assert "no file" in err
    assert "No job yet" in shell("list")[1]


def test_a_network_nobody_knows_is_told_before_anything_is_sent(
    shell: Shell, pictures: Path
) -> None:
    code, out, err = shell("submit", "--no-wait", pictures, "--network", "0" * 64)
    assert (code, out) == (1, "")
    assert "no network" in err


def test_every_subcommand_has_help_in_lines_that_fit(shell: Shell) -> None:
    for command in ("submit", "list", "show", "results", "cancel", "delete"):
        code, out, _ = shell(command, "--help")
        assert code == 0
        assert max(map(len, out.splitlines())) <= 100


def test_pictures_go_in_requests_of_bounded_size_and_a_bad_file_goes_alone(
    shell: Shell, tmp_path: Path
) -> None:
    files = []
    for number in range(450):
        files.append(tmp_path / f"{number}")
        files[-1].write_bytes(number.to_bytes(2) * (2_500_000 if number < 3 else 1))
    files.insert(2, tmp_path / "gone")
    with Client(shell.server.url) as client:
        job = client.jobs.make()
        sent = list(upload_pictures(client.jobs, job.id, files))
    assert [len(one.added) for one in sent if one.added] == [1, 1, 200, 200, 48]
    ((name, reason),) = [refused for one in sent for refused in one.refused]
    assert name == str(tmp_path / "gone")
    assert "cannot be read" in reason


def test_a_picture_that_is_purged_is_in_no_job_any_more(shell: Shell, pictures: Path) -> None:
    job = shell.submitted(pictures)
    shell.work()
    data = next(pictures.rglob("*.png")).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    code, out, err = shell.purge(sha256, "--json")
    assert (code, json.loads(out)["jobs"]) == (0, 1), err
    assert json.loads(shell("show", job, "--json")[1])["job"]["images"] == 4
    assert sha256 not in shell("results", job, "--csv")[1]
    files = [file for file in (shell.server.data / "blobs" / "jobs").rglob("*") if file.is_file()]
    assert files
    assert not any(data in file.read_bytes() for file in files)
    # It is of no dataset, and now of no job.
    assert shell.purge(sha256)[0] == 1

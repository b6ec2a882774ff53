"""The swarm's harness without an engine: its counts, its ledger, its table, its names."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.frame import REPOSITORY
from benchmarks.swarm import swarm
from benchmarks.swarm_engine import Engine, mounts_below
from benchmarks.swarm_images import VARIANTS
from benchmarks.swarm_ledger import Ledger, lost
from benchmarks.swarm_load import Offered, count, loaded, mixed, new_image
from benchmarks.swarm_nodes import Nodes
from benchmarks.swarm_readme import commands
from benchmarks.swarm_rows import grid, rows, size_grid
from benchmarks.swarm_steps import all_steps
from commons.errors import NotFoundError
from deploy.images import version
from load_generator.outcomes import Fate, Outcomes
from load_generator.target import target_of

STEP = {"seconds": 5.0, "requests": 0, "failed": 0, "lost": 0, "note": "", "figures": {}}


# The ledger


class Memory:
    """Stands for a client of a stack that keeps what it is told, or forgets some."""

    def __init__(self) -> None:
        self.images: dict[str, bytes] = {}
        self.known: set[str] = set()
        self.count = 3
        self.sensory = self.evolution = self.gallery = self

    def lookup(self, _: str, images: list[str]) -> dict[str, bool]:
        return {each: True for each in images if each in self.images}

    def image(self, sha256: str) -> bytes:
        return self._known(sha256) and self.images[sha256]

    def _known(self, name: str) -> str:
        if name not in self.known:
            raise NotFoundError(name)
        return name

    def snapshot(self, name: str) -> str:
        return self._known(name)

    order_state = run = snapshot

    def file(self, network: str, kind: str) -> str:
        return self._known(f"{network}.{kind}")

    def individuals(self, _: str) -> list[int]:
        return list(range(self.count))


@pytest.fixture
def kept() -> tuple[Memory, Ledger]:
    memory, ledger = Memory(), Ledger(snapshots=["s"], orders=["o"], runs={"r": 3}, networks=["n"])
    for data in (b"one", b"two"):
        sha256 = hashlib.sha256(data).hexdigest()
        memory.images[sha256] = data
        ledger.note_images("digits", [sha256, sha256])
    memory.known = {*memory.images, "s", "o", "r", "n.onnx"}
    return memory, ledger


def test_of_a_stack_that_forgets_nothing_nothing_is_lost(kept):
    memory, ledger = kept
    assert len(ledger.images["digits"]) == 2
    assert lost(memory, ledger) == []


@pytest.mark.parametrize("what", ["s", "o", "r", "n.onnx"])
def test_what_a_stack_forgets_is_lost(kept, what):
    memory, ledger = kept
    memory.known.remove(what)
    (found,) = lost(memory, ledger)
    assert found.endswith(f" {what.removesuffix('.onnx')}")


def test_an_image_with_other_bytes_and_one_that_left_the_tables_are_lost(kept):
    memory, ledger = kept
    first, second = ledger.images["digits"]
    memory.images[first] = b"another"
    del memory.images[second]
    memory.known.remove(second)
    assert lost(memory, ledger) == [
        f"image {second} of digits",
        f"bytes of image {first}",
        f"bytes of image {second}",
    ]


def test_a_run_with_fewer_individuals_has_lost_some(kept):
    memory, ledger = kept
    memory.count = 1
    assert lost(memory, ledger) == ["2 individuals of run r"]


def test_the_ledger_outlives_its_process_and_takes_in_what_a_load_wrote(tmp_path, kept):
    _, ledger = kept
    ledger.save(tmp_path / "ledger.json")
    (tmp_path / "uploads.txt").write_text("a\nb\na\n")
    again = Ledger.of(tmp_path / "ledger.json", tmp_path / "uploads.txt", "uploaded")
    assert again.images == {**ledger.images, "uploaded": ["a", "b"]}
    assert Ledger.of(tmp_path / "none.json") == Ledger()


# The load


def test_every_request_that_is_not_answered_well_is_a_failed_one():
    status = np.array([200, 201, 503, 429, Fate.LOST, Fate.UNSENT], np.int16)
    zeros = np.zeros(len(status))
    offered = Offered()
    count(offered, Outcomes(zeros, zeros, zeros, status))
    assert (offered.requests, offered.failed) == (6, 4)
    assert offered.statuses["503"] == 1


def test_uploads_are_mixed_in_at_their_rate_and_are_all_new():
    draw = np.random.default_rng(0)
    images = [new_image(draw) for _ in range(3)]
    assert len(set(images)) == 3
    classify = target_of("http://a", [b"picture"])
    target, places = mixed(classify, target_of("http://a", images), 11)
    assert places == [10, 21, 32]
    assert [
        target.requests[place].endswith(data) for place, data in zip(places, images, strict=True)
    ]
    assert mixed(classify, None, 11) == (classify, [])


class _Forgetful(BaseHTTPRequestHandler):
    """Answers classifications, and the first time refuses every upload."""

    protocol_version = "HTTP/1.1"
    refused: set[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused, again = self.server.refused, b"multipart" in self.headers["Content-Type"].encode()  # type: ignore[attr-defined]
        is_upload = "/images" in self.path and not again
        if is_upload:
            refused.add(body)
        reply = b'{"stored": [], "refused": []}'
        self.send_response(503 if is_upload else 200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_load_counts_what_fails_and_sends_uploads_again(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful)
    server.refused = set()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "key").write_text("dbx_0\n")
    (tmp_path / "picture").write_bytes(b"picture")
    try:
        with loaded(
            f"http://127.0.0.1:{server.server_address[1]}",
            tmp_path / "key",
            "digits",
            tmp_path / "picture",
            tmp_path / "uploads.txt",
            classifications=10.0,
            uploads=1.0,
        ) as load:
            pass
    finally:
        server.shutdown()
        server.server_close()
    uploads = (tmp_path / "uploads.txt").read_text().split()
    assert load.offered.requests == 44
    assert load.offered.failed == load.offered.statuses["503"] == 4
    assert (load.offered.retried, load.offered.lost) == (4, 0)
    sent = {hashlib.sha256(body).hexdigest() for body in server.refused}  # type: ignore[attr-defined]
    assert set(uploads) == sent


# The table


def test_the_table_has_a_line_a_step_and_says_what_was_missed():
    steps = {
        "deploy": {**STEP, "seconds": 95.0},
        "kill -9 postgres": {**STEP, "requests": 100, "failed": 7},
        "kill -9 nginx": {**STEP, "seconds": 9.0, "requests": 100, "failed": 20},
        "update evolver": {**STEP, "requests": 1000, "failed": 1, "lost": 2},
        "idle": {**STEP, "seconds": 0.0, "figures": {"memory_gb": 1.5}},
    }
    lines = {line[0]: line for line in grid(steps).lines}
    assert lines["update evolver"] == ["update evolver", "5", "1,000", "1", "2", ""]
    assert lines["idle"][1:4] == ["", "", ""]
    met = {row.measure: (row.ours, row.met) for row in rows(steps, {"classification": 416_000_000})}
    assert met["lost data, all steps together"] == (2, False)
    assert met["failed requests of 1,000 over 1 updates, rollbacks and reloads"] == (1, False)
    assert met["a killed task is replaced and serving, the slowest (nginx)"] == (9.0, True)
    assert met["failed requests over 2 kills, stated"] == (27, None)
    assert met["from built images to everything healthy"] == (95.0, False)
    assert met["memory of the idle stack without trainers"] == (1.5, True)
    assert met["size of the serving image"] == (416.0, True)
    assert list(size_grid({"nginx": 109_000_000}).lines) == [["nginx", "109"]]


def test_no_figure_is_made_of_what_was_not_measured():
    assert rows({}, {}) == []
    # That nothing was lost is known only once everything was asked for again.
    measures = [row.measure for row in rows({"deploy": STEP}, {})]
    assert measures == ["from built images to everything healthy"]
    asked = rows({"ledger": {**STEP, "requests": 10}}, {})
    assert [(row.measure, row.ours) for row in asked] == [("lost data, all steps together", 0)]


def test_the_steps_cover_every_service_and_nodes_have_their_own():
    one, three = all_steps(1), all_steps(3)
    assert len([name for name in one if name.startswith("kill -9 ")]) == 10
    assert len([name for name in one if name.startswith("update ")]) == 8
    assert set(three) - set(one) == {
        "tasks are spread",
        "a worker is cut off for 40 s",
        "a worker is killed",
        "a worker is drained",
        "the manager's engine starts anew",
    }
    assert list(three)[-1] == "ledger"
    assert set(VARIANTS) == {"next", "broken", "sick"}


# Names, folders and refusals


def test_nodes_of_two_folders_share_nothing_and_names_fit(tmp_path):
    one, other = Nodes(tmp_path / "one", 3), Nodes(tmp_path / "other", 3)
    links = {node.link for nodes in (one, other) for node in nodes.all}
    assert len(links) == 6
    assert all(len(link) <= 15 for link in links)
    for node in one.all:
        # The socket's name has 108 bytes, containerd's as well.
        assert len(f"{node.engine.run}/exec/containerd/containerd.sock.ttrpc") < 108
        assert str(tmp_path / "one") in str(node.engine.data)


def test_mounts_below_a_folder_are_found_and_no_others():
    assert mounts_below(Path("/proc/self")) == []
    assert "/proc" not in mounts_below(Path("/pro"))


def test_an_engine_that_never_ran_has_no_process_and_may_be_stopped(tmp_path):
    engine = Engine(tmp_path / "data", tmp_path / "run")
    assert engine.pid() is None
    engine.kill()
    assert engine.docker.environ == {"DOCKER_HOST": f"unix://{tmp_path}/run/docker.sock"}


def test_the_harness_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    said = CliRunner().invoke(swarm, ["--folder", str(tmp_path), "report"])
    assert said.exit_code == 1
    assert "need root" in said.output
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("benchmarks.swarm.is_installed", lambda: False)
    said = CliRunner().invoke(swarm, ["--folder", str(tmp_path), "report"])
    assert "dockerd is not installed" in said.output
    monkeypatch.setattr("benchmarks.swarm.is_installed", lambda: True)
    said = CliRunner().invoke(swarm, ["--folder", str(tmp_path), "step", "dance"])
    assert "no step is named 'dance'" in said.output


def test_a_report_is_written_of_what_was_measured(monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("benchmarks.swarm.is_installed", lambda: True)
    (tmp_path / "steps.json").write_text(json.dumps({"deploy": STEP}))
    (tmp_path / "sizes.json").write_text(json.dumps({"classification": 416_000_000}))
    file = tmp_path / "swarm.json"
    said = CliRunner().invoke(
        swarm, ["--folder", str(tmp_path), "report", "--json", str(file)], catch_exceptions=False
    )
    assert said.exit_code == 0
    report = json.loads(file.read_text())
    assert report["details"]["steps"]["deploy"]["seconds"] == 5.0
    assert any(row["met"] for row in report["rows"])


def test_the_readme_has_commands_for_single_services_that_are_typed_as_they_stand():
    found = commands((REPOSITORY / "README.md").read_text(encoding="utf-8"))
    created = [line.split("--name ")[1].split()[0] for line in found if "service create" in line]
    assert created == ["postgres", "rabbitmq", "sensory"]
    assert any(line.startswith("docker service update ") for line in found)
    assert any("shared_folder /dicebox/blobs" in line for line in found)
    assert not any("$" in line or "\\" in line for line in found)
    sensory = next(line for line in found if "--name sensory" in line)
    for words in (
        "--mount type=volume,source=dicebox,destination=/dicebox",
        "--publish mode=host,",
        "--endpoint-mode dnsrr",
        "--env DATABASE_URL_FILE=",
        "--env BROKER_URL_FILE=",
    ):
        assert words in sensory
    assert f"dicebox/sensory:{version()}" in sensory

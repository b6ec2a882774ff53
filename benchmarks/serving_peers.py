"""Who takes part in the serving benchmark, and in which configurations."""

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.installation import free_port
from benchmarks.peers import Peer, environment_of
from benchmarks.serving_network import Task
from benchmarks.serving_servers import Served, our_service, peer_service

OURS, NAIVE = "ours", "Flask + predict"
_SCRIPTS = Path(__file__).parent / "peer_scripts" / "serving_peers"


@dataclass(frozen=True)
class Arm:
    """A server in one configuration.

    Args:
        server: Its name in the tables.
        configuration: What is special about it, in words.
        settings: The same, as its script reads it.
        path: Where it takes requests.
        is_v2: It takes no raw bytes, but the tensors of the Open Inference Protocol in JSON.
    """

    server: str
    configuration: str
    settings: Mapping[str, str] = field(default_factory=dict)
    path: str = "/classify"
    is_v2: bool = False

    @property
    def name(self) -> str:
        """Return what tells it from all others."""
        return f"{self.server}, {self.configuration}" if self.configuration else self.server


# Peers, where they take requests, and their configurations.
_GRID: Mapping[tuple[str, str], Mapping[str, Mapping[str, int]]] = {
    ("Mosec", "/inference"): {
        "2 workers": {"WORKERS": 2},
        "2 workers, batches of 16 within 1 ms": {"WORKERS": 2, "BATCH": 16, "WAIT_MS": 1},
        "1 worker, batches of 16 within 1 ms": {"WORKERS": 1, "BATCH": 16, "WAIT_MS": 1},
    },
    ("LitServe", "/classify"): {
        "1 front, 1 worker": {"WORKERS": 1},
        "2 fronts, 2 workers": {"FRONTS": 2, "WORKERS": 2},
        "2 fronts, 1 worker, batches of 16 within 1 ms": {"FRONTS": 2, "WORKERS": 1, "BATCH": 16},
    },
    ("BentoML", "/classify"): {"1 worker": {"WORKERS": 1}, "2 workers": {"WORKERS": 2}},
    ("MLServer", "/classify"): {"its handler": {"WORKERS": 0}},
    ("MLServer", "/v2/models/served/infer"): {
        "v2, 2 workers": {"WORKERS": 2},
        "v2, 2 workers, batches of 16 within 1 ms": {"WORKERS": 2, "BATCH": 16},
    },
    (NAIVE, "/classify"): {"": {}},
}


def arms() -> dict[str, Arm]:
    """Return ours, and every peer in each configuration of its grid, by their names."""
    found = [
        Arm(OURS, ""),
        *(
            Arm(
                server,
                configuration,
                {name: str(value) for name, value in settings.items()},
                path,
                is_v2=path.startswith("/v2"),
            )
            for (server, path), grid in _GRID.items()
            for configuration, settings in grid.items()
        ),
    ]
    return {arm.name: arm for arm in found}


def requirements_of(arm: Arm) -> list[str]:
    """Return what is installed for a peer, pinned; nothing for what needs nothing of its own."""
    if arm.server in (OURS, NAIVE):
        return []
    file = _SCRIPTS / f"{arm.server.lower()}.txt"
    return file.read_text(encoding="utf-8").split()


def script_of(arm: Arm) -> Path:
    """Return what serves as a peer."""
    name = "naive" if arm.server == NAIVE else arm.server.lower()
    return _SCRIPTS / f"{name}_server.py"


@contextmanager
def serving(arm: Arm, task: Task, files: Path, work: Path) -> Iterator[Served]:
    """Give a running server, and what is sent to it as `Served.body`.

    Args:
        arm: Which one.
        task: What it is asked.
        files: The folder with the network.
        work: Where environments and data folders are.
    """
    if arm.server == OURS:
        with our_service(task, files, work) as served:
            yield served
        return
    # What is a view of Flask around Keras runs where Keras is: here.
    peer = Peer(f"serving-{arm.server}", requirements_of(arm), script_of(arm))
    python = Path(sys.executable) if arm.server == NAIVE else environment_of(peer, work)
    settings = {**arm.settings, "SERVED_SECOND_PORT": str(free_port())}
    body, media_type = (_v2(task), "application/json") if arm.is_v2 else (None, None)
    with peer_service(
        arm.name,
        python,
        script_of(arm),
        task,
        files,
        settings,
        arm.path,
        headers={"Content-Type": media_type or task.media_type},
        body=body,
    ) as served:
        yield served


def _v2(task: Task) -> bytes:
    tensor = {
        "name": "images",
        "datatype": "BYTES",
        "shape": [1],
        "data": [base64.b64encode(task.image).decode("ascii")],
        "parameters": {"content_type": "base64"},
    }
    return json.dumps({"inputs": [tensor]}).encode("ascii")

"""Swarm nodes on one machine: an engine each, in a network namespace of its own, on one bridge.

Nothing of the machine's own network changes but a bridge, its veths, and one rule that lets
packets pass from one port of that bridge to another; all of it goes again.
"""

import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.swarm_engine import ONLY_BUILDS, Engine, mounts_below
from commons.errors import UnavailableError

_NET = "10.77.0"
_FIRST = 11
_REJOIN_S, _POLL_S = 60.0, 0.2


@dataclass(frozen=True)
class Node:
    """A node: its engine and its link to the others."""

    name: str
    address: str
    link: str
    engine: Engine


@dataclass(frozen=True)
class Nodes:
    """The nodes of a folder; the first is the manager.

    Args:
        folder: Their data.
        count: How many.
    """

    folder: Path
    count: int

    @property
    def all(self) -> list[Node]:
        """Return them, running or not."""
        return [self._node(number) for number in range(1, self.count + 1)]

    @property
    def manager(self) -> Node:
        """Return the node that takes commands."""
        return self._node(1)

    @property
    def builder(self) -> Engine:
        """Return the engine that builds; its images are handed to the nodes."""
        return Engine(self.folder / "build", self._run / "build", ONLY_BUILDS)

    def up(self) -> None:
        """Start what does not run, and make it one swarm.

        Raises:
            UnavailableError: An engine does not start.
        """
        self._lay_bridge()
        for node in self.all:
            self._lay_link(node)
            node.engine.start()
        self._join()

    def stop(self) -> None:
        """End all engines and take the network away; what is on disk stays, the swarm too."""
        for node in reversed(self.all):
            node.engine.stop()
            _ip("netns", "delete", node.engine.namespace or "", anyhow=True)
            _ip("link", "delete", node.link, anyhow=True)
        _ip("link", "delete", self._bridge, anyhow=True)
        _rule("-D", self._bridge)
        _remove(self._run)

    def erase(self) -> None:
        """Remove what ended engines have on disk, but for what was built."""
        for node in self.all:
            _remove(node.engine.data)

    def cut(self, node: Node) -> None:
        """Let nothing through to or from a node."""
        _ip("link", "set", node.link, "down")

    def mend(self, node: Node) -> None:
        """Let everything through again."""
        _ip("link", "set", node.link, "up")

    def leftovers(self) -> list[str]:
        """Return what of these nodes is still in the machine's network."""
        links = _ip("-brief", "link").splitlines()
        spaces = _ip("netns", "list").splitlines()
        return [line.split()[0] for line in (*links, *spaces) if line and self._mark in line]

    @property
    def _mark(self) -> str:
        # Names of links have 15 letters at most, and other folders have other nodes.
        return "dbx" + sha256(str(self.folder.resolve()).encode()).hexdigest()[:5]

    @property
    def _bridge(self) -> str:
        return f"{self._mark}br"

    @property
    def _run(self) -> Path:
        return Path("/run") / f"dicebox-{self._mark}"

    def _node(self, number: int) -> Node:
        name = f"n{number}"
        engine = Engine(
            self.folder / name,
            self._run / name,
            ("--bip", f"172.3{number}.0.1/16"),
            f"{self._mark}n{number}",
        )
        return Node(name, f"{_NET}.{_FIRST - 1 + number}", f"{self._mark}v{number}", engine)

    def _lay_bridge(self) -> None:
        if self._bridge in _ip("-brief", "link"):
            return
        if f"{_NET}.1/" in _ip("-brief", "address"):
            raise UnavailableError(f"{_NET}.0/24 is taken on this machine: other nodes run here")
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{_NET}.1/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        _rule("-I", self._bridge)

    def _lay_link(self, node: Node) -> None:
        space = node.engine.namespace or ""
        if space in _ip("netns", "list").split():
            return
        _ip("netns", "add", space)
        _ip("link", "add", node.link, "type", "veth", "peer", "name", "e0", "netns", space)
        _ip("link", "set", node.link, "master", self._bridge, "up")
        for words in (
            ["address", "add", f"{node.address}/24", "dev", "e0"],
            ["link", "set", "e0", "up"],
            ["link", "set", "lo", "up"],
        ):
            _ip("-netns", space, *words)

    def _join(self) -> None:
        docker = self.manager.engine.docker
        if not _is_in_swarm(self.manager):
            docker("swarm", "init", "--advertise-addr", self.manager.address)
            # Ended tasks keep their containers, and those their volumes.
            docker("swarm", "update", "--task-history-limit", "2")
        token = ""
        for node in self.all[1:]:
            if not _is_in_swarm(node):
                token = token or docker("swarm", "join-token", "--quiet", "worker")
                words = ["swarm", "join", "--token", token, "--advertise-addr", node.address]
                node.engine.docker(*words, f"{self.manager.address}:2377")


def _is_in_swarm(node: Node) -> bool:
    """Say whether a node belongs to a swarm; one that did before is waited for.

    Whoever makes another swarm of it meanwhile loses the secrets, and keeps the volumes.
    """
    deadline = time.monotonic() + _REJOIN_S
    while True:
        state = node.engine.docker("info", "--format", "{{.Swarm.LocalNodeState}}")
        if state in ("active", "locked"):
            return True
        if not (node.engine.data / "swarm" / "docker-state.json").exists():
            return False
        if time.monotonic() > deadline:
            raise UnavailableError(f"{node.name} does not come back to its swarm: it is {state}")
        time.sleep(_POLL_S)


def _ip(*words: str, anyhow: bool = False) -> str:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True, timeout=30)
    if done.returncode and not anyhow:
        raise UnavailableError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _rule(action: str, bridge: str) -> None:
    rule: Sequence[str] = ("FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT")
    # Where packets between ports of a bridge ask nobody, there may be no iptables at all.
    with suppress(OSError):
        subprocess.run(["iptables", "-w", action, *rule], check=False, capture_output=True)


def _remove(folder: Path) -> None:
    # Below a mount that could not be undone are somebody's files.
    if not mounts_below(folder):
        shutil.rmtree(folder, ignore_errors=True)

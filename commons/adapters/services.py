"""Clients of the services, in the words of `commons.messages`.

Each takes an `httpx.Client` whose base address is the front (or nginx, or a service). A test
or a command that opens the data folder itself hands in `httpx.Client(transport=
httpx.WSGITransport(app))` and talks to the real app without a socket.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from commons.adapters.caller import (
    ADMIN,
    CLASSIFICATION,
    EVOLUTION,
    SENSORY,
    Caller,
    send_json,
)
from commons.adapters.sensory_client import SensoryClient
from commons.adapters.trial_client import TrialClient
from commons.auth import KeyInfo, KeyList, KeyRequest, NewKey
from commons.errors import ConflictError, NotFoundError
from commons.messages import (
    Champion,
    Classification,
    Discarded,
    Individual,
    NamedNetwork,
    NameRequest,
    PromoteRequest,
    Run,
    RunRequest,
)
from commons.network_card import NetworkCard
from commons.worker_messages import WorkerPage

__all__ = [
    "ADMIN",
    "CLASSIFICATION",
    "EVOLUTION",
    "SENSORY",
    "AdminClient",
    "Caller",
    "EvolutionClient",
    "GalleryClient",
    "SensoryClient",
]


class EvolutionClient:
    """Runs: start, watch, stop, go on."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def start(self, request: RunRequest) -> Run:
        """Start a run; not repeated on failure, for a second one would be another run."""
        # Whole: seconds that are null are not the default.
        options = {**send_json(request), "content": request.model_dump_json()}
        reply = self._caller.call_once("POST", f"{EVOLUTION}/runs", **options)
        return Run.model_validate_json(reply.content)

    def runs(self) -> list[Run]:
        """Return all runs, newest first."""
        reply = self._caller.call("GET", f"{EVOLUTION}/runs").json()
        return [Run.model_validate(item) for item in reply["runs"]]

    def run(self, run: str) -> Run:
        """Return one run with its progress."""
        reply = self._caller.call("GET", self._path(run))
        return Run.model_validate_json(reply.content)

    def individuals(self, run: str, after: int = 0, *, histories: bool = False) -> list[Individual]:
        """Return the individuals of a run with a number above `after`.

        The histories of their trainings are left out unless they are asked for.
        """
        query = f"after={after}&histories={str(histories).lower()}"
        return self._individuals(f"{self._path(run)}/individuals?{query}")

    def lineage(self, run: str, number: int) -> list[Individual]:
        """Return an individual and all its ancestors, the oldest first."""
        return self._individuals(f"{self._path(run)}/individuals/{number}/lineage")

    def front(self, run: str) -> list[Individual]:
        """Return the individuals that no other beats in all objectives, the best first."""
        return self._individuals(f"{self._path(run)}/front")

    def champion(
        self, run: str, max_latency_us: float | None = None, max_parameters: int | None = None
    ) -> Individual:
        """Return the best individual so far, or of those that cost no more."""
        limits = {"max_latency_us": max_latency_us, "max_parameters": max_parameters}
        params = {name: value for name, value in limits.items() if value is not None}
        reply = self._caller.call("GET", f"{self._path(run)}/champion", params=params)
        return Individual.model_validate_json(reply.content)

    def stop(self, run: str) -> Run:
        """Ask a run to end early with the best it has."""
        reply = self._caller.call("POST", f"{self._path(run)}/stop")
        return Run.model_validate_json(reply.content)

    def resume(self, run: str) -> Run:
        """Go on with a run that its runner left before its end."""
        reply = self._caller.call("POST", f"{self._path(run)}/resume")
        return Run.model_validate_json(reply.content)

    def discard(self, run: str) -> Discarded:
        """Delete what a run that has ended keeps in the blobs; its journal stays."""
        reply = self._caller.call("DELETE", f"{self._path(run)}/files")
        return Discarded.model_validate_json(reply.content)

    def workers(self) -> WorkerPage:
        """Return who trains now, and what."""
        reply = self._caller.call("GET", f"{EVOLUTION}/workers")
        return WorkerPage.model_validate_json(reply.content)

    def _individuals(self, path: str) -> list[Individual]:
        reply = self._caller.call("GET", path).json()
        return [Individual.model_validate(item) for item in reply["individuals"]]

    @staticmethod
    def _path(run: str) -> str:
        return f"{EVOLUTION}/runs/{quote(run, safe='')}"


class GalleryClient(TrialClient):
    """Networks: register, put on trial, promote, roll back, ask."""

    def register(self, card: NetworkCard) -> str:
        """Register a network whose files are in the blobs; return its id. Safe to repeat."""
        reply = self._caller.call("POST", f"{CLASSIFICATION}/networks", **send_json(card))
        return str(reply.json()["network"])

    def publish(self, card: NetworkCard, read: Callable[[str], bytes]) -> str:
        """Register a network, sending those of its files that are missing there first.

        Args:
            card: What is registered; where the blobs are shared, nothing else is sent.
            read: Returns the bytes of a file by the name of its blob.

        Returns:
            Its id. Safe to repeat.
        """
        try:
            return self.register(card)
        except ConflictError as error:
            if error.kind != "missing-files":
                raise
        for file in (card.weights, card.keras, card.onnx):
            name = file.blob.rpartition("/")[2]
            if not self.has_file(name):
                self.put_file(name, read(file.blob))
        return self.register(card)

    def has_file(self, name: str) -> bool:
        """Say whether the file `{sha256}.{npz|keras|onnx}` of a network is there."""
        try:
            self._caller.call("HEAD", f"{CLASSIFICATION}/network-files/{name}")
        except NotFoundError:
            return False
        return True

    def put_file(self, name: str, data: bytes) -> None:
        """Send a file of a network; safe to repeat, since its name is its hash."""
        self._caller.call(
            "PUT",
            f"{CLASSIFICATION}/network-files/{name}",
            content=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def networks(self, dataset: str | None = None) -> list[dict[str, Any]]:
        """Return registered networks, newest first.

        Each has `network` (its id), `name` (or None), `champion` (bool) and `card`.
        """
        parameters = {"dataset": dataset} if dataset else {}
        reply = self._caller.call("GET", f"{CLASSIFICATION}/networks", params=parameters)
        networks: list[dict[str, Any]] = reply.json()["networks"]
        return networks

    def file(self, network: str, kind: str) -> bytes:
        """Return the file `keras`, `onnx` or `weights` of a network."""
        return self._caller.call("GET", f"{CLASSIFICATION}/networks/{network}/{kind}").content

    def give_name(self, network: str, name: str, *, move: bool = False) -> NamedNetwork:
        """Give a network a name instead of the one it has; safe to repeat.

        From then on the name may stand wherever an id does.

        Args:
            network: Its id, 8 or more of its first digits, or its present name.
            name: 1 to 64 of a-z, 0-9, `-`, `_` and `.`, a letter first; nothing that could be
                the beginning of an id.
            move: Take it from the network that has it; else that is a `ConflictError`.
        """
        request = NameRequest(name=name, move=move)
        reply = self._caller.call("PUT", _name_path(network), **send_json(request))
        return NamedNetwork.model_validate_json(reply.content)

    def take_name(self, network: str) -> NamedNetwork:
        """Take the name of a network away."""
        reply = self._caller.call_once("DELETE", _name_path(network))
        return NamedNetwork.model_validate_json(reply.content)

    def promote(self, dataset: str, network: str) -> Champion:
        """Make a registered network (by id or name) the one that answers for a dataset."""
        path = f"{CLASSIFICATION}/champions/{dataset}"
        reply = self._caller.call("PUT", path, **send_json(PromoteRequest(network=network)))
        return Champion.model_validate_json(reply.content)

    def champion(self, dataset: str) -> Champion:
        """Return which network answers for a dataset."""
        reply = self._caller.call("GET", f"{CLASSIFICATION}/champions/{dataset}")
        return Champion.model_validate_json(reply.content)

    def classify(
        self, data: bytes, dataset: str | None = None, network: str | None = None, top: int = 3
    ) -> Classification:
        """Return what the champion, or a network by its id or name, says about one image."""
        parameters: dict[str, Any] = {"dataset": dataset, "network": network, "top": top}
        reply = self._caller.call(
            "POST",
            f"{CLASSIFICATION}/classify",
            params={name: value for name, value in parameters.items() if value is not None},
            content=data,
            headers={"Content-Type": "application/octet-stream"},
        )
        return Classification.model_validate_json(reply.content)


def _name_path(network: str) -> str:
    return f"{CLASSIFICATION}/networks/{quote(network, safe='')}/name"


class AdminClient:
    """Keys."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create_key(self, request: KeyRequest) -> NewKey:
        """Make a key; not repeated on failure, for a second one would be another key."""
        reply = self._caller.call_once("POST", f"{ADMIN}/keys", **send_json(request))
        return NewKey.model_validate_json(reply.content)

    def keys(self) -> list[KeyInfo]:
        """Return all keys, newest first."""
        return KeyList.model_validate_json(self._caller.call("GET", f"{ADMIN}/keys").content).keys

    def revoke_key(self, key: str) -> KeyInfo:
        """Revoke a key by its id."""
        reply = self._caller.call("DELETE", f"{ADMIN}/keys/{quote(key, safe='')}")
        return KeyInfo.model_validate_json(reply.content)

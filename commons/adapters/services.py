"""Clients of the services, in the words of `commons.messages`.

Each takes an `httpx.Client` whose base address is the front (or nginx, or a service). A test
or a command that opens the data folder itself hands in `httpx.Client(transport=
httpx.WSGITransport(app))` and talks to the real app without a socket.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import stamina
from pydantic import BaseModel

from commons.auth import KeyInfo, KeyList, KeyRequest, NewKey
from commons.errors import (
    HTTP_STATUS,
    DiceboxError,
    UnavailableError,
)
from commons.messages import (
    Champion,
    CheckReport,
    Classification,
    DatasetSummary,
    Erasure,
    FreezeRequest,
    Individual,
    Order,
    OrderRequest,
    PromoteRequest,
    Run,
    RunRequest,
    ShardDescriptor,
    Snapshot,
    SnapshotImage,
    SnapshotImages,
    Split,
    UploadReply,
)
from commons.network_card import NetworkCard

SENSORY = "/api/sensory/v1"
EVOLUTION = "/api/evolution/v1"
CLASSIFICATION = "/api/classification/v1"
ADMIN = "/api/admin/v1"

_ERRORS = MappingProxyType({status: kind for kind, status in HTTP_STATUS})
MessageType = TypeVar("MessageType", bound=BaseModel)


class Caller:
    """Sends requests and turns problem+json back into the errors it was made from.

    What is safe to repeat is repeated for `patience_s` seconds while a service is unavailable.
    """

    def __init__(self, http: httpx.Client, patience_s: float = 20.0) -> None:
        self._http = http
        self._patience_s = patience_s

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the response of a request that succeeded.

        Raises:
            DiceboxError: What the service answered, or `UnavailableError` if it cannot be reached.
        """
        for attempt in stamina.retry_context(
            on=UnavailableError, timeout=self._patience_s, attempts=None, wait_initial=0.1
        ):
            with attempt:
                return self.call_once(method, path, **options)
        raise AssertionError("the loop above returns or raises")

    def call_once(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Do the same with a single try, for what must not be repeated blindly."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise UnavailableError(f"{self._http.base_url} cannot be reached: {error}") from error
        if response.is_success:
            return response
        raise _error_of(response)


def _error_of(response: httpx.Response) -> DiceboxError:
    try:
        problem = response.json()
        kind, detail = str(problem["type"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        kind, detail = "error", f"{response.status_code} from {response.url}"
    return _ERRORS.get(response.status_code, DiceboxError)(detail, kind=kind)


def _send_json(message: BaseModel) -> dict[str, Any]:
    return {
        "content": message.model_dump_json(exclude_none=True),
        "headers": {"Content-Type": "application/json"},
    }


class SensoryClient:
    """Images in, snapshots and batch orders out."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def datasets(self) -> list[DatasetSummary]:
        """Return all datasets with their counts."""
        reply = self._caller.call("GET", f"{SENSORY}/datasets").json()
        return [DatasetSummary.model_validate(item) for item in reply["datasets"]]

    def dataset(self, dataset: str) -> DatasetSummary:
        """Return one dataset with its counts."""
        return self._get(DatasetSummary, f"/datasets/{dataset}")

    def upload(
        self,
        dataset: str,
        files: list[tuple[str, bytes]],
        category: str | None = None,
        split: Split | None = None,
    ) -> UploadReply:
        """Store files (name, bytes); safe to repeat, since the same bytes are the same image."""
        parameters = {"category": category, "split": split}
        reply = self._caller.call(
            "POST",
            f"{SENSORY}/datasets/{dataset}/images",
            params={name: value for name, value in parameters.items() if value is not None},
            files=[("files", (name, data, "application/octet-stream")) for name, data in files],
        )
        return UploadReply.model_validate_json(reply.content)

    def image(self, sha256: str) -> bytes:
        """Return the bytes of an image as they were sent."""
        return self._caller.call("GET", f"{SENSORY}/images/{sha256}").content

    def purge(self, sha256: str) -> Erasure:
        """Erase an image for good; safe to repeat, which also finishes what was interrupted."""
        reply = self._caller.call("DELETE", f"{SENSORY}/images/{quote(sha256, safe='')}")
        return Erasure.model_validate_json(reply.content)

    def check(self, prefix: str) -> CheckReport:
        """Return what is wrong in the storage with the hashes that start with two digits."""
        return self._get(CheckReport, f"/check/{prefix}")

    def freeze(self, dataset: str, request: FreezeRequest) -> Snapshot:
        """Return a snapshot of what is labeled now; the same content gives the same id."""
        path = f"{SENSORY}/datasets/{dataset}/snapshots"
        reply = self._caller.call("POST", path, **_send_json(request))
        return Snapshot.model_validate_json(reply.content)

    def snapshot(self, snapshot: str) -> Snapshot:
        """Return a frozen snapshot."""
        return self._get(Snapshot, f"/snapshots/{snapshot}")

    def snapshot_images(self, snapshot: str, split: Split) -> Iterator[SnapshotImage]:
        """Yield the manifest lines of one split."""
        cursor: int | None = 0
        while cursor is not None:
            path = f"/snapshots/{snapshot}/images?split={split}&cursor={cursor}"
            page = self._get(SnapshotImages, path)
            yield from page.images
            cursor = page.cursor

    def order(self, request: OrderRequest) -> Order:
        """Place a batch order."""
        reply = self._caller.call("POST", f"{SENSORY}/orders", **_send_json(request))
        return Order.model_validate_json(reply.content)

    def order_state(self, order: str) -> Order:
        """Return where an order stands."""
        return self._get(Order, f"/orders/{order}")

    def next_shard(self, order: str, after: int, wait_s: float) -> ShardDescriptor | None:
        """Return the shard after a sequence number, or nothing if it is not ready in time."""
        path = f"{SENSORY}/orders/{order}/shards/next?after={after}&wait_s={wait_s}"
        reply = self._caller.call("GET", path)
        if reply.status_code == httpx.codes.NO_CONTENT:
            return None
        return ShardDescriptor.model_validate_json(reply.content)

    def shard(self, sha256: str) -> bytes:
        """Return the bytes of a shard."""
        return self._caller.call("GET", f"{SENSORY}/shards/{sha256}").content

    def _get(self, message: type[MessageType], path: str) -> MessageType:
        return message.model_validate_json(self._caller.call("GET", SENSORY + path).content)


class EvolutionClient:
    """Runs: start, watch, stop."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def start(self, request: RunRequest) -> Run:
        """Start a run; not repeated on failure, for a second one would be another run."""
        reply = self._caller.call_once("POST", f"{EVOLUTION}/runs", **_send_json(request))
        return Run.model_validate_json(reply.content)

    def runs(self) -> list[Run]:
        """Return all runs, newest first."""
        reply = self._caller.call("GET", f"{EVOLUTION}/runs").json()
        return [Run.model_validate(item) for item in reply["runs"]]

    def run(self, run: str) -> Run:
        """Return one run with its progress."""
        reply = self._caller.call("GET", f"{EVOLUTION}/runs/{quote(run, safe='')}")
        return Run.model_validate_json(reply.content)

    def individuals(self, run: str, after: int = 0) -> list[Individual]:
        """Return the individuals of a run with a number above `after`."""
        path = f"{EVOLUTION}/runs/{quote(run, safe='')}/individuals?after={after}"
        reply = self._caller.call("GET", path).json()
        return [Individual.model_validate(item) for item in reply["individuals"]]

    def stop(self, run: str) -> Run:
        """Ask a run to end early with the best it has."""
        reply = self._caller.call("POST", f"{EVOLUTION}/runs/{quote(run, safe='')}/stop")
        return Run.model_validate_json(reply.content)


class GalleryClient:
    """Networks: register, promote, ask."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def register(self, card: NetworkCard) -> str:
        """Register a network whose files are in the blobs; return its id. Safe to repeat."""
        reply = self._caller.call("POST", f"{CLASSIFICATION}/networks", **_send_json(card))
        return str(reply.json()["network"])

    def networks(self, dataset: str | None = None) -> list[dict[str, Any]]:
        """Return registered networks, newest first: `network`, `champion` (bool) and `card`."""
        parameters = {"dataset": dataset} if dataset else {}
        reply = self._caller.call("GET", f"{CLASSIFICATION}/networks", params=parameters)
        networks: list[dict[str, Any]] = reply.json()["networks"]
        return networks

    def file(self, network: str, kind: str) -> bytes:
        """Return the file `keras`, `onnx` or `weights` of a network."""
        return self._caller.call("GET", f"{CLASSIFICATION}/networks/{network}/{kind}").content

    def promote(self, dataset: str, network: str) -> Champion:
        """Make a registered network the one that answers for a dataset."""
        path = f"{CLASSIFICATION}/champions/{dataset}"
        reply = self._caller.call("PUT", path, **_send_json(PromoteRequest(network=network)))
        return Champion.model_validate_json(reply.content)

    def champion(self, dataset: str) -> Champion:
        """Return which network answers for a dataset."""
        reply = self._caller.call("GET", f"{CLASSIFICATION}/champions/{dataset}")
        return Champion.model_validate_json(reply.content)

    def classify(
        self, data: bytes, dataset: str | None = None, network: str | None = None, top: int = 3
    ) -> Classification:
        """Return what the champion (or a named network) says about one image."""
        parameters: dict[str, Any] = {"dataset": dataset, "network": network, "top": top}
        reply = self._caller.call(
            "POST",
            f"{CLASSIFICATION}/classify",
            params={name: value for name, value in parameters.items() if value is not None},
            content=data,
            headers={"Content-Type": "application/octet-stream"},
        )
        return Classification.model_validate_json(reply.content)


class AdminClient:
    """Keys."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create_key(self, request: KeyRequest) -> NewKey:
        """Make a key; not repeated on failure, for a second one would be another key."""
        reply = self._caller.call_once("POST", f"{ADMIN}/keys", **_send_json(request))
        return NewKey.model_validate_json(reply.content)

    def keys(self) -> list[KeyInfo]:
        """Return all keys, newest first."""
        return KeyList.model_validate_json(self._caller.call("GET", f"{ADMIN}/keys").content).keys

    def revoke_key(self, key: str) -> KeyInfo:
        """Revoke a key by its id."""
        reply = self._caller.call("DELETE", f"{ADMIN}/keys/{quote(key, safe='')}")
        return KeyInfo.model_validate_json(reply.content)

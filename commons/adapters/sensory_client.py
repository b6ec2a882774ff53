"""The client of the sensory service."""

from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from commons.adapters.caller import SENSORY, Caller, send_json
from commons.messages import (
    CheckReport,
    DatasetSummary,
    Erasure,
    FreezeRequest,
    Order,
    OrderRequest,
    ShardDescriptor,
    Snapshot,
    SnapshotImage,
    SnapshotImages,
    Split,
    UploadReply,
)

MessageType = TypeVar("MessageType", bound=BaseModel)


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
        reply = self._caller.call("POST", path, **send_json(request))
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
        reply = self._caller.call("POST", f"{SENSORY}/orders", **send_json(request))
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

"""The client of the sensory service."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from commons.adapters.caller import SENSORY, Caller, send_json
from commons.adapters.snapshot_download import save_export
from commons.errors import UnavailableError
from commons.label_messages import (
    Decision,
    GivenOpinion,
    LabelSource,
    LabelsReply,
    LabelsRequest,
    OpinionsReply,
    OpinionsRequest,
    WantedImages,
)
from commons.messages import (
    Category,
    CategoryRequest,
    CheckReport,
    DatasetImage,
    DatasetImages,
    DatasetSummary,
    Erasure,
    ExportFormat,
    FoundImages,
    FreezeRequest,
    ImageHistory,
    ImageLookup,
    ImportedFile,
    ImportSummary,
    LabelRequest,
    MergeRequest,
    Order,
    OrderRequest,
    ShardDescriptor,
    SmallBatchRequest,
    Snapshot,
    SnapshotDiff,
    SnapshotEntry,
    SnapshotImage,
    SnapshotImages,
    SnapshotList,
    SnapshotState,
    Split,
    StoredImage,
    UploadReply,
)
from commons.order_view import example_order

MessageType = TypeVar("MessageType", bound=BaseModel)
_PART_BYTES = 1 << 18
_MEDIA_TYPE = "application/vnd.dicebox.batch+npz"
# A large archive is looked through before its first line comes.
_PATIENT = httpx.Timeout(60.0, read=3600.0)


class ImageBatch(NamedTuple):
    """Some decoded images of a snapshot.

    `images` uint8 (n, height, width, channels), `labels` int64 (n,), `hashes` the sha256 of each.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    hashes: list[str]


class Examples(NamedTuple):
    """Some decoded images: `images` uint8 (n, height, width, channels), `labels` int64 (n,)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def _nothing(_: object) -> None:
    """Be told something, and do nothing with it."""


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
        return self._get(DatasetSummary, f"/datasets/{_part(dataset)}")

    def upload(
        self,
        dataset: str,
        files: list[tuple[str, bytes]],
        category: str | None = None,
        split: Split | None = None,
    ) -> UploadReply:
        """Store files (name, bytes); safe to repeat, since the same bytes are the same image."""
        reply = self._caller.call(
            "POST",
            f"{SENSORY}/datasets/{_part(dataset)}/images",
            params=_given(category=category, split=split),
            files=[("files", (name, data, "application/octet-stream")) for name, data in files],
        )
        return UploadReply.model_validate_json(reply.content)

    def lookup(self, dataset: str, images: list[str]) -> dict[str, DatasetImage]:
        """Return those of some images (at most 1,000 hashes) that are in a dataset, by hash."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/images/lookup"
        reply = self._caller.call("POST", path, **send_json(ImageLookup(images=images)))
        found = FoundImages.model_validate_json(reply.content).images
        return {image.image: image for image in found}

    def import_archive(
        self,
        dataset: str,
        archive: Path,
        *,
        imported: Callable[[ImportedFile], object] = _nothing,
        sent: Callable[[int], object] = _nothing,
    ) -> ImportSummary:
        """Send a zip, tar or tar.gz of an ImageFolder tree; return what became of its files.

        Importing again is harmless, and goes on where an import was cut off.

        Args:
            dataset: Where the images go; made when new.
            archive: The file, which is streamed.
            imported: Called with the result of every file.
            sent: Called with the bytes of every part that was sent.

        Raises:
            DiceboxError: What the service answered, or `UnavailableError`: it cannot be reached
                or the import was cut off; import again then.
        """
        size = archive.stat().st_size
        path = f"{SENSORY}/datasets/{_part(dataset)}/imports"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        options = {"content": _parts_of(archive, sent), "headers": headers, "timeout": _PATIENT}
        with self._caller.stream("POST", path, **options) as response:
            for line in response.iter_lines():
                if "complete" in json.loads(line):
                    return ImportSummary.model_validate_json(line)
                imported(ImportedFile.model_validate_json(line))
        raise UnavailableError("the import was cut off: import again, what is stored stays")

    def images(
        self,
        dataset: str,
        *,
        category: str | None = None,
        labeled: bool | None = None,
        who: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> Iterator[DatasetImage]:
        """Yield the images of a dataset, newest first: all, or those of some label.

        `category` is a name, `who` labeled last, or sent what nobody labeled since; `since` and
        `until` (unix seconds) bound when.
        """
        which = _given(category=category, labeled=labeled, who=who, since=since, until=until)
        cursor: str | None = None
        while True:
            path = f"{SENSORY}/datasets/{_part(dataset)}/images"
            parameters = {**which, "limit": 1000, **_given(cursor=cursor)}
            reply = self._caller.call("GET", path, params=parameters)
            page = DatasetImages.model_validate_json(reply.content)
            yield from page.images
            cursor = page.cursor
            if cursor is None:
                return

    def label(self, dataset: str, sha256: str, category: str | None) -> StoredImage:
        """Give an image another category, by name and made when new, or none."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/images/{_part(sha256)}/label"
        # Null is a label here, and must be in the message.
        reply = self._caller.call("PUT", path, json=LabelRequest(category=category).model_dump())
        return StoredImage.model_validate_json(reply.content)

    def label_many(
        self,
        dataset: str,
        decisions: Sequence[Decision],
        source: LabelSource = "person",
    ) -> LabelsReply:
        """Label at most 1,000 images at once, all durable when this returns; safe to repeat."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/labels"
        request = LabelsRequest(labels=list(decisions), source=source)
        # Null is a label here, and must be in the message.
        reply = self._caller.call("POST", path, json=request.model_dump())
        return LabelsReply.model_validate_json(reply.content)

    def give_opinions(
        self, dataset: str, network: str, opinions: Sequence[GivenOpinion]
    ) -> OpinionsReply:
        """Say what a network takes at most 1,000 images for; safe to repeat."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/opinions"
        request = OpinionsRequest(network=network, opinions=list(opinions))
        reply = self._caller.call("PUT", path, **send_json(request))
        return OpinionsReply.model_validate_json(reply.content)

    def opinions_wanted(self, dataset: str, network: str, limit: int = 500) -> list[str]:
        """Return images that a network said nothing about, the unlabeled ones first."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/opinions/wanted"
        reply = self._caller.call("GET", path, params={"network": network, "limit": limit})
        return WantedImages.model_validate_json(reply.content).images

    def history(self, dataset: str, sha256: str) -> ImageHistory:
        """Return all that happened to an image in a dataset, oldest first."""
        path = f"/datasets/{_part(dataset)}/images/{_part(sha256)}/history"
        return self._get(ImageHistory, path)

    def remove(self, dataset: str, sha256: str) -> None:
        """Take an image out of a dataset; its history and its snapshots stay."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/images/{_part(sha256)}"
        self._caller.call("DELETE", path)

    def add_category(self, dataset: str, name: str) -> Category:
        """Return the category of this name, made when new."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/categories"
        reply = self._caller.call("POST", path, **send_json(CategoryRequest(name=name)))
        return Category.model_validate_json(reply.content)

    def rename_category(self, dataset: str, category: str, name: str) -> Category:
        """Give a category (by its id) another name."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/categories/{_part(category)}/name"
        reply = self._caller.call("PUT", path, **send_json(CategoryRequest(name=name)))
        return Category.model_validate_json(reply.content)

    def merge_categories(self, dataset: str, category: str, into: str) -> Category:
        """Give all images of a category to another (both by id), and return that."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/categories/{_part(category)}/merge"
        reply = self._caller.call("POST", path, **send_json(MergeRequest(into=into)))
        return Category.model_validate_json(reply.content)

    def image(self, sha256: str) -> bytes:
        """Return the bytes of an image as they were sent."""
        return self._caller.call("GET", f"{SENSORY}/images/{_part(sha256)}").content

    def thumbnail(self, sha256: str, size: int = 128) -> bytes:
        """Return a small WebP of an image, its longest side `size` pixels."""
        path = f"{SENSORY}/images/{_part(sha256)}/thumbnail"
        return self._caller.call("GET", path, params={"size": size}).content

    def purge(self, sha256: str) -> Erasure:
        """Erase an image for good; safe to repeat, which also finishes what was interrupted."""
        reply = self._caller.call("DELETE", f"{SENSORY}/images/{_part(sha256)}")
        return Erasure.model_validate_json(reply.content)

    def check(self, prefix: str) -> CheckReport:
        """Return what is wrong in the storage with the hashes that start with two digits."""
        return self._get(CheckReport, f"/check/{_part(prefix)}")

    def freeze(self, dataset: str, request: FreezeRequest | None = None) -> Snapshot:
        """Return a snapshot of what is labeled now; the same content gives the same id."""
        path = f"{SENSORY}/datasets/{_part(dataset)}/snapshots"
        reply = self._caller.call("POST", path, **send_json(request or FreezeRequest()))
        return Snapshot.model_validate_json(reply.content)

    def snapshots(self, dataset: str) -> list[SnapshotEntry]:
        """Return the snapshots of a dataset, newest first."""
        return self._get(SnapshotList, f"/datasets/{_part(dataset)}/snapshots").snapshots

    def snapshot(self, snapshot: str) -> Snapshot:
        """Return a frozen snapshot by its id, or by a start of it that no other has."""
        return self._get(Snapshot, f"/snapshots/{_part(snapshot)}")

    def snapshot_state(self, snapshot: str) -> SnapshotState:
        """Return what became of a snapshot since it was frozen."""
        return self._get(SnapshotState, f"/snapshots/{_part(snapshot)}/state")

    def snapshot_images(self, snapshot: str, split: Split) -> Iterator[SnapshotImage]:
        """Yield the manifest lines of one split."""
        cursor: int | None = 0
        while cursor is not None:
            path = f"/snapshots/{_part(snapshot)}/images?split={split}&cursor={cursor}"
            page = self._get(SnapshotImages, path)
            yield from page.images
            cursor = page.cursor

    def diff(self, before: str, after: str, limit: int = 1000) -> SnapshotDiff:
        """Return what changed from one snapshot to another; `limit` changes of each kind."""
        path = f"/snapshots/{_part(before)}/diff/{_part(after)}?limit={limit}"
        return self._get(SnapshotDiff, path)

    def export(
        self,
        snapshot: str,
        file: Path,
        form: ExportFormat = "imagefolder",
        *,
        received: Callable[[int], object] = _nothing,
    ) -> int:
        """Save a snapshot as a tar, every image checked against its hash; return its bytes.

        The file is there, whole and durable, or not at all.

        Raises:
            DiceboxError: What the service answered, or `UnavailableError`: it cannot be reached,
                or the export was cut off or damaged.
            StorageFullError: No space is left for it.
        """
        frozen = self.snapshot(snapshot)
        images = sum(frozen.counts.values())
        path = f"{SENSORY}/snapshots/{frozen.id}/export"
        with self._caller.stream("GET", path, params={"format": form}) as response:
            return save_export(response.iter_bytes(), images, file, received)

    def batch(self, snapshot: str, request: SmallBatchRequest | None = None) -> ImageBatch:
        """Return some decoded images, drawn by a seed: the same one gives the same."""
        asked = (request or SmallBatchRequest()).model_dump(exclude_none=True)
        if "shape" in asked:
            asked["shape"] = "x".join(map(str, asked["shape"]))
        path = f"{SENSORY}/snapshots/{_part(snapshot)}/batch"
        reply = self._caller.call("GET", path, params=asked, headers={"Accept": _MEDIA_TYPE})
        with np.load(io.BytesIO(reply.content), allow_pickle=False) as arrays:
            hashes = [sha256.decode() for sha256 in arrays["hashes"].tolist()]
            return ImageBatch(arrays["images"], arrays["labels"], hashes)

    def order(self, request: OrderRequest) -> Order:
        """Place a batch order."""
        reply = self._caller.call("POST", f"{SENSORY}/orders", **send_json(request))
        return Order.model_validate_json(reply.content)

    def order_state(self, order: str) -> Order:
        """Return where an order stands."""
        return self._get(Order, f"/orders/{_part(order)}")

    def cancel_order(self, order: str) -> Order:
        """Cancel an order that nobody needs any more."""
        reply = self._caller.call("DELETE", f"{SENSORY}/orders/{_part(order)}")
        return Order.model_validate_json(reply.content)

    def next_shard(self, order: str, after: int, wait_s: float) -> ShardDescriptor | None:
        """Return the shard after a sequence number, or nothing if it is not ready in time."""
        path = f"{SENSORY}/orders/{_part(order)}/shards/next?after={after}&wait_s={wait_s}"
        reply = self._caller.call("GET", path)
        if reply.status_code == httpx.codes.NO_CONTENT:
            return None
        return ShardDescriptor.model_validate_json(reply.content)

    def shard(self, sha256: str) -> bytes:
        """Return the bytes of a shard."""
        return self._caller.call("GET", f"{SENSORY}/shards/{_part(sha256)}").content

    def examples(self, shard: ShardDescriptor) -> Examples:
        """Return what is in a shard, in the order of the batch order that it was given for."""
        order = example_order(shard.seed, shard.sequence, shard.examples)
        with np.load(io.BytesIO(self.shard(shard.sha256)), allow_pickle=False) as arrays:
            return Examples(arrays["images"][order], arrays["labels"][order])

    def _get(self, message: type[MessageType], path: str) -> MessageType:
        return message.model_validate_json(self._caller.call("GET", SENSORY + path).content)


def _part(name: str) -> str:
    """Return a name as one part of a path, whatever is in it."""
    return quote(name, safe="")


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _parts_of(file: Path, sent: Callable[[int], object]) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while part := stream.read(_PART_BYTES):
            yield part
            sent(len(part))

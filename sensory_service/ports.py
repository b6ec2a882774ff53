"""The tables of this service, as the use cases see them; split by noun.

Every method raises `UnavailableError` while the tables cannot be reached, and every one that
writes raises `StorageFullError` when no space is left; nothing was changed then. What a
method has written when it returns survives a crash of the machine.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from commons.label_messages import (
    Balance,
    BrowseOrder,
    GivenOpinion,
    ImageGroups,
    LabelQueue,
    LabelSource,
    LabelsReply,
    QueueRequest,
)
from commons.messages import (
    Category,
    DatasetImage,
    DatasetImages,
    DatasetSummary,
    ImageHistory,
    Order,
    OrderRequest,
    ShardDescriptor,
    Snapshot,
    SnapshotEntry,
    SnapshotState,
    Split,
    StoredImage,
)
from sensory_service.appearance import Appearance
from sensory_service.shard_layout import ShardPlan
from sensory_service.shard_messages import MakeShard


@dataclass(frozen=True)
class ImageRecord:
    """What is known about the bytes of one picture; `format` is a key of `MEDIA_TYPES`."""

    sha256: str
    format: str
    height: int
    width: int
    channels: int
    size_bytes: int


@dataclass(frozen=True)
class Upload:
    """Images that came with one request and what it says about all of them.

    Args:
        dataset: Made when it is new.
        images: In the order they came; their bytes are in the blobs already.
        category: None says nothing about labels; its id counts only when its name is new.
        split: None says nothing about splits.
        at: Unix seconds.
        who: Who sent them, by the name of a key.
        source: How they came.
        erased: When these images were erased, where that was before their bytes were put.
    """

    dataset: str
    images: Sequence[ImageRecord]
    category: Category | None
    split: Split | None
    at: float
    who: str | None = None
    source: LabelSource = "upload"
    erased: Mapping[str, float] = field(default_factory=dict)


class ErasedMeanwhileError(Exception):
    """Bytes that were there when they were read or put may be erased since; `erased` says when."""

    def __init__(self, erased: Mapping[str, float]) -> None:
        super().__init__(f"erased: {sorted(erased)}")
        self.erased = erased


@dataclass(frozen=True)
class Relabel:
    """Another label for an image of a dataset; `category` None takes its label away."""

    dataset: str
    image: str
    category: Category | None
    at: float
    who: str | None = None
    source: LabelSource = "person"


@dataclass(frozen=True)
class Choice:
    """A label for one image; where `seen` (unix seconds) is not its latest event, none."""

    image: str
    category: Category | None
    seen: float | None = None


@dataclass(frozen=True)
class Relabels:
    """Labels for images of a dataset, in the order they were chosen."""

    dataset: str
    choices: Sequence[Choice]
    at: float
    who: str | None = None
    source: LabelSource = "person"


@dataclass(frozen=True)
class Removal:
    """An image to take out of a dataset; its history stays."""

    dataset: str
    image: str
    at: float
    who: str | None = None


@dataclass(frozen=True)
class Merge:
    """A category (by id) whose images become those of another, and whose name an alias of it."""

    dataset: str
    category: str
    into: str
    at: float
    who: str | None = None


@dataclass(frozen=True)
class Filter:
    """Which images of a dataset to browse; None does not narrow.

    `who` did the latest event of its history: gave it the label it has or took one away, or
    sent it (again, where it was removed) where nobody labeled it since. `since` and `until`
    (unix seconds) bound the time of that event, and order by it. `source` is how its label came;
    those of one `group` look alike.

    The rest is about opinions, and leaves out images that have none: `said` is the category (by
    name) that a network takes them for, `disagrees` says whether their label is another, and the
    confidences bound its probability. Of the orders, `uncertain` (smallest margin first) and
    `confident` are of unlabeled images, `disagreement` has the surest of those that disagree
    first.
    """

    dataset: str
    category: str | None = None
    labeled: bool | None = None
    who: str | None = None
    since: float | None = None
    until: float | None = None
    split: Split | None = None
    source: LabelSource | None = None
    group: str | None = None
    said: str | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    disagrees: bool | None = None
    order: BrowseOrder = "newest"

    @property
    def is_about_opinions(self) -> bool:
        """Whether only images with an opinion are asked for."""
        asked = (self.said, self.min_confidence, self.max_confidence, self.disagrees)
        return self.order != "newest" or any(value is not None for value in asked)


@dataclass(frozen=True)
class Opinions:
    """What a network says about images of a dataset; at unix seconds."""

    dataset: str
    network: str
    opinions: Sequence[GivenOpinion]
    at: float


@dataclass(frozen=True)
class Lease:
    """A client asks for images at a time (unix seconds); a random order begins at `draw`."""

    dataset: str
    request: QueueRequest
    at: float
    draw: str


@dataclass(frozen=True)
class Skip:
    """Images that a client does not want to see until some time (unix seconds)."""

    dataset: str
    client: str
    images: Sequence[str]
    until: float


class LabeledImage(NamedTuple):
    """An image that a snapshot could hold, with the number of its membership.

    `said` when an import brought its split.
    """

    image: str
    category: str
    split: Split | None
    said: bool
    height: int
    width: int
    channels: int
    membership: int


class ManifestLine(NamedTuple):
    """One line of a manifest, as light as a million of them ask for."""

    image: str
    category: int
    split: Split


class PackPlace(NamedTuple):
    """Where the bytes of an image are: `size` bytes from `start` on in a pack."""

    image: str
    pack: str
    start: int
    size: int


@dataclass(frozen=True)
class NewOrder:
    """An order as it is placed; times in unix seconds."""

    id: str
    request: OrderRequest
    created: float
    expires: float


@dataclass(frozen=True)
class ShardTask:
    """What a batch processor needs to know about one shard.

    Args:
        wanted: Some open order waits for it.
        sha256: There when the shard was made already.
    """

    id: int
    plan: ShardPlan
    wanted: bool
    sha256: str | None


class DatasetCatalog(Protocol):
    """Counts, kept with every change and never made by counting."""

    def summaries(self) -> list[DatasetSummary]:
        """Return all datasets by name."""
        ...

    def summary(self, dataset: str) -> DatasetSummary:
        """Return one dataset, its categories in the order of their making.

        Raises:
            NotFoundError: No dataset has this name.
        """
        ...


class ImageCatalog(Protocol):
    """Which images are in which datasets, and their labels."""

    def record(self, upload: Upload) -> list[StoredImage]:
        """Add memberships and events, all or none, and say what each image is now.

        Each image that comes in has an event with who sent it, labeled or not.

        Raises:
            ErasedMeanwhileError: Images were erased at other times than the upload knows of:
                their bytes must be put again. Nothing was changed.
            UnavailableError: One is being erased.
        """
        ...

    def relabel(self, relabel: Relabel) -> StoredImage:
        """Add a label event unless the label is the same, and return what the image is now.

        Raises:
            NotFoundError: No such dataset, or the image is not in it.
        """
        ...

    def relabel_many(self, relabels: Relabels) -> LabelsReply:
        """Do what `relabel` does for many images in one transaction, and say what became of each.

        An image whose latest event is not the one that was seen, and that has another label than
        the one chosen, stays as it is. One that stands in several choices has those of this
        request seen.

        Raises:
            NotFoundError: No such dataset.
        """
        ...

    def remove(self, removal: Removal) -> None:
        """Take an image out of a dataset; one that was taken out before is no error.

        Raises:
            NotFoundError: No such dataset, or the image was never in it.
        """
        ...

    def browse(self, which: Filter, cursor: str | None, limit: int) -> DatasetImages:
        """Return at most `limit` images in their order, from the cursor of the last page on.

        Raises:
            NotFoundError: No such dataset or category.
            InvalidInputError: The cursor is not one of ours.
        """
        ...

    def lookup(self, dataset: str, images: Sequence[str]) -> list[DatasetImage]:
        """Return those of some images that are in a dataset, in no order.

        Raises:
            NotFoundError: No such dataset.
        """
        ...

    def find(self, sha256: str) -> ImageRecord:
        """Return what is known about an image.

        Raises:
            NotFoundError: No dataset holds it.
        """
        ...


class LabelCatalog(Protocol):
    """The categories of a dataset, and what was ever said about its images.

    Every method raises `NotFoundError` when there is no such dataset.
    """

    def history(self, dataset: str, image: str) -> ImageHistory:
        """Return every event of an image in a dataset, oldest first.

        Raises:
            NotFoundError: The image was never in it.
        """
        ...

    def add(self, dataset: str, category: Category, at: float) -> Category:
        """Return the category of this name; the id that was handed in counts if it is new."""
        ...

    def rename(self, dataset: str, category: str, name: str) -> Category:
        """Give a category (by id) another name.

        Raises:
            NotFoundError: No such category.
            ConflictError: Another category has the name.
        """
        ...

    def merge(self, merge: Merge) -> Category:
        """Give all images of one category to another, as one label event each.

        Raises:
            NotFoundError: No such category.
            InvalidInputError: A category cannot be merged into itself.
        """
        ...


class OverviewCatalog(Protocol):
    """What a dataset looks like as a whole; counted when it is asked for."""

    def balance(self, dataset: str) -> Balance:
        """Return how the images are spread over categories, splits and sources.

        Raises:
            NotFoundError: No dataset has this name.
        """
        ...


class OpinionCatalog(Protocol):
    """What networks say about the images of a dataset.

    Every method raises `NotFoundError` when there is no such dataset.
    """

    def keep(self, opinions: Opinions) -> int:
        """Keep opinions in place of those of the same images, and say how many.

        Those about an image or a category that is not in the dataset are left out.
        """
        ...

    def wanted(self, dataset: str, network: str, limit: int) -> list[str]:
        """Return images without an opinion of a network, the unlabeled first, the newest first."""
        ...


class QueueCatalog(Protocol):
    """Who is about to label which images.

    Every method raises `NotFoundError` when there is no such dataset.
    """

    def take(self, lease: Lease) -> LabelQueue:
        """Return images to label next, held for a client from now on.

        Those that it holds already come first. None is held for two clients at once.

        Raises:
            NotFoundError: No such category.
        """
        ...

    def skip(self, skip: Skip) -> None:
        """Keep images away from a client; those that are not in the dataset do not matter."""
        ...

    def release(self, dataset: str, client: str) -> None:
        """Let go of what is held for a client."""
        ...


class AppearanceCatalog(Protocol):
    """What images look like, and the groups of those that look alike."""

    def unlooked(self, after: int, limit: int) -> tuple[list[str], int]:
        """Return which images of some memberships nobody looked at, and the last of these.

        Args:
            after: The number of a membership: those of the next `limit` are named.
            limit: How many.
        """
        ...

    def add(self, seen: Mapping[str, Appearance]) -> None:
        """Write down what images look like, each with its group; not of those that are erased."""
        ...

    def groups(self, dataset: str, cursor: str | None, limit: int, *, mixed: bool) -> ImageGroups:
        """Return groups of at least two images of a dataset, by their names.

        Args:
            dataset: Whose images.
            cursor: Of the page before.
            limit: How many at most; a page may have fewer and not be the last.
            mixed: Only those whose images have different labels.

        Raises:
            NotFoundError: No such dataset.
            InvalidInputError: The cursor is not one of ours.
        """
        ...


class SnapshotCatalog(Protocol):
    """Frozen lists, and the splits that freezing assigns."""

    def labeled(self, dataset: str, categories: Sequence[str]) -> list[LabeledImage]:
        """Return the images whose latest label is one of some categories (ids), in no order."""
        ...

    def assign_splits(self, splits: Mapping[int, Split]) -> int:
        """Set the split of memberships that have none yet and return how many had none."""
        ...

    def add(self, snapshot: Snapshot, lines: Iterable[ManifestLine]) -> bool:
        """Store a snapshot with its rows in order, and say whether it is new."""
        ...

    def entries(self, dataset: str) -> list[SnapshotEntry]:
        """Return the snapshots of a dataset, newest first.

        Raises:
            NotFoundError: No dataset has this name.
        """
        ...

    def get(self, snapshot: str) -> Snapshot:
        """Return a snapshot by its id, or by a start of it.

        Raises:
            NotFoundError: No snapshot has this id, and none starts like this.
            InvalidInputError: Several start like this.
        """
        ...

    def rows(self, snapshot: str, first: int, count: int) -> list[ManifestLine]:
        """Return `count` rows (fewer at the end) of a snapshot (whole id) from row `first` on."""
        ...


class PackCatalog(Protocol):
    """Which image is where in which pack."""

    def places(self, images: Sequence[str]) -> dict[str, PackPlace]:
        """Return where those images are that are in packs."""
        ...

    def record(self, places: Sequence[PackPlace]) -> None:
        """Say where images are; one that is in a pack already stays there.

        Raises:
            ErasedMeanwhileError: Some are erased: the pack must go. Nothing was changed.
        """
        ...

    def unpacked(self, besides: Collection[str] = ()) -> str | None:
        """Return the oldest snapshot that is not packed yet, of others than those named."""
        ...

    def finish(self, snapshot: str, at: float) -> None:
        """Say that a snapshot is packed."""
        ...


class ErasureCatalog(Protocol):
    """What holds an image, until its erasure is finished."""

    def begin(self, image: str, who: str | None, at: float) -> bool:
        """Write down that an image is to be erased, and take it out of all datasets.

        Returns:
            Whether it is there to be erased: it was not, or its erasure was interrupted.

        Raises:
            NotFoundError: There never was such an image.
        """
        ...

    def packs(self, image: str) -> dict[str, list[PackPlace]]:
        """Return the packs with an image, each with all that is in it, in order."""
        ...

    def is_pack(self, pack: str) -> bool:
        """Say whether any image is in a pack."""
        ...

    def replace_pack(self, pack: str, places: Sequence[PackPlace]) -> None:
        """Say where the images of a pack are now, in one step.

        Raises:
            ErasedMeanwhileError: Some of them are erased too. Nothing was changed.
        """
        ...

    def holders(self, image: str) -> tuple[list[str], list[str]]:
        """Return the snapshots and the made shards that hold an image."""
        ...

    def finish(
        self, image: str, snapshots: Sequence[str], shards: Sequence[str], at: float
    ) -> None:
        """Mark the snapshots, forget the shards and write down that it is done."""
        ...


class BlobCatalog(Protocol):
    """Which blobs there should be."""

    def hashes(self, kind: str, prefix: str) -> list[str]:
        """Return the hashes of all `images`, `packs` or `shards` that start with some digits."""
        ...

    def snapshot(self, snapshot: str) -> SnapshotState:
        """Return what became of a snapshot, found as `SnapshotCatalog.get` finds it."""
        ...

    def unfinished(self) -> list[str]:
        """Return the images whose erasure began and did not end."""
        ...


class OrderCatalog(Protocol):
    """Batch orders: views of shards that everybody who asks for the same shares."""

    def add(self, order: NewOrder, plans: Sequence[ShardPlan]) -> list[int]:
        """Store an order with its shards in sequence and return the ids of those not yet made."""
        ...

    def get(self, order: str) -> Order:
        """Return where an order stands.

        Raises:
            NotFoundError: No order has this id.
        """
        ...

    def shard(self, order: str, sequence: int) -> ShardDescriptor | None:
        """Return a shard of an order once it is made.

        Raises:
            NotFoundError: No such order, or it has fewer shards.
            GoneError: The order was cancelled, or has expired.
            ConflictError: The order failed; the message says why.
        """
        ...

    def cancel(self, order: str) -> None:
        """Cancel an order, a complete one too; a failed one stays failed.

        Raises:
            NotFoundError: No order has this id.
        """
        ...

    def expire(self, now: float) -> list[str]:
        """End the open orders whose time is over and return their ids."""
        ...

    def forget(self, now: float) -> list[str]:
        """Remove what is over for as long as it was open, and return the ids."""
        ...


class ShardCatalog(Protocol):
    """Shards as the batch processors see them, and what came of them."""

    def task(self, shard: int) -> ShardTask | None:
        """Return what a task is about, or nothing if there is no such shard."""
        ...

    def record(self, shard: int, sha256: str, is_stored: Callable[[], bool]) -> None:
        """Say that a shard was made. The first result stays.

        Args:
            shard: Which one.
            sha256: Of its bytes.
            is_stored: Says whether its bytes are in the blobs; nobody clears them meanwhile.

        Raises:
            ErasedMeanwhileError: It holds erased images and must go. Nothing was changed.
            NotFoundError: Its bytes are not there. Nothing was changed.
        """
        ...

    def fail(self, shard: int, reason: str) -> None:
        """Fail the open orders that wait for a shard; a later order tries again."""
        ...

    def unsent(self, shards: Sequence[int]) -> None:
        """Say that the tasks of shards did not go out, so that they are overdue at once."""
        ...

    def overdue(self, issued_before: float, now: float) -> list[MakeShard]:
        """Return tasks for the wanted shards without a result whose last one is that old.

        They count as issued `now`, so that one of several callers gets them.
        """
        ...

    def awaiting_orders(self) -> list[str]:
        """Return the open orders with shards that have no result, the oldest, some hundreds."""
        ...

    def results(self) -> set[str]:
        """Return the hashes of all shards that are recorded."""
        ...

    def discard(self) -> list[str]:
        """Forget the results that no open order holds; return the hashes that may be cleared."""
        ...

    def clear(self, sha256: str, delete: Callable[[], object]) -> None:
        """Have the bytes of a shard deleted, unless one has this result; nobody records it then."""
        ...

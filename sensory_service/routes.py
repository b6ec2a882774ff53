"""The HTTP face of the service: parse, one call, answer."""

from collections.abc import Callable

from flask import Response, request
from flask_openapi3 import APIBlueprint, RawModel
from pydantic import Field, RootModel

from commons.adapters.web_app import answer, needs
from commons.label_messages import BrowseOrder, LabelSource
from commons.messages import (
    CategoryName,
    DatasetImages,
    DatasetList,
    DatasetSummary,
    FoundImages,
    FreezeRequest,
    ImageLookup,
    LabelRequest,
    Message,
    Order,
    OrderRequest,
    Sha256,
    ShardDescriptor,
    Snapshot,
    SnapshotImages,
    SnapshotList,
    Split,
    StoredImage,
    UploadReply,
)
from sensory_service.images import ImageStore
from sensory_service.labels import LONGEST_WHO, signed
from sensory_service.orders import OrderDesk
from sensory_service.ports import Filter
from sensory_service.snapshots import SnapshotStore
from sensory_service.waiting import WaitingRoom

# Where in the WSGI environment the guard of the keys leaves the caller's name.
WHO = "dicebox.who"
Count = Callable[[str, str, int], None]
_FOR_EVER = "private, max-age=31536000, immutable"


class DatasetPath(Message):
    """A dataset by name."""

    dataset: str


class ImagePath(Message):
    """An image by its hash."""

    sha256: str


class DatasetImagePath(Message):
    """An image of a dataset."""

    dataset: str
    sha256: str


class SnapshotPath(Message):
    """A snapshot by its id, or by six or more digits of its start that no other has."""

    snapshot: str


class OrderPath(Message):
    """An order by its id."""

    order: str


class ShardPath(Message):
    """A shard by its hash."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class UploadQuery(Message):
    """What is said about every image of the request; `category` by name, made when new.

    `who` said so, where the caller passes on what somebody else said: the history then has both,
    as `ada via classification`. `source` is how it came, for the history and to browse by.
    """

    category: str | None = None
    split: Split | None = None
    who: str | None = Field(default=None, max_length=LONGEST_WHO)
    source: LabelSource = "upload"


class UploadBody(RawModel):
    """The bytes of one image, or a form with many files in the field `files`."""

    mimetypes = ["application/octet-stream", "multipart/form-data"]  # noqa: RUF012 - its type


class UploadAnswer(RootModel[StoredImage | UploadReply]):
    """What became of the image of a raw body, or of the files of a form."""


class BrowseQuery(Message):
    """Which images; `cursor` is the one of the page before.

    `who` (the name of a key) gave an image the label it has or took one away, or sent it where
    nobody labeled it since; `since` and `until` (unix seconds) bound when that was. `source` is
    how its label came; those of one `group` look alike.

    The rest is about what the champion said, and leaves out images it said nothing about: `said`
    is the category it takes them for, `disagrees` whether their label is another. The orders
    `uncertain` and `confident` are of unlabeled images, `disagreement` has likely errors first.
    """

    category: str | None = None
    labeled: bool | None = None
    who: str | None = Field(default=None, max_length=120)
    since: float | None = Field(default=None, allow_inf_nan=False)
    until: float | None = Field(default=None, allow_inf_nan=False)
    split: Split | None = None
    source: LabelSource | None = None
    group: Sha256 | None = None
    said: CategoryName | None = None
    min_confidence: float | None = Field(default=None, ge=0.0, le=1.0)
    max_confidence: float | None = Field(default=None, ge=0.0, le=1.0)
    disagrees: bool | None = None
    order: BrowseOrder = "newest"
    cursor: str | None = Field(default=None, max_length=100)
    limit: int = Field(default=100, ge=1, le=1000)


class ManifestQuery(Message):
    """Which rows of a manifest; `cursor` is the one of the page before."""

    split: Split | None = None
    cursor: int = Field(default=0, ge=0)
    limit: int = Field(default=5000, ge=1, le=10_000)


class NextShardQuery(Message):
    """The shard after a sequence number, waited for some seconds."""

    after: int = Field(default=0, ge=0)
    wait_s: float = Field(default=0.0, ge=0.0)


def image_routes(prefix: str, images: ImageStore, count: Count) -> APIBlueprint:
    """Return the routes of datasets, images and labels; `count` gets every upload's outcome."""
    routes = APIBlueprint("images", __name__, url_prefix=prefix)

    @routes.post(
        "/datasets/<dataset>/images",
        summary="Store one image (raw body) or many (form field `files`), labeled or not",
        description="201: at least one image is new to the dataset; 200: none is.",
        responses={200: UploadAnswer, 201: UploadAnswer},
    )
    def upload(path: DatasetPath, query: UploadQuery, raw: UploadBody) -> Response:
        who = signed(who_asks(), query.who)
        if request.mimetype == "multipart/form-data":
            files = [(file.filename or "", file.read()) for file in request.files.getlist("files")]
            reply = images.store_many(
                path.dataset, files, query.category, query.split, who, query.source
            )
            again = sum(one.duplicate for one in reply.stored)
            count("upload", "new", len(reply.stored) - again)
            count("upload", "duplicate", again)
            count("upload", "refused", len(reply.refused))
            return answer(reply, 201 if again < len(reply.stored) else 200)
        stored = images.store(
            path.dataset, request.get_data(), query.category, query.split, who, query.source
        )
        count("upload", "duplicate" if stored.duplicate else "new", 1)
        return answer(stored, 200 if stored.duplicate else 201)

    @routes.get("/datasets", summary="All datasets with counts", responses={200: DatasetList})
    def datasets() -> Response:
        return answer(DatasetList(datasets=images.datasets()))

    @routes.get(
        "/datasets/<dataset>", summary="One dataset with counts", responses={200: DatasetSummary}
    )
    def dataset(path: DatasetPath) -> Response:
        return answer(images.dataset(path.dataset))

    @routes.get(
        "/datasets/<dataset>/images",
        summary="The images of a dataset, newest first or in another order, page by page",
        responses={200: DatasetImages},
    )
    def browse(path: DatasetPath, query: BrowseQuery) -> Response:
        which = Filter(path.dataset, **query.model_dump(exclude={"cursor", "limit"}))
        return answer(images.browse(which, query.cursor, query.limit))

    @routes.post(
        "/datasets/<dataset>/images/lookup",
        summary="Those of some images that are in the dataset: what need not be sent again",
        responses={200: FoundImages},
    )
    def lookup(path: DatasetPath, body: ImageLookup) -> Response:
        return answer(FoundImages(images=images.lookup(path.dataset, body.images)))

    @routes.put(
        "/datasets/<dataset>/images/<sha256>/label",
        summary="Give an image another label, or none",
        security=needs("label", "sensory:write"),
        responses={200: StoredImage},
    )
    def label(path: DatasetImagePath, body: LabelRequest) -> Response:
        return answer(images.relabel(path.dataset, path.sha256, body.category, who_asks()))

    @routes.get("/images/<sha256>", summary="The bytes of an image as they were sent")
    def image(path: ImagePath) -> Response:
        data, media_type = images.image(path.sha256)
        return as_picture(data, media_type, path.sha256)

    return routes


def snapshot_routes(prefix: str, snapshots: SnapshotStore) -> APIBlueprint:
    """Return the routes of snapshots."""
    routes = APIBlueprint("snapshots", __name__, url_prefix=prefix)

    @routes.post(
        "/datasets/<dataset>/snapshots",
        summary="Freeze what is labeled now",
        security=needs("train", "evolve", "sensory:write"),
        responses={200: Snapshot, 201: Snapshot},
    )
    def freeze(path: DatasetPath, body: FreezeRequest) -> Response:
        snapshot, created = snapshots.freeze(path.dataset, body)
        return answer(snapshot, 201 if created else 200)

    @routes.get(
        "/datasets/<dataset>/snapshots",
        summary="The snapshots of a dataset, newest first",
        responses={200: SnapshotList},
    )
    def frozen(path: DatasetPath) -> Response:
        return answer(snapshots.of_dataset(path.dataset))

    @routes.get("/snapshots/<snapshot>", summary="A snapshot", responses={200: Snapshot})
    def snapshot(path: SnapshotPath) -> Response:
        return answer(snapshots.get(path.snapshot))

    @routes.get(
        "/snapshots/<snapshot>/images",
        summary="The manifest of a snapshot, page by page",
        responses={200: SnapshotImages},
    )
    def manifest(path: SnapshotPath, query: ManifestQuery) -> Response:
        page = snapshots.images(path.snapshot, query.split, query.cursor, query.limit)
        return answer(page)

    return routes


def order_routes(prefix: str, orders: OrderDesk, room: WaitingRoom) -> APIBlueprint:
    """Return the routes of batch orders and shards."""
    routes = APIBlueprint("orders", __name__, url_prefix=prefix)

    @routes.post(
        "/orders",
        summary="Order a snapshot in batches",
        security=needs("train"),
        responses={202: Order},
    )
    def place(body: OrderRequest) -> Response:
        return answer(orders.place(body), 202)

    @routes.get("/orders/<order>", summary="Where an order stands", responses={200: Order})
    def order(path: OrderPath) -> Response:
        return answer(orders.get(path.order))

    @routes.delete(
        "/orders/<order>",
        summary="Cancel an order",
        security=needs("train"),
        responses={200: Order},
    )
    def cancel(path: OrderPath) -> Response:
        return answer(orders.cancel(path.order))

    @routes.get(
        "/orders/<order>/shards/next",
        summary="The shard after a sequence number; 204 while it is not made",
        responses={200: ShardDescriptor, 204: None},
    )
    def next_shard(path: OrderPath, query: NextShardQuery) -> Response:
        shard, full = room.wait_for(
            lambda: orders.shard_after(path.order, query.after), query.wait_s
        )
        if shard is not None:
            return answer(shard)
        return Response(status=204, headers={"Retry-After": "1"} if full else {})

    @routes.get("/shards/<sha256>", summary="The bytes of a shard (.npz without pickle)")
    def shard(path: ShardPath) -> Response:
        return _immutable(orders.shard(path.sha256), "application/octet-stream", path.sha256)

    return routes


def who_asks() -> str | None:
    """Return the name of the key that this request came with, if it came with one."""
    who: str | None = request.environ.get(WHO)
    return who


def as_picture(data: bytes, media_type: str, tag: str) -> Response:
    """Return a picture that never changes under its address."""
    response = _immutable(data, media_type, tag)
    # Whatever else these bytes may look like, no browser runs any of it.
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _immutable(data: bytes, media_type: str, sha256: str) -> Response:
    """Return bytes that never change under their address."""
    response = Response(data, content_type=media_type)
    response.headers["Cache-Control"] = _FOR_EVER
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.set_etag(sha256)
    response.make_conditional(request)
    return response

"""Puts the sensory service together; the only module that knows every part of it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from flask_openapi3 import OpenAPI
from pydantic import Field
from sqlalchemy import Engine

from commons import settings as common_settings
from commons.adapters.admin_app import Beside, create_admin_app
from commons.adapters.blobs import open_blobs
from commons.adapters.clock import SystemClock
from commons.adapters.data_folder import make_data_folder
from commons.adapters.database import create_database, migrate, reading
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.hosted_keys import HostedKeys, open_keys
from commons.adapters.key_guard import KeyPolicy
from commons.adapters.local_tables import tables_url
from commons.adapters.metrics import ServiceMetrics
from commons.adapters.queues import open_queue
from commons.adapters.readiness import Readiness, blob_checks
from commons.adapters.service_figures import ServiceFigures
from commons.adapters.services import ADMIN
from commons.adapters.web_app import ServiceScopes, create_web_app
from commons.auth import StoredKey, stored_key
from commons.ports import Blobs, Clock, Queue
from commons.settings import FromJson
from sensory_service.adapters.appearance_tables import AppearanceTables
from sensory_service.adapters.blob_tables import BlobTables
from sensory_service.adapters.dataset_tables import DatasetTables
from sensory_service.adapters.erasure_tables import ErasureTables
from sensory_service.adapters.figures import (
    image_bytes,
    orders_by_state,
    unlooked_images,
    waiting_shards,
)
from sensory_service.adapters.image_tables import ImageTables
from sensory_service.adapters.label_tables import LabelTables
from sensory_service.adapters.order_tables import OrderTables
from sensory_service.adapters.pack_tables import PackTables
from sensory_service.adapters.shard_tables import ShardTables
from sensory_service.adapters.snapshot_tables import SnapshotTables
from sensory_service.archive_routes import archive_routes
from sensory_service.batch_routes import batch_routes
from sensory_service.consumer import BatchProcessor
from sensory_service.differences import SnapshotComparison
from sensory_service.erasure import Eraser
from sensory_service.exports import SnapshotExport
from sensory_service.images import ImageStore
from sensory_service.imports import ImageImport
from sensory_service.inspection import Inspector
from sensory_service.label_assembly import labeling_routes
from sensory_service.label_routes import label_routes
from sensory_service.labels import LabelDesk
from sensory_service.looking import Looker
from sensory_service.orders import OrderDesk
from sensory_service.outcomes import OutcomeCollector
from sensory_service.packs import ImageReader, PackMaker
from sensory_service.retention import Retention
from sensory_service.routes import image_routes, order_routes, snapshot_routes
from sensory_service.shard_messages import ORDER_QUEUE_EXPIRES_S, ORDER_QUEUES, SHARD_QUEUE
from sensory_service.shard_tasks import ShardTasks
from sensory_service.shards import ShardMaker
from sensory_service.small_batches import SmallBatches
from sensory_service.snapshots import SnapshotStore
from sensory_service.storage_routes import storage_routes
from sensory_service.thumbnails import Thumbnails
from sensory_service.waiting import WaitingRoom

PREFIX = "/api/sensory/v1"
MIGRATIONS = Path(__file__).parent / "migrations"
SCOPES = ServiceScopes(read=("sensory:read", "train"), write=("sensory:write",))
_EXPIRING = {ORDER_QUEUES: ORDER_QUEUE_EXPIRES_S}
_HEALTH_S = 3.0
_SIZES_KEPT_S = 60.0
_OLD_S = 3600.0  # no write takes so long


class Settings(common_settings.Settings):
    """What a person may set, as `DICEBOX_<NAME>`.

    Args:
        data: Folder of the blobs and the local tables; made when it is not there.
        database_url: PostgreSQL in place of the local tables; from a file, it holds a password.
        broker_url: RabbitMQ in place of the queue in the tables; likewise.
        blobs_url: Another folder of the blobs (`file:///path?sentinel=NAME` where it is mounted),
            or `s3://bucket/prefix`.
        replicas: Machines that run this service at once; more than one need the database.
        max_body_bytes: Largest request, and so the largest image.
        max_import_bytes: Largest archive; it needs as much room in the data folder meanwhile.
        max_upload_files: Most files of one multipart request.
        upload_threads: Files of one request that are checked and written at once.
        waiting_slots: Requests that may wait for a shard at once; fewer than server threads.
        longest_wait_s: A client that asks for more waits this long.
        task_lease_s: A shard task without an answer for this long goes to another processor.
        reissue_after_s: A shard without a result for this long gets a new task.
        reconcile_every_s: The service looks that often for such shards, and for what is over.
        order_lifetime_s: How long an order, and so its shards, are kept.
        decode_threads: Images that a batch processor decodes at once.
        keys: `auto` asks this machine for no key until the first one is made; `required` does.
        admin_key: An admin key that is good, and so keys required, from the start; from a file,
            it is a secret.
        given_keys: Keys that somebody else keeps, by their sha256 (`StoredKey` as JSON).
        services: Where the others answer, path to base address, for the health of all.
        host: Address to listen on; beyond this machine the service belongs behind nginx.
        port: Port to listen on.
        server_processes: Processes that answer there.
        alive_file: A file that a batch processor touches while it goes on.
    """

    data: Path = Path("dicebox-data")
    database_url: str | None = None
    broker_url: str | None = None
    blobs_url: str | None = None
    replicas: int = Field(default=1, ge=1)
    max_body_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    max_import_bytes: int = Field(default=1 << 40, ge=1)
    max_upload_files: int = Field(default=10_000, ge=1)
    upload_threads: int = Field(default=8, ge=1)
    waiting_slots: int = Field(default=4, ge=1)
    longest_wait_s: float = Field(default=20.0, ge=0.0)
    task_lease_s: float = Field(default=60.0, gt=0.0)
    reissue_after_s: float = Field(default=120.0, gt=0.0)
    reconcile_every_s: float = Field(default=15.0, gt=0.0)
    order_lifetime_s: float = Field(default=7 * 24 * 3600.0, gt=0.0)
    decode_threads: int = Field(default=2, ge=1)
    keys: KeyPolicy = "auto"
    admin_key: str | None = None
    given_keys: FromJson[tuple[StoredKey, ...]] = ()
    services: FromJson[dict[str, str]] = Field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = Field(default=8001, ge=1, le=65535)
    server_processes: int = Field(default=1, ge=1, le=64)
    alive_file: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings of an environment.

        Raises:
            InvalidInputError: One message that lists every fault.
        """
        return common_settings.settings_from_env(cls, environ)


@dataclass(frozen=True)
class Platform:
    """What the service stands on; tests and other sizes of the house hand in their own.

    The tables in `database` and those of the queue are there already.
    """

    database: Engine
    blobs: Blobs
    queue: Queue
    clock: Clock


def check_settings(settings: Settings, clock: Clock) -> None:
    """Return if nothing is wrong with the settings themselves; nothing is opened.

    Raises:
        InvalidInputError: An address or a key is none, or local tables would be shared.
    """
    create_database(_tables_url(settings, "sensory"))
    open_blobs(_blobs_url(settings))
    if settings.broker_url:
        open_queue(settings.broker_url, "", clock)
    _given_keys(settings, clock)


def create_platform(settings: Settings, clock: Clock) -> Platform:
    """Return what the settings name, or the embedded part; tables are made and up to date.

    Raises:
        InvalidInputError: An address is none, or local tables would be shared by machines.
        StorageFullError: No space is left for the tables.
        UnavailableError: The database cannot be reached; the broker is waited for later.
    """
    make_data_folder(settings.data)
    database = create_database(_tables_url(settings, "sensory"))
    blobs = open_blobs(_blobs_url(settings))
    queue = open_queue(
        settings.broker_url,
        _tables_url(settings, "queue"),
        clock,
        lease_s=settings.task_lease_s,
        expiring=_EXPIRING,
    )
    migrate(database, MIGRATIONS)
    return Platform(database, blobs, queue, clock)


def _blobs_url(settings: Settings) -> str:
    return settings.blobs_url or str(settings.data / "blobs")


def _tables_url(settings: Settings, name: str) -> str:
    file = settings.data / f"{name}.sqlite3"
    return tables_url(settings.database_url, file, settings.replicas)


def create_keys(settings: Settings, clock: Clock, *, is_open: bool = False) -> HostedKeys:
    """Return the keys of all services, which this one keeps.

    Raises:
        InvalidInputError: The admin key is none.
    """
    # Whoever has a key from the start means to be asked for it.
    policy = settings.keys if settings.admin_key is None else "required"
    given = _given_keys(settings, clock)
    make_data_folder(settings.data)
    url = _tables_url(settings, "keys")
    return open_keys(url, clock, policy, given, is_open=is_open)


def has_keys(settings: Settings, clock: Clock) -> bool:
    """Say whether a key is good; the tables are asked only where none was given.

    Raises:
        InvalidInputError: The admin key is none.
        StorageFullError: No space is left for the tables.
        UnavailableError: They cannot be reached.
    """
    if any(key.is_good_at(clock.now()) for key in _given_keys(settings, clock)):
        return True
    return create_keys(settings, clock).desk.has_good_key()


def _given_keys(settings: Settings, clock: Clock) -> list[StoredKey]:
    given = list(settings.given_keys)
    if settings.admin_key is not None:
        given.append(stored_key(settings.admin_key, "DICEBOX_ADMIN_KEY", ("admin",), clock.now()))
    return given


def create_app(
    settings: Settings,
    platform: Platform | None = None,
    keys: HostedKeys | None = None,
    services: Mapping[str, httpx.Client] | None = None,
) -> OpenAPI:
    """Return the WSGI app of the service and of the admin API beside it.

    It may be called from several threads.

    Args:
        settings: What a person set.
        platform: What it stands on; default: the embedded one.
        keys: The keys of all services; default: those in the data folder.
        services: Path of another service, to a client that reaches it, for the health of all.
    """
    on = platform or create_platform(settings, SystemClock())
    keys = keys or create_keys(settings, on.clock)
    datasets, snapshots = DatasetTables(on.database), SnapshotTables(on.database)
    catalog = ImageTables(on.database)
    images = ImageStore(
        datasets, catalog, on.blobs, on.clock, _new_id, threads=settings.upload_threads
    )
    orders = OrderDesk(
        snapshots,
        OrderTables(on.database),
        _tasks(on, settings),
        on.blobs,
        on.clock,
        _new_id,
        settings.order_lifetime_s,
    )
    room = WaitingRoom(on.clock, settings.waiting_slots, settings.longest_wait_s)
    metrics, readiness = _metrics(on), _readiness(on)
    app = create_web_app(
        "Sensory service",
        PREFIX,
        ready=readiness.missing,
        guard=keys.guard,
        scopes=SCOPES,
        metrics=metrics,
        figures=ServiceFigures(lambda: _figures(on)),
        max_body_bytes=settings.max_body_bytes,
    )
    app.config["MAX_FORM_PARTS"] = settings.max_upload_files
    app.register_api(image_routes(PREFIX, images, metrics.count))
    labels = LabelDesk(LabelTables(on.database), catalog, on.clock, _new_id)
    app.register_api(label_routes(PREFIX, labels, Thumbnails(catalog, on.blobs)))
    for routes in labeling_routes(PREFIX, on.database, on.clock):
        app.register_api(routes)
    packs = PackTables(on.database)
    store = SnapshotStore(datasets, snapshots, on.clock, _packer(on))
    app.register_api(snapshot_routes(PREFIX, store))
    batches = SmallBatches(snapshots, ImageReader(packs, on.blobs), settings.decode_threads)
    app.register_api(batch_routes(PREFIX, SnapshotComparison(snapshots), batches))
    app.register_api(order_routes(PREFIX, orders, room))
    archives = archive_routes(
        PREFIX,
        ImageImport(images, settings.max_body_bytes),
        SnapshotExport(snapshots, catalog, ImageReader(packs, on.blobs), BlobTables(on.database)),
        settings.data,
        settings.max_import_bytes,
        metrics.count,
    )
    app.register_api(archives)
    eraser = Eraser(ErasureTables(on.database), ShardTables(on.database), on.blobs, on.clock)
    inspector = Inspector(BlobTables(on.database), on.blobs, on.clock, lambda: _leftovers(on))
    app.register_api(storage_routes(PREFIX, eraser, inspector))
    sizes = ServiceFigures(lambda: {"image_bytes": image_bytes(on.database)}, _SIZES_KEPT_S)
    admin = create_admin_app(
        keys.desk,
        keys.guard,
        ready=readiness.missing,
        services=services or _services(settings),
        folder=lambda: _storage_folder(on, settings),
        counts=lambda: _counts(datasets),
        image_bytes=lambda: int(sizes().get("image_bytes", 0)),
    )
    app.wsgi_app = Beside(app.wsgi_app, ADMIN, admin)  # type: ignore[method-assign]
    return app


def create_batch_processor(settings: Settings, platform: Platform | None = None) -> BatchProcessor:
    """Return a batch processor; any number of them may work on one platform."""
    on = platform or create_platform(settings, SystemClock())
    maker = ShardMaker(
        ShardTables(on.database),
        SnapshotTables(on.database),
        ImageReader(PackTables(on.database), on.blobs),
        on.blobs,
        threads=settings.decode_threads,
    )
    packer = _packer(on)
    looker = Looker(AppearanceTables(on.database), on.blobs, on.clock)
    return BatchProcessor(
        on.queue,
        maker,
        on.clock,
        chores=(packer.pack_next, looker.look),
    )


def create_collector(settings: Settings, on: Platform) -> OutcomeCollector:
    """Return what collects the shards of orders beside the app, one in each of its processes."""
    shards = ShardTables(on.database)
    return OutcomeCollector(
        on.queue,
        shards,
        on.blobs,
        _tasks(on, settings),
        Retention(OrderTables(on.database), shards, on.blobs, on.queue, on.clock),
        on.clock,
        settings.reconcile_every_s,
    )


def _packer(on: Platform) -> PackMaker:
    return PackMaker(PackTables(on.database), SnapshotTables(on.database), on.blobs, on.clock)


def _tasks(on: Platform, settings: Settings) -> ShardTasks:
    return ShardTasks(on.queue, ShardTables(on.database), on.clock, settings.reissue_after_s)


def _metrics(on: Platform) -> ServiceMetrics:
    """Return what this service counts; its orders and shards are read from the tables."""
    return ServiceMetrics(
        PREFIX,
        {
            ("dicebox_orders", "Batch orders", "state"): lambda: orders_by_state(on.database),
            ("dicebox_queue_depth", "Shards still to be made", "queue"): lambda: waiting_shards(
                on.database
            ),
        },
    )


def _leftovers(on: Platform) -> list[str]:
    """Return the temporary files of writers that died, where blobs are files."""
    return list(on.blobs.leftovers(_OLD_S)) if isinstance(on.blobs, FileBlobs) else []


def _services(settings: Settings) -> dict[str, httpx.Client]:
    return {
        path: httpx.Client(base_url=url, timeout=_HEALTH_S)
        for path, url in settings.services.items()
    }


def _counts(datasets: DatasetTables) -> dict[str, int]:
    """Return what the storage holds, from the tables."""
    summaries = datasets.summaries()
    return {"datasets": len(summaries), "images": sum(one.images for one in summaries)}


def _figures(on: Platform) -> dict[str, float]:
    """Return what waits to be done."""
    return {
        "shards_waiting": waiting_shards(on.database)["shards"],
        "images_unlooked": unlooked_images(on.database),
    }


def _readiness(on: Platform) -> Readiness:
    """Return what asks all that this service stands on."""

    def check_tables() -> None:
        with reading(on.database) as connection:
            connection.exec_driver_sql("SELECT 1 FROM dataset LIMIT 1")

    return Readiness(
        {
            "tables": check_tables,
            "queue": lambda: on.queue.publish(SHARD_QUEUE, []),
            **blob_checks(on.blobs),
        }
    )


def _storage_folder(on: Platform, settings: Settings) -> Path:
    """Return a folder on the disk where the blobs are."""
    folder = on.blobs.root if isinstance(on.blobs, FileBlobs) else settings.data
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _new_id() -> str:
    return uuid.uuid4().hex

"""The composition root: settings in, a service out."""

import threading
from dataclasses import dataclass
from pathlib import Path

from flask_openapi3 import OpenAPI
from pydantic import Field
from sqlalchemy import Engine

import commons.settings
from classification_service.adapters.onnx_predictor import load_onnx
from classification_service.adapters.tables import SqlGalleryTables
from classification_service.chores import Chore, Chores
from classification_service.classify import Classifier
from classification_service.consumer import JobWorker
from classification_service.file_routes import file_routes
from classification_service.gallery import Gallery
from classification_service.loading import Loader
from classification_service.memory import Spares
from classification_service.network_files import NetworkFiles
from classification_service.networks import Networks
from classification_service.routes import PREFIX, create_blueprint
from commons.adapters.blobs import open_blobs
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate
from commons.adapters.key_guard import KeyGuard, KeyPolicy, create_guard
from commons.adapters.local_tables import tables_url
from commons.adapters.metrics import ServiceMetrics
from commons.adapters.web_app import ServiceScopes, create_web_app

_MIGRATIONS = Path(__file__).parent / "migrations"
SCOPES = ServiceScopes(
    read=("classify", "publish", "evolve", "train", "sensory:read"), write=("publish",)
)


class Settings(commons.settings.Settings):
    """What an operator may set.

    Args:
        data: Holds `blobs` and, without a database URL, `classification.sqlite3`.
        database_url: PostgreSQL instead of the file in `data`.
        blobs_url: Another folder of the blobs, or `s3://bucket/prefix`.
        replicas: Machines that run this service at once; more than one need the database.
        refresh_s: How often the watcher reads the champion pointers.
        max_body_bytes: A longer request body is refused.
        max_network_file_bytes: A larger file of a network is refused.
        spare_networks: How many networks besides the needed ones stay in memory.
        spare_bytes: How large their files are together at most.
        host: Where `python -m classification_service` listens.
        port: The same.
        keys: `auto` asks this machine for no key until the first one is made; `required` does.
        admin_url: Base address of the admin API, which knows the keys; none: there are no keys.
    """

    data: Path
    database_url: str | None = None
    blobs_url: str | None = None
    replicas: int = Field(default=1, ge=1)
    refresh_s: float = Field(default=0.5, gt=0.0)
    max_body_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    max_network_file_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    spare_networks: int = Field(default=8, ge=0)
    spare_bytes: int = Field(default=256 * 1024 * 1024, ge=0)
    host: str = "127.0.0.1"
    port: int = Field(default=8003, ge=1, le=65535)
    keys: KeyPolicy = "auto"
    admin_url: str | None = None


@dataclass(frozen=True)
class ClassificationService:
    """The app and what keeps it fresh; the app alone already answers."""

    app: OpenAPI
    gallery: Gallery
    refresh_s: float

    def start_watching(self) -> threading.Event:
        """Start the thread that follows promotions by other processes; set the event to end it."""
        stop = threading.Event()
        threading.Thread(
            target=self.gallery.watch,
            args=(self.refresh_s, stop),
            name="champion-watcher",
            daemon=True,
        ).start()
        return stop


def create_app(settings: Settings, guard: KeyGuard | None = None) -> OpenAPI:
    """Return the app alone, for one process that is the only one to promote."""
    return create_service(settings, guard).app


def create_service(settings: Settings, guard: KeyGuard | None = None) -> ClassificationService:
    """Return the service with its tables migrated and the champions loaded, not yet watching.

    Args:
        settings: What an operator set.
        guard: Who is asked about keys; default: one that asks the admin API.

    Raises:
        StorageFullError: No space is left for the tables.
        UnavailableError: The database cannot be reached.
    """
    tables, clock = SqlGalleryTables(_opened_database(settings)), SystemClock()
    blobs = open_blobs(settings.blobs_url or str(settings.data / "blobs"))
    loader = Loader(blobs, load_onnx)
    spares = Spares(settings.spare_networks, settings.spare_bytes)
    gallery = Gallery(tables, loader, clock, spares=spares)
    gallery.refresh()
    metrics = ServiceMetrics(PREFIX)
    app = create_web_app(
        "Dicebox classification",
        PREFIX,
        ready=gallery.missing,
        guard=guard or create_guard(settings.admin_url, settings.keys),
        scopes=SCOPES,
        metrics=metrics,
        max_body_bytes=settings.max_body_bytes,
    )
    networks = Networks(tables, loader, gallery, clock)
    app.register_api(create_blueprint(networks, Classifier(gallery, clock), metrics.count))
    files = NetworkFiles(blobs, settings.max_network_file_bytes)
    app.register_api(file_routes(files, settings.max_network_file_bytes))
    return ClassificationService(app, gallery, settings.refresh_s)


def create_job_worker(settings: Settings) -> JobWorker:
    """Return what works behind the requests, any number of them on one database.

    Raises:
        InvalidInputError: An address is none, or local tables would be shared by machines.
        StorageFullError: No space is left for the tables.
        UnavailableError: The database cannot be reached.
    """
    _opened_database(settings)
    clock = SystemClock()
    chores: list[Chore] = []
    return JobWorker(Chores(chores, clock), clock)


def _opened_database(settings: Settings) -> Engine:
    """Return the database with its tables up to date."""
    settings.data.mkdir(parents=True, exist_ok=True)
    file = settings.data / "classification.sqlite3"
    url = tables_url(settings.database_url, file, settings.replicas)
    database = create_database(url)
    migrate(database, _MIGRATIONS)
    return database

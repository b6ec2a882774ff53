"""The composition root: settings in, a service out."""

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from flask_openapi3 import OpenAPI
from pydantic import Field, SecretStr
from sqlalchemy import Engine

import commons.settings
from classification_service.adapters.onnx_predictor import Device, OnnxRuntime
from classification_service.adapters.onnx_proof import prove_onnx
from classification_service.adapters.tables import SqlGalleryTables, SqlNameTables
from classification_service.adapters.trial_tables import (
    SqlReignTables,
    SqlTrafficTables,
    SqlTrialTables,
)
from classification_service.admission import Admission
from classification_service.asking_assembly import AskingAssembly
from classification_service.chores import Chore
from classification_service.classify import Answerer
from classification_service.consumer import JobWorker
from classification_service.file_routes import file_routes
from classification_service.gallery import Gallery
from classification_service.guarding import Limits
from classification_service.history_assembly import HistoryAssembly
from classification_service.job_assembly import JobAssembly
from classification_service.judging import Rule
from classification_service.loading import Loader
from classification_service.memory import Spares
from classification_service.name_routes import name_routes
from classification_service.naming import Naming
from classification_service.network_files import NetworkFiles
from classification_service.networks import Networks
from classification_service.probation import Probation
from classification_service.recording import BatchRecorder
from classification_service.response_cache import ResponseCache
from classification_service.routes import PREFIX, create_blueprint
from classification_service.trial_judge import TrialJudge
from classification_service.trial_routes import trial_routes
from classification_service.trials import Trials
from classification_service.v2_routes import v2_routes
from commons.adapters.blobs import open_blobs
from commons.adapters.caller import Caller
from commons.adapters.clock import SystemClock
from commons.adapters.data_folder import make_data_folder
from commons.adapters.database import create_database, migrate
from commons.adapters.key_guard import KeyGuard, KeyPolicy
from commons.adapters.local_tables import tables_url
from commons.adapters.machine import usable_cores
from commons.adapters.metrics import ServingMetrics
from commons.adapters.queues import open_queue
from commons.adapters.readiness import Readiness, blob_checks
from commons.adapters.remote_keys import create_guard
from commons.adapters.sensory_client import SensoryClient
from commons.adapters.service_figures import ServiceFigures
from commons.adapters.web_app import ServiceScopes, create_web_app
from commons.auth import authorization
from commons.ports import Blobs

_STOPPING = {"process": "it is ending and answers what is on its way"}
_MIGRATIONS = Path(__file__).parent / "migrations"
SCOPES = ServiceScopes(
    read=("classify", "publish", "evolve", "train", "sensory:read"), write=("publish",)
)

_JUDGE_S = 1.0
# Two of each of some datasets with a trial.
_JUDGED_NETWORKS = 8
# A champion that is asked about images, and a network that is examined.
_ASKED_NETWORKS = 2
# Little patience: a chore comes again, and the others wait for it.
_CHORE_PATIENCE_S = 1.0


class Settings(commons.settings.Settings):
    """What an operator may set.

    Args:
        data: Holds `blobs` and, without a database URL, `classification.sqlite3`.
        database_url: PostgreSQL instead of the file in `data`.
        broker_url: RabbitMQ instead of the queue in the tables; from a file, it holds a password.
        blobs_url: Another folder of the blobs (`file:///path?sentinel=NAME` where it is mounted),
            or `s3://bucket/prefix`.
        replicas: Machines that run this service at once; more than one need the database.
        refresh_s: How often the watcher reads the champion pointers.
        max_body_bytes: A longer request body is refused.
        max_network_file_bytes: A larger file of a network is refused.
        spare_networks: How many networks besides the needed ones stay in memory.
        spare_bytes: How large their files are together at most.
        rollback_latency_s: A new network whose median latency is so much longer than that of the
            one before, and three times that, is rolled back.
        most_waiting: Images that may wait for an answer at once in a process; more get 503.
        most_wait_s: A new one is refused too when it would wait longer, at the present rate.
        cached_answers: Answers that a process remembers by image and network; 0: none.
        lanes: Batches that a process asks networks for at once; None: its share of the cores.
        server_processes: How many processes `python -m classification_service` starts.
        log_classifications: Write a line for every classification, and not for those alone that
            are refused; `python -m classification_service` asks.
        drain_s: After SIGTERM, everything has ended at most so long afterwards.
        device: `cuda` asks a card where ONNX Runtime can (`onnxruntime-gpu` in its place).
        gpu_memory_bytes: What each network of a process may take of the card's memory; a process
            holds several, so this is no bound of a process (docs/operations.md).
        max_job_images: A job of more images is refused.
        job_kept_s: A job is kept for so long after its end, with its images.
        job_open_s: A job that is left open gets no more images after so long without any.
        job_lease_s: A worker that says nothing for so long is taken for dead: others do what it
            had begun.
        record_share: How many of all classifications are recorded, with their images; 0: none.
        history_s: How long they are kept.
        history_most: How many of them are kept.
        host: Where `python -m classification_service` listens.
        port: The same.
        keys: `auto` asks this machine for no key until the first one is made; `required` does.
        admin_url: Base address of the admin API, which knows the keys; none: there are no keys.
        sensory_url: Base address of the sensory service, which has the images that networks are
            compared and examined on, and takes corrections and opinions; none: the job worker
            judges and examines nobody, and corrections wait.
        opinions: Whether the job worker asks champions about the images of their datasets.
        key: What the job worker shows there (`DICEBOX_KEY` or `DICEBOX_KEY_FILE`); it needs
            `sensory:read` and `sensory:write`, and its name stands beside who corrected.
        alive_file: A file that the job worker touches while it goes on.
    """

    data: Path
    database_url: str | None = None
    broker_url: str | None = None
    blobs_url: str | None = None
    replicas: int = Field(default=1, ge=1)
    refresh_s: float = Field(default=0.5, gt=0.0)
    max_body_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    max_network_file_bytes: int = Field(default=256 * 1024 * 1024, ge=1)
    spare_networks: int = Field(default=8, ge=0)
    spare_bytes: int = Field(default=256 * 1024 * 1024, ge=0)
    rollback_latency_s: float = Field(default=Limits.latency_s, gt=0.0)
    most_waiting: int = Field(default=1024, ge=1)
    most_wait_s: float = Field(default=0.5, gt=0.0)
    cached_answers: int = Field(default=1024, ge=0)
    lanes: int | None = Field(default=None, ge=1)
    server_processes: int = Field(default=2, ge=1)
    log_classifications: bool = False
    drain_s: float = Field(default=8.0, gt=0.0)
    device: Device = "cpu"
    gpu_memory_bytes: int | None = Field(default=None, ge=1)
    max_job_images: int = Field(default=1_000_000, ge=1)
    job_kept_s: float = Field(default=7 * 24 * 3600.0, gt=0.0)
    job_open_s: float = Field(default=3600.0, gt=0.0)
    job_lease_s: float = Field(default=30.0, gt=0.0)
    record_share: float = Field(default=0.0, ge=0.0, le=1.0)
    history_s: float = Field(default=30 * 86400.0, gt=0.0)
    history_most: int = Field(default=100_000, ge=1)
    host: str = "127.0.0.1"
    port: int = Field(default=8003, ge=1, le=65535)
    keys: KeyPolicy = "auto"
    admin_url: str | None = None
    sensory_url: str | None = None
    opinions: bool = True
    key: SecretStr | None = None
    alive_file: Path | None = None


@dataclass(frozen=True)
class ClassificationService:
    """The app and what keeps it fresh; the app alone already answers."""

    app: OpenAPI
    gallery: Gallery
    probation: Probation
    answerer: Answerer
    metrics: ServingMetrics
    guard: KeyGuard
    recorder: BatchRecorder
    refresh_s: float
    is_stopping: threading.Event = field(default_factory=threading.Event)

    def start_watching(self) -> threading.Event:
        """Start the thread that follows promotions, and watches new networks.

        Returns:
            What ends it when it is set.
        """
        stop = threading.Event()
        threading.Thread(
            target=self.gallery.watch,
            args=(self.refresh_s, stop, self.probation.step),
            name="champion-watcher",
            daemon=True,
        ).start()
        return stop


def check_settings(settings: Settings) -> None:
    """Return if nothing is wrong with the settings themselves; nothing is opened.

    Raises:
        InvalidInputError: An address is none, or local tables would be shared by machines.
    """
    create_database(_tables_url(settings, "classification"))
    open_blobs(_blobs_url(settings))
    if settings.broker_url:
        open_queue(settings.broker_url, "", SystemClock())


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
    database = _opened_database(settings)
    tables, clock = SqlGalleryTables(database), SystemClock()
    blobs = open_blobs(_blobs_url(settings))
    runtime = OnnxRuntime(settings.device, settings.gpu_memory_bytes)
    loader = Loader(blobs, runtime.load, most_bytes=settings.max_network_file_bytes)
    spares = Spares(settings.spare_networks, settings.spare_bytes)
    limits = Limits(latency_s=settings.rollback_latency_s)
    trials, reigns = SqlTrialTables(database), SqlReignTables(database)
    names = SqlNameTables(database)
    gallery = Gallery(
        tables, loader, clock, trials, names=names, spares=spares, probation_s=limits.probation_s
    )
    gallery.refresh()
    history = HistoryAssembly(database, blobs, clock)
    jobs = _jobs(settings, database, blobs)
    gauges = {**history.gauges(), **jobs.gauges()}
    metrics, is_stopping = ServingMetrics(PREFIX, gauges), threading.Event()
    recorder = history.recorder(settings.record_share, metrics.count)
    guard = guard or create_guard(settings.admin_url, settings.keys)
    answerer = _create_answerer(settings, gallery, metrics, recorder)

    readiness = Readiness({"tables": tables.champions, **blob_checks(blobs)})

    def missing() -> Mapping[str, str]:
        return _STOPPING if is_stopping.is_set() else gallery.missing() | readiness.missing()

    app = create_web_app(
        "Dicebox classification",
        PREFIX,
        ready=missing,
        guard=guard,
        scopes=SCOPES,
        metrics=metrics,
        figures=ServiceFigures(lambda: {**jobs.figures(), **history.figures()}),
        max_body_bytes=settings.max_body_bytes,
    )
    networks = Networks(tables, loader, gallery, clock, prove_onnx)
    app.register_api(create_blueprint(networks, answerer, clock))
    files = NetworkFiles(blobs, settings.max_network_file_bytes)
    app.register_api(file_routes(files, settings.max_network_file_bytes))
    app.register_api(AskingAssembly(database, tables, clock).routes())
    app.register_api(name_routes(Naming(tables, names, gallery)))
    app.register_api(history.routes(tables))
    app.register_api(trial_routes(Trials(tables, reigns, trials, networks, gallery, clock)))
    app.register_api(v2_routes(answerer, clock, missing))
    app.register_api(jobs.routes(tables, settings.max_job_images, metrics.count))
    probation = Probation(gallery, reigns, trials, SqlTrafficTables(database), clock, limits)
    return ClassificationService(
        app, gallery, probation, answerer, metrics, guard, recorder, settings.refresh_s, is_stopping
    )


def _create_answerer(
    settings: Settings, gallery: Gallery, metrics: ServingMetrics, recorder: BatchRecorder
) -> Answerer:
    lanes = settings.lanes or max(1, usable_cores() // settings.server_processes)
    return Answerer(
        gallery,
        SystemClock(),
        random.Random().random,  # noqa: S311 - nothing secret
        admission=Admission(settings.most_waiting, settings.most_wait_s, lanes),
        cache=ResponseCache(settings.cached_answers),
        recorder=recorder,
        lanes=lanes,
        count_batch=metrics.count_batch,
        show_queue=metrics.show_queue,
    )


def create_job_worker(settings: Settings) -> JobWorker:
    """Return what works behind the requests, any number of them on one database.

    Raises:
        InvalidInputError: An address is none, or local tables would be shared by machines.
        StorageFullError: No space is left for the tables.
        UnavailableError: The database cannot be reached.
    """
    database = _opened_database(settings)
    blobs = open_blobs(_blobs_url(settings))
    jobs = _jobs(settings, database, blobs)
    key = settings.key.get_secret_value() if settings.key else None
    chores = [
        jobs.chore(settings.job_kept_s, settings.job_open_s),
        *HistoryAssembly(database, blobs, SystemClock()).chores(
            settings.history_s, settings.history_most, settings.sensory_url, key
        ),
    ]
    if settings.sensory_url is not None:
        images = _sensory_client(settings, settings.sensory_url)
        judge = _create_judge(settings, database, images)
        chores.append(Chore("judging trials", _JUDGE_S, judge.step))
        asking = AskingAssembly(database, SqlGalleryTables(database), SystemClock())
        asked = _spare_gallery(settings, database, _ASKED_NETWORKS)
        chores += asking.chores(asked, images, opinions=settings.opinions)
    return jobs.worker(_job_gallery(settings, database, blobs), chores, settings.job_lease_s)


def _sensory_client(settings: Settings, sensory_url: str) -> SensoryClient:
    key = settings.key.get_secret_value() if settings.key else None
    http = httpx.Client(base_url=sensory_url, headers=authorization(key))
    return SensoryClient(Caller(http, patience_s=_CHORE_PATIENCE_S))


def _create_judge(settings: Settings, database: Engine, images: SensoryClient) -> TrialJudge:
    tables, trials = SqlGalleryTables(database), SqlTrialTables(database)
    gallery = _spare_gallery(settings, database, _JUDGED_NETWORKS)
    return TrialJudge(tables, trials, trials, gallery, images, SystemClock(), Rule())


def _spare_gallery(settings: Settings, database: Engine, networks: int) -> Gallery:
    """Return where chores find networks by their ids; so many stay loaded."""
    blobs = open_blobs(_blobs_url(settings))
    loader = Loader(blobs, OnnxRuntime().load, most_bytes=settings.max_network_file_bytes)
    spares = Spares(networks=networks)
    return Gallery(SqlGalleryTables(database), loader, SystemClock(), spares=spares)


def _job_gallery(settings: Settings, database: Engine, blobs: Blobs) -> Gallery:
    """Return where jobs find their networks, by name alone: no champion is followed."""
    runtime = OnnxRuntime(settings.device, settings.gpu_memory_bytes)
    loader = Loader(blobs, runtime.load, most_bytes=settings.max_network_file_bytes)
    spares = Spares(settings.spare_networks, settings.spare_bytes)
    return Gallery(SqlGalleryTables(database), loader, SystemClock(), spares=spares)


def _jobs(settings: Settings, database: Engine, blobs: Blobs) -> JobAssembly:
    url = _tables_url(settings, "queue")
    clock = SystemClock()
    queue = open_queue(settings.broker_url, url, clock, lease_s=settings.job_lease_s)
    return JobAssembly(database, blobs, queue, clock)


def _opened_database(settings: Settings) -> Engine:
    """Return the database with its tables up to date."""
    make_data_folder(settings.data)
    database = create_database(_tables_url(settings, "classification"))
    migrate(database, _MIGRATIONS)
    return database


def _tables_url(settings: Settings, name: str) -> str:
    file = settings.data / f"{name}.sqlite3"
    return tables_url(settings.database_url, file, settings.replicas)


def _blobs_url(settings: Settings) -> str:
    return settings.blobs_url or str(settings.data / "blobs")

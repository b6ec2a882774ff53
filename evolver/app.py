"""The composition root: settings in, a web app or a runner out."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
from flask_openapi3 import OpenAPI
from pydantic import Field, SecretStr, ValidationInfo, field_validator
from sqlalchemy import Engine as Database

import commons.settings
from commons.adapters.blobs import open_blobs
from commons.adapters.cards import WORKERS_PER_CARD, usable_cards
from commons.adapters.clock import SystemClock
from commons.adapters.data_folder import make_data_folder
from commons.adapters.database import create_database, migrate
from commons.adapters.key_guard import KeyGuard, KeyPolicy
from commons.adapters.local_engine import LocalEngine
from commons.adapters.local_tables import tables_url
from commons.adapters.machine import machine, usable_cores, versions
from commons.adapters.metrics import ServiceMetrics
from commons.adapters.readiness import Check, Readiness, blob_checks
from commons.adapters.remote_keys import create_guard
from commons.adapters.service_figures import ServiceFigures
from commons.adapters.services import Caller, GalleryClient, SensoryClient
from commons.adapters.web_app import ServiceScopes, create_web_app
from commons.auth import authorization
from commons.ports import Blobs, Clock, Engine
from commons.worker_messages import EngineKind, WorkerPage
from evolver.adapters.fleet import page_of
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.lease import renewed
from evolver.adapters.run_figures import waiting_runs
from evolver.adapters.run_table import SqlRuns
from evolver.adapters.runner_locks import RunnerLocks
from evolver.routes import PREFIX, create_blueprint
from evolver.runner import Runner
from evolver.runs import Runs
from evolver.trainers import Trainers
from evolver.watching import Watching

MIGRATIONS = Path(__file__).parent / "migrations"
SCOPES = ServiceScopes(read=("evolve",), write=("evolve",))
# Freezing a large dataset packs all of its images before it answers.
_HTTP_TIMEOUT_S = 600.0
# More than one machine has; a fleet has as many slots as it has.
_MOST_SLOTS = 100_000


class Settings(commons.settings.Settings):
    """What an operator may set.

    Args:
        data: Holds `blobs`, the engine's `work` folder and, without a database URL,
            `evolver.sqlite3`.
        database_url: PostgreSQL instead of the file in `data`.
        blobs_url: Another folder of the blobs (`file:///path?sentinel=NAME` where it is mounted),
            or `s3://bucket/prefix`.
        replicas: Machines that run this service at once; more than one need the database.
        sensory_url: Base address under which the sensory service answers.
        classification_url: The same of the classification service.
        engine: `local` trains on this machine, `celery` on workers that take their trainings from
            a broker, `python -m trainer.worker` each.
        broker_url: RabbitMQ, for the latter.
        trainers_patience_s: After how long without any worker a run fails, to be resumed.
        workers: Trainings at once of a run that does not say; default: one a processor core, but
            no more than four an accelerator where trainings use one; all there are of a fleet.
        threads: Threads of one worker; default: the cores divided among the workers.
        worker_memory_bytes: A worker above this resident size is replaced after its training.
        worker_jobs: A worker is replaced after so many trainings: what TensorFlow keeps of every
            new layer size, a third of a megabyte a candidate, goes with it. A start costs about
            three seconds.
        keys: `auto` asks this machine for no key until the first one is made; `required` does.
        admin_url: Base address of the admin API, which knows the keys; none: there are no keys.
        watching_slots: Requests that may watch a run at once; fewer than server threads.
        longest_watch_s: After how long they are answered for good.
        key: What the runner shows to the other services; its workers read it from the same
            place, `DICEBOX_KEY` or `DICEBOX_KEY_FILE`.
        resume_runs: A run whose runner ended before it goes on by itself, up to so many times;
            0: a person resumes it.
        host: Where `python -m evolver.web` listens.
        port: The same.
        server_processes: How many processes answer there.
        alive_file: A file that the runner touches while it goes on.
    """

    data: Path
    database_url: str | None = None
    blobs_url: str | None = None
    replicas: int = Field(default=1, ge=1)
    sensory_url: str = "http://127.0.0.1:8000"
    classification_url: str = "http://127.0.0.1:8000"
    engine: EngineKind = "local"
    broker_url: str | None = None
    trainers_patience_s: float = Field(default=600.0, gt=0.0)
    workers: int | None = Field(default=None, ge=1, le=256)
    threads: int | None = Field(default=None, ge=1)
    worker_memory_bytes: int | None = Field(default=None, ge=1)
    worker_jobs: int | None = Field(default=40, ge=1)
    keys: KeyPolicy = "auto"
    admin_url: str | None = None
    watching_slots: int = Field(default=4, ge=1)
    longest_watch_s: float = Field(default=55.0, gt=0.0)
    key: SecretStr | None = None
    resume_runs: int = Field(default=0, ge=0)
    host: str = "127.0.0.1"
    port: int = Field(default=8004, ge=1, le=65535)
    server_processes: int = Field(default=1, ge=1, le=64)
    alive_file: Path | None = None

    @field_validator("broker_url")
    @classmethod
    def _is_there_for_celery(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("engine") == "celery" and not value:
            raise ValueError("the engine celery needs the address of a broker")
        return value


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Return settings of an environment, where the broker may be called `BROKER_URL(_FILE)` too.

    Raises:
        InvalidInputError: One message that lists every fault.
    """
    if environ.get("DICEBOX_ENGINE") == "celery":
        environ = commons.settings.with_bare_names(environ, ("broker_url",))
    return commons.settings.settings_from_env(Settings, environ)


def check_settings(settings: Settings) -> None:
    """Return if nothing is wrong with the settings themselves; nothing is opened.

    Raises:
        InvalidInputError: An address is none, or local tables would be shared by machines.
    """
    create_database(_tables_url(settings))
    open_blobs(_blobs_url(settings))


def create_app(settings: Settings, guard: KeyGuard | None = None) -> OpenAPI:
    """Return the web app over migrated tables.

    Args:
        settings: What an operator set.
        guard: Who is asked about keys; default: one that asks the admin API.

    Raises:
        StorageFullError: No space is left for the tables.
        UnavailableError: The database cannot be reached.
    """
    database = _database(settings)
    clock, locks = SystemClock(), _locks(settings)
    tables, journal = SqlRuns(database, clock), SqlJournal(database)
    blobs = open_blobs(_blobs_url(settings))
    runs = Runs(tables, journal, clock, _new_id, locks.is_dead, blobs)
    ask = _asking(settings)
    trainers = Trainers(tables, clock, ask)
    app = create_web_app(
        "Dicebox evolution",
        PREFIX,
        ready=_readiness(settings, tables, blobs).missing,
        guard=guard or create_guard(settings.admin_url, settings.keys),
        scopes=SCOPES,
        metrics=ServiceMetrics(PREFIX, trainers.figures() if ask else None),
        figures=ServiceFigures(lambda: waiting_runs(database)),
    )
    watching = Watching(runs, clock, settings.watching_slots, settings.longest_watch_s)
    app.register_api(create_blueprint(runs, watching, trainers))
    return app


def create_runner(settings: Settings, clock: Clock) -> Runner:
    """Return the runner over the same tables, not yet running; errors as in `create_app`."""
    database = _database(settings)
    fleet = settings.engine == "celery"
    name, ledger, locks = _new_id(), SqlRuns(database, clock), _locks(settings)
    locks.hold(name)
    return Runner(
        name=name,
        ledger=ledger,
        journal=SqlJournal(database),
        blobs=open_blobs(_blobs_url(settings)),
        sensory=SensoryClient(_caller(settings.sensory_url, settings.key)),
        gallery=GalleryClient(_caller(settings.classification_url, settings.key)),
        open_engine=_fleet_engine(settings) if fleet else _local_engine(settings),
        clock=clock,
        sensory_url=settings.sensory_url,
        workers=settings.workers or (_MOST_SLOTS if fleet else _workers_here()),
        machine=machine(),
        versions=versions(),
        is_dead=locks.is_dead,
        holding=lambda run: renewed(lambda: ledger.renew(run, name)),
        fleet=fleet,
        patience_s=settings.trainers_patience_s,
        resume_runs=settings.resume_runs,
    )


def _workers_here() -> int:
    cores = usable_cores()
    return min(cores, len(usable_cards()) * WORKERS_PER_CARD or cores)


def _local_engine(settings: Settings) -> Callable[[int], AbstractContextManager[Engine]]:
    cores, cards = usable_cores(), usable_cards()

    @contextmanager
    def open_engine(workers: int) -> Iterator[Engine]:
        engine = LocalEngine(
            workers=workers,
            blobs_url=_blobs_url(settings),
            folder=(settings.data / "work").absolute(),
            threads=settings.threads or max(1, cores // workers),
            cards=cards,
            worker_memory_bytes=settings.worker_memory_bytes,
            worker_jobs=settings.worker_jobs,
        )
        try:
            yield engine
        finally:
            engine.close()

    return open_engine


def _fleet_engine(settings: Settings) -> Callable[[int], AbstractContextManager[Engine]]:
    # Who trains on this machine needs no Celery.
    from commons.adapters.celery_engine import CeleryEngine  # noqa: PLC0415

    @contextmanager
    def open_engine(workers: int) -> Iterator[Engine]:
        engine = CeleryEngine(
            broker_url=str(settings.broker_url),
            blobs=open_blobs(_blobs_url(settings)),
            # Not the runner's: that one ends by a signal whoever sleeps, which is the runner's.
            clock=SystemClock(),
            workers=workers,
        )
        try:
            yield engine
        finally:
            engine.close()

    return open_engine


def _asking(settings: Settings) -> Callable[[], WorkerPage] | None:
    """Return what asks the fleet, if there is to be one."""
    if settings.engine != "celery":
        return None
    from commons.adapters.fleet_view import ask_fleet  # noqa: PLC0415

    def ask() -> WorkerPage:
        fleet = ask_fleet(str(settings.broker_url))
        return page_of(fleet.workers, fleet.ready, fleet.dead)

    return ask


def _readiness(settings: Settings, tables: SqlRuns, blobs: Blobs) -> Readiness:
    """Return what asks all that this service stands on."""
    checks: dict[str, Check] = {"tables": lambda: tables.newest(1), **blob_checks(blobs)}
    if settings.engine == "celery":
        from commons.adapters.fleet_view import reach_broker  # noqa: PLC0415

        checks["queue"] = lambda: reach_broker(str(settings.broker_url))
    return Readiness(checks)


def _blobs_url(settings: Settings) -> str:
    return settings.blobs_url or str((settings.data / "blobs").absolute())


def _locks(settings: Settings) -> RunnerLocks:
    return RunnerLocks(settings.data / "work" / "runners")


def _database(settings: Settings) -> Database:
    make_data_folder(settings.data)
    database = create_database(_tables_url(settings))
    migrate(database, MIGRATIONS)
    return database


def _tables_url(settings: Settings) -> str:
    file = settings.data / "evolver.sqlite3"
    return tables_url(settings.database_url, file, settings.replicas)


def _caller(url: str, key: SecretStr | None) -> Caller:
    headers = authorization(key.get_secret_value() if key else None)
    return Caller(httpx.Client(base_url=url, timeout=_HTTP_TIMEOUT_S, headers=headers))


def _new_id() -> str:
    return secrets.token_hex(6)

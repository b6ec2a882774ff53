"""The composition root: settings in, a web app or a runner out."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from flask_openapi3 import OpenAPI
from pydantic import Field, SecretStr
from sqlalchemy import Engine as Database

import commons.settings
from commons.adapters.blobs import open_blobs
from commons.adapters.cards import WORKERS_PER_CARD, usable_cards
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, migrate
from commons.adapters.key_guard import KeyGuard, KeyPolicy, create_guard
from commons.adapters.local_engine import LocalEngine
from commons.adapters.local_tables import tables_url
from commons.adapters.machine import machine, usable_cores, versions
from commons.adapters.services import Caller, GalleryClient, SensoryClient
from commons.adapters.web_app import ServiceScopes, create_web_app
from commons.auth import authorization
from commons.ports import Clock, Engine
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.lease import renewed
from evolver.adapters.run_table import SqlRuns
from evolver.adapters.runner_locks import RunnerLocks
from evolver.routes import PREFIX, create_blueprint
from evolver.runner import Runner
from evolver.runs import Runs
from evolver.watching import Watching

MIGRATIONS = Path(__file__).parent / "migrations"
SCOPES = ServiceScopes(read=("evolve",), write=("evolve",))
# Freezing a large dataset packs all of its images before it answers.
_HTTP_TIMEOUT_S = 600.0


class Settings(commons.settings.Settings):
    """What an operator may set.

    Args:
        data: Holds `blobs`, the engine's `work` folder and, without a database URL,
            `evolver.sqlite3`.
        database_url: PostgreSQL instead of the file in `data`.
        blobs_url: Another folder of the blobs, or `s3://bucket/prefix`.
        replicas: Machines that run this service at once; more than one need the database.
        sensory_url: Base address under which the sensory service answers.
        classification_url: The same of the classification service.
        workers: Trainings at once of a run that does not say; default: one a processor core, but
            no more than four an accelerator where trainings use one.
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
    """

    data: Path
    database_url: str | None = None
    blobs_url: str | None = None
    replicas: int = Field(default=1, ge=1)
    sensory_url: str = "http://127.0.0.1:8000"
    classification_url: str = "http://127.0.0.1:8000"
    workers: int | None = Field(default=None, ge=1, le=256)
    threads: int | None = Field(default=None, ge=1)
    worker_memory_bytes: int | None = Field(default=None, ge=1)
    worker_jobs: int | None = Field(default=40, ge=1)
    keys: KeyPolicy = "auto"
    admin_url: str | None = None
    watching_slots: int = Field(default=4, ge=1)
    longest_watch_s: float = Field(default=55.0, gt=0.0)
    key: SecretStr | None = None


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
    app = create_web_app(
        "Dicebox evolution",
        PREFIX,
        ready=runs.missing,
        guard=guard or create_guard(settings.admin_url, settings.keys),
        scopes=SCOPES,
    )
    watching = Watching(runs, clock, settings.watching_slots, settings.longest_watch_s)
    app.register_api(create_blueprint(runs, watching))
    return app


def create_runner(settings: Settings, clock: Clock) -> Runner:
    """Return the runner over the same tables, not yet running; errors as in `create_app`."""
    database = _database(settings)
    cores, cards = usable_cores(), usable_cards()
    most = len(cards) * WORKERS_PER_CARD or cores
    name, ledger, locks = _new_id(), SqlRuns(database, clock), _locks(settings)
    locks.hold(name)

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

    return Runner(
        name=name,
        ledger=ledger,
        journal=SqlJournal(database),
        blobs=open_blobs(_blobs_url(settings)),
        sensory=SensoryClient(_caller(settings.sensory_url, settings.key)),
        gallery=GalleryClient(_caller(settings.classification_url, settings.key)),
        open_engine=open_engine,
        clock=clock,
        sensory_url=settings.sensory_url,
        workers=settings.workers or min(cores, most),
        machine=machine(),
        versions=versions(),
        is_dead=locks.is_dead,
        holding=lambda run: renewed(lambda: ledger.renew(run, name)),
    )


def _blobs_url(settings: Settings) -> str:
    return settings.blobs_url or str((settings.data / "blobs").absolute())


def _locks(settings: Settings) -> RunnerLocks:
    return RunnerLocks(settings.data / "work" / "runners")


def _database(settings: Settings) -> Database:
    settings.data.mkdir(parents=True, exist_ok=True)
    file = settings.data / "evolver.sqlite3"
    database = create_database(tables_url(settings.database_url, file, settings.replicas))
    migrate(database, MIGRATIONS)
    return database


def _caller(url: str, key: SecretStr | None) -> Caller:
    headers = authorization(key.get_secret_value() if key else None)
    return Caller(httpx.Client(base_url=url, timeout=_HTTP_TIMEOUT_S, headers=headers))


def _new_id() -> str:
    return secrets.token_hex(6)

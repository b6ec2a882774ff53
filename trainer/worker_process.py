"""A worker of the fleet as a process: environment in, jobs from the broker until it is told to end.

Neither Keras nor TensorFlow is imported here: that is for the processes that train.
"""

import logging
import os
import platform
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from pydantic import Field, SecretStr

import commons.settings
from commons.adapters.blobs import open_blobs
from commons.adapters.broker_link import BrokerLink
from commons.adapters.cards import WORKERS_PER_CARD, usable_cards
from commons.adapters.celery_app import create_celery
from commons.adapters.celery_consumer import JobWorker
from commons.adapters.clock import SystemClock
from commons.adapters.heartbeat_file import HeartbeatFile
from commons.adapters.job_desk import JobDesk
from commons.adapters.local_engine import LocalEngine
from commons.adapters.machine import cpu_model, usable_cores
from commons.adapters.parent_death import end_with_parent
from commons.adapters.worker_presence import Presence
from commons.errors import InvalidInputError
from commons.fleet import ASKS
from commons.jobs import Device, JobResult
from commons.ports import Engine
from commons.settings import settings_from_env

_LOG = logging.getLogger(__name__)
_FAILED = 1
_PREFIX = "DICEBOX_"
# Set by a parent without which this process is not to live, to its process id.
_PARENT = "DICEBOX_PARENT"
_SECONDS = (0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400)


class Settings(commons.settings.Settings):
    """What `python -m trainer.worker` is told: as `DICEBOX_NAME`, or as the bare `NAME`.

    Args:
        broker_url: RabbitMQ, as `amqp://user:password@host:port/vhost`.
        data: For the cache, the logs and what else this machine keeps for itself.
        blobs_url: Where all workers and evolvers have their blobs: a folder that they share, or
            `s3://bucket/prefix`. Default: `blobs` in `data`, for one machine alone.
        sensory_url: Where this machine finds the sensory service, if not where a job says.
        slots: How many jobs train here at once. Default: one for each core, or for each quarter
            of a card.
        threads: How many threads the numeric libraries of a slot use; default: the slot's cores.
        kind: Whose jobs these are, those for cards or those for processors; default: for cards
            where there are some.
        memory_bytes: A job is ended whose process has more memory than this for itself.
        worker_memory_bytes: A process above this resident size is replaced after its job.
        worker_jobs: A process is replaced after so many jobs.
        cache_bytes: How large the cache of examples may grow.
        grace_s: After SIGTERM trainings may take so long to end; then they are given back.
        heartbeat_s: After two of these without a word the broker takes this worker for dead.
        metrics_port: Where `/metrics` is served; none: nowhere.
        metrics_host: The address it is served on.
        alive_file: A file that is touched as long as this goes on, once the broker was there.
    """

    broker_url: SecretStr
    data: Path = Path("dicebox-data")
    blobs_url: str | None = None
    sensory_url: str | None = None
    slots: int | None = Field(default=None, ge=1, le=256)
    threads: int | None = Field(default=None, ge=1)
    kind: Device | None = None
    memory_bytes: int | None = Field(default=None, ge=1)
    worker_memory_bytes: int | None = Field(default=None, ge=1)
    worker_jobs: int | None = Field(default=40, ge=1)
    cache_bytes: int | None = Field(default=None, ge=1)
    grace_s: float = Field(default=8.0, ge=0.0)
    heartbeat_s: int = Field(default=10, ge=1)
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    metrics_host: str = "127.0.0.1"
    alive_file: Path | None = None


def main() -> None:
    """Train what comes, until SIGTERM or Ctrl-C; a second one does not wait for trainings."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("celery").setLevel(logging.WARNING)
    if parent := os.environ.get(_PARENT):
        end_with_parent(parent=int(parent))
    try:
        settings = settings_from_env(Settings, with_bare_names(os.environ))
    except InvalidInputError as error:
        sys.exit(f"trainer: {error}")
    for name, value in (
        ("SENSORY_URL", settings.sensory_url),
        ("CACHE_BYTES", settings.cache_bytes),
    ):
        if value is not None:
            # The processes that train find it there.
            os.environ[_PREFIX + name] = str(value)
    engine, code = create_engine(settings), 0
    try:
        run(settings, engine)
    except Exception:  # the outermost loop of this process
        _LOG.exception("this worker failed")
        code = _FAILED
    engine.close()
    logging.shutdown()
    # A thread that waits for a broker must not keep this process.
    os._exit(code)


def with_bare_names(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which settings by their bare names have their long names too."""
    return commons.settings.with_bare_names(environ, Settings.model_fields, _PREFIX)


def worker_name() -> str:
    """Return the name of this worker in the whole fleet."""
    return f"{platform.node() or 'machine'}-{os.getpid()}"


def create_engine(settings: Settings) -> LocalEngine:
    """Return what trains here, not yet begun."""
    cores, cards = usable_cores(), usable_cards()
    if settings.kind == "cpu":
        cards = ()
    slots = settings.slots or (min(cores, len(cards) * WORKERS_PER_CARD) if cards else cores)
    return LocalEngine(
        workers=slots,
        blobs_url=_blobs_url(settings),
        folder=(settings.data / "work").absolute(),
        threads=settings.threads or max(1, cores // slots),
        cards=cards,
        check_cards=True,
        worker_memory_bytes=settings.worker_memory_bytes,
        worker_jobs=settings.worker_jobs,
        memory_limit_bytes=settings.memory_bytes,
        recycle_after_failure=True,
        name=worker_name(),
    )


def run(settings: Settings, engine: Engine) -> None:
    """Hand the jobs of a queue to an engine, in the main thread of a process, until SIGTERM.

    Args:
        settings: As the environment says them.
        engine: Runs the jobs; has as many slots as its capacity; stays open.
    """
    clock, name = SystemClock(), worker_name()
    kind: Device = settings.kind or ("gpu" if usable_cards() else "cpu")
    app = create_celery(settings.broker_url.get_secret_value(), heartbeat_s=settings.heartbeat_s)
    metrics = _Metrics()
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, settings.metrics_host, metrics.registry)
    link = BrokerLink(
        app,
        clock=clock,
        # The desk needs the link: it is made after it.
        on_connected=lambda: desk.connected(),  # noqa: PLW0108
        on_fenced=lambda job: desk.fence(job),  # noqa: PLW0108
    )
    blobs = open_blobs(_blobs_url(settings))
    desk = JobDesk(engine, blobs, link, clock, name=name, observe=metrics.observe)
    presence = Presence(
        desk.table,
        desk.reports,
        link,
        name=name,
        kind=kind,
        machine=platform.node(),
        cpu=cpu_model(),
        card_of=engine.card_of if isinstance(engine, LocalEngine) else lambda _: None,
    )
    beat = HeartbeatFile(settings.alive_file).beat
    worker = JobWorker(app, desk, link.submit, name=name, kind=kind, beat=beat)
    saying = threading.Thread(target=presence.run, name="presence", daemon=True)
    _end_at_signals(desk, worker, settings.grace_s)
    link.listen(None, lambda _ask: presence.say(), exchange=ASKS)
    saying.start()
    print(f"trainer: {name} trains {desk.table.slots} jobs at once, of kind {kind}", flush=True)
    worker.run()
    presence.close()
    saying.join()
    link.close()


def _end_at_signals(desk: JobDesk, worker: JobWorker, grace_s: float) -> None:
    def drain() -> None:
        print("trainer: takes no more jobs, and waits for its trainings", flush=True)
        worker.consume_no_more()
        desk.drain(grace_s)
        worker.stop()

    draining = threading.Thread(target=drain, name="drain", daemon=True)

    def end(_number: int, _frame: FrameType | None) -> None:
        if draining.ident is None:
            draining.start()
        else:
            desk.hurry()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _blobs_url(settings: Settings) -> str:
    return settings.blobs_url or str((settings.data / "blobs").absolute())


class _Metrics:
    """What this worker counts, for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._results = Counter(
            "dicebox_results", "Jobs that ended here", ("outcome",), registry=self.registry
        )
        self._seconds = Histogram(
            "dicebox_job_seconds", "Seconds of a job", buckets=_SECONDS, registry=self.registry
        )
        self._waiting = Histogram(
            "dicebox_job_waiting_seconds",
            "Seconds from the submission of a job to its start here",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._busy = Counter(
            "dicebox_worker_busy_seconds",
            "Seconds that slots have trained, of all together",
            registry=self.registry,
        )

    def observe(self, result: JobResult, waited_s: float) -> None:
        """Count a result."""
        self._results.labels(result.outcome).inc()
        self._seconds.observe(result.seconds)
        self._waiting.observe(waited_s)
        self._busy.inc(result.seconds)

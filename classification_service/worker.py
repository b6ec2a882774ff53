"""A process that answers: connections come from the server, its parent, already accepted."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress

import uvloop
from flask_openapi3 import OpenAPI

from classification_service.adapters.http_host import HttpHost, NoHotRoute
from classification_service.adapters.wsgi_bridge import WsgiBridge
from classification_service.app import ClassificationService, Settings, create_service
from classification_service.bare_route import BareRoute
from classification_service.channel import BUSY, DRAIN, END, QUIET, READY
from commons.adapters.caller import CLASSIFICATION
from commons.adapters.clock import SystemClock
from commons.adapters.garbage import spare_started
from commons.adapters.opening_app import OpeningApp
from commons.adapters.request_log import configure_logs
from commons.adapters.shared_counts import never_fork
from commons.errors import DiceboxError
from commons.settings import settings_from_env

_REPORT_S = 0.05
_MOST_AT_ONCE = 64
# A thread that asks a network must not keep the loop from the interpreter for long.
_SWITCH_S = 0.0001
_FILES = f"{CLASSIFICATION}/network-files/"


class Worker:
    """Serves what comes through the channel, until the server says that nothing more will.

    Args:
        host: Serves connections.
        channel: To the server; it closes if that is gone.
        stopping: Called when the server says that it ends.
    """

    def __init__(
        self, host: HttpHost, channel: socket.socket, stopping: Callable[[], object]
    ) -> None:
        self._host = host
        self._channel = channel
        self._stopping = stopping
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Return when everything is answered after the server's last word."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel, self._hear)
        sweeping = loop.create_task(self._host.sweep())
        self._channel.send(READY)
        await self._ended.wait()
        loop.remove_reader(self._channel)
        while self._host.open_connections or self._tasks:
            await asyncio.sleep(_REPORT_S)
        sweeping.cancel()

    def _hear(self) -> None:
        # All that is there: a server that finds the channel full has to wait.
        while self._heard():
            pass

    def _heard(self) -> bool:
        """Take one word of the server; say whether there may be more."""
        try:
            said, files, _, _ = socket.recv_fds(self._channel, 1, 1)
        except BlockingIOError:
            return False
        except ConnectionError:
            said, files = b"", []
        for file in files:
            self._keep(self._host.adopt(socket.socket(fileno=file)))
        if said in {b"", DRAIN, END}:
            self._drain()
        if said in {b"", END}:
            self._ended.set()
        return bool(said)

    def _drain(self) -> None:
        if self._host.is_draining:
            return
        self._stopping()
        self._host.is_draining = True
        self._keep(self._report())

    async def _report(self) -> None:
        """Tell the server, until it ends this, whether anything is open here."""
        while not self._ended.is_set():
            with suppress(BlockingIOError, ConnectionError):
                self._channel.send(BUSY if self._host.open_connections else QUIET)
            await asyncio.sleep(_REPORT_S)

    def _keep(self, work: Coroutine[object, object, None]) -> None:
        # The loop alone would forget it.
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Opening:
    """The service of this process, which may have to wait for its database.

    Args:
        settings: What an operator set.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.app = OpeningApp(self._create, (CLASSIFICATION,))
        self.made: Future[ClassificationService] = Future()

    @property
    def service(self) -> ClassificationService | None:
        """The service, once there is one."""
        return self.made.result() if self.made.done() else None

    def stop(self) -> None:
        """Have readiness fail."""
        if self.service is not None:
            self.service.is_stopping.set()

    def _create(self) -> OpenAPI:
        service = create_service(self._settings)
        service.metrics.is_patient = True
        service.start_watching()
        spare_started()
        self.made.set_result(service)
        return service.app


async def serve(opening: Opening, settings: Settings, channel: socket.socket) -> None:
    """Serve the connections that come through a channel; the hot route as soon as it can be."""
    loop = asyncio.get_running_loop()

    def most_bytes(path: str) -> int:
        is_file = path.startswith(_FILES)
        return settings.max_network_file_bytes if is_file else settings.max_body_bytes

    host = HttpHost(loop, NoHotRoute(), WsgiBridge(opening.app), most_bytes)

    def open_hot(service: ClassificationService) -> None:
        route = BareRoute(
            service.answerer,
            service.guard,
            service.metrics,
            SystemClock(),
            logs_all=settings.log_classifications,
        )
        host.open(route, service.metrics.count_refusal)

    if opening.service is not None:
        open_hot(opening.service)
    else:
        opening.made.add_done_callback(
            lambda made: loop.call_soon_threadsafe(open_hot, made.result())
        )
    await Worker(host, channel, opening.stop).run()


def main() -> None:
    """Serve what the parent accepts, until it says or is gone."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.setblocking(False)
    # The server hears them and tells its workers; a terminal sends them to all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH_S)
    configure_logs()
    never_fork()
    settings = settings_from_env(Settings, os.environ)
    opening = Opening(settings)
    try:
        opening.app.begin()
    except DiceboxError as error:
        sys.exit(f"classification_service: {error}")
    uvloop.run(serve(opening, settings, channel))
    if opening.service is not None:
        opening.service.metrics.write()
        opening.service.recorder.close()
    # Threads that still wait for somebody else have nobody to answer.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

"""A process that answers: connections come from the server, its parent, already accepted."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress

import uvloop

from classification_service.adapters.http_host import HttpHost
from classification_service.adapters.wsgi_bridge import WsgiBridge
from classification_service.app import ClassificationService, Settings, create_service
from classification_service.bare_route import BareRoute
from classification_service.channel import BUSY, DRAIN, END, QUIET, READY
from commons.adapters.caller import CLASSIFICATION
from commons.adapters.clock import SystemClock
from commons.adapters.garbage import spare_started
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
        service: What is served.
        host: Serves connections.
        channel: To the server; it closes if that is gone.
    """

    def __init__(
        self, service: ClassificationService, host: HttpHost, channel: socket.socket
    ) -> None:
        self._service = service
        self._host = host
        self._channel = channel
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
        self._service.is_stopping.set()
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


async def serve(service: ClassificationService, settings: Settings, channel: socket.socket) -> None:
    """Serve the connections that come through a channel."""
    route = BareRoute(
        service.answerer,
        service.guard,
        service.metrics,
        SystemClock(),
        logs_all=settings.log_classifications,
    )

    def most_bytes(path: str) -> int:
        is_file = path.startswith(_FILES)
        return settings.max_network_file_bytes if is_file else settings.max_body_bytes

    host = HttpHost(
        asyncio.get_running_loop(),
        route,
        WsgiBridge(service.app),
        most_bytes,
        count=service.metrics.count_refusal,
    )
    await Worker(service, host, channel).run()


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
    try:
        service = create_service(settings)
    except DiceboxError as error:
        sys.exit(f"classification_service: {error}")
    service.metrics.is_patient = True
    service.start_watching()
    spare_started()
    uvloop.run(serve(service, settings, channel))
    service.metrics.write()
    service.recorder.close()
    # Threads that still wait for somebody else have nobody to answer.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

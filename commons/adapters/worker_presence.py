"""What a worker says of itself and of its trainings, unasked: beats and reports."""

import threading
from collections.abc import Callable
from typing import Protocol

from commons.adapters.desk_table import DeskTable
from commons.errors import TooLargeError, UnavailableError
from commons.fleet import BEATS, Report, Word, WorkerBeat
from commons.jobs import Device
from commons.ports import Engine

# Reports are sent on, and changes announced, at most so often.
_ROUND_S = 0.2


class Voice(Protocol):
    """What this needs of the broker.

    Both raise `UnavailableError` while it is away, and `TooLargeError` for a word above
    `commons.fleet.MOST_BYTES`.
    """

    def tell(self, queue: str, word: Word) -> bool:
        """Send a word to a queue; say whether there is such a queue."""
        ...

    def announce(self, exchange: str, word: Word) -> None:
        """Send a word to whoever listens."""
        ...


class JobReports:
    """Sends on what trainings report, of each the newest word alone.

    Args:
        name: Of the worker; its slots are `name/1` and so on.
    """

    def __init__(self, engine: Engine, voice: Voice, table: DeskTable, name: str) -> None:
        self._name = name
        self._engine = engine
        self._voice = voice
        self._table = table
        self._lock = threading.Lock()
        self._seen = 0

    def forward(self) -> None:
        """Send on what was reported since the last call; while the broker is away it is lost."""
        with self._lock:
            newest = {event.job: event for event in self._engine.events(self._seen)}
            self._seen = max((event.sequence for event in newest.values()), default=self._seen)
            for job, event in newest.items():
                slot, replies = self._table.of(job) or (0, [])
                worker = f"{self._name}/{slot}"
                word = Report(job=job, worker=worker, time=event.time, data=event.data)
                for reply_to in replies:
                    try:
                        self._voice.tell(reply_to, word)
                    except TooLargeError:
                        continue
                    except UnavailableError:
                        return


class Presence:
    """Says how a worker is, on a thread of its own.

    Args:
        name: Of the worker, in the whole fleet.
        kind: Of the queue that it consumes.
        machine: Its name.
        cpu: The name of its processor.
        every_s: The longest time between two beats.
        card_of: Returns the card on which a job trains.
    """

    def __init__(
        self,
        table: DeskTable,
        reports: JobReports,
        voice: Voice,
        *,
        name: str,
        kind: Device,
        machine: str,
        cpu: str,
        every_s: float = 2.0,
        card_of: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._table = table
        self._reports = reports
        self._voice = voice
        self._name = name
        self._kind = kind
        self._machine = machine
        self._cpu = cpu
        self._every_s = every_s
        self._card_of = card_of
        self._started = table.clock.now()
        self._closed = threading.Event()

    def beat(self) -> WorkerBeat:
        """Return what this worker is and does."""
        now, tally = self._table.clock.now(), self._table.tally()
        minutes = max(1.0, min(60.0, now - self._started)) / 60.0
        return WorkerBeat(
            name=self._name,
            machine=self._machine,
            kind=self._kind,
            cpu=self._cpu,
            slots=tuple(
                slot.model_copy(update={"card": self._card_of(slot.job)}) if slot.job else slot
                for slot in self._table.states()
            ),
            started=self._started,
            time=now,
            every_s=self._every_s,
            done=tally.done,
            failed=tally.failed,
            seconds_busy=tally.seconds_busy,
            per_minute=self._table.ended_in_last_minute() / minutes,
            last_failure=tally.last_failure,
            leaving=self._table.draining,
        )

    def say(self) -> None:
        """Announce a beat; while the broker is away nobody hears it."""
        try:
            self._voice.announce(BEATS, self.beat())
        except UnavailableError:
            return

    def run(self) -> None:
        """Say beats and send on reports until it is closed."""
        clock, due = self._table.clock, 0.0
        while not self._closed.is_set():
            if self._table.jobs():
                self._reports.forward()
            if self._table.changed.is_set() or clock.monotonic() >= due:
                self._table.changed.clear()
                due = clock.monotonic() + self._every_s
                self.say()
            self._closed.wait(_ROUND_S)
        self.say()

    def close(self) -> None:
        """Have `run` end, with a last beat."""
        self._closed.set()

"""What a service stands on, asked for its `readyz`: each part on its own, and none for long."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from commons.adapters.file_blobs import FileBlobs
from commons.errors import DiceboxError, StorageFullError
from commons.ports import Blobs

# Returns if a part answers; a `DiceboxError` says what is wrong with it.
Check = Callable[[], object]
_PATIENCE_S = 2.0
_PROBED_EVERY_S = 10.0
# Two parts ask for it; whoever makes room again is not to wait.
_FAULT_KEPT_S = 0.5
_LOG = logging.getLogger(__name__)


class Readiness:
    """Says what does not answer, with the reason.

    All are asked at once, each in a thread of its own: a part that hangs keeps nobody from
    hearing of the others. Who asks while one is being asked waits for that very answer.

    Args:
        checks: By the names that people see.
        patience_s: For so long an answer is waited for.
    """

    def __init__(self, checks: Mapping[str, Check], patience_s: float = _PATIENCE_S) -> None:
        self._checks = checks
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._asked: dict[str, _Answer] = {}

    def missing(self) -> dict[str, str]:
        """Return what is missing, name to reason; empty when all is there."""
        until = time.monotonic() + self._patience_s
        answers = {name: self._ask(name, check) for name, check in self._checks.items()}
        faults = {name: answer.fault_by(until) for name, answer in answers.items()}
        return {name: fault for name, fault in faults.items() if fault is not None}

    def _ask(self, name: str, check: Check) -> "_Answer":
        with self._lock:
            answer = self._asked.get(name)
            if answer is None or answer.came.is_set():
                answer = self._asked[name] = _Answer(check)
                ask = threading.Thread(target=answer.ask, name=f"ready-{name}", daemon=True)
                ask.start()
            return answer


@dataclass
class _Answer:
    """What a part says, as soon as it does."""

    check: Check
    asked_at: float = field(default_factory=time.monotonic)
    came: threading.Event = field(default_factory=threading.Event)
    fault: str | None = None

    def ask(self) -> None:
        """Wait for the answer."""
        try:
            self.check()
        except DiceboxError as error:
            self.fault = str(error)
        except Exception as error:  # the outermost frame of its thread
            _LOG.exception("a part of this service could not be asked")
            self.fault = f"internal error: {type(error).__name__}: {error}"
        finally:
            self.came.set()

    def fault_by(self, until: float) -> str | None:
        """Return what is wrong, as far as that is known by then."""
        if self.came.wait(max(0.0, until - time.monotonic())):
            return self.fault
        return f"no answer for {time.monotonic() - self.asked_at:.0f} s"


def blob_checks(blobs: Blobs) -> dict[str, Check]:
    """Return `blobs`, whether they can be read and written, and `room`, whether more fit in.

    Where they are files, one is written now and then to find out. Nobody is asked how much room
    there is in a bucket.
    """
    probe = _Probe(blobs)

    def check_blobs() -> None:
        blobs.exists("images/none")
        fault = probe.fault()
        if fault is not None and not isinstance(fault, StorageFullError):
            raise fault

    def check_room() -> None:
        fault = probe.fault()
        if isinstance(fault, StorageFullError):
            raise fault

    return {"blobs": check_blobs, "room": check_room}


class _Probe:
    """Knows whether a file could be written a moment ago."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._fault: DiceboxError | None = None
        self._until = 0.0

    def fault(self) -> DiceboxError | None:
        """Return why not, if not."""
        if not isinstance(self._blobs, FileBlobs):
            return None
        with self._lock:
            if time.monotonic() >= self._until:
                self._fault = self._tried(self._blobs)
                kept_s = _PROBED_EVERY_S if self._fault is None else _FAULT_KEPT_S
                self._until = time.monotonic() + kept_s
            return self._fault

    @staticmethod
    def _tried(blobs: FileBlobs) -> DiceboxError | None:
        try:
            blobs.probe()
        except DiceboxError as error:
            return error
        return None

"""The machine's own clock."""

import time


class SystemClock:
    """`commons.ports.Clock` on the standard library."""

    def now(self) -> float:
        """Return the wall-clock time in unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        time.sleep(seconds)

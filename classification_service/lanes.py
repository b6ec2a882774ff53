"""The threads in which networks are asked: whoever waits for the same network goes together."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from classification_service.questions import Question

Done = Callable[[], object]


class Lanes:
    """Some threads that take what waits, first come first served, together what belongs together.

    Nothing waits for others to come: a free lane takes what is there.

    Args:
        serve: Answers questions of one group; it never raises.
        count: How many threads; they start with the first questions.
    """

    def __init__(self, serve: Callable[[Sequence[Question]], None], count: int = 1) -> None:
        self._serve = serve
        self._count = count
        self._waiting: deque[tuple[Question, Done]] = deque()
        self._changed = threading.Condition()
        self._started = 0

    def submit(self, question: Question, done: Done) -> None:
        """Have a question answered; `done` is called in the lane's thread right after."""
        with self._changed:
            self._waiting.append((question, done))
            if self._started < self._count:
                self._started += 1
                name = f"lane-{self._started}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                taken = self._take()
            self._serve([question for question, _ in taken])
            for _, done in taken:
                done()

    def _take(self) -> list[tuple[Question, Done]]:
        """Take the first who waits, and those of its group that may go with it."""
        first = self._waiting[0][0]
        taken: list[tuple[Question, Done]] = []
        left: deque[tuple[Question, Done]] = deque()
        for entry in self._waiting:
            fits = len(taken) < first.seats and entry[0].group == first.group
            (taken if fits else left).append(entry)
        self._waiting = left
        return taken

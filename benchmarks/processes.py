"""Watches a process with all its descendants: how large they are, and who holds TensorFlow."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]

EVERY_S = 0.25


@dataclass(frozen=True)
class Sample:
    """The size of a process tree at one moment; `mark` is what the observer was told last."""

    seconds: float
    bytes: int
    processes: int
    mark: int


def tree(root: int) -> list[psutil.Process]:
    """Return a process with its descendants; nothing once it is gone."""
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def resident_bytes(process: psutil.Process) -> int:
    """Return the proportional set size: pages that several processes share are counted once.

    Where the system does not tell it is the resident size, which counts them for each.
    """
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", 0) or memory.rss)
    return 0


def holds_tensorflow(pid: int) -> bool:
    """Say whether TensorFlow's library is in a process's address space (Linux)."""
    try:
        return "libtensorflow" in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except OSError:  # it is gone
        return False


class Sampler(ABC):
    """Looks at something again and again from a thread, as a context manager."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)

    def __enter__(self) -> Self:
        """Start to sample."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more samples."""
        self._ended.set()
        self._thread.join()

    @abstractmethod
    def _sample(self, seconds: float) -> None:
        """Look once; `seconds` have passed since the first moment."""

    def _watch(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(self._every_s):
            self._sample(time.monotonic() - started)


class Observer(Sampler):
    """Samples a process tree.

    Args:
        root: The process at its top.
        every_s: Seconds between two samples.
        size: How large one process is.
    """

    def __init__(
        self,
        root: int,
        every_s: float = EVERY_S,
        size: Callable[[psutil.Process], int] = resident_bytes,
    ) -> None:
        super().__init__(every_s)
        self.samples: list[Sample] = []
        self.trainers: set[int] = set()
        self.mark = 0
        self._root = root
        self._size = size

    def peak_bytes(self, chosen: Callable[[Sample], bool] = lambda _: True) -> int | None:
        """Return the largest size among some samples, None if there are none."""
        return max((sample.bytes for sample in self.samples if chosen(sample)), default=None)

    def _sample(self, seconds: float) -> None:
        mark = self.mark
        processes = tree(self._root)
        size = sum(self._size(process) for process in processes)
        self.samples.append(Sample(seconds, size, len(processes), mark))
        self.trainers |= {
            process.pid
            for process in processes
            if process.pid not in self.trainers and holds_tensorflow(process.pid)
        }

"""Sees to it that a child process does not outlive its parent."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_POLL_S = 0.5


def end_with_parent(
    with_signal: signal.Signals = signal.SIGKILL, *, parent: int | None = None
) -> None:
    """Have `with_signal` sent to this process when its parent is gone, however that ended.

    Args:
        with_signal: What ends this process.
        parent: The parent's process id, as it said it itself: this process may be so late that
            it has another one by now. A child of `multiprocessing` knows it anyway.
    """
    started_by = multiprocessing.parent_process()
    parent = parent or (started_by.pid if started_by else None) or os.getppid()
    if sys.platform == "linux":
        # The kernel does it even while C code holds the interpreter.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, with_signal)
        if os.getppid() != parent:
            os.kill(os.getpid(), with_signal)
        return
    threading.Thread(target=_watch, args=(parent, with_signal), daemon=True).start()


def _watch(parent: int, with_signal: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os.kill(os.getpid(), with_signal)

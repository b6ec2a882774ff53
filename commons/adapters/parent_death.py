"""Sees to it that a child process does not outlive its parent."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_POLL_S = 0.5


def end_with_parent(with_signal: signal.Signals = signal.SIGKILL) -> None:
    """Have `with_signal` sent to this process when its parent is gone, however that ended."""
    parent = os.getppid()
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

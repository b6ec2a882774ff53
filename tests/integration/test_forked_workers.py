"""Workers of a server that forks are told to end before they have begun to serve."""

import os
import signal
import subprocess
import sys

import pytest

# A server that only notes that it is to end, as Granian does, and a worker that starts for long.
SERVER = """
import os, signal, sys, time
from commons.adapters.forked_workers import end_while_starting
signal.signal(signal.SIGTERM, lambda *_: None)
if sys.argv[1] == "told":
    end_while_starting()
worker = os.fork()
if worker == 0:
    time.sleep(float(sys.argv[2]))
    os._exit(7)
os.kill(os.getpid(), signal.SIGTERM)
os.kill(worker, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
"""


@pytest.mark.parametrize(
    ("how", "seconds", "code"), [("told", 30, -signal.SIGTERM), ("not told", 1, 7)]
)
def test_a_worker_that_is_told_to_end_while_it_starts_does(
    how: str, seconds: int, code: int
) -> None:
    command = [sys.executable, "-c", SERVER, how, str(seconds)]
    ran = subprocess.run(
        command, env=os.environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert int(ran.stdout) == code

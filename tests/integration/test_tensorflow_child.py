"""The process on TensorFlow that a worker on another backend starts."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.dicebox_processes import is_alive

pytestmark = pytest.mark.integration

PARENT = """
import os, subprocess, sys
command = [sys.executable, "-m", "trainer.tensorflow_child", sys.argv[1], str(os.getpid())]
child = subprocess.Popen(command)
print(child.pid, flush=True)
child.wait()
"""


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    # Without a writer it would read its request for ever.
    os.mkfifo(tmp_path / "request.json")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20.0
    while is_alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)

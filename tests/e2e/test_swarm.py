"""The stack on a real engine: images, deployment, load, an update, an end and a new start.

`make swarm-test` does far more of it, and with NODES=3 on three nodes; this is its short form.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.frame import REPOSITORY, WORK
from benchmarks.swarm_engine import is_installed
from tests.servers import missing_program

# Minutes, most of them the building of images.
pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.campaign]
_ROOM = 12e9


@pytest.fixture
def folder() -> Path:
    """Give where it is done; the layers of images stay there for the next time."""
    if os.geteuid() != 0:
        pytest.skip("engines and network namespaces need root")
    if not Path("/etc/debian_version").exists():
        pytest.skip("the base image is made of Debian's packages, by debootstrap")
    if subprocess.run(["unshare", "--mount", "--net", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount and make network namespaces")
    if not is_installed():
        missing_program("dockerd")
    for program in ("debootstrap", "ip"):
        if shutil.which(program) is None:
            missing_program(program)
    folder = WORK / "swarm-short"
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < _ROOM:
        pytest.skip(f"less than {_ROOM / 1e9:.0f} GB are free")
    return folder


def test_the_stack_is_deployed_loaded_updated_and_comes_back_with_all_data(folder, tmp_path):
    report = tmp_path / "swarm.json"
    without = ["--without", "trainer", "--without", "evolver"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.swarm", "--folder", folder, *without),
            *("all", "--short", "--json", report),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    steps = json.loads(report.read_text())["details"]["steps"]
    assert steps["freeze and order"]["note"].endswith("examples")
    assert steps["update classification_service"]["requests"] > 1000
    assert steps["update classification_service"]["failed"] == 0
    assert {name: step["lost"] for name, step in steps.items() if step["lost"]} == {}
    assert steps["what is left"]["note"] == "nothing"

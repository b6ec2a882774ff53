"""The pure modules of the page, by Node's own test runner."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import kill_group

TESTS = sorted((Path(__file__).parents[1] / "web").glob("*.test.mjs"))


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name.split(".")[0])
def test_a_module_does_what_its_tests_say(file: Path) -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    command = [node, "--test", "--test-reporter=tap", file]
    # The file runs in a process of its own behind node's, which would outlive it.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        said = process.communicate(timeout=120)[0].decode()
    finally:
        kill_group(process)
    assert process.returncode == 0, said
    # A file whose tests were never defined passes too.
    tests = re.search(r"^# pass (\d+)$", said, re.MULTILINE)
    assert tests is not None, said
    assert int(tests.group(1)) > 0, said

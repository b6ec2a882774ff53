"""The pure modules of the page, by Node's own test runner."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted((Path(__file__).parents[1] / "web").glob("*.test.mjs"))


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name.split(".")[0])
def test_a_module_does_what_its_tests_say(file: Path) -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is not installed")
        pytest.skip("node is not installed")
    ran = subprocess.run(
        [node, "--test", "--test-reporter=tap", file],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # A file whose tests were never defined passes too.
    tests = re.search(r"^# pass (\d+)$", ran.stdout, re.MULTILINE)
    assert tests is not None, ran.stdout
    assert int(tests.group(1)) > 0, ran.stdout

import zipfile
from pathlib import Path

import pytest

from benchmarks.peers import Peer, environment_of, run_peer
from commons.errors import DiceboxError, InvalidInputError, UnavailableError

ECHO = """
import json, os, sys
print("what a library says")
print(json.dumps({"said": sys.argv[1:], "prefix": sys.prefix, "threads": os.environ["THREADS"]}))
"""


def peer(folder: Path, script: str, requirements: tuple[str, ...] = ()) -> Peer:
    file = folder / "script.py"
    file.write_text(script, encoding="utf-8")
    return Peer("A peer", requirements, file, {"THREADS": "1"})


def wheel(folder: Path) -> Path:
    file = folder / "lonely-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("lonely.py", "ANSWER = 42\n")
        info = "lonely-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: lonely\nVersion: 1.0\n")
        wheel_file = (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/WHEEL", wheel_file)
        archive.writestr(f"{info}/RECORD", "")
    return file


def test_a_peer_runs_in_its_own_environment_and_prints_its_figures(tmp_path: Path) -> None:
    found = run_peer(peer(tmp_path, ECHO), ["--seed", "3"], tmp_path / "work", 30)
    assert found["said"] == ["--seed", "3"]
    assert found["threads"] == "1"
    assert Path(found["prefix"]).is_relative_to(tmp_path / "work")


def test_an_environment_is_made_once_and_again_if_it_was_not_finished(tmp_path: Path) -> None:
    python = environment_of(peer(tmp_path, ECHO), tmp_path)
    folder = python.parents[1]
    (folder / "mine").touch()
    assert environment_of(peer(tmp_path, ECHO), tmp_path) == python
    assert (folder / "mine").exists()
    (folder / "requirements.txt").unlink()
    environment_of(peer(tmp_path, ECHO), tmp_path)
    assert not (folder / "mine").exists()


@pytest.mark.integration  # pip takes its seconds
def test_a_peer_gets_what_it_requires_and_we_do_not(tmp_path: Path) -> None:
    script = "import json, lonely; print(json.dumps({'answer': lonely.ANSWER}))"
    asked = peer(tmp_path, script, (str(wheel(tmp_path)),))
    assert run_peer(asked, [], tmp_path / "work", 30) == {"answer": 42}
    with pytest.raises(ImportError):
        __import__("lonely")


def test_what_is_not_pinned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="keras-tuner>=1"):
        environment_of(peer(tmp_path, ECHO, ("numpy==2.0.0", "keras-tuner>=1")), tmp_path)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import sys; sys.exit('no data')", "no data"),
        ("print('done')", "expected a JSON object as the last line, got 'done'"),
        ("print([1])", "expected a JSON object"),
        ("", "expected a JSON object as the last line, got ''"),
    ],
)
def test_a_peer_that_fails_says_why(tmp_path: Path, script: str, says: str) -> None:
    with pytest.raises(DiceboxError, match=says):
        run_peer(peer(tmp_path, script), [], tmp_path / "work", 30)


def test_a_peer_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"longer than 0\.2 s"):
        run_peer(peer(tmp_path, "import time; time.sleep(60)"), [], tmp_path / "work", 0.2)

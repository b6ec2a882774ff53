"""What a blob's writer promises, on a disk that forgets whatever was not synced."""

from contextlib import suppress
from pathlib import Path

import pytest

from commons.adapters.file_blobs import FileBlobs
from tests.forgetful_files import ForgetfulFiles, PowerLossError

ROOT = Path("/data/blobs")
NAMES = ["images/ab/cd/one", "images/ab/cd/two", "images/ab/ef/three", "one"]
DATA = b"0123456789"


def put_all(files: ForgetfulFiles, names: list[str] = NAMES) -> list[str]:
    """Store blobs until the power goes and return those that were acknowledged."""
    files.make_folder(ROOT.parent)
    files.durable.add(ROOT.parent)
    blobs, acknowledged = FileBlobs(ROOT, files), []
    with suppress(PowerLossError):
        for name in names:
            blobs.put(name, DATA)
            acknowledged.append(name)
    return acknowledged


def is_kept(files: ForgetfulFiles, acknowledged: list[str]) -> bool:
    """Say whether all acknowledged blobs are there and none is torn, with luck and without."""
    for lucky in (False, True):
        there = files.after_power_loss(lucky_names=lucky)
        whole = {name: there.get(ROOT / name) for name in NAMES}
        if any(whole[name] != DATA for name in acknowledged):
            return False
        if any(data not in (None, DATA) for data in whole.values()):
            return False
    return True


def total_steps() -> int:
    files = ForgetfulFiles()
    assert put_all(files) == NAMES
    return files.steps


def test_nothing_acknowledged_is_lost_wherever_the_power_goes() -> None:
    counts = set()
    for steps in range(1, total_steps() + 1):
        files = ForgetfulFiles(steps_left=steps)
        acknowledged = put_all(files)
        counts.add(len(acknowledged))
        assert is_kept(files, acknowledged), steps
    assert counts == {0, 1, 2, 3, 4}


def test_a_second_writer_makes_durable_what_a_killed_one_left() -> None:
    for steps in range(1, total_steps() + 1):
        files = ForgetfulFiles(steps_left=steps)
        put_all(files)
        files.steps_left = 1 << 30  # the process died, not the machine
        assert put_all(files) == NAMES
        assert is_kept(files, NAMES), steps


def syncs() -> int:
    files = ForgetfulFiles()
    put_all(files)
    return files.syncs


@pytest.mark.parametrize("lost", range(syncs()))
def test_without_any_one_of_its_syncs_something_is_lost(lost: int) -> None:
    kept = []
    for steps in range(1, total_steps() + 1):
        files = ForgetfulFiles(steps_left=steps, lost_sync=lost)
        kept.append(is_kept(files, put_all(files)))
    assert not all(kept)

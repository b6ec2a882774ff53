"""What a blob's writer promises, on a disk that forgets whatever was not synced."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from commons.adapters.file_blobs import FileBlobs
from tests.forgetful_files import ForgetfulFiles, PowerLossError

ROOT = Path("/data/blobs")
NAMES = ["images/ab/cd/one", "images/ab/cd/two", "images/ab/ef/three", "one"]
ONE_BY_ONE = [NAMES[:1], NAMES[1:2], NAMES[2:3], NAMES[3:]]
IN_GROUPS = [NAMES[:3], NAMES[3:]]
DATA = b"0123456789"


def put_all(files: ForgetfulFiles, groups: list[list[str]]) -> list[str]:
    """Store blobs, in groups, until the power goes and return those that were acknowledged."""
    files.make_folder(ROOT.parent)
    files.durable.add(ROOT.parent)
    blobs, acknowledged = FileBlobs(ROOT, files, threads=1), []
    with suppress(PowerLossError):
        for names in groups:
            blobs.put_many([(name, DATA) for name in names])
            acknowledged += names
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


def whole(groups: list[list[str]]) -> ForgetfulFiles:
    files = ForgetfulFiles()
    assert set(put_all(files, groups)) == set(NAMES)
    return files


@pytest.mark.parametrize("groups", [ONE_BY_ONE, IN_GROUPS])
def test_nothing_acknowledged_is_lost_wherever_the_power_goes(
    groups: list[list[str]], tell: Callable[[str], None]
) -> None:
    counts, losses = set(), whole(groups).steps
    for steps in range(1, losses + 1):
        files = ForgetfulFiles(steps_left=steps)
        acknowledged = put_all(files, groups)
        counts.add(len(acknowledged))
        assert is_kept(files, acknowledged), steps
    assert counts == {sum(map(len, groups[:number])) for number in range(len(groups) + 1)}
    tell(f"power lost at each of {losses} steps, no acknowledged blob lost, none torn")


@pytest.mark.parametrize("groups", [ONE_BY_ONE, IN_GROUPS])
def test_a_second_writer_makes_durable_what_a_killed_one_left(
    groups: list[list[str]], tell: Callable[[str], None]
) -> None:
    kills = whole(groups).steps
    for steps in range(1, kills + 1):
        files = ForgetfulFiles(steps_left=steps)
        put_all(files, groups)
        files.steps_left = 1 << 30  # the process died, not the machine
        assert set(put_all(files, groups)) == set(NAMES)
        assert is_kept(files, NAMES), steps
    tell(f"writer killed at each of {kills} steps, all {len(NAMES)} blobs durable by the next")


@pytest.mark.parametrize("groups", [ONE_BY_ONE, IN_GROUPS])
def test_without_any_one_of_its_syncs_something_is_lost(
    groups: list[list[str]], tell: Callable[[str], None]
) -> None:
    losses, syncs, least = whole(groups).steps, whole(groups).syncs, []
    for lost in range(syncs):
        kept = []
        for steps in range(1, losses + 1):
            files = ForgetfulFiles(steps_left=steps, lost_sync=lost)
            kept.append(is_kept(files, put_all(files, groups)))
        assert not all(kept), f"nobody needs sync {lost} of {syncs}"
        least.append(kept.count(False))
    tell(
        f"each of {syncs} syncs left out alone: damage at {min(least)} to {max(least)} of "
        f"{losses} steps at which the power goes"
    )

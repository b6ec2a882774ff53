from pathlib import Path

import pytest

from commons.adapters import local_tables
from commons.adapters.local_tables import file_system, tables_url
from commons.errors import InvalidInputError

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:40 / /mnt rw - tmpfs tmpfs rw
31 30 0:41 / /mnt/shared\\040data rw,noatime - nfs4 10.0.0.1:/ rw,vers=4.1
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/dicebox-data", "ext4"),
        ("/mnt/data", "tmpfs"),
        ("/mnt/shared data/a/b", "nfs4"),
        ("/mnt/shared data", "nfs4"),
        ("/mnt/shared", "tmpfs"),
    ],
)
def test_the_innermost_mount_says_the_file_system(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_of_two_mounts_on_one_place_the_later_one_counts() -> None:
    assert file_system(Path("/a"), MOUNTS + "40 21 0:50 / / rw - cifs //host/a rw") == "cifs"


def test_tables_are_never_kept_in_sqlite_on_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"21 1 8:1 / {tmp_path} rw - nfs4 host:/ rw\n")
    monkeypatch.setattr(local_tables, "_MOUNTS", mounts)
    with pytest.raises(InvalidInputError, match=r"nfs4.*DICEBOX_DATABASE_URL"):
        tables_url(None, tmp_path / "tables.sqlite3")
    assert tables_url("postgresql://host/name", tmp_path / "x") == "postgresql://host/name"


def test_several_replicas_never_have_a_sqlite_file_each(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"REPLICAS is 2.*DICEBOX_DATABASE_URL"):
        tables_url(None, tmp_path / "tables.sqlite3", replicas=2)
    assert tables_url(None, tmp_path / "tables.sqlite3").startswith("sqlite:///")

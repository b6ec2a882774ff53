"""Says where a service's tables are, and refuses places where SQLite would lose data."""

from pathlib import Path

from commons.adapters.database import sqlite_url
from commons.errors import InvalidInputError

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"),
    *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.juicefs", "beegfs"),
)


def tables_url(database_url: str | None, file: Path, replicas: int = 1) -> str:
    """Return the URL of a service's database: the one that is set, or a SQLite file.

    Args:
        database_url: What a person set.
        file: Where the SQLite file is otherwise.
        replicas: Machines that run this service at the same time.

    Raises:
        InvalidInputError: The file would be shared by machines, where locks do not hold.
    """
    if database_url:
        return database_url
    if replicas > 1:
        raise InvalidInputError(
            f"DICEBOX_REPLICAS is {replicas}: several replicas share one database, "
            "DICEBOX_DATABASE_URL is not set",
            kind="invalid-settings",
        )
    mounts = _MOUNTS.read_text(encoding="utf-8") if _MOUNTS.exists() else ""
    kind = file_system(file.absolute(), mounts)
    if kind in _NETWORK:
        raise InvalidInputError(
            f"{file.parent} is on a network file system ({kind}), where SQLite loses data: "
            "set DICEBOX_DATABASE_URL, or DICEBOX_DATA to a local folder",
            kind="invalid-settings",
        )
    return sqlite_url(file)


def file_system(path: Path, mounts: str) -> str | None:
    """Return the type of the file system that holds a path, by the text of `mountinfo`."""
    found, depth = None, -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        # What is mounted later hides what was there.
        if path.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = after.split()[0], len(point.parts)
    return found

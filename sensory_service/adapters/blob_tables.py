"""Which blobs there should be, from the tables."""

import sqlalchemy
from sqlalchemy import select

from commons.adapters.database import reading
from commons.messages import SnapshotState
from sensory_service.adapters.snapshot_tables import find_snapshot
from sensory_service.adapters.tables import IMAGE, PACKED, PURGED, SHARD


class BlobTables:
    """`sensory_service.ports.BlobCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def hashes(self, kind: str, prefix: str) -> list[str]:
        """Return the hashes of the images, packs or shards that start with some digits."""
        columns = {"images": IMAGE.c.sha256, "packs": PACKED.c.pack, "shards": SHARD.c.sha256}
        column = columns[kind]
        # `g` comes after every hexadecimal digit.
        query = select(column).distinct().where(column >= prefix, column < prefix + "g")
        if kind == "images":
            erased = select(PURGED.c.image).where(PURGED.c.done.is_not(None))
            query = query.where(column.not_in(erased))
        with reading(self._database) as connection:
            return [str(sha256) for sha256 in connection.execute(query).scalars()]

    def snapshot(self, snapshot: str) -> SnapshotState:
        """Return what became of a snapshot."""
        with reading(self._database) as connection:
            row = find_snapshot(connection, snapshot)
        return SnapshotState(id=row.id, purged=row.purged or 0, packed=row.packed is not None)

    def unfinished(self) -> list[str]:
        """Return the images whose erasure began and did not end."""
        query = select(PURGED.c.image).where(PURGED.c.done.is_(None)).order_by(PURGED.c.image)
        with reading(self._database) as connection:
            return [str(image) for image in connection.execute(query).scalars()]

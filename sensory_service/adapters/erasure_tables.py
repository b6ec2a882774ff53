"""What holds an image, in tables, and the marks that its erasure leaves."""

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy
from sqlalchemy import Connection, func, select

from commons.adapters.database import reading, writing
from commons.errors import NotFoundError
from sensory_service.adapters.appearance_tables import forget_appearance
from sensory_service.adapters.dataset_tables import insert_unless_there
from sensory_service.adapters.erasure_marks import check_none_erased, lock_image
from sensory_service.adapters.memberships import take_out
from sensory_service.adapters.tables import (
    DATASET,
    MEMBERSHIP,
    PACKED,
    PURGED,
    SHARD,
    SNAPSHOT,
    SNAPSHOT_IMAGE,
)
from sensory_service.ports import PackPlace, Removal


class ErasureTables:
    """`sensory_service.ports.ErasureCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def begin(self, image: str, who: str | None, at: float) -> bool:
        """Write down that an image is to be erased, take it out, say if it is there."""
        # A transaction of its own: nobody waits for the lock of the image with a dataset's.
        with writing(self._database) as connection:
            if not lock_image(connection, image):
                raise NotFoundError(f"there is no image {image}", kind="unknown-image")
            done = select(PURGED.c.done).where(PURGED.c.image == image)
            is_there = connection.execute(done).scalar() is None
            row: dict[str, object] = {"image": image, "who": who, "at": at}
            insert_unless_there(connection, PURGED, [row], ["image"])
            connection.execute(PURGED.update().where(PURGED.c.image == image).values(done=None))
        with writing(self._database) as connection:
            forget_appearance(connection, image)
            datasets = (
                select(DATASET.c.name)
                .join(MEMBERSHIP, MEMBERSHIP.c.dataset == DATASET.c.id)
                .where(MEMBERSHIP.c.image == image)
                .order_by(DATASET.c.id)
            )
            for dataset in list(connection.execute(datasets).scalars()):
                take_out(connection, Removal(dataset, image, at, who))
        return is_there

    def packs(self, image: str) -> dict[str, list[PackPlace]]:
        """Return the packs with an image, each with all that is in it."""
        packs = defaultdict(list)
        with reading(self._database) as connection:
            holding = select(PACKED.c.pack).where(PACKED.c.image == image)
            rows = select(PACKED).where(PACKED.c.pack.in_(holding)).order_by(PACKED.c.start)
            for row in connection.execute(rows):
                packs[row.pack].append(PackPlace(*row))
        return dict(packs)

    def is_pack(self, pack: str) -> bool:
        """Say whether any image is in a pack."""
        with reading(self._database) as connection:
            query = select(PACKED.c.image).where(PACKED.c.pack == pack).limit(1)
            return connection.execute(query).first() is not None

    def replace_pack(self, pack: str, places: Sequence[PackPlace]) -> None:
        """Say where the images of a pack are now, in one step."""
        with writing(self._database) as connection:
            check_none_erased(connection, [place.image for place in places])
            connection.execute(PACKED.delete().where(PACKED.c.pack == pack))
            insert_unless_there(
                connection, PACKED, [place._asdict() for place in places], ["image"]
            )

    def holders(self, image: str) -> tuple[list[str], list[str]]:
        """Return the snapshots and the made shards that hold an image."""
        with writing(self._database) as connection:
            rows = connection.execute(
                select(SNAPSHOT.c.id, SNAPSHOT_IMAGE.c.position)
                .join(SNAPSHOT, SNAPSHOT.c.number == SNAPSHOT_IMAGE.c.snapshot)
                .where(SNAPSHOT_IMAGE.c.image == image)
            ).all()
            shards = {shard for row in rows for shard in _shards(connection, row.id, row.position)}
        return [row.id for row in rows], sorted(shards)

    def finish(
        self, image: str, snapshots: Sequence[str], shards: Sequence[str], at: float
    ) -> None:
        """Mark the snapshots, forget the shards and write down that it is done."""
        with writing(self._database) as connection:
            connection.execute(
                SNAPSHOT.update()
                .where(SNAPSHOT.c.id.in_(snapshots))
                .values(purged=func.coalesce(SNAPSHOT.c.purged, 0) + 1)
            )
            connection.execute(SHARD.update().where(SHARD.c.sha256.in_(shards)).values(sha256=None))
            connection.execute(PURGED.update().where(PURGED.c.image == image).values(done=at))


def _shards(connection: Connection, snapshot: str, position: int) -> list[str]:
    query = select(SHARD.c.sha256).where(
        SHARD.c.snapshot == snapshot,
        SHARD.c.first <= position,
        SHARD.c.first + SHARD.c.examples > position,
    )
    # Those not made too: one that is being recorded is waited for.
    made = connection.execute(query.order_by(SHARD.c.id).with_for_update()).scalars()
    return [str(sha256) for sha256 in made if sha256 is not None]

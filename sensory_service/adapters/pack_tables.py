"""Which image is where in which pack, in tables."""

from collections.abc import Collection, Sequence

import sqlalchemy
from sqlalchemy import select

from commons.adapters.database import reading, writing
from sensory_service.adapters.dataset_tables import insert_unless_there
from sensory_service.adapters.erasure_marks import check_none_erased
from sensory_service.adapters.tables import PACKED, SNAPSHOT
from sensory_service.ports import PackPlace

_AT_ONCE = 1000


class PackTables:
    """`sensory_service.ports.PackCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def places(self, images: Sequence[str]) -> dict[str, PackPlace]:
        """Return where those images are that are in packs."""
        found = {}
        with reading(self._database) as connection:
            for start in range(0, len(images), _AT_ONCE):
                some = images[start : start + _AT_ONCE]
                for row in connection.execute(select(PACKED).where(PACKED.c.image.in_(some))):
                    found[row.image] = PackPlace(*row)
        return found

    def record(self, places: Sequence[PackPlace]) -> None:
        """Say where images are now; what is in a pack already stays there."""
        with writing(self._database) as connection:
            check_none_erased(connection, [place.image for place in places])
            insert_unless_there(
                connection, PACKED, [place._asdict() for place in places], ["image"]
            )

    def unpacked(self, besides: Collection[str] = ()) -> str | None:
        """Return the oldest snapshot that is not packed yet, of others than those named."""
        query = select(SNAPSHOT.c.id).where(SNAPSHOT.c.packed.is_(None)).order_by(SNAPSHOT.c.number)
        with reading(self._database) as connection:
            found = connection.execute(query.limit(len(besides) + 1)).scalars()
            return next((snapshot for snapshot in found if snapshot not in besides), None)

    def finish(self, snapshot: str, at: float) -> None:
        """Say that a snapshot is packed."""
        with writing(self._database) as connection:
            connection.execute(SNAPSHOT.update().where(SNAPSHOT.c.id == snapshot).values(packed=at))

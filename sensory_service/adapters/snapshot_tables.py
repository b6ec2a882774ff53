"""Snapshots in tables, one row an image, so that any part of a manifest is read by position."""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy
from sqlalchemy import Connection, bindparam, select

from commons.adapters.database import reading, writing
from commons.errors import NotFoundError
from commons.messages import Snapshot, SnapshotImage, Split
from sensory_service.adapters.dataset_tables import find_dataset
from sensory_service.adapters.tables import IMAGE, MEMBERSHIP, SNAPSHOT, SNAPSHOT_IMAGE
from sensory_service.ports import LabeledImage


class SnapshotTables:
    """`sensory_service.ports.SnapshotCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def labeled(self, dataset: str, categories: Sequence[str]) -> list[LabeledImage]:
        """Return the images whose latest label is one of some categories (ids)."""
        with reading(self._database) as connection:
            query = (
                select(
                    MEMBERSHIP.c.image,
                    MEMBERSHIP.c.category,
                    MEMBERSHIP.c.split,
                    MEMBERSHIP.c.split_said,
                    IMAGE.c.height,
                    IMAGE.c.width,
                    IMAGE.c.channels,
                )
                .join_from(MEMBERSHIP, IMAGE, MEMBERSHIP.c.image == IMAGE.c.sha256)
                .where(
                    MEMBERSHIP.c.dataset == find_dataset(connection, dataset).id,
                    MEMBERSHIP.c.category.in_(categories),
                )
            )
            return [LabeledImage(*row) for row in connection.execute(query)]

    def assign_splits(self, dataset: str, splits: Mapping[str, Split]) -> int:
        """Set the split of images that have none yet and return how many had none."""
        rows = [{"which": image, "new": split} for image, split in splits.items()]
        with writing(self._database) as connection:
            number = find_dataset(connection, dataset).id
            update = (
                MEMBERSHIP.update()
                .where(
                    MEMBERSHIP.c.dataset == number,
                    MEMBERSHIP.c.image == bindparam("which"),
                    MEMBERSHIP.c.split.is_(None),
                )
                .values(split=bindparam("new"))
            )
            return connection.execute(update, rows).rowcount if rows else 0

    def add(self, snapshot: Snapshot, images: Iterable[SnapshotImage]) -> bool:
        """Store a snapshot with its rows in order, and say whether it is new."""
        with writing(self._database) as connection:
            # Holds the dataset's row, so of two who freeze the same one finds it done.
            dataset = find_dataset(connection, snapshot.dataset).id
            if _number(connection, snapshot.id) is not None:
                return False
            row = {
                "id": snapshot.id,
                "dataset": dataset,
                "body": snapshot.model_dump(mode="json"),
                "created": snapshot.created,
            }
            connection.execute(SNAPSHOT.insert(), [row])
            number = _number(connection, snapshot.id)
            connection.execute(
                SNAPSHOT_IMAGE.insert(),
                [
                    {
                        "snapshot": number,
                        "position": position,
                        "image": image.image,
                        "category": image.category,
                        "split": image.split,
                    }
                    for position, image in enumerate(images)
                ],
            )
            return True

    def get(self, snapshot: str) -> Snapshot:
        """Return a snapshot."""
        with reading(self._database) as connection:
            body = connection.execute(
                select(SNAPSHOT.c.body).where(SNAPSHOT.c.id == snapshot)
            ).scalar()
        if body is None:
            raise NotFoundError(f"there is no snapshot {snapshot}", kind="unknown-snapshot")
        return Snapshot.model_validate(body)

    def rows(self, snapshot: str, first: int, count: int) -> list[SnapshotImage]:
        """Return `count` rows (fewer at the end) of a snapshot from row `first` on."""
        with reading(self._database) as connection:
            position = SNAPSHOT_IMAGE.c.position
            query = (
                select(SNAPSHOT_IMAGE.c.image, SNAPSHOT_IMAGE.c.category, SNAPSHOT_IMAGE.c.split)
                .where(
                    SNAPSHOT_IMAGE.c.snapshot == _number(connection, snapshot),
                    position >= first,
                    position < first + count,
                )
                .order_by(position)
            )
            return [
                SnapshotImage(image=image, category=category, split=split)
                for image, category, split in connection.execute(query)
            ]


def _number(connection: Connection, snapshot: str) -> int | None:
    return connection.execute(select(SNAPSHOT.c.number).where(SNAPSHOT.c.id == snapshot)).scalar()

"""Snapshots in tables, one row an image, so that any part of a manifest is read by position."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Row, func, select

from commons.adapters.database import reading, writing
from commons.errors import InvalidInputError, NotFoundError
from commons.messages import SPLITS, Snapshot, SnapshotEntry, Split
from sensory_service.adapters.dataset_tables import find_dataset
from sensory_service.adapters.tables import IMAGE, MEMBERSHIP, SNAPSHOT, SNAPSHOT_IMAGE
from sensory_service.ports import LabeledImage, ManifestLine

_START = re.compile(r"[0-9a-f]{6,64}")
_AT_ONCE = 1000  # rows of one statement
_ASSIGN_JSON = (
    "UPDATE membership SET split = ? WHERE split IS NULL AND id IN (SELECT value FROM json_each(?))"
)
_ASSIGN_ARRAY = "UPDATE membership SET split = %s WHERE split IS NULL AND id = ANY(%s::bigint[])"
_INSERT_ROWS = (
    "INSERT INTO snapshot_image (snapshot, position, image, category, split) VALUES (?, ?, ?, ?, ?)"
)
_INSERT_COLUMNS = (
    "INSERT INTO snapshot_image (snapshot, position, image, category, split) "
    "SELECT %s, * FROM unnest(%s::integer[], %s::varchar[], %s::integer[], %s::varchar[])"
)


class SnapshotTables:
    """`sensory_service.ports.SnapshotCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def labeled(self, dataset: str, categories: Sequence[str]) -> list[LabeledImage]:
        """Return the images whose latest label is one of some categories (ids)."""
        with reading(self._database) as connection:
            query = select(
                MEMBERSHIP.c.image,
                MEMBERSHIP.c.category,
                MEMBERSHIP.c.split,
                MEMBERSHIP.c.split_said,
                *(_size(name) for name in ("height", "width", "channels")),
                MEMBERSHIP.c.id,
            ).where(MEMBERSHIP.c.dataset == find_dataset(connection, dataset).id)
            # In the order of the table and chosen here: by an index of categories SQLite looks up
            # row after row, which takes twice as long.
            query = query.order_by(MEMBERSHIP.c.id)
            # The same few words a million times: one object for each.
            same = {word: word for word in categories}
            splits: dict[str | None, Split | None] = {split: split for split in (*SPLITS, None)}
            rows = connection.execution_options(yield_per=10 * _AT_ONCE).execute(query)
            return [
                LabeledImage(
                    image, same[category], splits[split], said, height, width, channels, number
                )
                for image, category, split, said, height, width, channels, number in rows
                if category in same
            ]

    def assign_splits(self, splits: Mapping[int, Split]) -> int:
        """Set the split of memberships that have none yet and return how many had none."""
        if not splits:
            return 0
        # In the order of the table, so that every page of it is written once.
        members = sorted(splits)
        with writing(self._database) as connection:
            return sum(
                _assign(connection, splits, members[start : start + _AT_ONCE])
                for start in range(0, len(members), _AT_ONCE)
            )

    def add(self, snapshot: Snapshot, lines: Iterable[ManifestLine]) -> bool:
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
            rows = (
                (number, position, line.image, line.category, line.split)
                for position, line in enumerate(lines)
            )
            # The driver's own call: a dictionary for each of a million rows takes longer.
            insert = _insert_rows if connection.dialect.name == "sqlite" else _insert_columns
            while some := list(islice(rows, 50 * _AT_ONCE)):
                insert(connection, some)
            return True

    def entries(self, dataset: str) -> list[SnapshotEntry]:
        """Return the snapshots of a dataset, newest first."""
        body = SNAPSHOT.c.body
        with reading(self._database) as connection:
            # Not whole: a body has a line for each of what may be thousands of categories.
            query = (
                select(
                    SNAPSHOT.c.id,
                    SNAPSHOT.c.created,
                    body["counts"].label("counts"),
                    func.json_array_length(body["categories"]).label("categories"),
                )
                .where(SNAPSHOT.c.dataset == find_dataset(connection, dataset).id)
                .order_by(SNAPSHOT.c.number.desc())
            )
            rows = connection.execute(query).all()
        return [SnapshotEntry(images=sum(row.counts.values()), **row._asdict()) for row in rows]

    def get(self, snapshot: str) -> Snapshot:
        """Return a snapshot by its id, or by a start of it."""
        with reading(self._database) as connection:
            return Snapshot.model_validate(find_snapshot(connection, snapshot).body)

    def rows(self, snapshot: str, first: int, count: int) -> list[ManifestLine]:
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
                ManifestLine(image, category, split)
                for image, category, split in connection.execute(query)
            ]


def find_snapshot(connection: Connection, start: str) -> Row[Any]:
    """Return the row of the one snapshot whose id is or starts like this.

    Raises:
        NotFoundError: There is none, or the start is too short to look for.
        InvalidInputError: There are several.
    """
    unknown = NotFoundError(f"there is no snapshot {start}", kind="unknown-snapshot")
    if not _START.fullmatch(start):
        raise unknown
    # `g` comes after every hexadecimal digit.
    alike = SNAPSHOT.c.id.between(start, start + "g")
    found = connection.execute(select(SNAPSHOT).where(alike).limit(2)).all()
    if not found:
        raise unknown
    if len(found) > 1:
        count = connection.execute(select(func.count()).where(alike)).scalar()
        raise InvalidInputError(
            f"{count} snapshots start with {start}: give more of the id", kind="ambiguous-snapshot"
        )
    return found[0]


def _size(name: str) -> ColumnElement[int]:
    """Return a side of an image; the code of the first tables left it to look up."""
    looked_up = select(IMAGE.c[name]).where(IMAGE.c.sha256 == MEMBERSHIP.c.image)
    return func.coalesce(MEMBERSHIP.c[name], looked_up.scalar_subquery())


def _assign(connection: Connection, splits: Mapping[int, Split], members: Sequence[int]) -> int:
    by_split: dict[Split, list[int]] = {split: [] for split in SPLITS}
    for member in members:
        by_split[splits[member]].append(member)
    # One value for all of them: a thousand parameters take as long again to be put in.
    sqlite = connection.dialect.name == "sqlite"
    return sum(
        connection.exec_driver_sql(_ASSIGN_JSON, (split, json.dumps(some))).rowcount
        if sqlite
        else connection.exec_driver_sql(_ASSIGN_ARRAY, (split, some)).rowcount
        for split, some in by_split.items()
        if some
    )


def _insert_rows(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    connection.exec_driver_sql(_INSERT_ROWS, list(rows))


def _insert_columns(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
    snapshots, *columns = (list(column) for column in zip(*rows, strict=True))
    connection.exec_driver_sql(_INSERT_COLUMNS, (snapshots[0], *columns))


def _number(connection: Connection, snapshot: str) -> int | None:
    return connection.execute(select(SNAPSHOT.c.number).where(SNAPSHOT.c.id == snapshot)).scalar()

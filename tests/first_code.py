"""What the code of the first tables (revision 0001) said to them, statement by statement.

An update of the service runs it beside the new code on the new tables for a while, so this
never changes, whatever becomes of the code.
"""

from dataclasses import dataclass
from functools import partial

import sqlalchemy
from sqlalchemy import Connection, text

_MAKE_DATASET = """
INSERT INTO dataset (name, images, created) VALUES (:dataset, 0, 1.0)
ON CONFLICT (name) DO NOTHING"""
_FIND_DATASET = "SELECT id, name, images, created FROM dataset WHERE name = :dataset"
_FIND_CATEGORY = """
SELECT id, dataset, number, name, images, created FROM category
WHERE dataset = :number AND name = :category"""
_MAKE_CATEGORY = """
INSERT INTO category (id, dataset, number, name, images, created) VALUES (
  :id, :number, (SELECT coalesce(max(number), 0) + 1 FROM category WHERE dataset = :number),
  :category, 0, 1.0)"""
_MAKE_IMAGE = """
INSERT INTO image (sha256, format, height, width, channels, size_bytes, created)
VALUES (:image, 'PNG', 8, 9, 1, 100, 1.0) ON CONFLICT (sha256) DO NOTHING"""
_FIND_MEMBERSHIP = """
SELECT image, category, split, split_said FROM membership
WHERE dataset = :number AND image IN (:image)"""
_MAKE_MEMBERSHIP = """
INSERT INTO membership (dataset, image, category, split, split_said, added)
VALUES (:number, :image, :id, NULL, :said, 1.0)"""
_CHANGE_MEMBERSHIP = """
UPDATE membership SET image = :image, category = :id, split = NULL, split_said = :said
WHERE dataset = :number AND image = :image"""
_GROW_DATASET = "UPDATE dataset SET images = images + 1 WHERE id = :number"
_MAKE_EVENT = """
INSERT INTO label_event (dataset, image, category, who, at)
VALUES (:number, :image, :id, NULL, 1.0)"""
_COUNT = "UPDATE category SET images = images + :difference WHERE id = :id"
_BROWSE = """
SELECT membership.id, membership.image, membership.category, membership.split, category.name,
       image.height, image.width, image.channels
FROM membership JOIN image ON membership.image = image.sha256
LEFT JOIN category ON membership.category = category.id
WHERE membership.dataset = :number ORDER BY membership.id DESC LIMIT 1000000"""
_CATEGORIES = """
SELECT id, name, images FROM category WHERE dataset = :number ORDER BY number"""
_FREEZE = """
INSERT INTO snapshot (id, dataset, body, created) VALUES (:snapshot, :number, '{}', 1.0)"""
_FREEZE_ROW = """
INSERT INTO snapshot_image (snapshot, position, image, category, split)
SELECT number, 0, :image, 0, 'train' FROM snapshot WHERE id = :snapshot"""
_MAKE_SHARD = """
INSERT INTO shard (snapshot, split, height, width, channels, resize, decoder, first, examples,
                   sha256, issued)
VALUES (:snapshot, 'train', 8, 8, 1, 'fit', 'pillow-1', 0, 1, NULL, 1.0)"""
_RECORD_SHARD = "UPDATE shard SET sha256 = :image WHERE snapshot = :snapshot AND sha256 IS NULL"


@dataclass(frozen=True)
class FirstCode:
    """The first code at work on the dataset `pets`."""

    database: sqlalchemy.Engine

    def upload(self, image: str, category: str) -> None:
        """Store a new image, or relabel one that is there."""
        with self.database.begin() as connection:
            say = partial(_say, connection, dataset="pets", image=image, category=category)
            say(_MAKE_DATASET)
            lock = "" if connection.dialect.name == "sqlite" else " FOR UPDATE"
            number = say(_FIND_DATASET + lock)[0].id
            found = say(_FIND_CATEGORY, number=number)
            new = f"first {category}"
            if not found:
                say(_MAKE_CATEGORY, number=number, id=new)
            label = found[0].id if found else new
            say(_MAKE_IMAGE)
            before = say(_FIND_MEMBERSHIP, number=number)
            if before and before[0].category == label:
                return
            say(
                _CHANGE_MEMBERSHIP if before else _MAKE_MEMBERSHIP,
                number=number,
                id=label,
                said=False,
            )
            if not before:
                say(_GROW_DATASET, number=number)
            say(_MAKE_EVENT, number=number, id=label)
            say(_COUNT, difference=1, id=label)
            if before and before[0].category:
                say(_COUNT, difference=-1, id=before[0].category)

    def browse(self) -> dict[str, str | None]:
        """Return all images with the names of their categories."""
        with self.database.begin() as connection:
            rows = self._ask(connection, _BROWSE)
        return {row.image: row.name for row in rows}

    def counts(self) -> tuple[int, dict[str, int]]:
        """Return the images of the dataset, and of each category by its name."""
        with self.database.begin() as connection:
            (dataset,) = _say(connection, _FIND_DATASET, dataset="pets")
            categories = self._ask(connection, _CATEGORIES)
        return dataset.images, {row.name: row.images for row in categories}

    def freeze_and_order(self, snapshot: str, image: str) -> None:
        """Make a snapshot of one image, and a shard of it."""
        with self.database.begin() as connection:
            number = _say(connection, _FIND_DATASET, dataset="pets")[0].id
            for statement in (_FREEZE, _FREEZE_ROW, _MAKE_SHARD):
                _say(connection, statement, snapshot=snapshot, image=image, number=number)
        with self.database.begin() as connection:
            _say(connection, _RECORD_SHARD, snapshot=snapshot, image=image)

    @staticmethod
    def _ask(connection: Connection, statement: str) -> list[sqlalchemy.Row[tuple[object, ...]]]:
        number = _say(connection, _FIND_DATASET, dataset="pets")[0].id
        return _say(connection, statement, number=number)


def _say(
    connection: Connection, statement: str, **values: object
) -> list[sqlalchemy.Row[tuple[object, ...]]]:
    clause = text(statement)
    wanted = {name: values[name] for name in clause.compile().params}
    result = connection.execute(clause, wanted)
    return list(result.all()) if result.returns_rows else []

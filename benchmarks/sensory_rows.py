"""Rows of a large catalog, made up and written past the service: images without bytes."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection, Engine, Table

from commons.adapters.database import writing
from sensory_service.adapters.tables import CATEGORY, DATASET, IMAGE, LABEL_EVENT, MEMBERSHIP

DATASET_NAME = "million"
RARE = "rare"
LAST_S = 1_700_000_000.0
STEP_S = 2.0  # between two uploads
_SEED = 1
_CATEGORIES = [f"c{number}" for number in range(10)]
_PEOPLE = ["ada", "bob", "cem", None]
# One image in so many is rare, and one in so many has no label.
_RARELY, _UNLABELED = 1000, 10
_AT_ONCE = 20_000
Line = tuple[str, str | None, str | None, float]


def fill(database: Engine, rows: int) -> None:
    """Write a dataset of so many images, nine in ten of them labeled."""
    lines = _lines(rows)
    counts: Counter[str | None] = Counter()
    with writing(database) as connection:
        _names(connection)
        while some := list(islice(lines, _AT_ONCE)):
            _write(connection, some)
            counts.update(category for _, category, _, _ in some)
        connection.execute(DATASET.update().values(images=rows))
        for category in (*_CATEGORIES, RARE):
            update = CATEGORY.update().where(CATEGORY.c.id == category)
            connection.execute(update.values(images=counts[category]))
    if database.dialect.name == "postgresql":
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")


def relabel_some(database: Engine, count: int) -> None:
    """Move about so many images from one category to another."""
    source, target = _CATEGORIES[:2]
    with writing(database) as connection:
        moved = connection.execute(
            MEMBERSHIP.update()
            .where(MEMBERSHIP.c.category == source, MEMBERSHIP.c.id <= count * len(_CATEGORIES))
            .values(category=target)
        ).rowcount
        for category, change in ((source, -moved), (target, moved)):
            update = CATEGORY.update().where(CATEGORY.c.id == category)
            connection.execute(update.values(images=CATEGORY.c.images + change))


def _lines(rows: int) -> Iterator[Line]:
    """Yield hash, category, person and time of every image, the oldest first."""
    draw = random.Random(_SEED)
    for number in range(rows):
        rare = number % _RARELY == 0
        category = RARE if rare else draw.choice(_CATEGORIES)
        unlabeled = not rare and draw.randrange(_UNLABELED) == 0
        who = RARE if draw.randrange(_RARELY) == 0 else draw.choice(_PEOPLE)
        image = hashlib.sha256(str(number).encode()).hexdigest()
        yield image, None if unlabeled else category, who, LAST_S - (rows - number) * STEP_S


def _names(connection: Connection) -> None:
    dataset = {"id": 1, "name": DATASET_NAME, "images": 0, "created": LAST_S}
    connection.execute(DATASET.insert(), [dataset])
    rows = [
        {"id": name, "dataset": 1, "number": number, "name": name, "images": 0, "created": LAST_S}
        for number, name in enumerate((*_CATEGORIES, RARE), start=1)
    ]
    connection.execute(CATEGORY.insert(), rows)


def _write(connection: Connection, lines: Sequence[Line]) -> None:
    size = {"height": 28, "width": 28, "channels": 1}
    image = {"format": "PNG", "size_bytes": 300} | size
    _insert(connection, IMAGE, [image | {"sha256": s, "created": at} for s, _, _, at in lines])
    fixed = {"dataset": 1, "split": None, "split_said": False} | size
    members = [
        fixed | {"image": s, "category": c, "labeled_by": who, "added": at, "changed": at}
        for s, c, who, at in lines
    ]
    _insert(connection, MEMBERSHIP, members)
    events = [
        {"dataset": 1, "image": s, "category": c, "who": who, "at": at}
        for s, c, who, at in lines
        if c is not None
    ]
    _insert(connection, LABEL_EVENT, events)


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        connection.execute(table.insert(), list(rows))

"""Images, memberships and labels in tables."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Row, Select, bindparam, select

from commons.adapters.database import reading, writing
from commons.errors import NotFoundError
from commons.messages import Category, DatasetImage, DatasetImages, StoredImage
from sensory_service.adapters.dataset_tables import (
    find_dataset,
    find_or_make_category,
    find_or_make_dataset,
    insert_unless_there,
)
from sensory_service.adapters.tables import CATEGORY, DATASET, IMAGE, LABEL_EVENT, MEMBERSHIP
from sensory_service.labeling import Standing, after_upload, is_relabeled
from sensory_service.ports import Filter, ImageRecord, Relabel, Upload

_AT_ONCE = 1000  # values of one IN list; databases count theirs in ten thousands


class ImageTables:
    """`sensory_service.ports.ImageCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def record(self, upload: Upload) -> list[StoredImage]:
        """Add memberships and label events and say what each image is now."""
        with writing(self._database) as connection:
            dataset = find_or_make_dataset(connection, upload.dataset, upload.at)
            category = upload.category and find_or_make_category(
                connection, dataset, upload.category, upload.at
            )
            rows = [asdict(image) | {"created": upload.at} for image in upload.images]
            insert_unless_there(connection, IMAGE, rows, ["sha256"])
            changes = _plan(connection, dataset, upload, category.id if category else None)
            _write(connection, dataset, changes, upload.at)
            names = _categories(connection, dataset)
        return [
            _stored(upload.dataset, image, change, names)
            for image, change in zip(upload.images, changes, strict=True)
        ]

    def relabel(self, relabel: Relabel) -> StoredImage:
        """Add a label event unless the label is the same, and return what the image is now."""
        with writing(self._database) as connection:
            dataset = find_dataset(connection, relabel.dataset).id
            before = _standings(connection, dataset, [relabel.image]).get(relabel.image)
            if before is None:
                raise NotFoundError(
                    f"{relabel.dataset} has no image {relabel.image}", kind="unknown-image"
                )
            category = relabel.category and find_or_make_category(
                connection, dataset, relabel.category, relabel.at
            )
            after = Standing(category.id if category else None, before.split, before.said)
            change = _Change(relabel.image, before, after)
            _write(connection, dataset, [change], relabel.at)
            image = _find(connection, relabel.image)
            return _stored(relabel.dataset, image, change, _categories(connection, dataset))

    def browse(self, which: Filter, before: int | None, limit: int) -> DatasetImages:
        """Return at most `limit` images, newest first."""
        with reading(self._database) as connection:
            query = _page(connection, which)
            if before is not None:
                query = query.where(MEMBERSHIP.c.id < before)
            rows = connection.execute(query.limit(limit + 1)).all()
        page = rows[:limit]
        return DatasetImages(
            images=[_dataset_image(row) for row in page],
            cursor=page[-1].id if len(rows) > limit else None,
        )

    def find(self, sha256: str) -> ImageRecord:
        """Return what is known about an image."""
        with reading(self._database) as connection:
            return _find(connection, sha256)


@dataclass(frozen=True)
class _Change:
    image: str
    before: Standing | None
    after: Standing


def _plan(
    connection: Connection, dataset: int, upload: Upload, category: str | None
) -> list[_Change]:
    """Return what happens to each image in turn; the same bytes may come twice in a request."""
    standings = _standings(connection, dataset, [image.sha256 for image in upload.images])
    changes = []
    for image in upload.images:
        before = standings.get(image.sha256)
        after = standings[image.sha256] = after_upload(before, category, upload.split)
        changes.append(_Change(image.sha256, before, after))
    return changes


def _write(connection: Connection, dataset: int, changes: Sequence[_Change], at: float) -> None:
    added = [change for change in changes if change.before is None]
    changed = [c for c in changes if c.before is not None and c.before != c.after]
    if added:
        rows = [_membership(change) | {"dataset": dataset, "added": at} for change in added]
        connection.execute(MEMBERSHIP.insert(), rows)
        grown = DATASET.update().where(DATASET.c.id == dataset)
        connection.execute(grown.values(images=DATASET.c.images + len(added)))
    if changed:
        update = MEMBERSHIP.update().where(
            MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image == bindparam("which")
        )
        connection.execute(update, [_membership(c) | {"which": c.image} for c in changed])
    _write_labels(connection, dataset, changes, at)


def _write_labels(
    connection: Connection, dataset: int, changes: Sequence[_Change], at: float
) -> None:
    events, counts = [], Counter[str]()
    for change in changes:
        old = change.before.category if change.before else None
        new = change.after.category
        if old == new:
            continue
        events.append({"dataset": dataset, "image": change.image, "category": new, "at": at})
        counts.subtract([old] if old else [])
        counts.update([new] if new else [])
    if events:
        connection.execute(LABEL_EVENT.insert(), events)
    for category, difference in counts.items():
        connection.execute(
            CATEGORY.update()
            .where(CATEGORY.c.id == category)
            .values(images=CATEGORY.c.images + difference)
        )


def _membership(change: _Change) -> dict[str, object]:
    after = change.after
    return {
        "image": change.image,
        "category": after.category,
        "split": after.split,
        "split_said": after.said,
    }


def _standings(connection: Connection, dataset: int, images: Sequence[str]) -> dict[str, Standing]:
    columns = (
        MEMBERSHIP.c.image,
        MEMBERSHIP.c.category,
        MEMBERSHIP.c.split,
        MEMBERSHIP.c.split_said,
    )
    standings = {}
    for start in range(0, len(images), _AT_ONCE):
        query = select(*columns).where(
            MEMBERSHIP.c.dataset == dataset,
            MEMBERSHIP.c.image.in_(images[start : start + _AT_ONCE]),
        )
        for image, category, split, said in connection.execute(query):
            standings[image] = Standing(category, split, said)
    return standings


def _categories(connection: Connection, dataset: int) -> dict[str, Category]:
    query = select(CATEGORY.c.id, CATEGORY.c.name).where(CATEGORY.c.dataset == dataset)
    return {row.id: Category(id=row.id, name=row.name) for row in connection.execute(query)}


def _stored(
    dataset: str, image: ImageRecord, change: _Change, names: dict[str, Category]
) -> StoredImage:
    after = change.after
    return StoredImage(
        image=image.sha256,
        dataset=dataset,
        category=names[after.category] if after.category else None,
        split=after.split,
        height=image.height,
        width=image.width,
        channels=image.channels,
        duplicate=change.before is not None,
        relabeled=is_relabeled(change.before, after),
    )


def _find(connection: Connection, sha256: str) -> ImageRecord:
    row = connection.execute(select(IMAGE).where(IMAGE.c.sha256 == sha256)).first()
    if row is None:
        raise NotFoundError(f"there is no image {sha256}", kind="unknown-image")
    return ImageRecord(row.sha256, row.format, row.height, row.width, row.channels, row.size_bytes)


def _page(connection: Connection, which: Filter) -> Select[Any]:
    dataset = find_dataset(connection, which.dataset).id
    sources = MEMBERSHIP.join(IMAGE, MEMBERSHIP.c.image == IMAGE.c.sha256).outerjoin(
        CATEGORY, MEMBERSHIP.c.category == CATEGORY.c.id
    )
    return (
        select(MEMBERSHIP, CATEGORY.c.name, IMAGE.c.height, IMAGE.c.width, IMAGE.c.channels)
        .select_from(sources)
        .where(MEMBERSHIP.c.dataset == dataset, *_narrowed(connection, dataset, which))
        .order_by(MEMBERSHIP.c.id.desc())
    )


def _narrowed(
    connection: Connection, dataset: int, which: Filter
) -> Iterable[sqlalchemy.ColumnElement[bool]]:
    if which.labeled is not None:
        labeled = MEMBERSHIP.c.category.is_not(None)
        yield labeled if which.labeled else ~labeled
    if which.category is not None:
        query = select(CATEGORY.c.id).where(
            CATEGORY.c.dataset == dataset, CATEGORY.c.name == which.category
        )
        category = connection.execute(query).scalar()
        if category is None:
            raise NotFoundError(
                f"{which.dataset} has no category {which.category!r}", kind="unknown-category"
            )
        yield MEMBERSHIP.c.category == category


def _dataset_image(row: Row[Any]) -> DatasetImage:
    category = row.category and Category(id=row.category, name=row.name)
    return DatasetImage(
        image=row.image,
        category=category,
        split=row.split,
        height=row.height,
        width=row.width,
        channels=row.channels,
        added=row.added,
    )

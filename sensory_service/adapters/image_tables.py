"""Images, memberships and labels in tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import sqlalchemy
from sqlalchemy import Connection, Float, bindparam, func, select

from commons.adapters.database import reading, writing
from commons.errors import NotFoundError
from commons.messages import Category, DatasetImage, DatasetImages, EventKind, StoredImage
from sensory_service.adapters.browsing import browse, lookup
from sensory_service.adapters.dataset_tables import (
    find_dataset,
    find_or_make_category,
    find_or_make_dataset,
    insert_unless_there,
)
from sensory_service.adapters.erasure_marks import forget_erasures
from sensory_service.adapters.tables import (
    CATEGORY,
    DATASET,
    IMAGE,
    LABEL_EVENT,
    MEMBERSHIP,
    REMOVED,
)
from sensory_service.labeling import Standing, after_upload, event_of, is_out, is_relabeled
from sensory_service.ports import Filter, ImageRecord, Relabel, Removal, Upload

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
            forget_erasures(connection, [image.sha256 for image in upload.images], upload.erased)
            changes = _plan(connection, dataset, upload, category.id if category else None)
            _write(connection, dataset, changes, upload.at, upload.who)
            names = _categories(connection, dataset, category, changes)
        return [
            _stored(upload.dataset, image, change, names)
            for image, change in zip(upload.images, changes, strict=True)
        ]

    def relabel(self, relabel: Relabel) -> StoredImage:
        """Add a label event unless the label is the same, and return what the image is now."""
        with writing(self._database) as connection:
            dataset = find_dataset(connection, relabel.dataset).id
            before = _standings(connection, dataset, [relabel.image]).get(relabel.image)
            if before is None or before.removed:
                raise _unknown(relabel.dataset, relabel.image)
            category = relabel.category and find_or_make_category(
                connection, dataset, relabel.category, relabel.at
            )
            label = category.id if category else None
            by = before.by if label == before.category else relabel.who
            image = _find(connection, relabel.image)
            change = _Change(image, before, replace(before, category=label, by=by))
            _write(connection, dataset, [change], relabel.at, relabel.who)
            names = _categories(connection, dataset, category, [change])
            return _stored(relabel.dataset, image, change, names)

    def remove(self, removal: Removal) -> None:
        """Take an image out of a dataset; one that was taken out before is no error."""
        with writing(self._database) as connection:
            take_out(connection, removal)

    def browse(self, which: Filter, cursor: str | None, limit: int) -> DatasetImages:
        """Return at most `limit` images, newest first."""
        with reading(self._database) as connection:
            return browse(connection, which, cursor, limit)

    def lookup(self, dataset: str, images: Sequence[str]) -> list[DatasetImage]:
        """Return those of some images that are in a dataset."""
        with reading(self._database) as connection:
            return lookup(connection, dataset, images)

    def find(self, sha256: str) -> ImageRecord:
        """Return what is known about an image."""
        with reading(self._database) as connection:
            return _find(connection, sha256)


@dataclass(frozen=True)
class _Change:
    facts: ImageRecord
    before: Standing | None
    after: Standing

    @property
    def image(self) -> str:
        """The hash of the image."""
        return self.facts.sha256

    @property
    def was_out(self) -> bool:
        """Whether the image was not in the dataset."""
        return is_out(self.before)

    @property
    def event(self) -> EventKind | None:
        """What the history says of it, if anything."""
        return event_of(self.before, self.after)


def _plan(
    connection: Connection, dataset: int, upload: Upload, category: str | None
) -> list[_Change]:
    """Return what happens to each image in turn; the same bytes may come twice in a request."""
    standings = _standings(connection, dataset, [image.sha256 for image in upload.images])
    changes = []
    for image in upload.images:
        before = standings.get(image.sha256)
        after = after_upload(before, category, upload.split, upload.who)
        standings[image.sha256] = after
        changes.append(_Change(image, before, after))
    return changes


def _write(
    connection: Connection, dataset: int, changes: Sequence[_Change], at: float, who: str | None
) -> None:
    added = [change for change in changes if change.was_out]
    changed = [c for c in changes if not c.was_out and c.before != c.after]
    if added:
        new = {"dataset": dataset, "added": at, "changed": at}
        rows = [_membership(change) | _size(change.facts) | new for change in added]
        connection.execute(MEMBERSHIP.insert(), rows)
        grown = DATASET.update().where(DATASET.c.id == dataset)
        connection.execute(grown.values(images=DATASET.c.images + len(added)))
    if changed:
        update = MEMBERSHIP.update().where(
            MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image == bindparam("which")
        )
        # A split alone is no event, and the time is that of the latest one.
        latest = func.coalesce(bindparam("told", type_=Float), MEMBERSHIP.c.changed)
        rows = [
            _membership(c) | {"which": c.image, "told": at if c.event else None} for c in changed
        ]
        connection.execute(update.values(changed=latest), rows)
    if restored := [change.image for change in added if change.before is not None]:
        out = REMOVED.delete().where(
            REMOVED.c.dataset == dataset, REMOVED.c.image == bindparam("which")
        )
        connection.execute(out, [{"which": image} for image in restored])
    _write_labels(connection, dataset, changes, at, who)


def take_out(connection: Connection, removal: Removal) -> None:
    """Take an image out of a dataset, if it is in it.

    Raises:
        NotFoundError: No such dataset, or the image was never in it.
    """
    dataset = find_dataset(connection, removal.dataset).id
    before = _standings(connection, dataset, [removal.image]).get(removal.image)
    if before is None:
        raise _unknown(removal.dataset, removal.image)
    if not before.removed:
        _take_out(connection, dataset, removal, before)


def _take_out(connection: Connection, dataset: int, removal: Removal, before: Standing) -> None:
    """Turn a membership into a tombstone, so that nothing that asks for memberships sees it."""
    this = {"dataset": dataset, "image": removal.image}
    connection.execute(
        MEMBERSHIP.delete().where(
            MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image == removal.image
        )
    )
    # The code of the first tables brings an image back without knowing of its tombstone.
    connection.execute(
        REMOVED.delete().where(REMOVED.c.dataset == dataset, REMOVED.c.image == removal.image)
    )
    kept = {"category": before.category, "split": before.split, "split_said": before.said}
    connection.execute(REMOVED.insert(), [this | kept | {"at": removal.at}])
    event = {"category": None, "who": removal.who, "at": removal.at, "kind": "removed"}
    connection.execute(LABEL_EVENT.insert(), [this | event])
    connection.execute(
        DATASET.update().where(DATASET.c.id == dataset).values(images=DATASET.c.images - 1)
    )
    if before.category is not None:
        connection.execute(
            CATEGORY.update()
            .where(CATEGORY.c.id == before.category)
            .values(images=CATEGORY.c.images - 1)
        )


def _unknown(dataset: str, image: str) -> NotFoundError:
    return NotFoundError(f"{dataset} has no image {image}", kind="unknown-image")


def _write_labels(
    connection: Connection, dataset: int, changes: Sequence[_Change], at: float, who: str | None
) -> None:
    events, counts = [], Counter[str]()
    for change in changes:
        kind = change.event
        if kind is None:
            continue
        old = change.before.category if change.before and not change.was_out else None
        new = change.after.category
        event = {"dataset": dataset, "image": change.image, "category": new, "who": who, "at": at}
        events.append(event | {"kind": None if kind == "labeled" else kind})
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
        "labeled_by": after.by,
    }


def _size(image: ImageRecord) -> dict[str, object]:
    return {"height": image.height, "width": image.width, "channels": image.channels}


def _standings(connection: Connection, dataset: int, images: Sequence[str]) -> dict[str, Standing]:
    columns = (
        MEMBERSHIP.c.image,
        MEMBERSHIP.c.category,
        MEMBERSHIP.c.split,
        MEMBERSHIP.c.split_said,
        MEMBERSHIP.c.labeled_by,
    )
    out = (REMOVED.c.image, REMOVED.c.category, REMOVED.c.split, REMOVED.c.split_said)
    standings = {}
    for start in range(0, len(images), _AT_ONCE):
        some = images[start : start + _AT_ONCE]
        query = select(*out).where(REMOVED.c.dataset == dataset, REMOVED.c.image.in_(some))
        for image, category, split, said in connection.execute(query):
            standings[image] = Standing(category, split, said, removed=True)
        query = select(*columns).where(
            MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image.in_(some)
        )
        for image, *standing in connection.execute(query):
            standings[image] = Standing(*standing)
    return standings


def _categories(
    connection: Connection, dataset: int, known: Category | None, changes: Sequence[_Change]
) -> dict[str, Category]:
    """Return the categories that images are in now, by id; most often the one that is known."""
    names = {known.id: known} if known else {}
    if {change.after.category for change in changes} - {None, *names}:
        query = select(CATEGORY.c.id, CATEGORY.c.name).where(CATEGORY.c.dataset == dataset)
        names |= {row.id: Category(id=row.id, name=row.name) for row in connection.execute(query)}
    return names


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
        duplicate=not change.was_out,
        relabeled=is_relabeled(change.before, after),
    )


def _find(connection: Connection, sha256: str) -> ImageRecord:
    row = connection.execute(select(IMAGE).where(IMAGE.c.sha256 == sha256)).first()
    if row is None:
        raise NotFoundError(f"there is no image {sha256}", kind="unknown-image")
    return ImageRecord(row.sha256, row.format, row.height, row.width, row.channels, row.size_bytes)

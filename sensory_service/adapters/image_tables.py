"""Images, memberships and labels in tables."""

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy
from sqlalchemy import Connection, select

from commons.adapters.database import reading, writing
from commons.errors import NotFoundError
from commons.label_messages import LabelsReply
from commons.messages import Category, DatasetImage, DatasetImages, StoredImage
from sensory_service.adapters.browsing import browse, lookup
from sensory_service.adapters.dataset_tables import (
    find_dataset,
    find_or_make_category,
    find_or_make_dataset,
    insert_unless_there,
)
from sensory_service.adapters.erasure_marks import forget_erasures
from sensory_service.adapters.memberships import (
    Change,
    Said,
    find_standings,
    names_after,
    take_out,
    unknown_image,
    write,
)
from sensory_service.adapters.relabeling import relabel_many
from sensory_service.adapters.tables import IMAGE
from sensory_service.labeling import after_decision, after_upload, is_relabeled
from sensory_service.ports import Filter, ImageRecord, Relabel, Relabels, Removal, Upload


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
            write(connection, dataset, changes, Said(upload.at, upload.who, upload.source))
            names = names_after(connection, dataset, category, changes)
        return [
            _stored(upload.dataset, image, change, names)
            for image, change in zip(upload.images, changes, strict=True)
        ]

    def relabel(self, relabel: Relabel) -> StoredImage:
        """Add a label event unless the label is the same, and return what the image is now."""
        with writing(self._database) as connection:
            dataset = find_dataset(connection, relabel.dataset).id
            before = find_standings(connection, dataset, [relabel.image]).get(relabel.image)
            if before is None or before.removed:
                raise unknown_image(relabel.dataset, relabel.image)
            category = relabel.category and find_or_make_category(
                connection, dataset, relabel.category, relabel.at
            )
            label = category.id if category else None
            image = _find(connection, relabel.image)
            after = after_decision(before, label, relabel.who, relabel.source)
            change = Change(relabel.image, before, after)
            write(connection, dataset, [change], Said(relabel.at, relabel.who, relabel.source))
            names = names_after(connection, dataset, category, [change])
            return _stored(relabel.dataset, image, change, names)

    def relabel_many(self, relabels: Relabels) -> LabelsReply:
        """Label many images in one transaction and say what became of each."""
        with writing(self._database) as connection:
            return relabel_many(connection, relabels)

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


def _plan(
    connection: Connection, dataset: int, upload: Upload, category: str | None
) -> list[Change]:
    """Return what happens to each image in turn; the same bytes may come twice in a request."""
    standings = find_standings(connection, dataset, [image.sha256 for image in upload.images])
    changes = []
    for image in upload.images:
        before = standings.get(image.sha256)
        after = after_upload(before, category, upload.split, upload.who, upload.source)
        standings[image.sha256] = after
        changes.append(Change(image.sha256, before, after, image))
    return changes


def _stored(
    dataset: str, image: ImageRecord, change: Change, names: dict[str, Category]
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

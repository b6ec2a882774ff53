"""What images are in a dataset, and every change of it: label, event, split and counts in one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, Float, bindparam, func, select

from commons.errors import NotFoundError
from commons.messages import Category, EventKind
from sensory_service.adapters.claim_tables import forget_claims
from sensory_service.adapters.dataset_tables import find_dataset
from sensory_service.adapters.opinion_tables import forget_opinion, label_changed
from sensory_service.adapters.tables import CATEGORY, DATASET, LABEL_EVENT, MEMBERSHIP, REMOVED
from sensory_service.labeling import Standing, event_of, is_out
from sensory_service.ports import ImageRecord, Removal

_AT_ONCE = 1000  # values of one IN list; databases count theirs in ten thousands


class Said(NamedTuple):
    """When something was said about images (unix seconds), by whom, and how it came."""

    at: float
    who: str | None
    source: str | None


@dataclass(frozen=True)
class Change:
    """What happens to an image; `facts` are there where it comes in."""

    image: str
    before: Standing | None
    after: Standing
    facts: ImageRecord | None = None

    @property
    def was_out(self) -> bool:
        """Whether the image was not in the dataset."""
        return is_out(self.before)

    @property
    def event(self) -> EventKind | None:
        """What the history says of it, if anything."""
        return event_of(self.before, self.after)


def write(connection: Connection, dataset: int, changes: Sequence[Change], said: Said) -> None:
    """Write down what happens to images of a dataset in turn, with its events and counts."""
    added = [change for change in changes if change.was_out]
    changed = [c for c in changes if not c.was_out and c.before != c.after]
    if added:
        new = {"dataset": dataset, "added": said.at, "changed": said.at}
        rows = [_membership(change) | _size(change.facts) | new for change in added]
        connection.execute(MEMBERSHIP.insert(), rows)
        grown = DATASET.update().where(DATASET.c.id == dataset)
        connection.execute(grown.values(images=DATASET.c.images + len(added)))
    if changed:
        labels = {c.image: c.after.category for c in changed if c.event}
        label_changed(connection, dataset, labels)
        update = MEMBERSHIP.update().where(
            MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image == bindparam("which")
        )
        # A split alone is no event, and the time is that of the latest one.
        latest = func.coalesce(bindparam("told", type_=Float), MEMBERSHIP.c.changed)
        rows = [
            _membership(c) | {"which": c.image, "told": said.at if c.event else None}
            for c in changed
        ]
        connection.execute(update.values(changed=latest), rows)
    if restored := [change.image for change in added if change.before is not None]:
        out = REMOVED.delete().where(
            REMOVED.c.dataset == dataset, REMOVED.c.image == bindparam("which")
        )
        connection.execute(out, [{"which": image} for image in restored])
    _write_labels(connection, dataset, changes, said)


def take_out(connection: Connection, removal: Removal) -> None:
    """Take an image out of a dataset, if it is in it.

    Raises:
        NotFoundError: No such dataset, or the image was never in it.
    """
    dataset = find_dataset(connection, removal.dataset).id
    before = find_standings(connection, dataset, [removal.image]).get(removal.image)
    if before is None:
        raise unknown_image(removal.dataset, removal.image)
    if not before.removed:
        _take_out(connection, dataset, removal, before)


def _take_out(connection: Connection, dataset: int, removal: Removal, before: Standing) -> None:
    """Turn a membership into a tombstone, so that nothing that asks for memberships sees it."""
    forget_opinion(connection, dataset, removal.image)
    forget_claims(connection, dataset, removal.image)
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


def unknown_image(dataset: str, image: str) -> NotFoundError:
    """Return the error of an image that is not in a dataset."""
    return NotFoundError(f"{dataset} has no image {image}", kind="unknown-image")


def _write_labels(
    connection: Connection, dataset: int, changes: Sequence[Change], said: Said
) -> None:
    events, counts = [], Counter[str]()
    for change in changes:
        kind = change.event
        if kind is None:
            continue
        old = change.before.category if change.before and not change.was_out else None
        new = change.after.category
        event = {"dataset": dataset, "image": change.image, "category": new} | said._asdict()
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


def _membership(change: Change) -> dict[str, object]:
    after = change.after
    return {
        "image": change.image,
        "category": after.category,
        "split": after.split,
        "split_said": after.said,
        "labeled_by": after.by,
        "source": after.source,
    }


def _size(image: ImageRecord | None) -> dict[str, object]:
    if image is None:
        return {}
    return {"height": image.height, "width": image.width, "channels": image.channels}


def find_standings(
    connection: Connection, dataset: int, images: Sequence[str]
) -> dict[str, Standing]:
    """Return what those of some images are that are in a dataset, or were removed from it."""
    columns = (
        MEMBERSHIP.c.image,
        MEMBERSHIP.c.category,
        MEMBERSHIP.c.split,
        MEMBERSHIP.c.split_said,
        MEMBERSHIP.c.labeled_by,
        MEMBERSHIP.c.source,
    )
    out = (REMOVED.c.image, REMOVED.c.category, REMOVED.c.split, REMOVED.c.split_said)
    standings: dict[str, Standing] = {}
    for start in range(0, len(images), _AT_ONCE):
        some = images[start : start + _AT_ONCE]
        query = select(*out).where(REMOVED.c.dataset == dataset, REMOVED.c.image.in_(some))
        for image, category, split, said in connection.execute(query):
            standings[image] = Standing(category, split, said, removed=True)
        query = select(*columns).where(
            MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image.in_(some)
        )
        for row in connection.execute(query):
            standings[row.image] = Standing(
                row.category, row.split, row.split_said, row.labeled_by, source=row.source
            )
    return standings


def names_after(
    connection: Connection, dataset: int, known: Category | None, changes: Sequence[Change]
) -> dict[str, Category]:
    """Return the categories that images are in now, by id; most often the one that is known."""
    names = {known.id: known} if known else {}
    if {change.after.category for change in changes} - {None, *names}:
        query = select(CATEGORY.c.id, CATEGORY.c.name).where(CATEGORY.c.dataset == dataset)
        names |= {row.id: Category(id=row.id, name=row.name) for row in connection.execute(query)}
    return names

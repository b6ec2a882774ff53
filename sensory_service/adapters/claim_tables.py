"""Who is about to label which images, in tables.

Writers of one dataset take turns, so whoever takes images sees all claims of the others. A claim
that is over holds nothing, whether or not it was cleared away.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Row, func, select

from commons.adapters.database import writing
from commons.errors import NotFoundError
from commons.label_messages import LabelQueue, QueuedImage, QueueOrder
from sensory_service.adapters.browsing import images_of, shown
from sensory_service.adapters.dataset_tables import find_dataset, insert_unless_there
from sensory_service.adapters.tables import APPEARANCE, CATEGORY, LABEL_CLAIM, MEMBERSHIP, OPINION
from sensory_service.adapters.unlabeled import find_free, unlabeled
from sensory_service.ports import Lease, Skip

# In which order those come that a client holds already.
_PLACE: dict[QueueOrder, Callable[[Row[Any]], Any]] = {
    "uncertain": lambda row: (row.margin is None, row.margin, -row.id),
    "newest": lambda row: -row.id,
    "oldest": lambda row: row.id,
    "random": lambda row: row.image,
}


class ClaimTables:
    """`sensory_service.ports.QueueCatalog` in tables."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database

    def take(self, lease: Lease) -> LabelQueue:
        """Return images to label next, held for a client from now on."""
        request = lease.request
        with writing(self._database) as connection:
            dataset = find_dataset(connection, lease.dataset)
            _forget_ended(connection, dataset.id, lease.at)
            said = _category(connection, dataset.id, lease) if request.said is not None else None
            own = _held(connection, dataset.id, lease, said)
            own.sort(key=_PLACE[request.order])
            own = own[: request.limit]
            fresh = find_free(connection, dataset.id, lease, said, own)
            taken = [row.id for row in [*own, *fresh]]
            _hold(connection, dataset.id, lease, taken)
            images = _queued(connection, dataset.id, taken)
            labeled = select(func.coalesce(func.sum(CATEGORY.c.images), 0)).where(
                CATEGORY.c.dataset == dataset.id
            )
            left = dataset.images - int(connection.execute(labeled).scalar_one())
        opinions = [image.opinion for image in images if image.opinion is not None]
        latest = max(opinions, key=lambda opinion: opinion.at, default=None)
        return LabelQueue(
            images=images,
            left=left,
            suggested=len(opinions),
            network=latest.network if latest else None,
        )

    def skip(self, skip: Skip) -> None:
        """Keep images away from a client; those that are not in the dataset do not matter."""
        with writing(self._database) as connection:
            dataset = find_dataset(connection, skip.dataset).id
            members = select(MEMBERSHIP.c.id).where(
                MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image.in_(skip.images)
            )
            numbers = [int(number) for number in connection.execute(members).scalars()]
            _write(connection, dataset, skip.client, numbers, skip.until, skipped=True)

    def release(self, dataset: str, client: str) -> None:
        """Let go of what is held for a client."""
        with writing(self._database) as connection:
            number = find_dataset(connection, dataset).id
            connection.execute(
                LABEL_CLAIM.delete().where(
                    LABEL_CLAIM.c.dataset == number,
                    LABEL_CLAIM.c.client == client,
                    LABEL_CLAIM.c.skipped.is_(False),
                )
            )


def forget_claims(connection: Connection, dataset: int, image: str) -> None:
    """Let go of an image that is about to leave its dataset."""
    of_this = select(MEMBERSHIP.c.id).where(
        MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image == image
    )
    connection.execute(LABEL_CLAIM.delete().where(LABEL_CLAIM.c.membership.in_(of_this)))


def _forget_ended(connection: Connection, dataset: int, now: float) -> None:
    ended = (LABEL_CLAIM.c.dataset == dataset, LABEL_CLAIM.c.until <= now)
    connection.execute(LABEL_CLAIM.delete().where(*ended))


def _category(connection: Connection, dataset: int, lease: Lease) -> str:
    query = select(CATEGORY.c.id, CATEGORY.c.merged_into).where(
        CATEGORY.c.dataset == dataset, CATEGORY.c.name == lease.request.said
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(
            f"{lease.dataset} has no category {lease.request.said!r}", kind="unknown-category"
        )
    return str(row.merged_into or row.id)


def _held(connection: Connection, dataset: int, lease: Lease, said: str | None) -> list[Row[Any]]:
    """Return what a client holds and nobody labeled since."""
    claimed = LABEL_CLAIM.join(MEMBERSHIP, LABEL_CLAIM.c.membership == MEMBERSHIP.c.id)
    query = unlabeled(claimed).where(
        LABEL_CLAIM.c.dataset == dataset,
        LABEL_CLAIM.c.client == lease.request.client,
        LABEL_CLAIM.c.skipped.is_(False),
    )
    if said is not None:
        query = query.where(OPINION.c.category == said)
    return list(connection.execute(query))


def _hold(connection: Connection, dataset: int, lease: Lease, numbers: Sequence[int]) -> None:
    until = lease.at + lease.request.hold_s
    _write(connection, dataset, lease.request.client, numbers, until, skipped=False)


def _write(
    connection: Connection,
    dataset: int,
    client: str,
    numbers: Sequence[int],
    until: float,
    *,
    skipped: bool,
) -> None:
    if not numbers:
        return
    these = (LABEL_CLAIM.c.membership.in_(numbers), LABEL_CLAIM.c.client == client)
    connection.execute(LABEL_CLAIM.delete().where(*these))
    rows: list[dict[str, object]] = [
        {
            "membership": number,
            "client": client,
            "dataset": dataset,
            "until": until,
            "skipped": skipped,
        }
        for number in numbers
    ]
    insert_unless_there(connection, LABEL_CLAIM, rows, ["membership", "client"])


def _queued(connection: Connection, dataset: int, numbers: Sequence[int]) -> list[QueuedImage]:
    if not numbers:
        return []
    rows = connection.execute(images_of(dataset).where(MEMBERSHIP.c.id.in_(numbers))).all()
    by_number = {row.id: row for row in rows}
    ordered = [by_number[number] for number in numbers]
    alike = _alike(connection, dataset, {row.cluster for row in rows} - {None})
    return [
        QueuedImage(
            **image.model_dump(exclude={"opinion"}),
            opinion=image.opinion,
            alike=alike.get(str(image.group), 1),
        )
        for image in shown(connection, dataset, ordered)
    ]


def _alike(connection: Connection, dataset: int, groups: Collection[str]) -> dict[str, int]:
    """Return how many unlabeled images of a dataset are in each of some groups."""
    query = (
        select(APPEARANCE.c.cluster, func.count().label("images"))
        .join_from(APPEARANCE, MEMBERSHIP, MEMBERSHIP.c.image == APPEARANCE.c.image)
        .where(
            APPEARANCE.c.cluster.in_(groups),
            MEMBERSHIP.c.dataset == dataset,
            MEMBERSHIP.c.category.is_(None),
        )
        .group_by(APPEARANCE.c.cluster)
    )
    return {row.cluster: row.images for row in connection.execute(query)} if groups else {}

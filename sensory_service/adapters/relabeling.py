"""Many decisions about labels in one transaction, and what somebody else decided meanwhile."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from commons.label_messages import Labeled, LabelsReply
from commons.messages import Category
from sensory_service.adapters.browsing import lookup
from sensory_service.adapters.dataset_tables import (
    categories_by,
    find_dataset,
    find_or_make_category,
)
from sensory_service.adapters.memberships import (
    Change,
    Said,
    find_standings,
    names_after,
    write,
)
from sensory_service.adapters.tables import MEMBERSHIP
from sensory_service.labeling import Standing, after_decision
from sensory_service.ports import Choice, Relabels


def relabel_many(connection: Connection, relabels: Relabels) -> LabelsReply:
    """Give images their labels and say what became of each.

    Raises:
        NotFoundError: No such dataset.
    """
    dataset = find_dataset(connection, relabels.dataset).id
    book = _Book(connection, dataset, relabels)
    for choice in relabels.choices:
        book.take(choice)
    said = Said(relabels.at, relabels.who, relabels.source)
    write(connection, dataset, book.changes, said)
    return book.reply()


class _Book:
    """What the choices of a request come to, in turn."""

    def __init__(self, connection: Connection, dataset: int, relabels: Relabels) -> None:
        self._connection = connection
        self._dataset = dataset
        self._relabels = relabels
        images = list({choice.image for choice in relabels.choices})
        self._standings = find_standings(connection, dataset, images)
        self._latest = _latest_events(connection, dataset, images)
        self._categories = _known(connection, dataset, relabels.choices)
        self._decided: dict[str, bool] = {}
        self._conflicts: dict[str, None] = {}
        self._unknown: dict[str, None] = {}
        self.changes: list[Change] = []

    def take(self, choice: Choice) -> None:
        """Add a choice that counts to the changes; sort out the others."""
        image, before = choice.image, self._standings.get(choice.image)
        if before is None or before.removed:
            self._unknown[image] = None
        elif self._is_same(choice, before):
            self._decided.setdefault(image, False)
        elif self._is_late(choice):
            self._conflicts[image] = None
        else:
            self._change(choice, before)

    def _is_same(self, choice: Choice, before: Standing) -> bool:
        if choice.category is None:
            return before.category is None
        known = self._categories.get(choice.category.name)
        return known is not None and known.id == before.category

    def _is_late(self, choice: Choice) -> bool:
        """Say whether somebody else spoke since: what this request says itself, it has seen."""
        if choice.seen is None or self._decided.get(choice.image):
            return False
        return choice.seen != self._latest[choice.image]

    def _change(self, choice: Choice, before: Standing) -> None:
        relabels, label = self._relabels, None
        if choice.category is not None:
            label = self._made(choice.category).id
        after = after_decision(before, label, relabels.who, relabels.source)
        self.changes.append(Change(choice.image, before, after))
        self._standings[choice.image] = after
        self._latest[choice.image] = relabels.at
        self._decided[choice.image] = True
        self._conflicts.pop(choice.image, None)

    def _made(self, category: Category) -> Category:
        """Return the category of a name; one that nothing has in the end is never made."""
        if category.name not in self._categories:
            made = find_or_make_category(
                self._connection, self._dataset, category, self._relabels.at
            )
            self._categories[category.name] = made
        return self._categories[category.name]

    def reply(self) -> LabelsReply:
        """Return what became of the images; those in conflict are read again as they stand."""
        decided = [image for image in self._decided if image not in self._conflicts]
        stood = [Change(image, self._standings[image], self._standings[image]) for image in decided]
        names = names_after(self._connection, self._dataset, None, stood)
        conflicts = lookup(self._connection, self._relabels.dataset, list(self._conflicts))
        return LabelsReply(
            labeled=[
                Labeled(
                    image=change.image,
                    category=names[change.after.category] if change.after.category else None,
                    changed=self._latest[change.image],
                    relabeled=self._decided[change.image],
                )
                for change in stood
            ],
            conflicts=conflicts,
            unknown=list(self._unknown),
        )


def _latest_events(connection: Connection, dataset: int, images: Sequence[str]) -> dict[str, float]:
    # As pages show it: the code of the first tables wrote no time of an event.
    latest = func.coalesce(MEMBERSHIP.c.changed, MEMBERSHIP.c.added).label("latest")
    query = select(MEMBERSHIP.c.image, latest).where(
        MEMBERSHIP.c.dataset == dataset, MEMBERSHIP.c.image.in_(images)
    )
    return {row.image: row.latest for row in connection.execute(query)}


def _known(connection: Connection, dataset: int, choices: Sequence[Choice]) -> dict[str, Category]:
    """Return the categories of these names that are there; one that was merged by its new id."""
    names = {choice.category.name for choice in choices if choice.category is not None}
    return categories_by("name", connection, dataset, names) if names else {}

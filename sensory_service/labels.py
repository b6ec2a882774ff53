"""What people say about images after they came: categories, history, removal."""

from collections.abc import Callable

from commons.label_messages import LabelsReply, LabelsRequest
from commons.messages import Category, ImageHistory
from commons.ports import Clock
from sensory_service.names import category_name, dataset_name
from sensory_service.ports import Choice, ImageCatalog, LabelCatalog, Merge, Relabels, Removal

# What the tables hold of a name.
LONGEST_WHO = 120


class LabelDesk:
    """The use cases of categories and of an image's history.

    Args:
        labels: Categories and events.
        images: Memberships.
        clock: Time of the events.
        new_id: Returns an opaque id for a category that is new.
    """

    def __init__(
        self,
        labels: LabelCatalog,
        images: ImageCatalog,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._labels = labels
        self._images = images
        self._clock = clock
        self._new_id = new_id

    def add_category(self, dataset: str, name: str) -> tuple[Category, bool]:
        """Return the category of a name, and whether it is new; a new dataset is made too.

        Raises:
            InvalidInputError: A wrong name of dataset or category.
        """
        wanted = Category(id=self._new_id(), name=category_name(name))
        category = self._labels.add(dataset_name(dataset), wanted, self._clock.now())
        return category, category.id == wanted.id

    def rename_category(self, dataset: str, category: str, name: str) -> Category:
        """Give a category another name; its id and its images stay.

        Raises:
            NotFoundError: No such dataset or category.
            InvalidInputError: A wrong name.
            ConflictError: Another category has it.
        """
        return self._labels.rename(dataset, category, category_name(name))

    def merge_categories(self, dataset: str, category: str, into: str, who: str | None) -> Category:
        """Give all images of a category to another and return that one.

        Each image gets a label event, and the old name becomes another name of the new category.

        Raises:
            NotFoundError: No such dataset or category.
            InvalidInputError: A category cannot be merged into itself.
        """
        return self._labels.merge(Merge(dataset, category, into, self._clock.now(), who))

    def label_many(self, dataset: str, request: LabelsRequest, who: str | None) -> LabelsReply:
        """Give many images their labels in one step; to repeat it changes nothing.

        Raises:
            NotFoundError: No such dataset.
            InvalidInputError: A wrong name of a category; nothing was labeled.
        """
        names = {one.category for one in request.labels if one.category is not None}
        made = {name: Category(id=self._new_id(), name=category_name(name)) for name in names}
        choices = [
            Choice(one.image, made[one.category] if one.category is not None else None, one.seen)
            for one in request.labels
        ]
        now = self._clock.now()
        return self._images.relabel_many(Relabels(dataset, choices, now, who, request.source))

    def history(self, dataset: str, image: str) -> ImageHistory:
        """Return every event of an image in a dataset, oldest first.

        Raises:
            NotFoundError: No such dataset, or the image was never in it.
        """
        return self._labels.history(dataset, image)

    def remove(self, dataset: str, image: str, who: str | None) -> None:
        """Take an image out of a dataset; frozen snapshots and its history keep it.

        Sending it again brings it back with its label and its split.

        Raises:
            NotFoundError: No such dataset, or the image was never in it.
        """
        self._images.remove(Removal(dataset, image, self._clock.now(), who))


def signed(caller: str | None, claim: str | None) -> str | None:
    """Return who did something: the caller, or whoever the caller says, with the caller's name.

    So a service may pass on what a person said, and nobody can sign with the name of another:
    what comes last is the name of the key that was shown. Without a key there is no name.
    """
    if caller is None or claim is None:
        return caller
    end = f" via {caller}"
    said = "".join(one if one.isprintable() else "\ufffd" for one in claim)
    said = said[: max(0, LONGEST_WHO - len(end))]
    return f"{said}{end}" if said else caller

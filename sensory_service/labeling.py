"""What an upload or a correction changes about an image of a dataset: the rules, no more."""

from dataclasses import dataclass

from commons.messages import Split


@dataclass(frozen=True)
class Standing:
    """What an image is in a dataset: its latest label (an id), by whom, and its split.

    A removed image is not in the dataset, but what it was is kept for its return.
    """

    category: str | None = None
    split: Split | None = None
    said: bool = False
    by: str | None = None
    removed: bool = False


def after_upload(
    before: Standing | None, category: str | None, split: Split | None, who: str | None = None
) -> Standing:
    """Return what an image is after it was sent, perhaps not for the first time.

    Without a category it keeps its label: sending bytes again takes nothing away. The first
    split that was said or assigned stays, whatever a later import says, since what was once
    trained on must never judge.
    """
    before = before or Standing()
    kept = category is None or category == before.category
    return Standing(
        category=before.category if kept else category,
        split=before.split or split,
        said=before.said if before.split else split is not None,
        by=before.by if kept else who,
    )


def is_relabeled(before: Standing | None, after: Standing) -> bool:
    """Say whether an image that was there has another label now."""
    return before is not None and not before.removed and before.category != after.category

"""What an upload or a correction changes about an image of a dataset: the rules, no more."""

from dataclasses import dataclass, replace

from commons.messages import EventKind, Split


@dataclass(frozen=True)
class Standing:
    """What an image is in a dataset: its latest label (an id), its split, and who said so.

    `by` is whoever did the latest of its history: labeled it, took its label away, or sent it
    where nobody said anything since. `source` is how its label came, if it has one. A removed
    image is not in the dataset, but what it was is kept for its return.
    """

    category: str | None = None
    split: Split | None = None
    said: bool = False
    by: str | None = None
    removed: bool = False
    source: str | None = None


def after_upload(
    before: Standing | None,
    category: str | None,
    split: Split | None,
    who: str | None = None,
    source: str | None = None,
) -> Standing:
    """Return what an image is after it was sent, perhaps not for the first time.

    Without a category it keeps its label: sending bytes again takes nothing away. The first
    split that was said or assigned stays, whatever a later import says, since what was once
    trained on must never judge.
    """
    came = is_out(before)
    before = before or Standing()
    kept = category is None or category == before.category
    label = before.category if kept else category
    return Standing(
        category=label,
        split=before.split or split,
        said=before.said if before.split else split is not None,
        by=before.by if kept and not came else who,
        source=None if label is None else before.source if kept and not came else source,
    )


def after_decision(
    before: Standing, category: str | None, who: str | None, source: str | None
) -> Standing:
    """Return what an image of a dataset is after somebody gave it a label, or took it away."""
    if category == before.category:
        return before
    return replace(before, category=category, by=who, source=None if category is None else source)


def is_out(before: Standing | None) -> bool:
    """Say whether an image was not in the dataset: never, or not any more."""
    return before is None or before.removed


def is_relabeled(before: Standing | None, after: Standing) -> bool:
    """Say whether an image that was there has another label now."""
    return before is not None and not before.removed and before.category != after.category


def event_of(before: Standing | None, after: Standing) -> EventKind | None:
    """Return what the history says of a change; a split alone is not in it."""
    if before is None:
        return "labeled" if after.category else "added"
    if before.removed:
        return "restored"
    return "labeled" if before.category != after.category else None

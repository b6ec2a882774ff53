"""What changed from one snapshot to another."""

from collections.abc import Iterator

from commons.messages import SPLITS, Snapshot, SnapshotChange, SnapshotDiff
from sensory_service.ports import SnapshotCatalog
from sensory_service.shard_layout import span_of

_ROWS = 10_000
_END = ("g", "")  # after every hash


class SnapshotComparison:
    """Compares snapshots; both manifests are sorted, so it takes little memory."""

    def __init__(self, catalog: SnapshotCatalog) -> None:
        self._catalog = catalog

    def diff(self, before: str, after: str, limit: int) -> SnapshotDiff:
        """Return how many images were added, removed and relabeled, and the first of each.

        Raises:
            NotFoundError: No such snapshot.
            ConflictError: They are of two datasets.
        """
        old, new = self._catalog.get(before), self._catalog.get(after)
        counts = {"added": 0, "removed": 0, "relabeled": 0}
        changes: list[SnapshotChange] = []
        kept = dict.fromkeys(counts, 0)
        for change in self._changes(old, new):
            counts[change.kind] += 1
            if kept[change.kind] < limit:
                kept[change.kind] += 1
                changes.append(change)
        return SnapshotDiff(
            before=old.id,
            after=new.id,
            categories_added=[c for c in new.categories if c not in old.categories],
            categories_removed=[c for c in old.categories if c not in new.categories],
            changes=changes,
            **counts,
        )

    def _changes(self, old: Snapshot, new: Snapshot) -> Iterator[SnapshotChange]:
        """Yield what differs: an image never changes its split, so splits are compared alone."""
        for split in SPLITS:
            olds = self._lines(old, span_of(old.counts, split))
            news = self._lines(new, span_of(new.counts, split))
            was, now = next(olds, _END), next(news, _END)
            while min(was, now) != _END:
                (old_image, old_label), (new_image, new_label) = was, now
                if old_image < new_image:
                    yield SnapshotChange(kind="removed", image=old_image, before=old_label)
                elif new_image < old_image:
                    yield SnapshotChange(kind="added", image=new_image, after=new_label)
                elif old_label != new_label:
                    yield SnapshotChange(
                        kind="relabeled", image=new_image, before=old_label, after=new_label
                    )
                was = next(olds, _END) if old_image <= new_image else was
                now = next(news, _END) if new_image <= old_image else now

    def _lines(self, snapshot: Snapshot, span: range) -> Iterator[tuple[str, str]]:
        """Yield image and category (id) of some rows."""
        ids = [category.id for category in snapshot.categories]
        for first in span[::_ROWS]:
            count = min(_ROWS, span.stop - first)
            for row in self._catalog.rows(snapshot.id, first, count):
                yield row.image, ids[row.category]

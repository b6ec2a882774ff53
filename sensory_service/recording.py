"""Records the uploads of many requests together, so that they share a sync of the tables."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from commons.messages import StoredImage
from sensory_service.ports import ImageCatalog, Upload


@dataclass(eq=False)
class _Waiting:
    upload: Upload
    stored: Future[list[StoredImage]] = field(default_factory=Future)


class UploadRecorder:
    """Records one upload of a dataset at a time; those that wait become one where they are alike.

    Nobody waits for others to come: who finds nothing under way records at once. An upload that
    fails fails alone.

    Args:
        catalog: Where uploads are recorded.
    """

    def __init__(self, catalog: ImageCatalog) -> None:
        self._catalog = catalog
        self._turn = threading.Condition()
        self._waiting: list[_Waiting] = []
        self._busy: set[str] = set()  # datasets; writers of one take turns in any database

    def record(self, upload: Upload) -> list[StoredImage]:
        """Do what `ImageCatalog.record` does, with what it raises."""
        mine = _Waiting(upload)
        group: list[_Waiting] = []
        with self._turn:
            self._waiting.append(mine)
            while upload.dataset in self._busy and not mine.stored.done():
                self._turn.wait()
            if not mine.stored.done():
                group = self._alike(mine)
                self._busy.add(upload.dataset)
        if group:
            try:
                self._record(group)
            finally:
                with self._turn:
                    self._busy.remove(upload.dataset)
                    self._turn.notify_all()
        return mine.stored.result()

    def _alike(self, mine: _Waiting) -> list[_Waiting]:
        """Take from those that wait all that can be recorded as one with this one."""
        key = _key(mine)
        alike = [key is not None and _key(one) == key for one in self._waiting]
        group = [one for one, is_ in zip(self._waiting, alike, strict=True) if is_] or [mine]
        self._waiting = [one for one in self._waiting if one not in group]
        return group

    def _record(self, group: Sequence[_Waiting]) -> None:
        if len(group) > 1 and self._recorded_as_one(group):
            return
        for one in group:
            try:
                one.stored.set_result(self._catalog.record(one.upload))
            except BaseException as error:  # raised where it is waited for
                one.stored.set_exception(error)

    def _recorded_as_one(self, group: Sequence[_Waiting]) -> bool:
        images = [image for one in group for image in one.upload.images]
        at = max(one.upload.at for one in group)
        try:
            stored = self._catalog.record(replace(group[0].upload, images=images, at=at))
        except Exception:  # one of them may be at fault: each is tried alone
            return False
        start = 0
        for one in group:
            end = start + len(one.upload.images)
            one.stored.set_result(stored[start:end])
            start = end
        return True


def _key(one: _Waiting) -> object:
    """Return what uploads that can be one have in common, or None."""
    upload = one.upload
    if upload.erased:
        return None
    category = upload.category.name if upload.category else None
    return upload.dataset, category, upload.split, upload.who, upload.source

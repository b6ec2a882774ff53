"""Looks whether what the tables say is in the blobs, whole, and nothing else is."""

import hashlib
from collections.abc import Callable, Iterable, Iterator

from commons.blob_names import shard_blob
from commons.errors import InvalidInputError, NotFoundError
from commons.messages import CheckFault, CheckReport, SnapshotState
from commons.ports import Blobs, Clock
from sensory_service.blob_names import image_blob, pack_blob
from sensory_service.ports import BlobCatalog

_KINDS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("images", image_blob),
    ("packs", pack_blob),
    ("shards", shard_blob),
)
_HEX = set("0123456789abcdef")
# No request takes longer from its bytes to the tables.
_YOUNG_S = 600.0


class Inspector:
    """The use case of `dicebox fsck`, one 256th of everything at a time.

    Args:
        catalog: What should be there.
        blobs: What is there.
        clock: Says how old that is.
        leftovers: Names of temporary files that nobody writes any more.
    """

    def __init__(
        self,
        catalog: BlobCatalog,
        blobs: Blobs,
        clock: Clock,
        leftovers: Callable[[], Iterable[str]],
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._clock = clock
        self._leftovers = leftovers

    def check(self, prefix: str) -> CheckReport:
        """Return what is wrong with all whose hash starts with two digits.

        Raises:
            InvalidInputError: The prefix is not two hexadecimal digits.
        """
        if len(prefix) != 2 or not set(prefix) <= _HEX:  # noqa: PLR2004
            raise InvalidInputError(f"expected a prefix like 0f, got {prefix[:100]!r}")
        checked = 0
        faults: list[CheckFault] = []
        young: list[str] = []
        for kind, blob_of in _KINDS:
            # Listed first: what is stored meanwhile is then in the tables, and not an orphan.
            there = set(self._blobs.names(f"{kind}/{prefix}/"))
            wanted = {blob_of(sha256): sha256 for sha256 in self._catalog.hashes(kind, prefix)}
            checked += len(wanted)
            faults += [
                fault for name in sorted(wanted) for fault in self._faults(name, wanted[name])
            ]
            for name in sorted(there - set(wanted)):
                age_s = self._age_s(name)
                if age_s is not None and age_s < _YOUNG_S:
                    young.append(name)
                elif age_s is not None:
                    faults.append(_fault("orphan", name))
        if prefix == "00":
            faults += [_fault("leftover", name) for name in self._leftovers()]
            faults += [_fault("unfinished", image) for image in self._catalog.unfinished()]
        return CheckReport(prefix=prefix, checked=checked, faults=faults, young=young)

    def snapshot(self, snapshot: str) -> SnapshotState:
        """Return what became of a snapshot.

        Raises:
            NotFoundError: No snapshot has this id.
        """
        return self._catalog.snapshot(snapshot)

    def _age_s(self, name: str) -> float | None:
        """Return how old a blob is, or nothing if it is gone meanwhile."""
        try:
            return self._clock.now() - self._blobs.stored_at(name)
        except NotFoundError:
            return None

    def _faults(self, name: str, sha256: str) -> Iterator[CheckFault]:
        try:
            data = self._blobs.get(name)
        except NotFoundError:
            yield _fault("missing", name)
            return
        if hashlib.sha256(data).hexdigest() != sha256:
            yield _fault("damaged", name)


_DETAILS = {
    "missing": "the tables know it and the storage does not have it",
    "damaged": "its bytes are not those of its name",
    "orphan": "no table knows it: its upload was cut off",
    "leftover": "a temporary file that nobody writes any more: it may be deleted",
    "unfinished": "its erasure was interrupted: purge it again",
}


def _fault(kind: str, name: str) -> CheckFault:
    return CheckFault.model_validate({"kind": kind, "name": name, "detail": _DETAILS[kind]})

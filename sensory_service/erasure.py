"""Real erasure: the bytes of an image, and every pack and shard that holds them."""

import hashlib
from functools import partial

from commons.blob_names import shard_blob
from commons.errors import NotFoundError
from commons.messages import Erasure
from commons.ports import Blobs, Clock
from sensory_service.blob_names import image_blob, pack_blob
from sensory_service.packs import places_in
from sensory_service.ports import ErasedMeanwhileError, ErasureCatalog, PackPlace, ShardCatalog
from sensory_service.retention import unrecorded


class Eraser:
    """The use case of erasure.

    An erasure is written down before it begins and after it is done; one that was interrupted
    is finished by asking for it again, since the tables say what holds the image until then.

    Args:
        catalog: What holds an image.
        shards: Which shards are known.
        blobs: Where the bytes are.
        clock: Time of the erasure.
    """

    def __init__(
        self, catalog: ErasureCatalog, shards: ShardCatalog, blobs: Blobs, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._shards = shards
        self._blobs = blobs
        self._clock = clock

    def erase(self, image: str, who: str | None) -> Erasure:
        """Erase an image for good and say what held it.

        Snapshots with it are marked; orders of them fail and say why. What trainers on other
        machines have in their caches, and backups, are out of reach.

        Raises:
            NotFoundError: There never was such an image.
        """
        is_there = self._catalog.begin(image, who, self._clock.now())
        self._blobs.delete(image_blob(image))
        packs = self._catalog.packs(image)
        for pack, places in packs.items():
            self._rewrite(image, pack, places)
        self._drop_unknown_packs()
        snapshots, shards = self._catalog.holders(image)
        for shard in shards:
            self._blobs.delete(shard_blob(shard))
        self._drop_unknown_shards()
        # An upload that came in between was refused and may have left them again.
        self._blobs.delete(image_blob(image))
        marked = snapshots if is_there else []  # once for each erasure
        self._catalog.finish(image, marked, shards, self._clock.now())
        return Erasure(
            image=image, packs=len(packs), shards=len(shards), snapshots=sorted(snapshots)
        )

    def _rewrite(self, image: str, pack: str, places: list[PackPlace]) -> None:
        """Write a pack again without the image, and take the old one away."""
        try:
            data = self._blobs.get(pack_blob(pack))
        except NotFoundError:
            data = b""
        kept = [place for place in places if place.image != image] if data else []
        while True:
            rest = b"".join(data[place.start : place.start + place.size] for place in kept)
            new = hashlib.sha256(rest).hexdigest()
            if kept:
                self._blobs.put(pack_blob(new), rest)
            places = places_in(new, [(place.image, place.size) for place in kept])
            try:
                self._catalog.replace_pack(pack, places)
                break
            except ErasedMeanwhileError as error:
                self._blobs.delete(pack_blob(new))
                kept = [place for place in kept if place.image not in error.erased]
        self._blobs.delete(pack_blob(pack))

    def _drop_unknown_packs(self) -> None:
        """Delete packs whose writer died before it recorded them: nobody reads them."""
        for name in list(self._blobs.names("packs/")):
            if not self._catalog.is_pack(name.rpartition("/")[2]):
                self._blobs.delete(name)

    def _drop_unknown_shards(self) -> None:
        """Delete shards that are not recorded: who records one later finds out and has it made."""
        for name in unrecorded(self._shards, self._blobs):
            self._shards.clear(name.rpartition("/")[2], partial(self._blobs.delete, name))

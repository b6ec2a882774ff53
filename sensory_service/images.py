"""Stores images and labels: nothing is answered before it is durable."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from commons.adapters.decode import MEDIA_TYPES, inspect_image
from commons.errors import InvalidInputError, TooLargeError
from commons.label_messages import LabelSource
from commons.messages import (
    Category,
    DatasetImage,
    DatasetImages,
    DatasetSummary,
    Split,
    StoredImage,
    UploadFault,
    UploadReply,
)
from commons.ports import Blobs, Clock
from sensory_service.blob_names import image_blob
from sensory_service.names import category_name, dataset_name
from sensory_service.ports import (
    DatasetCatalog,
    ErasedMeanwhileError,
    Filter,
    ImageCatalog,
    ImageRecord,
    Relabel,
    Upload,
)
from sensory_service.recording import UploadRecorder


class ImageStore:
    """The use cases of images, labels and counts.

    Args:
        datasets: Counts.
        catalog: Memberships and labels.
        blobs: Where the bytes are.
        clock: Time of label events.
        new_id: Returns an opaque id for a category that is new.
        threads: Files of one request that are checked and written at once.
    """

    def __init__(
        self,
        datasets: DatasetCatalog,
        catalog: ImageCatalog,
        blobs: Blobs,
        clock: Clock,
        new_id: Callable[[], str],
        threads: int = 8,
    ) -> None:
        self._datasets = datasets
        self._catalog = catalog
        self._recorder = UploadRecorder(catalog)
        self._blobs = blobs
        self._clock = clock
        self._new_id = new_id
        self._threads = threads

    def store(
        self,
        dataset: str,
        data: bytes,
        category: str | None,
        split: Split | None,
        who: str | None = None,
        source: LabelSource = "upload",
    ) -> StoredImage:
        """Store one image and return what it is now; the same bytes again are no error.

        Raises:
            InvalidInputError: Not an image, or a wrong name of dataset or category.
            TooLargeError: Too many pixels.
            StorageFullError: No space is left; the image is not stored.
            UnavailableError: This image is being erased.
        """
        upload = self._upload(dataset, category, split, who, source)
        record = _inspected(data)
        self._blobs.put(image_blob(record.sha256), data)
        return self._record(upload, [(record, data)])[0]

    def store_many(
        self,
        dataset: str,
        files: Sequence[tuple[str, bytes]],
        category: str | None,
        split: Split | None,
        who: str | None = None,
        source: LabelSource = "upload",
    ) -> UploadReply:
        """Store the files (name, bytes) that are images and say of each other why it is not.

        Raises:
            InvalidInputError: A wrong name of dataset or category, or no files.
            StorageFullError: No space is left; none of these files is stored.
            UnavailableError: One of them is being erased; none is stored.
        """
        if not files:
            raise InvalidInputError(
                "expected at least one file in the form field `files`, got none"
            )
        with self.writers() as pool:
            return self.begin(pool, dataset, files, category, split, who, source)()

    def writers(self) -> ThreadPoolExecutor:
        """Return threads for `begin`: fsync and decoding let others run, so files overlap."""
        return ThreadPoolExecutor(self._threads)

    def begin(
        self,
        pool: ThreadPoolExecutor,
        dataset: str,
        files: Sequence[tuple[str, bytes]],
        category: str | None,
        split: Split | None,
        who: str | None = None,
        source: LabelSource = "upload",
    ) -> Callable[[], UploadReply]:
        """Begin what `store_many` does, and return what waits for it and finishes it.

        Raises:
            InvalidInputError: A wrong name of dataset or category.
        """
        upload = self._upload(dataset, category, split, who, source)
        # The one task waits for tasks that began before it, so some thread is always free.
        results = pool.map(_inspected_or_refused, files)
        kept = pool.submit(self._keep, results, files)
        return lambda: self._finish(upload, *kept.result())

    def relabel(
        self, dataset: str, image: str, category: str | None, who: str | None = None
    ) -> StoredImage:
        """Give an image another label, or none, and return what it is now.

        Raises:
            NotFoundError: No such dataset, or the image is not in it.
            InvalidInputError: A wrong name of the category.
        """
        now = self._clock.now()
        return self._catalog.relabel(Relabel(dataset, image, self._category(category), now, who))

    def datasets(self) -> list[DatasetSummary]:
        """Return all datasets with their counts."""
        return self._datasets.summaries()

    def dataset(self, dataset: str) -> DatasetSummary:
        """Return one dataset with its counts."""
        return self._datasets.summary(dataset)

    def browse(self, which: Filter, cursor: str | None, limit: int) -> DatasetImages:
        """Return a page of a dataset, newest first."""
        return self._catalog.browse(which, cursor, limit)

    def lookup(self, dataset: str, images: Sequence[str]) -> list[DatasetImage]:
        """Return those of some images that are in a dataset, in no order."""
        return self._catalog.lookup(dataset, images)

    def image(self, sha256: str) -> tuple[bytes, str]:
        """Return an image as it was sent, and the media type of what it decoded as.

        Raises:
            NotFoundError: No dataset holds it.
        """
        media_type = MEDIA_TYPES[self._catalog.find(sha256).format]
        return self._blobs.get(image_blob(sha256)), media_type

    def _upload(
        self,
        dataset: str,
        category: str | None,
        split: Split | None,
        who: str | None,
        source: LabelSource,
    ) -> Upload:
        label = self._category(category)
        return Upload(dataset_name(dataset), (), label, split, self._clock.now(), who, source)

    def _category(self, name: str | None) -> Category | None:
        if name is None:
            return None
        return Category(id=self._new_id(), name=category_name(name))

    def _keep(
        self, results: Iterable[ImageRecord | UploadFault], files: Sequence[tuple[str, bytes]]
    ) -> tuple[list[tuple[ImageRecord, bytes]], list[UploadFault]]:
        """Make images durable; until the tables know them they are no image of anybody."""
        kept: list[tuple[ImageRecord, bytes]] = []
        refused: list[UploadFault] = []
        for result, (_, data) in zip(results, files, strict=True):
            if isinstance(result, UploadFault):
                refused.append(result)
            else:
                kept.append((result, data))
        self._blobs.put_many([(image_blob(record.sha256), data) for record, data in kept])
        return kept, refused

    def _finish(
        self,
        upload: Upload,
        kept: Sequence[tuple[ImageRecord, bytes]],
        refused: Sequence[UploadFault],
    ) -> UploadReply:
        stored = self._record(upload, kept) if kept else []
        return UploadReply(stored=stored, refused=refused)

    def _record(
        self, upload: Upload, kept: Sequence[tuple[ImageRecord, bytes]]
    ) -> list[StoredImage]:
        upload = replace(upload, images=[record for record, _ in kept])
        while True:
            try:
                return self._recorder.record(upload)
            except ErasedMeanwhileError as error:
                # Each time round is another erasure, so this ends.
                for record, data in kept:
                    if record.sha256 in error.erased:
                        self._blobs.put(image_blob(record.sha256), data)
                upload = replace(upload, erased={**upload.erased, **error.erased})


def _inspected(data: bytes) -> ImageRecord:
    facts = inspect_image(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return ImageRecord(sha256, facts.format, facts.height, facts.width, facts.channels, len(data))


def _inspected_or_refused(file: tuple[str, bytes]) -> ImageRecord | UploadFault:
    name, data = file
    try:
        return _inspected(data)
    except (InvalidInputError, TooLargeError) as error:
        return UploadFault(file=name, kind=error.kind, detail=str(error))

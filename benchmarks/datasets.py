"""The labeled images that benchmarks use, sent in through the REST API as a user would."""

import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from commons.errors import DiceboxError, InvalidInputError, NotFoundError
from commons.messages import FreezeRequest, Snapshot, Split
from dicebox.client import Client
from dicebox.digits import digit_files
from dicebox.image_folder import CategoryFolder, read_tree

DIGITS = "digits"
ARCHIVES = ("mnist", "cifar10")
NAMES = (DIGITS, *ARCHIVES)
_UPLOADS_AT_ONCE = 4
_FILES_A_REQUEST = 64

Part = tuple[str, Split | None, list[tuple[str, bytes]]]


def freeze_dataset(client: Client, dataset: str, datasets: Path, work: Path) -> Snapshot:
    """Upload a dataset and return its snapshot: the same images in the same split each time.

    Its id differs, for the ids of categories do.

    Args:
        client: Of a Dicebox that does not hold the dataset yet.
        dataset: One of `NAMES`.
        datasets: Where the archives lie; digits need none.
        work: Where an archive is unpacked, once.

    Raises:
        InvalidInputError: No dataset has this name.
        NotFoundError: Its archive is missing.
        DiceboxError: An image was refused.
    """
    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as threads:

        def upload(part: Part) -> None:
            category, split, files = part
            refused = client.sensory.upload(dataset, files, category, split).refused
            if refused:
                raise DiceboxError(f"{dataset}: {refused[0].file} was refused: {refused[0].detail}")

        for _ in threads.map(upload, _parts(dataset, datasets, work)):
            pass
    return client.sensory.freeze(dataset, FreezeRequest())


def _parts(dataset: str, datasets: Path, work: Path) -> Iterator[Part]:
    if dataset == DIGITS:
        for category, files in digit_files().items():
            for start in range(0, len(files), _FILES_A_REQUEST):
                yield category, None, files[start : start + _FILES_A_REQUEST]
        return
    for folder in read_tree(_unpacked(dataset, datasets, work)):
        yield from _folder_parts(folder)


def _folder_parts(folder: CategoryFolder) -> Iterator[Part]:
    for start in range(0, len(folder.files), _FILES_A_REQUEST):
        files = folder.files[start : start + _FILES_A_REQUEST]
        yield folder.category, folder.split, [(file.name, file.read_bytes()) for file in files]


def _unpacked(dataset: str, datasets: Path, work: Path) -> Path:
    """Return the folder with the `train` and `test` levels of an archive."""
    if dataset not in ARCHIVES:
        raise InvalidInputError(f"expected one of {', '.join(NAMES)}, got {dataset!r}")
    folder, archive = work / "unpacked" / dataset, datasets / f"{dataset}.tar.gz"
    if not folder.exists():
        if not archive.exists():
            raise NotFoundError(f"{archive} is missing: say with --data where the datasets are")
        draft = folder.with_name(f"{dataset}.draft")
        with tarfile.open(archive) as tar:
            tar.extractall(draft, filter="data")
        draft.replace(folder)
    return next(found.parent for found in sorted(folder.rglob("train")) if found.is_dir())

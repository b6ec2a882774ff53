"""The images of a frozen snapshot as arrays, which is how peers get what Dicebox gets.

All see the same pixels in the same split: they are read back from the snapshot over HTTP and go
through the decoder that the trainer uses. What a peer searches with and what it is asked at the
end are two files, and the answers to the questions are a third one, which no peer is shown.
"""

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.frame import Options
from benchmarks.frozen import Frozen, frozen_dicebox
from commons.adapters.decode import decode_image, inspect_image
from commons.errors import InvalidInputError
from commons.messages import Snapshot, Split
from dicebox.client import Client

_READERS = 4
_ABOUT = "about.json"  # written last: a folder without it was not finished

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pixels:
    """A snapshot in files.

    Args:
        images: What tells its images, split and labels.
        examples: `train`, `train_labels`, `validation`, `validation_labels` (npz).
        questions: `images`, those of the test split (npz).
        truth: The labels of the questions (npy).
    """

    images: str
    examples: Path
    questions: Path
    truth: Path


def pixels_of(dataset: str, options: Options) -> Pixels:
    """Return a dataset's snapshot in files, which are made at its first use."""
    folder = options.work / "pixels" / dataset
    if not (folder / _ABOUT).exists():
        with frozen_dicebox(dataset, options) as frozen:
            write_pixels(frozen, folder)
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    return Pixels(
        about["images"], folder / "examples.npz", folder / "questions.npz", folder / "truth.npy"
    )


def write_pixels(frozen: Frozen, folder: Path) -> None:
    """Write the files of a snapshot, all or none.

    Raises:
        InvalidInputError: The images differ in size or channels.
    """
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    client, snapshot = frozen.client, frozen.snapshot
    train, train_labels = _split(client, snapshot, "train")
    validation, validation_labels = _split(client, snapshot, "validation")
    questions, truth = _split(client, snapshot, "test")
    np.savez(
        draft / "examples.npz",
        train=train,
        train_labels=train_labels,
        validation=validation,
        validation_labels=validation_labels,
    )
    np.savez(draft / "questions.npz", images=questions)
    np.save(draft / "truth.npy", truth)
    (draft / _ABOUT).write_text(json.dumps({"images": frozen.images}), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def _split(client: Client, snapshot: Snapshot, split: Split) -> tuple[Images, Labels]:
    lines = list(client.sensory.snapshot_images(snapshot.id, split))
    with ThreadPoolExecutor(_READERS) as readers:
        files = list(readers.map(lambda line: client.sensory.image(line.image), lines))
    return decoded(files), np.array([line.category for line in lines], np.int64)


def decoded(files: Sequence[bytes]) -> Images:
    """Return pictures of one size as uint8 (count, height, width, channels).

    Raises:
        InvalidInputError: They differ in size or channels, or there are none.
    """
    shapes = set()
    for file in files:
        facts = inspect_image(file)
        shapes.add((facts.height, facts.width, facts.channels))
    if len(shapes) != 1:
        raise InvalidInputError(f"expected images of one shape, got {sorted(shapes)}")
    shape = shapes.pop()
    return np.stack([decode_image(file, shape, "fit") for file in files])


def share_right(answers: Path, truth: Path) -> float:
    """Return the share of answers that are right.

    Raises:
        InvalidInputError: There is not one answer for each question.
    """
    said, right = np.load(answers), np.load(truth)
    if said.shape != right.shape:
        raise InvalidInputError(f"expected {right.size} answers, got {said.shape}")
    return float(np.mean(said == right))

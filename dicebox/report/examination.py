"""Has the champion classify validation images, through the services."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median

from commons.errors import NotFoundError
from commons.messages import Classification, Snapshot, SnapshotImage
from dicebox.client import Client
from dicebox.report.confusion import Confusion, Judgement, confusion, spread, worst

# So many requests at once: the services answer from threads, and a far one from far away.
_AT_ONCE = 4
_MOST_CATEGORIES = 1000
_MOST_MISTAKES = 24
_PICTURE_SIDE = 128


@dataclass(frozen=True)
class Mistake:
    """A wrong answer with its picture: a WebP, or None if the image is gone."""

    judgement: Judgement
    category: str
    answer: str
    picture: bytes | None


@dataclass(frozen=True)
class Examination:
    """What the champion answered to validation images.

    Args:
        validation_images: All that the snapshot has.
        gone: Images that were to be classified and are no longer there.
        confusion: Of the others.
        mistakes: The worst.
        median_ms: Of decoding and inference in the classification service; None without images.
    """

    validation_images: int
    gone: int
    confusion: Confusion
    mistakes: list[Mistake]
    median_ms: float | None


def examine(
    client: Client,
    snapshot: Snapshot,
    network: str,
    most: int,
    advance: Callable[[int, int], None],
) -> Examination:
    """Return what a network says to validation images: all, or `most` that are evenly spread.

    Args:
        client: Where images and networks are.
        snapshot: What the network was trained on.
        network: Its id.
        most: So many images are classified at most.
        advance: Is told how many of how many are done, again and again.

    Raises:
        DiceboxError: A service is away, or refuses.
    """
    lines = list(client.sensory.snapshot_images(snapshot.id, "validation"))
    chosen = [lines[index] for index in spread(len(lines), most)]
    answers: list[Classification | None] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for answer in pool.map(partial(_classified, client, network), chosen):
            answers.append(answer)
            advance(len(answers), len(chosen))
    judgements = _judgements(snapshot, chosen, answers)
    names = [category.name for category in snapshot.categories]
    mistakes = [
        Mistake(one, names[one.category], names[one.answer], _picture(client, one.image))
        for one in worst(judgements, _MOST_MISTAKES)
    ]
    took = [1000 * answer.seconds for answer in answers if answer is not None]
    return Examination(
        validation_images=len(lines),
        gone=len(chosen) - len(judgements),
        confusion=confusion(names, judgements),
        mistakes=mistakes,
        median_ms=median(took) if took else None,
    )


def _classified(client: Client, network: str, line: SnapshotImage) -> Classification | None:
    """Return what the network says about an image, or None if that was erased."""
    try:
        data = client.sensory.image(line.image)
    except NotFoundError:
        return None
    return client.gallery.classify(data, network=network, top=_MOST_CATEGORIES)


def _judgements(
    snapshot: Snapshot,
    lines: Sequence[SnapshotImage],
    answers: Sequence[Classification | None],
) -> list[Judgement]:
    index = {category.id: i for i, category in enumerate(snapshot.categories)}
    found: list[Judgement] = []
    for line, answer in zip(lines, answers, strict=True):
        if answer is not None:
            shares = {index[each.category.id]: each.probability for each in answer.answers}
            first = index[answer.answers[0].category.id]
            truth = shares.get(line.category, 0.0)
            found.append(Judgement(line.image, line.category, first, shares[first], truth))
    return found


def _picture(client: Client, image: str) -> bytes | None:
    try:
        return client.sensory.thumbnail(image, _PICTURE_SIDE)
    except NotFoundError:
        return None

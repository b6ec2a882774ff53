"""What is said about the images of a dataset, and what the page asks to have it said quickly.

Sensory service, under `/api/sensory/v1/datasets/<dataset>`.
"""

from typing import Annotated, Literal

from pydantic import Field

from commons.messages import Category, CategoryName, DatasetImage, Message, Sha256, Split

# How a label came: said by a person, taken over from a network, sent with the image, ...
LabelSource = Literal["person", "suggestion", "upload", "import", "capture", "correction", "undo"]
BrowseOrder = Literal["newest", "uncertain", "disagreement", "confident"]
QueueOrder = Literal["uncertain", "newest", "oldest", "random"]

# Who asks, as the browser calls itself: two tabs of a person are two clients.
Client = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
# A network as it names itself: most often its id.
NetworkName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
# The time (unix seconds) of an image's latest event, as `DatasetImage.changed` has it.
Seen = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Decision(Message):
    """A label for one image, by name and made when new; null takes its label away.

    `seen` is the `changed` of the image that was looked at: where somebody else gave it another
    label since, theirs stays. Without it the decision always counts.
    """

    image: Sha256
    category: CategoryName | None
    seen: Seen | None = None


class LabelsRequest(Message):
    """Decisions in the order they were made, and how they came; an image may stand in several."""

    labels: list[Decision] = Field(min_length=1, max_length=1000)
    source: LabelSource = "person"


class Labeled(Message):
    """What became of a decision; `changed` is what the next one about this image has `seen`.

    Where the image had this label already nothing happened: `relabeled` is false, and `changed`
    is the time of the earlier event.
    """

    image: Sha256
    category: Category | None
    changed: float
    relabeled: bool


class LabelsReply(Message):
    """What became of many decisions: every image stands in one of the three lists.

    In `conflicts` somebody else spoke meanwhile, and each is as it stands now; `unknown` are
    not in the dataset (any more).
    """

    labeled: list[Labeled]
    conflicts: list[DatasetImage]
    unknown: list[Sha256]


class QueueRequest(Message):
    """What to label next, held for a client for some seconds, so that two get different images.

    `said` takes only those that the champion takes for this category (by name).
    """

    client: Client
    order: QueueOrder = "uncertain"
    limit: int = Field(default=40, ge=1, le=200)
    hold_s: float = Field(default=120.0, ge=10.0, le=600.0)
    said: CategoryName | None = None


class QueuedImage(DatasetImage):
    """An image to label; `alike` unlabeled images look like it, itself included."""

    alike: int = 1


class LabelQueue(Message):
    """Images to label next.

    `left` are unlabeled in all; the champion, `network`, said something about `suggested` of
    these images.
    """

    images: list[QueuedImage]
    left: int
    suggested: int
    network: str | None


class SkipRequest(Message):
    """Images that a client does not want to see for some seconds."""

    client: Client
    images: list[Sha256] = Field(min_length=1, max_length=200)
    hold_s: float = Field(default=3600.0, ge=60.0, le=86_400.0)


class ReleaseRequest(Message):
    """A client that goes: what is held for it goes to others."""

    client: Client


class Guess(Message):
    """A category (by id) with the probability that a network gives it."""

    category: str
    probability: Share


class GivenOpinion(Message):
    """What a network says about an image, the most probable category first.

    `margin` is what the first is ahead of the second.
    """

    image: Sha256
    top: list[Guess] = Field(min_length=1, max_length=5)
    margin: Share


class OpinionsRequest(Message):
    """What one network says about many images."""

    network: NetworkName
    opinions: list[GivenOpinion] = Field(min_length=1, max_length=1000)


class OpinionsReply(Message):
    """How many opinions are kept; `unknown` are about no image of the dataset, or no category."""

    stored: int
    unknown: int


class WantedImages(Message):
    """Images that a network has no opinion of, the unlabeled ones first, the newest first."""

    images: list[Sha256]


class BalanceCell(Message):
    """How many images have a category and a split; the champion disagrees with some of them."""

    category: Category | None
    split: Split | None
    images: int
    disagreeing: int


class SourceCount(Message):
    """How many images have a label (or none) that came in one way; null where nobody knows."""

    source: str | None
    images: int


class Balance(Message):
    """How the images of a dataset are spread, as it was some seconds ago at most.

    `groups` of images look alike.
    """

    cells: list[BalanceCell]
    sources: list[SourceCount]
    groups: int


class ImageGroup(Message):
    """Images that look alike, by the hash of the first; some of them as examples.

    `categories` is how many labels they have among them, none counted as one.
    """

    group: Sha256
    images: int
    categories: int
    examples: list[Sha256]


class ImageGroups(Message):
    """A page of groups; `cursor` asks for the next one, null on the last."""

    groups: list[ImageGroup]
    cursor: str | None

"""The jobs that train and export, as values: what an engine carries to `trainer.job`.

Four jobs exist, named by the constants below: train one genome, turn trained weights into the
files and the card of a network, measure how fast a genome answers, and make a worker ready.
"""

import hashlib
import json

from pydantic import Field, TypeAdapter, ValidationError

from commons.genome import Genome
from commons.jobs import JobValue
from commons.messages import Category, ImageShape, ResizePolicy, Sha256
from commons.network_card import NetworkCard

TRAIN_FUNCTION = "trainer.job:train"
EXPORT_FUNCTION = "trainer.job:export"
MEASURE_FUNCTION = "trainer.job:measure"
READY_FUNCTION = "trainer.job:be_ready"
_LARGEST_SIDE = 64
_SHAPE = TypeAdapter[ImageShape](ImageShape)
# Another one where the same job would train otherwise: nothing of the old is gone on from.
_TRAINER_VERSION = 4


class TrainingData(JobValue):
    """Where the examples come from: a worker orders them once and keeps them in its cache.

    Only the splits train and validation are ever ordered; a trainer never sees test images.
    """

    sensory_url: str
    snapshot: Sha256
    shape: ImageShape
    resize: ResizePolicy = "fit"


class Budget(JobValue):
    """What one training may cost, whichever ends first; the schedule anneals to that end.

    `seconds` counts the training alone: not the worker's start, nor fetching the data.
    """

    epochs: int = Field(ge=1)
    seconds: float | None = Field(default=None, gt=0)


class InheritedWeights(JobValue):
    """A parent: its genome, and the blob of the weights that it was trained to."""

    genome: Genome
    weights: str


class TrainJob(JobValue):
    """Train `genome` from fresh weights drawn with `seed`.

    With `start`, the blob that a job of the same genome left as its `TrainResult.checkpoint`, it
    goes on from there: `budget` is the whole one, what that job spent included, and the schedule
    starts warm and anneals again over what is left. Where that blob is gone it starts afresh.

    With `inherit` it starts from the weights of a parent wherever layers match or overlap.
    Where those are gone it starts afresh.

    `leave_checkpoint` has it leave one at its end, and only there. `curve` are the (share of
    the budget, accuracy) that a training must not fall behind hopelessly; without it none is
    stopped early. `deterministic` gives up speed for the same result to the bit.

    With `until`, in unix seconds, its steps end at that moment and the schedule anneals to it: what
    its worker's start took less than expected is trained. The seconds of the budget are then only
    what was expected.

    With a word for its `checkpoint` a job that was killed goes on where it was, on any worker
    that sees the same blobs. A later job of the same `training_id` with a larger budget and the
    same word goes on where this one ended. One is kept at the end of every epoch, or where that is
    more often, `keep_every_s` seconds after the one before; then the last may not be the end.
    """

    genome: Genome
    data: TrainingData
    categories: int = Field(ge=2)
    budget: Budget
    seed: int = Field(ge=0)
    start: str | None = None
    inherit: InheritedWeights | None = None
    leave_checkpoint: bool = False
    curve: tuple[tuple[float, float], ...] | None = None
    deterministic: bool = False
    until: float | None = None
    checkpoint: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
    )
    keep_every_s: float = Field(default=0.0, ge=0.0)


class ReadyJob(JobValue):
    """Import what trains, and map the data, so that the next job of this worker starts at once."""

    data: TrainingData


class TrainProgress(JobValue):
    """What a training reports after every epoch, on its way by some of the validation images."""

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    seconds: float


class TrainResult(JobValue):
    """What came of a training; accuracy and loss are of the validation split.

    `weights` names the blob with the arrays of the network in the order Keras lists them.
    `seconds` is the training alone, `build_seconds` what it cost to build and trace.
    `checkpoint` names the blob that `leave_checkpoint` asked for. `resumed` says that it went on
    from `start`, `stopped` that its learning curve was hopeless, `inherited_share` is the share
    of the weights that came from the parent.
    """

    accuracy: float
    loss: float
    epochs: int
    parameters: int
    seconds: float
    build_seconds: float
    weights: str
    history: list[TrainProgress]
    checkpoint: str | None = None
    resumed: bool = False
    stopped: bool = False
    inherited_share: float = 0.0


class ExportJob(JobValue):
    """Make `.keras`, ONNX and the card from a genome and its trained weights."""

    genome: Genome
    weights: str
    data: TrainingData
    dataset: str
    categories: list[Category] = Field(min_length=2)
    run: str | None = None
    individual: int | None = None


class ExportResult(JobValue):
    """The card of a network whose files are all in the blobs."""

    card: NetworkCard


class LatencyJob(JobValue):
    """Measure how fast a genome answers for one image, as ONNX on one thread.

    Weights do not matter for it: they are drawn afresh. It waits until nothing else measures on
    this machine.
    """

    genome: Genome
    shape: ImageShape
    categories: int = Field(ge=2)


class LatencyResult(JobValue):
    """A low quantile of many answers in microseconds, and the processor they were given on."""

    latency_us: float
    cpu: str


def training_id(job: TrainJob, budget: Budget | None = None) -> str:
    """Return the sha256 of all that decides what a training gives.

    Without a budget it names the way: what may be gone on from with a larger budget. It does
    not depend on where the examples come from, since a snapshot is the same everywhere.
    """
    facts = {
        "version": _TRAINER_VERSION,
        "genome": job.genome.model_dump(mode="json"),
        "data": job.data.model_dump(mode="json", exclude={"sensory_url"}),
        "categories": job.categories,
        "seed": job.seed,
        "budget": budget.model_dump() if budget else None,
    }
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def shape_from_text(text: str) -> ImageShape:
    """Return (height, width, channels), written 28x28x1.

    Raises:
        ValueError: It is written otherwise, or out of range.
    """
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):  # noqa: PLR2004
        raise ValueError("expected a shape like 28x28x1")
    try:
        return _SHAPE.validate_python([int(part) for part in parts])
    except ValidationError as error:
        raise ValueError("expected 1..1024 x 1..1024 x 1 or 3") from error


def resolve_shape(asked: ImageShape | None, median: tuple[int, int, int]) -> ImageShape:
    """Return (height, width, channels): as asked, or the median size capped at 64.

    The cap keeps the proportions. Channels are 1 only if every image is grey.
    """
    if asked is not None:
        return asked
    height, width, channels = median
    share = min(1.0, _LARGEST_SIDE / max(height, width))
    return (
        max(1, round(height * share)),
        max(1, round(width * share)),
        1 if channels == 1 else 3,
    )

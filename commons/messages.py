"""What the services say to each other over HTTP and through the queue.

Sensory service, under `/api/sensory/v1`; evolver, under `/api/evolution/v1`; classification
service, under `/api/classification/v1`. All values are frozen and refuse unknown fields, so
a misspelt field is an error and not a silent default.
"""

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from commons.network_names import NAME_PATTERN, NetworkReference

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
ResizePolicy = Literal["fit", "pad", "crop"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
DatasetName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
# Text for people; it never becomes a path, and what could be taken for one is refused.
CategoryName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^/\\\x00-\x1f\x7f]+$"
    ),
]
ImageShape = tuple[
    Annotated[int, Field(ge=1, le=1024)],
    Annotated[int, Field(ge=1, le=1024)],
    Literal[1, 3],
]


class Message(BaseModel):
    """Base of all messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the schema; made once as it is asked for at every request with a query."""
        if args or kwargs:
            return super().model_json_schema(*args, **kwargs)
        return _schema(cls)


@cache
def _schema(message: type[Message]) -> dict[str, Any]:
    return super(Message, message).model_json_schema()


class Category(Message):
    """A class of a dataset: the id never changes, the name is for people."""

    id: str
    name: str


class CategoryCount(Category):
    """A category with the number of images whose latest label it is."""

    images: int


class DatasetSummary(Message):
    """What a dataset holds now."""

    name: str
    images: int
    labeled: int
    categories: list[CategoryCount]


class StoredImage(Message):
    """The answer to an upload: durable when it is sent.

    `duplicate` says that the bytes were already in the dataset, `relabeled` that the category
    differs from the one it had.
    """

    image: Sha256
    dataset: str
    category: Category | None
    split: Split | None
    height: int
    width: int
    channels: int
    duplicate: bool
    relabeled: bool


class UploadFault(Message):
    """One file of a multipart upload that was refused, by its name in the form, and why."""

    file: str
    kind: str
    detail: str


class UploadReply(Message):
    """The answer to a multipart upload: every file stands in one of the two lists."""

    stored: list[StoredImage]
    refused: list[UploadFault]


class DatasetList(Message):
    """All datasets, by name."""

    datasets: list[DatasetSummary]


class Answer(Message):
    """One category with the probability the network gives it."""

    category: Category
    probability: float


class Opinion(Message):
    """What the champion says about an image, the most probable categories first.

    `margin` is what the first is ahead of the second; `at` is in unix seconds.
    """

    network: str
    top: list[Answer]
    margin: float
    at: float


class DatasetImage(Message):
    """One image of a dataset as it stands now; times in unix seconds.

    `who` and `changed` are those of its latest event: its label, or its upload where nobody
    labeled it since. `source` says how its label came (`person`, `upload`, ...), where that is
    known. Images with one `group` look alike; one that was not looked at yet has none.
    """

    image: Sha256
    category: Category | None
    split: Split | None
    height: int
    width: int
    channels: int
    added: float
    who: str | None
    changed: float
    source: str | None = None
    group: Sha256 | None = None
    opinion: Opinion | None = None


class DatasetImages(Message):
    """A page of a dataset, newest first; `cursor` asks for the next one, null on the last."""

    images: list[DatasetImage]
    cursor: str | None


class ImageLookup(Message):
    """Images that may be in a dataset."""

    images: list[Sha256] = Field(max_length=1000)


class FoundImages(Message):
    """Those of some images that are in a dataset, in no order."""

    images: list[DatasetImage]


EventKind = Literal["added", "labeled", "merged", "removed", "restored"]


class ImageEvent(Message):
    """What happened to an image in a dataset; `at` is in unix seconds.

    `category` is the label from then on: an image that came without one was `added`, and
    `merged` says that it came with the whole category. `who` is the name of a key, `source`
    how the label came, where that is known.
    """

    kind: EventKind
    category: Category | None
    who: str | None
    at: float
    source: str | None = None


class ImageHistory(Message):
    """All events of an image in a dataset, oldest first; `present` unless it was removed."""

    image: Sha256
    dataset: str
    present: bool
    events: list[ImageEvent]


class CategoryRequest(Message):
    """The name of a category, new or from now on."""

    name: str


class MergeRequest(Message):
    """The category (by id) that takes all images over."""

    into: str


class ImportedFile(Message):
    """What became of one file of an import; `kind` and `detail` say why it was refused."""

    file: str
    outcome: Literal["stored", "duplicate", "relabeled", "refused"]
    image: Sha256 | None = None
    kind: str | None = None
    detail: str | None = None


class ImportSummary(Message):
    """The last line of an import; one that is not `complete` says why and may be sent again."""

    complete: bool
    stored: int
    duplicates: int
    relabeled: int
    refused: int
    kind: str | None = None
    detail: str | None = None


ExportFormat = Literal["imagefolder", "coco"]


class LabelRequest(Message):
    """Another category for an image, by name and made when new; null takes its label away."""

    category: str | None


class FreezeRequest(Message):
    """What a snapshot is made of: all labeled images, or those of some categories (by name).

    Splits not said by an import are assigned once, at an image's first freeze, by these shares.
    """

    categories: list[str] | None = None
    validation_share: float = Field(default=0.15, gt=0.0, lt=0.5)
    test_share: float = Field(default=0.15, ge=0.0, lt=0.5)


class Snapshot(Message):
    """A frozen list of labeled images; `id` is the hash of its manifest.

    `categories[i]` is the category with index i; `counts` are images by split;
    `median_shape` is (height, width, channels), channels 1 only if every image is grey.
    """

    id: Sha256
    dataset: str
    categories: list[Category]
    counts: dict[Split, int]
    median_shape: tuple[int, int, int]
    created: float


class SnapshotEntry(Message):
    """A snapshot in the list of its dataset: its images in all and by split, its categories."""

    id: Sha256
    created: float
    images: int
    counts: dict[Split, int]
    categories: int


class SnapshotList(Message):
    """The snapshots of a dataset, newest first."""

    snapshots: list[SnapshotEntry]


class SnapshotState(Message):
    """What became of a snapshot since it was frozen.

    `purged` of its images were erased, and orders of it fail; `packed` says that its images can
    be read from packs.
    """

    id: Sha256
    purged: int
    packed: bool


class Erasure(Message):
    """What held an image that was erased; the snapshots are marked and can not be ordered."""

    image: Sha256
    packs: int
    shards: int
    snapshots: list[Sha256]


class CheckFault(Message):
    """Something wrong in the storage, by the name of the blob or image."""

    kind: Literal["missing", "damaged", "orphan", "leftover", "unfinished"]
    name: str
    detail: str


class CheckReport(Message):
    """What a look at all hashes with a prefix found.

    `young` are blobs that no table knows and that were stored just now: of uploads under way.
    """

    prefix: str
    checked: int
    faults: list[CheckFault]
    young: list[str] = []


class SnapshotImage(Message):
    """One line of a snapshot's manifest; `category` is the index, not the id."""

    image: Sha256
    category: int
    split: Split


class SnapshotChange(Message):
    """An image that two snapshots differ in, with its category (id) in each."""

    kind: Literal["added", "removed", "relabeled"]
    image: Sha256
    before: str | None = None
    after: str | None = None


class SnapshotDiff(Message):
    """What changed from one snapshot to another.

    The numbers count all changes; `changes` are the first of each kind. A category that was
    renamed stands in both lists of categories, with the same id.
    """

    before: Sha256
    after: Sha256
    added: int
    removed: int
    relabeled: int
    categories_added: list[Category]
    categories_removed: list[Category]
    changes: list[SnapshotChange]


class SmallBatchRequest(Message):
    """Some images of one split, drawn by a seed.

    Args:
        shape: Default: the median shape of the snapshot.
        noise: Chance to rotate each picture by up to 10 degrees, and to scale it by 0.7 to 1.5.
    """

    size: int = Field(default=32, ge=1, le=4096)
    split: Split = "train"
    shape: ImageShape | None = None
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    resize: ResizePolicy = "fit"
    noise: float = Field(default=0.0, ge=0.0, le=1.0)


class SmallBatch(Message):
    """A small batch as JSON: `images` are uint8 pixels of `shape` (n, h, w, c) in base64."""

    shape: tuple[int, int, int, int]
    images: str
    labels: list[int]
    hashes: list[Sha256]


class SnapshotImages(Message):
    """A page of a manifest; `cursor` asks for the next one and is null on the last."""

    images: list[SnapshotImage]
    cursor: int | None


class OrderRequest(Message):
    """A batch order: the images of a snapshot's splits, decoded to one shape.

    The splits come as listed, each in the order of the manifest, or permuted by `seed`.
    """

    snapshot: Sha256
    splits: list[Split] = Field(min_length=1)
    shape: ImageShape
    resize: ResizePolicy = "fit"
    seed: int | None = Field(default=None, ge=0)


OrderState = Literal["accepted", "running", "complete", "failed", "cancelled", "expired"]


class Order(Message):
    """Where a batch order stands: `ready` of `shards` shards can be had.

    `expires` is when its shards are no longer kept for it, in unix seconds.
    """

    id: str
    state: OrderState
    request: OrderRequest
    shards: int
    ready: int
    examples: int
    expires: float | None = None
    reason: str | None = None


class ShardDescriptor(Message):
    """One shard of an order; `sequence` counts from 1 without gaps.

    The shard `sha256` is an `.npz` without pickle: `images` uint8 (n, height, width, channels),
    `labels` int64 (n,), all of one `split`. All orders share it: where the order has a `seed`, its
    examples are taken sorted by the SHA-256 of `seed/sequence/position` (decimal, from position
    0). `last` says that no shard follows.
    """

    order: str
    sequence: int
    split: Split
    sha256: Sha256
    examples: int
    last: bool
    seed: int | None = None


Strategy = Literal["evolution", "random", "generational", "seeds"]
Objective = Literal["accuracy", "latency", "parameters"]


class Fidelity(Message):
    """What makes a fitness cheap, each a switch.

    Args:
        rungs: Candidates train briefly first, and only the best of them go on.
        inheritance: A child starts from the weights of its parent where they match.
        curve_stop: A training whose learning curve is hopeless ends early.
        cache: A training that was done before in any run is not done again.
        warm_final: The final training begins with the weights that its network has by then.
    """

    rungs: bool = True
    inheritance: bool = True
    curve_stop: bool = True
    cache: bool = True
    warm_final: bool = True


class Generational(Message):
    """The classic genetic algorithm: whole generations, one after another.

    Args:
        generations: How many there are, the first included.
        retain: Share of a generation that lives on as it is.
        random_select: Chance of each of the others to live on as well.
        mutate_chance: Chance of each gene of a child to be drawn anew.
    """

    generations: int = Field(default=10, ge=1)
    retain: float = Field(default=0.4, gt=0.0, le=1.0)
    random_select: float = Field(default=0.1, ge=0.0, le=1.0)
    mutate_chance: float = Field(default=0.2, ge=0.0, le=1.0)


# Whether a network answers that was just made: unless it is found worse than the champion; for a
# share of the requests, until it is found better or worse; or not at all.
PromotePolicy = Literal["auto", "canary", "never"]


class RunRequest(Message):
    """What to evolve, for how long, and what to do with the winner.

    Args:
        dataset: Frozen anew when the run starts, unless `snapshot` names a frozen one.
        seconds: Wall-clock budget of search and final training together; null where one of the
            next two ends the run.
        evaluations: Ends the search after that many candidates, if it is earlier.
        epochs_total: Ends the search after that many epochs of all candidates together, if it
            is earlier.
        candidate_epochs: Most epochs of a candidate on the first rung; each next has three times as
            many. Default: 40 where seconds end it first, else few.
        candidate_seconds: The same in seconds; default: a share of `seconds`.
        shape: Input (height, width, channels); default: the median size capped at 64.
        strategy: `evolution` (aging evolution), `random` (the baseline), `generational` (the
            classic, as `generational` says) or `seeds` (the known-good genomes alone).
        device: Of a fleet only those train that have this; default: whoever is free.
        objectives: What a network is to be good at; more than accuracy gives a front.
        max_latency_us: The published network answers within so many microseconds, on one thread.
        max_parameters: The published network has no more parameters.
        deterministic: Give up speed so that the same request gives the same journal: with one
            worker, and without `seconds`, latencies and a limit of them.
        start: Genomes that start the population, instead of the seeds.
        keep_weights: The weights of so many of the best stay in the blobs.
        taxonomy: The search space; default: the evolver's own.
        command: What was typed, for the run's card.
    """

    dataset: DatasetName
    snapshot: Sha256 | None = None
    categories: list[str] | None = None
    seconds: float | None = Field(default=60.0, ge=1.0, le=30 * 86400.0)
    evaluations: int | None = Field(default=None, ge=1)
    epochs_total: int | None = Field(default=None, ge=1)
    candidate_epochs: int | None = Field(default=None, ge=1)
    candidate_seconds: float | None = Field(default=None, gt=0.0)
    shape: ImageShape | None = None
    resize: ResizePolicy = "fit"
    population: int = Field(default=16, ge=2, le=10_000)
    workers: int | None = Field(default=None, ge=1, le=256)
    device: Literal["cpu", "gpu"] | None = None
    seed: int = Field(default=0, ge=0)
    strategy: Strategy = "evolution"
    generational: Generational = Generational()
    objectives: list[Objective] = Field(default=["accuracy"], min_length=1)
    max_latency_us: float | None = Field(default=None, gt=0.0)
    max_parameters: int | None = Field(default=None, ge=1)
    fidelity: Fidelity = Fidelity()
    deterministic: bool = False
    start: list[dict[str, Any]] | None = None
    keep_weights: int = Field(default=5, ge=1)
    promote: PromotePolicy = "auto"
    taxonomy: dict[str, Any] | None = None
    command: str | None = Field(default=None, max_length=4000)

    @model_validator(mode="after")
    def _ends(self) -> "RunRequest":
        if self.seconds is None and self.evaluations is None and self.epochs_total is None:
            raise ValueError("a run needs an end: give seconds, evaluations or epochs_total")
        if self.deterministic and self.seconds is not None:
            raise ValueError(
                "seconds never end two runs at the same place: a deterministic run ends by"
                " evaluations or epochs_total, its seconds are null"
            )
        if self.deterministic and self.workers not in (None, 1):
            raise ValueError("a deterministic run has one worker: several end in any order")
        if self.deterministic and ("latency" in self.objectives or self.max_latency_us is not None):
            raise ValueError(
                "no two measurements of a latency are the same: a deterministic run leaves out"
                " latency among its objectives, and max_latency_us"
            )
        if "accuracy" not in self.objectives or len(set(self.objectives)) != len(self.objectives):
            raise ValueError("objectives are accuracy and others, each once")
        return self


RunState = Literal["queued", "running", "complete", "failed", "stopped", "interrupted"]


class WorkerActivity(Message):
    """What one worker trains: `genome` in one line, `epoch` of at most `epochs`."""

    name: str
    individual: int | None = None
    genome: str | None = None
    epoch: int | None = None
    epochs: int | None = None
    accuracy: float | None = None
    seconds: float | None = None


class RungProgress(Message):
    """How many individuals ended a rung, and the best accuracy there."""

    rung: str
    ended: int
    best: float | None = None


class FrontPoint(Message):
    """An individual that no other beats in all objectives, and what it is good at."""

    number: int
    accuracy: float
    parameters: int
    latency_us: float | None = None


class RunProgress(Message):
    """Where a run stands, measured; accuracies are of the validation split.

    `seconds` are those that its runners spent on it, `seconds_left` of those asked for (null
    where none were), `epochs` those of all its trainings. `front` is empty where accuracy alone
    counts; the most accurate comes first.
    """

    phase: Literal["preparing", "searching", "final training", "publishing", "done"] = "preparing"
    seconds: float = 0.0
    seconds_left: float | None = 0.0
    epochs: int = 0
    births: int = 0
    evaluated: int = 0
    failed: int = 0
    best: float | None = None
    median: float | None = None
    best_genome: str | None = None
    best_individual: int | None = None
    candidates_per_minute: float | None = None
    rungs: list[RungProgress] = []
    front: list[FrontPoint] = []
    workers: list[WorkerActivity] = []


class RunCard(Message):
    """Where a run came from: all that is needed to do it again.

    `machine` has the processor, its cores and the memory, `versions` those of the software.
    """

    seed: int
    snapshot: Sha256
    command: str | None
    machine: dict[str, str]
    versions: dict[str, str]


class Run(Message):
    """One evolution: what was asked for, how far it is, and what came of it.

    `verdict` says what its network does now, as the rest of a sentence. `resumed` says how many
    times it was taken up again.
    """

    id: str
    state: RunState
    request: RunRequest
    snapshot: str | None
    shape: ImageShape | None
    created: float
    progress: RunProgress
    network: str | None = None
    promoted: bool = False
    verdict: str | None = None
    reason: str | None = None
    resumed: int = 0
    card: RunCard | None = None


class Discarded(Message):
    """A run whose weights and checkpoints were deleted, and how many files that were."""

    run: str
    blobs: int


class EpochReport(Message):
    """One epoch of a training; `seconds` are those of the training up to its end."""

    epoch: int
    seconds: float
    accuracy: float
    loss: float


class Evaluation(Message):
    """One training of an individual, all measured on the validation split.

    Args:
        rung: `1` is the first of the search, and each next one trains longer; `final` is a fresh
            training that selection never sees.
        epochs: With those of the rungs below that it went on from, as in `history`.
        seconds: What it cost, start and build included, but no rung below.
        trained_s: What its budget counts: the loop alone, with the rungs below.
        started: When it was submitted, in unix seconds; reports draw their curves from it.
        ended: When its end was written down.
        at: How many seconds the run had spent then, those of earlier runners included.
        attempt: Counts how often it was submitted: again where its runner was killed.
        key: The same for trainings that are the same.
        weights: Blob with its weights; null once they were cleared away.
        checkpoint: Blob that the next rung goes on from; null once it was cleared away.
        resumed: It went on from the rung before.
        inherited: The parent whose weights it started from.
        stopped: Its learning curve was hopeless.
        cached: An earlier run had done the same training.
        history: Its epochs; listings leave them out unless asked.
    """

    rung: str = Field(pattern=r"^([1-9][0-9]{0,2}|final)$")
    state: Literal["submitted", "finished"] = "submitted"
    outcome: str | None = None
    reason: str | None = None
    accuracy: float | None = None
    loss: float | None = None
    epochs: int | None = None
    seconds: float | None = None
    trained_s: float | None = None
    started: float | None = None
    ended: float | None = None
    at: float | None = None
    attempt: int = 1
    key: str | None = None
    worker: str | None = None
    weights: str | None = None
    checkpoint: str | None = None
    resumed: bool = False
    inherited: int | None = None
    stopped: bool = False
    cached: bool = False
    history: list[EpochReport] = []


class Individual(Message):
    """A genome in a run, with its parents, operator, fitness, cost and fate.

    `fitness` is the accuracy that selection sees: of the highest rung that ended well. What
    follows it is of the best of its `evaluations`. `latency_us` is of one image on one thread,
    measured alone on `cpu`; `multiply_adds` are those of one image.
    """

    number: int
    genome: dict[str, Any]
    genome_hash: str
    description: str
    parents: list[int]
    operator: str
    state: Literal["submitted", "finished"]
    fitness: float | None = None
    outcome: str | None = None
    reason: str | None = None
    accuracy: float | None = None
    loss: float | None = None
    parameters: int
    multiply_adds: int = 0
    latency_us: float | None = None
    cpu: str | None = None
    epochs: int | None = None
    seconds: float | None = None
    worker: str | None = None
    evaluations: list[Evaluation] = []


class TrainingEnd(Message):
    """A training of an individual that has just ended."""

    number: int
    evaluation: Evaluation


class Champion(Message):
    """The network that answers for a dataset (`network` is null before the first)."""

    dataset: str
    network: str | None
    since: float | None = None


class PromoteRequest(Message):
    """Which registered network answers from now on: its id, digits that begin it, or its name."""

    network: NetworkReference


class NameRequest(Message):
    """What a network is called from now on; `move` takes the name from the one that has it."""

    name: str = Field(json_schema_extra={"pattern": NAME_PATTERN})
    move: bool = False


class NamedNetwork(Message):
    """A network by its id, and its name if it has one."""

    network: str
    name: str | None


class Timing(Message):
    """Where the seconds of an answer went; `batch` images were asked together.

    `infer_s` is that of the whole batch. `batch` is 0 where the answer was remembered.
    """

    queue_s: float
    decode_s: float
    infer_s: float
    batch: int


class Classification(Message):
    """What a network says about one image; `seconds` is decoding and inference.

    `network` is the sha256 of its card, and so a hash of all its files. `id` is where the
    classification is recorded, if it is.
    """

    image: Sha256
    dataset: str
    network: str
    answers: list[Answer]
    seconds: float
    id: str | None = None
    timing: Timing | None = None


class Examination(Message):
    """What a network said of validation images of the snapshot it was bred on.

    `confusion[i][j]` of the `images` show category i and were taken for category j. `latency_us`
    is what one picture takes on one thread of the processor `cpu`, without decoding; `at` is in
    unix seconds.
    """

    network: str
    snapshot: Sha256
    split: Split
    images: int
    categories: list[Category]
    confusion: list[list[int]]
    accuracy: float
    latency_us: float
    cpu: str
    at: float


class ClassifiedFile(Message):
    """What a network says about one file of a form, by its name there."""

    file: str
    classification: Classification


class ClassifyReply(Message):
    """The answer to a form of images: every file stands in one of the two lists."""

    classified: list[ClassifiedFile]
    refused: list[UploadFault]

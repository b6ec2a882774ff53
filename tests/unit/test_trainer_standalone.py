"""What the stand-alone trainer does itself: its milestones, its checks and its words."""

import hashlib
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commons.errors import (
    ConflictError,
    DiceboxError,
    InvalidInputError,
    StorageFullError,
    UnavailableError,
)
from commons.genome import Genome
from commons.jobs import JobEvent, JobResult, JobSpec
from commons.messages import Category, ImageShape, ResizePolicy, Snapshot
from commons.network_card import NetworkCard, network_id
from commons.settings import settings_from_env
from commons.training import (
    Budget,
    ExportJob,
    ExportResult,
    TrainingData,
    TrainJob,
    TrainProgress,
    TrainResult,
)
from commons.trial_messages import Trial, TrialRequest
from tests.onnx_builders import network_card
from tests.sensory_house import MemoryBlobs
from trainer.app import Settings, _NowAndThen, read_genome
from trainer.milestones import MilestoneFile
from trainer.standalone import StandaloneTrainer, TrainingRequest

SNAPSHOT = Snapshot(
    id="5" * 64,
    dataset="digits",
    categories=[Category(id="c0", name="dark"), Category(id="c1", name="bright")],
    counts={"train": 80, "validation": 20},
    median_shape=(8, 8, 1),
    created=1.0,
)
REQUEST = TrainingRequest(Genome(), "digits", None, Budget(epochs=2))
PROGRESS = TrainProgress(epoch=1, epochs=2, loss=0.5, accuracy=0.9, seconds=1.0)


class Bench:
    """Engine, services, cache and display in one: remembers what it was asked to do."""

    def __init__(self) -> None:
        self.blobs = MemoryBlobs()
        self.did: list[str] = []
        self.said: list[str] = []
        self.snapshot_here = SNAPSHOT
        self.fails: dict[str, BaseException] = {}
        self.outcome = "ok"
        self.cards: list[NetworkCard] = []
        self.jobs: list[TrainJob | ExportJob] = []
        self.cached: list[TrainingData] = []

    def _do(self, what: str) -> None:
        self.did.append(what)
        if what in self.fails:
            raise self.fails.pop(what)

    def submit(self, spec: JobSpec) -> "Future[JobResult]":
        name = spec.function.partition(":")[2]
        self._do(name)
        kind: type[TrainJob | ExportJob] = TrainJob if name == "train" else ExportJob
        self.jobs.append(kind.model_validate(spec.arguments))
        value = self._trained() if name == "train" else self._exported()
        done: Future[JobResult] = Future()
        failed = self.outcome != "ok"
        done.set_result(
            JobResult(
                id=spec.id,
                outcome=self.outcome,  # type: ignore[arg-type]
                value=None if failed else value,
                reason="the loss is nan" if failed else None,
            )
        )
        self._job = spec.id
        return done

    def _trained(self) -> dict[str, Any]:
        name = f"weights/{hashlib.sha256(b'w').hexdigest()}.npz"
        self.blobs.put(name, b"w")
        result = TrainResult(
            accuracy=0.9,
            loss=0.5,
            epochs=2,
            parameters=10,
            seconds=2.0,
            build_seconds=0.1,
            weights=name,
            history=[PROGRESS],
        )
        return result.model_dump(mode="json")

    def _exported(self) -> dict[str, Any]:
        card = network_card(self.blobs, created=float(len(self.did)))
        return ExportResult(card=card).model_dump(mode="json")

    def events(self, after: int) -> list[JobEvent]:
        data = PROGRESS.model_dump()
        mine = JobEvent(sequence=1, job=self._job, worker="w", time=0.0, data=data)
        other = JobEvent(sequence=2, job="other", worker="w", time=0.0, data={})
        return [event for event in (mine, other) if event.sequence > after]

    def freeze(self, *_: object) -> Snapshot:
        return self.snapshot_here

    def snapshot(self, _: str) -> Snapshot:
        return self.snapshot_here

    def examples(self, data: TrainingData, _report: object) -> None:
        self._do("examples")
        self.cached.append(data)

    def publish(self, card: NetworkCard, _read: object) -> str:
        self._do("publish")
        self.cards.append(card)
        return network_id(card)

    def try_out(self, dataset: str, request: TrialRequest) -> Trial:
        self._do("try")
        return Trial(
            id=1,
            dataset=dataset,
            network=request.network,
            champion=None,
            mode=request.mode,
            share=0.1,
            promote=True,
            state="promoted" if request.mode == "check" else "running",
            started=0.0,
        )

    def fetched(self, *_: int) -> None:
        raise AssertionError("the cache of this bench reports nothing")

    def trained(self, progress: TrainProgress) -> None:
        self.said.append(f"epoch {progress.epoch}")

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def trainer(bench: Bench, folder: Path) -> StandaloneTrainer:
    parts: Any = bench
    return StandaloneTrainer(parts, bench.blobs, parts, parts, parts, "http://house", folder, bench)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def test_it_fetches_trains_exports_and_publishes_in_this_order(
    bench: Bench, tmp_path: Path
) -> None:
    published = trainer(bench, tmp_path).train(REQUEST)
    assert bench.did == ["examples", "train", "examples", "export", "publish"]
    assert bench.said == ["epoch 1", "epoch 1"]
    assert (published.dataset, published.epochs, published.promoted) == ("digits", 2, False)
    assert files(tmp_path) == []


def test_a_network_that_is_to_be_a_canary_is_put_on_trial(bench: Bench, tmp_path: Path) -> None:
    published = trainer(bench, tmp_path).train(replace(REQUEST, promote="canary"))
    assert bench.did[-2:] == ["publish", "try"]
    assert not published.promoted
    assert published.verdict.startswith("answers 10 % of the requests")


def test_shape_and_resize_go_into_examples_training_export_and_checkpoints(
    bench: Bench, tmp_path: Path
) -> None:
    asked: list[tuple[ImageShape, ResizePolicy]] = [
        ((8, 8, 1), "fit"),
        ((8, 8, 1), "pad"),
        ((8, 8, 1), "crop"),
        ((8, 9, 1), "fit"),
    ]
    for shape, resize in asked:
        trainer(bench, tmp_path).train(replace(REQUEST, shape=shape, resize=resize))
    wanted = [pair for pair in asked for _ in range(2)]
    assert [(data.shape, data.resize) for data in bench.cached] == wanted
    assert [(job.data.shape, job.data.resize) for job in bench.jobs] == wanted
    words = {job.checkpoint for job in bench.jobs if isinstance(job, TrainJob)}
    assert len(words) == len(asked)


def told(**environ: str) -> Settings:
    return settings_from_env(Settings, {"GENOME": "genome.json", **environ}, prefix="")


def test_the_environment_says_shape_and_resize() -> None:
    assert (told().shape, told().resize) == (None, "fit")
    settings = told(SHAPE="28x30x3", RESIZE="crop")
    assert (settings.shape, settings.resize) == ((28, 30, 3), "crop")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"SHAPE": "28x28"}, "SHAPE: expected a shape like 28x28x1, got '28x28'"),
        ({"SHAPE": "28x28x2"}, "SHAPE: expected 1..1024 x 1..1024 x 1 or 3, got '28x28x2'"),
        ({"RESIZE": "stretch"}, "RESIZE: Input should be 'fit', 'pad' or 'crop', got 'stretch'"),
    ],
)
def test_a_shape_or_resize_that_is_none_says_what_would_be(
    environ: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidInputError) as error:
        told(**environ)
    assert str(error.value) == words


@pytest.mark.parametrize("fault", ["examples", "train", "export", "publish", "try"])
def test_interrupted_anywhere_it_goes_on_there_with_the_same_network(
    bench: Bench, tmp_path: Path, fault: str
) -> None:
    request = TrainingRequest(Genome(), None, "5" * 64, Budget(epochs=2), promote="auto")
    bench.fails[fault] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        trainer(bench, tmp_path).train(request)
    bench.did.clear()
    published = trainer(bench, tmp_path).train(request)
    assert bench.did[-2:] == ["publish", "try"]
    assert (published.promoted, published.verdict) == (True, "answers from now on")
    assert ("train" in bench.did) == (fault in ("examples", "train"))
    assert ("export" in bench.did) == (fault in ("examples", "train", "export"))
    assert {network_id(card) for card in bench.cards} == {published.network}
    assert files(tmp_path) == []


def test_what_was_done_is_done_again_where_its_files_are_gone(bench: Bench, tmp_path: Path) -> None:
    bench.fails["publish"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        trainer(bench, tmp_path).train(REQUEST)
    bench.blobs.held.clear()
    bench.did.clear()
    trainer(bench, tmp_path).train(REQUEST)
    assert bench.did == ["examples", "train", "examples", "export", "publish"]


def test_another_seed_or_budget_is_another_training(bench: Bench, tmp_path: Path) -> None:
    bench.fails["publish"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        trainer(bench, tmp_path).train(REQUEST)
    for other in (
        TrainingRequest(Genome(), "digits", None, Budget(epochs=2), seed=1),
        TrainingRequest(Genome(), "digits", None, Budget(epochs=3)),
    ):
        bench.did.clear()
        trainer(bench, tmp_path).train(other)
        assert "train" in bench.did
    assert len(files(tmp_path)) == 1, "that of the training that was interrupted"


def test_a_failed_training_says_why_and_is_tried_again(bench: Bench, tmp_path: Path) -> None:
    bench.outcome = "diverged"
    with pytest.raises(DiceboxError, match="diverged: the loss is nan") as caught:
        trainer(bench, tmp_path).train(REQUEST)
    assert caught.value.kind == "diverged"
    bench.outcome = "ok"
    assert trainer(bench, tmp_path).train(REQUEST).epochs == 2


def test_two_trainers_are_not_at_the_same_training_at_once(bench: Bench, tmp_path: Path) -> None:
    class Second(Bench):
        def examples(self, data: TrainingData, report: object) -> None:
            with pytest.raises(ConflictError, match="another trainer is at this very training"):
                trainer(bench, tmp_path).train(REQUEST)
            super().examples(data, report)

    trainer(Second(), tmp_path).train(REQUEST)
    assert bench.did == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": {"train": 9}}, "for train and validation in .* of digits, got 9 train"),
        ({"counts": {"train": 9, "validation": 0}}, "got 9 train, 0 validation"),
        ({"counts": {}}, "got none"),
        ({"categories": SNAPSHOT.categories[:1]}, "at least two categories .* got 1"),
        ({"dataset": "letters"}, "expected a snapshot of digits, got one of letters"),
    ],
)
def test_a_snapshot_that_nothing_can_be_trained_on_is_refused(
    bench: Bench, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    bench.snapshot_here = SNAPSHOT.model_copy(update=change)
    with pytest.raises(DiceboxError, match=words):
        trainer(bench, tmp_path).train(REQUEST)
    assert bench.did == []


def test_a_snapshot_by_the_start_of_its_id_is_the_same_training(
    bench: Bench, tmp_path: Path
) -> None:
    bench.fails["export"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        trainer(bench, tmp_path).train(replace(REQUEST, snapshot=SNAPSHOT.id[:6]))
    bench.did.clear()
    trainer(bench, tmp_path).train(replace(REQUEST, snapshot=SNAPSHOT.id))
    assert bench.did == ["examples", "export", "publish"]  # nothing is trained again


def test_neither_dataset_nor_snapshot_is_told(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="a dataset or a snapshot"):
        trainer(bench, tmp_path).train(TrainingRequest(Genome(), None, None, Budget(epochs=1)))


def test_a_full_disk_leaves_the_milestones_as_they_were(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.fails["export"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        trainer(bench, tmp_path).train(REQUEST)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(StorageFullError, match="no space is left to write"):
            trainer(bench, tmp_path).train(REQUEST)
    (name,) = files(tmp_path)
    assert MilestoneFile(tmp_path, name.removesuffix(".json")).read().trained is not None
    bench.did.clear()
    trainer(bench, tmp_path).train(REQUEST)
    assert "train" not in bench.did


@pytest.mark.parametrize("text", ["", "[]", "{", '{"head": "sideways"}', '{"nonsense": 1}'])
def test_a_file_that_is_no_genome_is_told_in_one_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "genome.json"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match="is no genome: "):
        read_genome(file)


def test_what_is_waited_for_is_said_now_and_then() -> None:
    said: list[str] = []
    tell = _NowAndThen(said.append)
    for _ in range(5):
        tell(UnavailableError("http://box cannot be reached"))
    assert said == ["waits: http://box cannot be reached"]

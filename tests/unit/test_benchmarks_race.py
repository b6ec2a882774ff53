import json
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peer_scripts.race import Asked, Examples, Race, TimeIsUp, main, run


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_best_network_is_kept_and_later_ones_that_are_no_better_are_not() -> None:
    clock = Clock()
    race = Race(10.0, clock)
    for second, accuracy in ((1, 0.5), (2, 0.4), (3, 0.5), (4, 0.9)):
        clock.now = 100.0 + second
        race.saw(accuracy, lambda second=second: f"network of second {second}")  # type: ignore[misc]
    assert race.curve == [(1.0, 0.5), (4.0, 0.9)]
    assert race.kept == "network of second 4"
    assert race.epochs == 4


def test_what_comes_after_the_deadline_does_not_count() -> None:
    clock = Clock()
    race = Race(10.0, clock)
    race.check()
    clock.now = 110.0
    with pytest.raises(TimeIsUp):
        race.saw(1.0, lambda: "too late")
    assert (race.curve, race.kept, race.epochs) == ([], None, 0)


def test_no_except_clause_of_a_library_swallows_the_deadline() -> None:
    race = Race(0.0)

    def search() -> None:
        try:
            race.check()
        except Exception:  # as libraries do
            pytest.fail("swallowed")

    assert run(race, search) == "deadline"


def test_a_search_that_asks_nobody_is_ended_by_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peer_scripts.race._GRACE_S", 0.05)
    assert run(Race(0.05), lambda: time.sleep(30)) == "deadline"


def test_a_library_that_gives_up_keeps_what_it_found() -> None:
    race = Race(10.0)

    def search() -> None:
        race.saw(0.7, lambda: "a network")
        raise RuntimeError("too many failures")

    assert run(race, search) == "RuntimeError: too many failures"
    assert race.kept == "a network"
    assert run(race, lambda: None) == "the search was done"


def files(folder: Path) -> list[str]:
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    labels = np.array([0, 1, 2, 2])
    np.savez(
        folder / "examples.npz",
        train=images, train_labels=labels, validation=images, validation_labels=labels,
    )  # fmt: skip
    np.savez(folder / "questions.npz", images=images)
    named = {
        "examples": "examples.npz", "questions": "questions.npz", "answers": "answers.npy",
        "work": ".",
    }  # fmt: skip
    words = [word for name, file in named.items() for word in (f"--{name}", str(folder / file))]
    return [*words, "--seconds", "5", "--seed", "3", "--epochs", "2", "--flip"]


def test_a_script_answers_with_the_best_and_prints_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[Examples, Asked]] = []

    def search(race: Race, examples: Examples, asked: Asked) -> None:
        seen.append((examples, asked))
        race.networks += 1
        race.saw(0.75, lambda: 3)
        race.note("Traceback: a long story\nMemoryError: too large\n")

    main(search, lambda kept, images: images.reshape(-1) % kept, files(tmp_path))
    ((examples, asked),) = seen
    assert (examples.shape, examples.categories) == ((1, 1, 1), 3)
    assert (asked.seed, asked.flip, asked.variant, asked.epochs) == (3, True, "", 2)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["networks"] == 1
    assert found["validation_accuracy"] == 0.75
    assert found["kept_accuracy"] == 0.75
    assert found["ended"] == "the search was done"
    assert (found["failed"], found["last_failure"]) == (1, "MemoryError: too large")
    assert np.load(tmp_path / "answers.npy").tolist() == [0, 1, 2, 0]


def test_a_script_without_a_network_answers_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(lambda *_: None, lambda *_: pytest.fail("nothing to ask"), files(tmp_path))
    found = json.loads(capsys.readouterr().out)
    assert found["validation_accuracy"] is None
    assert (found["failed"], found["last_failure"]) == (0, None)
    assert not (tmp_path / "answers.npy").exists()

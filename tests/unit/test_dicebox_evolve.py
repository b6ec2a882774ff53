"""What `dicebox evolve` makes of what is typed, without a run."""

from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn

import pytest

import dicebox.commands.evolution
from commons.errors import DiceboxError
from commons.messages import RunRequest
from dicebox.command import run

OF_THE_CLASSIC = [
    ("--generations", "generations", 3),
    ("--retain", "retain", 0.25),
    ("--random-select", "random_select", 0.0),
    ("--mutate-chance", "mutate_chance", 0.5),
]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """Return the list that every request to be sent is added to, and refuse to send it."""
    seen: list[RunRequest] = []

    def connect(_: object, **_options: object) -> AbstractContextManager[None]:
        return nullcontext()

    def refuse(_client: object, what: RunRequest, _console: object) -> NoReturn:
        seen.append(what)
        raise DiceboxError("that is enough")

    monkeypatch.setattr(dicebox.commands.evolution, "connect_to_workers", connect)
    monkeypatch.setattr(dicebox.commands.evolution, "_watch_or_stop", refuse)
    return seen


def evolve(*arguments: object) -> int:
    return run(["--url", "http://house.test", "evolve", "--dataset", "a", *map(str, arguments)])


@pytest.mark.parametrize(("option", "name", "value"), OF_THE_CLASSIC)
@pytest.mark.parametrize("strategy", [[], ["--strategy", "generational"]])
def test_what_is_of_the_classic_search_alone_chooses_it(
    requests: list[RunRequest], option: str, name: str, value: float, strategy: list[str]
) -> None:
    assert evolve(option, value, *strategy) == 1
    (request,) = requests
    assert request.strategy == "generational"
    assert request.generational.model_dump(exclude_unset=True) == {name: value}


@pytest.mark.parametrize("strategy", ["evolution", "random", "seeds"])
@pytest.mark.parametrize("option", [option for option, _, _ in OF_THE_CLASSIC])
def test_another_strategy_that_is_typed_does_not_go_with_it(
    requests: list[RunRequest], capsys: pytest.CaptureFixture[str], option: str, strategy: str
) -> None:
    assert evolve(option, 1, "--strategy", strategy) == 2
    assert f"{option} is for --strategy generational" in capsys.readouterr().err
    assert requests == []


def test_a_strategy_that_nobody_types_is_evolution(requests: list[RunRequest]) -> None:
    assert evolve() == 1
    assert requests[0].strategy == "evolution"


@pytest.mark.parametrize(
    "words", [["--objectives", "accuracy,latency"], ["--max-latency-us", "500"]]
)
def test_what_is_measured_in_time_does_not_go_with_the_same_every_time(
    requests: list[RunRequest], capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    same = ["--deterministic", "--evaluations", "6"]
    assert evolve(*same, *words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "leaves out latency among its objectives, and max_latency_us" in error
    assert requests == []
    assert evolve(*same, "--objectives", "accuracy,parameters") == 1
    assert requests[0].deterministic

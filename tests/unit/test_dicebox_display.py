"""What a person sees of a run, a training and the demo's result."""

import io
import signal

import pytest
from rich.console import Console

from commons.messages import (
    Answer,
    Category,
    Classification,
    FrontPoint,
    Run,
    RungProgress,
    RunProgress,
    RunRequest,
    Snapshot,
    WorkerActivity,
)
from commons.training import TrainProgress
from dicebox.demo import DemoResult, show_result
from dicebox.held_out import HeldOutResult
from dicebox.run_display import (
    render_run,
    started_run,
    training_bar,
    training_end,
    watch_run,
)

GENOME = "conv 3x3 8 relu | dense 10"
PHASES = ("searching", "final training")


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=100, highlight=False, force_terminal=terminal)


def text(of: Console) -> str:
    return of.file.getvalue()


def a_run(state: str = "running", **progress: object) -> Run:
    return Run(
        id="r1",
        state=state,
        request=RunRequest(dataset="digits"),
        snapshot="5" * 64,
        shape=(8, 8, 1),
        created=0.0,
        progress=RunProgress(**progress),
        network="a" * 64,
    )


class Following:
    """A client whose run is in another state whenever it is asked."""

    def __init__(self, *states: Run) -> None:
        self.evolution = self
        self._states = list(states)

    def run(self, _run: str) -> Run:
        return self._states.pop(0)


SEARCHING = {
    "phase": "searching",
    "seconds": 20.0,
    "seconds_left": 40.0,
    "births": 7,
    "evaluated": 5,
    "failed": 1,
    "best": 0.985,
    "median": 0.9,
    "best_genome": GENOME,
    "candidates_per_minute": 15.0,
    "workers": [
        WorkerActivity(
            name="worker-1", individual=7, genome=GENOME, epoch=3, epochs=40, accuracy=0.5
        ),
        WorkerActivity(name="worker-2"),
    ],
}


def test_the_live_picture_tells_everything_that_is_known() -> None:
    seen = console()
    seen.print(render_run(a_run(**SEARCHING)))
    for words in (
        "digits 8x8x1",
        "run r1",
        "searching, 40 s left",
        "born 7",
        "trained 5",
        "failed 1",
        "best 98.50 %",
        "median 90.00 %",
        "15.0 a minute",
        "#7",
        "epoch 3/40",
        "idle",
        GENOME,
    ):
        assert words in text(seen), words


def test_the_live_picture_tells_of_rungs_and_of_a_front_where_there_are_some() -> None:
    seen = console()
    rungs = [
        RungProgress(rung="1", ended=12, best=0.9),
        RungProgress(rung="2", ended=4, best=0.95),
        RungProgress(rung="final", ended=1, best=0.99),
    ]
    front = [
        FrontPoint(number=3, accuracy=0.99, parameters=90_000, latency_us=210.0),
        FrontPoint(number=7, accuracy=0.95, parameters=4_000),
    ]
    seen.print(render_run(a_run(**SEARCHING, rungs=rungs, front=front)))
    assert "trained further: 4 to rung 2 (best 95.00 %)" in text(seen)
    assert "trained for the end: 1 (best 99.00 %)" in text(seen)
    assert "front  #3 99.00 % 210 µs   #7 95.00 % 4,000" in text(seen)


def test_who_was_trained_further_is_said_in_words_when_it_changes() -> None:
    seen = console()
    rungs = [RungProgress(rung=str(rung), ended=1000 // rung, best=0.9) for rung in (1, 2, 3)]
    ended = [*rungs, RungProgress(rung="final", ended=1, best=0.99)]
    many = {**SEARCHING, "births": 1003, "evaluated": 1000, "seconds_left": 86_399.0}
    first, again = (a_run(**{**many, "phase": phase}, rungs=rungs) for phase in PHASES)
    watch_run(
        Following(first, again, a_run("complete", **{**many, "phase": "done"}, rungs=ended)),
        "r1",
        seen,
    )
    lines = text(seen).splitlines()
    assert [line for line in lines if line.startswith("  ")] == [
        "  trained further: 500 to rung 2, 333 to rung 3",
        "  trained further: 500 to rung 2, 333 to rung 3; trained for the end: 1",
    ]
    assert len(lines) == 5
    live = console()
    live.print(render_run(a_run(**many, rungs=ended)))
    assert "trained further: 500 to rung 2 (best 90.00 %), 333 to rung 3 (best 90.00 %)" in text(
        live
    )
    assert max(map(len, [*lines, *text(live).splitlines()])) <= 100


def test_where_nobody_was_trained_further_nothing_is_said_of_it() -> None:
    seen = console()
    only = [RungProgress(rung="1", ended=3, best=0.9)]
    watch_run(Following(a_run("complete", **SEARCHING, rungs=only)), "r1", seen)
    assert len(text(seen).splitlines()) == 1


def test_a_run_without_seconds_tells_what_was_spent() -> None:
    seen = console()
    values = {**SEARCHING, "seconds_left": None, "epochs": 31}
    unlimited = RunRequest(dataset="digits", seconds=None, evaluations=9)
    seen.print(render_run(a_run(**values).model_copy(update={"request": unlimited})))
    assert "searching, 31 epochs in 20 s" in text(seen)


def test_a_run_that_just_starts_has_a_picture_too() -> None:
    seen = console()
    seen.print(render_run(a_run().model_copy(update={"shape": None})))
    assert "digits ?" in text(seen)
    assert "best -" in text(seen)


def test_where_there_is_no_terminal_a_phase_is_a_line() -> None:
    seen = console()
    states = [
        a_run(phase="preparing"),
        a_run(**SEARCHING),
        a_run(**SEARCHING),
        a_run("complete", phase="done", best=0.99),
    ]
    end = watch_run(Following(*states), "r1", seen)
    assert end.state == "complete"
    lines = text(seen).splitlines()
    assert [line.split(":")[0] for line in lines] == ["preparing", "searching", "done"]
    assert lines[1].endswith("40 s left, 5 trained of 7 born, best 98.50 %, median 90.00 %")


def test_on_a_terminal_the_last_picture_stays() -> None:
    seen = console(terminal=True)
    watch_run(Following(a_run(**SEARCHING), a_run("complete", phase="done")), "r1", seen)
    assert "done, 0 s left" in text(seen)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_training_is_a_bar_or_a_line_an_epoch(terminal: bool) -> None:
    seen = console(terminal=terminal)
    with training_bar(seen) as display:
        display.say("goes on after epoch 1 of 3")
        for here in (500, 2000):
            display.fetched(here, 2000)
        for epoch in (2, 3):
            display.trained(
                TrainProgress(epoch=epoch, epochs=3, loss=0.5, accuracy=0.75, seconds=3.0)
            )
    assert "goes on after epoch 1 of 3" in text(seen)
    assert "75.00 % of validation" in text(seen)
    if terminal:
        assert "2,000 of 2,000" in text(seen)
        assert "epoch 3/3" in text(seen)
        assert "0 s left" in text(seen)
    else:
        assert text(seen).splitlines()[1:3] == [
            "2,000 examples are here",
            "epoch 2 of 3: 75.00 % of validation after 3.0 s",
        ]


@pytest.mark.parametrize(
    ("epoch", "seconds", "end"),
    [(1, None, (0.25, 30.0)), (4, None, (1.0, 0.0)), (1, 20.0, (0.5, 10.0)), (1, 8.0, (1.0, 0.0))],
)
def test_a_training_ends_with_its_epochs_or_its_seconds(
    epoch: int, seconds: float | None, end: tuple[float, float]
) -> None:
    progress = TrainProgress(epoch=epoch, epochs=4, loss=0.5, accuracy=0.7, seconds=10.0)
    assert training_end(progress, seconds) == end


def test_the_result_of_the_demo_shows_and_carries_what_was_measured() -> None:
    zero, one = Category(id="c0", name="zero"), Category(id="c1", name="one")
    answer = Classification(
        image="b" * 64,
        dataset="digits",
        network="a" * 64,
        answers=[Answer(category=zero, probability=0.9), Answer(category=one, probability=0.1)],
        seconds=0.001,
    )
    held_out = HeldOutResult(
        "a" * 64,
        ["zero", "one"],
        [[3, 0], [1, 4]],
        [("one", answer), ("zero", answer)],
        1.25,
    )
    snapshot = Snapshot(
        id="5" * 64,
        dataset="digits",
        categories=[zero, one],
        counts={"test": 8},
        median_shape=(8, 8, 1),
        created=0.0,
    )
    run = a_run("complete", evaluated=5, failed=1, best=0.985, seconds=58.0)
    result = DemoResult(run, snapshot, held_out, 61.5)
    seen = console()
    show_result(result, seen)
    assert "87.50 % of 8 held-out test images right over HTTP (1 wrong), median 1.2 ms" in text(
        seen
    )
    assert "wrong  image bbbbbbbb is one: zero 0.900, one 0.100" in text(seen)
    assert "right  image bbbbbbbb is zero" in text(seen)
    figures = result.as_json()
    assert {name: figures[name] for name in ("test_accuracy", "candidates", "seconds")} == {
        "test_accuracy": 7 / 8,
        "candidates": 5,
        "seconds": 61.5,
    }
    assert figures["champion"] == "a" * 64


class Starting:
    """A client to which Ctrl-C happens at a moment of a run's life; records what was stopped."""

    def __init__(self, moment: str) -> None:
        self.evolution = self
        self.stopped: list[str] = []
        self._moment = moment

    def start(self, _request: RunRequest) -> Run:
        self.reach("starting")
        return a_run("queued")

    def stop(self, run: str) -> None:
        self.stopped.append(run)

    def reach(self, moment: str) -> None:
        if moment == self._moment:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("moment", ["starting", "watching"])
def test_ctrl_c_has_the_run_stopped_also_while_it_is_being_started(moment: str) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    client = Starting(moment)
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            started_run(client, RunRequest(dataset="digits")),
        ):
            client.reach("watching")
    finally:
        signal.signal(signal.SIGINT, before)
    assert client.stopped == ["r1"]


def test_a_run_that_is_not_interrupted_is_not_stopped() -> None:
    client = Starting("never")
    with started_run(client, RunRequest(dataset="digits")) as run:
        assert run.id == "r1"
    assert client.stopped == []


def test_of_a_fleet_the_busy_are_shown_as_far_as_they_fit() -> None:
    idle = [WorkerActivity(name=f"idle-{number}") for number in range(20)]
    busy = [WorkerActivity(name=f"busy-{n}", individual=n, genome=GENOME) for n in range(1, 5)]
    out = console()
    out.print(render_run(a_run(workers=[*idle, *busy])))
    lines = text(out)
    assert [name in lines for name in ("busy-1", "busy-4", "idle-7", "idle-8")] == [
        True,
        True,
        True,
        False,
    ]
    assert "and 12 more: 4 of all are busy" in lines


def test_a_run_that_waits_for_trainers_says_so() -> None:
    waiting = a_run(phase="preparing").model_copy(update={"reason": "it waits for trainers"})
    out = console()
    out.print(render_run(waiting))
    assert "preparing, it waits for trainers" in text(out)
    lines = console()
    ended = a_run("complete", phase="done").model_copy(update={"reason": "of no matter"})
    watch_run(Following(a_run(phase="preparing"), waiting, ended), "r1", lines)  # type: ignore[arg-type]
    shown = [line.partition(":")[0] for line in text(lines).splitlines()]
    assert shown == ["preparing", "preparing, it waits for trainers", "done"]

"""Who is compared with whom, where a learning curve decides whether a training goes on."""

from hypothesis import given, settings
from hypothesis import strategies as st

from commons.learning_curve import bar_of, curve_of, hopeless
from commons.messages import EpochReport, Evaluation, Individual
from evolver.budget import plan_of
from evolver.curves import Curves, Kind, kind_of, kind_to_be
from evolver.journal import with_evaluation
from tests.evolver_builders import individual, request

PLAN = plan_of(request(seconds=600))
KINDS = (
    Kind("1", resumed=False, inherited=False),
    Kind("1", resumed=False, inherited=True),
    Kind("2", resumed=True, inherited=False),
    Kind("2", resumed=True, inherited=True),
    Kind("2", resumed=False, inherited=False),
)
accuracies = st.lists(st.floats(0.0, 1.0), min_size=10, max_size=10)


def ended(rung: str, heights: list[float], **values: object) -> Evaluation:
    """Return a training that had its whole budget, measured after each tenth of it."""
    whole = PLAN.rung_s(int(rung))
    history = [
        EpochReport(epoch=tenth, seconds=whole * tenth / 10, accuracy=height, loss=1.0)
        for tenth, height in enumerate(heights, 1)
    ]
    known = {
        "state": "finished",
        "outcome": "ok",
        "accuracy": heights[-1],
        "loss": 1.0,
        "epochs": 10,
        "trained_s": whole,
        "weights": "w",
        "checkpoint": "c",
    }
    return Evaluation.model_validate({"rung": rung, "history": history, **known, **values})


def of(kind: Kind, heights: list[float]) -> tuple[Individual, Evaluation]:
    """Return an individual whose last training is of a kind, and that training."""
    parent = 7 if kind.inherited else None
    first = ended("1", heights, inherited=parent)
    if kind.rung == "1":
        return with_evaluation(individual(), first), first
    second = ended("2", heights, resumed=kind.resumed)
    return with_evaluation(with_evaluation(individual(), first), second), second


@settings(max_examples=50, deadline=None)
@given(trainings=st.lists(st.tuples(st.sampled_from(KINDS), accuracies), max_size=60))
def test_a_training_is_compared_with_those_alone_that_began_as_it_did(
    trainings: list[tuple[Kind, list[float]]],
) -> None:
    curves = Curves(PLAN)
    for kind, heights in trainings:
        trained, evaluation = of(kind, heights)
        assert kind_of(trained, evaluation) == kind
        curves.remember(trained, evaluation)
    seconds = [float(tenth) for tenth in range(1, 11)]
    for kind in KINDS:
        alike = [curve_of(seconds, heights) for other, heights in trainings if other == kind]
        for mine, expected in zip(curves.bar(kind) or (), bar_of(alike) or (), strict=True):
            assert abs(mine[1] - expected[1]) < 1e-9


@settings(max_examples=50, deadline=None)
@given(
    fresh=st.lists(st.floats(0.3, 0.9), min_size=6, max_size=20),
    heirs=st.lists(st.floats(0.95, 1.0), min_size=6, max_size=40),
)
def test_heirs_that_start_high_stop_nobody_who_learns_from_scratch(
    fresh: list[float], heirs: list[float]
) -> None:
    curves = Curves(PLAN)
    for end in fresh:
        curves.remember(*of(KINDS[0], [end * tenth / 10 for tenth in range(1, 11)]))
    for end in heirs:
        curves.remember(*of(KINDS[1], [end] * 10))
    best = max(fresh)
    running = tuple((tenth / 10, best * tenth / 10) for tenth in range(1, 11))
    assert not any(hopeless(running[:length], curves.bar(KINDS[0])) for length in range(1, 11))
    # Beside the heirs it would have been.
    assert any(hopeless(running[:length], curves.bar(KINDS[1])) for length in range(1, 11))


def test_without_seconds_a_bar_does_not_depend_on_how_long_epochs_took() -> None:
    curves = Curves(plan_of(request(seconds=None, evaluations=9)))
    heights = [0.1, 0.3, 0.4, 0.5, 0.6]
    for unevenness in range(8):
        history = [
            EpochReport(epoch=epoch, seconds=epoch + unevenness / epoch, accuracy=height, loss=1.0)
            for epoch, height in enumerate(heights, 1)
        ]
        training = ended("1", heights).model_copy(update={"history": history, "epochs": 5})
        curves.remember(with_evaluation(individual(), training), training)
    bar = curves.bar(KINDS[0])
    expected = bar_of([tuple((epoch / 5, height) for epoch, height in enumerate(heights, 1))] * 8)
    assert bar is not None
    assert bar == expected


def test_what_kind_a_training_will_be_is_known_before_it_begins() -> None:
    parent = with_evaluation(individual(1), ended("1", [0.5] * 10))
    cleared = with_evaluation(parent, ended("1", [0.5] * 10, weights=None))
    newborn = individual(2)
    assert kind_to_be(newborn, 1, None, parent) == KINDS[1]
    assert kind_to_be(newborn, 1, None, cleared) == KINDS[0]
    assert kind_to_be(newborn, 1, None, None) == KINDS[0]
    for inherited, expected in ((None, KINDS[2]), (1, KINDS[3])):
        first = ended("1", [0.5] * 10, inherited=inherited)
        climber = with_evaluation(newborn, first)
        assert kind_to_be(climber, 2, first, None) == expected
    gone = ended("1", [0.5] * 10, inherited=1, checkpoint=None)
    assert kind_to_be(with_evaluation(newborn, gone), 2, gone, None) == KINDS[4]


def test_what_ended_before_its_budget_or_was_stopped_makes_no_bar() -> None:
    curves = Curves(PLAN)
    for values in ({"stopped": True}, {"outcome": "cancelled"}, {"trained_s": 0.1}):
        for _ in range(6):
            training = ended("1", [0.5] * 10, **values)
            curves.remember(with_evaluation(individual(), training), training)
    assert curves.bar(KINDS[0]) is None

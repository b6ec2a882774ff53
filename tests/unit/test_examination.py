"""Examinations: on validation images alone, in steps, once a network, safe to interrupt."""

from pathlib import Path

import pytest

from classification_service import examination
from classification_service.adapters.examination_tables import SqlExaminationTables
from classification_service.examination import Examinations, Examiner
from commons.errors import NotFoundError, UnavailableError
from commons.messages import Examination, Snapshot
from tests.trial_builders import LabeledShelf, StandingClock, TrialHouse

IMAGES = range(1, 41)


class Shelf(LabeledShelf):
    """Has one snapshot by the id that the cards name, and says where it is asked for others."""

    def snapshot(self, snapshot: str) -> Snapshot:
        if self.away:
            raise UnavailableError("the sensory service is away")
        if snapshot not in self.lines:
            raise NotFoundError(f"there is no snapshot {snapshot}")
        return super().snapshot(snapshot)

    def freeze_as(self, name: str, values: range) -> None:
        number = self.freeze(values)
        self.lines[name] = self.lines.pop(number)
        self.entries[0] = self.entries[0].model_copy(update={"id": name})


class Timer(StandingClock):
    """Every look at it takes some time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def monotonic(self) -> float:
        self.time += self.seconds
        return self.time


class House:
    def __init__(self, folder: Path, clock: StandingClock | None = None) -> None:
        self.trials = TrialHouse(folder)
        self.clock = clock or self.trials.clock
        self.shelf = Shelf()
        self.tables = SqlExaminationTables(self.trials.database)
        self.examinations = Examinations(self.trials.tables, self.tables)

    def examiner(self) -> Examiner:
        return Examiner(
            self.trials.tables,
            self.tables,
            self.trials.gallery,
            self.shelf,
            self.clock,
            lambda: "made up",
        )

    def of(self, network: str) -> Examination:
        return self.examinations.of(network)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.shelf.freeze_as("5" * 64, IMAGES)  # what the cards of tests name
    return house


def test_a_network_is_examined_on_its_validation_images(house: House) -> None:
    network = house.trials.network(1, 3, 2)
    with pytest.raises(NotFoundError) as none:
        house.of(network)
    assert none.value.kind == "not-examined"
    house.examiner().step()
    found = house.of(network[:10])
    assert found.confusion == [[19, 1], [2, 18]]
    assert (found.images, found.accuracy, found.cpu) == (40, 37 / 40, "made up")
    assert [category.name for category in found.categories] == ["dark", "bright"]
    assert set(house.shelf.splits) == {"validation"}


def test_it_is_done_once_and_the_champion_first(house: House) -> None:
    first, second, third = house.trials.network(1), house.trials.network(2), house.trials.network(3)
    house.trials.promote(second)
    examiner = house.examiner()
    examiner.step()
    assert house.of(second).images == 40
    assert house.tables.unexamined(9) == [third, first]
    for _ in range(5):
        examiner.step()
    assert house.tables.unexamined(9) == []
    assert len(house.shelf.asked) == 120


def test_it_goes_on_in_steps_and_times_an_answer(tmp_path: Path) -> None:
    house = House(tmp_path, Timer(0.25))
    house.shelf.freeze_as("5" * 64, range(1, 101))
    network = house.trials.network(1)
    examiner = house.examiner()
    examiner.step()
    asked = len(house.shelf.asked)
    assert 0 < asked < 100
    while house.tables.unexamined(1):
        examiner.step()
    assert sorted(house.shelf.asked) == sorted(set(house.shelf.asked))
    assert house.of(network).latency_us == pytest.approx(250_000)


def test_another_process_begins_it_anew(tmp_path: Path) -> None:
    house = House(tmp_path, Timer(0.25))
    house.shelf.freeze_as("5" * 64, range(1, 101))
    network = house.trials.network(1)
    house.examiner().step()
    again = house.examiner()
    while house.tables.unexamined(1):
        again.step()
    assert house.of(network).images == 100


def test_erased_images_are_left_out(house: House) -> None:
    network = house.trials.network()
    house.shelf.data.popitem()
    house.examiner().step()
    assert house.of(network).images == 39


def test_a_network_whose_images_are_away_waits_and_lets_others_go_first(house: House) -> None:
    network = house.trials.network()
    examiner = house.examiner()
    house.shelf.away = True
    examiner.step()
    house.shelf.away = False
    examiner.step()
    assert house.tables.unexamined(9) == [network], "it is tried again in a minute"
    other = house.trials.network(1)
    examiner.step()
    assert house.of(other).images == 40
    house.clock.time += 60.0
    examiner.step()
    assert house.of(network).images == 40


def test_a_large_split_is_a_sample(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_MOST_IMAGES", 10)
    network = house.trials.network()
    house.examiner().step()
    assert house.of(network).images == 10

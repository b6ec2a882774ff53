"""The chore that asks champions about images: all of them, each once, whatever comes between."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from classification_service.opinion_chore import OpinionChore, opinion_of
from commons.errors import GoneError, UnavailableError
from commons.label_messages import GivenOpinion, OpinionsReply
from commons.messages import DatasetSummary
from tests.trial_builders import StandingClock, TrialHouse, picture


class Desk:
    """`UnjudgedImages` in memory: what a sensory service does with opinions."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.opinions: dict[str, tuple[str, GivenOpinion]] = {}
        self.asked: list[str] = []
        self.given = 0
        self.looks = 0
        self.away = False
        self.unreadable: set[str] = set()
        self.knows_categories = True

    def add(self, *values: int) -> None:
        for value in values:
            data = picture(value)
            self.data[hashlib.sha256(data).hexdigest()] = data

    def datasets(self) -> list[DatasetSummary]:
        self.looks += 1
        if self.away:
            raise UnavailableError("it is away")
        return [DatasetSummary(name="digits", images=len(self.data), labeled=0, categories=[])]

    def opinions_wanted(self, dataset: str, network: str, limit: int = 500) -> list[str]:
        self.asked.append(network)
        left = [one for one in self.data if self.opinions.get(one, ("",))[0] != network]
        return left[:limit]

    def image(self, sha256: str) -> bytes:
        if self.away or sha256 in self.unreadable:
            raise UnavailableError("it is away")
        data = self.data[sha256]
        if data == b"erased":
            raise GoneError("it was erased")
        return data

    def give_opinions(
        self, dataset: str, network: str, opinions: Sequence[GivenOpinion]
    ) -> OpinionsReply:
        assert dataset == "digits"
        self.given += len(opinions)
        if not self.knows_categories:
            return OpinionsReply(stored=0, unknown=len(opinions))
        self.opinions |= {one.image: (network, one) for one in opinions}
        return OpinionsReply(stored=len(opinions), unknown=0)

    def by(self, network: str) -> int:
        return sum(who == network for who, _ in self.opinions.values())


class Timer(StandingClock):
    """Every look at it takes some time."""

    def monotonic(self) -> float:
        self.time += 0.3
        return self.time


class House:
    def __init__(self, folder: Path, clock: StandingClock | None = None) -> None:
        self.trials = TrialHouse(folder)
        self.clock = clock or self.trials.clock
        self.desk = Desk()
        self.chore = self.another()

    def another(self) -> OpinionChore:
        return OpinionChore(self.trials.tables, self.trials.gallery, self.desk, self.clock)

    def steps(self, count: int, seconds: float = 2.0) -> None:
        for _ in range(count):
            self.chore.step()
            self.clock.time += seconds


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_champion_is_asked_about_every_image(house: House) -> None:
    network = house.trials.network(7)
    house.trials.promote(network)
    house.desk.add(*range(1, 101))
    house.steps(3)
    assert house.desk.by(network) == 100
    said = {picture(value): value for value in range(1, 101)}
    for image, (_, opinion) in house.desk.opinions.items():
        value = said[house.desk.data[image]]
        assert opinion.top[0].category == f"c{value % 2 ^ (value == 7)}"
        assert (opinion.top[0].probability, opinion.margin) == (1.0, 1.0)


def test_nobody_is_asked_where_nobody_is_champion(house: House) -> None:
    house.trials.network()
    house.desk.add(1)
    house.steps(3)
    assert house.desk.opinions == {}


def test_a_new_champion_is_asked_about_all_again_at_once(house: House) -> None:
    first, second = house.trials.network(), house.trials.network(1)
    house.trials.promote(first)
    house.desk.add(*range(1, 11))
    house.steps(6)
    house.trials.promote(second)
    house.steps(2)
    assert house.desk.by(second) == 10


def test_new_images_are_asked_about_at_once_and_idle_it_looks_seldom(house: House) -> None:
    house.trials.promote(house.trials.network())
    house.desk.add(*range(1, 11))
    house.steps(100)
    assert len(house.desk.asked) < 12, "it asks less and less often"
    house.desk.add(50)
    house.steps(1)
    assert len(house.desk.opinions) == 11


def test_it_works_for_about_a_second_and_then_goes_on_where_it_was(tmp_path: Path) -> None:
    house = House(tmp_path, Timer())
    house.trials.promote(house.trials.network())
    house.desk.add(*range(1, 200))
    house.chore.step()
    assert 0 < len(house.desk.opinions) < 199
    for _ in range(20):
        house.chore.step()
    assert len(house.desk.opinions) == 199
    assert len(house.desk.asked) <= 3, "what is wanted is not asked for at every step"


def test_another_process_goes_on_from_what_is_kept(house: House) -> None:
    network = house.trials.network()
    house.trials.promote(network)
    house.desk.add(1, 2, 3)
    house.steps(2)
    before = dict(house.desk.opinions)
    house.chore = house.another()
    house.steps(2)
    assert house.desk.opinions == before


def test_erased_images_are_asked_for_once(house: House) -> None:
    house.trials.promote(house.trials.network())
    house.desk.add(1, 2)
    house.desk.data["e" * 64] = b"erased"
    house.desk.data["f" * 64] = b"no picture"
    house.steps(10)
    assert len(house.desk.opinions) == 2


def test_an_image_that_cannot_be_had_stops_none_of_the_others(house: House) -> None:
    house.trials.promote(house.trials.network())
    house.desk.add(*range(1, 101))
    images = list(house.desk.data)
    house.desk.unreadable = {images[0], images[50]}
    house.steps(10)
    assert set(images) - set(house.desk.opinions) == house.desk.unreadable
    house.desk.unreadable = set()
    house.steps(60)
    assert len(house.desk.opinions) == 100, "it comes when it can be read again"


def test_images_that_take_long_to_be_refused_end_the_step_and_come_last(house: House) -> None:
    house.trials.promote(house.trials.network())
    house.desk.add(*range(1, 51))
    first, second, *others = house.desk.data
    tries: list[str] = []

    def image(sha256: str) -> bytes:
        if sha256 in (first, second):
            tries.append(sha256)
            house.clock.time += 1.0
            raise UnavailableError("it cannot be read")
        return house.desk.data[sha256]

    house.desk.image = image  # type: ignore[method-assign]
    house.chore.step()
    assert tries == [first]
    house.steps(10)
    assert set(house.desk.opinions) == set(others)
    assert tries[:3] == [first, second, first]


def test_a_dataset_that_knows_none_of_the_categories_is_told_once(house: House) -> None:
    house.trials.promote(house.trials.network())
    house.desk.add(*range(1, 101))
    house.desk.knows_categories = False
    house.steps(100)
    assert house.desk.given == 100
    assert len(house.desk.asked) < 12, "it asks less and less often"


def test_a_service_that_is_away_is_waited_for(house: House) -> None:
    house.trials.promote(house.trials.network())
    house.desk.add(*range(1, 4))
    house.desk.away = True
    with pytest.raises(UnavailableError):
        house.chore.step()
    house.desk.away = False
    looks = house.desk.looks
    house.chore.step()
    assert house.desk.looks == looks, "it is not asked every second"
    house.steps(6)
    assert len(house.desk.opinions) == 3


def test_a_champion_that_fails_is_named_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.trials.promote(house.trials.network(fails=True))
    house.desk.add(1)
    with caplog.at_level(logging.WARNING):
        house.steps(100)
    assert [record.getMessage() for record in caplog.records] == [
        "the opinions about digits wait: it fails"
    ]


def test_an_opinion_has_the_five_most_probable_categories() -> None:
    probabilities = np.array([0.05, 0.3, 0.2, 0.25, 0.1, 0.1], np.float32)
    said = opinion_of("a" * 64, probabilities, [f"c{n}" for n in range(6)])
    assert [guess.category for guess in said.top] == ["c1", "c3", "c2", "c4", "c5"]
    assert said.margin == pytest.approx(0.05)

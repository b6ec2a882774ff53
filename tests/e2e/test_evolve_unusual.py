"""Images that nobody expects, through the whole product: imported, bred, published, reported.

And the same search twice: with the real trainer a journal must not depend on how fast it was.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import encoded, picture, png_bytes
from tests.dicebox_processes import Dicebox
from tests.unit.test_evolver_resume import PLACE

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.campaign]

File = tuple[str, bytes]
SMALL = ("--seconds", 40, "--evaluations", 2, "--workers", 1)


def thousand_categories() -> Iterator[File]:
    for category in range(1000):
        for copy in range(4):
            yield f"{category:04d}/{copy}.png", png_bytes(seed=4 * category + copy)


def single_pixels() -> Iterator[File]:
    for seed in range(200):
        yield f"{seed % 2}/{seed}.png", png_bytes((1, 1, 3), seed)


def grey_and_colour() -> Iterator[File]:
    for seed in range(60):
        channels = (1, 3, 4)[seed % 3]
        yield f"{seed % 2}/{seed}.png", png_bytes((9, 7, channels), seed)
    yield "0/palette.png", encoded(picture((9, 7, 3), 99).convert("P"))


def category_of_validation_alone() -> Iterator[File]:
    for seed in range(60):
        split = ("train", "validation", "test")[seed % 3]
        yield f"{split}/{seed % 2}/{seed}.png", png_bytes(seed=seed)
    for seed in range(60, 70):
        yield f"validation/rare/{seed}.png", png_bytes(seed=seed)


def one_image_a_category() -> Iterator[File]:
    for category in range(10):
        yield f"{category}/only.png", png_bytes(seed=category)


@pytest.mark.parametrize("files", [thousand_categories, single_pixels, grey_and_colour])
def test_unusual_images_are_bred_published_and_reported(
    dicebox: Dicebox, tmp_path: Path, files: Callable[[], Iterator[File]]
) -> None:
    first = imported(dicebox, tmp_path, files())
    bred = dicebox.run("evolve", "--dataset", "odd", *SMALL, "--json")
    assert (bred.code, "Traceback" in bred.err) == (0, False), bred.err
    assert bred.json["state"] == "complete"
    assert (bred.json["progress"]["evaluated"], bred.json["progress"]["failed"]) == (2, 0)
    answer = dicebox.run("classify", first, "--dataset", "odd", "--json")
    assert answer.code == 0, answer.err
    report = tmp_path / "report.html"
    told = dicebox.run("report", bred.json["id"], "--output", report)
    assert told.code == 0, told.err
    assert report.stat().st_size > 10_000
    assert dicebox.left_nothing()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (one_image_a_category, "at least two of a category"),
        (category_of_validation_alone, "expected a training image in every category"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_a_sentence(
    dicebox: Dicebox, tmp_path: Path, files: Callable[[], Iterator[File]], words: str
) -> None:
    imported(dicebox, tmp_path, files())
    bred = dicebox.run("evolve", "--dataset", "odd", *SMALL)
    assert (bred.code, "Traceback" in bred.err) == (1, False)
    assert words in bred.last_words


def test_a_deterministic_search_is_the_same_twice_bit_for_bit(
    dicebox: Dicebox, tmp_path: Path
) -> None:
    imported(dicebox, tmp_path, grey_and_colour())
    asked = ("--evaluations", 12, "--population", 4, "--deterministic")
    journals = []
    for _ in range(2):
        bred = dicebox.run("evolve", "--dataset", "odd", *asked, "--json", timeout_s=400)
        assert bred.code == 0, bred.err
        run = bred.json["id"]
        shown = dicebox.run("runs", run, "--json").json
        journals.append([comparable(each, run) for each in shown["individuals"]])
    assert len(journals[0]) == 12
    assert journals[0] == journals[1]


def imported(box: Dicebox, folder: Path, files: Iterator[File]) -> Path:
    """Import files as dataset `odd` and return one of them."""
    root, paths = folder / "odd", list[Path]()
    for name, data in files:
        paths.append(root / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        paths[-1].write_bytes(data)
    end = box.run("import", root, "--dataset", "odd")
    assert end.code == 0, end.err
    return paths[0]


def comparable(individual: dict, run: str) -> dict:
    """Return what of an individual must be the same in two runs."""

    def same(value: object, name: str = "") -> object:
        if isinstance(value, dict):
            return {
                key: same(each, key)
                for key, each in value.items()
                if key not in PLACE | {"trained_s"}
            }
        if isinstance(value, list):
            return [same(each) for each in value]
        return value.replace(run, "") if isinstance(value, str) else value

    found = same(individual)
    assert isinstance(found, dict)
    return found

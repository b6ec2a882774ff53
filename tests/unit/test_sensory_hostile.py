"""Hostile files through the real app: 4xx after bounded work, and nothing served that could run.

Each file is sent in a process of its own, which says how much memory that took.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commons.adapters.decode import decode_image
from commons.messages import ResizePolicy
from tests import bounded_child, hostile
from tests.sensory_house import BASE, House, open_house

PETS = f"{BASE}/datasets/pets"
REFUSED, KEPT = hostile.refused_images(), hostile.kept_images()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    open_house(folder).platform.database.dispose()
    return folder


def measured(folder: Path, send: Callable[[House], object]) -> tuple[Any, int]:
    """Return what `send` returned in a child process, and the bytes that its memory grew by."""

    def opened() -> House:
        house = open_house(folder)
        house.http.get(f"{BASE}/healthz")
        return house

    return bounded_child.measured(opened, send)


def post(house: House, data: bytes, path: str = "images") -> list[object]:
    reply = house.http.post(f"{PETS}/{path}", content=data)
    kind = reply.headers["Content-Type"]
    return [reply.status_code, kind, reply.text[-2000:]]


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_after_bounded_work(
    folder: Path, name: str, tell: Callable[[str], None]
) -> None:
    data, expected = REFUSED[name]
    (status, kind, _), grown = measured(folder, lambda house: post(house, data))
    assert (status, kind) == (expected, "application/problem+json")
    tell(f"{len(data):,} bytes answered {status}, {grown >> 20} MB")


@pytest.mark.parametrize("name", KEPT)
def test_what_decodes_is_served_as_what_it_decodes_to_and_runs_nowhere(
    folder: Path, name: str, tell: Callable[[str], None]
) -> None:
    data, kind = KEPT[name]

    def send(house: House) -> list[object]:
        (stored,) = house.client.upload("pets", [(name, data)]).stored
        reply = house.http.get(f"{BASE}/images/{stored.image}")
        small = house.http.get(f"{BASE}/images/{stored.image}/thumbnail")
        kept = reply.content == data
        return [kept, [dict(reply.headers.items()), dict(small.headers.items())]]

    (kept, replies), grown = measured(folder, send)
    assert kept
    for headers, served_as in zip(replies, (kind, "image/webp"), strict=True):
        assert headers["content-type"] == served_as
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    tell(f"{len(data):,} bytes served as {kind}, {grown >> 20} MB")


def test_many_large_pictures_in_one_form_are_decoded_within_the_same_bounds(
    folder: Path, tell: Callable[[str], None]
) -> None:
    files = [(f"{n}.png", hostile.bomb_png(8000 - n, 5000)) for n in range(8)]
    send = lambda house: len(house.client.upload("pets", files).stored)  # noqa: E731
    stored, grown = measured(folder, send)
    assert stored == 8
    tell(f"8 pictures of 40 million pixels, {grown >> 20} MB")


@pytest.mark.parametrize("shape", [(64, 64, 3), (1024, 1024, 1)])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6])
def test_a_large_picture_is_decoded_within_the_same_bounds(
    folder: Path,
    orientation: int | None,
    shape: tuple[int, int, int],
    tell: Callable[[str], None],
) -> None:
    data = hostile.bomb_png(6400, 5000, orientation)

    def decode(_: House) -> list[int]:
        pixels = decode_image(data, shape, "fit")
        return [int(pixels.min()), int(pixels.max())]

    colours, grown = measured(folder, decode)
    assert colours == ([255, 255] if orientation else [0, 0])
    tell(f"32 million pixels, {grown >> 20} MB")


@pytest.mark.parametrize("resize", ["fit", "crop"])
@pytest.mark.parametrize("sides", [(8, 4_000_000), (4_000_000, 8)])
def test_a_thin_picture_is_decoded_within_the_same_bounds(
    folder: Path, sides: tuple[int, int], resize: ResizePolicy, tell: Callable[[str], None]
) -> None:
    data = hostile.bomb_png(*sides, 6)
    decode = lambda _: list(decode_image(data, (256, 256, 3), resize).shape)  # noqa: E731
    answer, grown = measured(folder, decode)
    assert answer == [256, 256, 3]
    tell(f"32 million pixels, {grown >> 20} MB")


@pytest.mark.parametrize("name", hostile.hostile_archives())
def test_a_hostile_archive_is_refused_after_bounded_work(
    folder: Path, name: str, tell: Callable[[str], None]
) -> None:
    data = hostile.hostile_archives()[name]
    before = sorted(folder.parent.iterdir())
    (status, _, text), grown = measured(folder, lambda house: post(house, data, "imports"))
    if status == 200:
        summary = json.loads(text.splitlines()[-1])
        assert summary["refused"] > 0 or name == "large.zip"
        assert summary["stored"] + summary["duplicates"] <= 9
    else:
        assert status in (400, 413)
    assert sorted(folder.parent.iterdir()) == before
    tell(f"{len(data):,} bytes answered {status}, {grown >> 20} MB")


def test_a_photograph_is_upright_in_every_orientation(folder: Path) -> None:
    house = open_house(folder)
    for orientation in range(1, 9):
        data = hostile.jpeg_bytes((4, 8, 3), seed=90 + orientation, orientation=orientation)
        (stored,) = house.client.upload("pets", [("a.jpg", data)]).stored
        turned = orientation > 4
        assert (stored.height, stored.width) == ((8, 4) if turned else (4, 8))
    house.platform.database.dispose()

"""What pictures look like: near-duplicates are found, and different pictures are not."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from commons.adapters.decode import decode_image
from commons.errors import UnavailableError
from sensory_service.adapters.appearance_tables import AppearanceTables
from sensory_service.appearance import Appearance, alike, describe
from sensory_service.blob_names import image_blob
from sensory_service.looking import Looker
from tests.builders import encoded
from tests.memory_blobs import MemoryBlobs, UnreadableBlobs
from tests.sensory_house import House, ManualClock, open_house


def scene(seed: int, size: int = 96) -> Image.Image:
    """Return a picture of soft shapes, as photographs have them."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12), np.uint8)
    large = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
    return large.filter(ImageFilter.GaussianBlur(2))


def digit(number: int) -> Image.Image:
    """Return a white figure of some bars on black, as scanned digits are."""
    bars = {1: [(12, 4, 16, 24)], 7: [(6, 4, 20, 8), (16, 8, 20, 24)], 0: [(6, 4, 20, 24)]}
    image = np.zeros((28, 28), np.uint8)
    for left, top, right, bottom in bars[number]:
        image[top:bottom, left:right] = 255
    return Image.fromarray(image)


def of(image: Image.Image, kind: str = "PNG", **options: object) -> Appearance:
    return describe(decode_image(encoded(image, kind, **options), (32, 32, 1), "fit"))


@pytest.mark.parametrize("seed", range(8))
def test_a_picture_that_is_saved_again_or_resized_is_alike(seed: int) -> None:
    first = of(scene(seed))
    assert alike(first, of(scene(seed), "JPEG", quality=70))
    assert alike(first, of(scene(seed).resize((64, 64), Image.Resampling.LANCZOS)))
    assert alike(first, of(scene(seed).convert("RGB"), "WEBP", quality=80))


def test_a_brighter_picture_is_alike() -> None:
    darker = np.asarray(scene(1), np.int16).clip(0, 230).astype(np.uint8)
    brighter = Image.fromarray(darker + 20)
    assert alike(of(Image.fromarray(darker)), of(brighter))


def test_different_pictures_are_not_alike() -> None:
    many = [of(scene(seed)) for seed in range(30)]
    assert not [1 for n, one in enumerate(many) for other in many[:n] if alike(one, other)]
    flat = of(Image.new("L", (28, 28), 128))
    digits = [of(digit(number)) for number in (0, 1, 7)]
    for n, one in enumerate(digits):
        assert not alike(one, flat)
        assert not any(alike(one, other) for other in digits[:n])


def test_flat_pictures_have_no_hash_of_noise() -> None:
    assert {of(Image.new("L", (28, 28), value)).hash for value in (0, 77, 255)} == {0}


@given(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=3))
def test_hashes_that_differ_in_three_bits_share_a_band(number: int, bits: set[int]) -> None:
    other = number ^ sum(1 << bit for bit in bits)
    first, second = Appearance(number, b"").bands, Appearance(other, b"").bands
    assert any(a == b for a, b in zip(first, second, strict=True))
    assert sum(band << 16 * n for n, band in enumerate(first)) == number


@pytest.fixture
def house(tmp_path: Path) -> House:
    return open_house(tmp_path)


def upload(house: House, *images: bytes) -> list[str]:
    files = [(f"{n}.img", data) for n, data in enumerate(images)]
    return [one.image for one in house.client.upload("pets", files).stored]


def groups(house: House, images: list[str]) -> list[str | None]:
    found = house.client.lookup("pets", images)
    return [found[image].group for image in images]


def looker(house: House) -> Looker:
    return Looker(AppearanceTables(house.platform.database), house.platform.blobs, ManualClock())


def test_images_are_looked_at_once_and_grouped(house: House) -> None:
    again = io.BytesIO()
    scene(1).save(again, "JPEG", quality=75)
    images = upload(house, encoded(scene(1)), encoded(scene(2)), again.getvalue())
    assert groups(house, images) == [None] * 3
    look = looker(house)
    assert look.look()
    assert groups(house, images) == [images[0], images[1], images[0]]
    assert not look.look()
    later = upload(house, encoded(scene(2).resize((48, 48))))
    assert look.look()
    assert groups(house, later) == [images[1]]
    assert not looker(house).look(), "another process has nothing to do either"


def test_a_turn_is_short(house: House) -> None:
    images = upload(house, *(encoded(scene(seed)) for seed in range(40)))

    class Timer(ManualClock):
        def monotonic(self) -> float:
            self.time += 0.15
            return self.time

    look = Looker(AppearanceTables(house.platform.database), house.platform.blobs, Timer())
    look.look()
    assert 0 < sum(group is not None for group in groups(house, images)) < 40
    while look.look():
        pass
    assert None not in groups(house, images)


def test_an_image_that_cannot_be_read_hides_none_of_its_neighbours(house: House) -> None:
    blobs = UnreadableBlobs()
    house = house.with_parts(blobs)
    images = upload(house, *(encoded(scene(seed)) for seed in range(18)))
    blobs.bad = {image_blob(images[3])}
    look = looker(house)
    assert look.look()
    assert [one for one in images if groups(house, [one]) == [None]] == [images[3]]


def test_where_nothing_can_be_read_it_says_so_and_goes_on(house: House) -> None:
    blobs = UnreadableBlobs()
    house = house.with_parts(blobs)
    (image,) = upload(house, encoded(scene(1)))
    blobs.is_away, clock = True, ManualClock()
    look = Looker(AppearanceTables(house.platform.database), blobs, clock)
    with pytest.raises(UnavailableError):
        look.look()
    blobs.is_away = False
    assert not look.look()
    clock.sleep(3600.0)
    assert look.look()
    assert groups(house, [image]) == [image]


def test_slow_images_do_not_make_a_turn_longer(house: House) -> None:
    images = upload(house, *(encoded(scene(seed)) for seed in range(4)))
    clock = ManualClock()

    class SlowBlobs(MemoryBlobs):
        def get(self, name: str) -> bytes:
            clock.sleep(0.3)
            return house.platform.blobs.get(name)

    look = Looker(AppearanceTables(house.platform.database), SlowBlobs(), clock)
    look.look()
    assert sum(group is not None for group in groups(house, images)) == 2
    look.look()
    assert None not in groups(house, images)


def test_an_erased_image_leaves_no_picture_behind(house: House) -> None:
    (image,) = upload(house, encoded(scene(1)))
    looker(house).look()
    house.client.purge(image)
    upload(house, encoded(scene(1)))
    assert groups(house, [image]) == [None]
    tables = AppearanceTables(house.platform.database)
    house.client.purge(image)
    tables.add({image: of(scene(1))})
    assert tables.unlooked(0, 10) == ([], 0)
    upload(house, encoded(scene(1)))
    assert groups(house, [image]) == [None], "what was described meanwhile is not kept"


def test_the_batch_processor_looks_when_it_is_idle(house: House) -> None:
    images = upload(house, encoded(scene(1)))
    house.work()
    assert groups(house, images) == images

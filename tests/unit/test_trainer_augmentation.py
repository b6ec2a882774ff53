"""Augmentation: what may change, how far, and that nothing else does."""

import numpy as np
import numpy.typing as npt
import pytest

from commons.genome import Augmentation
from trainer.augmentation import change, draw

EVERYTHING = Augmentation(flip=True, shift=0.2, rotate=15, cutout=0.3, noise=0.05)


def pictures(n: int = 40, shape: tuple[int, int, int] = (12, 10, 3)) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (n, *shape), dtype=np.uint8)


def augment(
    rng: np.random.Generator, images: npt.NDArray[np.uint8], augmentation: Augmentation
) -> npt.NDArray[np.float32]:
    """Augment with every second image flipped, if any are."""
    mirrored = np.arange(len(images)) % 2 == 1
    return change(rng, images, draw(rng, images.shape[:3], mirrored, augmentation))


@pytest.mark.parametrize("shape", [(8, 8, 1), (1, 1, 1), (12, 10, 3), (3, 40, 1)])
@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        Augmentation(flip=True),
        Augmentation(shift=0.3),
        Augmentation(rotate=20),
        Augmentation(cutout=0.5),
        Augmentation(noise=0.1),
        EVERYTHING,
    ],
)
def test_every_kind_keeps_shape_and_count_for_every_size(
    augmentation: Augmentation, shape: tuple[int, int, int]
) -> None:
    images = pictures(5, shape)
    changed = augment(np.random.default_rng(0), images, augmentation)
    assert changed.shape == images.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()


def test_with_everything_off_the_pixels_are_the_same() -> None:
    images = pictures()
    np.testing.assert_array_equal(
        augment(np.random.default_rng(0), images, Augmentation()), images.astype(np.float32)
    )


def test_the_images_given_are_not_changed() -> None:
    images = pictures()
    before = images.copy()
    augment(np.random.default_rng(0), images, EVERYTHING)
    np.testing.assert_array_equal(images, before)


def test_the_same_seed_gives_the_same_changes_and_another_seed_others() -> None:
    images = pictures()
    first = augment(np.random.default_rng(3), images, EVERYTHING)
    np.testing.assert_array_equal(first, augment(np.random.default_rng(3), images, EVERYTHING))
    assert (first != augment(np.random.default_rng(4), images, EVERYTHING)).any()


def test_a_flip_mirrors_some_images_and_leaves_the_others() -> None:
    images = pictures()
    changed = augment(np.random.default_rng(0), images, Augmentation(flip=True))
    same = [(a == b).all() for a, b in zip(changed, images, strict=True)]
    mirrored = [(a == b[:, ::-1]).all() for a, b in zip(changed, images, strict=True)]
    assert all(s != m for s, m in zip(same, mirrored, strict=True))
    assert 5 < sum(mirrored) < 35


def test_a_shift_moves_by_whole_pixels_no_further_than_asked() -> None:
    images = np.zeros((200, 20, 20, 1), dtype=np.uint8)
    images[:, 10, 10] = 255
    changed = augment(np.random.default_rng(0), images, Augmentation(shift=0.1))
    where = np.argwhere(changed[..., 0] == 255)
    assert len(where) == 200
    moves = where[:, 1:] - 10
    assert moves.min() == -2
    assert moves.max() == 2


@pytest.mark.parametrize("shape", [(8, 8, 1), (1, 1, 3), (12, 10, 3), (3, 40, 1)])
def test_a_flip_comes_before_a_shift(shape: tuple[int, int, int]) -> None:
    images = pictures(30, shape)
    both = augment(np.random.default_rng(5), images, Augmentation(flip=True, shift=0.3))
    images[1::2] = images[1::2, :, ::-1]
    shifted = augment(np.random.default_rng(5), images, Augmentation(shift=0.3))
    np.testing.assert_array_equal(both, shifted)
    for image, changed in zip(images, shifted, strict=True):
        moves = range(-12, 13)
        assert any(
            (
                np.roll(np.pad(image, ((12,) * 2, (12,) * 2, (0,) * 2), "edge"), (y, x), (0, 1))[
                    12 : 12 + shape[0], 12 : 12 + shape[1]
                ]
                == changed
            ).all()
            for y in moves
            for x in moves
        )


def test_even_a_small_shift_moves_a_small_image() -> None:
    images = pictures(50, (8, 8, 1))
    changed = augment(np.random.default_rng(0), images, Augmentation(shift=0.02))
    assert (changed != images).any()


def test_a_rotation_keeps_the_middle_and_turns_the_rest() -> None:
    images = pictures(30, (9, 9, 1))
    changed = augment(np.random.default_rng(0), images, Augmentation(rotate=30))
    np.testing.assert_allclose(changed[:, 4, 4], images[:, 4, 4], atol=1e-3)
    assert (np.abs(changed[:, 0, 0] - images[:, 0, 0]) > 1).any()
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_a_cutout_blanks_a_square_of_each_image() -> None:
    images = np.full((30, 10, 10, 1), 200, dtype=np.uint8)
    images[:, 0, 0] = 0  # so that the mean differs from the rest
    changed = augment(np.random.default_rng(0), images, Augmentation(cutout=0.4))
    blanked = ((changed != 200) & (changed != 0)).sum(axis=(1, 2, 3))
    assert blanked.max() == 16
    assert blanked.min() >= 1


def test_noise_has_the_deviation_that_was_asked() -> None:
    images = np.full((20, 30, 30, 1), 128, dtype=np.uint8)
    changed = augment(np.random.default_rng(0), images, Augmentation(noise=0.1))
    assert abs(float(changed.std()) - 25.5) < 0.5
    assert abs(float(changed.mean()) - 128) < 1

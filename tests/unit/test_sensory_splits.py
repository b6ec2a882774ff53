"""Splits: balanced, deterministic, never changed."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commons.messages import Split
from sensory_service.splits import Shares, assign_splits, hash_order

SHARES = Shares(validation=0.15, test=0.15)


@dataclass(frozen=True)
class Row:
    image: str
    category: str
    split: Split | None = None
    said: bool = False


def rows(count: int, category: str = "cat", split: Split | None = None) -> list[Row]:
    names = [f"{category} {number} {split}" for number in range(count)]
    return [
        Row(hashlib.sha256(name.encode()).hexdigest(), category, split, said=split is not None)
        for name in names
    ]


def all_splits(images: list[Row], shares: Shares = SHARES) -> list[Split]:
    splits = assign_splits(images, hash_order([image.image for image in images]), shares)
    assert all(image.split in (None, split) for image, split in zip(images, splits, strict=True))
    return splits


def new_splits(images: list[Row], shares: Shares = SHARES) -> dict[str, Split]:
    """Return the splits of those that had none, by hash."""
    pairs = zip(images, all_splits(images, shares), strict=True)
    return {image.image: split for image, split in pairs if image.split is None}


def counts(images: list[Row], shares: Shares = SHARES) -> Counter[str]:
    return Counter(all_splits(images, shares))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=50), st.booleans())
def test_hashes_are_ordered_as_their_text_is(digests: list[bytes], alike: bool) -> None:
    hashes = [(b"12345678" * alike + digest)[:32].hex() for digest in digests]
    assert [hashes[at] for at in hash_order(hashes)] == sorted(hashes)


@pytest.mark.parametrize(
    ("images", "train", "validation", "test"),
    [(1, 1, 0, 0), (2, 1, 1, 0), (3, 1, 1, 1), (4, 2, 1, 1), (10, 6, 2, 2), (100, 70, 15, 15)],
)
def test_few_images_train_first_then_validate_then_test(
    images: int, train: int, validation: int, test: int
) -> None:
    found = counts(rows(images))
    assert (found["train"], found["validation"], found["test"]) == (train, validation, test)


def test_every_category_is_divided_alike() -> None:
    images = rows(200, "cat") + rows(40, "dog")
    assigned = new_splits(images)
    dogs = Counter(assigned[image.image] for image in images if image.category == "dog")
    assert dogs == {"train": 28, "validation": 6, "test": 6}


def test_the_order_of_the_images_does_not_matter() -> None:
    images = rows(50, "cat") + rows(50, "dog")
    assert new_splits(images) == new_splits(images[::-1])


def test_images_that_have_a_split_are_not_assigned_another() -> None:
    images = rows(5, split="validation") + rows(15)
    assigned = new_splits(images)
    assert set(assigned) == {image.image for image in images[5:]}
    # Five of twenty validate already, more than the share: nobody joins them.
    assert Counter(assigned.values()) == {"train": 12, "test": 3}


def test_new_images_keep_the_shares_of_the_whole() -> None:
    first = rows(100)
    assigned = new_splits(first)
    old = [replace(image, split=assigned[image.image]) for image in first]
    new = [replace(image, image=image.image[::-1]) for image in rows(100)]
    assert counts(old + new) == {"train": 140, "validation": 30, "test": 30}


def test_an_import_with_its_own_test_images_gets_no_others() -> None:
    images = rows(20, split="test") + rows(100) + rows(50, "dog")
    found = counts(images)
    assert found["test"] == 20
    assert found["validation"] == round(120 * 0.15) + round(50 * 0.15)


def test_no_test_share_means_no_test_images() -> None:
    assert counts(rows(100), Shares(0.2, 0.0)) == {"train": 80, "validation": 20}


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sampled_from([None, None, "train", "validation", "test"])
        ),
        max_size=60,
    ),
    st.floats(0.01, 0.49),
    st.floats(0.0, 0.49),
)
def test_whatever_came_before_a_category_with_a_free_image_trains(
    drawn: list[tuple[str, Split | None]], validation: float, test: float
) -> None:
    images = [
        Row(hashlib.sha256(b"%d" % number).hexdigest(), category, split)
        for number, (category, split) in enumerate(drawn)
    ]
    assigned = new_splits(images, Shares(validation, test))
    free = [image for image in images if image.split is None]
    assert set(assigned) == {image.image for image in free}
    for category in {image.category for image in free}:
        splits = [assigned.get(i.image, i.split) for i in images if i.category == category]
        assert "train" in splits

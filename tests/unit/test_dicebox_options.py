"""What a person types becomes a value, or one sentence about what was expected."""

import click
import pytest

from dicebox.commands.options import DatasetType, ShapeType, UrlType, given, split_names


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("28x28x1", (28, 28, 1)),
        ("64X32X3", (64, 32, 3)),
        ("1x1x1", (1, 1, 1)),
        ("1024x1024x3", (1024, 1024, 3)),
    ],
)
def test_a_shape_is_height_width_and_channels(text: str, shape: tuple[int, int, int]) -> None:
    assert ShapeType().convert(text, None, None) == shape


def test_a_shape_that_is_one_already_stays_as_it_is() -> None:
    assert ShapeType().convert((8, 8, 1), None, None) == (8, 8, 1)


@pytest.mark.parametrize("text", ["28x28", "28x28x1x1", "axbxc", "-8x8x1", "8,8,1", "", "٣x٣x1"])
def test_what_is_no_shape_says_how_one_is_written(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a shape like 28x28x1"):
        ShapeType().convert(text, None, None)


@pytest.mark.parametrize("text", ["0x8x1", "8x0x1", "1025x8x1", "8x8x2", "8x8x4", "8x8x0"])
def test_a_shape_out_of_range_says_the_range(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"expected 1\.\.1024"):
        ShapeType().convert(text, None, None)


@pytest.mark.parametrize("name", ["a", "digits", "0-day_photos", "a" * 63])
def test_a_name_of_a_dataset_is_taken_as_it_is(name: str) -> None:
    assert DatasetType().convert(name, None, None) == name


@pytest.mark.parametrize("name", ["", "Digits", "../../etc", "a b", "-a", "a" * 64, "ä", "a\n"])
def test_what_is_no_name_of_a_dataset_says_what_would_be(name: str) -> None:
    with pytest.raises(click.BadParameter, match="expected small letters"):
        DatasetType().convert(name, None, None)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "https://dicebox.example/", "http://[::1]:1"]
)
def test_an_address_of_a_server_is_taken_as_it_is(url: str) -> None:
    assert UrlType().convert(url, None, None) == url


@pytest.mark.parametrize(
    "url", ["", "localhost", "localhost:8000", "ftp://a", "http://", "http://[::1"]
)
def test_what_is_no_address_says_what_would_be(url: str) -> None:
    with pytest.raises(click.BadParameter, match="expected an address like http"):
        UrlType().convert(url, None, None)


@pytest.mark.parametrize(
    ("text", "names"),
    [(None, None), ("a,b", ["a", "b"]), (" a , b c ,, ", ["a", "b c"]), ("", [])],
)
def test_names_are_separated_by_commas(text: str | None, names: list[str] | None) -> None:
    assert split_names(text) == names


def test_what_is_not_given_keeps_the_default_of_a_run() -> None:
    request = given({"dataset": "digits", "seconds": 5.0, "workers": None, "shape": None})
    assert (request.dataset, request.seconds) == ("digits", 5.0)
    assert (request.workers, request.population) == (None, 16)


def test_a_value_that_no_run_takes_is_wrong_usage() -> None:
    with pytest.raises(click.UsageError, match=r"--seconds: .*, got nan"):
        given({"dataset": "digits", "seconds": float("nan")})

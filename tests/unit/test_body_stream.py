"""Bodies of a said or unsaid length, as a server that ends them gives them."""

import io

import pytest
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from commons.adapters.body_stream import BodyStream

MOST = 100_000


def read_in_parts(stream: BodyStream, size: int) -> int:
    return sum(iter(lambda: len(stream.read(size)), 0))


def body(length: int, said: int | None = None) -> BodyStream:
    return BodyStream(io.BytesIO(bytes(length)), MOST, said)


@pytest.mark.parametrize("length", [0, 1, MOST - 1, MOST])
def test_a_body_that_is_not_too_long_is_read_to_its_end(length: int) -> None:
    for said in (None, length):
        assert len(body(length, said).read()) == length
        assert read_in_parts(body(length, said), 777) == length


@pytest.mark.parametrize("length", [MOST + 1, 5 * MOST])
@pytest.mark.parametrize("size", [-1, 777, MOST, 10 * MOST])
def test_a_longer_one_is_refused_and_not_cut(length: int, size: int) -> None:
    stream = body(length)
    with pytest.raises(RequestEntityTooLarge):
        read_in_parts(stream, size)


@pytest.mark.parametrize("size", [-1, 777])
def test_one_that_ends_before_the_length_that_was_said_is_cut_off(size: int) -> None:
    stream = body(5_000, said=5_001)
    with pytest.raises(ClientDisconnected):
        read_in_parts(stream, size)

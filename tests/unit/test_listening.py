"""Where a process may listen: with keys anywhere, without them on this machine alone."""

import pytest

from commons.errors import InvalidInputError
from commons.listening import listening_address


def nobody() -> bool:
    raise AssertionError("nobody need be asked about keys")


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1")],
)
def test_on_this_machine_nobody_needs_a_key(host: str, address: str) -> None:
    assert listening_address(host, nobody, "") == address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "box.example", ""])
def test_elsewhere_there_must_be_keys(host: str) -> None:
    assert listening_address(host, lambda: True, "") == host
    with pytest.raises(InvalidInputError) as error:
        listening_address(host, lambda: False, "make one")
    assert str(error.value) == (
        f"expected a loopback address to listen on, got {host}: without keys Dicebox serves this "
        "machine only; make one"
    )

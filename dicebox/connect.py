"""Finds who answers for a command: a server, the house of a data folder, or the folder itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from commons.errors import ConflictError, NotFoundError
from dicebox.client import Client
from dicebox.data_folder import DataFolder
from dicebox.house import START_S, House


@dataclass(frozen=True)
class Place:
    """Where a command works: one data folder, or one server, and the key it shows there."""

    data: Path
    url: str | None = None
    key: str | None = field(default=None, repr=False)

    def existing(self) -> Self:
        """Return this place, for commands that make nothing.

        Raises:
            NotFoundError: There is no data folder.
        """
        if self.url is None and not DataFolder(self.data).exists():
            raise NotFoundError(
                f"no data folder at {self.data.absolute()}: --data ($DICEBOX_DATA) says where it "
                "is, and `dicebox import` makes one"
            )
        return self


@contextmanager
def connect(place: Place) -> Iterator[Client]:
    """Give a client of the server, of the running house, or of the folder opened here."""
    with _running(place) as client:
        if client is not None:
            yield client
            return
    from dicebox.front import create_front  # noqa: PLC0415 - half a second, not always needed

    transport = httpx.WSGITransport(app=create_front(place.data.absolute(), watch=False))
    with Client("http://localhost", transport=transport) as client:
        yield client


@contextmanager
def connect_to_workers(place: Place, port: int = 0, engine: str | None = None) -> Iterator[Client]:
    """Give a client where runs and batch orders are worked on, starting a house if there is none.

    A house that is started here listens on `port` (0: any), trains on `engine`, and ends with the
    block.

    Raises:
        ConflictError: An engine was named, and who answers here has one already.
    """
    with _running(place) as client:
        if client is not None:
            if engine is not None:
                raise ConflictError(
                    f"{client.url} was started with its engine: leave --engine out here, and give "
                    "it to `dicebox up`"
                )
            yield client
            return
    with (
        House(DataFolder(place.data), port=port, engine=engine) as house,
        Client(house.url, key=house.key) as client,
    ):
        yield client


@contextmanager
def _running(place: Place) -> Iterator[Client | None]:
    """Give a client of the server or of the house that runs already, if there is one.

    Raises:
        UnavailableError: A server was named, and there is none.
    """
    folder = DataFolder(place.data)
    url = place.url or folder.address(patience_s=START_S)
    if url is None:
        yield None
        return
    # Whoever can read the folder may do everything with it anyway.
    key = place.key or (None if place.url else folder.key())
    with Client(url, key=key) as client:
        if place.url is not None:
            client.check()
        yield client

"""A server by its address: wrong ones are told at once, in one sentence."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from commons.errors import UnavailableError
from dicebox import Client
from dicebox.connect import Place, connect, connect_to_workers
from dicebox.front import create_front

# Far below the patience with a service that starts again, far above a refusal's time.
AT_ONCE_S = 5.0


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(app) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[str]:
    yield from serve(create_front(tmp_path / "elsewhere", watch=False))


@pytest.fixture
def stranger() -> Iterator[str]:
    yield from serve(Flask("stranger"))


@pytest.mark.parametrize("connected", [connect, connect_to_workers])
def test_an_address_where_nothing_listens_is_told_at_once(
    tmp_path: Path, free_port: int, connected
) -> None:
    url = f"http://127.0.0.1:{free_port}"
    started = time.monotonic()
    with (
        pytest.raises(UnavailableError, match=f"nothing answers at {url} .*dicebox up"),
        connected(Place(tmp_path / "data", url)),
    ):
        pass
    assert time.monotonic() - started < AT_ONCE_S
    assert not (tmp_path / "data").exists()


def test_a_server_that_is_no_dicebox_is_told(tmp_path: Path, stranger: str) -> None:
    with (
        pytest.raises(UnavailableError, match="no Dicebox: it says 404"),
        connect(Place(tmp_path, stranger)),
    ):
        pass


def test_a_server_is_talked_to_and_the_folder_left_alone(tmp_path: Path, front: str) -> None:
    place = Place(tmp_path / "data", front + "/")
    for connected in (connect, connect_to_workers):
        with connected(place) as client:
            assert client.url == front
            assert client.sensory.datasets() == []
    assert not (tmp_path / "data").exists()


def test_without_a_server_the_folder_is_opened_here(tmp_path: Path) -> None:
    with connect(Place(tmp_path / "data")) as client:
        assert client.gallery.networks() == []
    assert (tmp_path / "data" / "classification.sqlite3").exists()


def test_the_client_is_the_first_thing_of_the_package(front: str) -> None:
    with Client(front) as client:
        client.check()
        assert client.evolution.runs() == []

"""All services and the page under one address; what comes from elsewhere is turned away."""

from collections.abc import Iterator

import httpx
import pytest

from commons.adapters.services import CLASSIFICATION, EVOLUTION, SENSORY
from dicebox.front import ByPath, create_front
from dicebox.page import CONTENT_POLICY


def saying(word: str):
    """Return a WSGI application that says a word and the path it was asked for."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{word} {environ['PATH_INFO']}".encode()]

    return app


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    app = create_front(tmp_path_factory.mktemp("front"), watch=False)
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://localhost:8000") as http:
        yield http


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/api/one/v1/things", "one /api/one/v1/things"),
        ("/api/one/v1/", "one /api/one/v1/"),
        ("/api/one/v1", "one /api/one/v1"),
        ("/api/one/v10/things", "page /api/one/v10/things"),
        ("/api/two/v1/x/api/one/v1/", "two /api/two/v1/x/api/one/v1/"),
        ("/", "page /"),
    ],
)
def test_a_request_goes_where_its_path_begins_and_keeps_it(path: str, answer: str) -> None:
    services = {"/api/one/v1": saying("one"), "/api/two/v1": saying("two")}
    transport = httpx.WSGITransport(app=ByPath(services, saying("page")))
    with httpx.Client(transport=transport, base_url="http://localhost") as http:
        assert http.get(path).text == answer


@pytest.mark.parametrize("prefix", [SENSORY, EVOLUTION, CLASSIFICATION])
def test_every_service_is_there_and_ready_and_documented(front: httpx.Client, prefix: str) -> None:
    assert front.get(f"{prefix}/healthz").json() == {"status": "alive"}
    assert front.get(f"{prefix}/readyz").json() == {"ready": True, "missing": {}}
    assert front.get(f"{prefix}/openapi.json").json()["paths"]


def test_the_page_and_its_files_come_hardened(front: httpx.Client) -> None:
    for path in ("/", "/style.css", "/js/main.js", "/favicon.svg"):
        reply = front.get(path)
        assert reply.status_code == 200, path
        assert reply.headers["Content-Security-Policy"] == CONTENT_POLICY
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Permissions-Policy"] == "camera=(self)"


def test_the_sample_comes_as_an_archive_and_not_as_packed_text(front: httpx.Client) -> None:
    reply = front.get("/samples/digits.tar.gz")
    assert reply.headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in reply.headers


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "/nothing.html",
        "/__init__.py",
        "/package.json",
    ],
)
def test_the_page_serves_nothing_but_its_own_files(front: httpx.Client, path: str) -> None:
    assert front.get(path).status_code == 404


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"],
)
def test_a_host_of_this_machine_may_ask(front: httpx.Client, host: str) -> None:
    assert front.get("/", headers={"Host": host}).status_code == 200
    assert front.get("/", headers={"Origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize("path", ["/", f"{SENSORY}/datasets"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "localhost.rebound.example:8000"},
        {"Host": "127.0.0.1.rebound.example"},
        {"Host": "rebound.example#127.0.0.1"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Origin": "https://other.example"},
        {"Origin": "https://localhost@other.example"},
        {"Origin": "null"},
        {"Host": "localhost", "Origin": "file://"},
    ],
)
def test_whoever_is_not_of_this_machine_is_turned_away(
    front: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    reply = front.get(path, headers=headers)
    assert (reply.status_code, reply.json()["type"]) == (403, "foreign-origin")
    assert reply.headers["Content-Type"] == "application/problem+json"

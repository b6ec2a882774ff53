"""The real nginx with our configuration, in front of stubs that say what reached them."""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from werkzeug.serving import make_server

from classification_service.app import Settings as ClassificationSettings
from sensory_service.app import Settings, create_app
from tests.builders import png_bytes
from tests.nginx_site import ROOT, SCRIPTS, SERVICES, Site, raw_status, started_nginx, started_site

pytestmark = pytest.mark.integration

ROUTES = {
    "/api/sensory/v1/datasets": "sensory_service",
    "/api/sensory/v1/healthz": "sensory_service",
    "/api/admin/v1/login": "sensory_service",
    "/api/admin/v1/keys": "sensory_service",
    "/api/admin/v1/openapi.json": "sensory_service",
    "/api/evolution/v1/runs/a%20b?after=1": "evolver",
    "/api/classification/v1/docs": "classification_service",
    "/api/classification/v1/healthz": "classification_service",
    "/api/evolution/v1/openapi.json": "evolver",
    "/api/sensory/v1/swagger/js/swagger-ui-bundle.js": "sensory_service",
    "/api/classification/v1/swagger/css/swagger-ui.css": "classification_service",
    "/v2": "classification_service",
    "/v2/health/ready": "classification_service",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with started_site(tmp_path_factory.mktemp("nginx")) as site:
        yield site


@pytest.fixture
def real(tmp_path: Path) -> Iterator[httpx.Client]:
    """Give a client of nginx in front of the real sensory service, with its admin API."""
    app = create_app(Settings(data=tmp_path / "data"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path / "nginx"
    folder.mkdir()
    places = dict.fromkeys(SERVICES, f"127.0.0.1:{server.server_port}")
    try:
        with started_nginx(folder, places) as site:
            yield site.http
    finally:
        server.shutdown()
        server.server_close()


def test_keys_and_the_cookie_of_the_page_work_through_nginx(real: httpx.Client) -> None:
    admin, own = "/api/admin/v1", {"Origin": str(real.base_url).rstrip("/")}
    made = real.post(f"{admin}/keys", json={"name": "me", "scopes": ["admin"]})
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    assert real.get("/api/sensory/v1/datasets").status_code == 401
    bearer = {"Authorization": f"Bearer {made.json()['key']}"}
    assert real.get(f"{admin}/whoami", headers=bearer).json()["name"] == "me"

    login = real.post(f"{admin}/login", json={"key": made.json()["key"]}, headers=own)
    assert login.status_code == 204
    cookie = login.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    # The client keeps the cookie from here on.
    assert real.get("/api/sensory/v1/datasets").status_code == 200
    upload = "/api/sensory/v1/datasets/pets/images?category=cat"
    assert real.post(upload, content=png_bytes(), headers=own).status_code == 201
    for foreign in ({"Origin": "https://other.example"}, {}):
        refused = real.post(upload, content=png_bytes(), headers=foreign)
        assert (refused.status_code, refused.json()["type"]) == (403, "foreign-origin")

    revoked = real.delete(f"{admin}/keys/{made.json()['id']}", headers=own)
    assert revoked.status_code == 200
    assert real.get("/api/sensory/v1/datasets").status_code == 401


def test_the_documentation_comes_with_its_files(real: httpx.Client) -> None:
    page = real.get("/api/sensory/v1/docs", follow_redirects=True)
    files = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', page.text)
    assert len(files) > 2
    assert {real.get(page.url.join(file)).status_code for file in files} == {200}


def test_a_client_beyond_this_machine_cannot_pass_for_one_of_it(real: httpx.Client) -> None:
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
        assert real.get("/api/sensory/v1/datasets", headers={header: "10.0.0.7"}).is_success
    foreign = real.get("/api/sensory/v1/datasets", headers={"Host": "rebound.example"})
    assert (foreign.status_code, foreign.json()["type"]) == (403, "foreign-origin")


def test_the_stack_finds_each_service_at_its_own_port() -> None:
    text = (SCRIPTS / "render").read_text(encoding="utf-8")
    places = re.findall(r"^setting \w+ (\w+):(\d+) ", text, re.MULTILINE)
    ports = {service: port for service, port in places if service in SERVICES}
    assert set(ports) == set(SERVICES)
    assert int(ports["sensory_service"]) == Settings().port
    assert int(ports["classification_service"]) == ClassificationSettings(data=ROOT).port


@pytest.mark.parametrize(("path", "service"), ROUTES.items())
def test_every_path_goes_to_its_service_unchanged(site, path, service):
    reply = site.http.get(path).json()
    assert (reply["service"], reply["path"]) == (service, path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/sensory/v1/readyz",
        "/api/evolution/v1/metrics",
        "/api/classification/v1/readyz/",
        "/api/classification/v1//readyz",
        "/api/classification/v1/./%72eadyz",
        "/v2/metrics",
        "/api/sensory/v1/../../sensory/v1/metrics?x=1",
    ],
)
def test_readiness_and_metrics_stay_behind_the_door(site, path):
    assert raw_status(site, path) == 404


def test_the_services_learn_who_asks_and_nobody_can_pretend(site):
    lie = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "gopher", "X-Request-Id": "mine"}
    headers = site.http.get("/api/sensory/v1/datasets", headers=lie).json()["headers"]
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Request-Id"] != "mine"
    assert headers["Host"] == f"127.0.0.1:{site.port}"


def test_a_services_own_error_goes_through_untouched(site):
    reply = site.http.put("/api/classification/v1/conflict")
    assert reply.status_code == 409
    assert reply.json()["service"] == "classification_service"


def test_the_page_and_its_files_come_with_their_types_and_a_strict_policy(site):
    for path, kind in {
        "/": "text/html",
        "/index.html": "text/html",
        "/style.css": "text/css",
        "/js/main.js": "text/javascript",
        "/favicon.svg": "image/svg+xml",
        "/samples/digits.tar.gz": "application/gzip",
    }.items():
        reply = site.http.get(path)
        assert reply.status_code == 200, path
        assert reply.headers["Content-Type"].startswith(kind)
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert reply.headers["Cache-Control"] == "no-cache"


def test_the_policy_is_the_one_of_the_embedded_front(site):
    from dicebox.page import CONTENT_POLICY  # noqa: PLC0415 - the front may be under construction

    assert site.http.get("/").headers["Content-Security-Policy"] == CONTENT_POLICY


def test_every_answer_has_the_security_headers_once_and_no_version(site):
    for path in ("/", "/nothing", "/api/nothing", "/api/sensory/v1/datasets"):
        headers = site.http.get(path).headers
        assert headers.get_list("X-Content-Type-Options") == ["nosniff"], path
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Server"] == "nginx"
        assert "Strict-Transport-Security" not in headers
    assert "Content-Security-Policy" not in site.http.get("/api/sensory/v1/swagger").headers


@pytest.mark.parametrize(
    "path",
    [
        "/js../nginx.conf",
        "/../nginx/nginx.conf",
        "/%2e%2e/nginx/nginx.conf",
        "/..%2fpyproject.toml",
        "/js/..%2f..%2fREADME.md",
        "/__init__.py",
        "/js/",
        "/js",
        "/.git/config",
        "/index.html/",
        "/api/",
        "/api/unknown/v1/x",
        "/api/training/v1/jobs",
        "/load/",
    ],
)
def test_what_is_not_part_of_the_page_is_not_served(site, path):
    assert raw_status(site, path) in (400, 404)


def test_what_is_missing_is_a_problem(site):
    reply = site.http.get("/api/unknown/v1/x")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json()["type"] == "not-found"


def test_a_body_within_the_limit_arrives_and_a_longer_one_is_refused(site):
    path = "/api/classification/v1/classify"
    assert site.http.post(path, content=bytes(1024 * 1024)).json()["bytes"] == 1024 * 1024
    connection = http.client.HTTPConnection("127.0.0.1", site.port)
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", str(65 * 1024 * 1024))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert json.load(response)["type"] == "too-large"
    connection.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/sensory/v1/datasets/pets/imports"),
        ("PUT", f"/api/classification/v1/network-files/{'0' * 64}.onnx"),
    ],
)
def test_an_archive_or_a_network_longer_than_the_limit_of_an_image_goes_through(site, method, path):
    reply = site.http.request(method, path, content=b"x" * (65 * 1024 * 1024))
    assert reply.status_code == 200


def test_nginx_itself_says_that_it_lives(site):
    assert site.http.get("/healthz").text == "alive\n"


def test_how_busy_it_is_nginx_tells_whoever_is_inside(site):
    assert "Active connections" in site.http.get("/nginx_status").text
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.9")
    with httpx.Client(base_url=site.url, transport=elsewhere) as client:
        assert client.get("/nginx_status").status_code == 404
        assert client.get("/healthz").status_code == 200


# Last: the stub does not come back.
def test_a_service_that_is_away_is_a_problem_that_says_try_again(site):
    site.stubs["evolver"].close()
    reply = site.http.get("/api/evolution/v1/runs")
    assert reply.status_code == 503
    assert reply.headers["Retry-After"] == "1"
    assert reply.json()["type"] == "unavailable"
    assert reply.headers["X-Frame-Options"] == "DENY"
    assert site.http.get("/api/sensory/v1/datasets").status_code == 200

"""The OpenAPI documents: valid, complete, and true to what the services answer."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import classification_service.app
import evolver.app
import sensory_service.app
from commons.adapters.openapi_document import DOCUMENTATION
from dicebox.front import create_front

SERVICES = ("sensory", "admin", "evolution", "classification")
PUBLIC = {"healthz", "readyz", "login", "logout", "introspect"}
WITHOUT_BODY = {"stop", "resume", "logout", "close", "cancel", "rollback"}
PUBLIC_OF_V2 = {"/v2", "/v2/health/live", "/v2/health/ready"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    front = create_front(tmp_path_factory.mktemp("house"), watch=False)
    transport = httpx.WSGITransport(front)
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client


def document(http: httpx.Client, service: str) -> dict[str, Any]:
    return dict(http.get(f"/api/{service}/v1/openapi.json").raise_for_status().json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


@pytest.mark.parametrize("service", SERVICES)
def test_the_document_is_valid_openapi_3_1(http: httpx.Client, service: str) -> None:
    found = document(http, service)
    assert found["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(found).iter_errors()) == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_says_what_it_needs_and_how_it_fails(
    http: httpx.Client, service: str
) -> None:
    found = document(http, service)
    assert set(found["components"]["securitySchemes"]) == {"key", "cookie"}
    identifiers = [operation["operationId"] for _, _, operation in operations(found)]
    assert len(set(identifiers)) == len(identifiers)
    for method, path, operation in operations(found):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert any(status.startswith("2") for status in operation["responses"]), where
        assert "application/problem+json" in operation["responses"]["default"]["content"], where
        is_public = operation["security"] == [{}]
        assert is_public == (path.rsplit("/", 1)[1] in PUBLIC or path in PUBLIC_OF_V2), where
        assert is_public == ("401" not in operation["responses"]), where
        if method in ("post", "put") and path.rsplit("/", 1)[1] not in WITHOUT_BODY:
            assert operation["requestBody"]["content"], where


# What Postman's own converter complains about: it reads the address to call from `servers` and
# knows no `prefixItems` without `items` beside it.
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"Host": "127.0.0.1:8000"}, "http://127.0.0.1:8000"),
        ({"Host": "localhost", "X-Forwarded-Proto": "https"}, "https://localhost"),
        ({"Host": "[::1]:8000", "X-Forwarded-Proto": "gopher"}, "http://[::1]:8000"),
    ],
)
def test_what_postman_makes_of_the_document_calls_the_address_it_came_from(
    http: httpx.Client, service: str, headers: dict[str, str], address: str
) -> None:
    reply = http.get(f"/api/{service}/v1/openapi.json", headers=headers)
    assert reply.json()["servers"] == [{"url": address}]


def test_postman_can_make_an_example_of_every_tuple(http: httpx.Client) -> None:
    found = [tuple_ for service in SERVICES for tuple_ in tuples(document(http, service))]
    assert len(found) >= len(SERVICES)
    for tuple_ in found:
        assert tuple_["minItems"] == tuple_["maxItems"] == len(tuple_["prefixItems"]), tuple_
        kinds = tuple_["items"].get("anyOf", [tuple_["items"]])
        assert all(kind in kinds for kind in tuple_["prefixItems"]), tuple_
        assert all(kind in tuple_["prefixItems"] for kind in kinds), tuple_


def tuples(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict) and "prefixItems" in node:
        yield node
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from tuples(child)


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_is_in_the_document(http: httpx.Client, service: str, tmp_path: Path) -> None:
    paths = set(document(http, service)["paths"])
    assert f"/api/{service}/v1/healthz" in paths
    for path in paths:
        is_of_v2 = service == "classification" and f"{path}/".startswith("/v2/")
        assert is_of_v2 or path.startswith(f"/api/{service}/v1/")


@pytest.mark.parametrize("service", [sensory_service.app, classification_service.app, evolver.app])
def test_the_document_leaves_out_nothing_that_is_served(service: Any, tmp_path: Path) -> None:
    app = service.create_app(service.Settings(data=tmp_path))
    served = {
        (method, re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint.partition(".")[0] not in {*DOCUMENTATION, "docs"}
    }
    written = {(method.upper(), path) for method, path, _ in operations(app.api_doc)}
    assert served == written


@pytest.mark.parametrize("service", SERVICES)
def test_the_documentation_runs_nothing_but_its_own(http: httpx.Client, service: str) -> None:
    page = http.get(f"/api/{service}/v1/docs", follow_redirects=True)
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert inline
    for script in inline:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert "//" not in address
        assert http.get(str(page.url.join(address))).status_code == 200

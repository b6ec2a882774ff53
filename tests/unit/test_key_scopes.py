"""Which scopes every route of every service asks for: written down here, and enforced there."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

import classification_service.app
import evolver.app
import sensory_service.app
from commons.adapters.web_app import scopes_of
from commons.auth import SCOPES, generate_key, stored_key
from dicebox.front import create_front

SERVICES = ("sensory", "admin", "evolution", "classification")
# `-` is for everybody, `any` for any key; else one of the scopes, or admin, will do. `known` are
# those of whoever has to do with networks.
KNOWN = ("classify", "publish", "evolve", "train", "sensory:read")
TABLE = """
GET    /api/sensory/v1/check/{prefix}                                 admin
GET    /api/sensory/v1/datasets                                       sensory:read train
GET    /api/sensory/v1/datasets/{dataset}                             sensory:read train
GET    /api/sensory/v1/datasets/{dataset}/balance                     sensory:read train
POST   /api/sensory/v1/datasets/{dataset}/categories                  label sensory:write
POST   /api/sensory/v1/datasets/{dataset}/categories/{category}/merge label sensory:write
PUT    /api/sensory/v1/datasets/{dataset}/categories/{category}/name  label sensory:write
GET    /api/sensory/v1/datasets/{dataset}/groups                      sensory:read train
GET    /api/sensory/v1/datasets/{dataset}/images                      sensory:read train
POST   /api/sensory/v1/datasets/{dataset}/images                      sensory:write
POST   /api/sensory/v1/datasets/{dataset}/images/lookup               sensory:write
DELETE /api/sensory/v1/datasets/{dataset}/images/{sha256}             sensory:write
GET    /api/sensory/v1/datasets/{dataset}/images/{sha256}/history     sensory:read train
PUT    /api/sensory/v1/datasets/{dataset}/images/{sha256}/label       label sensory:write
POST   /api/sensory/v1/datasets/{dataset}/imports                     sensory:write
POST   /api/sensory/v1/datasets/{dataset}/labels                      label sensory:write
PUT    /api/sensory/v1/datasets/{dataset}/opinions                    sensory:write
GET    /api/sensory/v1/datasets/{dataset}/opinions/wanted             sensory:read train
POST   /api/sensory/v1/datasets/{dataset}/queue                       label sensory:write
POST   /api/sensory/v1/datasets/{dataset}/queue/release               label sensory:write
POST   /api/sensory/v1/datasets/{dataset}/queue/skip                  label sensory:write
GET    /api/sensory/v1/datasets/{dataset}/snapshots                   sensory:read train
POST   /api/sensory/v1/datasets/{dataset}/snapshots                   train evolve sensory:write
GET    /api/sensory/v1/healthz                                        -
GET    /api/sensory/v1/images/{sha256}                                sensory:read train
DELETE /api/sensory/v1/images/{sha256}                                admin
GET    /api/sensory/v1/images/{sha256}/thumbnail                      sensory:read train
GET    /api/sensory/v1/metrics                                        any
POST   /api/sensory/v1/orders                                         train
DELETE /api/sensory/v1/orders/{order}                                 train
GET    /api/sensory/v1/orders/{order}                                 sensory:read train
GET    /api/sensory/v1/orders/{order}/shards/next                     sensory:read train
GET    /api/sensory/v1/readyz                                         -
GET    /api/sensory/v1/shards/{sha256}                                sensory:read train
GET    /api/sensory/v1/snapshots/{before}/diff/{after}                sensory:read train
GET    /api/sensory/v1/snapshots/{snapshot}                           sensory:read train
GET    /api/sensory/v1/snapshots/{snapshot}/batch                     sensory:read train
GET    /api/sensory/v1/snapshots/{snapshot}/export                    sensory:read train
GET    /api/sensory/v1/snapshots/{snapshot}/images                    sensory:read train
GET    /api/sensory/v1/snapshots/{snapshot}/state                     sensory:read train
GET    /api/admin/v1/health                                           admin
GET    /api/admin/v1/healthz                                          -
POST   /api/admin/v1/introspect                                       -
GET    /api/admin/v1/keys                                             admin
POST   /api/admin/v1/keys                                             admin
DELETE /api/admin/v1/keys/{key}                                       admin
POST   /api/admin/v1/login                                            -
POST   /api/admin/v1/logout                                           -
GET    /api/admin/v1/metrics                                          any
GET    /api/admin/v1/readyz                                           -
GET    /api/admin/v1/storage                                          admin
GET    /api/admin/v1/whoami                                           any
GET    /api/evolution/v1/healthz                                      -
GET    /api/evolution/v1/metrics                                      any
GET    /api/evolution/v1/readyz                                       -
GET    /api/evolution/v1/runs                                         evolve
POST   /api/evolution/v1/runs                                         evolve
GET    /api/evolution/v1/runs/{run}                                   evolve
GET    /api/evolution/v1/runs/{run}/champion                          evolve
GET    /api/evolution/v1/runs/{run}/events                            evolve
GET    /api/evolution/v1/runs/{run}/front                             evolve
GET    /api/evolution/v1/runs/{run}/individuals                       evolve
GET    /api/evolution/v1/runs/{run}/individuals/{number}/lineage      evolve
DELETE /api/evolution/v1/runs/{run}/files                             evolve
POST   /api/evolution/v1/runs/{run}/resume                            evolve
POST   /api/evolution/v1/runs/{run}/stop                              evolve
GET    /api/evolution/v1/workers                                      evolve
GET    /api/classification/v1/champions                               known
GET    /api/classification/v1/champions/{dataset}                     known
PUT    /api/classification/v1/champions/{dataset}                     publish
GET    /api/classification/v1/champions/{dataset}/history             known
POST   /api/classification/v1/champions/{dataset}/rollback            publish
DELETE /api/classification/v1/champions/{dataset}/trials              publish
GET    /api/classification/v1/champions/{dataset}/trials              known
POST   /api/classification/v1/champions/{dataset}/trials              publish
DELETE /api/classification/v1/classifications                         admin
GET    /api/classification/v1/classifications                         classify sensory:read
DELETE /api/classification/v1/classifications/{classification}        sensory:write
GET    /api/classification/v1/classifications/{classification}        classify sensory:read
POST   /api/classification/v1/classifications/{classification}/correction label
GET    /api/classification/v1/classifications/{classification}/image  classify sensory:read
GET    /api/classification/v1/classifications/{classification}/thumbnail classify sensory:read
POST   /api/classification/v1/classify                                classify
GET    /api/classification/v1/healthz                                 -
DELETE /api/classification/v1/jobs                                    admin
GET    /api/classification/v1/jobs                                    classify
POST   /api/classification/v1/jobs                                    classify
DELETE /api/classification/v1/jobs/{job}                              classify
GET    /api/classification/v1/jobs/{job}                              classify
POST   /api/classification/v1/jobs/{job}/cancel                       classify
POST   /api/classification/v1/jobs/{job}/close                        classify
POST   /api/classification/v1/jobs/{job}/images                       classify
GET    /api/classification/v1/jobs/{job}/results                      classify
GET    /api/classification/v1/jobs/{job}/results.csv                  classify
GET    /api/classification/v1/metrics                                 any
GET    /api/classification/v1/network-files/{name}                    known
PUT    /api/classification/v1/network-files/{name}                    publish
GET    /api/classification/v1/networks                                known
POST   /api/classification/v1/networks                                publish
GET    /api/classification/v1/networks/{network}                      known
GET    /api/classification/v1/networks/{network}/{kind}               known
GET    /api/classification/v1/networks/{network}/examination          known
DELETE /api/classification/v1/networks/{network}/name                 publish
PUT    /api/classification/v1/networks/{network}/name                 publish
GET    /api/classification/v1/readyz                                  -
GET    /v2                                                            -
GET    /v2/health/live                                                -
GET    /v2/health/ready                                               -
GET    /v2/models/{model}                                             known
POST   /v2/models/{model}/infer                                       classify
GET    /v2/models/{model}/ready                                       known
GET    /v2/models/{model}/versions/{version}                          known
POST   /v2/models/{model}/versions/{version}/infer                    classify
GET    /v2/models/{model}/versions/{version}/ready                    known
"""


def table() -> dict[tuple[str, str], set[str]]:
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return {
        (method, path): set(KNOWN if scopes == ["known"] else scopes)
        for method, path, *scopes in rows
    }


def key_of(scope: str) -> str:
    return generate_key(lambda size: hashlib.sha256(scope.encode()).digest()[:size])


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Give a client of all services, which ask everybody for a key, and know one a scope."""
    given = tuple(stored_key(key_of(scope), scope, (scope,), 0.0) for scope in SCOPES)
    data = tmp_path_factory.mktemp("house")
    settings = sensory_service.app.Settings(data=data, keys="required", given_keys=given)
    transport = httpx.WSGITransport(create_front(data, watch=False, settings=settings))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def documents(http: httpx.Client) -> dict[str, Any]:
    return {name: http.get(f"/api/{name}/v1/openapi.json").json() for name in SERVICES}


def operations(documents: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for document in documents.values():
        for path, item in document["paths"].items():
            for method, operation in item.items():
                yield method.upper(), path, operation


def test_every_route_says_what_stands_in_the_table(documents: dict[str, Any]) -> None:
    said: dict[tuple[str, str], set[str]] = {}
    for method, path, operation in operations(documents):
        scopes = scopes_of(operation["security"])
        said[method, path] = {"-"} if scopes is None else set(scopes) or {"any"}
    assert said == table()


def was_let_in(reply: httpx.Response) -> bool:
    if reply.status_code == 401:
        return False
    return not (reply.status_code == 403 and reply.json()["type"] == "missing-scope")


@pytest.mark.parametrize(("method", "path"), sorted(table()))
def test_a_route_lets_in_whom_the_table_says_and_nobody_else(
    http: httpx.Client, method: str, path: str
) -> None:
    scopes = table()[method, path]
    address = re.sub(r"\{(\w+)\}", lambda name: "pets" if name[1] == "dataset" else "0" * 64, path)
    assert was_let_in(http.request(method, address)) == (scopes == {"-"})
    for scope in SCOPES:
        headers = {"Authorization": f"Bearer {key_of(scope)}"}
        expected = scope == "admin" or scope in scopes or bool(scopes & {"-", "any"})
        reply = http.request(method, address, headers=headers)
        assert was_let_in(reply) == expected, f"{scope}: {reply.status_code} {reply.text[:200]}"
        assert reply.status_code < 500


@pytest.mark.parametrize("service", SERVICES)
def test_a_key_nobody_made_is_let_in_nowhere(http: httpx.Client, service: str) -> None:
    headers = {"Authorization": f"Bearer {key_of('?')}"}
    reply = http.get(f"/api/{service}/v1/metrics", headers=headers)
    assert (reply.status_code, reply.json()["type"]) == (401, "invalid-key")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "headers", [{"Host": "rebound.example"}, {"Origin": "https://other.example"}]
)
def test_without_keys_every_service_refuses_names_and_pages_of_others(
    tmp_path_factory: pytest.TempPathFactory, service: str, headers: dict[str, str]
) -> None:
    settings = sensory_service.app.Settings(data=tmp_path_factory.mktemp("keyless"))
    front = create_front(settings.data, watch=False, settings=settings)
    with httpx.Client(transport=httpx.WSGITransport(front), base_url="http://localhost") as client:
        assert client.get(f"/api/{service}/v1/metrics").status_code == 200
        reply = client.get(f"/api/{service}/v1/metrics", headers=headers)
    assert (reply.status_code, reply.json()["type"]) == (403, "foreign-origin")


@pytest.mark.parametrize(
    "settings",
    [
        sensory_service.app.Settings,
        evolver.app.Settings,
        classification_service.app.Settings,
    ],
)
def test_nothing_secret_has_a_default(settings: type[BaseModel]) -> None:
    secret = {
        name: field
        for name, field in settings.model_fields.items()
        if ("key" in name and name != "keys")
        or name in ("database_url", "broker_url")
        or "SecretStr" in str(field.annotation)
    }
    assert secret
    for name, field in secret.items():
        assert field.default in (None, ()), name
        assert not isinstance(field.default, SecretStr)


def test_every_scope_opens_something_and_no_route_asks_for_another() -> None:
    asked: set[str] = set().union(*table().values()) - {"-", "any"}
    assert asked == set(SCOPES)

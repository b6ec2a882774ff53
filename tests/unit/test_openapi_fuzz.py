"""Schemathesis sends what the OpenAPI documents allow, and what they do not: no 5xx."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

import classification_service.app
from classification_service.app import Settings, create_job_worker
from commons.adapters.file_blobs import FileBlobs
from dicebox.client import Client
from dicebox.front import create_front
from tests.builders import png_bytes
from tests.onnx_builders import network_card

SERVICES = ("sensory", "admin", "evolution", "classification")
EXAMPLES = 3
CAMPAIGN_EXAMPLES = 100 if os.environ.get("DICEBOX_CAMPAIGN") == "full" else 10


@pytest.mark.parametrize("service", SERVICES)
def test_no_request_makes_a_service_fail(
    tmp_path: Path, service: str, tell: Callable[[str], None]
) -> None:
    check(tmp_path, service, EXAMPLES, tell)


@pytest.mark.campaign
@pytest.mark.parametrize("service", SERVICES)
def test_no_request_of_many_makes_a_service_fail(
    tmp_path: Path, service: str, tell: Callable[[str], None]
) -> None:
    check(tmp_path, service, CAMPAIGN_EXAMPLES, tell)


def check(folder: Path, service: str, examples: int, tell: Callable[[str], None]) -> None:
    statuses = fuzz(folder, service, examples)
    kinds = Counter(status // 100 for status in statuses)
    tell(f"{len(statuses)} requests, {kinds[2]} answered 2xx, {kinds[4]} 4xx, {kinds[5]} 5xx")
    assert kinds[2] > 0


def fuzz(folder: Path, service: str, examples: int) -> list[int]:
    """Call every operation of a document; return the statuses of the answers."""
    settings = classification_service.app.Settings(data=folder, record_share=1.0)
    app = create_front(folder, watch=False, serving=settings)
    known = store_something(app) | publish_something(folder, app)
    schema = schemathesis.openapi.from_wsgi(f"/api/{service}/v1/openapi.json", app)
    failed: list[str] = []
    statuses: list[int] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in GenerationMode:
            try:
                cases = operation.as_strategy(generation_mode=mode)
                statuses += call_many(cases, known, examples)
            except Unsatisfiable:
                # What takes no input at all cannot be asked wrongly.
                assert mode is GenerationMode.NEGATIVE, operation.label
            except Exception as error:  # noqa: BLE001, RUF100 - all of them are told at once
                failed.append(f"{operation.label}: {error}")
    assert not failed, "\n".join(failed)
    return statuses


def store_something(app: Callable[..., object]) -> dict[str, str]:
    """Store an image and freeze it; return path parameters that lead to something."""
    base = "http://localhost/api/sensory/v1"
    with httpx.Client(transport=httpx.WSGITransport(app)) as http:
        for seed in range(8):
            path = f"{base}/datasets/pets/images?category={'ab'[seed % 2]}"
            image = http.post(path, content=png_bytes(seed=seed)).json()
        frozen = http.post(f"{base}/datasets/pets/snapshots", json={}).json()
    return {
        "dataset": "pets",
        "sha256": image["image"],
        "category": image["category"]["id"],
        "snapshot": frozen["id"],
    }


def publish_something(folder: Path, app: Callable[..., object]) -> dict[str, str]:
    """Make a network the champion and ask it; return path parameters that lead to something."""
    card = network_card(FileBlobs(folder / "blobs"), dataset="pets")
    with Client("http://localhost", transport=httpx.WSGITransport(app)) as client:
        network = client.gallery.register(card)
        client.gallery.promote("pets", network)
        said = client.gallery.classify(png_bytes())
        assert said.id is not None
        client.history.get(said.id)
        job = client.jobs.make().id
        client.jobs.add(job, [("a.png", png_bytes()), ("bad", b"no image")])
        assert create_job_worker(Settings(data=folder)).step()
    return {
        "network": network,
        "model": "pets",
        "name": f"{card.onnx.sha256}.onnx",
        "kind": "onnx",
        "classification": said.id,
        "job": job,
    }


def call_many(
    cases: strategies.SearchStrategy[schemathesis.Case], known: dict[str, str], examples: int
) -> list[int]:
    statuses: list[int] = []

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=cases, lead=strategies.booleans())
    def call(case: schemathesis.Case, lead: bool) -> None:
        for name in known if lead else ():
            if name in case.path_parameters:
                case.path_parameters[name] = known[name]
        response = case.call()
        statuses.append(response.status_code)
        case.validate_response(response, checks=[not_a_server_error])

    run: Callable[[], None] = call
    run()
    return statuses

"""More is asked than can be answered: what can be is, and the rest is told when to come again."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from commons.adapters.decode import DECODER
from commons.network_card import Preprocessing
from tests.onnx_builders import costly
from tests.serving_processes import Serving, picture, promote, serving

pytestmark = pytest.mark.e2e
_CLIENTS = 24


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Serving]:
    data: Path = tmp_path_factory.mktemp("overload")
    shape = (64, 64, 1)
    promote(
        data,
        costly(shape),
        preprocessing=Preprocessing(shape=shape, resize="fit", decoder=DECODER),
    )
    with serving(data, most_waiting=4, cached_answers=0) as started:
        yield started


def test_what_is_too_much_is_refused_at_once_and_the_rest_is_answered(service):
    body = picture()
    over = threading.Event()
    refusals: list[httpx.Response] = []

    def ask() -> Counter[int]:
        seen: Counter[int] = Counter()
        with httpx.Client() as client:
            while not over.is_set():
                reply = client.post(f"{service.url}/classify", content=body)
                seen[reply.status_code] += 1
                if reply.status_code == 503:
                    refusals.append(reply)
        return seen

    with ThreadPoolExecutor(_CLIENTS) as pool:
        asking = [pool.submit(ask) for _ in range(_CLIENTS)]
        with httpx.Client() as watcher:
            for _ in range(20):
                assert watcher.get(f"{service.url}/healthz").is_success
        over.wait(2.0)
        over.set()
        seen = sum((one.result(30) for one in asking), Counter())
    assert set(seen) == {200, 503}
    assert seen[200] > 20
    for reply in refusals:
        assert reply.json()["type"] == "overloaded"
        assert int(reply.headers["Retry-After"]) >= 1
    # Nothing of it is left.
    for _ in range(5):
        assert httpx.post(f"{service.url}/classify", content=body).status_code == 200


def test_what_comes_too_late_for_its_client_is_not_begun(service):
    body = picture()
    headers = {"X-Request-Timeout-Ms": "0.01"}
    reply = httpx.post(f"{service.url}/classify", content=body, headers=headers)
    assert reply.status_code == 504
    assert reply.json()["type"] == "deadline-passed"
    headers = {"X-Request-Timeout-Ms": "20000"}
    assert httpx.post(f"{service.url}/classify", content=body, headers=headers).is_success

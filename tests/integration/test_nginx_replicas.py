"""What becomes of requests while replicas come, go and die behind the real nginx."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from load_generator.adapters.sender import Sender
from load_generator.outcomes import Outcomes
from load_generator.schedule import Step, due_times
from load_generator.target import target_of
from tests.dicebox_processes import until
from tests.nginx_site import SERVICES, Echo, NameServer, Site, Stub, started_nginx

pytestmark = pytest.mark.integration

PATH = "/api/classification/v1/classify"
RATE = 200


class Mortal(Echo):
    """Reads a request and dies, as often as it was told to."""

    deaths: list[str]

    def serve(self) -> None:
        if not self.deaths:
            return super().serve()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((time.monotonic(), self.command, self.path))
        self.deaths.pop()
        self.close_connection = True
        return None


class House:
    """Two replicas of the classification service under one name, which says who is there."""

    def __init__(self, site: Site, names: NameServer, replicas: dict[str, Stub]) -> None:
        self.site = site
        self.replicas = replicas
        self._names = names

    def call_by_name(self, *addresses: str) -> None:
        self._names.names["replicas"] = addresses

    @property
    def asked(self) -> list[tuple[float, str, str]]:
        return [each for stub in self.replicas.values() for each in stub.asked]


@contextmanager
def started_house(folder: Path, deaths: list[str]) -> Iterator[House]:
    names = NameServer()
    handler = type("Told", (Mortal,), {"deaths": deaths})
    with ExitStack() as stack:
        stack.callback(names.close)
        first = Stub("first", ("127.0.0.2", 0), handler)
        replicas = {"127.0.0.2": first}
        replicas["127.0.0.3"] = Stub("second", ("127.0.0.3", first.server_port), handler)
        for stub in replicas.values():
            stack.callback(stub.close)
        names.names["replicas"] = tuple(replicas)
        places = dict.fromkeys(SERVICES, f"replicas:{first.server_port}")
        yield House(
            stack.enter_context(started_nginx(folder, places, resolver=names.address)),
            names,
            replicas,
        )


@pytest.fixture
def deaths() -> list[str]:
    """Give how many requests are still to be read and not answered."""
    return []


@pytest.fixture
def house(tmp_path: Path, deaths: list[str]) -> Iterator[House]:
    with started_house(tmp_path / "nginx", deaths) as house:
        yield house


@contextmanager
def load(site: Site, seconds: float, **headers: str) -> Iterator[Future[Outcomes]]:
    """Send 200 requests a second while a block runs; what became of them is there afterwards."""
    target = target_of(site.url, [b"x" * 2000], path=PATH, headers=headers)
    due = due_times(np.random.default_rng(0), [Step(RATE, seconds)], "poisson")
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(Sender(target).run, due)


def failures(outcomes: Outcomes) -> int:
    return int(len(outcomes.status) - outcomes.is_good.sum())


def test_all_replicas_of_a_name_are_asked(house):
    for _ in range(40):
        assert house.site.http.get(PATH).status_code == 200
    assert all(stub.asked for stub in house.replicas.values())


def test_a_replica_that_left_its_name_two_seconds_before_its_end_loses_nothing(house):
    leaving, staying = house.replicas.values()
    with load(house.site, 4.0) as sent:
        until(lambda: leaving.asked)
        house.call_by_name("127.0.0.3")
        left = time.monotonic()
        time.sleep(2.0)
        leaving.close()
        outcomes = sent.result(30.0)
    assert failures(outcomes) == 0
    # The name server allowed ten minutes.
    assert max(at for at, _, _ in leaving.asked) - left < 2.0
    assert staying.asked


def test_a_replica_that_joins_a_name_is_found_without_a_reload(house):
    house.call_by_name("127.0.0.2")
    until(lambda: _asks_only(house, "127.0.0.2"))
    house.call_by_name("127.0.0.3")
    until(lambda: _asks_only(house, "127.0.0.3"), timeout_s=3.0)


def _asks_only(house: House, address: str) -> bool:
    answers = {house.site.http.get(PATH).json()["service"] for _ in range(5)}
    return answers == {house.replicas[address].service}


def test_what_a_replica_read_before_it_died_is_sent_again_only_if_that_does_nothing(house, deaths):
    deaths.append("the first one asked")
    refused = house.site.http.post(PATH, content=b"picture")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert [method for _, method, _ in house.asked] == ["POST"]

    deaths.append("the first one asked")
    assert house.site.http.get(PATH).status_code == 200
    assert [method for _, method, _ in house.asked].count("GET") == 2


def test_an_archive_that_was_read_is_never_sent_again(house, deaths):
    deaths.append("the first one asked")
    path = f"/api/classification/v1/network-files/{'0' * 64}.onnx"
    assert house.site.http.put(path, content=b"network").status_code == 503
    assert len(house.asked) == 1


def test_a_replica_that_is_gone_but_still_named_costs_nobody_a_request(house):
    house.replicas["127.0.0.2"].close()
    for _ in range(40):
        assert house.site.http.post(PATH, content=b"picture").status_code == 200
    assert len(house.asked) == 40


def test_an_address_that_answers_nothing_costs_a_second(house):
    gone = house.replicas["127.0.0.2"]
    gone.close()
    with ExitStack() as stack, socket.socket() as silent:
        # Whoever fills the queue of a listener lets it take no more notice of others.
        silent.bind(("127.0.0.2", gone.server_port))
        silent.listen(0)
        for _ in range(3):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(("127.0.0.2", gone.server_port))
        began = time.monotonic()
        for _ in range(4):
            assert house.site.http.post(PATH, content=b"picture").status_code == 200
        assert time.monotonic() - began < 4 * 1.5


def test_a_service_that_nobody_is_called_by_is_away_and_comes_back(house):
    house.call_by_name()
    until(lambda: house.site.http.get(PATH).status_code == 503, timeout_s=5.0)
    assert house.site.http.get(PATH).json()["type"] == "unavailable"
    assert house.site.http.get("/healthz").status_code == 200
    house.call_by_name("127.0.0.3")
    until(lambda: house.site.http.get(PATH).status_code == 200, timeout_s=5.0)


@pytest.mark.parametrize(("connection", "most"), [("close", 0), ("keep-alive", 1)])
def test_a_reload_under_load_loses_nothing(
    house: House, tell: Callable[[str], None], connection: str, most: int
) -> None:
    with load(house.site, 2.0, connection=connection) as sent:
        until(lambda: house.asked)
        reloaded = house.site.run("reload")
        outcomes = sent.result(30.0)
    assert reloaded.returncode == 0, reloaded.stderr
    failed = failures(outcomes)
    tell(f"{connection}: {failed} of {len(outcomes.status)} requests failed over a reload")
    # A kept-alive connection may be closed in the very moment in which a request is sent on it.
    assert failed <= most


def test_a_reload_that_nginx_does_not_take_changes_nothing(house, tmp_path):
    before = {file.name: file.read_bytes() for file in (tmp_path / "nginx").glob("*.conf")}
    templates = tmp_path / "templates"
    templates.mkdir()
    for name in ("nginx", "rates", "site"):
        (templates / f"{name}.conf").write_bytes(before[f"{name}.conf"] + b"nonsense;\n")
    refused = house.site.run("reload", TEMPLATES=str(templates))
    assert refused.returncode == 1
    assert "nonsense" in refused.stderr
    wrong = house.site.run("reload", KEY_RATE="many")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    after = {file.name: file.read_bytes() for file in (tmp_path / "nginx").glob("*.conf")}
    assert after == before
    assert house.site.http.get(PATH).status_code == 200


def test_who_watches_goes_on_watching_over_a_reload(house):
    """A request that is under way is finished by the old workers."""
    entered, gate = threading.Event(), threading.Event()

    class Waiting(Echo):
        def serve(self) -> None:
            entered.set()
            gate.wait(10.0)
            super().serve()

    for stub in house.replicas.values():
        stub.RequestHandlerClass = Waiting
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.get, f"{house.site.url}{PATH}", timeout=20.0)
        assert entered.wait(10.0)
        assert house.site.run("reload").returncode == 0
        until(lambda: house.site.http.get("/healthz").status_code == 200)
        gate.set()
        assert answer.result(20.0).status_code == 200

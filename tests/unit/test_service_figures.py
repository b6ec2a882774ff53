"""What waits in a service, for people: counted seldom, told where it is asked for."""

from pathlib import Path

import httpx

import classification_service.app
import evolver.app
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.service_figures import ServiceFigures
from commons.errors import UnavailableError
from evolver.adapters.run_table import SqlRuns
from sensory_service.app import create_app
from tests.builders import png_bytes, png_files
from tests.evolver_builders import queued_run
from tests.sensory_house import House, ManualClock, open_house


def served(app: object, path: str) -> httpx.Client:
    return httpx.Client(transport=httpx.WSGITransport(app), base_url=f"http://localhost{path}")  # type: ignore[arg-type]


def figures(http: httpx.Client) -> dict[str, float] | None:
    reply = http.get("readyz", params={"figures": "true"})
    assert reply.status_code == 200, reply.text
    found: dict[str, float] | None = reply.json().get("figures")
    return found


def test_figures_are_counted_once_in_some_seconds() -> None:
    clock, counted = ManualClock(), []

    def count() -> dict[str, float]:
        counted.append(1)
        if len(counted) == 2:
            raise UnavailableError("the tables are away")
        return {"waiting": float(len(counted))}

    read = ServiceFigures(count, 5.0, clock.monotonic)
    assert [read(), read()] == [{"waiting": 1.0}] * 2
    clock.time += 5.0
    assert read() == {}
    clock.time += 5.0
    assert read() == {"waiting": 3.0}


def test_the_sensory_service_says_what_waits(tmp_path: Path) -> None:
    house = open_house(tmp_path)
    house.client.upload("pets", png_files(3, seed=1))
    house.client.upload("zoo", [("a.png", png_bytes(seed=9))])
    first = house.client.upload("pets", [("b.png", png_bytes(seed=9))]).stored[0].image
    assert "figures" not in house.http.get("/api/sensory/v1/readyz").json()
    assert figures(anew(house)) == {"shards_waiting": 0.0, "images_unlooked": 4.0}
    house.client.purge(first)
    assert figures(anew(house)) == {"shards_waiting": 0.0, "images_unlooked": 3.0}
    house.work()
    assert figures(anew(house)) == {"shards_waiting": 0.0, "images_unlooked": 0.0}


def anew(house: House) -> httpx.Client:
    """Return a client of another process of the service, which remembers no figures."""
    return served(create_app(house.settings, house.platform), "/api/sensory/v1/")


def test_the_storage_says_what_the_images_have(tmp_path: Path) -> None:
    house = open_house(tmp_path)
    data = [png_bytes(seed=seed) for seed in range(3)]
    house.client.upload("pets", [(f"{n}.png", one) for n, one in enumerate(data)])
    image = house.client.upload("zoo", [("0.png", data[0])]).stored[0].image
    house.client.purge(image)
    app = create_app(house.settings, house.platform)
    found = served(app, "/api/admin/v1/").get("storage").json()
    assert found["image_bytes"] == sum(map(len, data[1:]))


def test_the_health_of_all_has_the_figures_of_each(tmp_path: Path) -> None:
    house = open_house(tmp_path / "sensory")
    classification = classification_service.app.create_app(
        classification_service.app.Settings(data=tmp_path / "classification")
    )
    path = "/api/classification/v1"
    away = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=[])))
    services = {path: served(classification, ""), "/api/away/v1": away}
    app = create_app(house.settings, house.platform, services=services)
    found = served(app, "/api/admin/v1/").get("health").json()["services"]
    assert found[0]["figures"] == {"job_images_waiting": 0.0, "corrections_waiting": 0.0}
    assert (found[1]["ready"], found[1]["figures"]) == (False, {})


def test_the_evolver_says_how_many_runs_wait(tmp_path: Path) -> None:
    settings = evolver.app.Settings(data=tmp_path)
    runs = SqlRuns(create_database(sqlite_url(tmp_path / "evolver.sqlite3")), SystemClock())
    first = served(evolver.app.create_app(settings), "/api/evolution/v1/")
    assert figures(first) == {"runs_queued": 0.0, "runs_running": 0.0}
    for number in range(3):
        runs.add(queued_run(f"r{number}"))
    runs.claim("one")
    again = served(evolver.app.create_app(settings), "/api/evolution/v1/")
    assert figures(again) == {"runs_queued": 2.0, "runs_running": 1.0}

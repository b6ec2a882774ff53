"""Keys as a person uses them: made by a command, needed by a house, shown by commands."""

import json
import os
import signal
import stat

import httpx
import pytest

from tests.builders import png_bytes
from tests.dicebox_processes import Dicebox, ended, is_ready, until

pytestmark = pytest.mark.e2e
DATASETS = "/api/sensory/v1/datasets"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_house_with_a_key_serves_other_machines_and_asks_everybody(dicebox: Dicebox) -> None:
    made = dicebox.run("keys", "create", "me", "--scope", "sensory:read", "--json").json
    process, url = dicebox.up("--host", "0.0.0.0")
    assert httpx.get(f"{url}/").status_code == 200
    assert httpx.get(url + DATASETS).status_code == 401
    named = {**bearer(made["key"]), "Host": "dicebox.example"}
    assert httpx.get(url + DATASETS, headers=named).status_code == 200
    # Commands on the folder have a key of their own, for this user alone.
    file = dicebox.data / "house.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = dicebox.run("keys", "list", "--json").json["keys"]
    assert [key["name"] for key in listed] == ["me"]
    # A command that knows the address alone shows what its environment has.
    refused = dicebox.run("--url", url, "keys", "list")
    assert refused.code == 1
    assert "DICEBOX_KEY" in refused.err
    forbidden = dicebox.run("--url", url, "keys", "list", DICEBOX_KEY=made["key"])
    assert forbidden.code == 1
    assert "admin" in forbidden.err
    assert dicebox.run("keys", "revoke", made["id"]).code == 0
    until(lambda: httpx.get(url + DATASETS, headers=named).status_code == 401)
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 0
    assert not file.exists()
    for log in (dicebox.data / "logs").iterdir():
        assert made["key"] not in log.read_text()


@pytest.mark.alone
def test_a_house_that_requires_keys_breeds_with_one_of_its_own(dicebox: Dicebox) -> None:
    _, url = dicebox.up("--keys", "required")
    assert httpx.get(url + DATASETS).status_code == 401
    folder = dicebox.data.parent / "images"
    for category, first in (("dark", 0), ("light", 100)):
        (folder / category).mkdir(parents=True)
        for number in range(20):
            picture = png_bytes(seed=first + number)
            (folder / category / f"{number}.png").write_bytes(picture)
    assert dicebox.run("import", folder, "--dataset", "shades").code == 0
    brief = ("--seconds", 30, "--evaluations", 1, "--workers", 1)
    bred = dicebox.run("evolve", "--dataset", "shades", *brief, "--json")
    assert bred.code == 0, bred.err
    assert bred.json["network"]


def test_a_house_on_this_machine_asks_for_a_key_once_there_is_one(dicebox: Dicebox) -> None:
    _, url = dicebox.up()
    assert httpx.get(url + DATASETS).status_code == 200
    key = dicebox.run("keys", "create", "me", "--scope", "admin", "--days", 1, "--json").json["key"]
    assert httpx.get(url + DATASETS).status_code == 401
    assert httpx.get(url + DATASETS, headers=bearer(key)).status_code == 200
    health = httpx.get(f"{url}/api/admin/v1/health", headers=bearer(key)).json()["services"]
    assert [service["ready"] for service in health] == [True] * 3
    assert dicebox.run("--url", url, "runs", DICEBOX_KEY=key).code == 0


def test_a_house_counts_in_one_place_and_logs_one_json_line_a_request(dicebox: Dicebox) -> None:
    _, url = dicebox.up()
    for _ in range(3):
        reply = httpx.get(f"{url}{DATASETS}?hush=1", headers={"X-Request-ID": "asked-here"})
        assert reply.headers["X-Request-ID"] == "asked-here"
    line = f'dicebox_requests_total{{method="GET",route="{DATASETS}",'
    counted = httpx.get(f"{url}/api/sensory/v1/metrics").text
    (found,) = (sample for sample in counted.splitlines() if sample.startswith(line))
    assert found.endswith(" 3.0")
    assert "/api/evolution" not in counted
    log = (dicebox.data / "logs" / "dicebox.front_server.log").read_text()
    lines = [json.loads(text) for text in log.splitlines() if text.startswith("{")]
    assert sum(one.get("request_id") == "asked-here" for one in lines) == 3
    assert "hush" not in log
    # Another worker goes on counting where the one before was killed.
    # It was forked from its parent, and so has the same command line and a later number.
    fronts = (pid for pid, line in dicebox.processes().items() if "dicebox.front_server" in line)
    worker = max(fronts)
    os.kill(worker, signal.SIGKILL)
    until(lambda: worker not in dicebox.processes())
    until(lambda: is_ready(url))
    httpx.get(url + DATASETS)
    again = httpx.get(f"{url}/api/sensory/v1/metrics").text
    (found,) = (sample for sample in again.splitlines() if sample.startswith(line))
    assert float(found.rpartition(" ")[2]) >= 4.0

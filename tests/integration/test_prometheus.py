"""What Prometheus and Grafana are to be told, with a real Prometheus that asks what we show.

Grafana itself is in no package registry of this house: its dashboard is checked by its form, and by
asking Prometheus for every expression in it.
"""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import generate_latest

from benchmarks.broker import Rabbit, is_installed
from benchmarks.installation import free_port
from classification_service.bare_route import PATH as CLASSIFY
from classification_service.routes import PREFIX as CLASSIFICATION
from commons.adapters.metrics import ServiceMetrics, ServingMetrics
from commons.jobs import JobResult
from commons.worker_messages import Trainer, WorkerPage, WorkerSlot
from deploy.stack_secrets import OUTSIDE
from evolver.routes import PREFIX as EVOLUTION
from evolver.trainers import Trainers
from sensory_service.app import Settings, create_app
from tests.builders import png_bytes
from tests.dicebox_processes import until
from tests.servers import missing_program
from trainer.worker_process import _Metrics

pytestmark = pytest.mark.integration

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIG = DEPLOY / "prometheus" / "prometheus.yml"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
BOARD = json.loads((DEPLOY / "grafana" / "dicebox.json").read_text())
KEY = "dbx_figures"
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
SELECTOR = re.compile(r"\b((?:dicebox|rabbitmq)_\w+|up)\b(\{[^}]*\})?")
COLUMNS = 24


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        missing_program(name)
    return str(found)


def expressions() -> dict[str, str]:
    """Every expression that is asked for, by where it stands."""
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    found = {f"alert {rule['alert']}": rule["expr"] for rule in rules}
    for panel in PANELS:
        for target in panel["targets"]:
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    return {where: text.replace("$__rate_interval", "1m") for where, text in found.items()}


def figures_of_sensory(folder: Path) -> bytes:
    client = create_app(Settings(data=folder)).test_client()
    upload = "/api/sensory/v1/datasets/pets/images?category=cat"
    assert client.post(upload, data=png_bytes(), content_type="image/png").status_code == 201
    return bytes(client.get("/api/sensory/v1/metrics").data)


def figures_of_classification() -> bytes:
    gauges = {
        ("dicebox_jobs", "", "state"): lambda: {"running": 1.0},
        ("dicebox_queue_depth", "", "queue"): lambda: {"parts": 2.0},
        ("dicebox_corrections", "", "state"): lambda: {"waiting": 0.0},
    }
    metrics = ServingMetrics(CLASSIFICATION, gauges)
    metrics.count_batch("a" * 8, 3)
    metrics.observe_all("POST", CLASSIFY, 200, [0.001, 0.002])
    metrics.observe("POST", CLASSIFY, 503, 0.001)
    metrics.count_refusal(431, "too-large")
    metrics.show_queue(2)
    return metrics.text()


def figures_of_evolver() -> bytes:
    slots = [WorkerSlot(number=1, job="run/1/1", since=2.0), WorkerSlot(number=2)]
    worker = Trainer(name="w-1", machine="w", kind="cpu", slots=slots)
    queues = {"dicebox.jobs.cpu": 4}
    page = WorkerPage(engine="celery", workers=[worker], ready=queues, dead=queues)
    trainers = Trainers(None, None, lambda: page)  # type: ignore[arg-type]
    trainers.page = lambda: page  # type: ignore[method-assign]
    return ServiceMetrics(EVOLUTION, trainers.figures()).text()


def figures_of_trainer() -> bytes:
    metrics = _Metrics()
    metrics.observe(JobResult(id="job", outcome="ok", seconds=2.0), 0.5)
    return generate_latest(metrics.registry)


class Figures(ThreadingHTTPServer):
    """Shows what services show, to whoever has the key."""

    daemon_threads = True

    def __init__(self, shown: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.shown = shown
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.server.shown.get(self.path)
        asks_for_key = self.path.startswith("/api/")
        knows = self.headers.get("Authorization") == f"Bearer {KEY}"
        self.send_response(404 if body is None else 401 if asks_for_key and not knows else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Give the API of a Prometheus with our configuration, in which names are ports of here."""
    folder = tmp_path_factory.mktemp("prometheus")
    program("prometheus")
    if not is_installed():
        missing_program("rabbitmq-server")
    broker = free_port()
    shown = {
        "/api/sensory/v1/metrics": figures_of_sensory(folder / "data"),
        f"{CLASSIFICATION}/metrics": figures_of_classification(),
        f"{EVOLUTION}/metrics": figures_of_evolver(),
        "/metrics": figures_of_trainer(),
    }
    with ExitStack() as stack:
        rabbit = Rabbit(folder / "rabbit", f"prometheus.tcp.port = {broker}")
        rabbit.folder.mkdir()
        (rabbit.folder / "plugins").write_text("[rabbitmq_prometheus].")
        stack.callback(rabbit.kill)
        rabbit.start()
        figures = Figures(shown)
        stack.callback(figures.server_close)
        stack.callback(figures.shutdown)
        config = yaml.safe_load(CONFIG.read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(ALERTS)]
        for job in config["scrape_configs"]:
            port = broker if job["job_name"] == "rabbitmq" else figures.server_port
            del job["dns_sd_configs"]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
            if "authorization" in job:
                job["authorization"] = {"credentials_file": str(folder / "key")}
        (folder / "key").write_text(f"{KEY}\n")
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        yield stack.enter_context(_started(folder, len(config["scrape_configs"])))


@contextmanager
def _started(folder: Path, jobs: int) -> Iterator[httpx.Client]:
    port = free_port()
    words = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program("prometheus"), *words], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1") as client:

            def has_looked_twice() -> bool:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    found = found_by(client, "sum_over_time(up[1m]) >= 3")
                except httpx.TransportError:
                    return False
                return len(found) == jobs

            try:
                until(has_looked_twice)
            except AssertionError:
                targets = client.get("/targets").json()["data"]["activeTargets"]
                pytest.fail(str([target["lastError"] for target in targets]))
            yield client
    finally:
        process.terminate()
        process.wait(20.0)


def found_by(client: httpx.Client, expression: str) -> list[dict[str, Any]]:
    """Return what Prometheus finds for an expression; fail if it is none."""
    reply = client.get("/query", params={"query": expression})
    if reply.status_code == 503:
        return []
    said = reply.json()
    assert said["status"] == "success", f"{expression}: {said}"
    return said["data"]["result"]


def test_the_configuration_is_one():
    check = [program("promtool"), "check", "config", "--syntax-only", str(CONFIG)]
    subprocess.run(check, check=True, capture_output=True, cwd=CONFIG.parent)
    rules = [program("promtool"), "check", "rules", str(ALERTS)]
    subprocess.run(rules, check=True, capture_output=True)


def test_every_alert_is_told_when_it_should_and_only_then():
    told = subprocess.run(
        [program("promtool"), "test", "rules", "alerts_test.yml"],
        cwd=ALERTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    tests = (ALERTS.parent / "alerts_test.yml").read_text()
    for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]:
        assert re.search(rf"alertname: {rule['alert']}\n +eval_time", tests), rule["alert"]
        assert re.search(rf"alertname: {rule['alert']}, .*exp_alerts: \[\]", tests), rule["alert"]


def test_every_service_that_shows_figures_is_asked_at_each_task_with_the_metrics_key():
    stack = (DEPLOY / "stack.yml").read_text()
    for job in yaml.safe_load(CONFIG.read_text())["scrape_configs"]:
        (look,) = job["dns_sd_configs"]
        (name,) = look["names"]
        service = name.removeprefix("tasks.")
        assert name != service
        assert re.search(rf"^  {service}:$", stack, re.MULTILINE), service
        if "metrics_path" in job:
            assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_key"
    assert "metrics_key" in OUTSIDE


def test_prometheus_reads_what_services_show(prometheus):
    up = {each["metric"]["job"]: each["value"][1] for each in found_by(prometheus, "up")}
    assert up == dict.fromkeys(("sensory", "classification", "evolver", "trainer", "rabbitmq"), "1")
    rules = prometheus.get("/rules").json()["data"]["groups"][0]["rules"]
    assert all(rule["health"] in ("ok", "unknown") for rule in rules)


@pytest.mark.parametrize("where", expressions())
def test_every_expression_is_one_and_asks_for_figures_that_there_are(prometheus, where):
    expression = expressions()[where]
    found_by(prometheus, expression)
    selectors = {"".join(match) for match in SELECTOR.findall(expression)}
    assert selectors
    for selector in selectors:
        assert found_by(prometheus, selector) or selector.startswith("up{"), selector


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_shows_something(prometheus, panel):
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", "1m")
        found = found_by(prometheus, expression)
        assert found, expression
        # What its legend names is there.
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert all(label in each["metric"] for each in found), (expression, label)


def test_the_dashboard_has_the_form_that_grafana_loads():
    assert BOARD["schemaVersion"] >= 37
    assert (BOARD["title"], BOARD["uid"]) == ("Dicebox", "dicebox")
    assert "id" not in BOARD
    (variable,) = BOARD["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert "://" not in json.dumps(BOARD)
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < COLUMNS
        taken |= cells
    for panel in PANELS:
        datasources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(
            source == {"type": "prometheus", "uid": f"${{{variable['name']}}}"}
            for source in datasources
        )
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]

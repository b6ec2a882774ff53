"""Jobs through the real app and a real worker: many images, one or more networks."""

import csv
import hashlib
import io
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from classification_service.app import Settings, create_job_worker, create_service
from classification_service.consumer import JobWorker
from classification_service.job_assembly import JobAssembly
from commons.adapters.clock import SystemClock
from commons.adapters.database import create_database, sqlite_url
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.job_client import JobClient
from commons.adapters.key_guard import KeyGuard
from commons.adapters.queues import open_queue
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from commons.auth import KeyInfo, PresentedKey, Scope, generate_key, present_key
from commons.errors import ConflictError, InvalidInputError, NotFoundError, TooLargeError
from commons.job_messages import ClassificationJob
from commons.messages import Category
from tests.builders import encoded, jpeg_bytes, picture, png_bytes, truncated
from tests.onnx_builders import always, network_card, onnx_bytes
from tests.sensory_house import ManualClock

JOBS = f"{CLASSIFICATION}/jobs"


class House:
    """A service, a worker that works when it is told to, and clients."""

    def __init__(self, data: Path, guard: KeyGuard | None = None, **settings: Any) -> None:
        self.settings = Settings(data=data, **settings)
        self.blobs = FileBlobs(data / "blobs")
        app = create_service(self.settings, guard).app
        transport = httpx.WSGITransport(app, raise_app_exceptions=True)
        self.http = httpx.Client(transport=transport, base_url="http://localhost")
        caller = Caller(self.http, patience_s=0.01)
        self.jobs, self.gallery = JobClient(caller), GalleryClient(caller)
        self.worker: JobWorker = create_job_worker(self.settings)

    def publish(self, onnx: bytes | None = None, *, promote: bool = False, **card: Any) -> str:
        network = self.gallery.register(network_card(self.blobs, onnx, **card))
        if promote:
            self.gallery.promote("digits", network)
        return network

    def work(self) -> None:
        """Have the worker do all there is to be done, and not wait for more."""
        while self._tasks():
            self.worker.step()

    def _tasks(self) -> int:
        file = self.settings.data / "queue.sqlite3"
        with closing(sqlite3.connect(file)) as queue:
            return int(queue.execute("SELECT count(*) FROM message").fetchone()[0])

    def done(self, files: list[tuple[str, bytes]], *networks: str) -> ClassificationJob:
        """Return a job of these files, worked on."""
        job = self.jobs.make(networks)
        self.jobs.add(job.id, files)
        self.jobs.close(job.id)
        self.work()
        return self.jobs.job(job.id)

    def clean(self, later_s: float = 0.0) -> None:
        """Have the worker's chore done, as if so much time had passed."""
        clock = ManualClock(SystemClock().now() + later_s)
        database = create_database(sqlite_url(self.settings.data / "classification.sqlite3"))
        queue = open_queue(None, sqlite_url(self.settings.data / "queue.sqlite3"), clock)
        JobAssembly(database, self.blobs, queue, clock).chore(1000.0, 100.0).run()
        database.dispose()

    def table(self, job: str, **which: Any) -> list[dict[str, str]]:
        text = b"".join(self.jobs.csv(job, **which)).decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def open_house(tmp_path: Path) -> Callable[..., House]:
    return lambda **settings: House(tmp_path, **settings)


@pytest.fixture
def house(open_house: Callable[..., House]) -> House:
    return open_house()


def grey(value: int) -> bytes:
    image = picture((8, 8, 1))
    image.paste(value, (0, 0, 8, 8))
    return encoded(image)


def form(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", file) for file in files]


# Making and looking


def test_a_job_of_many_images_and_two_networks_is_answered_with_all_ids_at_once(
    house: House,
) -> None:
    first, second = house.publish(), house.publish(always(0))
    files = [("white.png", grey(255)), ("black.png", grey(0)), ("none.png", b"no image")]
    reply = house.http.post(
        JOBS, params={"network": [first, second]}, files=form(*files, ("again.png", grey(0)))
    )
    assert reply.status_code == 202
    job, added = reply.json()["job"], reply.json()["added"]
    assert [one["file"] for one in added] == ["white.png", "black.png", "none.png", "again.png"]
    assert [one["duplicate"] for one in added] == [False, False, False, True]
    assert added[1]["image"] == added[3]["image"]
    assert (job["state"], job["open"], job["images"]) == ("queued", False, 3)
    house.work()
    ended = house.jobs.job(job["id"])
    assert (ended.state, ended.done, ended.failed) == ("done", 4, 2)
    said = {(one.file, one.network): one for one in house.jobs.results(job["id"])}
    assert len(said) == 6
    assert said["white.png", first].answers[0].category.name == "bright"
    assert said["black.png", first].answers[0].category.name == "dark"
    assert said["white.png", second].answers[0].category.name == "dark"
    bad = said["none.png", first]
    assert (bad.state, bad.kind, bad.answers) == ("failed", "not-an-image", [])
    assert "expected an image" in str(bad.reason)


def test_a_job_says_of_every_image_what_a_single_request_says(house: House) -> None:
    house.publish(promote=True)
    pictures = [
        png_bytes((8, 8, 1), 1),
        png_bytes((30, 20, 3), 2),
        png_bytes((5, 9, 4), 3),
        jpeg_bytes((40, 60, 3), 4, orientation=6),
        encoded(picture((16, 16, 3), 5), "WEBP"),
    ]
    job = house.done([(f"{number}", data) for number, data in enumerate(pictures)])
    for answer, data in zip(house.jobs.results(job.id), pictures, strict=True):
        single = house.gallery.classify(data, top=10)
        assert answer.image == single.image
        assert [one.category for one in answer.answers] == [one.category for one in single.answers]
        assert [one.probability for one in answer.answers] == pytest.approx(
            [one.probability for one in single.answers], abs=2e-6
        )


def test_a_job_asks_the_champion_of_the_moment_it_was_made(house: House) -> None:
    first = house.publish(promote=True)
    job = house.jobs.make()
    house.publish(always(0), promote=True)
    house.jobs.add(job.id, [("a", grey(255))])
    house.work()
    (answer,) = house.jobs.results(job.id)
    assert (answer.network, answer.answers[0].category.name) == (first, "bright")


def test_a_single_image_may_come_as_it_is(house: House) -> None:
    house.publish(promote=True)
    reply = house.http.post(
        JOBS, content=grey(0), headers={"Content-Type": "application/octet-stream"}
    )
    assert (reply.status_code, len(reply.json()["added"])) == (202, 1)
    house.work()
    assert house.jobs.job(reply.json()["job"]["id"]).state == "done"


def test_an_open_job_takes_images_in_many_requests_and_is_worked_on_meanwhile(
    house: House,
) -> None:
    house.publish(promote=True)
    job = house.jobs.make()
    assert (job.state, job.open) == ("queued", True)
    house.jobs.add(job.id, [("a", grey(1))])
    house.work()
    meanwhile = house.jobs.job(job.id)
    assert (meanwhile.state, meanwhile.done, meanwhile.finished) == ("running", 1, None)
    house.jobs.add(job.id, [("b", grey(2)), ("a again", grey(1))])
    assert house.jobs.close(job.id).images == 2
    house.work()
    assert house.jobs.job(job.id).state == "done"
    assert house.jobs.close(job.id).state == "done"


def test_a_request_that_is_sent_again_adds_nothing_even_after_the_end(house: House) -> None:
    house.publish(promote=True)
    job = house.jobs.make()
    for is_again in (False, True):
        reply = house.jobs.add(job.id, [("a", grey(1)), ("b", grey(2))])
        assert [one.duplicate for one in reply.added] == [is_again] * 2
    house.jobs.close(job.id)
    assert house.jobs.add(job.id, [("a", grey(1))]).added[0].duplicate
    with pytest.raises(ConflictError) as caught:
        house.jobs.add(job.id, [("c", grey(3))])
    assert caught.value.kind == "job-closed"
    assert len(list(house.blobs.names("jobs/"))) == 1


def test_what_cannot_be_made_is_refused_and_leaves_nothing(house: House) -> None:
    with pytest.raises(ConflictError) as none_yet:
        house.jobs.make()
    assert none_yet.value.kind == "no-network"
    network = house.publish(promote=True)
    with pytest.raises(NotFoundError):
        house.jobs.make(["0" * 64])
    with pytest.raises(InvalidInputError, match="of the dataset letters"):
        house.jobs.make([network], dataset="letters")
    with pytest.raises(ConflictError):
        house.jobs.make(dataset="letters")
    with pytest.raises(InvalidInputError):
        house.jobs.make([network] * 17)
    reply = house.http.post(JOBS)
    assert (reply.status_code, reply.json()["type"]) == (400, "invalid-input")
    assert "expected images" in reply.json()["detail"]
    assert list(house.jobs.jobs()) == []


def test_networks_may_be_named_by_their_first_digits_and_count_once(house: House) -> None:
    network = house.publish()
    job = house.jobs.make([network[:8], network])
    assert [one.network for one in job.networks] == [network]


def test_a_job_of_too_many_images_is_refused_whole(open_house: Callable[..., House]) -> None:
    house = open_house(max_job_images=3)
    house.publish(promote=True)
    files = [(str(value), grey(value)) for value in range(4)]
    reply = house.http.post(JOBS, files=form(*files))
    assert (reply.status_code, reply.json()["type"]) == (413, "too-large")
    assert list(house.jobs.jobs()) == []
    job = house.jobs.make()
    house.jobs.add(job.id, files[:3])
    with pytest.raises(TooLargeError):
        house.jobs.add(job.id, files)
    assert house.jobs.job(job.id).images == 3


def test_a_request_that_is_too_large_is_refused(open_house: Callable[..., House]) -> None:
    house = open_house(max_body_bytes=10_000)
    house.publish(promote=True)
    reply = house.http.post(JOBS, files=form(("a", bytes(20_000))))
    assert reply.status_code == 413


def test_an_unknown_job_is_not_found_whatever_is_asked_of_it(house: House) -> None:
    unknown = "0" * 16
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/close"),
        ("POST", "/images"),
        ("GET", "/results"),
        ("GET", "/results.csv"),
    ):
        reply = house.http.request(method, f"{JOBS}/{unknown}{path}")
        assert (reply.status_code, reply.json()["type"]) == (404, "unknown-job"), path
    assert house.http.get(f"{JOBS}/nonsense").status_code == 400


def test_jobs_are_listed_newest_first_page_by_page(house: House) -> None:
    house.publish(promote=True)
    made = [house.jobs.make().id for _ in range(5)]
    assert [job.id for job in house.jobs.jobs()] == made[::-1]
    page = house.jobs.page(limit=2)
    assert [job.id for job in house.jobs.page(page.cursor, limit=2).jobs] == [made[2], made[1]]
    assert house.http.get(JOBS, params={"cursor": "x"}).status_code == 400


class Keys:
    """`commons.auth.KeyFinder` of keys that are named by what they begin with."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, Scope]] = {}

    def make(self, name: str, scope: Scope = "classify") -> dict[str, str]:
        """Return the headers of a new key."""
        number = len(self.names)
        key = generate_key(number.to_bytes)
        presented = present_key(key)
        assert presented is not None
        self.names[presented.id] = (name, scope)
        return {"Authorization": f"Bearer {key}"}

    def find(self, presented: PresentedKey) -> KeyInfo | None:
        name, scope = self.names[presented.id]
        return KeyInfo(id=presented.id, name=name, scopes=(scope,), created=0.0)

    def exists(self) -> bool:
        return True


def test_a_key_sees_the_jobs_of_its_name_alone_and_admin_sees_all(tmp_path: Path) -> None:
    keys = Keys()
    house = House(tmp_path, guard=KeyGuard(keys, required=True))
    ann, again, bob = keys.make("ann"), keys.make("ann"), keys.make("bob")
    admin = keys.make("boss", "admin")
    house.http.headers.update(admin)
    house.publish(promote=True)
    files = form(("a", grey(1)))
    job = house.http.post(JOBS, files=files, headers=ann).json()["job"]
    assert job["who"] == "ann"
    house.work()
    paths = ("", "/results", "/results.csv")
    for headers, status in ((ann, 200), (again, 200), (admin, 200), (bob, 404)):
        for path in paths:
            reply = house.http.get(f"{JOBS}/{job['id']}{path}", headers=headers)
            assert reply.status_code == status
        jobs = house.http.get(JOBS, headers=headers).json()["jobs"]
        assert len(jobs) == (1 if status == 200 else 0)
    for method, path in (("POST", "/images"), ("POST", "/cancel"), ("DELETE", "")):
        reply = house.http.request(method, f"{JOBS}/{job['id']}{path}", headers=bob)
        assert reply.status_code == 404
    assert house.http.delete(f"{JOBS}/{job['id']}", headers=again).status_code == 204


def test_the_figures_say_how_many_jobs_there_are_and_what_is_to_be_done(house: House) -> None:
    house.publish(promote=True)

    def figures() -> dict[str, float]:
        text = house.http.get(f"{CLASSIFICATION}/metrics").text
        form = r'^dicebox_(?:jobs|queue_depth)\{.*(?:state|queue)="(\w+)".*\} (\S+)$'
        return {name: float(value) for name, value in re.findall(form, text, re.M)}

    first, second, third = house.jobs.make(), house.jobs.make(), house.jobs.make()
    house.jobs.add(first.id, [("a", grey(1))])
    house.work()
    house.jobs.close(first.id)
    house.jobs.add(second.id, [("b", grey(2)), ("c", grey(3))])
    house.jobs.add(second.id, [("d", grey(4))])
    house.jobs.cancel(third.id)
    none = {"done": 0, "failed": 0, "running": 0, "queued": 0, "cancelled": 0, "jobs": 0}
    assert figures() == none | {"done": 1, "queued": 1, "cancelled": 1, "jobs": 2}
    house.work()
    assert figures() == none | {"done": 1, "running": 1, "cancelled": 1}


# Results


def test_results_are_found_by_category_confidence_network_and_state(house: House) -> None:
    categories = [Category(id="c0", name="dark"), Category(id="c1", name="bright")]
    first, second = house.publish(), house.publish(always(0), categories=categories)
    files = [(f"{value}.png", grey(value)) for value in (0, 120, 140, 255)]
    job = house.done([*files, ("bad", b"bad")], first, second).id

    def found(**which: Any) -> list[tuple[str, bool]]:
        return [(one.file, one.network == first) for one in house.jobs.results(job, **which)]

    of_first = [("0.png", True), ("120.png", True)]
    assert found(category="dark", network=first) == of_first
    assert found(category="c0", network=first[:12]) == of_first
    assert len(found(category="dark")) == 6
    assert found(category="nothing") == []
    unsure = {"max_confidence": 0.9, "network": first}
    assert found(**unsure) == [("120.png", True), ("140.png", True)]
    assert found(min_confidence=0.9, category="bright") == [("255.png", True)]
    assert found(state="failed") == [("bad", True), ("bad", False)]
    assert found(state="queued") == []
    with pytest.raises(InvalidInputError, match="networks of the job"):
        found(network="0" * 64)


def test_results_come_page_by_page_and_all_of_them(house: House) -> None:
    house.publish(promote=True)
    files = [(str(value), grey(value)) for value in range(150)]
    job = house.done(files).id
    seen: list[str] = []
    cursor = None
    while True:
        parameters = {"limit": 40} | ({"cursor": cursor} if cursor else {})
        page = house.http.get(f"{JOBS}/{job}/results", params=parameters).json()
        seen += [one["file"] for one in page["answers"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == [name for name, _ in files]
    assert house.http.get(f"{JOBS}/{job}/results", params={"cursor": "1"}).status_code == 400


def test_the_table_has_a_line_for_every_image_and_network(house: House) -> None:
    first, second = house.publish(), house.publish(always(0))
    job = house.done([("a", grey(255)), ("b", b"bad")], first, second).id
    reply = house.http.get(f"{JOBS}/{job}/results.csv")
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.headers["Content-Disposition"] == f'attachment; filename="job-{job}.csv"'
    rows = house.table(job)
    assert [(row["file"], row["network"], row["state"]) for row in rows] == [
        ("a", first, "done"),
        ("a", second, "done"),
        ("b", first, "failed"),
        ("b", second, "failed"),
    ]
    assert (rows[0]["category"], rows[0]["category_id"]) == ("bright", "c1")
    assert float(rows[0]["probability"]) == pytest.approx(0.99966, abs=1e-4)
    assert (rows[0]["dataset"], rows[2]["category"], rows[2]["probability"]) == ("digits", "", "")
    assert "expected an image" in rows[2]["reason"]
    assert [row["file"] for row in house.table(job, state="failed", network=first)] == ["b"]


@pytest.mark.parametrize(
    "name", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\uff1d1+1", "\t=1", "\r=1"]
)
def test_no_cell_of_the_table_is_a_formula(house: House, name: str) -> None:
    categories = [Category(id="c0", name="dark"), Category(id="c1", name=name.strip())]
    house.publish(promote=True, categories=categories)
    job = house.jobs.make()
    house.jobs.add(job.id, [(name, grey(255))])
    house.work()
    (row,) = house.table(job.id)
    for cell in row.values():
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d")), cell
    assert row["category"] == f"'{name.strip()}"


def test_names_with_quotes_commas_and_line_breaks_stay_in_their_cells(house: House) -> None:
    house.publish(promote=True)
    names = ['a "quoted" name', "a, b", "ä.png", "x" * 300, "two\nlines"]
    job = house.done([(name, grey(number)) for number, name in enumerate(names)]).id
    assert [row["file"] for row in house.table(job)] == [
        *names[:3],
        "x" * 255,
        [one.file for one in house.jobs.results(job)][4],
    ]
    assert "\n" not in house.table(job)[4]["file"]


# The work


def test_a_network_whose_file_is_damaged_fails_alone_with_the_reason(house: House) -> None:
    good = house.publish()
    card = network_card(house.blobs, always(0), created=5.0)
    bad = house.gallery.register(card)
    house.blobs.delete(card.onnx.blob)
    job = house.done([("a", grey(255)), ("b", grey(0))], good, bad)
    assert (job.state, job.done, job.failed) == ("done", 2, 2)
    assert "is not in the blobs" in str(job.networks[1].reason)
    states = [(one.network == good, one.state) for one in house.jobs.results(job.id)]
    assert states == [(True, "done"), (False, "failed")] * 2
    alone = house.done([("a", grey(255))], bad)
    assert alone.state == "failed"
    assert "is not in the blobs" in str(alone.reason)


def test_a_job_whose_images_are_gone_fails_and_says_so(house: House) -> None:
    house.publish(promote=True)
    job = house.jobs.make()
    house.jobs.add(job.id, [("a", grey(1))])
    house.jobs.close(job.id)
    for name in list(house.blobs.names("jobs/")):
        house.blobs.delete(name)
    house.work()
    ended = house.jobs.job(job.id)
    assert (ended.state, ended.reason) == ("failed", "the bytes of its images are gone")


def test_a_cut_off_image_fails_alone(house: House) -> None:
    house.publish(promote=True)
    files = [("cut", truncated(png_bytes((64, 64, 3)))), ("empty", b""), ("good", grey(3))]
    job = house.done(files)
    assert (job.state, job.done, job.failed) == ("done", 1, 2)


def test_a_cancelled_job_is_worked_on_no_more(house: House) -> None:
    house.publish(promote=True)
    job = house.jobs.make()
    house.jobs.add(job.id, [("a", grey(1))])
    house.work()
    house.jobs.add(job.id, [("b", grey(2))])
    cancelled = house.jobs.cancel(job.id)
    assert (cancelled.state, cancelled.open, cancelled.done) == ("cancelled", False, 1)
    house.work()
    assert [one.state for one in house.jobs.results(job.id)] == ["done", "cancelled"]
    assert house.jobs.cancel(job.id) == cancelled


def test_a_removed_job_is_gone_and_so_are_its_images_soon(house: House) -> None:
    house.publish(promote=True)
    job, other = house.jobs.make(), house.jobs.make()
    house.jobs.add(job.id, [("a", grey(1)), ("b", grey(2))])
    house.jobs.add(other.id, [("a", grey(1))])
    house.work()
    house.jobs.remove(job.id)
    with pytest.raises(NotFoundError):
        house.jobs.job(job.id)
    house.blobs.put(f"jobs/{job.id}/left", b"of a request that was cut off")
    house.clean()
    assert {name.split("/")[1] for name in house.blobs.names("jobs/")} == {other.id}
    assert [one.state for one in house.jobs.results(other.id)] == ["done"]


def test_parts_that_no_table_knows_go_when_they_are_old(house: House) -> None:
    house.publish(promote=True)
    job = house.jobs.make()
    house.jobs.add(job.id, [("a", grey(1))])
    kept = set(house.blobs.names("jobs/"))
    house.blobs.put(f"jobs/{job.id}/left", b"of a request that was cut off")
    house.clean(later_s=90.0)
    assert set(house.blobs.names("jobs/")) == {*kept, f"jobs/{job.id}/left"}
    house.clean(later_s=3700.0)
    assert set(house.blobs.names("jobs/")) == kept


def test_an_image_is_erased_from_jobs_in_any_state(house: House) -> None:
    house.publish(promote=True)
    files = [(str(value), grey(value)) for value in range(5)]
    ended = house.done(files)
    waiting, removed = house.jobs.make(), house.jobs.make()
    for job in (waiting, removed):
        house.jobs.add(job.id, files)
    house.jobs.remove(removed.id)
    sha256 = hashlib.sha256(grey(3)).hexdigest()
    assert house.jobs.erase_image(sha256).jobs == 3
    assert house.jobs.erase_image(sha256).jobs == 0
    assert house.jobs.erase_image("0" * 64).jobs == 0
    held = [house.blobs.get(name) for name in house.blobs.names("jobs/")]
    assert not any(grey(3) in data for data in held)
    house.work()
    assert (house.jobs.job(ended.id).images, house.jobs.job(ended.id).done) == (4, 4)
    assert [one.file for one in house.jobs.results(waiting.id)] == ["0", "1", "2", "4"]
    # Whoever sends it again has it classified again.
    house.jobs.add(waiting.id, [("again", grey(3))])
    house.work()
    assert house.jobs.job(waiting.id).done == 5


def test_jobs_go_some_time_after_their_end_and_open_ones_end_when_nothing_comes(
    house: House,
) -> None:
    house.publish(promote=True)
    ended = house.done([("a", grey(1))])
    idle = house.jobs.make()
    house.jobs.add(idle.id, [("b", grey(2))])
    house.work()
    house.clean(later_s=90.0)
    assert house.jobs.job(idle.id).open
    house.clean(later_s=110.0)
    assert (house.jobs.job(idle.id).open, house.jobs.job(idle.id).state) == (False, "done")
    house.clean(later_s=990.0)
    assert house.jobs.job(ended.id) == ended
    house.clean(later_s=1010.0)
    assert [job.id for job in house.jobs.jobs()] == [idle.id]
    assert {name.split("/")[1] for name in house.blobs.names("jobs/")} == {idle.id}


def test_large_networks_get_few_images_at_once_and_all_of_them(house: House) -> None:
    shape = (256, 256, 3)
    big = onnx_bytes(shape)
    card = network_card(house.blobs, big)
    preprocessing = card.preprocessing.model_copy(update={"shape": shape})
    network = house.publish(big, preprocessing=preprocessing)
    job = house.done([(str(value), grey(value)) for value in range(100)], network)
    assert (job.state, job.done) == ("done", 100)

"""The hot route without Flask says the same as Flask's view does, whatever it is asked."""

import io
import json
import logging

import httpx
import pytest
from PIL import Image

from classification_service.app import ClassificationService, Settings, create_service
from classification_service.bare_route import PATH, BareRoute, Errand
from commons.adapters.clock import SystemClock
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.key_guard import KeyGuard
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from commons.auth import KeyInfo, generate_key, present_key
from commons.errors import UnavailableError
from tests.hostile import short_png
from tests.onnx_builders import network_card
from tests.serving_processes import picture

KEYS = {
    name: generate_key(lambda count, name=name: name[0].encode() * count)
    for name in ("classify", "publish", "unknown")
}


class Keys:
    """Knows two keys; may be away."""

    is_away = False

    def find(self, presented):
        if self.is_away:
            raise UnavailableError("the admin API cannot be reached")
        for name in ("classify", "publish"):
            if presented == present_key(KEYS[name]):
                return KeyInfo(id=presented.id, name=name, scopes=(name,), created=0.0)
        return None

    def exists(self):
        return True


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


@pytest.fixture(scope="module")
def service(tmp_path_factory, keys) -> ClassificationService:
    data = tmp_path_factory.mktemp("bare")
    service = create_service(Settings(data=data, cached_answers=0), KeyGuard(keys, required=True))
    blobs = FileBlobs(data / "blobs")
    headers = {"Authorization": f"Bearer {KEYS['publish']}"}
    transport = httpx.WSGITransport(service.app)
    with httpx.Client(transport=transport, base_url="http://localhost", headers=headers) as http:
        gallery = GalleryClient(Caller(http))
        for dataset in ("digits", "letters"):
            gallery.promote(dataset, gallery.register(network_card(blobs, dataset=dataset)))
    return service


def environ(query: str, headers: dict[str, str]) -> dict:
    names = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in headers}
    names |= {"Content-Type": "CONTENT_TYPE"}
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        **{names[name]: value for name, value in headers.items()},
    }


def barely(service: ClassificationService, query: str, body: bytes, headers: dict) -> Errand:
    """Return an errand with its reply, taken through the steps as a host does."""
    route = BareRoute(service.answerer, service.guard, service.metrics, SystemClock())
    errand = route.errand(environ(query, headers), body)
    step = route.begin(errand)
    if step == "wait":
        step = route.begin_waiting(errand)
    if step in {"answer", "submit"}:
        route.answer([errand])
    return errand


def comparable(status: int, kind: str, body: bytes, headers) -> tuple:
    said = json.loads(body)
    for name in ("seconds", "timing", "request_id"):
        said.pop(name, None)
    interesting = {
        name: value
        for name, value in headers.items()
        if name.lower() in {"retry-after", "www-authenticate"}
    }
    return status, kind, said, interesting


def gif() -> bytes:
    file = io.BytesIO()
    Image.new("L", (30, 20), 250).save(file, "GIF")
    return file.getvalue()


GOOD = {"Authorization": f"Bearer {KEYS['classify']}"}
IMAGE = picture()
REQUESTS = [
    *[
        (query, IMAGE, GOOD)
        for query in (
            "dataset=digits",
            "dataset=letters&top=1",
            "dataset=digits&top=1000",
            "dataset=digits&dataset=letters",
            "dataset=%64igits",
            "",
            "dataset=",
            "dataset=none",
            "dataset=digits&top=0",
            "dataset=digits&top=1001",
            "dataset=digits&top=x",
            "dataset=digits&top=",
            "dataset=digits&topp=1",
            "dataset=digits&top=1&extra=1&more=2",
            "network=" + "f" * 64,
            "network=nonsense",
            "network=ffffffff",
        )
    ],
    *[
        ("dataset=digits", body, GOOD)
        for body in (
            picture(0),
            picture(40, (100, 60)),
            picture(form="JPEG"),
            picture(form="WEBP"),
            gif(),
            b"",
            b"no image",
            IMAGE[:-10],
            IMAGE[:40],
            short_png(30_000, 30_000),
        )
    ],
    *[
        ("dataset=digits", IMAGE, {**GOOD, **headers})
        for headers in (
            {"Content-Type": "image/png"},
            {"Content-Type": "IMAGE/PNG; x=y"},
            {"Content-Type": "application/x-www-form-urlencoded"},
            {"Content-Type": "text/html"},
            {"Content-Type": "application/json"},
            {"X-Request-Timeout-Ms": "20000"},
            {"X-Request-Timeout-Ms": "0"},
            {"X-Request-Timeout-Ms": "soon"},
            {"X-Request-Timeout-Ms": "soon", "Content-Type": "text/html"},
            {"Origin": "http://elsewhere"},
        )
    ],
    *[
        ("dataset=digits", IMAGE, headers)
        for headers in (
            {},
            {"Authorization": f"Bearer {KEYS['unknown']}"},
            {"Authorization": f"Bearer {KEYS['publish']}"},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": f"Basic {KEYS['classify']}"},
            {"Cookie": f"dicebox_session={KEYS['classify']}"},
            {"Cookie": f"dicebox_session={KEYS['classify']}", "Origin": "http://localhost"},
            {"Cookie": f"dicebox_session={KEYS['classify']}", "Origin": "http://elsewhere"},
        )
    ],
]


@pytest.mark.parametrize(
    ("query", "body", "headers"), REQUESTS, ids=[str(number) for number in range(len(REQUESTS))]
)
def test_both_say_the_same(service, query, body, headers):
    view = service.app.test_client(use_cookies=False).post(
        f"{PATH}?{query}", data=body, headers={"Host": "localhost", **headers}
    )
    errand = barely(service, query, body, headers)
    assert comparable(*errand.reply) == comparable(
        view.status_code, view.mimetype, view.data, dict(view.headers)
    )
    assert errand.question is None or errand.question.is_settled
    assert service.answerer.waiting == 0


def test_the_requests_above_end_in_many_ways(service):
    seen = {barely(service, *one).reply.status for one in REQUESTS}
    assert seen >= {200, 400, 401, 403, 404, 409, 413, 415}


def test_both_count_alike(service):
    def counted() -> dict[str, float]:
        lines = service.metrics.text().decode().splitlines()
        names = ("dicebox_requests_total", "dicebox_request_seconds_count", "dicebox_events_total")
        pairs = [line.rsplit(" ", 1) for line in lines if line.startswith(names) and PATH in line]
        return {name: float(value) for name, value in pairs}

    before = counted()
    for _ in range(3):
        barely(service, "dataset=digits", IMAGE, GOOD)
    middle = counted()
    for _ in range(3):
        service.app.test_client().post(f"{PATH}?dataset=digits", data=IMAGE, headers=GOOD)
    after = counted()
    barely_added = {name: middle[name] - before.get(name, 0.0) for name in middle}
    views_added = {name: after[name] - middle[name] for name in after}
    assert {k: v for k, v in barely_added.items() if v} == {
        k: v for k, v in views_added.items() if v
    }


def test_a_request_id_is_taken_or_made_and_said(service):
    given = barely(service, "top=0", IMAGE, {**GOOD, "X-Request-ID": "mine-1"})
    assert given.request_id == json.loads(given.reply.body)["request_id"] == "mine-1"
    for odd in ("", "a b", "x" * 65, "é"):
        made = barely(service, "dataset=digits", IMAGE, {**GOOD, "X-Request-ID": odd})
        assert made.request_id != odd
    ids = {barely(service, "dataset=digits", IMAGE, GOOD).request_id for _ in range(5)}
    assert len(ids) == 1 or len(ids) == 5


def test_a_network_is_asked_by_the_digits_it_begins_with(service):
    champion = service.gallery.champion("digits").network
    for digits in (8, 20, 64):
        errand = barely(service, f"network={champion[:digits]}", IMAGE, GOOD)
        assert json.loads(errand.reply.body)["network"] == champion


def test_refusals_are_logged_with_their_key_and_answers_are_not(service, caplog):
    with caplog.at_level(logging.INFO, "dicebox.request"):
        barely(service, "dataset=digits", IMAGE, GOOD)
        assert not caplog.records
        barely(service, "dataset=digits", b"no image", GOOD)
    (record,) = caplog.records
    assert record.fields["status"] == 400
    assert record.fields["key"] == present_key(KEYS["classify"]).id
    assert KEYS["classify"] not in str(record.fields)


def test_every_answer_is_logged_where_that_is_asked_for(service, caplog):
    route = BareRoute(
        service.answerer, service.guard, service.metrics, SystemClock(), logs_all=True
    )
    errands = [route.errand(environ("dataset=digits", GOOD), IMAGE) for _ in range(3)]
    for errand in errands:
        assert route.begin(errand) in {"answer", "submit"}
    with caplog.at_level(logging.INFO, "dicebox.request"):
        route.answer(errands)
    assert [record.fields["status"] for record in caplog.records] == [200] * 3
    assert {record.fields["request_id"] for record in caplog.records} == {
        errand.request_id for errand in errands
    }


def test_a_good_key_stays_good_while_nobody_can_be_asked(service, keys):
    assert barely(service, "dataset=digits", IMAGE, GOOD).reply.status == 200
    keys.is_away = True
    try:
        assert barely(service, "dataset=digits", IMAGE, GOOD).reply.status == 200
        service.guard.forget()
        assert barely(service, "dataset=digits", IMAGE, GOOD).reply.status == 503
    finally:
        keys.is_away = False


def test_a_surprise_is_answered_with_500(service, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(service.answerer, "begin", fail)
    errand = barely(service, "dataset=digits", IMAGE, GOOD)
    assert errand.reply.status == 500
    assert "a bug" not in errand.reply.body.decode()
    assert "a bug" in caplog.text


def test_it_takes_its_own_requests_alone(service):
    route = BareRoute(service.answerer, service.guard, service.metrics, SystemClock())
    assert route.takes("POST", PATH, "image/png")
    assert not route.takes("GET", PATH, "")
    assert not route.takes("POST", PATH, "multipart/form-data; boundary=x")
    assert not route.takes("POST", f"{CLASSIFICATION}/networks", "")

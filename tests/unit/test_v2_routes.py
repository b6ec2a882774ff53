"""The Open Inference Protocol v2 through the real app, as its clients see it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from classification_service.app import Settings, create_service
from classification_service.v2_tensors import LENGTH_HEADER, pack_bytes
from commons.adapters.decode import DECODER
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from commons.messages import Category
from commons.network_card import Preprocessing
from commons.trial_messages import TrialRequest
from dicebox.front import create_front
from tests.builders import jpeg_bytes, png_bytes
from tests.onnx_builders import always, fails_on_grey, network_card, onnx_bytes
from tests.trial_builders import picture

INFER = "/v2/models/digits/infer"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def http(folder: Path) -> Iterator[httpx.Client]:
    transport = httpx.WSGITransport(create_service(Settings(data=folder)).app)
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def networks(folder: Path, http: httpx.Client) -> list[str]:
    """Give the champion of `digits`, and another network of it that calls everything dark."""
    blobs = FileBlobs(folder / "blobs")
    gallery = GalleryClient(Caller(http))
    names = [gallery.register(network_card(blobs, onnx)) for onnx in (onnx_bytes(), always(0))]
    gallery.promote("digits", names[0])
    return names


def body(pixels: np.ndarray | None = None, **changes: Any) -> dict[str, Any]:
    """Return a request about a dark and a bright image."""
    images = two() if pixels is None else pixels
    tensor = {
        "name": "images",
        "shape": list(images.shape),
        "datatype": "FP32",
        "data": images.ravel().tolist(),
        **changes,
    }
    return {"inputs": [tensor]}


def two() -> np.ndarray:
    return np.stack([np.zeros((8, 8, 1), np.float32), np.full((8, 8, 1), 255, np.float32)])


def pictures(*files: bytes) -> dict[str, Any]:
    data = [base64.b64encode(file).decode() for file in files]
    return body(datatype="BYTES", shape=[len(data)], data=data)


def output(reply: httpx.Response, name: str) -> Any:
    assert reply.status_code == 200, reply.text
    (found,) = (one["data"] for one in reply.json()["outputs"] if one["name"] == name)
    return found


def refused(reply: httpx.Response, status: int, kind: str) -> str:
    """Return what a problem says, after a look at its form."""
    assert (reply.status_code, reply.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    )
    said = reply.json()
    assert (said["type"], said["status"]) == (kind, status)
    assert said["error"] == said["detail"]
    return said["error"]


@pytest.mark.usefixtures("networks")
def test_it_lives_is_ready_and_says_what_it_is(http: httpx.Client) -> None:
    assert http.get("/v2/health/live").json() == {"live": True}
    assert http.get("/v2/health/ready").json() == {"ready": True}
    said = http.get("/v2").json()
    assert said["name"] == "dicebox"
    assert said["extensions"] == ["binary_tensor_data"]


def test_a_model_is_described_by_dataset_by_version_and_by_id(
    http: httpx.Client, networks: list[str]
) -> None:
    champion, other = networks
    said = http.get("/v2/models/digits").json()
    assert said == {
        "name": "digits",
        "versions": [champion],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 8, 8, 1]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "category", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    assert http.get(f"/v2/models/digits/versions/{other}").json()["versions"] == [other]
    assert http.get(f"/v2/models/{other}").json()["versions"] == [other]
    for path in ("digits", f"digits/versions/{other}", other, f"{other}/versions/{other}"):
        assert http.get(f"/v2/models/{path}/ready").json()["ready"] is True


@pytest.mark.parametrize("path", ["cats", "0" * 64, "digits/versions/1", "0" * 64 + "/versions/1"])
@pytest.mark.usefixtures("networks")
def test_an_unknown_model_is_not_there(http: httpx.Client, path: str) -> None:
    for reply in (
        http.get(f"/v2/models/{path}"),
        http.get(f"/v2/models/{path}/ready"),
        http.post(f"/v2/models/{path}/infer", json=body()),
    ):
        assert reply.status_code == 404
        assert reply.json()["error"]


def test_pixels_are_asked_about_in_json(http: httpx.Client, networks: list[str]) -> None:
    reply = http.post(INFER, json={**body(), "id": "one"})
    said = reply.json()
    assert (said["model_name"], said["model_version"], said["id"]) == ("digits", networks[0], "one")
    assert output(reply, "category") == ["dark", "bright"]
    probabilities = np.array(output(reply, "probabilities")).reshape(2, 2)
    assert probabilities.argmax(axis=1).tolist() == [0, 1]
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])


def test_a_version_answers_itself(http: httpx.Client, networks: list[str]) -> None:
    for path in (f"digits/versions/{networks[1]}", networks[1]):
        reply = http.post(f"/v2/models/{path}/infer", json=body())
        assert reply.json()["model_version"] == networks[1]
        assert output(reply, "category") == ["dark", "dark"]


@pytest.mark.usefixtures("networks")
def test_pictures_go_through_the_same_decoder_as_everywhere(http: httpx.Client) -> None:
    files = [png_bytes((30, 20, 3), seed=seed) for seed in range(40)]
    files[7] = jpeg_bytes((9, 50, 3), orientation=6)
    said = output(http.post(INFER, json=pictures(*files)), "probabilities")
    for file, (dark, bright) in zip(files, np.reshape(said, (-1, 2)), strict=True):
        reply = http.post(f"{CLASSIFICATION}/classify?dataset=digits", content=file).json()
        alone = {one["category"]["name"]: one["probability"] for one in reply["answers"]}
        assert alone == pytest.approx({"dark": dark, "bright": bright}, abs=1e-5)


@pytest.mark.usefixtures("networks")
def test_tensors_come_and_go_as_bytes(http: httpx.Client) -> None:
    for kind, data, shape in (
        ("FP32", two().astype("<f4").tobytes(), [2, 8, 8, 1]),
        ("UINT8", two().astype(np.uint8).tobytes(), [2, 8, 8, 1]),
        ("BYTES", pack_bytes([png_bytes((8, 8, 1), seed=1)] * 2), [2]),
    ):
        tensor = {"name": "images", "shape": shape, "datatype": kind}
        tensor["parameters"] = {"binary_data_size": len(data)}
        request = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
        text = json.dumps(request).encode()
        reply = http.post(INFER, content=text + data, headers={LENGTH_HEADER: str(len(text))})
        assert reply.headers["Content-Type"] == "application/octet-stream"
        length = int(reply.headers[LENGTH_HEADER])
        said = json.loads(reply.content[:length])
        assert [one["name"] for one in said["outputs"]] == ["probabilities", "category"]
        found = np.frombuffer(reply.content, "<f4", 4, length).reshape(2, 2)
        assert found.sum(axis=1) == pytest.approx([1, 1])
        if kind != "BYTES":
            assert reply.content[length + 16 :] == pack_bytes([b"dark", b"bright"])


@pytest.mark.usefixtures("networks")
def test_what_is_wrong_with_a_request_is_said_as_error_too(http: httpx.Client) -> None:
    assert "images of the shape" in refused(
        http.post(INFER, json=body(np.zeros((1, 9, 8, 1)))), 400, "invalid-input"
    )
    refused(http.post(INFER, json=body(np.zeros((0, 8, 8, 1)))), 400, "invalid-input")
    refused(http.post(INFER, json=pictures(b"no picture")), 400, "not-an-image")
    refused(http.post(INFER, content=b"{"), 400, "invalid-input")
    refused(http.post(INFER, json=body(), headers={LENGTH_HEADER: "1"}), 400, "invalid-input")
    zipped = http.post(INFER, json=body(), headers={"Content-Encoding": "gzip"})
    refused(zipped, 415, "unsupported-media")
    late = http.post(INFER, json={**body(), "parameters": {"timeout": 1}})
    refused(late, 504, "deadline-passed")
    refused(http.get("/v2/repository/index"), 404, "not-found")
    elsewhere = http.get(f"{CLASSIFICATION}/nowhere")
    assert "error" not in elsewhere.json()


def test_where_a_canary_fails_the_champion_answers_in_its_own_words(tmp_path: Path) -> None:
    service = create_service(Settings(data=tmp_path))
    blobs = FileBlobs(tmp_path / "blobs")
    how = Preprocessing(shape=(4, 4, 1), resize="fit", decoder=DECODER)
    turned = [Category(id="c1", name="bright"), Category(id="c0", name="dark")]
    small = network_card(blobs, always(0, shape=(4, 4, 1)), preprocessing=how, categories=turned)
    with httpx.Client(
        transport=httpx.WSGITransport(service.app), base_url="http://localhost"
    ) as client:
        gallery = GalleryClient(Caller(client))
        champion, canary = (
            gallery.register(card) for card in (small, network_card(blobs, fails_on_grey(0)))
        )
        gallery.promote("digits", champion)
        gallery.try_out("digits", TrialRequest(network=canary, share=1.0))
        grey = picture(200)
        reply = client.post(INFER, json=pictures(grey, grey))
        assert output(reply, "category") == ["bright", "bright"]
        assert reply.json()["model_version"] == champion
        pixels = np.full((1, 8, 8, 1), 200, np.float32)
        refused(client.post(INFER, json=body(pixels)), 503, "failing-network")


def test_without_a_champion_there_is_no_model_and_one_that_is_damaged_is_not_ready(
    tmp_path: Path,
) -> None:
    service = create_service(Settings(data=tmp_path))
    blobs = FileBlobs(tmp_path / "blobs")
    categories = [Category(id=f"c{n}", name=f"name {n}") for n in range(2)]
    with httpx.Client(
        transport=httpx.WSGITransport(service.app), base_url="http://localhost"
    ) as client:
        refused(client.get("/v2/models/digits/ready"), 404, "unknown-model")
        gallery = GalleryClient(Caller(client, patience_s=0.01))
        card = network_card(blobs, always(0), categories=categories)
        network = gallery.register(card)
        gallery.promote("digits", network)
    (tmp_path / "blobs" / card.onnx.blob).write_bytes(b"no network")
    other = create_service(Settings(data=tmp_path))
    with httpx.Client(
        transport=httpx.WSGITransport(other.app), base_url="http://localhost"
    ) as client:
        refused(client.get("/v2/health/ready"), 503, "not-ready")
        refused(client.get("/v2/models/digits/ready"), 503, "damaged-network")
        assert client.get("/v2/health/live").status_code == 200


def test_dicebox_up_serves_the_protocol_at_the_same_place(tmp_path: Path) -> None:
    transport = httpx.WSGITransport(create_front(tmp_path, watch=False))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        assert client.get("/v2").json()["name"] == "dicebox"
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert client.get("/v2x").status_code == 404
        paths = client.get(f"{CLASSIFICATION}/openapi.json").json()["paths"]
        assert "/v2/models/{model}/infer" in paths

"""A client of Triton from its package, as it is, against a running classification service."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from classification_service.app import Settings, create_service
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from tests.builders import encoded, picture
from tests.dicebox_processes import until
from tests.onnx_builders import network_card
from tests.servers import free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a service whose champion of `digits` tells dark from bright."""
    data = tmp_path_factory.mktemp("data")
    app = create_service(Settings(data=data)).app
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://localhost") as http:
        gallery = GalleryClient(Caller(http))
        gallery.promote("digits", gallery.register(network_card(FileBlobs(data / "blobs"))))
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "classification_service"],
        env={
            **os.environ,
            "DICEBOX_DATA": str(data),
            "DICEBOX_PORT": address.partition(":")[2],
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            return httpx.get(f"http://{address}{CLASSIFICATION}/readyz").is_success
        except httpx.TransportError:
            return False

    try:
        until(answers)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20.0)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as client:
        yield client


def images() -> np.ndarray:
    return np.stack([np.zeros((8, 8, 1), np.float32), np.full((8, 8, 1), 255, np.float32)])


def asked(data: np.ndarray, kind: str, *, binary: bool) -> triton.InferInput:
    tensor = triton.InferInput("images", list(data.shape), kind)
    tensor.set_data_from_numpy(data, binary_data=binary)
    return tensor


def test_the_client_finds_server_and_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert not client.is_model_ready("cats")
    assert client.get_server_metadata()["name"] == "dicebox"
    model = client.get_model_metadata("digits")
    assert model["inputs"][0]["shape"] == [-1, 8, 8, 1]
    (version,) = model["versions"]
    assert client.is_model_ready("digits", version)


@pytest.mark.parametrize("kind", ["FP32", "UINT8"])
@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("answered", [True, False])
def test_the_client_asks_about_pixels_in_json_and_as_bytes(
    client: triton.InferenceServerClient, kind: str, sent: bool, answered: bool
) -> None:
    data = images().astype(np.float32 if kind == "FP32" else np.uint8)
    outputs = [
        triton.InferRequestedOutput(name, binary_data=answered)
        for name in ("category", "probabilities")
    ]
    tensor = asked(data, kind, binary=sent)
    result = client.infer("digits", [tensor], outputs=outputs, request_id="7")
    said = result.as_numpy("probabilities")
    assert (said.shape, said.argmax(axis=1).tolist()) == ((2, 2), [0, 1])
    names = [each.decode() if answered else each for each in result.as_numpy("category")]
    assert names == ["dark", "bright"]
    assert result.get_response()["id"] == "7"


def test_the_client_sends_files_of_pictures_and_takes_the_outputs_there_are(
    client: triton.InferenceServerClient,
) -> None:
    files = [encoded(picture((30, 20, 3), seed=seed), "JPEG") for seed in range(3)]
    data = np.array(files, dtype=object)
    result = client.infer("digits", [asked(data, "BYTES", binary=True)])
    assert result.as_numpy("probabilities").shape == (3, 2)
    assert set(result.as_numpy("category")) <= {b"dark", b"bright"}


def test_what_the_service_refuses_reaches_the_client_as_its_own_error(
    client: triton.InferenceServerClient,
) -> None:
    wrong = asked(np.zeros((1, 9, 8, 1), np.float32), "FP32", binary=True)
    with pytest.raises(InferenceServerException, match="expected images of the shape"):
        client.infer("digits", [wrong])
    with pytest.raises(InferenceServerException, match="there is no such model"):
        client.infer("cats", [asked(images(), "FP32", binary=True)])

"""The classification service through its real app, as clients see it."""

import io
import json
import struct
import zlib
from pathlib import Path

import httpx
import pytest
from PIL import Image

from classification_service.app import ClassificationService, Settings, create_service
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from commons.errors import ConflictError, InvalidInputError, NotFoundError, TooLargeError
from commons.messages import Category
from commons.network_card import Preprocessing, network_id
from tests.onnx_builders import always, network_card, npz_bytes, onnx_bytes, stored_file


def png(value: int = 255, size: tuple[int, int] = (8, 8), mode: str = "L", **options) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(file, "PNG", **options)
    return file.getvalue()


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
def service(tmp_path: Path) -> ClassificationService:
    return create_service(Settings(data=tmp_path))


@pytest.fixture
def http(service: ClassificationService) -> httpx.Client:
    with httpx.Client(
        transport=httpx.WSGITransport(service.app), base_url="http://localhost"
    ) as client:
        yield client


@pytest.fixture
def gallery(http: httpx.Client) -> GalleryClient:
    return GalleryClient(Caller(http, patience_s=0.01))


def names(answers) -> list[str]:
    return [answer.category.name for answer in answers]


# Answering


def test_the_champion_answers_with_its_categories_most_probable_first(gallery, blobs):
    network = gallery.register(network_card(blobs))
    gallery.promote("digits", network)
    answer = gallery.classify(png(255))
    assert names(answer.answers) == ["bright", "dark"]
    assert answer.answers[0].probability == pytest.approx(0.99966, abs=1e-4)
    assert (answer.network, answer.dataset) == (network, "digits")
    assert names(gallery.classify(png(0)).answers) == ["dark", "bright"]


def test_without_a_champion_the_service_is_ready_and_classify_says_no_network(gallery, http):
    assert http.get(f"{CLASSIFICATION}/readyz").status_code == 200
    assert gallery.champion("digits").network is None
    for dataset in (None, "digits"):
        with pytest.raises(ConflictError) as caught:
            gallery.classify(png(), dataset=dataset)
        assert caught.value.kind == "no-network"


def test_only_the_asked_number_of_categories_comes_back(gallery, blobs):
    categories = [Category(id=f"c{i}", name=f"category {i}") for i in range(5)]
    card = network_card(blobs, always(3, categories=5), categories=categories)
    gallery.promote("digits", gallery.register(card))
    assert names(gallery.classify(png(), top=2).answers) == ["category 3", "category 0"]
    assert len(gallery.classify(png(), top=99).answers) == 5


def test_zero_categories_are_refused(gallery, blobs):
    gallery.promote("digits", gallery.register(network_card(blobs)))
    with pytest.raises(InvalidInputError, match="top"):
        gallery.classify(png(), top=0)


def test_the_dataset_must_be_named_once_there_are_two_champions(gallery, blobs):
    for dataset in ("digits", "letters"):
        gallery.promote(dataset, gallery.register(network_card(blobs, dataset=dataset)))
    with pytest.raises(InvalidInputError, match="digits, letters"):
        gallery.classify(png())
    assert gallery.classify(png(), dataset="letters").dataset == "letters"


def test_a_network_can_be_asked_by_its_id_without_being_champion(gallery, blobs):
    network = gallery.register(network_card(blobs, always(0)))
    assert names(gallery.classify(png(255), network=network, top=1).answers) == ["dark"]


def test_an_unknown_network_is_not_found(gallery):
    with pytest.raises(NotFoundError):
        gallery.classify(png(), network="f" * 64)


def test_a_network_of_another_dataset_is_not_asked_by_mistake(gallery, blobs):
    network = gallery.register(network_card(blobs))
    with pytest.raises(InvalidInputError, match="digits"):
        gallery.classify(png(), dataset="letters", network=network)


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg/>", png(128, (40, 40))[:50], b"\x89PNG\r\n\x1a\n"],
    ids=["nothing", "no image", "truncated", "only a signature"],
)
def test_what_is_no_image_is_refused(gallery, blobs, data):
    gallery.promote("digits", gallery.register(network_card(blobs)))
    with pytest.raises(InvalidInputError) as caught:
        gallery.classify(data)
    assert caught.value.kind == "not-an-image"


def test_a_bomb_is_refused_by_its_header(gallery, blobs):
    gallery.promote("digits", gallery.register(network_card(blobs)))
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    bomb = png()[:12] + header + struct.pack(">I", zlib.crc32(header)) + png()[33:]
    with pytest.raises(TooLargeError, match="64,000,000 pixels"):
        gallery.classify(bomb)


def test_a_body_above_the_limit_is_refused(tmp_path):
    app = create_service(Settings(data=tmp_path, max_body_bytes=1000)).app
    reply = app.test_client().post(f"{CLASSIFICATION}/classify", data=b"x" * 1001)
    assert reply.status_code == 413
    assert reply.mimetype == "application/problem+json"


# What the network sees


def test_colour_size_and_transparency_become_what_the_network_was_trained_on(gallery, blobs):
    gallery.promote("digits", gallery.register(network_card(blobs)))
    file = io.BytesIO()
    Image.new("RGBA", (300, 200), (0, 0, 0, 0)).save(file, "PNG")
    assert names(gallery.classify(file.getvalue(), top=1).answers) == ["bright"]
    assert names(gallery.classify(png(10, (50, 20), "RGB"), top=1).answers) == ["dark"]


def test_a_picture_lying_on_its_side_is_turned_upright(gallery, blobs):
    # Looks at the top half only: weight on the first 32 of 64 pixels.
    weights = [[-16 / 64, 16 / 64]] * 32 + [[0.0, 0.0]] * 32
    card = network_card(blobs, onnx_bytes(weights=weights))
    gallery.promote("digits", gallery.register(card))
    image = Image.new("L", (8, 8), 0)
    image.paste(255, (0, 0, 4, 8))  # the left half is bright
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: left becomes top
    plain, turned = io.BytesIO(), io.BytesIO()
    image.save(plain, "PNG")
    image.save(turned, "PNG", exif=exif)
    brightness = [
        next(a.probability for a in gallery.classify(data).answers if a.category.name == "bright")
        for data in (plain.getvalue(), turned.getvalue())
    ]
    assert brightness[0] == pytest.approx(0.5)
    assert brightness[1] > 0.99


def test_a_colour_network_gets_three_channels_of_a_grey_picture(gallery, blobs):
    shape = (4, 6, 3)
    preprocessing = Preprocessing(shape=shape, resize="pad", decoder="pillow-2")
    card = network_card(blobs, onnx_bytes(shape), preprocessing=preprocessing)
    gallery.promote("digits", gallery.register(card))
    assert names(gallery.classify(png(255, (12, 8)), top=1).answers) == ["bright"]


# Registering


def test_registering_twice_is_once(http, gallery, blobs):
    card = network_card(blobs)
    replies = [
        http.post(f"{CLASSIFICATION}/networks", json=card.model_dump(mode="json")) for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [201, 200]
    assert replies[0].json() == replies[1].json() == {"network": network_id(card)}
    assert len(gallery.networks()) == 1


def _with(card, **preprocessing):
    return {"preprocessing": card.preprocessing.model_copy(update=preprocessing)}


FAULTS = {
    "decoder": (lambda card, _: _with(card, decoder="opencv-9"), "decoder"),
    "genome": (lambda card, _: {"genome_hash": "0" * 64}, "genome"),
    "shape": (lambda card, _: _with(card, shape=(9, 9, 1)), "refuses"),
    "channels": (lambda card, _: _with(card, shape=(8, 8, 2)), "1 or 3"),
    "too many categories": (
        lambda card, _: {"categories": [*card.categories, Category(id="c2", name="more")]},
        "gave the shape",
    ),
    "categories with one id": (
        lambda card, _: {"categories": [Category(id="c", name="a"), Category(id="c", name="b")]},
        "same id",
    ),
    "size": (lambda card, _: {"keras": card.keras.model_copy(update={"bytes": 7})}, "bytes"),
    "hash": (
        lambda card, _: {"weights": card.weights.model_copy(update={"sha256": "1" * 64})},
        "hash",
    ),
    "no onnx": (lambda _, blobs: {"onnx": stored_file(blobs, b"not onnx", "onnx")}, "load"),
    "no probabilities": (
        lambda _, blobs: {"onnx": stored_file(blobs, onnx_bytes(last="Identity"), "onnx")},
        "probabilities",
    ),
    "nan": (
        lambda _, blobs: {"onnx": stored_file(blobs, onnx_bytes(bias=[float("nan"), 0]), "onnx")},
        "probabilities",
    ),
    "fixed batch": (
        lambda _, blobs: {"onnx": stored_file(blobs, onnx_bytes(batch=1), "onnx")},
        "refuses",
    ),
    "dataset": (lambda *_: {"dataset": "../../etc"}, "name of a dataset"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_that_is_not_what_its_card_says_is_refused_and_not_stored(gallery, blobs, fault):
    change, reason = FAULTS[fault]
    card = network_card(blobs)
    with pytest.raises(InvalidInputError, match=reason) as caught:
        gallery.register(card.model_copy(update=change(card, blobs)))
    assert caught.value.kind == "damaged-network"
    assert gallery.networks() == []


def test_a_blob_name_that_leaves_the_blobs_is_refused(gallery, blobs):
    card = network_card(blobs)
    bad = card.model_copy(update={"onnx": card.onnx.model_copy(update={"blob": "../secret"})})
    with pytest.raises(InvalidInputError, match="blob name"):
        gallery.register(bad)


def test_what_is_no_card_is_refused_as_a_problem(http):
    for options in ({"content": b"{"}, {"json": {"dataset": "digits"}}, {"content": b""}):
        reply = http.post(f"{CLASSIFICATION}/networks", **options)
        assert reply.status_code == 400
        assert reply.headers["Content-Type"] == "application/problem+json"


# Looking and downloading


def test_the_gallery_says_which_network_is_the_champion(gallery, http, blobs):
    first = gallery.register(network_card(blobs, created=1.0))
    second = gallery.register(network_card(blobs, created=2.0))
    gallery.promote("digits", first)
    found = [(entry["network"], entry["champion"]) for entry in gallery.networks("digits")]
    assert found == [(second, False), (first, True)]
    assert gallery.networks("letters") == []
    one = http.get(f"{CLASSIFICATION}/networks/{first}").json()
    assert one["champion"]
    assert network_card(blobs, created=1.0).model_dump(mode="json") == one["card"]
    assert http.get(f"{CLASSIFICATION}/networks/beef").status_code == 404


def test_files_come_as_attachments_of_a_fixed_type(gallery, http, blobs):
    network = gallery.register(network_card(blobs))
    assert gallery.file(network, "weights") == npz_bytes()
    reply = http.get(f"{CLASSIFICATION}/networks/{network}/onnx")
    assert reply.content == onnx_bytes()
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Disposition"] == f"attachment; filename={network[:12]}.onnx"
    assert http.get(f"{CLASSIFICATION}/networks/{network}/passwd").status_code == 400
    assert http.get(f"{CLASSIFICATION}/networks/beef/onnx").status_code == 404


def test_a_file_that_was_damaged_is_never_handed_out(gallery, blobs, tmp_path):
    card = network_card(blobs)
    network = gallery.register(card)
    (tmp_path / "blobs" / card.keras.blob).write_bytes(b"another file")
    with pytest.raises(ConflictError) as caught:
        gallery.file(network, "keras")
    assert caught.value.kind == "damaged-network"


# Promoting


def test_promoting_changes_who_answers_without_a_restart(gallery, blobs):
    dark = gallery.register(network_card(blobs, always(0)))
    bright = gallery.register(network_card(blobs, always(1)))
    for network, expected in ((dark, "dark"), (bright, "bright"), (dark, "dark")):
        champion = gallery.promote("digits", network)
        assert champion.network == network == gallery.champion("digits").network
        answer = gallery.classify(png())
        assert (answer.network, answer.answers[0].category.name) == (network, expected)


def test_promoting_the_champion_again_changes_nothing(gallery, blobs):
    network = gallery.register(network_card(blobs))
    assert gallery.promote("digits", network) == gallery.promote("digits", network)


def test_the_champions_of_all_datasets_are_listed(gallery, http, blobs):
    network = gallery.register(network_card(blobs))
    assert http.get(f"{CLASSIFICATION}/champions").json() == {"champions": []}
    champion = gallery.promote("digits", network)
    listed = http.get(f"{CLASSIFICATION}/champions").json()
    assert listed == {"champions": [json.loads(champion.model_dump_json())]}


def test_an_unknown_network_or_one_of_another_dataset_is_not_promoted(gallery, blobs):
    with pytest.raises(NotFoundError):
        gallery.promote("digits", "a" * 64)
    with pytest.raises(ConflictError) as caught:
        gallery.promote("letters", gallery.register(network_card(blobs)))
    assert caught.value.kind == "other-dataset"
    assert gallery.champion("letters").network is None


def test_a_network_that_was_tampered_with_is_not_promoted_and_the_champion_goes_on(
    gallery, blobs, service, tmp_path
):
    old = gallery.register(network_card(blobs, always(0)))
    gallery.promote("digits", old)
    card = network_card(blobs, always(1))
    new = gallery.register(card)
    (tmp_path / "blobs" / card.onnx.blob).write_bytes(always(0))
    with pytest.raises(ConflictError) as caught:
        gallery.promote("digits", new)
    assert caught.value.kind == "damaged-network"
    assert gallery.champion("digits").network == old
    assert gallery.classify(png()).network == old


# The documentation


def test_the_interface_describes_itself(http):
    paths = http.get(f"{CLASSIFICATION}/openapi.json").json()["paths"]
    classify = paths[f"{CLASSIFICATION}/classify"]["post"]
    assert "image/png" in classify["requestBody"]["content"]
    assert {parameter["name"] for parameter in classify["parameters"]} == {
        "dataset",
        "network",
        "record",
        "top",
    }

"""Trials and rollbacks through the real app and its client."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from classification_service.app import ClassificationService, Settings, create_service
from commons.adapters.file_blobs import FileBlobs
from commons.adapters.services import CLASSIFICATION, Caller, GalleryClient
from commons.errors import ConflictError, NotFoundError
from commons.trial_messages import TrialRequest
from tests.dicebox_processes import until
from tests.onnx_builders import always, fails_on_grey, keras_bytes, network_card, stored_file
from tests.trial_builders import picture


@pytest.fixture
def service(tmp_path: Path) -> ClassificationService:
    return create_service(Settings(data=tmp_path))


@pytest.fixture
def http(service: ClassificationService) -> Iterator[httpx.Client]:
    transport = httpx.WSGITransport(service.app)
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def gallery(http: httpx.Client) -> GalleryClient:
    return GalleryClient(Caller(http, patience_s=0.01))


@pytest.fixture
def networks(gallery: GalleryClient, tmp_path: Path) -> list[str]:
    blobs = FileBlobs(tmp_path / "blobs")
    return [gallery.register(network_card(blobs, always(i), created=float(i))) for i in (0, 1)]


def test_a_rollback_in_one_call_and_its_history(gallery, networks) -> None:
    for network in networks:
        gallery.promote("digits", network)
    assert gallery.roll_back("digits", networks[1], "it sees ghosts").network == networks[0]
    with pytest.raises(ConflictError) as caught:
        gallery.roll_back("digits", networks[1])
    assert caught.value.kind == "other-champion"
    assert gallery.champion("digits").network == networks[0]
    kinds = [(event.kind, event.network) for event in gallery.history("digits")]
    assert kinds[0] == ("rollback", networks[0])
    assert [kind for kind, _ in kinds] == ["rollback", "promotion", "promotion"]
    assert gallery.history("digits")[0].reason == "it sees ghosts"


def test_a_rollback_needs_no_words(http, gallery, networks) -> None:
    for network in networks:
        gallery.promote("digits", network)
    reply = http.post(f"{CLASSIFICATION}/champions/digits/rollback", json={})
    assert (reply.status_code, reply.json()["network"]) == (200, networks[0])


def test_a_trial_is_begun_looked_at_and_stopped(gallery, networks) -> None:
    gallery.promote("digits", networks[0])
    begun = gallery.try_out("digits", TrialRequest(network=networks[1], share=0.5))
    assert (begun.state, begun.mode, begun.share) == ("running", "canary", 0.5)
    assert gallery.trials("digits") == [begun]
    assert gallery.stop_trial("digits").state == "stopped"
    with pytest.raises(NotFoundError):
        gallery.stop_trial("digits")


def test_a_canary_of_all_requests_answers_them(http, gallery, networks) -> None:

    gallery.promote("digits", networks[0])
    gallery.try_out("digits", TrialRequest(network=networks[1], share=1.0))
    assert gallery.classify(picture(7), "digits").network == networks[1]
    gallery.stop_trial("digits")
    assert gallery.classify(picture(7), "digits").network == networks[0]


def test_nobody_notices_a_bad_champion_and_it_is_rolled_back(
    service, gallery, networks, tmp_path
) -> None:
    good = networks[0]
    card = network_card(FileBlobs(tmp_path / "blobs"), fails_on_grey(1))
    broken = gallery.register(card)
    for network in (good, broken):
        gallery.promote("digits", network)
    assert {gallery.classify(picture(200), "digits").network for _ in range(60)} == {good}
    assert gallery.champion("digits").network == broken
    service.probation.step()
    assert gallery.champion("digits").network == good
    event = gallery.history("digits")[0]
    assert (event.undone, event.automatic) == (broken, True)
    assert str(event.reason).startswith("60 of 60 requests failed")


def test_nobody_notices_a_bad_canary_and_its_trial_ends(
    service, gallery, networks, tmp_path
) -> None:
    gallery.promote("digits", networks[0])
    broken = gallery.register(network_card(FileBlobs(tmp_path / "blobs"), fails_on_grey(1)))
    gallery.try_out("digits", TrialRequest(network=broken, share=1.0))
    assert {gallery.classify(picture(200), "digits").network for _ in range(60)} == {networks[0]}
    service.probation.step()
    assert gallery.trials("digits")[0].state == "failed"
    assert gallery.champion("digits").network == networks[0]


def test_a_shadow_is_asked_and_its_disagreements_are_counted(service, gallery, networks) -> None:
    gallery.promote("digits", networks[0])
    gallery.try_out("digits", TrialRequest(network=networks[1], mode="shadow"))
    for value in range(20):
        assert gallery.classify(picture(value), "digits").network == networks[0]

    def compared() -> int:
        service.probation.step()
        return gallery.trials("digits")[0].compared

    until(lambda: compared() == 20)
    assert gallery.trials("digits")[0].disagreed == 20


@pytest.mark.parametrize(
    "body", [{}, {"network": "Beef"}, {"network": "a" * 64, "share": 0.0}, {"mode": "coin"}]
)
def test_what_is_no_request_for_a_trial_is_refused(http, body) -> None:
    reply = http.post(f"{CLASSIFICATION}/champions/digits/trials", json=body)
    assert reply.status_code == 400
    assert reply.headers["Content-Type"] == "application/problem+json"


def test_a_keras_file_with_code_in_it_is_never_taken_in(http, gallery, tmp_path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    code = {"class_name": "Lambda", "module": "keras.layers", "config": {}}
    card = network_card(blobs, keras=stored_file(blobs, keras_bytes(code), "keras"))
    reply = http.post(f"{CLASSIFICATION}/networks", json=card.model_dump(mode="json"))
    assert (reply.status_code, reply.json()["type"]) == (400, "damaged-network")
    assert "code" in reply.json()["detail"]
    assert gallery.networks() == []

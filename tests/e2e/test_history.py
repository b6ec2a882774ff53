"""What `dicebox up` records: it outlives the house, and corrections come around to the dataset."""

import json

import pytest

from dicebox.client import Client
from tests.builders import png_bytes
from tests.dicebox_processes import Dicebox, ended, until
from tests.unit.test_dicebox_command import publish

pytestmark = pytest.mark.e2e
PICTURES = 30


def test_a_house_records_what_it_answers_and_sends_what_is_corrected(dicebox: Dicebox) -> None:
    network = publish(dicebox.data, dataset="pets")
    process, url = dicebox.up()
    with Client(url) as client:
        first = client.gallery.classify(png_bytes(seed=0))
        assert client.history.get(first.id).network == network
        assert client.history.correct(first.id, "dark").state == "waiting"
        until(lambda: client.history.get(first.id).correction.state == "sent")
        (event,) = client.sensory.history("pets", first.image).events
        assert (event.category.name, event.who) == ("dark", "classification")
        others = [client.gallery.classify(png_bytes(seed=n)) for n in range(1, PICTURES)]
    process.terminate()
    assert ended(process).code in (0, 143)
    listed = dicebox.run("history", "list", "--limit", 100, "--json").json["classifications"]
    assert [one["id"] for one in listed] == [said.id for said in [first, *others]][::-1]


def test_a_house_records_as_much_as_it_is_told_to(dicebox: Dicebox) -> None:
    publish(dicebox.data)
    process = dicebox.start("up", "--port", 0, "--json", DICEBOX_RECORD_SHARE="0")
    with Client(json.loads(process.stdout.readline())["url"]) as client:
        assert client.gallery.classify(png_bytes()).id is None
        assert list(client.history.list()) == []

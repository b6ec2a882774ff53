"""`dicebox networks`: who answers, and who shall, from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from commons.adapters.file_blobs import FileBlobs
from commons.errors import ConflictError, DiceboxError
from dicebox.command import dicebox
from dicebox.connect import Place, connect
from tests.onnx_builders import always, network_card


class Shell:
    """Calls `dicebox networks` on a data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *arguments: str) -> str:
        result = self.result(*arguments)
        if result.exception is not None:
            raise result.exception
        return result.stdout

    def result(self, *arguments: str) -> Result:
        return CliRunner().invoke(dicebox, ["--data", str(self.data), "networks", *arguments])

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


@pytest.fixture
def published(shell: Shell) -> list[str]:
    """Give three networks for digits, of which the first and then the second were promoted."""
    blobs = FileBlobs(shell.data / "blobs")
    cards = [network_card(blobs, always(i % 2), created=float(i)) for i in range(3)]
    with connect(Place(shell.data)) as client:
        networks = [client.gallery.register(card) for card in cards]
        for network in networks[:2]:
            client.gallery.promote("digits", network)
    return networks


def test_promoting_and_going_back_and_one_further_back(shell, published) -> None:
    assert "answers for digits from now on" in shell("promote", published[2][:12])
    said = shell("rollback", "digits", "--reason", "it sees ghosts")
    assert said == f"network {published[1][:12]} answers for digits again\n"
    assert shell.json("rollback", "digits")["network"] == published[0]
    with pytest.raises(ConflictError, match="no network answered for digits before"):
        shell("rollback", "digits")
    listed = json.loads(shell.result("--json").stdout)["networks"]
    assert [one["network"] for one in listed if one["champion"]] == [published[0]]
    lines = shell("history", "digits").splitlines()
    assert f"rollback of {published[1][:12]}" in lines[1]
    assert f"rollback of {published[2][:12]}: it sees ghosts" in lines[2]
    assert [line.split()[-1] for line in lines[3:]] == ["promoted"] * 3


def test_a_canary_is_put_on_trial_listed_and_stopped(shell, published) -> None:
    said = shell("try", published[2][:12], "--share", "0.25", "--no-promote")
    assert said == f"network {published[2][:12]}: answers 25 % of the requests\n"
    trial = shell.json("trials", "digits")["trials"][0]
    assert (trial["mode"], trial["share"], trial["promote"]) == ("canary", 0.25, False)
    assert "no longer on trial" in shell("stop", "digits")
    assert "stopped" in shell("trials", "digits")


def test_a_shadow_is_asked_about_every_request_unless_it_is_said_otherwise(
    shell, published
) -> None:
    assert "is asked too for 100 %" in shell("try", published[2], "--mode", "shadow")


def test_where_nobody_answers_a_network_on_trial_is_promoted(shell) -> None:
    card = network_card(FileBlobs(shell.data / "blobs"), dataset="pets")
    with connect(Place(shell.data)) as client:
        network = client.gallery.register(card)
    assert "promoted: nobody answered" in shell("try", network, "--mode", "check")


def test_where_nothing_happened_yet_it_says_so(shell) -> None:
    with connect(Place(shell.data)):
        pass
    assert "No trial yet" in shell("trials", "digits")
    assert "Nobody has answered for digits" in shell("history", "digits")


@pytest.mark.parametrize(
    "arguments",
    [
        ["try", "0123456789", "--mode", "check", "--share", "0.5"],
        ["try", "0123456789", "--mode", "check", "--no-promote"],
        ["try", "0123456789", "--share", "2"],
        ["try", "0123456789", "--mode", "coin"],
        ["--dataset", "digits", "rollback", "digits"],
        ["rollback"],
        ["rollback", "No Name"],
    ],
)
def test_what_cannot_be_meant_is_bad_usage(shell, arguments) -> None:
    assert shell.result(*arguments).exit_code == 2


def test_an_unknown_network_is_told(shell, published) -> None:
    with pytest.raises(DiceboxError, match="no network"):
        shell("promote", "0000000000")


def test_a_network_is_named_and_then_called_so_everywhere(shell, published) -> None:
    said = shell("name", published[2][:12], "best")
    assert said == f"network {published[2][:12]} is called best from now on\n"
    assert "best" in next(line for line in shell().splitlines() if published[2][:12] in line)
    assert f"network {published[2][:12]} answers for digits" in shell("promote", "best")
    with pytest.raises(ConflictError, match=f"{published[2]} has the name best"):
        shell("name", published[0], "best")
    assert shell.json("name", published[0], "best", "--move")["network"] == published[0]
    assert shell("try", "best").startswith(f"network {published[0][:12]}")
    assert "has no name any more" in shell("name", "best", "--remove")
    with pytest.raises(DiceboxError, match="there is no network best"):
        shell("promote", "best")


@pytest.mark.parametrize("arguments", [[], ["best", "--remove"], ["--remove", "--move"]])
def test_a_name_is_given_or_removed_and_not_both(shell, published, arguments) -> None:
    result = shell.result("name", published[0], *arguments)
    assert result.exit_code == 2
    assert "give NAME" in result.output

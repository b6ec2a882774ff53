"""What a worker of the fleet makes of its environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from commons.adapters.machine import usable_cores
from commons.errors import InvalidInputError
from commons.settings import settings_from_env
from trainer.worker_process import Settings, create_engine, with_bare_names

URL = "amqp://somebody:secret@host:5672/%2F"


def settings(**environ: str) -> Settings:
    return settings_from_env(Settings, with_bare_names(environ))


def test_settings_have_long_and_bare_names_and_files(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(URL + "\n")
    for name in ("BROKER_URL_FILE", "DICEBOX_BROKER_URL_FILE"):
        assert settings(**{name: str(file)}).broker_url.get_secret_value() == URL
    for name in ("BROKER_URL", "DICEBOX_BROKER_URL"):
        found = settings(**{name: URL, "SLOTS": "3", "GRACE_S": "2.5"})
        assert (found.broker_url.get_secret_value(), found.slots, found.grace_s) == (URL, 3, 2.5)


def test_a_long_name_goes_before_a_bare_one(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(URL)
    found = settings(BROKER_URL="amqp://bare", DICEBOX_BROKER_URL_FILE=str(file))
    assert found.broker_url.get_secret_value() == URL


def test_a_fault_is_said_and_the_address_kept_secret() -> None:
    with pytest.raises(InvalidInputError, match="DICEBOX_SLOTS") as raised:
        settings(BROKER_URL=URL, SLOTS="0", KIND="tpu")
    assert "DICEBOX_KIND" in str(raised.value)
    assert "secret" not in repr(settings(BROKER_URL=URL))


def test_slots_are_the_cores_or_as_said() -> None:
    assert create_engine(settings(BROKER_URL=URL, KIND="cpu")).capacity() == usable_cores()
    assert create_engine(settings(BROKER_URL=URL, SLOTS="5")).capacity() == 5


def test_a_card_has_at_most_four_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert create_engine(settings(BROKER_URL=URL)).capacity() == min(4, usable_cores())
    assert create_engine(settings(BROKER_URL=URL, KIND="cpu")).capacity() == usable_cores()


def test_without_its_extra_a_worker_says_what_is_missing() -> None:
    script = (
        "import runpy, sys\n"
        "sys.modules['celery'] = None\n"
        "runpy.run_module('trainer.worker', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "a worker needs the extra dicebox[cluster]: celery" in done.stderr

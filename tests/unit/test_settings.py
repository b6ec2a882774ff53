"""Settings from the environment: secrets in files, bare names, and every fault in one line."""

from pathlib import Path

import pytest
from pydantic import Field, SecretStr

import commons.settings
from commons.errors import InvalidInputError
from commons.settings import settings_from_env


class Settings(commons.settings.Settings):
    """Some of each kind."""

    database_url: str | None = None
    key: SecretStr | None = None
    port: int = Field(default=1, ge=1)
    needed: str = "default"


class Needing(Settings):
    """One without which nothing begins."""

    broker_url: SecretStr


def said(*wanted: str, settings: type[Settings] = Settings, **environ: object) -> str:
    """Return what is said of a wrong environment."""
    told = {name: str(value) for name, value in environ.items()}
    with pytest.raises(InvalidInputError) as raised:
        settings_from_env(settings, told)
    message = str(raised.value)
    assert "\n" not in message
    assert all(word in message for word in wanted), message
    return message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a file for a secret."""
    return tmp_path / "secret"


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\n\n"])
def test_an_empty_secret_is_a_fault_and_no_setting(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    message = said(DICEBOX_DATABASE_URL_FILE=file)
    assert message == f"DICEBOX_DATABASE_URL_FILE: {file} is empty"


def test_a_secret_that_cannot_be_read_is_named_with_its_reason(file: Path) -> None:
    said(f"DICEBOX_KEY_FILE: cannot read {file}: No such file", DICEBOX_KEY_FILE=file)
    said(f"cannot read {file.parent}: Is a directory", DICEBOX_KEY_FILE=file.parent)
    file.write_bytes(b"\xff\xfe\x00secret")
    message = said(f"DICEBOX_KEY_FILE: {file} is no text in UTF-8", DICEBOX_KEY_FILE=file)
    assert "secret" not in message.replace(str(file), "")


def test_all_faults_are_said_at_once_and_each_of_them_once(file: Path) -> None:
    file.write_bytes(b"")
    message = said(
        "DICEBOX_PORT: ",
        settings=Needing,
        DICEBOX_PORT="0",
        DICEBOX_BROKER_URL_FILE=file,
        DICEBOX_BARE_NAMES="perhaps",
    )
    assert message.count("DICEBOX_BROKER_URL") == 1
    assert "DICEBOX_BARE_NAMES: expected yes or no, got 'perhaps'" in message


@pytest.mark.parametrize("word", ["yes", "true", "1", "on"])
def test_where_it_was_said_settings_have_bare_names_too(file: Path, word: str) -> None:
    file.write_text("postgresql://host/name\n")
    environ = {"DATABASE_URL_FILE": str(file), "PORT": "5", "DICEBOX_NEEDED": "long"}
    found = settings_from_env(Settings, {**environ, "NEEDED": "bare", "DICEBOX_BARE_NAMES": word})
    assert found == Settings(database_url="postgresql://host/name", port=5, needed="long")


@pytest.mark.parametrize("said_so", [{}, {"DICEBOX_BARE_NAMES": "no"}, {"DICEBOX_BARE_NAMES": ""}])
def test_elsewhere_a_bare_name_is_somebody_elses(said_so: dict[str, str]) -> None:
    assert settings_from_env(Settings, {"PORT": "5", **said_so}) == Settings()


def test_a_long_name_goes_before_a_bare_one_in_either_form(file: Path) -> None:
    file.write_text("from the file")
    bare = {"DICEBOX_BARE_NAMES": "yes", "NEEDED": "bare", "NEEDED_FILE": "/nowhere"}
    for long in ({"DICEBOX_NEEDED": "from the file"}, {"DICEBOX_NEEDED_FILE": str(file)}):
        assert settings_from_env(Settings, {**bare, **long}).needed == "from the file"


def test_of_a_value_and_a_file_the_value_counts(file: Path) -> None:
    environ = {"DICEBOX_NEEDED": "value", "DICEBOX_NEEDED_FILE": str(file)}
    assert settings_from_env(Settings, environ).needed == "value"


def test_a_fault_by_a_bare_name_is_said_by_the_long_one() -> None:
    said("DICEBOX_PORT: ", DICEBOX_BARE_NAMES="yes", PORT="none")

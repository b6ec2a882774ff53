"""Settings from the environment: parsed once, all faults named at once."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from commons.errors import InvalidInputError


def _parsed(value: object) -> object:
    """Return what a JSON text says; what is no text is a value already."""
    return json.loads(value) if isinstance(value, str) else value


Value = TypeVar("Value")
# A setting of more than one value, which the environment gives as JSON.
FromJson = Annotated[Value, BeforeValidator(_parsed)]
# What may hold a secret is not repeated to whoever reads the message.
_SECRET = ("KEY", "PASSWORD", "SECRET", "DATABASE_URL", "BROKER_URL")
# Says that settings may be called by their bare names too; the images do.
_BARE_NAMES = "BARE_NAMES"
_FILE = "_FILE"


class Settings(BaseModel):
    """Base of every service's settings: frozen, and nothing unknown slips in."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


SettingsType = TypeVar("SettingsType", bound=Settings)


def settings_from_env(
    settings: type[SettingsType], environ: Mapping[str, str], prefix: str = "DICEBOX_"
) -> SettingsType:
    """Return settings read from `PREFIX_NAME`, or from the file that `PREFIX_NAME_FILE` names.

    Where `PREFIX_BARE_NAMES` is `yes`, `NAME` and `NAME_FILE` count for what is not set so.

    Raises:
        InvalidInputError: One message that lists every fault.
    """
    values: dict[str, str] = {}
    faults: list[str] = []
    unread: set[str] = set()
    try:
        if _are_bare(environ, prefix):
            environ = with_bare_names(environ, settings.model_fields, prefix)
    except ValueError as error:
        faults.append(str(error))
    for field in settings.model_fields:
        name = prefix + field.upper()
        try:
            value = _value(name, environ)
        except OSError as error:
            faults.append(f"{name}_FILE: cannot read {error.filename}: {error.strerror}")
            unread.add(field)
        except ValueError as error:
            faults.append(f"{name}_FILE: {error}")
            unread.add(field)
        else:
            if value is not None:
                values[field] = value
    try:
        result = settings(**values)
    except ValidationError as error:
        # Of what could not be read, more than that is not known.
        known = [fault for fault in error.errors() if unread.isdisjoint(fault["loc"])]
        faults += [_describe(fault, prefix) for fault in known]
    if faults:
        raise InvalidInputError("; ".join(faults), kind="invalid-settings")
    return result


def with_bare_names(
    environ: Mapping[str, str], fields: Iterable[str], prefix: str = "DICEBOX_"
) -> dict[str, str]:
    """Return an environment in which these settings by their bare names have long names too.

    What has its long name already, or a file by it, keeps that.
    """
    found = dict(environ)
    for field in fields:
        bare, long = field.upper(), prefix + field.upper()
        if long in environ or long + _FILE in environ:
            continue
        for end in ("", _FILE):
            if bare + end in environ:
                found[long + end] = environ[bare + end]
    return found


def secret_text(file: str) -> str:
    """Return what a file of one value holds, without the space around it.

    Raises:
        OSError: It cannot be read.
        ValueError: It is empty, or no text.
    """
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text in UTF-8") from error
    if not text:
        raise ValueError(f"{file} is empty")
    return text


def _are_bare(environ: Mapping[str, str], prefix: str) -> bool:
    name = prefix + _BARE_NAMES
    said = environ.get(name) if prefix else None
    try:
        return TypeAdapter(bool).validate_python(said) if said else False
    except ValidationError as error:
        raise ValueError(f"{name}: expected yes or no, got {said!r}") from error


def _describe(fault: ErrorDetails, prefix: str) -> str:
    name = prefix + "_".join(str(part) for part in fault["loc"]).upper()
    if fault["type"] == "missing":
        return f"{name}: is not set"
    message = fault["msg"].removeprefix("Value error, ")
    if any(word in name for word in _SECRET):
        return f"{name}: {message}"
    return f"{name}: {message}, got {fault['input']!r}"


def _value(name: str, environ: Mapping[str, str]) -> str | None:
    if name in environ:
        return environ[name]
    file = environ.get(name + _FILE)
    return secret_text(file) if file else None

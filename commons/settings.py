"""Settings from the environment: parsed once, all faults named at once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
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


class Settings(BaseModel):
    """Base of every service's settings: frozen, and nothing unknown slips in."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


SettingsType = TypeVar("SettingsType", bound=Settings)


def settings_from_env(
    settings: type[SettingsType], environ: Mapping[str, str], prefix: str = "DICEBOX_"
) -> SettingsType:
    """Return settings read from `PREFIX_NAME`, or from the file that `PREFIX_NAME_FILE` names.

    Raises:
        InvalidInputError: One message that lists every fault.
    """
    values: dict[str, str] = {}
    faults: list[str] = []
    for field in settings.model_fields:
        name = prefix + field.upper()
        try:
            value = _value(name, environ)
        except OSError as error:
            faults.append(f"{name}_FILE: cannot read {error.filename}: {error.strerror}")
            continue
        if value is not None:
            values[field] = value
    try:
        result = settings(**values)
    except ValidationError as error:
        faults += [_describe(fault, prefix) for fault in error.errors()]
    if faults:
        raise InvalidInputError("; ".join(faults), kind="invalid-settings")
    return result


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
    file = environ.get(f"{name}_FILE")
    return Path(file).read_text(encoding="utf-8").strip() if file else None

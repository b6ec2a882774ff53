"""Settings from the environment: parsed once, all faults named at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from commons.errors import InvalidInputError


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
    return f"{name}: {fault['msg']}, got {fault['input']!r}"


def _value(name: str, environ: Mapping[str, str]) -> str | None:
    if name in environ:
        return environ[name]
    file = environ.get(f"{name}_FILE")
    return Path(file).read_text(encoding="utf-8").strip() if file else None

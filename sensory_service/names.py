"""Names that people give: text everywhere, checked once, and never a path."""

import unicodedata
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from commons.errors import InvalidInputError
from commons.messages import CategoryName, DatasetName

_DATASET = TypeAdapter[str](DatasetName)
_CATEGORY = TypeAdapter[str](CategoryName)
Value = TypeVar("Value")


def dataset_name(name: str) -> str:
    """Return the name of a dataset.

    Raises:
        InvalidInputError: It is not one.
    """
    return _checked(
        _DATASET, name, "dataset name of small letters, digits, - and _, at most 63 long"
    )


def category_name(name: str) -> str:
    """Return the name of a category in its one form.

    Raises:
        InvalidInputError: It is empty, too long or could be taken for a path.
    """
    # The same name typed on a Mac and read from a Linux folder is one category.
    text = unicodedata.normalize("NFC", name)
    expected = "category name of 1 to 120 characters without slashes and control characters"
    return _checked(_CATEGORY, text, expected)


def _checked(adapter: TypeAdapter[Value], value: object, expected: str) -> Value:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        message = f"expected a {expected}, got {str(value)[:100]!r}"
        raise InvalidInputError(message, kind="invalid-name") from error

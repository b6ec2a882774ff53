"""From a request to what is asked, and what it is told when it asks nothing that there is."""

import math

import pytest
from pydantic import ValidationError

from classification_service.asking import Ask, ask_of, deadline, is_form
from commons.errors import InvalidInputError, UnsupportedMediaError


def test_a_query_says_who_is_asked():
    assert ask_of("") == Ask(None, None, 3)
    assert ask_of("dataset=digits&network=" + "a" * 64 + "&top=10") == Ask("digits", "a" * 64, 10)
    assert ask_of("dataset=a%2Bb&dataset=second").dataset == "a+b"


@pytest.mark.parametrize("query", ["top=0", "top=1001", "top=", "top=x", "datset=digits"])
def test_a_query_that_says_something_else_is_refused(query):
    with pytest.raises(ValidationError):
        ask_of(query)


def test_a_deadline_is_milliseconds_from_now():
    assert deadline("250", now=100.0) == 100.25
    assert deadline(None, now=100.0) == math.inf


@pytest.mark.parametrize("text", ["0", "-1", "soon", "", "nan", "inf", "1e99"])
def test_a_deadline_that_is_none_is_refused(text):
    with pytest.raises(InvalidInputError, match="X-Request-Timeout-Ms"):
        deadline(text, now=0.0)


@pytest.mark.parametrize(
    "kind",
    [
        *("", "image/png", "IMAGE/JPEG", "image/x-unheard-of", "application/octet-stream"),
        "application/x-www-form-urlencoded",
    ],
)
def test_an_image_may_come_as_any_of_these(kind):
    assert not is_form(kind)


def test_a_form_is_known_by_its_kind():
    assert is_form("multipart/form-data; boundary=xyz")


@pytest.mark.parametrize("kind", ["text/html", "application/json", "multipart/mixed; boundary=x"])
def test_what_is_no_image_by_its_own_word_is_refused(kind):
    with pytest.raises(UnsupportedMediaError, match=kind.partition(";")[0]):
        is_form(kind)

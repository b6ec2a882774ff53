"""Who is let in to wait, and what the others are told."""

import pytest

from classification_service.admission import Admission
from commons.errors import UnavailableError


def test_more_than_may_wait_are_refused_until_some_have_left():
    admission = Admission(2)
    admission.enter()
    admission.enter()
    with pytest.raises(UnavailableError) as caught:
        admission.enter()
    assert caught.value.kind == "overloaded"
    admission.leave()
    admission.enter()
    assert admission.inside == 2


def test_when_to_come_again_is_computed_from_the_measured_rate():
    admission = Admission(40, lanes=2)
    admission.learn(10, 1.0)  # a tenth of a second each
    admission.enter(40)
    with pytest.raises(UnavailableError) as caught:
        admission.enter()
    assert caught.value.retry_after_s == pytest.approx(40 * 0.1 / 2)


def test_the_rate_follows_what_is_measured():
    admission = Admission(10)
    for _ in range(100):
        admission.learn(1, 1.0)
    for _ in range(100):
        admission.learn(4, 4 * 0.01)
    admission.enter(10)
    with pytest.raises(UnavailableError) as caught:
        admission.enter()
    assert caught.value.retry_after_s == pytest.approx(0.1, rel=0.1)


def test_whoever_would_wait_too_long_is_refused_though_there_is_room():
    admission = Admission(1000, most_wait_s=1.0)
    admission.learn(1, 0.3)
    for _ in range(4):
        admission.enter()
    with pytest.raises(UnavailableError):
        admission.enter()


def test_an_empty_queue_takes_any_number():
    admission = Admission(4)
    admission.enter(100)
    with pytest.raises(UnavailableError):
        admission.enter()

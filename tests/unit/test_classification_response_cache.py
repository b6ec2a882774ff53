"""Remembered answers: of the same network alone, and only so many."""

import numpy as np

from classification_service.response_cache import ResponseCache

SAID = np.array([0.9, 0.1], np.float32)


def test_an_answer_is_remembered_for_its_network_and_image():
    cache = ResponseCache(10)
    cache.put(("network", "image"), SAID)
    assert cache.get(("network", "image")) is SAID
    for other in (("other", "image"), ("network", "other")):
        assert cache.get(other) is None


def test_what_was_asked_for_longest_ago_is_forgotten_first():
    cache = ResponseCache(2)
    for name in "ab":
        cache.put((name, name), SAID)
    cache.get(("a", "a"))
    cache.put(("c", "c"), SAID)
    assert cache.get(("b", "b")) is None
    assert cache.get(("a", "a")) is cache.get(("c", "c")) is SAID


def test_a_cache_that_is_off_remembers_nothing():
    cache = ResponseCache(0)
    cache.put(("a", "a"), SAID)
    assert not cache.is_on
    assert cache.get(("a", "a")) is None

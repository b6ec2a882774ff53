"""Remembered verdicts: of the same network alone, and only so many."""

from classification_service.response_cache import ResponseCache

VERDICT = [(0, 0.9), (1, 0.1)]


def test_a_verdict_is_remembered_for_its_network_image_and_question():
    cache = ResponseCache(10)
    cache.put(("network", "image", 3), VERDICT)
    assert cache.get(("network", "image", 3)) == VERDICT
    for other in (("other", "image", 3), ("network", "other", 3), ("network", "image", 2)):
        assert cache.get(other) is None


def test_what_was_asked_for_longest_ago_is_forgotten_first():
    cache = ResponseCache(2)
    for name in "ab":
        cache.put((name, name, 1), VERDICT)
    cache.get(("a", "a", 1))
    cache.put(("c", "c", 1), VERDICT)
    assert cache.get(("b", "b", 1)) is None
    assert cache.get(("a", "a", 1)) == cache.get(("c", "c", 1)) == VERDICT


def test_a_cache_that_is_off_remembers_nothing():
    cache = ResponseCache(0)
    cache.put(("a", "a", 1), VERDICT)
    assert not cache.is_on
    assert cache.get(("a", "a", 1)) is None

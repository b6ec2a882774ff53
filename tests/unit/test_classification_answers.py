"""Answers are written by hand, and say what the message says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classification_service.answers import Spent, answer_json, are_numbers, ranked, wording
from commons.messages import Answer, Category, Classification, Timing

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\\\x7f", min_codepoint=32)).map(
    lambda text: f"x{text}"[:120].strip()
)
PROBABILITIES = st.floats(0.0, 1.0, width=32)
SECONDS = st.floats(0.0, 1000.0).map(lambda seconds: round(seconds, 7))


@given(
    names=st.lists(NAMES, min_size=2, max_size=6),
    dataset=st.text(max_size=20),
    chosen=st.lists(st.tuples(st.integers(0, 1), PROBABILITIES), max_size=5),
    seconds=st.tuples(SECONDS, SECONDS, SECONDS),
    batch=st.integers(0, 100),
    recorded=st.none() | st.text(max_size=30),
)
def test_an_answer_is_the_message_as_json(names, dataset, chosen, seconds, batch, recorded):
    categories = [Category(id=f"c{i}", name=name) for i, name in enumerate(names)]
    said = answer_json(
        wording("f" * 64, dataset, categories), "a" * 64, chosen, Spent(*seconds, batch), recorded
    )
    message = Classification.model_validate_json(said)
    queue_s, decode_s, infer_s = seconds
    assert message.seconds == pytest.approx(decode_s + infer_s, abs=1e-6)
    assert message == Classification(
        image="a" * 64,
        dataset=dataset,
        network="f" * 64,
        answers=[Answer(category=categories[i], probability=p) for i, p in chosen],
        seconds=message.seconds,
        id=recorded,
        timing=Timing(queue_s=queue_s, decode_s=decode_s, infer_s=infer_s, batch=batch),
    )


def test_the_most_probable_come_first_and_equals_keep_their_order():
    probabilities = np.array([[0.2, 0.5, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]], np.float32)
    first, second = ranked(probabilities, 3)
    assert [index for index, _ in first] == [1, 0, 2]
    assert [index for index, _ in second] == [0, 1, 2]
    assert first[0][1] == 0.5
    assert [len(row) for row in ranked(probabilities, 99)] == [4, 4]


@pytest.mark.parametrize("categories", [2, 40, 41, 1000])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_seen_wherever_it_stands(categories, value):
    probabilities = np.zeros((3, categories), np.float32)
    assert are_numbers(probabilities)
    for place in (0, categories - 1):
        probabilities[1, place] = value
        assert not are_numbers(probabilities)
        probabilities[1, place] = 0.0

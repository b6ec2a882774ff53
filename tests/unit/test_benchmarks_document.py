from typing import Any

import pytest

from benchmarks.document import filled
from benchmarks.frame import surroundings
from benchmarks.rows import Row, at_least

PAGE = (
    "# Title\n\n<!-- one.json -->\nold\n<!-- end -->\n\nWords.\n\n<!-- two.json -->\n<!-- end -->\n"
)


def report(row: Row, quick: bool = False) -> dict[str, Any]:
    return {"rows": [row.as_json()], **surroundings("sample", quick)}


def test_a_page_holds_what_the_reports_say() -> None:
    reports = {
        "one.json": report(Row("accuracy", "%", 98.0, 97.0, "random", at_least(98.5))),
        "two.json": report(Row("start", "s", 2.5), quick=True),
    }
    page = filled(PAGE, reports.__getitem__)
    assert "old" not in page
    assert "Words." in page
    assert "| accuracy | 98 % | 97 (random) | 1.01 | ≥ 98.5 | **no** |" in page
    assert "| start | 2.5 s |  |  |" in page
    assert page.count("a look, not a measurement") == 1
    assert filled(page, reports.__getitem__) == page


def test_a_report_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled(PAGE, {}.__getitem__)

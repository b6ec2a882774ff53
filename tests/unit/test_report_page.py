"""The page of a report: whole, strict, and the same for the same run."""

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import pytest

from commons.messages import RunProgress
from dicebox.report.confusion import Judgement, confusion, worst
from dicebox.report.examination import Examination, Mistake
from dicebox.report.gather import RunFacts
from dicebox.report.page import render
from dicebox.report.svg import inline_svg
from tests.report_builders import bred, evaluation, facts, individual

HOSTILE = "<script>alert(1)</script>\"'><img src=http://evil.example/x onerror=alert(1)>"
NAMES = ["dark", HOSTILE, "$x_1$"]


class Elements(HTMLParser):
    """Lists the elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page(of: RunFacts) -> str:
    return render(of, made=1_700_000_100.0, version="0.1.0")


def examined(names: list[str] = NAMES, gone: int = 0) -> RunFacts:
    judged = [Judgement(f"{n:064x}", n % 3, (n + n // 9) % 3, 0.8, 0.2) for n in range(12)]
    mistakes = [
        Mistake(one, names[one.category], names[one.answer], b"RIFF" if i else None)
        for i, one in enumerate(worst(judged, 3))
    ]
    of = Examination(270, gone, confusion(names, judged), mistakes, 0.5)
    return dataclasses.replace(facts(), examination=of)


@pytest.fixture(scope="module")
def full() -> str:
    return page(examined())


def test_the_policy_allows_pictures_of_the_page_and_its_own_style_alone(full: str) -> None:
    elements = Elements(full)
    (policy,) = [m["content"] for m in elements.named("meta") if m.get("http-equiv")]
    (style,) = re.findall(r"<style>(.*?)</style>", full, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )


def test_nothing_is_fetched_and_nothing_runs(full: str) -> None:
    elements = Elements(full)
    assert elements.named("script") == []
    for tag, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href", "srcset", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
    assert "url(http" not in full
    assert "@import" not in full


def test_names_of_categories_are_text_wherever_they_stand(full: str) -> None:
    assert "<script" not in full
    assert "evil.example/x onerror" in full  # as text
    assert HOSTILE not in full
    pictures = Elements(full).named("img")
    assert len(pictures) == 2
    assert any(HOSTILE in (one["alt"] or "") for one in pictures)


def test_words_of_the_journal_are_text_in_pictures_and_tables() -> None:
    population = [
        individual(1, evaluation("1", 0.5, worker=HOSTILE), operator=HOSTILE),
        individual(2, evaluation("1", None, reason=HOSTILE, outcome=HOSTILE), operator="seed"),
        individual(3, evaluation("1", 0.6), operator="add-layer", parents=(1,)),
    ]
    text = page(facts(population, reason=HOSTILE))
    assert HOSTILE not in text
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 6


def test_every_part_is_there_and_the_contents_lead_to_it(full: str) -> None:
    elements = Elements(full)
    parts = {one["id"] for one in elements.named("section")}
    links = {(one["href"] or "")[1:] for one in elements.named("a")}
    assert (
        parts
        == links
        == {
            "champion",
            "anytime",
            "population",
            "lineage",
            "front",
            "genes",
            "operators",
            "costs",
            "answers",
            "about",
        }
    )
    labels = [one.get("aria-label") for one in elements.named("svg") if one.get("role") == "img"]
    assert len(labels) == 5
    assert all(labels)
    identities = [one["id"] for _, one in elements.found if "id" in one]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize("spread", [1, 3, 1000])
def test_every_axis_has_its_numbers_in_plain_words(spread: int) -> None:
    population = [
        one.model_copy(update={"parameters": 10_000 + spread * one.number}) for one in bred(12)
    ]
    text = page(facts(population))
    written = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    assert written
    assert not [words for words in written if "$" in words or "\\" in words]


def test_it_says_that_the_test_images_were_not_looked_at(full: str) -> None:
    text = " ".join(re.sub(r"<[^>]+>", "", full).split())
    assert "about 12 of the 270 validation images, evenly spread" in text
    assert "The test images stay unseen." in text
    assert "dicebox evolve --dataset digits" in text
    assert "kept: 60.5 s of 60.0 s, 0.8 % more" in text


def test_the_same_run_gives_the_same_page(full: str) -> None:
    assert page(examined()) == full


def test_a_matrix_that_would_be_too_large_gives_way_to_the_mixups() -> None:
    names = [f"category {n}" for n in range(40)]
    text = page(examined(names))
    assert '<table class="matrix">' not in text
    assert "The matrix of 40 categories is left out" in text
    assert "category 2" in text


def test_images_that_were_erased_are_counted_and_not_shown() -> None:
    text = page(examined(gone=3))
    assert "3 are no longer there." in text
    assert "no longer there</div>" in text


@pytest.mark.parametrize("state", ["queued", "running", "failed", "stopped", "interrupted"])
def test_a_run_without_a_single_training_has_a_page(state: str) -> None:
    of = facts([], state=state, reason="because of <b>", snapshot=None, shape=None, card=None)
    text = page(dataclasses.replace(of, snapshot=None))
    assert "Nothing to show yet" in text
    assert "because of &lt;b&gt;" in text
    assert [one["id"] for one in Elements(text).named("section") if one.get("id")] == ["about"]


def test_a_run_whose_trainings_all_failed_shows_why() -> None:
    population = [individual(n, evaluation("1", None)) for n in range(1, 5)]
    text = page(facts(population, state="failed"))
    assert "Nothing to show yet" in text
    assert "loss nan, accuracy 0.1" in text
    assert 'id="operators"' in text


def test_one_single_candidate_is_enough() -> None:
    population = [individual(1, evaluation("1", 1.0, at=3.0), operator="seed")]
    text = page(facts(population))
    assert "100.00 %" in text
    assert 'id="lineage"' in text
    assert 'id="genes"' not in text


def test_a_run_that_goes_on_has_no_network_yet() -> None:
    of = facts(bred(10), state="running", progress=RunProgress(best_individual=2, best=0.9))
    assert 'id="champion"' in page(of)


def test_what_could_not_be_had_is_named() -> None:
    of = dataclasses.replace(facts(), missing=["the snapshot: there is none <here>"])
    assert "the snapshot: there is none &lt;here&gt;" in page(of)


def test_latencies_have_a_front_of_their_own() -> None:
    population = [
        one.model_copy(update={"latency_us": 10.0 + one.number, "cpu": "fine <one>"})
        for one in bred(20)
    ]
    text = page(facts(population))
    assert "microseconds an image" in text
    assert "fine &lt;one&gt;" in text


def test_a_picture_of_a_file_becomes_part_of_a_page() -> None:
    file = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'width="10pt" viewBox="0 0 10 10"><metadata>x</metadata>'
        '<defs><style>*{a: b}</style><path id="m" style="stroke: #010001"/></defs>'
        '<g id="dots"><use xlink:href="#m" x="1.23456" style="fill: #010001; font-family: A"/>'
        '<use xlink:href="#m" x="2"/></g><text style="font-size: 9px">a &lt; b</text></svg>'
    )
    svg = inline_svg(
        file, key="k", label="A <b>", colours={"#010001": "var(--ink)"}, hints={"dots": ["1", "2"]}
    )
    assert svg == (
        '<svg viewBox="0 0 10 10" class="plot" role="img" aria-label="A &lt;b&gt;" '
        'stroke-linejoin="round" stroke-linecap="butt">'
        '<defs><path stroke="var(--ink)" id="k-0" /></defs>'
        '<g><use x="1.23" href="#k-0" fill="var(--ink)"><title>1</title></use>'
        '<use x="2" href="#k-0"><title>2</title></use></g>'
        '<text font-size="9px">a &lt; b</text></svg>'
    )

"""What can be said of the page without a browser: it works under a strict CSP and is readable."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "web_client"
TEXTS = sorted(path for kind in ("html", "css", "js", "svg") for path in PAGE.rglob(f"*.{kind}"))
AA_TEXT, AA_EDGES = 4.5, 3.0


class Elements(HTMLParser):
    """Collects tags with attributes, inline scripts and styles, and which controls have labels."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.is_named: list[bool] = []  # control by control
        self._labels = 0
        self._inside = ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._inside = tag
        self._labels += tag == "label"
        if tag in ("input", "select", "textarea"):
            self.is_named.append(self._labels > 0)

    def handle_endtag(self, tag):
        self._inside = ""
        self._labels -= tag == "label"

    def handle_data(self, data):
        if self._inside in ("script", "style"):
            self.inline += data.strip()


@pytest.fixture(scope="module")
def page() -> Elements:
    elements = Elements()
    elements.feed((PAGE / "index.html").read_text("utf-8"))
    return elements


def test_the_page_has_no_script_or_style_of_its_own_in_the_markup(page):
    assert page.inline == ""
    for _, attributes in page.found:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]


def test_nothing_is_fetched_from_another_host():
    allowed = {"http://www.w3.org/2000/svg"}  # a name, not an address
    for path in TEXTS:
        found = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)<]*", path.read_text("utf-8")))
        assert found <= allowed, path


def test_every_file_the_page_asks_for_is_there(page):
    for _, attributes in page.found:
        address = attributes.get("src") or attributes.get("href") or "#"
        if not address.startswith(("#", "api/")):
            assert (PAGE / address).is_file(), address
    for path in PAGE.rglob("*.js"):
        text = path.read_text("utf-8")
        for module in re.findall(r'from "([^"]+)"|import\("([^"]+)"\)', text):
            name = module[0] or module[1]
            assert name.startswith(("./", "../"))
            assert (path.parent / name).is_file(), name


def test_every_style_of_a_view_is_there():
    text = (PAGE / "js" / "shell" / "views.js").read_text("utf-8")
    for styles in re.findall(r"styles: \[([^\]]*)\]", text):
        for name in re.findall(r'"([^"]+)"', styles):
            assert (PAGE / "css" / f"{name}.css").is_file(), name


def test_every_element_the_scripts_look_for_is_in_the_page(page):
    ids = {attributes["id"] for _, attributes in page.found if "id" in attributes}
    assert len(ids) == len([1 for _, attributes in page.found if "id" in attributes])
    for path in PAGE.rglob("*.js"):
        text = path.read_text("utf-8")
        ids |= set(re.findall(r'[{ ]id: "([\w-]+)"', text))
    for path in PAGE.rglob("*.js"):
        text = path.read_text("utf-8")
        wanted = re.findall(r'querySelector\("#([\w-]+)"\)|getElementById\("([\w-]+)"\)', text)
        assert {one or other for one, other in wanted} <= ids, path


def test_text_from_a_server_has_no_way_to_become_markup():
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b"
    for path in PAGE.rglob("*.js"):
        assert not re.search(ways, path.read_text("utf-8")), path


def test_every_control_has_a_name(page):
    assert page.is_named
    assert all(page.is_named)


def _colours(scheme: str) -> dict[str, str]:
    style = (PAGE / "style.css").read_text("utf-8")
    found = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", style)
    return {name: light if scheme == "light" else dark for name, light, dark in found}


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        *(
            (text, back, AA_TEXT)
            for text in ("ink", "soft", "accent")
            for back in ("paper", "card")
        ),
        *((text, "accent-wash", AA_TEXT) for text in ("ink", "soft", "accent")),
        *((text, back, AA_TEXT) for text in ("good", "warn", "bad") for back in ("paper", "card")),
        ("warn", "warn-wash", AA_TEXT),
        ("ink", "warn-wash", AA_TEXT),
        *((f"chart-{number}", "card", AA_EDGES) for number in range(1, 7)),
        ("focus", "paper", AA_EDGES),
        ("bad", "bad-wash", AA_TEXT),
        ("ink", "bad-wash", AA_TEXT),
        ("accent-ink", "accent", AA_TEXT),
        ("edge", "card", AA_EDGES),
        ("accent", "paper", AA_EDGES),
    ],
)
def test_colours_have_the_contrast_that_wcag_aa_asks_for(scheme, front, back, least):
    colours = _colours(scheme)
    assert _contrast(colours[front], colours[back]) >= least


def test_the_page_stays_small():
    files = [path for kind in ("html", "css", "js", "svg") for path in PAGE.rglob(f"*.{kind}")]
    assert sum(path.stat().st_size for path in files) < 480_000

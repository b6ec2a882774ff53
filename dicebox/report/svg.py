"""Makes the SVG that matplotlib writes part of a page.

Matplotlib writes a file of its own: style attributes, which a strict policy refuses, fixed
colours, which are wrong in the dark, and ids that clash between two pictures. Here styles
become attributes, colours become variables of the page's style, ids become the picture's own,
and what is drawn gets words that show when one points at it.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

_DROPPED = frozenset({"metadata", "style"})
_DRAWN = frozenset({"use", "path"})
_ROUNDED = frozenset({"d", "x", "y", "transform", "width", "height"})
_LONG_NUMBER = re.compile(r"\d+\.\d{3,}")
_REFERENCE = re.compile(r"#([^)\s]+)")
_NO_TURN = "rotate(-0 "


def inline_svg(
    text: str,
    *,
    key: str,
    label: str,
    colours: Mapping[str, str],
    hints: Mapping[str, Sequence[str]],
) -> str:
    """Return an `svg` element that can stand in a page.

    Args:
        text: The file that matplotlib wrote, its texts as texts.
        key: Differs from that of all other pictures of the page.
        label: What the picture shows, for those who cannot see it.
        colours: What stands for each colour (`#rrggbb`), such as `var(--ink)`.
        hints: By the `gid` of something drawn, the words for each part of it, in order.
    """
    root = ET.fromstring(text)  # noqa: S314 - see above
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for name in [name for name in element.attrib if name.startswith("{")]:
            element.attrib[name.rpartition("}")[2]] = element.attrib.pop(name)
    _drop(root)
    for element in root.iter():
        _unstyle(element, colours)
        _shorten(element)
    for group in root.iter("g"):
        _tell(group, hints.get(group.get("id", ""), ()))
    _rename(root, key)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"class": "plot", "role": "img", "aria-label": label}
    # What the style that was dropped said of everything.
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    return ET.tostring(root, encoding="unicode")


def _drop(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in _DROPPED]:
            parent.remove(child)


def _unstyle(element: ET.Element, colours: Mapping[str, str]) -> None:
    """Turn the style of an element into attributes, which say the same."""
    for declaration in element.attrib.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        # The page says which font it has.
        if value and name != "font-family":
            element.set(name, colours.get(value, value))


def _shorten(element: ET.Element) -> None:
    for name in _ROUNDED & element.attrib.keys():
        value = _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}", element.attrib[name])
        element.set(name, " ".join(value.split()))
    if element.get("transform", "").startswith(_NO_TURN):
        del element.attrib["transform"]
    if element.text is not None and not element.text.strip():
        element.text = None
    element.tail = None


def _tell(group: ET.Element, hints: Sequence[str]) -> None:
    if not hints:
        return
    in_definitions = {part for definitions in group.iter("defs") for part in definitions.iter()}
    drawn = [part for part in group.iter() if part.tag in _DRAWN and part not in in_definitions]
    for part, words in zip(drawn, hints, strict=True):
        ET.SubElement(part, "title").text = words


def _rename(root: ET.Element, key: str) -> None:
    """Give what is referred to ids of this picture's own, and nothing else an id."""
    names: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return f"#{names.setdefault(found[1], f'{key}-{len(names)}')}"

    for element in root.iter():
        for name in {"href", "clip-path"} & element.attrib.keys():
            element.set(name, _REFERENCE.sub(renamed, element.attrib[name]))
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in names:
            element.set("id", names[old])

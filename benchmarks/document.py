"""`python -m benchmarks.document`: puts the reports into docs/benchmarks.md.

Between `<!-- FILE.json -->` and `<!-- end -->` the page holds what that report of
benchmarks/results says and nothing else, so no figure in it was typed by hand.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.frame import REPOSITORY, figure

PAGE = REPOSITORY / "docs" / "benchmarks.md"
RESULTS = REPOSITORY / "benchmarks" / "results"
_PLACE = re.compile(r"(<!-- ([\w-]+\.json) -->\n).*?(<!-- end -->)", re.DOTALL)
_GB = 1e9


def filled(page: str, read: Callable[[str], dict[str, Any]]) -> str:
    """Return a page with every place filled by what `read` says of its report's file name."""
    return _PLACE.sub(lambda found: found[1] + section(read(found[2])) + found[3], page)


def section(report: dict[str, Any]) -> str:
    """Return a report as Markdown: its grids and rows, and what they were measured with."""
    grids = [line for grid in report.get("grids", []) for line in ("", *_grid(grid))]
    lines = [*grids, "", *_table(report["rows"]), "", *_surroundings(report), ""]
    return "\n".join(lines) + "\n"


def _grid(grid: dict[str, Any]) -> list[str]:
    titles = grid["titles"]
    head = ["| " + " | ".join(titles) + " |", "|---" + "|--:" * (len(titles) - 1) + "|"]
    return [*head, *("| " + " | ".join(line) + " |" for line in grid["lines"])]


def _table(rows: list[dict[str, Any]]) -> list[str]:
    peers = any(row["best_peer"] is not None for row in rows)
    titles = ["measure", "ours", *(["best peer", "ratio"] if peers else []), "goal", "met"]
    marks = {True: "yes", False: "**no**", None: ""}
    lines = ["| " + " | ".join(titles) + " |", "|---" + "|--:" * (len(titles) - 1) + "|"]
    for row in rows:
        peer = "" if row["best_peer"] is None else f"{figure(row['best_peer'])} ({row['peer']})"
        ratio = "" if row["ratio"] is None else figure(row["ratio"])
        cells = [
            row["measure"],
            f"{figure(row['ours'])} {row['unit']}".strip(),
            *([peer, ratio] if peers else []),
            row["goal"] or "",
            marks[row["met"]],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _surroundings(report: dict[str, Any]) -> list[str]:
    machine = report["machine"]
    commit = (report["commit"] or "unknown")[:12] + (
        ", with uncommitted changes" if report["dirty"] else ""
    )
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    memory = machine["memory_bytes"] / _GB
    load = machine["load_before"]
    before = "load not recorded" if load is None else f"load {load} before it began"
    return [
        f"`{report['command']}`" + (" (quick: a look, not a measurement)" * report["quick"]) + ";",
        f"{machine['cpu']}, {machine['cores']} cores, {memory:.0f} GB, {machine['system']};",
        f"{report['date']}, {before}; commit {commit};",
        f"{versions}.",
    ]


def main() -> None:
    """Fill the page from the reports beside this module."""

    def read(name: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
        return report

    write(PAGE, read)


def write(page: Path, read: Callable[[str], dict[str, Any]]) -> None:
    """Fill a page in its place."""
    page.write_text(filled(page.read_text(encoding="utf-8"), read), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The table of the swarm: step, seconds, failed requests, lost data; and what was asked for."""

from collections.abc import Mapping
from typing import Any

from benchmarks.frame import Grid, figure
from benchmarks.rows import Row, at_most
from benchmarks.swarm_house import STATELESS

_MB = 1e6
# Of kills and of nginx itself the count is stated; these must come to none.
_NONE_FAILED = (
    *(f"update {service}" for service in STATELESS),
    "reload nginx",
    "broken image",
    "image that is never ready",
)
_ASK_AGAIN = ("everything down and up", "restore into empty volumes", "ledger")
_TITLES = ("step", "seconds", "requests", "failed", "lost", "")


def grid(steps: Mapping[str, Mapping[str, Any]]) -> Grid:
    """Return a line a step."""
    lines = []
    for name, found in steps.items():
        counted = found["requests"] > 0
        lines.append(
            [
                name,
                figure(found["seconds"]) if found["seconds"] else "",
                f"{found['requests']:,}" if counted else "",
                f"{found['failed']:,}" if counted else "",
                f"{found['lost']:,}" if counted or name in _ASK_AGAIN or found["lost"] else "",
                found["note"],
            ]
        )
    return Grid(_TITLES, lines)


def size_grid(sizes: Mapping[str, int]) -> Grid:
    """Return the sizes of images; layers that several share count in each."""
    lines = [[role, f"{size / _MB:,.0f}"] for role, size in sizes.items()]
    return Grid(("image", "MB"), lines)


def rows(steps: Mapping[str, Mapping[str, Any]], sizes: Mapping[str, int]) -> list[Row]:
    """Return the figures that were asked for, those that were not measured left out."""
    found: list[Row] = []
    lost = sum(step["lost"] for step in steps.values())
    # Only who asks for everything again can say that nothing is lost.
    if lost or any(name in steps for name in _ASK_AGAIN):
        found.append(Row("lost data, all steps together", "", lost, goal=at_most(0)))
    quiet = [steps[name] for name in _NONE_FAILED if name in steps]
    if quiet:
        failed = sum(step["failed"] for step in quiet)
        requests = sum(step["requests"] for step in quiet)
        words = f"failed requests of {requests:,} over {len(quiet)} updates, rollbacks and reloads"
        found.append(Row(words, "", failed, goal=at_most(0)))
    kills = {name: step for name, step in steps.items() if name.startswith("kill -9 ")}
    if kills:
        slowest = max(kills, key=lambda name: kills[name]["seconds"])
        words = f"a killed task is replaced and serving, the slowest ({slowest[8:]})"
        found.append(Row(words, "s", kills[slowest]["seconds"], goal=at_most(15)))
        failed = sum(step["failed"] for step in kills.values())
        words = f"failed requests over {len(kills)} kills, stated"
        found.append(Row(words, "", failed))
    if "update nginx" in steps:
        failed = steps["update nginx"]["failed"]
        found.append(Row("failed requests of an update of nginx itself, stated", "", failed))
    for name, measure, goal in (
        ("deploy", "from built images to everything healthy", 90),
        ("cold start", "cold start of the serving image", 3),
    ):
        if name in steps:
            found.append(Row(measure, "s", steps[name]["seconds"], goal=at_most(goal)))
    if "idle" in steps:
        memory = steps["idle"]["figures"]["memory_gb"]
        found.append(
            Row("memory of the idle stack without trainers", "GB", memory, goal=at_most(2.5))
        )
    if "classification" in sizes:
        megabytes = sizes["classification"] / _MB
        found.append(Row("size of the serving image", "MB", megabytes, goal=at_most(450)))
    return found

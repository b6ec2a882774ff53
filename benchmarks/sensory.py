"""`python -m benchmarks.sensory`: images in, snapshots and batch orders out, and a full catalog."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.frame import Findings, Options, benchmark
from benchmarks.sensory_catalog import measure as measure_catalog
from benchmarks.sensory_orders import measure as measure_orders
from benchmarks.sensory_sizes import FULL, QUICK, Sizes
from benchmarks.sensory_stream import measure as measure_stream
from benchmarks.sensory_uploads import measure as measure_uploads
from commons.errors import NotFoundError

Part = Callable[[Options, Sizes, Path], Findings]
PARTS: dict[str, Part] = {
    "uploads": measure_uploads,
    "orders": measure_orders,
    "catalog": measure_catalog,
    "stream": measure_stream,
}


@benchmark("sensory")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="Only these parts."
)
def sensory(options: Options, parts: Sequence[str]) -> Findings:
    """Measure uploads, imports, batch orders, a catalog of a million rows and a large import."""
    sizes = QUICK if options.quick else FULL
    archive = options.datasets / "mnist.tar.gz"
    if not archive.exists():
        raise NotFoundError(f"{archive} is missing: say with --data where the datasets are")
    found = {}
    options.work.mkdir(parents=True, exist_ok=True)
    # For minutes ext4 steps over the inodes of deleted files one by one: a part that began after
    # another one's files were deleted would measure that. So they go at the end.
    with TemporaryDirectory(dir=options.work) as folder:
        for name in parts or PARTS:
            options.say(f"measuring {name}")
            found[name] = PARTS[name](replace(options, work=Path(folder)), sizes, archive)
    return Findings(
        [row for part in found.values() for row in part.rows],
        [table for part in found.values() for table in part.tables],
        {name: part.details for name, part in found.items()},
    )


if __name__ == "__main__":
    sensory()

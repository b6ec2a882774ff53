"""`python -m benchmarks.web_pictures --url http://…`: a picture of every view of a house.

The house should have something to show: what `dicebox demo` leaves, for instance.
"""

from pathlib import Path

import click

from benchmarks.frame import REPOSITORY
from benchmarks.web_browser import chromium

_SETTLED_MS = 2500


def places(dataset: str, run: str | None, network: str | None) -> dict[str, str]:
    """Return the address within the page of every picture, by its name."""
    found = {
        "collect": "collect",
        "label": f"label/{dataset}",
        "label-grid": f"label/{dataset}?grid=1",
        "browse": f"browse/{dataset}",
        "evolve": "evolve",
        "serve": "serve",
        "serve-answers": "serve/answers",
        "admin": "admin",
    }
    if run is not None:
        tabs = ("front", "lineage", "population", "report")
        found |= {f"evolve-{tab}": f"evolve/{run}/{tab}" for tab in tabs}
    if network is not None:
        found["serve-network"] = f"serve/{network}"
    return found


@click.command()
@click.option("--url", required=True, help="Where the house answers, without keys.")
@click.option("--dataset", default="digits", show_default=True)
@click.option("--run", help="The run whose tabs are shown.")
@click.option("--network", help="The network whose card is shown.")
@click.option("--dark", is_flag=True, help="By night.")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=REPOSITORY / "docs" / "pictures",
)
def main(
    url: str, dataset: str, run: str | None, network: str | None, dark: bool, folder: Path
) -> None:
    """Take a picture of every view."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        context = browser.new_context(
            viewport={"width": 1200, "height": 860},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        page = context.new_page()
        for name, place in places(dataset, run, network).items():
            page.goto(f"{url.rstrip('/')}/#{place}")
            page.wait_for_timeout(_SETTLED_MS)
            page.screenshot(path=folder / f"{name}.png", full_page=True)
        context.close()


if __name__ == "__main__":
    main()

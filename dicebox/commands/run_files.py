"""What the files say that a run is given, and which run is meant."""

import json
import tomllib
from pathlib import Path
from typing import Any

import click

from commons.errors import InvalidInputError, NotFoundError
from commons.messages import Run
from dicebox.client import Client
from evolver.genome_files import read_population
from evolver.shipped_taxonomies import shipped_taxonomies, taxonomy_text


def read_taxonomy(name: str) -> dict[str, Any]:
    """Return the search space in a TOML or JSON file, or the shipped one of that name.

    Raises:
        UsageError: There is no such file, and none of that name is shipped.
        InvalidInputError: The file holds none.
    """
    file = Path(name)
    if not file.is_file():
        known = shipped_taxonomies()
        if name in known:
            return tomllib.loads(taxonomy_text(name))
        raise click.UsageError(
            f"--taxonomy: expected a file or one of {', '.join(known)}, got {name!r}"
        )
    text = file.read_text(encoding="utf-8")
    try:
        value = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"{file} is no TOML or JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"expected {file} to hold an object, got {type(value).__name__}")
    return value


def read_genomes(file: Path) -> list[dict[str, Any]]:
    """Return the genomes in a file, also the earlier system's; what was mapped goes to stderr.

    Raises:
        InvalidInputError: The file has no genome that can be read.
    """
    found = read_population(file.read_bytes())
    for line in (*found.refused, *found.notes):
        click.echo(f"dicebox: {file}: {line}", err=True)
    return [genome.model_dump(mode="json") for genome in found.genomes]


def found_run(client: Client, start: str | None) -> Run:
    """Return the newest run, or the one whose id starts like this.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: Several start like this.
    """
    runs = client.evolution.runs()
    if start is None:
        if not runs:
            raise NotFoundError("there is no run yet: `dicebox evolve --dataset NAME` starts one")
        return runs[0]
    found = [run for run in runs if run.id.startswith(start)]
    if len(found) > 1 and start not in {run.id for run in found}:
        raise InvalidInputError(f"{len(found)} runs start with {start}: give more of the id")
    # An old one may be beyond those that are listed.
    return next((run for run in found if run.id == start), None) or (
        found[0] if found else client.evolution.run(start)
    )

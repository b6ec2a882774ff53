"""`dicebox genomes`."""

import json
from pathlib import Path

import click

from commons.errors import DiceboxError
from commons.genome import Genome
from dicebox.commands.run_files import found_run
from dicebox.connect import Place, connect
from evolver.genome_files import write_earlier_population, write_population


@click.command(short_help="Write the genomes of a run as JSON.")
@click.argument("run", required=False)
@click.option(
    "-n",
    "--best",
    type=click.IntRange(1),
    metavar="N",
    help="The best N alone; default: all that were trained.",
)
@click.option(
    "--earlier", is_flag=True, help="In the words of the earlier system, where it has them."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to; default: standard output.",
)
@click.pass_obj
def genomes(
    place: Place, run: str | None, best: int | None, earlier: bool, output: Path | None
) -> None:
    """Write the genomes of RUN with their accuracies as a population, the best first.

    RUN is an id, or how one starts; default: the newest. `dicebox evolve --start` takes such a
    file.
    """
    with connect(place.existing()) as client:
        chosen = found_run(client, run)
        individuals = client.evolution.individuals(chosen.id)
        snapshot = client.sensory.snapshot(chosen.snapshot) if chosen.snapshot else None
    ranked = sorted(
        (each for each in individuals if each.accuracy is not None),
        key=lambda each: each.accuracy or 0.0,
        reverse=True,
    )
    if not ranked or snapshot is None or chosen.shape is None:
        raise DiceboxError(f"no network of the run {chosen.id} was trained yet")
    members = [(Genome.model_validate(each.genome), each.accuracy or 0.0) for each in ranked[:best]]
    if earlier:
        value, notes, refused = write_earlier_population(
            members, chosen.shape, len(snapshot.categories)
        )
        for line in (*refused, *notes):
            click.echo(f"dicebox: {line}", err=True)
    else:
        value = write_population(members)
    text = json.dumps(value, indent=2)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")

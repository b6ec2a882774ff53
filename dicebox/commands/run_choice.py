"""Which individual of a run is to be trained: its best, the best of the cheap, or another one."""

from dataclasses import dataclass

import click

from commons.errors import NotFoundError
from commons.genome import Genome
from commons.messages import ImageShape, Individual, ResizePolicy
from dicebox.client import Client
from dicebox.commands.run_files import found_run

run_option = click.option(
    "--run",
    metavar="ID",
    help="In place of a file: the best genome of that run, on its snapshot and input size.",
)
individual_option = click.option(
    "--individual", type=click.IntRange(1), metavar="N", help="With --run: the one of this number."
)
latency_option = click.option(
    "--max-latency-us",
    type=click.FloatRange(0.0, min_open=True),
    metavar="US",
    help="With --run: the best that answers for one image within so many microseconds.",
)
parameters_option = click.option(
    "--max-params",
    "max_parameters",
    type=click.IntRange(1),
    metavar="N",
    help="With --run: the best of at most so many parameters.",
)


@dataclass(frozen=True)
class RunChoice:
    """What the options name; all None without a run."""

    run: str | None
    individual: int | None
    max_latency_us: float | None
    max_parameters: int | None

    def check(self, *, from_file: bool) -> None:
        """Return if they go together, with a genome file or without.

        Raises:
            UsageError: They do not.
        """
        limits = [each is not None for each in (self.max_latency_us, self.max_parameters)]
        if from_file == (self.run is not None):
            raise click.UsageError("expected one of --genome and --run")
        if self.run is None and (self.individual is not None or any(limits)):
            raise click.UsageError("--individual, --max-latency-us and --max-params need --run")
        if self.individual is not None and any(limits):
            raise click.UsageError(
                "--individual names one: leave out --max-latency-us, --max-params"
            )


@dataclass(frozen=True)
class Bred:
    """A genome of a run, and what it was bred for."""

    genome: Genome
    snapshot: str
    shape: ImageShape
    resize: ResizePolicy
    individual: Individual


def bred(client: Client, choice: RunChoice) -> Bred:
    """Return what the options name.

    Raises:
        NotFoundError: There is no such run or individual, or none is so cheap.
    """
    run = found_run(client, choice.run)
    if run.snapshot is None or run.shape is None:
        raise NotFoundError(f"the run {run.id} has not begun: it has no snapshot yet")
    if choice.individual is None:
        found = client.evolution.champion(run.id, choice.max_latency_us, choice.max_parameters)
    else:
        found = client.evolution.lineage(run.id, choice.individual)[-1]
    genome = Genome.model_validate(found.genome)
    return Bred(genome, run.snapshot, run.shape, run.request.resize, found)

"""`dicebox train`: one genome, here, on the images of this or another machine."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from commons.messages import ImageShape, PromotePolicy, ResizePolicy
from commons.training import Budget
from dicebox.client import Client
from dicebox.commands.options import (
    LONGEST_S,
    DatasetType,
    UrlType,
    as_json,
    print_json,
    promote_option,
    resize_option,
    seed_option,
    shape_option,
)
from dicebox.commands.run_choice import (
    RunChoice,
    bred,
    individual_option,
    latency_option,
    parameters_option,
    run_option,
)
from dicebox.connect import Place, connect, connect_to_workers
from dicebox.run_display import progress_console, training_bar
from trainer.app import Services, open_trainer, reach_services, read_genome
from trainer.standalone import Published, TrainingRequest


@click.command()
@click.option(
    "--genome",
    "genome_file",
    help="A genome as JSON, such as `genome` of a network's card.",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@run_option
@individual_option
@latency_option
@parameters_option
@click.option("--dataset", type=DatasetType(), help="Frozen anew, unless --snapshot names one.")
@click.option("--snapshot", metavar="ID", help="A frozen snapshot by its id, or the start of it.")
@click.option(
    "--sensory",
    type=UrlType(),
    metavar="URL",
    help="A Dicebox on another machine; --data then holds nothing but examples and checkpoints.",
)
@click.option(
    "--classification",
    type=UrlType(),
    metavar="URL",
    help="Where the network is registered, if that has another address.",
)
@click.option(
    "--epochs", default=20, show_default=True, type=click.IntRange(1), metavar="N", help="At most."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, LONGEST_S),
    metavar="S",
    help="End earlier after that many seconds.",
)
@shape_option
@resize_option
@seed_option
@promote_option("never")
@as_json
@click.pass_obj
def train(
    place: Place,
    genome_file: Path | None,
    run: str | None,
    individual: int | None,
    max_latency_us: float | None,
    max_parameters: int | None,
    dataset: str | None,
    snapshot: str | None,
    sensory: str | None,
    classification: str | None,
    epochs: int,
    seconds: float | None,
    shape: ImageShape | None,
    resize: ResizePolicy,
    seed: int,
    promote: PromotePolicy,
    as_json: bool,
) -> None:
    """Train one genome on a dataset or a snapshot and publish the network.

    The genome comes from a file, or from a run: its best one, or the best of those that are small
    or fast enough, or any by its number in `dicebox runs RUN`.

    Interrupted or killed at any moment, the same command goes on where it was.
    """
    choice = RunChoice(run, individual, max_latency_us, max_parameters)
    choice.check(from_file=genome_file is not None)
    if dataset is None and snapshot is None and run is None:
        raise click.UsageError("expected --dataset or --snapshot, got neither")
    url = sensory or place.url
    if classification and not url:
        raise click.UsageError("--classification needs --sensory (or --url) beside it")
    if genome_file is not None:
        genome = read_genome(genome_file)
    else:
        with connect(Place(place.data, url, place.key).existing()) as client:
            found = bred(client, choice)
        genome, shape = found.genome, shape or found.shape
        if _is_default("resize"):
            resize = found.resize
        if dataset is None:
            snapshot = snapshot or found.snapshot
        click.echo(
            f"individual {found.individual.number}: {found.individual.description}", err=True
        )
    request = TrainingRequest(
        genome=genome,
        dataset=dataset,
        snapshot=snapshot,
        budget=Budget(epochs=epochs, seconds=seconds),
        shape=shape,
        resize=resize,
        seed=seed,
        promote=promote,
    )
    console = progress_console()
    with training_bar(console, seconds) as bar:
        try:
            with (
                _services(place, url, classification, bar.say) as services,
                open_trainer(services, place.data, bar) as trainer,
            ):
                published = trainer.train(request)
        except KeyboardInterrupt:
            bar.say("What was trained is kept: the same command goes on from there.")
            raise
    if as_json:
        print_json({**vars(published), "metrics": published.metrics.model_dump()})
    else:
        click.echo(_summary(published))


@contextmanager
def _services(
    place: Place, url: str | None, classification: str | None, say: Callable[[str], None]
) -> Iterator[Services]:
    """Give the services at an address, or those of the data folder."""
    if url is None:
        with connect_to_workers(place) as client:
            _show_to_workers(client.key)
            yield Services(client.sensory, client.gallery, client.url)
        return
    with Client(url, key=place.key) as client:
        # Once: a wrong address shall be told at once, one that goes away later is waited for.
        client.check()
    with reach_services(url, classification, place.key, say) as services:
        yield services


def _is_default(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.DEFAULT


def _show_to_workers(key: str | None) -> None:
    """Have the worker processes that start from now on find the key where they look for it."""
    if key is not None:
        os.environ["DICEBOX_KEY"] = key


def _summary(published: Published) -> str:
    metrics = published.metrics
    return (
        f"network {published.network[:12]}: {100 * metrics.validation_accuracy:.2f} % of "
        f"{metrics.validation_images} validation images, {metrics.parameters:,} parameters, "
        f"{published.epochs} epochs in {published.seconds:.1f} s; it {published.verdict}"
    )

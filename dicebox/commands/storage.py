"""`dicebox purge` and `dicebox fsck`."""

import click
from rich.progress import track

from commons.errors import NotFoundError
from commons.messages import Erasure
from dicebox.commands.options import as_json, print_json
from dicebox.connect import Place, connect
from dicebox.run_display import progress_console

_SHOWN_FAULTS = 100


@click.command(short_help="Erase an image for good.")
@click.argument("image", metavar="SHA256")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
@click.pass_obj
def purge(place: Place, image: str, yes: bool, as_json: bool) -> None:
    """Erase an image for good: its bytes, and every pack and shard that holds them.

    Snapshots with it are marked and cannot be ordered any more; its history keeps its hash. What
    was recorded of its classifications goes too, with corrections that are still on their way,
    and it goes from all jobs, with what was said of it there. Copies in the caches of trainers
    and in backups are out of reach.

    If a service is away, the same command again does what is left.
    """
    if not yes:
        click.confirm(f"Erase {image} for good?", abort=True, err=True)
    with connect(place.existing()) as client:
        # First, so that no correction brings it back.
        classified = client.history.forget_image(image).classifications
        jobs = client.jobs.erase_image(image).jobs
        try:
            erasure = client.sensory.purge(image)
        except NotFoundError:
            if not classified and not jobs:
                raise
            # It was of no dataset.
            erasure = Erasure(image=image, packs=0, shards=0, snapshots=[])
    if as_json:
        print_json({**erasure.model_dump(), "classifications": classified, "jobs": jobs})
    else:
        click.echo(
            f"{image} is erased, from {erasure.packs} packs and {erasure.shards} shards; "
            f"{len(erasure.snapshots)} snapshots are marked, "
            f"{classified} recorded classifications are gone, {jobs} jobs are without it"
        )


@click.command(short_help="Check that the storage holds what the tables say.")
@as_json
@click.pass_obj
def fsck(place: Place, as_json: bool) -> None:
    """Read every image, pack and shard and compare it with its hash and with the tables.

    Finds what is missing or damaged, blobs that no table knows, old temporary files, and
    erasures that were interrupted. Changes nothing. Ends with 1 if something is wrong; young
    blobs, of uploads that are under way, are counted and nothing wrong.
    """
    console = progress_console()
    checked, faults, young = 0, [], []
    with connect(place.existing()) as client:
        prefixes = [f"{number:02x}" for number in range(256)]
        steps = track(prefixes, "Checking", console=console, disable=not console.is_terminal)
        for prefix in steps:
            report = client.sensory.check(prefix)
            checked += report.checked
            faults += report.faults
            young += report.young
    for fault in faults[:_SHOWN_FAULTS]:
        click.echo(f"{fault.kind} {fault.name}: {fault.detail}", err=True)
    if len(faults) > _SHOWN_FAULTS:
        click.echo(f"and {len(faults) - _SHOWN_FAULTS} more", err=True)
    if as_json:
        found = [fault.model_dump() for fault in faults]
        print_json({"checked": checked, "faults": found, "young": young})
    else:
        click.echo(f"{checked} images, packs and shards checked, {len(faults)} faults")
    if young and not as_json:
        click.echo(f"{len(young)} young blobs: their uploads are under way, or were just cut off")
    if faults:
        raise SystemExit(1)

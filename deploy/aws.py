"""`python -m deploy.aws COMMAND`: makes, shows and deletes shared storage at Amazon.

Credentials are found as every program of Amazon finds them. Nothing is changed without `--apply`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import wraps
from typing import Any

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError

from commons.errors import DiceboxError, InvalidInputError
from deploy.aws_efs import Place, SharedFolder
from deploy.aws_plan import AwsError, Plan
from deploy.aws_s3 import Bucket

_LINES = "# what `python -m deploy.stack` is to be told:"


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what Amazon says into our errors."""
    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        raise AwsError(f"{error.operation_name}: {said.get('Message') or said['Code']}") from error
    except BotoCoreError as error:
        raise AwsError(" ".join(str(error).split())) from error


def _command(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all, and let it end with one line and code 1."""

    @click.option("--name", default="dicebox", show_default=True, help="Of the whole.")
    @click.option("--bucket", help="Its name, which nobody else in the world may have.")
    @click.option("--region", help="[default: as Amazon's programs find it]")
    @click.option("--endpoint-url", help="Another server than Amazon's.")
    @wraps(command)
    def run(**options: Any) -> None:
        try:
            with _translated():
                command(**options)
        except DiceboxError as error:
            raise click.ClickException(str(error)) from error

    return run


@click.group()
def aws() -> None:
    """Shared storage at Amazon: an EFS file system with mount targets, and an S3 bucket."""


@aws.command()
@click.option("--vpc", help="Where the nodes are: makes a file system there.")
@click.option("--subnet", "subnets", multiple=True, help="Of nodes [default: all of the VPC].")
@click.option("--nodes-group", help="The security group of the nodes, which may mount it.")
@click.option("--apply", is_flag=True, help="Do it; otherwise it is only said.")
@_command
def make(
    name: str,
    bucket: str | None,
    region: str | None,
    endpoint_url: str | None,
    vpc: str | None,
    subnets: Sequence[str],
    nodes_group: str | None,
    apply: bool,
) -> None:
    """Make what is missing; a second time there is nothing to do."""
    if vpc is None and bucket is None:
        raise InvalidInputError("expected --vpc for a file system, --bucket, or both")
    if vpc is not None and nodes_group is None:
        raise InvalidInputError("--vpc also needs --nodes-group: who may mount the file system")
    plan = Plan(name, apply, click.echo)
    with _opened(plan, bucket, region, endpoint_url) as (folder, store):
        if vpc is not None and nodes_group is not None:
            folder.make(Place(vpc, subnets, nodes_group))
        if store is not None:
            store.make()
        _conclude(plan)
        if apply or not plan.changes:
            _show(folder if vpc is not None else None, store)


@aws.command()
@_command
def show(name: str, bucket: str | None, region: str | None, endpoint_url: str | None) -> None:
    """Show what there is, and the lines that a stack is to be told."""
    with _opened(Plan(name, False, click.echo), bucket, region, endpoint_url) as (folder, store):
        # Whoever asks for a bucket may have no file system.
        has_folder = store is None or folder.found() is not None
        _show(folder if has_folder else None, store)


@aws.command()
@click.option("--confirm", help="The name once more.")
@click.option("--apply", is_flag=True, help="Do it; otherwise it is only said.")
@_command
def delete(
    name: str,
    bucket: str | None,
    region: str | None,
    endpoint_url: str | None,
    confirm: str | None,
    apply: bool,
) -> None:
    """Delete the file system with all its files, and the bucket, if that is empty."""
    if apply and confirm != name:
        raise InvalidInputError(f"everything in it goes: say --confirm {name} too")
    plan = Plan(name, apply, click.echo)
    with _opened(plan, bucket, region, endpoint_url) as (folder, store):
        # The one that may refuse comes first.
        if store is not None:
            store.delete()
        folder.delete()
        _conclude(plan)


@contextmanager
def _opened(
    plan: Plan, bucket: str | None, region: str | None, endpoint_url: str | None
) -> Iterator[tuple[SharedFolder, Bucket | None]]:
    session = boto3.Session(region_name=region)
    where = session.region_name
    if where is None:
        raise InvalidInputError("expected --region, or AWS_DEFAULT_REGION")
    with (
        closing(session.client("efs", endpoint_url=endpoint_url)) as efs,
        closing(session.client("ec2", endpoint_url=endpoint_url)) as ec2,
        closing(session.client("s3", endpoint_url=endpoint_url)) as s3,
    ):
        store = None if bucket is None else Bucket(s3, plan, bucket, where)
        yield SharedFolder(efs, ec2, plan, where), store


def _conclude(plan: Plan) -> None:
    if not plan.changes:
        click.echo("nothing to do")
    elif not plan.apply:
        click.echo("nothing was changed: --apply does it")


def _show(folder: SharedFolder | None, store: Bucket | None) -> None:
    found = [*(folder.lines() if folder else []), *(store.lines() if store else [])]
    for line in [_LINES, *found]:
        click.echo(line)


if __name__ == "__main__":
    aws()

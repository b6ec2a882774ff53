"""Shared storage at Amazon, against a server that answers as Amazon does."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from commons.adapters.blobs import open_blobs
from deploy import aws_plan
from deploy.aws import aws
from deploy.aws_efs import Place, SharedFolder
from deploy.aws_plan import Plan
from deploy.aws_s3 import Bucket
from tests.servers import S3

pytestmark = pytest.mark.integration

REGION = "eu-central-1"
Run = Callable[..., Result]


class Amazon:
    """An account with a VPC of three subnets, in which nodes have a security group."""

    def __init__(self, server: S3, stack: ExitStack) -> None:
        self.url = server.endpoint_url
        self.name = f"dicebox-{uuid.uuid4().hex[:8]}"
        self.efs, self.ec2, self.s3 = (
            stack.enter_context(
                closing(boto3.client(kind, region_name=REGION, endpoint_url=self.url))
            )
            for kind in ("efs", "ec2", "s3")
        )
        self.vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(
                VpcId=self.vpc, CidrBlock=f"10.9.{place}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for place, zone in enumerate("aab")
        ]
        group = self.ec2.create_security_group(GroupName="nodes", Description="n", VpcId=self.vpc)
        self.nodes = group["GroupId"]

    def run(self, command: str, *options: str) -> Result:
        """Run a command for this name."""
        place = ["--name", self.name, "--region", REGION, "--endpoint-url", self.url]
        return CliRunner().invoke(aws, [command, *place, *options])

    def make(self, *options: str) -> Result:
        where = ["--vpc", self.vpc, "--nodes-group", self.nodes, "--bucket", self.name]
        return self.run("make", *where, *options)

    def file_systems(self) -> list[dict[str, Any]]:
        return self.efs.describe_file_systems(CreationToken=self.name)["FileSystems"]

    def targets(self) -> list[dict[str, Any]]:
        known = self.file_systems()[0]["FileSystemId"]
        return self.efs.describe_mount_targets(FileSystemId=known)["MountTargets"]

    def buckets(self) -> list[str]:
        return [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]

    def without_policy(self) -> None:
        """Let requests in that come without TLS, as they do here."""
        self.s3.delete_bucket_policy(Bucket=self.name)

    def groups(self) -> list[dict[str, Any]]:
        wanted = [{"Name": "group-name", "Values": [f"{self.name}-nfs"]}]
        return self.ec2.describe_security_groups(Filters=wanted)["SecurityGroups"]


@pytest.fixture
def amazon(s3: S3) -> Iterator[Amazon]:
    with ExitStack() as stack:
        yield Amazon(s3, stack)


@pytest.fixture(scope="module")
def made(s3: S3) -> Iterator[tuple[Amazon, Result]]:
    """Give an account in which all is made, and what was said; for tests that only look."""
    with ExitStack() as stack:
        amazon = Amazon(s3, stack)
        yield amazon, amazon.make("--apply")


def test_without_apply_everything_is_said_and_nothing_is_done(amazon):
    said = amazon.make()
    assert said.exit_code == 0, said.output
    for words in ("would create file system", "would create bucket", "2049", "would encrypt"):
        assert words in said.output.replace(f"{amazon.name}: ", "")
    assert said.output.count("would create a mount target") == 2
    assert said.output.splitlines()[-1] == "nothing was changed: --apply does it"
    assert not amazon.file_systems()
    assert not amazon.groups()
    assert amazon.name not in amazon.buckets()


def test_a_file_system_is_encrypted_and_has_a_way_in_for_nodes_in_every_zone(made):
    amazon, said = made
    assert said.exit_code == 0, said.output
    folder = amazon.file_systems()[0]
    assert folder["Encrypted"]
    assert folder["ThroughputMode"] == "elastic"
    assert {"Key": "dicebox", "Value": amazon.name} in folder["Tags"]
    targets = amazon.targets()
    # Of the two subnets of one zone one has it: there cannot be more.
    assert sorted(each["AvailabilityZoneName"][-1] for each in targets) == ["a", "b"]
    (group,) = amazon.groups()
    for target in targets:
        known = target["MountTargetId"]
        answer = amazon.efs.describe_mount_target_security_groups(MountTargetId=known)
        assert answer["SecurityGroups"] == [group["GroupId"]]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (2049, 2049, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [amazon.nodes]
    known = folder["FileSystemId"]
    policies = amazon.efs.describe_lifecycle_configuration(FileSystemId=known)
    assert {"TransitionToIA": "AFTER_30_DAYS"} in policies["LifecyclePolicies"]


def test_a_bucket_is_private_encrypted_versioned_and_forgets(made):
    amazon, _ = made
    bucket = {"Bucket": amazon.name}
    access = amazon.s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert all(access.values())
    assert len(access) == 4
    encryption = amazon.s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]
    default = encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert default["SSEAlgorithm"] == "AES256"
    assert amazon.s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    rules = amazon.s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert {rule["ID"] for rule in rules} == {"unfinished-uploads", "old-versions"}
    assert "aws:SecureTransport" in amazon.s3.get_bucket_policy(**bucket)["Policy"]
    assert amazon.s3.get_bucket_location(**bucket)["LocationConstraint"] == REGION


def test_a_second_time_there_is_nothing_to_do(made):
    amazon, _ = made
    assert amazon.make("--apply").output.splitlines()[0] == "nothing to do"
    assert len(amazon.file_systems()) == 1
    assert len(amazon.targets()) == 2


def test_what_is_printed_is_what_the_stack_is_told_and_blobs_go_there(made):
    amazon, said = made
    shown = amazon.run("show", "--bucket", amazon.name).output.splitlines()
    settings = dict(line.split("=", 1) for line in shown if not line.startswith("#"))
    assert [line for line in said.output.splitlines() if "=" in line.split(" ")[0]] == [
        f"{name}={value}" for name, value in settings.items()
    ]
    known = amazon.file_systems()[0]["FileSystemId"]
    host = f"{known}.efs.{REGION}.amazonaws.com"
    assert settings["BLOBS_OPTIONS"].startswith(f"addr={host},nfsvers=4.1,")
    assert "noresvport" in settings["BLOBS_OPTIONS"].split(",")
    assert (settings["BLOBS_TYPE"], settings["BLOBS_DEVICE"]) == ("nfs", ":/")
    assert "encrypted" in shown[1]
    assert "NOT" not in "".join(shown)

    amazon.without_policy()
    blobs = open_blobs(f"{settings['BLOBS_URL']}?endpoint_url={amazon.url}")
    assert blobs.put("images/ab", b"picture")
    assert blobs.get("images/ab") == b"picture"


class CutOffError(Exception):
    """Somebody pressed Ctrl-C."""


def test_wherever_it_is_cut_off_the_next_one_completes_it(amazon):
    def make(after: int | None) -> Plan:
        plan = Plan(amazon.name, True, lambda _: None, pause_s=0.01)
        change = plan.change

        def cut_off(what: str, do: Callable[[], Any]) -> Any:
            if plan.changes == after:
                raise CutOffError
            return change(what, do)

        plan.change = cut_off  # type: ignore[method-assign]
        folder = SharedFolder(amazon.efs, amazon.ec2, plan, REGION)
        folder.make(Place(amazon.vpc, (), amazon.nodes))
        Bucket(amazon.s3, plan, amazon.name, REGION).make()
        return plan

    steps = 0
    while True:
        try:
            plan = make(1)
        except CutOffError:
            steps += 1
            assert steps < 30
            continue
        break
    # Each time one change was made, and the last one had none or one left.
    assert steps >= 11
    assert plan.changes <= 1
    assert make(None).changes == 0
    assert amazon.make("--apply").output.splitlines()[0] == "nothing to do"


def test_what_was_changed_by_hand_is_put_right_and_nothing_else(amazon):
    assert amazon.make("--apply").exit_code == 0
    amazon.s3.delete_public_access_block(Bucket=amazon.name)
    target = amazon.targets()[0]
    amazon.efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    shown = amazon.run("show", "--bucket", amazon.name).output
    assert "NOT public access blocked" in shown
    said = [line for line in amazon.make("--apply").output.splitlines() if line[0] != "#"]
    assert said[:2] == [
        f"create a mount target in {target['AvailabilityZoneName']} ({target['SubnetId']})",
        f"{amazon.name}: block public access",
    ]


def test_delete_says_first_asks_for_the_name_and_leaves_nothing(amazon):
    assert amazon.make("--apply").exit_code == 0
    said = amazon.run("delete", "--bucket", amazon.name)
    assert "would delete file system" in said.output
    assert amazon.file_systems()
    refused = amazon.run("delete", "--bucket", amazon.name, "--apply")
    assert refused.exit_code == 1
    assert f"--confirm {amazon.name}" in refused.output
    assert amazon.file_systems()

    options = ("--bucket", amazon.name, "--apply", "--confirm", amazon.name)
    assert amazon.run("delete", *options).exit_code == 0
    assert not amazon.file_systems()
    assert not amazon.groups()
    assert amazon.name not in amazon.buckets()
    assert amazon.run("delete", *options).output == "nothing to do\n"


@pytest.mark.parametrize("erased", [False, True])
def test_a_bucket_that_holds_something_is_not_deleted_and_nothing_else_is(amazon, erased):
    assert amazon.make("--apply").exit_code == 0
    amazon.without_policy()
    amazon.s3.put_object(Bucket=amazon.name, Key="blobs/images/ab", Body=b"picture")
    if erased:
        # Its version is still there.
        amazon.s3.delete_object(Bucket=amazon.name, Key="blobs/images/ab")
    options = ("--bucket", amazon.name, "--apply", "--confirm", amazon.name)
    refused = amazon.run("delete", *options)
    assert refused.exit_code == 1
    assert "empty it first" in refused.output
    assert amazon.file_systems()
    assert amazon.name in amazon.buckets()


def test_the_bucket_of_something_else_is_left_alone(amazon):
    amazon.s3.create_bucket(
        Bucket=amazon.name, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    amazon.s3.put_object(Bucket=amazon.name, Key="payroll.csv", Body=b"1")
    refused = amazon.run("make", "--bucket", amazon.name, "--apply")
    assert refused.exit_code == 1
    assert "has no tag dicebox=" in refused.output
    assert "dicebox" not in str(amazon.s3.list_objects_v2(Bucket=amazon.name)["Contents"])
    options = ("--bucket", amazon.name, "--apply", "--confirm", amazon.name)
    assert amazon.run("delete", *options).exit_code == 1
    assert amazon.name in amazon.buckets()


def test_the_security_group_of_something_else_is_neither_opened_nor_deleted(amazon):
    there = {"GroupName": f"{amazon.name}-nfs", "Description": "payroll", "VpcId": amazon.vpc}
    foreign = amazon.ec2.create_security_group(**there)["GroupId"]
    refused = amazon.make("--apply")
    assert refused.exit_code == 1
    assert f"({foreign}) has no tag dicebox={amazon.name}" in refused.output
    assert not amazon.file_systems()
    (group,) = amazon.groups()
    assert group["IpPermissions"] == []

    elsewhere = amazon.ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    own = {"Key": "dicebox", "Value": amazon.name}
    amazon.ec2.create_security_group(
        **there | {"VpcId": elsewhere},
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [own]}],
    )
    assert amazon.run("delete", "--apply", "--confirm", amazon.name).exit_code == 0
    assert [group["GroupId"] for group in amazon.groups()] == [foreign]


def test_a_file_system_that_is_not_encrypted_is_not_taken_for_ours(amazon):
    amazon.efs.create_file_system(CreationToken=amazon.name, Encrypted=False)
    refused = amazon.make("--apply")
    assert refused.exit_code == 1
    assert "is not encrypted" in refused.output


def test_what_is_asked_for_wrongly_is_said_in_one_line(amazon):
    wrong = {
        (): "expected --vpc for a file system, --bucket, or both",
        ("--vpc", amazon.vpc): "--nodes-group",
        ("--vpc", "vpc-none", "--nodes-group", amazon.nodes): "vpc-none has no subnet",
        (
            *("--vpc", amazon.vpc, "--nodes-group", amazon.nodes),
            *("--subnet", "subnet-none", "--apply"),
        ): "subnet-none",
        ("--bucket", "Not A Bucket", "--apply"): "",
    }
    for options, words in wrong.items():
        said = amazon.run("make", *options)
        assert said.exit_code == 1, options
        assert said.output.startswith("Error: ")
        assert said.output.count("\n") == 1
        assert words in said.output
    nothing = amazon.run("show")
    assert (nothing.exit_code, amazon.name in nothing.output) == (1, True)


def test_no_answer_and_no_credentials_are_said_in_one_line(amazon, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = ["show", "--region", REGION, "--endpoint-url", "http://127.0.0.1:9"]
    away = CliRunner().invoke(aws, options)
    assert (away.exit_code, away.output.count("\n")) == (1, 1)
    assert "127.0.0.1:9" in away.output
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    nobody = CliRunner().invoke(aws, options)
    assert (nobody.exit_code, "credentials" in nobody.output) == (1, True)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    nowhere = CliRunner().invoke(aws, ["show"])
    assert "expected --region" in nowhere.output


def test_what_takes_too_long_is_said(monkeypatch):
    monkeypatch.setattr(aws_plan, "_PATIENCE_S", 0.0)
    plan = Plan("some", True, print, pause_s=0.01)
    with pytest.raises(aws_plan.AwsError, match="the mount targets: not yet"):
        plan.wait("the mount targets", lambda: False)
    Plan("some", False, print).wait("what is not begun", lambda: False)

"""The shared folder at Amazon: an EFS file system, and a way to it from every subnet of nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from commons.errors import ConflictError, InvalidInputError, NotFoundError
from deploy.aws_plan import Plan, is_ours

_NFS = 2049
# What is read seldom costs less there, and comes back when it is read.
_LIFECYCLE = [
    {"TransitionToIA": "AFTER_30_DAYS"},
    {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
]
# hard: a writer waits for a server that is away, and learns of no error that is none.
# noresvport: a connection that was lost is made again from another port.
_OPTIONS = "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"


@dataclass(frozen=True)
class Place:
    """Where nodes are: their VPC, their subnets (all of it if none), and who may come in.

    `nodes` is the security group that the nodes have.
    """

    vpc: str
    subnets: Sequence[str]
    nodes: str


@dataclass(frozen=True)
class SharedFolder:
    """The file system of a plan's name; `efs` and `ec2` are boto3's clients."""

    efs: Any
    ec2: Any
    plan: Plan
    region: str

    def make(self, place: Place) -> None:
        """Make what is missing of it, and wait until it can be mounted.

        Raises:
            ConflictError: There is one that is not encrypted, which cannot be changed; or a
                security group of its name that is something else's.
            InvalidInputError: A subnet is not of the VPC, or there is none.
        """
        subnets = self._one_a_zone(place)
        group = self._group(place)
        folder = self.found()
        if folder is None:
            what = f"create file system {self.plan.name}: encrypted, elastic, backed up"
            folder = self.plan.change(what, self._create)
        elif not folder["Encrypted"]:
            raise ConflictError(f"file system {folder['FileSystemId']} is not encrypted")
        self.plan.wait("the file system", lambda: self._state() == "available")
        if folder is None or self._lifecycle(folder["FileSystemId"]) != _LIFECYCLE:
            self.plan.change(
                "move what nobody read for 30 days to infrequent access",
                lambda: self.efs.put_lifecycle_configuration(
                    FileSystemId=_id(folder), LifecyclePolicies=_LIFECYCLE
                ),
            )
        self._make_targets(folder, subnets, group)

    def delete(self) -> None:
        """Delete it, with everything in it, and the security groups made for it."""
        folder = self.found()
        if folder is not None:
            known = folder["FileSystemId"]
            for target in self._targets(known):
                self.plan.change(
                    f"delete the mount target in {target['AvailabilityZoneName']}",
                    partial(self.efs.delete_mount_target, MountTargetId=target["MountTargetId"]),
                )
            self.plan.wait("the end of the mount targets", lambda: not self._targets(known))
            size = folder["SizeInBytes"]["Value"]
            self.plan.change(
                f"delete file system {known} with {size:,} bytes",
                lambda: self.efs.delete_file_system(FileSystemId=known),
            )
            self.plan.wait("the end of the file system", lambda: self.found() is None)
        for group in filter(self._is_ours, self._groups()):
            self.plan.change(
                f"delete security group {group['GroupId']}",
                partial(self.ec2.delete_security_group, GroupId=group["GroupId"]),
            )

    def lines(self) -> list[str]:
        """Return what there is, and what a stack is to be told of it.

        Raises:
            NotFoundError: There is no such file system.
        """
        folder = self.found()
        if folder is None:
            raise NotFoundError(f"there is no file system {self.plan.name} in {self.region}")
        known = folder["FileSystemId"]
        secret = "encrypted" if folder["Encrypted"] else "NOT encrypted"
        return [
            f"# file system {known}: {folder['LifeCycleState']}, {secret}, "
            f"{folder['SizeInBytes']['Value']:,} bytes",
            *(
                f"# mount target in {target['AvailabilityZoneName']}: {target['LifeCycleState']}"
                for target in self._targets(known)
            ),
            *self.settings(known),
        ]

    def settings(self, file_system: str) -> list[str]:
        """Return what stack.yml is to be told.

        The type is nfs, not nfs4: of that alone Docker's local driver looks the name up.
        """
        host = f"{file_system}.efs.{self.region}.amazonaws.com"
        return [
            "BLOBS_TYPE=nfs",
            f"BLOBS_OPTIONS=addr={host},{_OPTIONS}",
            "BLOBS_DEVICE=:/",
        ]

    def found(self) -> dict[str, Any] | None:
        """Return what Amazon knows of the file system."""
        found = self.efs.describe_file_systems(CreationToken=self.plan.name)["FileSystems"]
        return found[0] if found else None

    def _create(self) -> dict[str, Any]:
        made: dict[str, Any] = self.efs.create_file_system(
            CreationToken=self.plan.name,
            PerformanceMode="generalPurpose",
            ThroughputMode="elastic",
            Encrypted=True,
            Backup=True,
            Tags=self.plan.tags,
        )
        return made

    def _state(self) -> str:
        folder = self.found()
        return "missing" if folder is None else str(folder["LifeCycleState"])

    def _lifecycle(self, known: str) -> list[dict[str, str]]:
        answer = self.efs.describe_lifecycle_configuration(FileSystemId=known)
        policies: list[dict[str, str]] = answer["LifecyclePolicies"]
        # Amazon may answer in another order than it was told.
        return sorted(policies, key=lambda policy: "TransitionToIA" not in policy)

    def _targets(self, known: str) -> list[dict[str, Any]]:
        pages = self.efs.get_paginator("describe_mount_targets").paginate(FileSystemId=known)
        return [target for page in pages for target in page["MountTargets"]]

    def _make_targets(
        self, folder: dict[str, Any] | None, subnets: dict[str, str], group: str | None
    ) -> None:
        targets = self._targets(folder["FileSystemId"]) if folder else []
        there = {target["AvailabilityZoneName"]: target["MountTargetId"] for target in targets}
        for zone, subnet in subnets.items():
            if zone not in there:
                self.plan.change(
                    f"create a mount target in {zone} ({subnet})",
                    partial(self._create_target, folder, subnet, group),
                )
                continue
            answer = self.efs.describe_mount_target_security_groups(MountTargetId=there[zone])
            if group not in answer["SecurityGroups"]:
                self.plan.change(
                    f"let nodes to the mount target in {zone}",
                    partial(
                        self.efs.modify_mount_target_security_groups,
                        MountTargetId=there[zone],
                        SecurityGroups=[group],
                    ),
                )
        self.plan.wait(
            "the mount targets",
            lambda: all(
                target["LifeCycleState"] == "available" for target in self._targets(_id(folder))
            ),
        )

    def _create_target(self, folder: dict[str, Any] | None, subnet: str, group: str | None) -> None:
        self.efs.create_mount_target(
            FileSystemId=_id(folder), SubnetId=subnet, SecurityGroups=[group]
        )

    def _one_a_zone(self, place: Place) -> dict[str, str]:
        """Return a subnet for each availability zone: more targets than that there cannot be."""
        of_vpc = [{"Name": "vpc-id", "Values": [place.vpc]}]
        pages = self.ec2.get_paginator("describe_subnets").paginate(Filters=of_vpc)
        zones = {
            subnet["SubnetId"]: subnet["AvailabilityZone"]
            for page in pages
            for subnet in page["Subnets"]
        }
        if foreign := [subnet for subnet in place.subnets if subnet not in zones]:
            raise InvalidInputError(f"no subnets of {place.vpc}: {', '.join(foreign)}")
        if not zones:
            raise InvalidInputError(f"{place.vpc} has no subnet")
        chosen: dict[str, str] = {}
        for subnet in place.subnets or sorted(zones):
            chosen.setdefault(zones[subnet], subnet)
        return chosen

    def _group(self, place: Place) -> str | None:
        """Return the security group that lets nodes in; None while it is only planned.

        Raises:
            ConflictError: That of its name was not made for this.
        """
        found = [group for group in self._groups() if group["VpcId"] == place.vpc]
        if found:
            if not self._is_ours(found[0]):
                name, known = found[0]["GroupName"], found[0]["GroupId"]
                raise ConflictError(
                    f"security group {name} ({known}) has no tag dicebox={self.plan.name}"
                )
            group: str | None = str(found[0]["GroupId"])
            open_for = {
                pair["GroupId"]
                for rule in found[0]["IpPermissions"]
                if rule.get("FromPort") == _NFS
                for pair in rule["UserIdGroupPairs"]
            }
        else:
            group, open_for = self._new_group(place.vpc), set()
        if place.nodes not in open_for:
            self.plan.change(
                f"let {place.nodes} to port {_NFS}", lambda: self._let_in(group, place.nodes)
            )
        return group

    def _is_ours(self, group: dict[str, Any]) -> bool:
        return is_ours(group.get("Tags", []), self.plan.name)

    def _groups(self) -> list[dict[str, Any]]:
        wanted = [{"Name": "group-name", "Values": [f"{self.plan.name}-nfs"]}]
        found: list[dict[str, Any]] = self.ec2.describe_security_groups(Filters=wanted)[
            "SecurityGroups"
        ]
        return found

    def _new_group(self, vpc: str) -> str | None:
        made: dict[str, str] | None = self.plan.change(
            f"create security group {self.plan.name}-nfs in {vpc}",
            lambda: self.ec2.create_security_group(
                GroupName=f"{self.plan.name}-nfs",
                Description="The shared folder of Dicebox, for its nodes",
                VpcId=vpc,
                TagSpecifications=[{"ResourceType": "security-group", "Tags": self.plan.tags}],
            ),
        )
        return None if made is None else made["GroupId"]

    def _let_in(self, group: str | None, nodes: str) -> None:
        rule = {
            "IpProtocol": "tcp",
            "FromPort": _NFS,
            "ToPort": _NFS,
            "UserIdGroupPairs": [{"GroupId": nodes}],
        }
        try:
            self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidPermission.Duplicate":
                raise


def _id(folder: dict[str, Any] | None) -> str:
    """Return the id of a file system, which is there when something is done."""
    if folder is None:
        raise NotFoundError("the file system is gone")
    return str(folder["FileSystemId"])

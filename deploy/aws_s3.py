"""The bucket at Amazon, for blobs that lie in no folder."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from commons.errors import ConflictError, NotFoundError
from deploy.aws_plan import Plan, is_ours

_PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_ENCRYPTION = ("AES256", "aws:kms", "aws:kms:dsse")
# Amazon adds to what it was told; these are the parts that count.
_RULES: dict[str, dict[str, Any]] = {
    "unfinished-uploads": {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    "old-versions": {
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    },
}
# Amazon has no such thing set: an answer of its own for each.
_UNSET = (
    "NoSuchBucketPolicy",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "ServerSideEncryptionConfigurationNotFoundError",
)
_NO_BUCKET = ("404", "NoSuchBucket")
_NOT_OURS = ("403", "AccessDenied", "Forbidden")


@dataclass(frozen=True)
class Bucket:
    """A bucket; `s3` is boto3's client."""

    s3: Any
    plan: Plan
    bucket: str
    region: str

    def make(self) -> None:
        """Make what is missing of it.

        Raises:
            ConflictError: It is another's, or holds what was not stored by this.
        """
        is_there = self.exists()
        if not is_there:
            self.plan.change(f"create bucket {self.bucket} in {self.region}", self._create)
        elif not self._is_ours() and not self._is_empty():
            raise ConflictError(
                f"bucket {self.bucket} holds objects and has no tag dicebox={self.plan.name}"
            )
        look = is_there or self.plan.apply
        tags, encryption = look and self._is_ours(), look and self._is_encrypted()
        self._set(tags, "tag it", self.s3.put_bucket_tagging, Tagging={"TagSet": self.plan.tags})
        self._set(
            look and self._is_private(),
            "block public access",
            self.s3.put_public_access_block,
            PublicAccessBlockConfiguration=_PRIVATE,
        )
        default = {"SSEAlgorithm": _ENCRYPTION[0]}
        self._set(
            encryption,
            "encrypt what is stored",
            self.s3.put_bucket_encryption,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": default}]
            },
        )
        self._set(
            look and self._is_versioned(),
            "keep old versions",
            self.s3.put_bucket_versioning,
            VersioningConfiguration={"Status": "Enabled"},
        )
        rules = [
            {"ID": name, "Status": "Enabled", "Filter": {"Prefix": ""}, **rule}
            for name, rule in _RULES.items()
        ]
        self._set(
            look and self._forgets(),
            "forget unfinished uploads after 7 and old versions after 30 days",
            self.s3.put_bucket_lifecycle_configuration,
            LifecycleConfiguration={"Rules": rules},
        )
        self._set(
            look and self._policy() == self._wanted_policy(),
            "refuse requests without TLS",
            self.s3.put_bucket_policy,
            Policy=json.dumps(self._wanted_policy()),
        )

    def delete(self) -> None:
        """Delete it, if it is empty.

        Raises:
            ConflictError: It holds something, or was not made for this name.
        """
        if not self.exists():
            return
        if not self._is_ours():
            raise ConflictError(f"bucket {self.bucket} has no tag dicebox={self.plan.name}")
        if not self._is_empty():
            raise ConflictError(
                f"bucket {self.bucket} holds objects or old versions of some; empty it first"
            )
        self.plan.change(
            f"delete bucket {self.bucket}", lambda: self.s3.delete_bucket(Bucket=self.bucket)
        )

    def lines(self) -> list[str]:
        """Return what there is, and what a stack is to be told of it.

        Raises:
            NotFoundError: There is no such bucket.
        """
        if not self.exists():
            raise NotFoundError(f"there is no bucket {self.bucket}")
        has = {
            "public access blocked": self._is_private(),
            "encrypted": self._is_encrypted(),
            "versioned": self._is_versioned(),
            "old versions expire": self._forgets(),
            "TLS only": self._policy() == self._wanted_policy(),
        }
        words = [what if holds else f"NOT {what}" for what, holds in has.items()]
        return [f"# bucket {self.bucket}: {', '.join(words)}", self.setting()]

    def setting(self) -> str:
        """Return what stack.yml is to be told."""
        return f"BLOBS_URL=s3://{self.bucket}/blobs"

    def exists(self) -> bool:
        """Say whether there is a bucket of this name.

        Raises:
            ConflictError: It is another's.
        """
        try:
            self.s3.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _NOT_OURS:
                raise ConflictError(f"bucket {self.bucket} belongs to somebody else") from error
            if code not in _NO_BUCKET:
                raise
            return False
        return True

    def _create(self) -> None:
        # Where all began there is no constraint to name.
        place = {"LocationConstraint": self.region}
        where = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": place}
        self.s3.create_bucket(Bucket=self.bucket, ObjectOwnership="BucketOwnerEnforced", **where)

    def _set(self, is_set: bool, what: str, put: Callable[..., Any], **value: Any) -> None:
        if not is_set:
            self.plan.change(f"{self.bucket}: {what}", lambda: put(Bucket=self.bucket, **value))

    def _asked(self, ask: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        """Return an answer, empty where nothing is set."""
        try:
            return ask(Bucket=self.bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _UNSET:
                raise
            return {}

    def _is_ours(self) -> bool:
        return is_ours(self._asked(self.s3.get_bucket_tagging).get("TagSet", []), self.plan.name)

    def _is_empty(self) -> bool:
        found = self.s3.list_object_versions(Bucket=self.bucket, MaxKeys=1)
        return not found.get("Versions") and not found.get("DeleteMarkers")

    def _is_private(self) -> bool:
        found = self._asked(self.s3.get_public_access_block)
        return bool(found.get("PublicAccessBlockConfiguration") == _PRIVATE)

    def _is_encrypted(self) -> bool:
        found = self._asked(self.s3.get_bucket_encryption)
        rules = found.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        kinds = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
        return any(kind.get("SSEAlgorithm") in _ENCRYPTION for kind in kinds)

    def _is_versioned(self) -> bool:
        return bool(self._asked(self.s3.get_bucket_versioning).get("Status") == "Enabled")

    def _forgets(self) -> bool:
        rules = self._asked(self.s3.get_bucket_lifecycle_configuration).get("Rules", [])
        found = {rule.get("ID"): rule for rule in rules if rule["Status"] == "Enabled"}
        return all(
            found.get(name, {}).get(part) == value
            for name, rule in _RULES.items()
            for part, value in rule.items()
        )

    def _policy(self) -> Any:
        with suppress(ValueError):
            return json.loads(self._asked(self.s3.get_bucket_policy).get("Policy", "null"))
        return None

    def _wanted_policy(self) -> dict[str, Any]:
        bucket = f"arn:aws:s3:::{self.bucket}"
        statement = {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket, f"{bucket}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

"""Blobs as objects of one S3 bucket; the only module that knows boto3."""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from commons.adapters.blob_name import checked_blob_name
from commons.errors import NotFoundError, StorageFullError, UnavailableError

_AT_ONCE = 8  # blobs of one `put_many` that are under way
_ATTEMPTS = 8  # of a put that meets another one of the same name under way
_EXISTS = ("PreconditionFailed", "412")
_MEETS_ANOTHER = ("ConditionalRequestConflict", "409")
_MISSING = ("NoSuchKey", "404")
_NO_ROOM = 507


class S3Blobs:
    """`commons.ports.Blobs` under a prefix of a bucket that exists already.

    A blob is put with `If-None-Match: *`, so of several that put the same name one creates it.

    Args:
        client: From `create_s3_client`; it may be used by many threads.
        bucket: Name of the bucket.
        prefix: Comes before every name, with its slash; may be empty.
    """

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def put(self, name: str, data: bytes) -> bool:
        """Store bytes durably and say whether they are new."""
        where = self._where(name)
        # The client repeats what had no answer: this says whose the blob is that it then finds.
        mine = {"put": uuid.uuid4().hex}
        with _translated(name):
            for _ in range(_ATTEMPTS):
                try:
                    self._client.put_object(**where, Body=data, IfNoneMatch="*", Metadata=mine)
                except ClientError as error:
                    if _code(error) in _MEETS_ANOTHER:
                        continue
                    if _code(error) not in _EXISTS:
                        raise
                    return self._is_mine(where, mine, error)
                return True
        raise UnavailableError(f"others kept putting {name} at the same time")

    def put_many(self, blobs: Sequence[tuple[str, bytes]]) -> list[bool]:
        """Store some blobs durably, several at once, and say of each whether it is new."""
        for name, _ in blobs:
            checked_blob_name(name)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.put, *zip(*blobs, strict=True)))

    def get(self, name: str) -> bytes:
        """Return the bytes."""
        where = self._where(name)
        with _translated(name):
            data: bytes = self._client.get_object(**where)["Body"].read()
            return data

    def exists(self, name: str) -> bool:
        """Say whether a blob has this name."""
        where = self._where(name)
        with _translated(name):
            try:
                self._client.head_object(**where)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return False
                raise
            return True

    def delete(self, name: str) -> bool:
        """Remove a blob for good and say whether it was there."""
        # S3 does not say whether there was something to delete.
        existed = self.exists(name)
        with _translated(name):
            self._client.delete_object(**self._where(name))
        return existed

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix`, in no order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with _translated(prefix):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield found["Key"].removeprefix(self._prefix)

    def stored_at(self, name: str) -> float:
        """Return when a blob was stored, in unix seconds."""
        where = self._where(name)
        with _translated(name):
            stored: float = self._client.head_object(**where)["LastModified"].timestamp()
            return stored

    def _where(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + checked_blob_name(name)}

    def _is_mine(self, where: dict[str, str], mine: dict[str, str], error: ClientError) -> bool:
        if not error.response["ResponseMetadata"].get("RetryAttempts"):
            return False
        found = self._client.head_object(**where)["Metadata"]
        return bool(found.get("put") == mine["put"])


def create_s3_client(endpoint_url: str | None = None) -> Any:
    """Return a client with the credentials and region of the environment; nothing is asked yet.

    Args:
        endpoint_url: An S3 server other than Amazon's.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=32,
    )
    return boto3.client("s3", endpoint_url=endpoint_url, config=config)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        yield
    except ClientError as error:
        if _code(error) in _MISSING:
            raise NotFoundError(f"there is no blob named {name}") from error
        if error.response["ResponseMetadata"].get("HTTPStatusCode") == _NO_ROOM:
            raise StorageFullError(f"no space is left to store {name}") from error
        raise UnavailableError(f"the storage failed at {name}: {error}") from error
    except BotoCoreError as error:
        raise UnavailableError(f"the storage cannot be reached for {name}: {error}") from error

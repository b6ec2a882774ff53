"""The examples that this process trains on: mapped once, for all of its jobs."""

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

import httpx

from commons.adapters.clock import SystemClock
from commons.adapters.services import Caller, SensoryClient
from commons.auth import authorization, key_from_env
from commons.blob_names import shard_blob
from commons.errors import NotFoundError
from commons.ports import Blobs
from commons.training import TrainingData
from trainer.adapters.example_cache import ExampleCache
from trainer.examples import Examples

_HTTP_TIMEOUT_S = 60.0
# A cache keeps what it has returned from being deleted: it lives as long as the process.
_mapped: dict[tuple[Path, TrainingData], tuple[ExampleCache, Examples]] = {}


def examples_of(
    data: TrainingData, folder: Path, blobs: Blobs, environ: Mapping[str, str]
) -> Examples:
    """Return the examples, from this machine's folder if they are there; errors of the cache.

    Args:
        data: Which ones.
        folder: The cache of this machine.
        blobs: Where the shards are as well, if the service has the same.
        environ: `DICEBOX_SENSORY_URL`: where this machine finds the service, in place of what
            the job says; `DICEBOX_CACHE_BYTES`: how large the folder may grow; and the key.
    """
    known = _mapped.get((folder, data))
    if known is None:
        most = environ.get("DICEBOX_CACHE_BYTES")
        examples = ExampleCache(
            folder,
            # A secret is no part of a job: it comes from where the worker process was started.
            _sensory(address(data, environ), key_from_env(environ)),
            SystemClock(),
            shared=partial(shared_shard, blobs),
            most_bytes=int(most) if most else None,
        )
        known = _mapped[folder, data] = (examples, examples.examples(data))
    return known[1]


def address(data: TrainingData, environ: Mapping[str, str]) -> str:
    """Return where the sensory service is, as this machine reaches it."""
    # Whoever submitted the job may be another machine, and know it by its own name.
    return environ.get("DICEBOX_SENSORY_URL") or data.sensory_url


def shared_shard(blobs: Blobs, sha256: str) -> bytes | None:
    """Return the bytes of a shard, if the service keeps its shards in these blobs.

    Raises:
        UnavailableError: The blobs cannot be reached.
    """
    try:
        return blobs.get(shard_blob(sha256))
    except NotFoundError:
        return None


@cache
def _sensory(url: str, key: str | None) -> SensoryClient:
    headers = authorization(key)
    return SensoryClient(
        Caller(httpx.Client(base_url=url, timeout=_HTTP_TIMEOUT_S, headers=headers))
    )

"""What stack.yml is filled with: images, hashes of configs, the volume of the blobs."""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from commons.errors import InvalidInputError
from deploy.images import version

FOLDER = Path(__file__).parent
# The variable of stack.yml, and the image's name.
IMAGES = {
    "NGINX_IMAGE": "nginx",
    "SENSORY_IMAGE": "sensory",
    "BATCH_PROCESSOR_IMAGE": "batch-processor",
    "CLASSIFICATION_IMAGE": "classification",
    "JOB_WORKER_IMAGE": "job-worker",
    "EVOLVER_IMAGE": "evolver",
    "TRAINER_IMAGE": "trainer",
    "RABBITMQ_IMAGE": "rabbitmq",
    "POSTGRES_IMAGE": "postgres",
}
# A new content is a new name: neither configs nor the options of volumes can be changed.
_CONFIGS = {
    "RABBITMQ_CONF": "rabbitmq/rabbitmq.conf",
    "RABBITMQ_STACK": "rabbitmq/stack.conf",
}
_VERSIONS = ("DATABASE_VERSION", "BROKER_VERSION", "KEYS_VERSION", "ADMIN_VERSION")
# With the blobs in a bucket the volume is there, and empty.
_NO_VOLUME = {"BLOBS_TYPE": "tmpfs", "BLOBS_OPTIONS": "size=1m", "BLOBS_DEVICE": "tmpfs"}
_A_FOLDER = {"BLOBS_TYPE": "none", "BLOBS_OPTIONS": "bind"}


def stack_names(
    environ: Mapping[str, str], tag: str | None = None, folder: Path = FOLDER
) -> dict[str, str]:
    """Return every name that stack.yml asks for; what the environment says already, stays.

    Args:
        environ: `STACK`, `TAG`, `IMAGES` (before a role's name, such as `host:5000/dicebox`), any
            of the names themselves, and where the blobs are: `BLOBS_DEVICE` with `BLOBS_TYPE`
            and `BLOBS_OPTIONS`, of which a folder of every node needs the first alone, or
            `BLOBS_URL`, a bucket.
        tag: Of the images; else that of the environment, else the version.
        folder: Where the configs are.

    Raises:
        InvalidInputError: It is not said where the blobs are.
    """
    tag = tag or environ.get("TAG") or version()
    before = environ.get("IMAGES", "dicebox")
    names = {
        "STACK": "dicebox",
        "TAG": tag,
        **{name: f"{before}/{role}:{tag}" for name, role in IMAGES.items()},
        **{name: content_hash(folder / file) for name, file in _CONFIGS.items()},
        **dict.fromkeys(_VERSIONS, environ.get("SECRETS_VERSION", "1")),
    }
    names |= {name: environ[name] for name in names if environ.get(name)}
    names["TAG"] = tag
    return names | _blobs(environ)


def content_hash(file: Path) -> str:
    """Return the beginning of a file's sha256."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:10]


def as_shell(names: Mapping[str, str]) -> Iterable[str]:
    """Return lines for `eval`, a name each."""
    return [f"export {name}={shlex.quote(value)}" for name, value in names.items()]


def _blobs(environ: Mapping[str, str]) -> dict[str, str]:
    said = {name: environ[name] for name in _NO_VOLUME if environ.get(name)}
    if environ.get("BLOBS_URL", "").startswith("s3://"):
        said = _NO_VOLUME | said
    device = said.get("BLOBS_DEVICE", "")
    if device.startswith("/"):
        said = _A_FOLDER | said
    missing = [name for name in _NO_VOLUME if name not in said]
    if missing:
        raise InvalidInputError(
            f"{', '.join(missing)}: not set; BLOBS_DEVICE=/srv/dicebox is a folder of every node, "
            "`python -m deploy.aws show` prints the three of an EFS file system, and "
            "BLOBS_URL=s3://… needs none of them"
        )
    volume = "\n".join(said[name] for name in _NO_VOLUME)
    return {**said, "BLOBS_VERSION": hashlib.sha256(volume.encode()).hexdigest()[:8]}

"""Opens the blobs of an address: a folder, or a bucket of S3."""

from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from commons.adapters.file_blobs import FileBlobs
from commons.errors import InvalidInputError
from commons.ports import Blobs

_EXAMPLE = "s3://bucket/prefix?endpoint_url=http://host:9000"
_SHARED = "file:///folder?sentinel=.dicebox-volume"


def open_blobs(url: str) -> Blobs:
    """Return the blobs at an address; nothing is read or made yet.

    Args:
        url: A folder's path, also as `file:///path`, with `?sentinel=` for the name of a file
            that shows that it is mounted (`commons.adapters.shared_folder`); or
            `s3://bucket/prefix`, with `?endpoint_url=` for a server other than Amazon's. One
            text, so that a job in another process finds them by it too.

    Raises:
        InvalidInputError: It is neither.
    """
    if "://" not in url:
        return FileBlobs(Path(url))
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _shared_folder(url, parts)
    options = parse_qs(parts.query, keep_blank_values=True)
    endpoints = options.pop("endpoint_url", [None])
    if parts.scheme != "s3" or not parts.hostname or options or len(endpoints) > 1:
        raise InvalidInputError(f"expected a folder, {_SHARED} or {_EXAMPLE}, got {url!r}")
    try:
        # Without a bucket nobody needs boto3, which takes a while to import.
        from commons.adapters.s3_blobs import S3Blobs, create_s3_client  # noqa: PLC0415
    except ImportError as error:
        raise InvalidInputError(
            f"blobs on S3 need the extra dicebox[cluster]: {error.name} is not installed"
        ) from error
    prefix = parts.path.strip("/")
    client = create_s3_client(endpoints[0])
    return S3Blobs(client, parts.netloc, f"{prefix}/" if prefix else "")


def _shared_folder(url: str, parts: SplitResult) -> FileBlobs:
    options = parse_qs(parts.query, keep_blank_values=True)
    (sentinel, *more) = options.pop("sentinel", [None])
    # A blob could be called like a file without the dot.
    is_name = sentinel is None or (sentinel.startswith(".") and _is_file_name(sentinel))
    if parts.netloc or not parts.path.startswith("/") or options or more or not is_name:
        raise InvalidInputError(f"expected a folder, {_SHARED} or {_EXAMPLE}, got {url!r}")
    return FileBlobs(Path(unquote(parts.path)), sentinel=sentinel)


def _is_file_name(text: str) -> bool:
    return Path(text).name == text and text not in (".", "..")

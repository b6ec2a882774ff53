"""Sends the pictures of a job in requests of bounded size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from commons.adapters.job_client import JobClient
from commons.errors import TooLargeError
from commons.image_tree import printable
from commons.job_messages import JobImage

_MOST_FILES = 200
_MOST_BYTES = 8 * 1024 * 1024  # unless one is larger
_MOST_IMAGE_BYTES = 63 * 1024 * 1024  # what fits into one request of the service


@dataclass(frozen=True)
class Sent:
    """What became of some files: those in the job, and those that are not, with the reason."""

    added: Sequence[JobImage] = ()
    refused: Sequence[tuple[str, str]] = ()


def upload_pictures(jobs: JobClient, job: str, files: Sequence[Path]) -> Iterator[Sent]:
    """Give an open job these files, in their order; yield what became of each request's."""
    waiting: list[tuple[str, bytes]] = []
    size = 0
    for file in files:
        name = printable(str(file))
        try:
            data = _bytes_of(file)
        except (OSError, TooLargeError) as error:
            yield Sent(refused=[(name, _reason(error))])
            continue
        if waiting and (size + len(data) > _MOST_BYTES or len(waiting) == _MOST_FILES):
            yield _sent(jobs, job, waiting)
            waiting, size = [], 0
        waiting.append((name, data))
        size += len(data)
    if waiting:
        yield _sent(jobs, job, waiting)


def _sent(jobs: JobClient, job: str, files: Sequence[tuple[str, bytes]]) -> Sent:
    try:
        return Sent(added=jobs.add(job, files).added)
    except TooLargeError as error:
        if len(files) == 1:
            return Sent(refused=[(files[0][0], str(error))])
        # One of them is too large for the service, and costs the others nothing.
        some = [_sent(jobs, job, [file]) for file in files]
        return Sent(
            [one for sent in some for one in sent.added],
            [one for sent in some for one in sent.refused],
        )


def _bytes_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(_MOST_IMAGE_BYTES + 1)
    if len(data) > _MOST_IMAGE_BYTES:
        raise TooLargeError(f"expected at most {_MOST_IMAGE_BYTES:,} bytes, got more")
    return data


def _reason(error: OSError | TooLargeError) -> str:
    if isinstance(error, OSError):
        return f"it cannot be read: {error.strerror or error}"
    return str(error)

"""A client of the classification service's jobs, in the words of `commons.job_messages`."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from commons.adapters.caller import CLASSIFICATION, Caller
from commons.job_messages import (
    ClassificationJob,
    ImageOfNoJob,
    JobAnswer,
    JobAnswers,
    JobList,
    JobReply,
    JobState,
)

_PAGE = 1000


class JobClient:
    """Jobs: many images, one or more networks, behind the requests."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def make(self, networks: Sequence[str] = (), dataset: str | None = None) -> ClassificationJob:
        """Return a new open job; not repeated on failure, for a second would be another job.

        Args:
            networks: Ids, 8 or more of their first digits, or names; default: the champion.
            dataset: Whose champion; not needed while there is only one.
        """
        parameters: dict[str, Any] = {"network": list(networks), "open": "true"}
        if dataset is not None:
            parameters["dataset"] = dataset
        reply = self._caller.call_once("POST", f"{CLASSIFICATION}/jobs", params=parameters)
        return JobReply.model_validate_json(reply.content).job

    def add(self, job: str, files: Sequence[tuple[str, bytes]]) -> JobReply:
        """Give an open job images (name, bytes); durable when it returns, and safe to repeat."""
        form = [("files", (name, data, "application/octet-stream")) for name, data in files]
        reply = self._caller.call("POST", f"{_path(job)}/images", files=form)
        return JobReply.model_validate_json(reply.content)

    def close(self, job: str) -> ClassificationJob:
        """Say that no more images will come."""
        return self._post(job, "close")

    def cancel(self, job: str) -> ClassificationJob:
        """Give up what is not done yet."""
        return self._post(job, "cancel")

    def remove(self, job: str) -> None:
        """Forget a job and its images."""
        self._caller.call("DELETE", _path(job))

    def erase_image(self, sha256: str) -> ImageOfNoJob:
        """Erase an image from all jobs for good, with what was said of it; safe to repeat."""
        reply = self._caller.call("DELETE", f"{CLASSIFICATION}/jobs", params={"image": sha256})
        return ImageOfNoJob.model_validate_json(reply.content)

    def job(self, job: str) -> ClassificationJob:
        """Return where a job stands."""
        return ClassificationJob.model_validate_json(self._caller.call("GET", _path(job)).content)

    def page(self, cursor: str | None = None, limit: int = 50) -> JobList:
        """Return jobs, newest first; the cursor is that of the page before."""
        parameters = _given(cursor=cursor, limit=limit)
        reply = self._caller.call("GET", f"{CLASSIFICATION}/jobs", params=parameters)
        return JobList.model_validate_json(reply.content)

    def jobs(self) -> Iterator[ClassificationJob]:
        """Yield all jobs, newest first."""
        cursor: str | None = None
        while True:
            page = self.page(cursor)
            yield from page.jobs
            cursor = page.cursor
            if cursor is None:
                return

    def results(
        self,
        job: str,
        *,
        network: str | None = None,
        state: JobState | None = None,
        category: str | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
    ) -> Iterator[JobAnswer]:
        """Yield what the networks say, images in the order they came.

        Args:
            job: The job's id.
            network: Only what one network says.
            state: Only answers in one state.
            category: Only those whose most probable category has this id or name.
            min_confidence: Only those at least this sure of it (0 to 1).
            max_confidence: Only those at most this sure of it.
        """
        cursor: str | None = None
        which = _given(
            network=network,
            state=state,
            category=category,
            min_confidence=min_confidence,
            max_confidence=max_confidence,
        )
        while True:
            parameters = {**which, **_given(cursor=cursor, limit=_PAGE)}
            reply = self._caller.call("GET", f"{_path(job)}/results", params=parameters)
            page = JobAnswers.model_validate_json(reply.content)
            yield from page.answers
            cursor = page.cursor
            if cursor is None:
                return

    def csv(self, job: str, **which: Any) -> Iterator[bytes]:
        """Yield the same as a table in parts, as they come; `which` is as of `results`."""
        with self._caller.stream(
            "GET", f"{_path(job)}/results.csv", params=_given(**which)
        ) as response:
            yield from response.iter_bytes()

    def _post(self, job: str, verb: str) -> ClassificationJob:
        reply = self._caller.call("POST", f"{_path(job)}/{verb}")
        return ClassificationJob.model_validate_json(reply.content)


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _path(job: str) -> str:
    return f"{CLASSIFICATION}/jobs/{quote(job, safe='')}"

"""The HTTP face of jobs: parse, one call, answer."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from flask import Response, request
from flask_openapi3 import APIBlueprint, RawModel
from pydantic import Field

from classification_service.asking import is_form
from classification_service.job_erasure import JobEraser
from classification_service.job_ports import AnswerFilter, Viewer
from classification_service.job_results import JobResults
from classification_service.jobs import JobDesk
from classification_service.routes import PREFIX
from commons.adapters.request_log import CALLER
from commons.adapters.web_app import answer, needs
from commons.auth import Caller
from commons.job_messages import (
    MOST_NETWORKS,
    ClassificationJob,
    ImageOfNoJob,
    JobAnswers,
    JobId,
    JobList,
    JobReply,
    JobState,
)
from commons.messages import DatasetName, Message, Sha256
from commons.network_names import NetworkReference

Count = Callable[[str, str], None]
_MAY = needs("classify")


class ImagesBody(RawModel):
    """The bytes of one image, or a form with many files in the field `files`, or nothing."""

    mimetypes: ClassVar[list[str]] = [  # type: ignore[misc]
        "application/octet-stream",
        "multipart/form-data",
    ]


class NewJobQuery(Message):
    """Which networks are asked, and whether more images will come."""

    network: list[str] = Field(
        default_factory=list,
        max_length=MOST_NETWORKS,
        description="An id, 8 or more of its first digits, or a name; several times for several "
        "networks. Default: the champion",
    )
    dataset: DatasetName | None = Field(None, description="Whose champion, if there are several")
    open: bool = Field(False, description="More images will come")


class MoreImagesQuery(Message):
    """Whether more images will come after these."""

    open: bool = Field(True, description="More images will come")


class JobPath(Message):
    """A job by its id."""

    job: JobId


class JobsQuery(Message):
    """Which page; `cursor` is the one of the page before."""

    cursor: str | None = Field(None, max_length=20)
    limit: int = Field(50, ge=1, le=500)


class AnswersQuery(Message):
    """Which answers of a job."""

    network: NetworkReference | None = None
    state: JobState | None = None
    category: str | None = Field(
        None, max_length=120, description="Name or id of the most probable category"
    )
    min_confidence: float | None = Field(None, ge=0.0, le=1.0)
    max_confidence: float | None = Field(None, ge=0.0, le=1.0)

    def of(self, job: str) -> AnswerFilter:
        """Return the same but for the category, which the networks' cards know."""
        return AnswerFilter(
            job, self.network, self.state, None, self.min_confidence, self.max_confidence
        )


class AnswersPageQuery(AnswersQuery):
    """Which answers, and which page of them; `cursor` is the one of the page before."""

    cursor: str | None = Field(None, max_length=40)
    limit: int = Field(100, ge=1, le=1000)


class ImageQuery(Message):
    """An image by its sha256."""

    image: Sha256


def job_routes(desk: JobDesk, results: JobResults, eraser: JobEraser, count: Count) -> APIBlueprint:
    """Return the routes of jobs; `count` gets an event and a word about it."""
    routes = APIBlueprint("jobs", __name__, url_prefix=PREFIX)
    _add_making(routes, desk, count)
    _add_looking(routes, desk)
    _add_results(routes, results)

    @routes.delete(
        "/jobs",
        summary="Erase an image from all jobs: its bytes, and what was said of it, for good",
        description="A part of erasing an image everywhere, as `dicebox purge` does. Safe to "
        "repeat.",
        security=needs("admin"),
        responses={200: ImageOfNoJob},
    )
    def erase(query: ImageQuery) -> Response:
        return answer(eraser.erase(query.image))

    return routes


def _add_making(routes: APIBlueprint, desk: JobDesk, count: Count) -> None:
    @routes.post(
        "/jobs",
        summary="Have many images classified by one or more networks, behind the requests",
        description="The ids of all images come at once: their sha256. Durable when answered; "
        "the work begins at once. `open=true` makes a job that takes more images by "
        "`POST jobs/{job}/images`, so that no request need be large.",
        security=_MAY,
        responses={202: JobReply},
    )
    def make(query: NewJobQuery, raw: ImagesBody) -> Response:
        reply = desk.make(_viewer(), query.network, query.dataset, _files(), is_open=query.open)
        count("job", "made")
        return answer(reply, 202)

    @routes.post(
        "/jobs/<job>/images",
        summary="Give an open job more images; safe to repeat",
        security=_MAY,
        responses={202: JobReply},
    )
    def add(path: JobPath, query: MoreImagesQuery, raw: ImagesBody) -> Response:
        return answer(desk.add(path.job, _viewer(), _files(), is_open=query.open), 202)

    @routes.post(
        "/jobs/<job>/close",
        summary="Say that no more images will come",
        security=_MAY,
        responses={200: ClassificationJob},
    )
    def close(path: JobPath) -> Response:
        return answer(desk.close(path.job, _viewer()))

    @routes.post(
        "/jobs/<job>/cancel",
        summary="Give up what is not done yet",
        security=_MAY,
        responses={200: ClassificationJob},
    )
    def cancel(path: JobPath) -> Response:
        return answer(desk.cancel(path.job, _viewer()))

    @routes.delete(
        "/jobs/<job>",
        summary="Forget a job, its images, and what was said of them for no other job",
        security=_MAY,
        responses={204: None},
    )
    def remove(path: JobPath) -> Response:
        desk.remove(path.job, _viewer())
        return Response(status=204)


def _add_looking(routes: APIBlueprint, desk: JobDesk) -> None:
    @routes.get(
        "/jobs",
        summary="The jobs of this key, newest first; those of all with the scope admin",
        security=_MAY,
        responses={200: JobList},
    )
    def jobs(query: JobsQuery) -> Response:
        return answer(desk.page(_viewer(), query.cursor, query.limit))

    @routes.get(
        "/jobs/<job>",
        summary="Where a job stands",
        security=_MAY,
        responses={200: ClassificationJob},
    )
    def job(path: JobPath) -> Response:
        return answer(desk.get(path.job, _viewer()))


def _add_results(routes: APIBlueprint, results: JobResults) -> None:
    @routes.get(
        "/jobs/<job>/results",
        summary="What the networks say, image by image in the order they came",
        security=_MAY,
        responses={200: JobAnswers},
    )
    def page(path: JobPath, query: AnswersPageQuery) -> Response:
        which = query.of(path.job)
        return answer(results.page(_viewer(), which, query.category, query.cursor, query.limit))

    @routes.get(
        "/jobs/<job>/results.csv",
        summary="The same as a table, all of it, a line for each image and network",
        security=_MAY,
    )
    def table(path: JobPath, query: AnswersQuery) -> Response:
        lines = results.csv(_viewer(), query.of(path.job), query.category)
        response = Response(lines, content_type="text/csv; charset=utf-8")
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Content-Disposition"] = f'attachment; filename="job-{path.job}.csv"'
        return response


def _files() -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of the files of this request, one in memory at a time."""
    if not is_form(request.content_type or ""):
        data = request.get_data(cache=False)
        if data:
            yield "", data
        return
    for file in request.files.getlist("files"):
        yield file.filename or "", file.read()


def _viewer() -> Viewer:
    caller: Caller = request.environ[CALLER]
    name = caller.key.name if caller.key is not None else None
    return Viewer(name, sees_all="admin" in caller.scopes)

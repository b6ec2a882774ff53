"""What a job's networks say: page by page, by category and confidence, and as CSV."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from classification_service.job_ports import (
    AnswerFilter,
    FoundAnswer,
    JobCatalog,
    JobImages,
    Viewer,
)
from classification_service.ports import GalleryTables
from commons.errors import InvalidInputError, NotFoundError
from commons.job_messages import ClassificationJob, JobAnswer, JobAnswers
from commons.messages import Answer, Category

_PLACE = re.compile(r"(\d{1,18})\.(\d{1,4})")
_ROWS = 1000
COLUMNS = (
    *("image", "file", "network", "dataset", "state"),
    *("category", "category_id", "probability", "reason"),
)
# What makes a spreadsheet take a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - they are meant

Categories = Mapping[str, Sequence[Category]]


class JobResults:
    """The answers of jobs, in the words of the networks' cards.

    Args:
        catalog: The jobs.
        images: Their images, and what is said of them.
        gallery: Which categories a network knows.
    """

    def __init__(self, catalog: JobCatalog, images: JobImages, gallery: GalleryTables) -> None:
        self._catalog = catalog
        self._images = images
        self._gallery = gallery

    def page(
        self,
        viewer: Viewer,
        which: AnswerFilter,
        category: str | None,
        cursor: str | None,
        limit: int,
    ) -> JobAnswers:
        """Return answers of a job, images in the order they came.

        Args:
            viewer: Who looks.
            which: Which answers; by category they are chosen here.
            category: Only those whose most probable category has this id or name.
            cursor: That of the page before.
            limit: How many at most.

        Raises:
            NotFoundError: The viewer has no such job (kind `unknown-job`).
            InvalidInputError: The cursor is none, or the network is none of the job.
        """
        after = _place(cursor)
        which, categories = self._chosen(viewer, which, category)
        found = self._images.answers(which, after, limit + 1)
        last = found[limit - 1].place if len(found) > limit else None
        return JobAnswers(
            answers=[_answer(one, categories) for one in found[:limit]],
            cursor=None if last is None else f"{last[0]}.{last[1]}",
        )

    def csv(self, viewer: Viewer, which: AnswerFilter, category: str | None) -> Iterator[str]:
        """Return the lines of a table (`COLUMNS`) of all these answers, a line each.

        Names that a spreadsheet would run as a formula begin with an apostrophe.

        Raises:
            NotFoundError: The viewer has no such job (kind `unknown-job`).
            InvalidInputError: The network is none of the job.
        """
        job = self._catalog.get(which.job, viewer)
        which, categories = self._chosen(viewer, which, category)
        datasets = {one.network: one.dataset for one in job.networks}
        return self._lines(which, categories, datasets)

    def _lines(
        self, which: AnswerFilter, categories: Categories, datasets: Mapping[str, str]
    ) -> Iterator[str]:
        yield _line(COLUMNS)
        after: tuple[int, int] | None = None
        while found := self._images.answers(which, after, _ROWS):
            after = found[-1].place
            yield "".join(
                _line(_row(_answer(one, categories), datasets[one.network])) for one in found
            )

    def _whole(self, job: ClassificationJob, network: str | None) -> str | None:
        if network is None:
            return None
        with suppress(NotFoundError):
            whole = self._gallery.network(network).network
            if any(one.network == whole for one in job.networks):
                return whole
        raise InvalidInputError(
            f"expected one of the {len(job.networks)} networks of the job, got {network[:64]!r}"
        )

    def _chosen(
        self, viewer: Viewer, which: AnswerFilter, category: str | None
    ) -> tuple[AnswerFilter, Categories]:
        job = self._catalog.get(which.job, viewer)
        network = self._whole(job, which.network)
        asked = [one.network for one in job.networks if network in (None, one.network)]
        categories = {one: self._gallery.network(one).card.categories for one in asked}
        named = None
        if category is not None:
            named = [
                (network, index)
                for network, known in categories.items()
                for index, one in enumerate(known)
                if category in (one.id, one.name)
            ]
        return (
            AnswerFilter(which.job, network, which.state, named, which.least, which.most),
            categories,
        )


def _place(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    form = _PLACE.fullmatch(cursor)
    if form is None:
        raise InvalidInputError(f"expected the cursor of a page before, got {cursor[:40]!r}")
    return int(form[1]), int(form[2])


def _answer(found: FoundAnswer, categories: Categories) -> JobAnswer:
    known = categories[found.network]
    return JobAnswer(
        image=found.image,
        file=found.file,
        network=found.network,
        state=found.state,
        answers=[Answer(category=known[i], probability=value) for i, value in found.answers],
        kind=found.kind,
        reason=found.reason,
    )


def _row(answer: JobAnswer, dataset: str) -> list[str]:
    best = answer.answers[0] if answer.answers else None
    return [
        answer.image,
        answer.file,
        answer.network,
        dataset,
        answer.state,
        best.category.name if best else "",
        best.category.id if best else "",
        f"{best.probability:.6f}" if best else "",
        answer.reason or "",
    ]


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_harmless(cell) for cell in cells])
    return line.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell

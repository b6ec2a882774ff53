"""What every implementation of `classification_service.job_ports` must do."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import classification_service
from classification_service.adapters.job_erasure_tables import SqlJobErasure
from classification_service.adapters.job_schema import ANSWER, METADATA
from classification_service.adapters.job_tables import SqlJobCatalog, SqlJobImages
from classification_service.adapters.job_work_tables import (
    SqlAnswerBook,
    SqlJobCleaning,
    SqlJobWork,
)
from classification_service.job_ports import (
    AnswerFilter,
    Claim,
    KnownMeanwhileError,
    NewJob,
    NewPart,
    PartImage,
    Said,
    Viewer,
)
from commons.adapters.database import migrate, reading, version_table
from commons.errors import ConflictError, NotFoundError, StorageFullError, TooLargeError
from commons.job_messages import ClassificationJob
from tests.databases import database_urls, opened_database

MIGRATIONS = Path(classification_service.__file__).parent / "migrations"
ALL = Viewer(None, sees_all=True)
MANY = 1_000_000
A, B = "a" * 64, "b" * 64


def job_id(number: int) -> str:
    return f"{number:016x}"


def sha(number: int) -> str:
    return f"{number:064x}"


class Tables:
    """All tables of jobs, with what tests do to them time and again."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self.database = database
        self.catalog = SqlJobCatalog(database)
        self.images = SqlJobImages(database)
        self.work = SqlJobWork(database)
        self.book = SqlAnswerBook(database)
        self.cleaning = SqlJobCleaning(database)
        self.erasure = SqlJobErasure(database)

    def make(self, number: int = 1, who: str | None = "ann", networks: tuple[str, ...] = (A,)):
        pairs = [(network, "digits") for network in networks]
        self.catalog.add(NewJob(job_id(number), who, 1.0, pairs))
        return job_id(number)

    def add(self, job: str, *numbers: int, blob: str = "blob") -> int:
        """Return the number of a part with these images."""
        (number,) = self.images.add(job, [part(*numbers, blob=blob)], 2.0, MANY)
        return number

    def get(self, job: str) -> ClassificationJob:
        return self.catalog.get(job, ALL)

    def said(self) -> set[tuple[str, str]]:
        """Return every (image, network) of which it is known what is said."""
        with reading(self.database) as connection:
            rows = connection.execute(ANSWER.select().where(ANSWER.c.said.is_not(None)))
            return {(row.image, row.network) for row in rows}

    def take_out(self, image: int, part: int, when: float = 9.0) -> str | None:
        """Take an image out of a part; the others lie close together then."""

        def keep(job: str, blob: str, kept: Sequence[PartImage]) -> NewPart:
            moved = [replace(one, start=10 * at) for at, one in enumerate(kept)]
            return NewPart(f"{job} {blob} again", moved)

        return self.erasure.take_out(sha(image), part, when, keep)

    def states(self, job: str) -> list[str]:
        return [one.state for one in self.images.answers(AnswerFilter(job), None, 1000)]


def part(*numbers: int, blob: str = "blob") -> NewPart:
    return NewPart(blob, [PartImage(sha(n), f"{n}.png", 10 * n, 10) for n in numbers])


def said(number: int, network: str = A, category: int = 1, sure: float = 0.9) -> Said:
    return Said(sha(number), network, [(category, sure), (0, 1 - sure)])


def bad(number: int, network: str = A) -> Said:
    return Said(sha(number), network, kind="not-an-image", reason="it is none")


@pytest.fixture(params=database_urls)
def database(request: pytest.FixtureRequest) -> Iterator[sqlalchemy.Engine]:
    yield from opened_database(request)


@pytest.fixture
def tables(database: sqlalchemy.Engine) -> Tables:
    METADATA.create_all(database)  # what the migrations make, in less time
    return Tables(database)


def test_the_migrations_make_the_tables_that_the_code_knows(database: sqlalchemy.Engine) -> None:
    migrate(database, MIGRATIONS)
    with reading(database) as connection:
        options = {
            "version_table": version_table(database, MIGRATIONS),
            "include_object": lambda _, name, kind, *__: kind != "table" or name.startswith("job"),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def test_a_new_job_is_queued_open_and_empty(tables: Tables) -> None:
    job = tables.get(tables.make(networks=(A, B)))
    assert (job.state, job.open, job.images, job.done, job.failed) == ("queued", True, 0, 0, 0)
    assert [network.network for network in job.networks] == [A, B]
    assert (job.who, job.created, job.finished, job.reason) == ("ann", 1.0, None, None)


def test_who_made_a_job_sees_it_and_nobody_else_but_those_who_see_all(tables: Tables) -> None:
    of_ann, of_nobody = tables.make(1), tables.make(2, who=None)
    ann, bob = Viewer("ann", sees_all=False), Viewer("bob", sees_all=False)
    assert tables.catalog.get(of_ann, ann).id == of_ann
    for job, viewer in ((of_ann, bob), (of_nobody, ann), (job_id(9), ALL)):
        with pytest.raises(NotFoundError, match="no job") as caught:
            tables.catalog.get(job, viewer)
        assert caught.value.kind == "unknown-job"
    assert [job.id for job in tables.catalog.page(ann, None, 10)[0]] == [of_ann]
    assert [job.id for job in tables.catalog.page(ALL, None, 10)[0]] == [of_nobody, of_ann]


def test_jobs_come_page_by_page_newest_first(tables: Tables) -> None:
    jobs = [tables.make(number) for number in range(5)]
    first, place = tables.catalog.page(ALL, None, 2)
    tables.make(9)
    second, place = tables.catalog.page(ALL, place, 2)
    third, end = tables.catalog.page(ALL, place, 2)
    assert [job.id for job in [*first, *second, *third]] == jobs[::-1]
    assert end is None


def test_an_image_is_in_a_job_once_and_may_be_in_others(tables: Tables) -> None:
    job, other = tables.make(1), tables.make(2)
    tables.add(job, 1, 2)
    assert tables.images.known(job, [sha(1), sha(3)]) == {sha(1)}
    with pytest.raises(KnownMeanwhileError) as caught:
        tables.images.add(job, [part(2, 4), part(1, 3)], 3.0, MANY)
    assert caught.value.known == {sha(1), sha(2)}
    assert tables.get(job).images == 2
    tables.add(other, 1)
    assert tables.get(other).images == 1


def test_a_job_has_no_more_images_than_the_most(tables: Tables) -> None:
    job = tables.make()
    tables.images.add(job, [part(1, 2)], 2.0, 3)
    with pytest.raises(TooLargeError):
        tables.images.add(job, [part(3), part(4)], 2.0, 3)
    assert tables.get(job).images == 2
    tables.images.add(job, [part(3)], 2.0, 3)
    assert tables.get(job).images == 3


def test_a_closed_cancelled_or_removed_job_takes_no_image(tables: Tables) -> None:
    closed, cancelled, removed = (tables.make(number) for number in range(3))
    tables.catalog.end(closed, 3.0)
    tables.catalog.end(cancelled, 3.0, cancel=True)
    tables.catalog.end(removed, 3.0, remove=True)
    for job, kind in ((closed, "job-closed"), (cancelled, "job-closed"), (removed, "unknown-job")):
        with pytest.raises((ConflictError, NotFoundError)) as caught:
            tables.images.add(job, [part(1)], 4.0, MANY)
        assert caught.value.kind == kind


def test_a_part_goes_from_queued_over_running_to_done_and_so_does_its_job(tables: Tables) -> None:
    job = tables.make(networks=(A, B))
    number = tables.add(job, 1, 2)
    tables.catalog.end(job, 3.0)
    assert (tables.get(job).state, tables.states(job)) == ("queued", ["queued"] * 4)
    work = tables.work.begin(number, 4.0)
    assert work is not None
    assert (work.job, work.blob, list(work.networks)) == (job, "blob", [A, B])
    assert [(one.image, one.start, one.size) for one in work.images] == [
        (sha(1), 10, 10),
        (sha(2), 20, 10),
    ]
    assert (tables.get(job).state, tables.states(job)) == ("running", ["running"] * 4)
    assert tables.book.record(number, [said(1), bad(2)], 5.0)
    assert tables.states(job) == ["done", "running", "failed", "running"]
    assert (tables.get(job).done, tables.get(job).failed) == (1, 1)
    assert tables.book.record(number, [said(1, B), said(2, B)], 6.0)
    tables.work.finish(number, 7.0)
    ended = tables.get(job)
    assert (ended.state, ended.done, ended.failed, ended.finished) == ("done", 3, 1, 7.0)
    assert tables.work.begin(number, 8.0) is None


def test_a_job_is_finished_by_its_last_part_but_not_while_it_is_open(tables: Tables) -> None:
    job = tables.make()
    parts = [tables.add(job, number) for number in (1, 2)]
    for number, work in enumerate(parts, start=1):
        tables.work.begin(work, 3.0)
        tables.book.record(work, [said(number)], 3.0)
    tables.work.finish(parts[0], 4.0)
    assert tables.get(job).state == "running"
    tables.work.finish(parts[1], 5.0)
    assert (tables.get(job).state, tables.get(job).open) == ("running", True)
    tables.catalog.end(job, 6.0)
    assert (tables.get(job).state, tables.get(job).finished) == ("done", 6.0)


def test_workers_that_finish_the_last_parts_at_once_finish_the_job(tables: Tables) -> None:
    for round_ in range(5):
        job = tables.make(round_)
        parts = [tables.add(job, 10 * round_ + number) for number in range(4)]
        tables.catalog.end(job, 3.0)
        start = threading.Barrier(len(parts))

        def finish(number: int, start: threading.Barrier = start) -> None:
            start.wait()
            tables.work.finish(number, 4.0)

        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(finish, parts))
        assert tables.get(job).finished == 4.0


def test_what_was_said_is_kept_once_and_shown_by_every_job(tables: Tables) -> None:
    first, second = tables.make(1), tables.make(2)
    one, two = tables.add(first, 1), tables.add(second, 1, 2)
    tables.book.record(one, [said(1, sure=0.9)], 3.0)
    assert tables.said() == {(sha(1), A)}
    assert tables.states(second) == ["done", "queued"]
    third = tables.make(3)
    tables.add(third, 1, 3)
    assert (tables.get(third).state, tables.get(third).done) == ("queued", 1)
    tables.book.record(two, [said(1, sure=0.5)], 4.0)
    (kept,) = tables.images.answers(AnswerFilter(first), None, 10)
    assert kept.answers == [(1, 0.9), (0, 0.1)]


def test_a_network_that_cannot_be_asked_fails_what_it_did_not_say(tables: Tables) -> None:
    job = tables.make(networks=(A, B))
    number = tables.add(job, 1, 2)
    tables.catalog.end(job, 2.0)
    tables.work.begin(number, 3.0)
    tables.book.record(number, [said(1, B)], 3.0)
    tables.work.give_up(number, B, "its file is damaged")
    assert tables.states(job) == ["running", "done", "running", "failed"]
    tables.book.record(number, [said(1), said(2)], 4.0)
    tables.work.finish(number, 5.0)
    ended = tables.get(job)
    assert (ended.state, ended.done, ended.failed) == ("done", 3, 1)
    assert [network.reason for network in ended.networks] == [None, "its file is damaged"]
    later = tables.add(tables.make(2, networks=(A, B)), 3)
    work = tables.work.begin(later, 6.0)
    assert work is not None
    assert list(work.networks) == [A, B]


@pytest.mark.parametrize("network", [A, None])
def test_a_job_of_which_nothing_could_be_done_failed_with_the_reason(
    tables: Tables, network: str | None
) -> None:
    job = tables.make()
    number = tables.add(job, 1, 2)
    tables.catalog.end(job, 2.0)
    tables.work.begin(number, 3.0)
    tables.work.give_up(number, network, "it is gone")
    tables.work.finish(number, 4.0)
    ended = tables.get(job)
    assert (ended.state, ended.reason, ended.failed) == ("failed", "it is gone", 2)
    answers = tables.images.answers(AnswerFilter(job), None, 10)
    assert [(one.state, one.reason) for one in answers] == [("failed", "it is gone")] * 2


def test_a_job_without_a_single_image_that_is_one_failed_too(tables: Tables) -> None:
    job = tables.make()
    number = tables.add(job, 1)
    tables.catalog.end(job, 2.0)
    tables.book.record(number, [bad(1)], 3.0)
    tables.work.finish(number, 4.0)
    assert (tables.get(job).state, tables.get(job).reason) == ("failed", "it is none")


def test_a_cancelled_job_keeps_what_was_said_and_is_worked_on_no_more(tables: Tables) -> None:
    job = tables.make()
    one, two = tables.add(job, 1, 2), tables.add(job, 3)
    tables.work.begin(one, 3.0)
    tables.book.record(one, [said(1)], 3.0)
    tables.catalog.end(job, 4.0, cancel=True)
    assert not tables.book.record(one, [said(2)], 5.0)
    assert tables.work.begin(two, 5.0) is None
    tables.work.finish(one, 6.0)
    ended = tables.get(job)
    assert (ended.state, ended.finished, ended.done, ended.open) == ("cancelled", 4.0, 1, False)
    assert tables.states(job) == ["done", "cancelled", "cancelled"]
    assert tables.work.lost(99.0, 99.0, 10) == []


def test_a_job_that_is_over_cannot_be_cancelled_any_more(tables: Tables) -> None:
    job = tables.make()
    number = tables.add(job, 1)
    tables.catalog.end(job, 2.0)
    tables.book.record(number, [said(1)], 3.0)
    tables.work.finish(number, 4.0)
    tables.catalog.end(job, 5.0, cancel=True)
    assert (tables.get(job).state, tables.get(job).finished) == ("done", 4.0)


def test_lost_parts_are_those_that_nobody_touched_for_long(tables: Tables) -> None:
    job = tables.make()
    one, two, three = (tables.add(job, number) for number in (1, 2, 3))  # sent at 2.0
    tables.work.begin(one, 50.0)
    tables.work.finish(two, 50.0)
    assert tables.work.lost(2.0, 60.0, 10) == []
    assert tables.work.lost(40.0, 60.0, 10) == [three]
    assert tables.work.lost(40.0, 61.0, 10) == []
    assert sorted(tables.work.lost(61.0, 70.0, 10)) == [one, three]
    assert len(tables.work.lost(71.0, 80.0, 1)) == 1


def test_answers_come_page_by_page_in_the_order_of_the_images(tables: Tables) -> None:
    job = tables.make(networks=(B, A))
    tables.add(job, 5, 3)
    tables.add(job, 4)
    found = []
    after = None
    while len(found) < 6:
        page = tables.images.answers(AnswerFilter(job), after, 2)
        found += [(one.image, one.file, one.network) for one in page]
        after = page[-1].place
        tables.images.add(job, [part(100 + len(found))], 3.0, MANY)  # others come meanwhile
    expected = [(sha(n), f"{n}.png", network) for n in (5, 3, 4) for network in (B, A)]
    assert found == expected


def test_answers_are_found_by_category_confidence_state_and_network(tables: Tables) -> None:
    job = tables.make(networks=(A, B))
    number = tables.add(job, 1, 2, 3, 4)
    tables.book.record(
        number,
        [said(1, A, 1, 0.9), said(2, A, 0, 0.6), bad(3), said(1, B, 1, 0.7), said(2, B, 0, 0.8)],
        3.0,
    )

    def found(**which: object) -> list[tuple[str, str]]:
        rows = tables.images.answers(AnswerFilter(job, **which), None, 100)  # type: ignore[arg-type]
        return [(one.image, one.network) for one in rows]

    assert found(categories=[(A, 1)]) == [(sha(1), A)]
    assert found(categories=[(A, 1), (B, 0)]) == [(sha(1), A), (sha(2), B)]
    assert found(categories=[]) == []
    assert found(least=0.7) == [(sha(1), A), (sha(1), B), (sha(2), B)]
    assert found(least=0.7, most=0.8) == [(sha(1), B), (sha(2), B)]
    assert found(state="failed") == [(sha(3), A)]
    assert found(state="done", network=B) == [(sha(1), B), (sha(2), B)]
    assert found(state="queued") == [(sha(3), B), (sha(4), A), (sha(4), B)]
    assert found(state="cancelled") == []


def test_open_jobs_are_closed_when_nothing_comes_for_long(tables: Tables) -> None:
    idle, fed = tables.make(1), tables.make(2)
    tables.images.add(fed, [part(1)], 50.0, MANY)
    assert tables.cleaning.close_idle(40.0, 60.0) == 1
    assert (tables.get(idle).open, tables.get(idle).state) == (False, "done")
    assert tables.get(fed).open


def test_a_job_is_removed_some_time_after_its_end_and_not_before(tables: Tables) -> None:
    job = tables.make()
    number = tables.add(job, 1)
    assert tables.cleaning.remove_old(1e9, 1e9) == 0
    tables.catalog.end(job, 3.0)
    tables.book.record(number, [said(1)], 3.0)
    tables.work.finish(number, 5.0)
    assert tables.cleaning.remove_old(5.0, 6.0) == 0
    assert tables.cleaning.remove_old(5.5, 6.0) == 1
    with pytest.raises(NotFoundError):
        tables.get(job)


def test_what_is_forgotten_takes_along_what_no_other_job_shows(tables: Tables) -> None:
    gone, kept = tables.make(1), tables.make(2)
    number, other = tables.add(gone, 1, 2, blob="of the first"), tables.add(kept, 2, 3)
    tables.book.record(number, [said(1), said(2)], 3.0)
    tables.book.record(other, [said(3)], 3.0)
    tables.catalog.end(gone, 4.0, remove=True)
    assert tables.cleaning.forget_jobs() == []
    assert tables.cleaning.removed_parts(10) == [(number, "of the first")]
    assert not tables.book.record(number, [said(1)], 5.0)
    tables.cleaning.forget_part(number)
    tables.cleaning.forget_part(number)
    assert tables.said() == {(sha(2), A), (sha(3), A)}
    assert tables.cleaning.removed_parts(10) == []
    assert tables.cleaning.forget_jobs() == [gone]
    assert tables.cleaning.forget_jobs() == []
    assert tables.states(kept) == ["done", "done"]
    assert tables.work.begin(number, 9.0) is None


def test_an_image_is_taken_out_of_every_job_with_what_was_said_of_it(tables: Tables) -> None:
    ended, removed = tables.make(1, networks=(A, B)), tables.make(2)
    one, other = tables.add(ended, 1, 2, 3), tables.add(removed, 2, 3, blob="other")
    tables.book.record(one, [said(1), said(2), bad(3)], 3.0)
    tables.work.finish(one, 4.0)
    tables.catalog.end(removed, 4.0, remove=True)
    assert tables.erasure.holders(sha(2)) == [one, other]
    assert tables.take_out(2, one) == "blob"
    assert tables.take_out(2, other) == "other"
    assert tables.take_out(2, one) is None
    assert tables.erasure.holders(sha(2)) == []
    job = tables.get(ended)
    # Of B, which had said nothing when the part was finished, the rest has failed.
    assert (job.images, job.done, job.failed) == (2, 1, 3)
    assert tables.said() == {(sha(1), A), (sha(3), A)}
    assert tables.cleaning.unknown(["blob", "x", f"{ended} blob again"]) == ["blob", "x"]


def test_what_is_left_of_a_part_is_worked_on_where_it_lies_now(tables: Tables) -> None:
    job = tables.make()
    number = tables.add(job, 1, 2, 3)
    assert tables.work.begin(number, 3.0)
    assert tables.take_out(2, number) == "blob"
    work = tables.work.begin(number, 4.0)
    assert work is not None
    assert work.blob == f"{job} blob again"
    assert [(one.image, one.start) for one in work.images] == [(sha(1), 0), (sha(3), 10)]
    tables.catalog.end(job, 5.0)
    assert tables.book.record(number, [said(1), said(3)], 5.0)
    tables.work.finish(number, 6.0)
    assert (tables.get(job).state, tables.get(job).done, tables.get(job).failed) == ("done", 2, 0)


def test_of_an_image_that_was_taken_out_meanwhile_nothing_is_kept(tables: Tables) -> None:
    number = tables.add(tables.make(), 1, 2)
    assert tables.book.claim([sha(1), sha(2)], A, 3.0, 33.0).mine
    tables.take_out(2, number)
    # Its worker had it already, and may even claim it again.
    assert tables.book.claim([sha(2)], A, 4.0, 34.0).mine
    assert tables.book.record(number, [said(1), said(2)], 5.0)
    assert tables.book.record(number, [said(2)], 5.0)
    assert tables.said() == {(sha(1), A)}
    # Nobody has claimed it any more, whoever has it in a job again.
    assert tables.book.claim([sha(2)], A, 6.0, 36.0) == Claim([sha(2)], 0)


def test_a_job_whose_last_image_is_taken_out_is_done(tables: Tables) -> None:
    closed, open_ = tables.make(1), tables.make(2)
    one, two = tables.add(closed, 1), tables.add(open_, 1)
    tables.catalog.end(closed, 3.0)
    assert [tables.take_out(1, one), tables.take_out(1, two)] == ["blob", "blob"]
    assert (tables.get(closed).state, tables.get(closed).finished) == ("done", 9.0)
    assert tables.get(open_).state == "queued"
    assert [tables.work.begin(number, 10.0) for number in (one, two)] == [None, None]
    assert tables.add(open_, 1) > two


def test_an_image_that_cannot_be_kept_elsewhere_is_not_taken_out(tables: Tables) -> None:
    job = tables.make()
    number = tables.add(job, 1, 2)

    def fail(job: str, blob: str, kept: Sequence[PartImage]) -> NewPart:
        raise StorageFullError("no space is left")

    with pytest.raises(StorageFullError):
        tables.erasure.take_out(sha(1), number, 3.0, fail)
    assert tables.erasure.holders(sha(1)) == [number]
    assert tables.get(job).images == 2


def test_what_one_has_claimed_no_other_gets_until_it_is_free_again(tables: Tables) -> None:
    number = tables.add(tables.make(networks=(A, B)), 1, 2, 3)
    assert tables.book.claim([sha(2), sha(1)], A, 10.0, 40.0) == Claim([sha(1), sha(2)], 0)
    assert tables.book.claim([sha(1), sha(3)], A, 11.0, 41.0) == Claim([sha(3)], 1)
    assert tables.book.claim([sha(1)], B, 11.0, 41.0) == Claim([sha(1)], 0)
    tables.book.record(number, [said(1)], 12.0)
    tables.book.release([sha(1), sha(2)], A)
    assert tables.said() == {(sha(1), A)}
    images = [sha(1), sha(2), sha(3)]
    assert tables.book.claim(images, A, 13.0, 43.0) == Claim([sha(2)], 1)
    assert tables.book.claim(images, A, 42.0, 72.0) == Claim([sha(3)], 1)  # its holder died
    assert tables.book.claim([sha(1)], A, 1e9, 2e9) == Claim([], 0)
    assert tables.states(job_id(1)) == ["done", "queued", "queued", "queued", "queued", "queued"]


def test_of_many_that_claim_the_same_images_at_once_each_image_has_one(tables: Tables) -> None:
    images = [sha(number) for number in range(50)]
    start = threading.Barrier(4)

    def claim(shift: int) -> list[str]:
        start.wait()
        mine: list[str] = []
        for at in range(0, 50, 10):
            some = (images[at:] + images[:at])[shift : shift + 25]
            mine += tables.book.claim(some[::-1] if shift else some, A, 1.0, 99.0).mine
        return mine

    with ThreadPoolExecutor(4) as pool:
        claimed = [image for mine in pool.map(claim, (0, 5, 10, 20)) for image in mine]
    assert sorted(claimed) == images

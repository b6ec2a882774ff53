"""Puts together what takes jobs, what shows them, and what works on them in the background."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_openapi3 import APIBlueprint
from sqlalchemy import Engine

from classification_service.adapters.job_erasure_tables import SqlJobErasure
from classification_service.adapters.job_figures import jobs_by_state, waiting_images, waiting_parts
from classification_service.adapters.job_tables import SqlJobCatalog, SqlJobImages
from classification_service.adapters.job_work_tables import (
    SqlAnswerBook,
    SqlJobCleaning,
    SqlJobWork,
)
from classification_service.chores import Chore, Chores
from classification_service.consumer import JobWorker
from classification_service.gallery import Gallery
from classification_service.job_erasure import JobEraser
from classification_service.job_packing import PartPacker
from classification_service.job_parts import PartClassifier
from classification_service.job_results import JobResults
from classification_service.job_retention import JobRetention
from classification_service.job_routes import Count, job_routes
from classification_service.jobs import JobDesk
from classification_service.ports import GalleryTables
from commons.adapters.metrics import Gauges
from commons.ports import Blobs, Clock, Queue

_CLEAN_EVERY_S = 15.0


@dataclass(frozen=True)
class JobAssembly:
    """What the jobs' tables, images and tasks are used through, in any process."""

    database: Engine
    blobs: Blobs
    queue: Queue
    clock: Clock

    def routes(self, networks: GalleryTables, most_images: int, count: Count) -> APIBlueprint:
        """Return the routes of jobs, each of at most so many images."""
        catalog, images = SqlJobCatalog(self.database), SqlJobImages(self.database)
        desk = JobDesk(
            catalog, images, networks, self.blobs, self.queue, self.clock, _new_id, most_images
        )
        packer = PartPacker(self.blobs, _new_id)
        eraser = JobEraser(SqlJobErasure(self.database), packer, self.blobs, self.clock)
        return job_routes(desk, JobResults(catalog, images, networks), eraser, count)

    def gauges(self) -> Gauges:
        """Return what is measured of the tables: jobs, and what is still to be done of them."""
        depth = ("dicebox_queue_depth", "Parts of jobs still to be worked on", "queue")
        return {
            ("dicebox_jobs", "Jobs that are kept", "state"): lambda: jobs_by_state(self.database),
            depth: lambda: waiting_parts(self.database),
        }

    def figures(self) -> Mapping[str, float]:
        """Return how many images of jobs wait."""
        return {"job_images_waiting": waiting_images(self.database)}

    def worker(self, gallery: Gallery, chores: Sequence[Chore], claim_s: float) -> JobWorker:
        """Return what works on jobs, and does chores beside.

        Args:
            gallery: Where networks are found by their ids.
            chores: What is done beside.
            claim_s: A worker that says nothing for so long is taken for dead.
        """
        work, book = SqlJobWork(self.database), SqlAnswerBook(self.database)
        parts = PartClassifier(work, book, gallery, self.blobs, self.clock, claim_s)
        return JobWorker(self.queue, work, parts, Chores(chores, self.clock), self.clock)

    def chore(self, kept_s: float, open_s: float) -> Chore:
        """Return what cleans up: jobs that ended so long ago, and those left open so long."""
        cleaning = SqlJobCleaning(self.database)
        retention = JobRetention(cleaning, self.blobs, self.clock, kept_s, open_s)
        return Chore("cleaning up after jobs", _CLEAN_EVERY_S, retention.step)


def _new_id() -> str:
    return uuid.uuid4().hex[:16]

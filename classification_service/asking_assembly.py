"""Puts together what asks networks about images behind the requests, and what shows the results."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask_openapi3 import APIBlueprint
from sqlalchemy import Engine

from classification_service.adapters.examination_tables import SqlExaminationTables
from classification_service.chores import Chore
from classification_service.examination import Examinations, Examiner
from classification_service.examination_routes import examination_routes
from classification_service.gallery import Gallery
from classification_service.opinion_chore import OpinionChore
from classification_service.ports import GalleryTables
from commons.adapters.machine import cpu_model
from commons.adapters.sensory_client import SensoryClient
from commons.ports import Clock

_ASK_S = 1.0
_EXAMINE_S = 2.0


@dataclass(frozen=True)
class AskingAssembly:
    """What examinations and opinions are made and kept through, in any process."""

    database: Engine
    tables: GalleryTables
    clock: Clock

    def routes(self) -> APIBlueprint:
        """Return the routes of examinations."""
        results = SqlExaminationTables(self.database)
        return examination_routes(Examinations(self.tables, results))

    def chores(self, gallery: Gallery, images: SensoryClient, *, opinions: bool) -> Iterator[Chore]:
        """Yield what examines networks, and what has champions say what images show.

        Args:
            gallery: Loads the networks; the chores take turns with it.
            images: Where images are, and opinions go.
            opinions: Whether champions are asked.
        """
        results = SqlExaminationTables(self.database)
        examiner = Examiner(self.tables, results, gallery, images, self.clock, cpu_model)
        yield Chore("examining networks", _EXAMINE_S, examiner.step)
        if opinions:
            asking = OpinionChore(self.tables, gallery, images, self.clock)
            yield Chore("asking for opinions", _ASK_S, asking.step)

"""Puts together what people label, look through and correct with."""

from collections.abc import Sequence

from flask_openapi3 import APIBlueprint
from sqlalchemy import Engine

from commons.ports import Clock
from sensory_service.adapters.opinion_tables import OpinionTables
from sensory_service.adapters.overview_tables import OverviewTables
from sensory_service.opinion_routes import opinion_routes
from sensory_service.opinions import OpinionDesk
from sensory_service.overview import Overview
from sensory_service.overview_routes import overview_routes


def labeling_routes(prefix: str, database: Engine, clock: Clock) -> Sequence[APIBlueprint]:
    """Return the routes of figures about datasets and of what networks say about images."""
    return [
        overview_routes(prefix, Overview(OverviewTables(database), clock)),
        opinion_routes(prefix, OpinionDesk(OpinionTables(database), clock)),
    ]

"""Puts together what people label, look through and correct with."""

import secrets
from collections.abc import Sequence

from flask_openapi3 import APIBlueprint
from sqlalchemy import Engine

from commons.ports import Clock
from sensory_service.adapters.appearance_tables import AppearanceTables
from sensory_service.adapters.claim_tables import ClaimTables
from sensory_service.adapters.opinion_tables import OpinionTables
from sensory_service.adapters.overview_tables import OverviewTables
from sensory_service.label_queue import QueueDesk
from sensory_service.opinion_routes import opinion_routes
from sensory_service.opinions import OpinionDesk
from sensory_service.overview import Overview
from sensory_service.overview_routes import overview_routes
from sensory_service.queue_routes import queue_routes


def labeling_routes(prefix: str, database: Engine, clock: Clock) -> Sequence[APIBlueprint]:
    """Return the routes of figures about datasets, of opinions and of the queue."""
    return [
        overview_routes(
            prefix, Overview(OverviewTables(database), AppearanceTables(database), clock)
        ),
        opinion_routes(prefix, OpinionDesk(OpinionTables(database), clock)),
        queue_routes(prefix, QueueDesk(ClaimTables(database), clock, _draw)),
    ]


def _draw() -> str:
    return secrets.token_hex(32)

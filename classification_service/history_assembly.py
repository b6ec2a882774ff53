"""Puts together what records, what shows the history, and what works on it in the background."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx
import numpy as np
from flask_openapi3 import APIBlueprint
from sqlalchemy import Engine

from classification_service.adapters.history_tables import SqlHistoryTables
from classification_service.adapters.outbox_tables import SqlCorrectionTables
from classification_service.adapters.sensory_labels import SensoryLabels
from classification_service.chores import Chore
from classification_service.corrections import CorrectionDesk, CorrectionSender
from classification_service.history import History
from classification_service.history_retention import HistoryRetention
from classification_service.history_routes import history_routes
from classification_service.ports import GalleryTables
from classification_service.recording import BatchRecorder, Count
from commons.adapters.caller import Caller
from commons.adapters.metrics import Gauges
from commons.auth import authorization
from commons.network_names import is_id
from commons.ports import Blobs, Clock

_SEND_EVERY_S = 1.0
_EXPIRE_EVERY_S = 30.0
_SEND_TIMEOUT_S = 10.0
# Who is away is asked again by the sender, which knows when.
_SEND_PATIENCE_S = 1.0


@dataclass(frozen=True)
class HistoryAssembly:
    """What the history's tables and images are used through, in any process."""

    database: Engine
    blobs: Blobs
    clock: Clock

    def recorder(self, share: float, count: Count) -> BatchRecorder:
        """Return what the hot path offers classifications to; it takes a `share` of them."""
        draw: Callable[[], float] = np.random.default_rng().random
        tables = SqlHistoryTables(self.database)
        return BatchRecorder(tables, self.blobs, self.clock, share, draw, count)

    def routes(self, networks: GalleryTables) -> APIBlueprint:
        """Return the routes of the history and of corrections."""
        history = History(SqlHistoryTables(self.database), self.blobs, self.clock)
        desk = CorrectionDesk(SqlCorrectionTables(self.database), self.clock)

        def whole_id(network: str) -> str:
            return network if is_id(network) else networks.network(network).network

        return history_routes(history, desk, whole_id)

    def gauges(self) -> Gauges:
        """Return what is measured of the tables: corrections that are on their way."""
        tables = SqlCorrectionTables(self.database)
        name = ("dicebox_corrections", "Corrections that are still to be sent", "state")
        return {name: lambda: {"waiting": float(tables.waiting())}}

    def figures(self) -> Mapping[str, float]:
        """Return how many corrections are still to be sent."""
        tables = SqlCorrectionTables(self.database)
        return {"corrections_waiting": float(tables.waiting())}

    def chores(
        self, most_s: float, most: int, sensory_url: str | None, key: str | None
    ) -> Iterator[Chore]:
        """Yield what forgets, and what sends corrections where there is somewhere to send them.

        Args:
            most_s: How long a classification is kept.
            most: How many are kept.
            sensory_url: Base address of the sensory service.
            key: What is shown there.
        """
        retention = HistoryRetention(
            SqlHistoryTables(self.database), self.blobs, self.clock, most_s, most
        )
        yield Chore("forgetting old classifications", _EXPIRE_EVERY_S, retention.step)
        if sensory_url is None:
            return
        http = httpx.Client(
            base_url=sensory_url, timeout=_SEND_TIMEOUT_S, headers=authorization(key)
        )
        labels = SensoryLabels(Caller(http, patience_s=_SEND_PATIENCE_S))
        tables = SqlCorrectionTables(self.database)
        sender = CorrectionSender(tables, self.blobs, labels, self.clock)
        yield Chore("sending corrections", _SEND_EVERY_S, sender.step)

"""Which networks are in memory: champions always, others while there is room for them."""

import itertools
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from classification_service.loading import LoadedNetwork, Loader
from classification_service.ports import GalleryTables
from commons.errors import ConflictError, DiceboxError, InvalidInputError
from commons.network_names import is_start
from commons.ports import Clock

RETRY_S = 10.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spares:
    """How much of what nobody needs for sure stays in memory, the networks asked for last."""

    networks: int = 8
    bytes: int = 256 * 1024 * 1024


@dataclass(frozen=True)
class _Fault:
    """Why a network cannot be loaded, and when it is worth another try."""

    reason: str
    retry_at: float


class Memory:
    """The loaded networks, found without a lock; nothing is loaded under the lock of changes.

    Args:
        tables: Where the cards are.
        loader: Brings a network into memory.
        clock: For the pause between tries of a network that does not load.
        spares: How many besides the needed ones stay.
    """

    def __init__(self, tables: GalleryTables, loader: Loader, clock: Clock, spares: Spares) -> None:
        self._tables = tables
        self._loader = loader
        self._clock = clock
        self._spares = spares
        self._cold = threading.Lock()
        self._replacing = threading.Lock()
        self._loaded: Mapping[str, LoadedNetwork] = {}
        self._names: Mapping[str, str] = {}
        # When each was asked for, counted in questions: clocks stand still between two.
        self._turns = itertools.count(1)
        self._used: dict[str, int] = {}
        self._needed: frozenset[str] = frozenset()
        self._faults: Mapping[str, _Fault] = {}

    def find(self, name: str) -> LoadedNetwork | None:
        """Return a network by its id, its name, or digits it was loaded by, if it is in memory."""
        loaded = self._loaded.get(self._names.get(name, name))
        if loaded is not None:
            self._used[loaded.network] = next(self._turns)
        return loaded

    def load(self, name: str) -> LoadedNetwork:
        """Return a network by its id, its first digits or its name, loading it if need be.

        Raises:
            NotFoundError: There is no such network.
            InvalidInputError: Several start with these digits.
            ConflictError: Its file was damaged since it was registered (kind `damaged-network`).
            UnavailableError: The tables or the blobs cannot be reached.
        """
        # One after the other: who asks for many must not take all memory and cores.
        with self._cold:
            loaded = self.find(name)
            if loaded is not None:
                return loaded
            entry = self._tables.network(name)
            loaded = self._loaded.get(entry.network)
            try:
                loaded = loaded or self._loader.load(entry.network, entry.card)
            except InvalidInputError as error:
                # It was whole when it was registered: the state is wrong, not the request.
                raise ConflictError(str(error), kind=error.kind) from error
            self._keep(loaded, name)
            return loaded

    def bring(self, network: str, dataset: str) -> LoadedNetwork | None:
        """Return a needed network, loaded if need be; nothing if it cannot be loaded now.

        That is logged once, and tried again after a while.
        """
        loaded = self._loaded.get(network)
        if loaded is not None:
            return loaded
        fault = self._faults.get(network)
        if fault is not None and self._clock.monotonic() < fault.retry_at:
            return None
        try:
            loaded = self._loader.load(network, self._tables.network(network).card)
        except DiceboxError as error:
            retry_at = self._clock.monotonic() + RETRY_S
            self._faults = {**self._faults, network: _Fault(str(error), retry_at)}
            if fault is None:
                _LOG.error("network %s of dataset %s: %s", network, dataset, error)
            return None
        self._faults = {k: v for k, v in self._faults.items() if k != network}
        with self._replacing:
            self._needed |= {network}
            self._loaded = {**self._loaded, network: loaded}
        return loaded

    def fault(self, network: str) -> str:
        """Return why a network could not be brought."""
        fault = self._faults.get(network)
        return fault.reason if fault else "it has not been loaded yet"

    def need(self, networks: set[str], tried: set[str], names: Mapping[str, str]) -> None:
        """Hold some networks for sure from now on, and of the others what there is room for.

        Args:
            networks: Those that are needed.
            tried: Those that will be brought again: why they could not be is remembered.
            names: The ids of all networks that have a name; nobody is found by an older one.
        """
        with self._replacing:
            starts = {k: v for k, v in self._names.items() if is_start(k)}
            self._names = {**starts, **names}
            self._needed = frozenset(networks)
            self._faults = {k: v for k, v in self._faults.items() if k in tried}
            self._forget()

    def _keep(self, loaded: LoadedNetwork, name: str) -> None:
        with self._replacing:
            self._used[loaded.network] = next(self._turns)
            self._loaded = {**self._loaded, loaded.network: loaded}
            if name != loaded.network:
                self._names = {**self._names, name: loaded.network}
            self._forget(besides=loaded.network)

    def _forget(self, besides: str | None = None) -> None:
        """Drop the spares that were asked for longest ago, but not the one that was just loaded."""
        spare = [one for one in self._loaded.values() if one.network not in self._needed]
        last = {one.network: self._used.get(one.network, 0) for one in spare}
        spare.sort(key=lambda one: (one.network == besides, last[one.network]), reverse=True)
        kept = set(self._needed)
        size = 0
        for count, one in enumerate(spare, start=1):
            size += one.card.onnx.bytes
            fits = count <= self._spares.networks and size <= self._spares.bytes
            if fits or one.network == besides:
                kept.add(one.network)
        self._loaded = {k: v for k, v in self._loaded.items() if k in kept}
        self._names = {k: v for k, v in self._names.items() if v in self._loaded}
        self._used = {k: v for k, v in self._used.items() if k in self._loaded}

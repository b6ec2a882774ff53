"""The champions in memory: read without a lock, replaced by one assignment."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from classification_service.loading import LoadedNetwork, Loader
from classification_service.ports import GalleryTables
from commons.errors import ConflictError, DiceboxError, InvalidInputError, UnavailableError
from commons.messages import Champion
from commons.ports import Clock

_RETRY_S = 10.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Fault:
    """Why a promoted network does not answer, and when it is worth another try."""

    network: str
    reason: str
    retry_at: float


class Gallery:
    """Which network answers for which dataset, loaded and warm.

    Requests read `_champions` and `_loaded` once and never wait: both are replaced whole,
    never changed. Whoever replaces them holds the lock.

    Args:
        tables: Where the pointers are; other processes promote there too.
        loader: Brings a network into memory.
        clock: For the pause between tries of a network that does not load.
        spare_networks: How many networks besides the champions stay loaded, the newest first:
            the champion before this one, and those asked for by name.
    """

    def __init__(
        self, tables: GalleryTables, loader: Loader, clock: Clock, *, spare_networks: int = 8
    ) -> None:
        self._tables = tables
        self._loader = loader
        self._clock = clock
        self._spare_networks = spare_networks
        self._lock = threading.Lock()
        self._champions: Mapping[str, LoadedNetwork] = {}
        self._loaded: Mapping[str, LoadedNetwork] = {}
        self._faults: Mapping[str, _Fault] = {}
        self._was_read = False

    def champion(self, dataset: str | None = None) -> LoadedNetwork:
        """Return the network that answers for a dataset, or for the only one that has one.

        Raises:
            ConflictError: There is none yet (kind `no-network`).
            InvalidInputError: No dataset was named and several have a champion.
            UnavailableError: A network was promoted but cannot be loaded.
        """
        champions = self._champions
        if dataset is None:
            if len(champions) > 1:
                names = ", ".join(sorted(champions))
                raise InvalidInputError(f"expected ?dataset= to name one of {names}, got none")
            dataset = next(iter(champions), None)
        if dataset is not None and dataset in champions:
            return champions[dataset]
        raise self._absent(dataset)

    def network(self, network: str) -> LoadedNetwork:
        """Return a registered network, loading it first if need be.

        Raises:
            NotFoundError: No network has this id.
            ConflictError: Its file was damaged since it was registered (kind `damaged-network`).
            UnavailableError: The tables or the blobs cannot be reached.
        """
        loaded = self._loaded.get(network)
        if loaded is not None:
            return loaded
        with self._lock:
            try:
                loaded = self._load(network)
            except InvalidInputError as error:
                # It was whole when it was registered: the state is wrong, not the request.
                raise ConflictError(str(error), kind=error.kind) from error
            self._forget_surplus()
        return loaded

    def refresh(self) -> None:
        """Read the pointers again and bring what is new into service.

        A network that does not load is logged; the one before it goes on answering.

        Raises:
            UnavailableError: The tables cannot be reached; everything stays as it was.
        """
        with self._lock:
            promoted = self._tables.champions()
            champions: dict[str, LoadedNetwork] = {}
            faults: dict[str, _Fault] = {}
            for pointer in promoted:
                self._follow(pointer, champions, faults)
            self._champions, self._faults = champions, faults
            self._was_read = True
            self._forget_surplus()

    def watch(self, interval_s: float, stop: threading.Event) -> None:
        """Refresh until `stop` is set; the body of the watcher thread."""
        while not stop.is_set():
            try:
                self.refresh()
            except Exception:
                # The outermost loop of its thread: serving goes on with what is loaded.
                _LOG.exception("the champions could not be read; the loaded ones go on")
            stop.wait(interval_s)

    def missing(self) -> dict[str, str]:
        """Return what keeps the service from being ready, name to reason."""
        if not self._was_read:
            return {"gallery": "the champions have not been read yet"}
        champions = self._champions
        return {
            f"champion of {dataset}": fault.reason
            for dataset, fault in self._faults.items()
            if dataset not in champions
        }

    def _absent(self, dataset: str | None) -> DiceboxError:
        faults = self._faults
        fault = faults.get(dataset) if dataset else next(iter(faults.values()), None)
        if fault is not None:
            return UnavailableError(fault.reason, kind="damaged-network", retry_after_s=_RETRY_S)
        where = f" for the dataset {dataset}" if dataset else ""
        return ConflictError(f"there is no champion{where} yet: evolve one", kind="no-network")

    def _follow(
        self,
        pointer: Champion,
        champions: dict[str, LoadedNetwork],
        faults: dict[str, _Fault],
    ) -> None:
        """Put the promoted network of one dataset into `champions`, or the old and the fault."""
        dataset, network = pointer.dataset, str(pointer.network)
        present = self._champions.get(dataset)
        fault = self._faults.get(dataset)
        if present is not None:
            champions[dataset] = present
        if present is not None and present.network == network:
            return
        if fault and fault.network == network and self._clock.monotonic() < fault.retry_at:
            faults[dataset] = fault
            return
        try:
            champions[dataset] = self._load(network)
        except DiceboxError as error:
            faults[dataset] = _Fault(network, str(error), self._clock.monotonic() + _RETRY_S)
            if fault is None or fault.network != network:
                _LOG.error("network %s of dataset %s: %s", network, dataset, error)
        else:
            _LOG.info("network %s answers for dataset %s", network, dataset)

    def _load(self, network: str) -> LoadedNetwork:
        loaded = self._loaded.get(network)
        if loaded is None:
            loaded = self._loader.load(network, self._tables.network(network).card)
            self._loaded = {**self._loaded, network: loaded}
        return loaded

    def _forget_surplus(self) -> None:
        champions = {loaded.network for loaded in self._champions.values()}
        spare = [network for network in self._loaded if network not in champions]
        surplus = set(spare[: max(0, len(spare) - self._spare_networks)])
        self._loaded = {k: v for k, v in self._loaded.items() if k not in surplus}

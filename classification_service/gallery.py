"""The networks in memory: read without a lock, replaced by one assignment."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from classification_service.guarding import Counts
from classification_service.loading import LoadedNetwork, Loader
from classification_service.memory import RETRY_S, Memory, Spares
from classification_service.ports import GalleryTables, NameTables, Reign
from classification_service.trial_ports import Traffic, TrialTables
from commons.errors import ConflictError, DiceboxError, InvalidInputError, UnavailableError
from commons.ports import Clock
from commons.trial_messages import Trial

_ID_DIGITS = 64
_LOG = logging.getLogger(__name__)


class NotLoadedError(UnavailableError):
    """A network that was named is not in memory: `Gallery.network` brings it there, in a thread."""

    kind = "not-loaded"


@dataclass(frozen=True, slots=True)
class Choice:
    """Who answers a request.

    Args:
        answering: Whose answer is given.
        shadow: Who is asked too, its answer only held against the other (`Gallery.compare`).
        fallback: Who answers if `answering` fails: nobody shall notice a bad candidate.
    """

    answering: LoadedNetwork
    shadow: LoadedNetwork | None = None
    fallback: LoadedNetwork | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """The champion of a dataset, loaded, and who is on trial beside it.

    Args:
        reign: Whose turn it is by the tables.
        choice: Who answers requests outside of the trial.
        trial: The trial, while its network is loaded.
        on_trial: Who answers those in it.
        is_on_probation: Whether the champion has not proved itself yet.
    """

    reign: Reign
    choice: Choice
    trial: Trial | None = None
    on_trial: Choice | None = None
    is_on_probation: bool = False

    @property
    def champion(self) -> LoadedNetwork:
        """Return the network that answers."""
        return self.choice.answering

    @property
    def networks(self) -> set[str]:
        """Return who may be asked by a request that names no network."""
        choices = [self.choice, *([self.on_trial] if self.on_trial else [])]
        chosen = [one for c in choices for one in (c.answering, c.shadow, c.fallback)]
        return {one.network for one in chosen if one is not None}


class Gallery:
    """Which network answers for which dataset, loaded and warm.

    Requests read what they need once and never wait: it is replaced whole, never changed.
    Nothing is loaded under a lock that they or a named network would wait for.

    Args:
        tables: Where the pointers are; other processes promote there too.
        loader: Brings a network into memory.
        clock: For the pause between tries of a network that does not load.
        trials: Who is on trial; default: nobody ever is.
        names: What networks are called; default: all are asked for by their ids alone.
        spares: How much stays loaded besides champions, who is on trial, and the network before
            a champion that has not proved itself.
        probation_s: For so long at most the network before a champion stays loaded for sure.
    """

    def __init__(
        self,
        tables: GalleryTables,
        loader: Loader,
        clock: Clock,
        trials: TrialTables | None = None,
        *,
        names: NameTables | None = None,
        spares: Spares = Spares(),  # noqa: B008 - frozen
        probation_s: float = 86_400.0,
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._trials = trials
        self._names = names
        self._probation_s = probation_s
        self._memory = Memory(tables, loader, clock, spares)
        self._refreshing = threading.Lock()
        self._counting = threading.Lock()
        self._posts: Mapping[str, Post] = {}
        self._absent: Mapping[str, str] = {}
        self._counts: Mapping[str, Counts] = {}
        self._proved: frozenset[int] = frozenset()
        self._was_read = False

    def choose(self, dataset: str | None, network: str | None, turn: float) -> Choice:
        """Return who answers a request; never waits, loads nothing.

        Args:
            dataset: Whose champion is asked; may be left out while there is only one.
            network: Asked instead of the champion: its id, 8 or more of its first digits, or its
                name.
            turn: Drawn evenly from 0…1 by the caller: says whether the request is in a trial.

        Raises:
            NotLoadedError: The named network must be brought into memory first.
            ConflictError: There is no champion yet (kind `no-network`).
            InvalidInputError: No dataset was named and several have a champion, or the network
                is not of this dataset.
            UnavailableError: A network was promoted but cannot be loaded.
        """
        if network is not None:
            return Choice(self._named(dataset, network))
        post = self._post(dataset)
        trial = post.trial
        if trial is not None and post.on_trial is not None and turn < trial.share:
            return post.on_trial
        return post.choice

    def observe(self, network: str, seconds: float, ok: bool) -> None:
        """Count an answer; never waits.

        Args:
            network: Who answered, by its id.
            seconds: How long the inference took, or its share of a batch.
            ok: Whether it came; what failed for the request's own fault does not count.
        """
        counts = self._counts.get(network)
        if counts is not None:
            counts.add(seconds, ok)

    def compare(self, shadow: str, same: bool) -> None:
        """Count whether a shadow's most probable category was that of the answer."""
        counts = self._counts.get(shadow)
        if counts is not None:
            counts.compare(same)

    def champion(self, dataset: str | None = None) -> LoadedNetwork:
        """Return the network that answers for a dataset, or for the only one that has one.

        Raises:
            ConflictError: There is none yet (kind `no-network`).
            InvalidInputError: No dataset was named and several have a champion.
            UnavailableError: A network was promoted but cannot be loaded.
        """
        return self._post(dataset).champion

    def network(self, network: str) -> LoadedNetwork:
        """Return a registered network by id, first digits or name, loading it first if need be.

        Raises:
            NotFoundError: There is no such network.
            InvalidInputError: Several start with these digits.
            ConflictError: Its file was damaged since it was registered (kind `damaged-network`).
            UnavailableError: The tables or the blobs cannot be reached.
        """
        return self._memory.find(network) or self._memory.load(network)

    def refresh(self) -> None:
        """Read the pointers and names again and bring what is new into service.

        A network that does not load is logged; the one before it goes on answering.

        Raises:
            UnavailableError: The tables cannot be reached; everything stays as it was.
        """
        with self._refreshing:
            reigns = self._tables.champions()
            running = self._trials.running() if self._trials else []
            names = self._names.names() if self._names else {}
            trials = {trial.dataset: trial for trial in running}
            posts: dict[str, Post] = {}
            absent: dict[str, str] = {}
            for reign in reigns:
                champion = self._follow(reign)
                if champion is not None:
                    posts[reign.dataset] = self._posted(reign, champion, trials.get(reign.dataset))
                else:
                    absent[reign.dataset] = self._memory.fault(reign.network)
            self._posts, self._absent = posts, absent
            asked = {network for post in posts.values() for network in post.networks}
            with self._counting:
                self._counts = {one: self._counts.get(one, Counts()) for one in asked}
            pointers = {name for one in reigns for name in (one.network, one.before) if name}
            self._memory.need(asked, pointers | {trial.network for trial in running}, names)
            self._was_read = True

    def watch(
        self,
        interval_s: float,
        stop: threading.Event,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Refresh and do something more until `stop` is set; the body of the watcher thread."""
        while not stop.is_set():
            try:
                self.refresh()
                then()
            except Exception:
                # The outermost loop of its thread: serving goes on with what is loaded.
                _LOG.exception("the champions could not be read; the loaded ones go on")
            stop.wait(interval_s)

    def missing(self) -> dict[str, str]:
        """Return what keeps the service from being ready, name to reason."""
        if not self._was_read:
            return {"gallery": "the champions have not been read yet"}
        return {f"champion of {dataset}": reason for dataset, reason in self._absent.items()}

    def posts(self) -> list[Post]:
        """Return who answers for which dataset, and who is on trial."""
        return list(self._posts.values())

    def counted(self, networks: Iterable[str]) -> dict[str, Traffic]:
        """Return what these networks did in this process since the last call, where anything."""
        chosen = frozenset(networks)
        with self._counting:
            old = self._counts
            self._counts = {k: Counts() if k in chosen else v for k, v in old.items()}
        traffic = {network: old[network].traffic() for network in chosen if network in old}
        return {k: v for k, v in traffic.items() if v.answers or v.compared}

    def prove(self, promotion: int) -> None:
        """Let go of the network before a champion that has proved itself."""
        self._proved |= {promotion}

    def _post(self, dataset: str | None) -> Post:
        posts = self._posts
        if dataset is None:
            if len(posts) > 1:
                names = ", ".join(sorted(posts))
                raise InvalidInputError(f"expected ?dataset= to name one of {names}, got none")
            dataset = next(iter(posts), None)
        post = posts.get(dataset) if dataset is not None else None
        if post is None:
            raise self._why_absent(dataset)
        return post

    def _why_absent(self, dataset: str | None) -> DiceboxError:
        absent = self._absent
        reason = absent.get(dataset) if dataset else next(iter(absent.values()), None)
        if reason is not None:
            return UnavailableError(reason, kind="damaged-network", retry_after_s=RETRY_S)
        where = f" for the dataset {dataset}" if dataset else ""
        return ConflictError(f"there is no champion{where} yet: evolve one", kind="no-network")

    def _named(self, dataset: str | None, network: str) -> LoadedNetwork:
        loaded = self._memory.find(network)
        if loaded is None:
            raise NotLoadedError(f"the network {network[:_ID_DIGITS]} is being loaded")
        if dataset not in (None, loaded.card.dataset):
            raise InvalidInputError(
                f"expected a network of the dataset {dataset}, this one is of {loaded.card.dataset}"
            )
        return loaded

    def _follow(self, reign: Reign) -> LoadedNetwork | None:
        """Return the champion of a dataset: who was promoted, else who answered until now."""
        present = self._posts.get(reign.dataset)
        if present is not None and present.champion.network == reign.network:
            return present.champion
        champion = self._memory.bring(reign.network, reign.dataset)
        if champion is None:
            return present.champion if present else None
        _LOG.info("network %s answers for dataset %s", reign.network, reign.dataset)
        return champion

    def _posted(self, reign: Reign, champion: LoadedNetwork, trial: Trial | None) -> Post:
        is_on_probation = reign.before is not None and self._is_on_probation(reign)
        before = None
        if is_on_probation and reign.before != champion.network:
            before = self._memory.bring(str(reign.before), reign.dataset)
        plain = Choice(champion, fallback=before)
        challenger = None
        if trial is not None and trial.mode != "check" and trial.champion == champion.network:
            challenger = self._memory.bring(trial.network, reign.dataset)
        if trial is None or challenger is None:
            return Post(reign, plain, is_on_probation=is_on_probation)
        if trial.mode == "canary":
            on_trial = Choice(challenger, fallback=champion)
        else:
            on_trial = Choice(champion, shadow=challenger, fallback=before)
        return Post(reign, plain, trial, on_trial, is_on_probation)

    def _is_on_probation(self, reign: Reign) -> bool:
        is_new = self._clock.now() - reign.since < self._probation_s
        return is_new and reign.promotion not in self._proved

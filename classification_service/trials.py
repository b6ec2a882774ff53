"""Networks on trial beside a champion: put there, watched, judged; and rolling back."""

from classification_service.gallery import Gallery
from classification_service.networks import Networks
from classification_service.ports import GalleryTables, Reign
from classification_service.trial_ports import ReignTables, TrialTables
from commons.errors import ConflictError, NotFoundError
from commons.messages import Champion
from commons.network_card import NetworkCard
from commons.ports import Clock
from commons.trial_messages import (
    ReignEvent,
    RollbackRequest,
    Trial,
    TrialMode,
    TrialRequest,
    TrialState,
)

_SHARES: dict[TrialMode, float] = {"check": 0.0, "canary": 0.1, "shadow": 1.0}
_ASKED_FOR = "somebody asked for it"


class Trials:
    """What is on trial and who answered when; the tables are the truth.

    Args:
        tables: The champions.
        reigns: What was rolled back.
        trials: Who is on trial.
        networks: Promotes.
        gallery: Loads, and follows the pointers.
        clock: Says when.
    """

    def __init__(
        self,
        tables: GalleryTables,
        reigns: ReignTables,
        trials: TrialTables,
        networks: Networks,
        gallery: Gallery,
        clock: Clock,
    ) -> None:
        self._tables = tables
        self._reigns = reigns
        self._trials = trials
        self._networks = networks
        self._gallery = gallery
        self._clock = clock

    def roll_back(self, dataset: str, request: RollbackRequest) -> Champion:
        """Undo the promotion of a champion, and return who answers again.

        Raises:
            NotFoundError: The network that was said is none.
            ConflictError: Nobody answered before it (kind `nothing-before`), another network
                answers than was said (`other-champion`), the one before is damaged
                (`damaged-network`), or the promotion was undone at this moment (`rolled-back`);
                the champion stays.
            StorageFullError: No space is left; the champion stays.
        """
        reign = self._reign(dataset)
        expected = self._whole(request.network) if request.network is not None else None
        if expected not in (None, reign.network if reign else None):
            answers = reign.network if reign else "nobody"
            raise ConflictError(
                f"expected {expected} to answer for {dataset}, it is {answers}",
                kind="other-champion",
            )
        if reign is None or reign.before is None:
            raise ConflictError(
                f"no network answered for {dataset} before: promote another one",
                kind="nothing-before",
            )
        # Loaded first: nobody shall wait for it, and a damaged one must not come back.
        self._gallery.network(reign.before)
        reason = request.reason or _ASKED_FOR
        self._reigns.roll_back(reign.promotion, reason, self._clock.now(), automatic=False)
        self._gallery.refresh()
        return self._networks.champion(dataset)

    def history(self, dataset: str) -> list[ReignEvent]:
        """Return the promotions and rollbacks of a dataset, newest first."""
        return self._reigns.history(dataset)

    def begin(self, dataset: str, request: TrialRequest) -> Trial:
        """Put a network on trial; where nobody answers yet it is promoted at once.

        Safe to repeat: who asks for the trial that runs gets that.

        Raises:
            NotFoundError: There is no such network.
            ConflictError: It was bred for another dataset, its file was damaged, it is not to
                be promoted and there is no champion to be beside (kind `no-network`), or it is to
                be a shadow and is made for other pixels than the champion (`other-pixels`).
            StorageFullError: No space is left; nothing was changed.
        """
        request = request.model_copy(update={"network": self._whole(request.network)})
        network = self._gallery.network(request.network)
        if network.card.dataset != dataset:
            raise ConflictError(
                f"expected a network of the dataset {dataset}, "
                f"this one is of {network.card.dataset}",
                kind="other-dataset",
            )
        reign = self._reign(dataset)
        trial = self._trial(dataset, request, reign)
        for running in self._trials.running():
            if _asked(running) == _asked(trial):
                return running
        if reign is None:
            if not request.promote:
                raise ConflictError(
                    f"there is no champion of {dataset} to be beside yet", kind="no-network"
                )
            self._networks.promote(dataset, request.network)
        elif request.mode == "shadow":
            _check_pixels(network.card, self._tables.network(reign.network).card)
        begun = self._trials.begin(trial)
        self._gallery.refresh()
        return begun

    def trials(self, dataset: str) -> list[Trial]:
        """Return the trials of a dataset, newest first."""
        return self._trials.trials(dataset)

    def stop(self, dataset: str) -> Trial:
        """End the trial that runs for a dataset without promoting anybody, and return it.

        Raises:
            NotFoundError: None runs.
        """
        for trial in self._trials.running():
            if trial.dataset == dataset:
                self._trials.end(trial.id, "stopped", _ASKED_FOR, self._clock.now())
                self._gallery.refresh()
                return next(one for one in self.trials(dataset) if one.id == trial.id)
        raise NotFoundError(f"no network is on trial for {dataset}", kind="no-trial")

    def _whole(self, network: str) -> str:
        # Asked of the tables: a name may have moved a moment ago.
        return self._tables.network(network).network

    def _reign(self, dataset: str) -> Reign | None:
        return next((one for one in self._tables.champions() if one.dataset == dataset), None)

    def _trial(self, dataset: str, request: TrialRequest, reign: Reign | None) -> Trial:
        state: TrialState = "running"
        reason = None
        if reign is None:
            state, reason = "promoted", "nobody answered for the dataset yet"
        elif reign.network == request.network:
            state, reason = "promoted", "it is the champion already"
        now = self._clock.now()
        usual = _SHARES[request.mode]
        return Trial(
            id=0,
            dataset=dataset,
            network=request.network,
            champion=reign.network if reign else None,
            mode=request.mode,
            share=usual if request.mode == "check" else request.share or usual,
            promote=request.promote,
            state=state,
            started=now,
            ended=None if state == "running" else now,
            reason=reason,
        )


def _check_pixels(shadow: NetworkCard, champion: NetworkCard) -> None:
    # A shadow is shown the pixels of the champion: pictures are gone once they are answered.
    if shadow.preprocessing != champion.preprocessing:
        raise ConflictError(
            f"expected a network for the champion's pixels, {champion.preprocessing}, this one "
            f"is for {shadow.preprocessing}: try it by `canary` or `check`",
            kind="other-pixels",
        )


def _asked(trial: Trial) -> tuple[object, ...]:
    """Return what makes a trial the same trial, however far it is."""
    return trial.network, trial.champion, trial.mode, trial.share, trial.promote, trial.state

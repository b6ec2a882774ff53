"""The part of the gallery's client about trials and rollbacks."""

from commons.adapters.caller import CLASSIFICATION, Caller, send_json
from commons.messages import Champion
from commons.trial_messages import (
    ReignEvent,
    ReignHistory,
    RollbackRequest,
    Trial,
    TrialRequest,
    Trials,
)


class TrialClient:
    """Networks beside the champions: put on trial, looked at, and rolled back."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def roll_back(
        self, dataset: str, network: str | None = None, reason: str | None = None
    ) -> Champion:
        """Undo the promotion of a champion and return who answers again.

        Args:
            dataset: Whose champion.
            network: Who is to be rolled back; if another one answers by now, nothing changes.
                Default: whoever answers. Not repeated on failure: a second call would go one
                network further back.
            reason: For the history.
        """
        path = f"{CLASSIFICATION}/champions/{dataset}/rollback"
        request = RollbackRequest(network=network, reason=reason)
        reply = self._caller.call_once("POST", path, **send_json(request))
        return Champion.model_validate_json(reply.content)

    def history(self, dataset: str) -> list[ReignEvent]:
        """Return the promotions and rollbacks of a dataset, newest first."""
        reply = self._caller.call("GET", f"{CLASSIFICATION}/champions/{dataset}/history")
        return ReignHistory.model_validate_json(reply.content).events

    def try_out(self, dataset: str, request: TrialRequest) -> Trial:
        """Put a network on trial beside the champion; safe to repeat."""
        reply = self._caller.call("POST", self._path(dataset), **send_json(request))
        return Trial.model_validate_json(reply.content)

    def trials(self, dataset: str) -> list[Trial]:
        """Return the trials of a dataset, newest first."""
        reply = self._caller.call("GET", self._path(dataset))
        return Trials.model_validate_json(reply.content).trials

    def stop_trial(self, dataset: str) -> Trial:
        """End the trial that runs for a dataset without promoting anybody, and return it."""
        reply = self._caller.call_once("DELETE", self._path(dataset))
        return Trial.model_validate_json(reply.content)

    @staticmethod
    def _path(dataset: str) -> str:
        return f"{CLASSIFICATION}/champions/{dataset}/trials"

"""Corrections become labels of the sensory service, over HTTP."""

from urllib.parse import quote

from classification_service.history_ports import Outgoing
from commons.adapters.caller import SENSORY, Caller
from commons.adapters.sensory_client import SensoryClient
from commons.errors import NotFoundError

# Two machines' clocks, and the time from a correction to its first attempt.
_SLACK_S = 300.0


class SensoryLabels:
    """`classification_service.history_ports.Labels` at a sensory service.

    The key that the caller shows needs `sensory:write` and `sensory:read`. Who corrected goes
    along by name; there it reads `ada via NAME`, where NAME is that of this key.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._sensory = SensoryClient(caller)

    def send(self, outgoing: Outgoing, data: bytes) -> None:
        """Give an image its right label there; what has it already is left as it is."""
        query = {"category": outgoing.category, "source": "correction"}
        if outgoing.who is not None:
            query["who"] = outgoing.who
        self._caller.call(
            "POST",
            f"{SENSORY}/datasets/{quote(outgoing.dataset, safe='')}/images",
            params=query,
            content=data,
            headers={"Content-Type": "application/octet-stream"},
        )

    def has(self, outgoing: Outgoing) -> bool:
        """Say whether this correction arrived there before, whatever was said since.

        Where corrections carry no name there is nothing to know it by. Sent again it still
        changes nothing, unless somebody else said something else in between.
        """
        if outgoing.who is None:
            return False
        try:
            events = self._sensory.history(outgoing.dataset, outgoing.image).events
        except NotFoundError:
            return False
        ours = [event for event in events if (event.who or "").startswith(f"{outgoing.who} via ")]
        return bool(
            ours
            and ours[-1].category is not None
            and ours[-1].category.name == outgoing.category
            and ours[-1].at > outgoing.at - _SLACK_S
        )

"""Words about who answers: networks on trial beside a champion, rollbacks, and their history."""

from typing import Literal

from pydantic import Field

from commons.messages import Message
from commons.network_names import NetworkReference

TrialMode = Literal["check", "canary", "shadow"]
TrialState = Literal[
    "running", "promoted", "refused", "undecided", "failed", "stopped", "superseded"
]


class TrialRequest(Message):
    """Which network (id, digits that begin it, or name) is put beside its dataset's champion.

    `check` answers nobody: it is compared on the newest snapshot's validation images and
    promoted unless it is found worse. `canary` answers a share of the requests. `shadow` is
    asked beside the champion for a share of the requests, and its answers are only compared.
    Default share: 0.1 of a canary, 1.0 of a shadow. Canaries and shadows are promoted once they
    are found better, if `promote` says so.
    """

    network: NetworkReference
    mode: TrialMode = "canary"
    share: float | None = Field(default=None, gt=0.0, le=1.0)
    promote: bool = True


class Trial(Message):
    """A network on trial beside a champion (null: there was none, it was promoted at once).

    Of `images` validation images that both were asked about, the network was right and the
    champion wrong on `better`, and the other way round on `worse`. Of the requests it answered
    `answers` (`errors` of them with an error), and `disagreed` with the champion on
    `disagreed` of `compared`. `reason` says why it ended.
    """

    id: int
    dataset: str
    network: str
    champion: str | None
    mode: TrialMode
    share: float
    promote: bool
    state: TrialState
    started: float
    ended: float | None = None
    reason: str | None = None
    images: int = 0
    better: int = 0
    worse: int = 0
    answers: int = 0
    errors: int = 0
    compared: int = 0
    disagreed: int = 0


class Trials(Message):
    """The trials of a dataset, newest first."""

    trials: list[Trial]


class RollbackRequest(Message):
    """Whose promotion is undone, so that a call that is repeated undoes nothing else; and why.

    Without `network` it is whoever answers at the moment.
    """

    network: NetworkReference | None = None
    reason: str | None = Field(default=None, max_length=500)


class ReignEvent(Message):
    """From `when` on (unix seconds) `network` answered: it was promoted, or went back to.

    `undone` is the network that was rolled back, `automatic` says that no person asked for it.
    """

    kind: Literal["promotion", "rollback"]
    network: str
    when: float
    undone: str | None = None
    reason: str | None = None
    automatic: bool = False


class ReignHistory(Message):
    """Who answered for a dataset, newest first."""

    events: list[ReignEvent]

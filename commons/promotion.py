"""How a network that was just bred or trained comes to answer, or not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from commons.messages import PromotePolicy
from commons.trial_messages import Trial, TrialMode, TrialRequest

_MODES: dict[PromotePolicy, TrialMode] = {"auto": "check", "canary": "canary"}
# As long as a comparison on some thousand images may take, and longer than nobody shall wait.
_LONGEST_CHECK_S = 30.0
_ASK_EVERY_S = 0.5


class Gallery(Protocol):
    """The classification service; any method may raise a `DiceboxError` that says why not."""

    def try_out(self, dataset: str, request: TrialRequest) -> Trial:
        """Put a network on trial beside the champion, or promote it where there is none."""
        ...

    def trials(self, dataset: str) -> list[Trial]:
        """Return the trials of a dataset, newest first."""
        ...


@dataclass(frozen=True)
class Outcome:
    """Whether a network answers from now on, and what else there is to say about it."""

    promoted: bool
    verdict: str


def put_to_use(
    gallery: Gallery,
    dataset: str,
    network: str,
    policy: PromotePolicy,
    now: Callable[[], float],
    wait: Callable[[], None],
) -> Outcome:
    """Do with a registered network what was asked for, and return what came of it.

    A check is waited for, half a minute at most: it ends by itself, whoever waits.

    Args:
        gallery: The classification service.
        dataset: What it was made for.
        network: Its id.
        policy: What was asked for.
        now: Seconds by a clock that never goes back.
        wait: Passes a little time.

    Raises:
        DiceboxError: The gallery cannot be reached or refuses it.
    """
    if policy == "never":
        return Outcome(promoted=False, verdict="is published, not promoted")
    trial = gallery.try_out(dataset, TrialRequest(network=network, mode=_MODES[policy]))
    deadline = now() + _LONGEST_CHECK_S
    ask_at = now()
    while trial.state == "running" and policy == "auto" and now() < deadline:
        wait()
        if now() >= ask_at:
            ask_at = now() + _ASK_EVERY_S
            found = (one for one in gallery.trials(dataset) if one.id == trial.id)
            trial = next(found, trial)
    return Outcome(trial.state == "promoted", _verdict(trial))


def _verdict(trial: Trial) -> str:
    if trial.state == "promoted":
        return "answers from now on"
    if trial.state != "running":
        return f"is published, not promoted: {trial.reason}"
    if trial.mode == "canary":
        return f"answers {100 * trial.share:g} % of the requests, on trial beside the champion"
    return "is still compared with the champion, and answers unless it is found worse"

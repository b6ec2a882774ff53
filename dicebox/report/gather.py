"""Asks the services for all that a report needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from commons.errors import DiceboxError, NotFoundError
from commons.messages import Individual, Run, Snapshot
from commons.network_card import NetworkCard
from dicebox.client import Client
from dicebox.report.examination import Examination, examine

Found = TypeVar("Found")


@dataclass(frozen=True)
class RunFacts:
    """A run with its journal, and what it left behind as far as that is still there.

    `missing` says in one line each what could not be had and why.
    """

    run: Run
    individuals: list[Individual]
    snapshot: Snapshot | None = None
    card: NetworkCard | None = None
    examination: Examination | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def by_number(self) -> dict[int, Individual]:
        """Return the individuals by their numbers."""
        return {one.number: one for one in self.individuals}

    @property
    def champion(self) -> Individual | None:
        """Return the individual that was published, or the best so far, or None."""
        number = self.card.individual if self.card else self.run.progress.best_individual
        return self.by_number.get(number) if number is not None else None


def gather(
    client: Client, run: Run, most_images: int, advance: Callable[[int, int], None]
) -> RunFacts:
    """Return what is known of a run; only its journal must be there.

    Args:
        client: Who is asked.
        run: The run.
        most_images: So many validation images are classified at most; 0: none.
        advance: Is told how many of how many images are classified.

    Raises:
        DiceboxError: The evolution service does not answer, or refuses.
    """
    individuals = client.evolution.individuals(run.id, histories=True)
    missing: list[str] = []

    def had(what: str, get: Callable[[], Found]) -> Found | None:
        try:
            return get()
        except DiceboxError as error:
            missing.append(f"{what}: {error}")
            return None

    snapshot = run.snapshot
    frozen = had("the snapshot", lambda: client.sensory.snapshot(snapshot)) if snapshot else None
    network = run.network
    card = had("the network's card", lambda: _card(client, run)) if network else None
    examination = None
    if frozen is not None and network is not None and card is not None and most_images:
        examination = had(
            "the champion's answers",
            lambda: examine(client, frozen, network, most_images, advance),
        )
    return RunFacts(run, individuals, frozen, card, examination, missing)


def _card(client: Client, run: Run) -> NetworkCard:
    for entry in client.gallery.networks(run.request.dataset):
        if entry["network"] == run.network:
            return NetworkCard.model_validate(entry["card"])
    raise NotFoundError(f"network {run.network} is not in the gallery")

"""Asks both networks of a trial about images whose label is known, and decides.

Only validation images are ever asked for: who was chosen on test images could no longer be
measured on them. It runs behind the requests, in the job worker.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from classification_service.gallery import Gallery
from classification_service.judging import Rule, e_value, judge_any_time, judge_once, mcnemar
from classification_service.loading import LoadedNetwork
from classification_service.ports import Floats, GalleryTables
from classification_service.trial_ports import LabeledImages, Pair, PairTables, TrialTables
from commons.adapters.decode import decode_image
from commons.errors import (
    DiceboxError,
    GoneError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
)
from commons.messages import Snapshot
from commons.ports import Clock
from commons.trial_messages import Trial, TrialState

# Of more, those with the smallest hashes: a sample that stays the same.
_MOST_IMAGES = 2000
_AT_ONCE = 50
# The other chores of the worker wait meanwhile.
_A_STEP = 500
_LONGEST_S = 14 * 86_400.0
_LOG = logging.getLogger(__name__)


@dataclass
class _State:
    """What a judge remembers of a trial: nothing that another one would miss.

    Args:
        snapshot: Whose images were all asked about.
        unusable: Images that are gone, or none.
        waits_for: What was logged last.
    """

    snapshot: str | None = None
    unusable: set[str] = field(default_factory=set)
    waits_for: str | None = None


class TrialJudge:
    """Judges what is on trial.

    Args:
        tables: Says who is champion.
        trials: Who is on trial.
        pairs: What both said of an image, so that nothing is asked twice; and who is promoted.
        gallery: Loads the networks.
        images: The labeled images.
        clock: Says when.
        rule: How sure the judge must be.
    """

    def __init__(
        self,
        tables: GalleryTables,
        trials: TrialTables,
        pairs: PairTables,
        gallery: Gallery,
        images: LabeledImages,
        clock: Clock,
        rule: Rule,
    ) -> None:
        self._tables = tables
        self._trials = trials
        self._pairs = pairs
        self._gallery = gallery
        self._images = images
        self._clock = clock
        self._rule = rule
        self._states: dict[int, _State] = {}

    def step(self) -> None:
        """Go on with every trial that runs, by some hundred images at most.

        Raises:
            UnavailableError: The tables cannot be reached.
        """
        running = self._trials.running()
        self._states = {one.id: self._states.get(one.id) or _State() for one in running}
        for trial in running:
            state = self._states[trial.id]
            try:
                self._judge(trial, state)
            except DiceboxError as error:
                if str(error) != state.waits_for:
                    _LOG.warning("the trial of %s waits: %s", trial.network, error)
                state.waits_for = str(error)

    def _judge(self, trial: Trial, state: _State) -> None:
        champions = {reign.dataset: reign.network for reign in self._tables.champions()}
        champion = champions.get(trial.dataset)
        if champion == trial.network:
            self._end(trial, "promoted", "it became the champion")
        elif champion != trial.champion:
            self._end(trial, "superseded", "its champion was replaced")
        elif self._clock.now() - trial.started > _LONGEST_S:
            self._end(trial, "undecided", "nothing was proved in two weeks")
        else:
            snapshot = self._snapshot(trial)
            if snapshot is not None and state.snapshot != snapshot.id:
                trial = self._compared(trial, snapshot, state)
            if trial.mode == "check" and (snapshot is None or state.snapshot == snapshot.id):
                self._decide_once(trial)

    def _snapshot(self, trial: Trial) -> Snapshot | None:
        """Return the newest snapshot to compare on.

        One that leaves out categories which the champion knows would not be fair to it.
        """
        known = len(self._gallery.network(str(trial.champion)).card.categories)
        try:
            snapshots = self._images.snapshots(trial.dataset)
        except NotFoundError:
            return None
        for entry in snapshots:
            if entry.counts.get("validation") and entry.categories >= known:
                return self._images.snapshot(entry.id)
        return None

    def _compared(self, trial: Trial, snapshot: Snapshot, state: _State) -> Trial:
        """Return the trial with more images of a snapshot, or as many as were needed."""
        challenger = self._gallery.network(trial.network)
        champion = self._gallery.network(str(trial.champion))
        lines = self._images.snapshot_images(snapshot.id, "validation")
        labels = {line.image: snapshot.categories[line.category].id for line in lines}
        judged = self._pairs.judged(trial.id)
        left = sorted(set(labels) - judged - state.unusable)
        left = left[: max(0, _MOST_IMAGES - len(judged))]
        for part in _parts(left[:_A_STEP]):
            known = {image: labels[image] for image in part}
            found = self._answers(known, challenger, champion)
            state.unusable |= set(part) - {pair.image for pair in found}
            trial = self._pairs.add_pairs(trial.id, found)
            if trial.state != "running" or (trial.mode != "check" and self._is_decided(trial)):
                return trial
        if len(left) <= _A_STEP:
            state.snapshot = snapshot.id
        return trial

    def _answers(
        self, labels: dict[str, str], challenger: LoadedNetwork, champion: LoadedNetwork
    ) -> list[Pair]:
        """Return what both say of some images; those that are gone by now are left out."""
        pairs: list[Pair] = []
        for image, label in labels.items():
            try:
                data = self._images.image(image)
                inputs = [_decoded(network, data) for network in (challenger, champion)]
            except (NotFoundError, GoneError):
                continue
            except (InvalidInputError, TooLargeError) as error:
                _LOG.warning("image %s is left out of a trial: %s", image, error)
                continue
            right = [
                _says(network, pixels) == label
                for network, pixels in zip((challenger, champion), inputs, strict=True)
            ]
            pairs.append(Pair(image, *right))
        return pairs

    def _is_decided(self, trial: Trial) -> bool:
        """End a canary's or shadow's trial if it is decided, and say whether it is."""
        verdict = judge_any_time(trial.better, trial.worse, self._rule)
        if verdict == "worse":
            evidence = e_value(trial.worse, trial.better)
            self._end(trial, "refused", f"it is worse: {_numbers(trial)}, e-value {evidence:.3g}")
        elif verdict == "better" and trial.promote:
            evidence = e_value(trial.better, trial.worse)
            self._promote(trial, f"it is better: {_numbers(trial)}, e-value {evidence:.3g}")
        return verdict == "worse" or (verdict == "better" and trial.promote)

    def _decide_once(self, trial: Trial) -> None:
        chance = mcnemar(trial.worse, trial.better)
        if judge_once(trial.better, trial.worse, self._rule) == "worse":
            self._end(trial, "refused", f"it is worse: {_numbers(trial)}, p = {chance:.2g}")
        else:
            self._promote(trial, f"it is not found worse: {_numbers(trial)}, p = {chance:.2g}")

    def _promote(self, trial: Trial, reason: str) -> None:
        # Seconds have gone by since the trial was read: what was decided meanwhile holds.
        if self._pairs.promote(trial, reason, self._clock.now()):
            _LOG.info("network %s is promoted after its trial: %s", trial.network, reason)

    def _end(self, trial: Trial, state: TrialState, reason: str) -> None:
        if self._trials.end(trial.id, state, reason, self._clock.now()):
            _LOG.info("the trial of network %s ended as %s: %s", trial.network, state, reason)


def _decoded(network: LoadedNetwork, data: bytes) -> Floats:
    preprocessing = network.card.preprocessing
    pixels = decode_image(data, preprocessing.shape, preprocessing.resize, preprocessing.decoder)
    return pixels[np.newaxis].astype(np.float32)


def _says(network: LoadedNetwork, image: Floats) -> str | None:
    """Return the most probable category (its id), or nothing if the network fails."""
    try:
        probabilities = network.predictor.predict(image)[0]
    except DiceboxError:
        return None
    if not np.isfinite(probabilities).all():
        return None
    return network.card.categories[int(np.argmax(probabilities))].id


def _numbers(trial: Trial) -> str:
    return (
        f"of {trial.images} validation images right alone on {trial.better}, "
        f"the champion on {trial.worse}"
    )


def _parts(images: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(images)
    while part := list(islice(rest, _AT_ONCE)):
        yield part

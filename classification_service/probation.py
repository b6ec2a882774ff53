"""Watches who is on trial and who was just promoted, and sends away who fails.

Every worker process does it at the pace of its watcher. What they count meets in the tables, so
each sees the requests of all; a promotion is undone once, whoever is first.
"""

import logging

from classification_service.gallery import Gallery, Post
from classification_service.guarding import Limits, fault, is_proved
from classification_service.trial_ports import ReignTables, Traffic, TrafficTables, TrialTables
from commons.errors import ConflictError, DiceboxError
from commons.ports import Clock
from commons.trial_messages import Trial

_PACE_S = 1.0
_KEPT_S = 3600.0
_FORGET_EVERY_S = 60.0
_LOG = logging.getLogger(__name__)


class Probation:
    """The guard over new networks.

    Args:
        gallery: Counts the requests of this process, and follows what is decided.
        reigns: Where a promotion is undone.
        trials: Where a trial is ended.
        traffic: Where the processes put what they counted.
        clock: Says when.
        limits: What a network may do.
    """

    def __init__(
        self,
        gallery: Gallery,
        reigns: ReignTables,
        trials: TrialTables,
        traffic: TrafficTables,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._gallery = gallery
        self._reigns = reigns
        self._trials = trials
        self._traffic = traffic
        self._clock = clock
        self._limits = limits
        self._due = -_PACE_S
        self._forget_at = 0.0
        self._failed = False

    def step(self) -> None:
        """Store what was counted and act on it, if it is time and anybody is watched.

        Tables that fail are logged once; nothing is decided while they do.
        """
        posts = [post for post in self._gallery.posts() if _is_watched(post)]
        if not posts or self._clock.monotonic() < self._due:
            return
        self._due = self._clock.monotonic() + _PACE_S
        try:
            self._step(posts)
        except DiceboxError as error:
            if not self._failed:
                _LOG.warning("new networks cannot be watched at the moment: %s", error)
            self._failed = True
        else:
            self._failed = False

    def _step(self, posts: list[Post]) -> None:
        counted = self._gallery.counted({network for post in posts for network in post.networks})
        now = self._clock.now()
        if counted:
            self._traffic.add(counted.items(), now)
            if now >= self._forget_at:
                self._traffic.forget(now - _KEPT_S)
                self._forget_at = now + _FORGET_EVERY_S
        changed = False
        for post in posts:
            if post.trial is not None:
                if post.trial.network in counted:
                    self._trials.count(post.trial.id, counted[post.trial.network])
                changed |= self._fails_trial(post.trial, now)
            if _is_new(post):
                changed |= self._is_rolled_back(post, now)
        if changed:
            self._gallery.refresh()

    def _fails_trial(self, trial: Trial, now: float) -> bool:
        """End a trial whose network fails; say whether it does."""
        since = max(trial.started, now - self._limits.window_s)
        new = self._traffic.total(trial.network, since)
        # Of the same time: what makes both slow is no fault of one.
        reason = fault(new, self._traffic.total(str(trial.champion), since), self._limits)
        if reason is None:
            return False
        if self._trials.end(trial.id, "failed", reason, now):
            _LOG.error("network %s is no longer on trial: %s", trial.network, reason)
        return True

    def _is_rolled_back(self, post: Post, now: float) -> bool:
        """Undo the promotion of a champion that fails; say whether it does."""
        reign, limits = post.reign, self._limits
        since = max(reign.since, now - limits.window_s)
        new = self._traffic.total(reign.network, since)
        old = self._traffic.total(str(reign.before), now - _KEPT_S)
        reason = fault(new, old, limits)
        if reason is None:
            if is_proved(self._since(post), now - reign.since, limits):
                _LOG.info("network %s has proved itself", reign.network)
                self._gallery.prove(reign.promotion)
            return False
        try:
            self._reigns.roll_back(reign.promotion, reason, now, automatic=True)
        except ConflictError:
            return True  # another process was first
        _LOG.error("network %s is rolled back to %s: %s", reign.network, reign.before, reason)
        return True

    def _since(self, post: Post) -> Traffic:
        return self._traffic.total(post.reign.network, post.reign.since)


def _is_watched(post: Post) -> bool:
    return post.trial is not None or _is_new(post)


def _is_new(post: Post) -> bool:
    """Say whether a champion answers that may be rolled back: the one before is there to do so."""
    is_there = post.champion.network == post.reign.network and post.choice.fallback is not None
    return post.is_on_probation and is_there

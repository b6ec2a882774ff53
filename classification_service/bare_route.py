"""The one hot route without Flask: the same validation, errors, figures and answers.

It knows no transport either. Whoever has a request makes an `Errand` of it and takes the steps
that `begin` names; a form with many files is left to the Flask view.
"""

import itertools
import logging
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from classification_service.asking import TIMEOUT_HEADER, Ask, ask_of, deadline, is_form
from classification_service.classify import Answerer
from classification_service.gallery import NotLoadedError
from classification_service.questions import Question
from commons.adapters.caller import CLASSIFICATION
from commons.adapters.key_guard import KeyGuard
from commons.adapters.metrics import ServingMetrics
from commons.adapters.problems import PROBLEM_TYPE, ProblemReply, problem_of, problem_of_request
from commons.auth import Caller, Scope
from commons.ports import Clock

PATH = f"{CLASSIFICATION}/classify"
SCOPES: tuple[Scope, ...] = ("classify",)
_TIMEOUT = f"HTTP_{TIMEOUT_HEADER.upper().replace('-', '_')}"
_ASKED = "dicebox.asked"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OVERLOADED = 503
_BAD = 400
_LOG = logging.getLogger("dicebox.request")

# What to do next: send the reply, `answer` together with others, `submit`, or `begin_waiting`
# in a thread, because somebody must be asked first.
Step = Literal["reply", "answer", "submit", "wait"]


class BareReply(NamedTuple):
    """An answer: status, kind of content, body, and headers besides."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str]


_NO_HEADERS: Mapping[str, str] = {}


@dataclass(slots=True, eq=False)
class Errand:
    """One request on its way to `reply`; `environ` is as WSGI has it, without a body."""

    environ: dict[str, Any]
    body: bytes
    started: float
    request_id: str
    caller: Caller | None = None
    question: Question | None = None
    reply: BareReply | None = None

    def give_up(self) -> None:
        """Say that nobody waits any more."""
        if self.question is not None:
            self.question.is_given_up = True


class BareRoute:
    """`POST .../classify` of one image as a raw body.

    Args:
        answerer: Does the work.
        guard: Asks for keys.
        metrics: Counts requests as those of Flask's views are counted.
        clock: The one that deadlines are counted on.
        logs_all: Write a line for every request, and not for those alone that were refused.
    """

    def __init__(
        self,
        answerer: Answerer,
        guard: KeyGuard,
        metrics: ServingMetrics,
        clock: Clock,
        *,
        logs_all: bool = False,
    ) -> None:
        self._answerer = answerer
        self._guard = guard
        self._metrics = metrics
        self._clock = clock
        self._logs_all = logs_all
        mine = os.urandom(8).hex()
        self._ids = (f"{mine}{number:016x}" for number in itertools.count(1))

    def takes(self, method: str, path: str, content_type: str) -> bool:
        """Say whether a request is for this route, and none that Flask's view answers."""
        return method == "POST" and path == PATH and not content_type.startswith("multipart/")

    def errand(self, environ: dict[str, Any], body: bytes) -> Errand:
        """Return a request that has come whole."""
        given = environ.get("HTTP_X_REQUEST_ID")
        if given is None or _REQUEST_ID.fullmatch(given) is None:
            given = next(self._ids)
        return Errand(environ, body, time.perf_counter(), given)

    def begin(self, errand: Errand) -> Step:
        """Begin without waiting for anybody, and say what comes next."""
        environ = errand.environ
        try:
            if errand.caller is None:
                errand.caller = self._guard.admit_now(environ, SCOPES)
                if errand.caller is None:
                    return "wait"
            ask, until = self._asked(environ)
            question = self._answerer.begin(ask, errand.body, until)
        except NotLoadedError:
            return "wait"
        except Exception as error:
            # The outermost one of this request: a surprise is logged, and answered with 500.
            self._refuse(errand, error)
            return "reply"
        errand.question = question
        if question.is_settled:
            self.finish(errand)
            return "reply"
        return "answer" if self._answerer.is_quick(question) else "submit"

    def begin_waiting(self, errand: Errand) -> Step:
        """Ask whoever must be asked, then begin; for a thread that may wait."""
        try:
            errand.caller = self._guard.admit(errand.environ, SCOPES)
            ask, _ = self._asked(errand.environ)
            self._answerer.choose(ask.dataset, ask.network)
        except Exception as error:
            # The outermost loop of the thread.
            self._refuse(errand, error)
            return "reply"
        return self.begin(errand)

    def answer(self, errands: Sequence[Errand]) -> None:
        """Answer some at once; each has its reply then."""
        self._answerer.answer([one.question for one in errands if one.question is not None])
        now = time.perf_counter()
        took: list[float] = []
        for errand in errands:
            if self._is_answered(errand):
                took.append(now - errand.started)
                if self._logs_all:
                    self._write_line(errand, 200, took[-1])
        if took:
            self._metrics.observe_all("POST", PATH, 200, took)

    def submit(self, errand: Errand, done: Callable[[], object]) -> None:
        """Have one answered by another thread, which calls `done`; then `finish` it."""
        if errand.question is not None:
            self._answerer.submit(errand.question, done)

    def finish(self, errand: Errand) -> None:
        """Make the reply of an errand whose question is settled."""
        if self._is_answered(errand):
            self._end(errand, 200)

    def write_figures(self) -> None:
        """Write down what was counted since the last time."""
        self._metrics.write()

    def _is_answered(self, errand: Errand) -> bool:
        """Say whether there is an answer now, and neither a refusal nor nobody to answer."""
        question = errand.question
        if question is None or question.is_given_up:
            return False
        if question.error is not None:
            self._refuse(errand, question.error)
            return False
        errand.reply = BareReply(200, "application/json", question.reply, _NO_HEADERS)
        return True

    def _asked(self, environ: dict[str, Any]) -> tuple[Ask, float]:
        # A host may hand in the same head again and again, and what it asks with it.
        ask: Ask | None = environ.get(_ASKED)
        if ask is None:
            ask = ask_of(environ["QUERY_STRING"])
            is_form(environ.get("CONTENT_TYPE", ""))
            environ[_ASKED] = ask
        timeout_ms = environ.get(_TIMEOUT)
        if timeout_ms is None:
            return ask, math.inf
        return ask, deadline(timeout_ms, self._clock.monotonic())

    def _refuse(self, errand: Errand, error: Exception) -> None:
        said: ProblemReply
        if isinstance(error, ValidationError):
            said = problem_of_request(error, errand.request_id)
        else:
            said = problem_of(error, errand.request_id)
        errand.reply = BareReply(said.status, PROBLEM_TYPE, said.body, said.headers)
        self._end(errand, said.status)

    def _end(self, errand: Errand, status: int) -> None:
        seconds = time.perf_counter() - errand.started
        self._metrics.observe_all("POST", PATH, status, [seconds])
        if self._logs_all or (status >= _BAD and status != _OVERLOADED):
            self._write_line(errand, status, seconds)

    def _write_line(self, errand: Errand, status: int, seconds: float) -> None:
        key = errand.caller.key if errand.caller is not None else None
        fields = {
            "method": "POST",
            "path": PATH,
            "status": status,
            "ms": round(1000 * seconds, 2),
            "key": key.id if key is not None else None,
            "request_id": errand.request_id,
        }
        _LOG.info("request", extra={"fields": fields})

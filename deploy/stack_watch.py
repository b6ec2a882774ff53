"""What a stack does: how many tasks of each service are healthy, and what keeps the others."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from commons.errors import DiceboxError, UnavailableError
from deploy.stack_engine import Docker, DockerError

_POLL_S = 0.5
# The orchestrator takes a moment to begin with what it was told.
_SETTLED_S = 1.5
_GONE_S = 720.0
_ENDED_WELL = ("", "completed")
_UNDONE = ("rollback_completed", "rollback_paused", "paused")
_LABEL = "label=com.docker.stack.namespace="


@dataclass(frozen=True)
class Service:
    """A service of a stack.

    Args:
        name: With the stack's name before it.
        running: Tasks that are healthy.
        wanted: How many there are to be.
        update: What became of its last update, in Docker's words; empty if there was none.
        updated: When that began.
    """

    name: str
    running: int
    wanted: int
    update: str
    updated: str

    @property
    def is_whole(self) -> bool:
        """Say whether every task is there, and no update goes on."""
        return self.running == self.wanted and self.update in (*_ENDED_WELL, *_UNDONE)


class RolledBackError(DiceboxError):
    """An update did not come up, and was taken back."""

    kind = "rolled-back"


def services(docker: Docker, stack: str) -> list[Service]:
    """Return the services of a stack; none where it is not deployed."""
    rows = docker.rows("service", "ls", "--filter", _LABEL + stack)
    updates = {
        each["Spec"]["Name"]: each.get("UpdateStatus") or {}
        for each in docker.inspect("service", [row["ID"] for row in rows])
    }
    found = []
    for row in rows:
        running, _, wanted = row["Replicas"].split()[0].partition("/")
        update = updates.get(row["Name"], {})
        state, began = update.get("State", ""), update.get("StartedAt", "")
        found.append(Service(row["Name"], int(running), int(wanted), state, began))
    return sorted(found, key=lambda service: service.name)


def wait_until_whole(
    docker: Docker,
    stack: str,
    seconds: float,
    before: Mapping[str, str],
    say: Callable[[str], None],
) -> float:
    """Return how long it took until every task of a stack was healthy.

    Args:
        docker: The engine of a manager.
        stack: Which one.
        seconds: How long to wait.
        before: When the last update of a service began, by its name, before this one.
        say: Told what is waited for, whenever that changes.

    Raises:
        RolledBackError: An update that began since was taken back.
        UnavailableError: It was not whole in time; with what each service waits for.
    """
    started, said, since = time.monotonic(), "", None
    while True:
        found = services(docker, stack)
        waiting = [service for service in found if not service.is_whole]
        words = ", ".join(f"{each.name} {each.running}/{each.wanted}" for each in waiting)
        now = time.monotonic()
        if waiting or not found:
            since = None
        else:
            since = now if since is None else since
            if now - since >= _SETTLED_S:
                break
        if words and words != said:
            said = words
            say(f"{now - started:5.1f} s  {words}")
        if now - started > seconds:
            raise UnavailableError(
                f"not healthy after {seconds:.0f} s:\n" + "\n".join(troubles(docker, stack))
            )
        time.sleep(_POLL_S)
    undone = [
        each.name
        for each in found
        if each.update in _UNDONE and each.updated != before.get(each.name)
    ]
    if undone:
        raise RolledBackError(
            f"{', '.join(undone)}: the update did not come up and was taken back:\n"
            + "\n".join(troubles(docker, stack))
        )
    return since - started


def troubles(docker: Docker, stack: str) -> list[str]:
    """Return a line for each task that should run and does not, and for each that failed last."""
    found = []
    tasks = docker.rows("stack", "ps", stack, "--no-trunc")
    seen: set[str] = set()
    for task in tasks:
        # Newest first, a slot's older tasks below it.
        slot = task["Name"].strip().removeprefix("\\_ ")
        waits = task["DesiredState"] in ("Running", "Ready") and not task[
            "CurrentState"
        ].startswith("Running")
        failed = bool(task["Error"]) and slot not in seen
        seen.add(slot)
        if waits or failed:
            words = [slot, task["CurrentState"], task["Error"].strip('"')]
            found.append(": ".join(word for word in (*words, _last_words(docker, task)) if word))
    return found


def _last_words(docker: Docker, task: Mapping[str, str]) -> str:
    try:
        lines = docker.lines("service", "logs", "--raw", "--tail", "1", task["ID"])
    except DockerError:
        return ""
    return lines[-1] if lines else ""


def wait_until_gone(docker: Docker, stack: str, seconds: float = _GONE_S) -> float:
    """Return how long it took until nothing of a stack ran on this node, and its network was gone.

    Raises:
        UnavailableError: It was not so in time.
    """
    started = time.monotonic()
    while True:
        left = [
            *docker.lines("service", "ls", "--quiet", "--filter", _LABEL + stack),
            *docker.lines("ps", "--quiet", "--filter", _LABEL + stack),
            *docker.lines("network", "ls", "--quiet", "--filter", _LABEL + stack),
        ]
        if not left:
            return time.monotonic() - started
        if time.monotonic() - started > seconds:
            raise UnavailableError(f"after {seconds:.0f} s there is still {', '.join(left)}")
        time.sleep(_POLL_S)

"""What is done to nodes: one is cut off, killed, drained, and the manager's engine starts anew.

The database, the broker and nginx are pinned to the manager, so that is never the one that is
cut off or killed: they are single points, and come back with their node.
"""

import time

from benchmarks.swarm_house import STATELESS, House
from benchmarks.swarm_nodes import Node
from benchmarks.swarm_steps import Result, Scene, Step, _of_load
from commons.errors import UnavailableError

_CUT_S = 40.0
_SETTLE_S = 3.0
_MOVED_S = 120.0


def node_steps() -> dict[str, Step]:
    """Return the steps by their names, in their order."""
    return {
        "tasks are spread": spread,
        "a worker is cut off for 40 s": cut_off,
        "a worker is killed": killed,
        "a worker is drained": drained,
        "the manager's engine starts anew": restarted,
    }


def spread(scene: Scene) -> Result:
    """See that the tasks of every service that has two are on two nodes or more."""
    house = scene.house
    alone = [
        service
        for service in STATELESS
        if house.state(service).wanted > 1
        and len({task.engine.data.name for task in house.tasks(service)}) < 2  # noqa: PLR2004
    ]
    if alone:
        raise UnavailableError(f"on one node only: {', '.join(alone)}")
    return Result(0.0, note=f"{sum(len(house.tasks(s)) for s in STATELESS)} tasks")


def cut_off(scene: Scene) -> Result:
    """Cut a worker's link under load, wait for its tasks elsewhere, and mend it."""
    house = scene.house
    node = house.nodes.all[-1]
    with scene.load() as load:
        time.sleep(_SETTLE_S)
        started = time.monotonic()
        house.nodes.cut(node)
        try:
            seconds = _moved(house, started)
            time.sleep(max(_CUT_S - (time.monotonic() - started), 0.0))
        finally:
            house.nodes.mend(node)
        house.until(lambda: _is_ready(house, node), "the node is back", _MOVED_S)
        time.sleep(_SETTLE_S)
    return _of_load(seconds, load)


def killed(scene: Scene) -> Result:
    """Kill a worker's engine and all that it runs under load; start it again afterwards."""
    house = scene.house
    node = house.nodes.all[-1]
    with scene.load() as load:
        time.sleep(_SETTLE_S)
        started = time.monotonic()
        node.engine.kill()
        seconds = _moved(house, started)
        time.sleep(_SETTLE_S)
    node.engine.start()
    house.until(lambda: _is_ready(house, node), "the node is back", _MOVED_S)
    return _of_load(seconds, load)


def drained(scene: Scene) -> Result:
    """Drain a worker under load, and take it back."""
    house = scene.house
    node = house.nodes.all[1]
    name = node.engine.docker("info", "--format", "{{.Swarm.NodeID}}")
    with scene.load() as load:
        time.sleep(_SETTLE_S)
        started = time.monotonic()
        house.docker("node", "update", "--availability", "drain", name)
        house.until(
            lambda: not node.engine.docker("ps", "--quiet") and _is_whole(house),
            "it is drained",
            _MOVED_S,
        )
        seconds = time.monotonic() - started
        time.sleep(_SETTLE_S)
    house.docker("node", "update", "--availability", "active", name)
    return _of_load(seconds, load)


def restarted(scene: Scene) -> Result:
    """End the manager's engine in order under load and start it again."""
    house = scene.house
    with scene.load() as load:
        time.sleep(_SETTLE_S)
        started = time.monotonic()
        house.nodes.manager.engine.stop()
        house.nodes.manager.engine.start()
        house.until(lambda: _is_whole(house), "everything is back", _MOVED_S)
        seconds = time.monotonic() - started
        time.sleep(_SETTLE_S)
    return _of_load(seconds, load)


def _moved(house: House, started: float) -> float:
    """Return when every service was whole again, once the manager had noticed."""
    house.until(lambda: not _is_whole(house), "the manager notices", _MOVED_S)
    house.until(lambda: _is_whole(house), "its tasks are elsewhere", _MOVED_S)
    return time.monotonic() - started


def _is_whole(house: House) -> bool:
    states = house.states()
    return bool(states) and all(each.running == each.wanted for each in states)


def _is_ready(house: House, node: Node) -> bool:
    rows = house.nodes.manager.engine.docker.rows("node", "ls")
    return any(row["Hostname"] == node.name and row["Status"] == "Ready" for row in rows)

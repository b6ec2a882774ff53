"""What a run leaves in the blobs, while it goes on and at its end."""

import pytest

from commons.errors import UnavailableError
from tests.evolver_builders import Stage, queued_run
from tests.memory_blobs import MemoryBlobs


def kinds(blobs: MemoryBlobs) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in blobs.held:
        kind = name.split("/")[0]
        found[kind] = found.get(kind, 0) + 1
    return found


def _large(blobs: MemoryBlobs) -> dict[str, int]:
    return {kind: count for kind, count in kinds(blobs).items() if kind != "results"}


@pytest.mark.parametrize("keep", [1, 4])
def test_only_the_weights_of_the_best_stay(keep: int) -> None:
    stage = Stage()
    stage.evolve(seconds=60, keep_weights=keep)
    assert kinds(stage.blobs) == {"weights": keep}
    found = stage.tables.individuals("r1")
    kept = [known.weights for each in found for known in each.evaluations if known.weights]
    assert sorted(kept) == sorted(stage.blobs.held)
    assert {known.checkpoint for each in found for known in each.evaluations} == {None}
    best = max(found, key=lambda each: each.accuracy or 0.0)
    assert any(known.weights for known in best.evaluations)


@pytest.mark.parametrize(
    ("fidelity", "most"), [({}, 40), ({"rungs": False, "inheritance": False}, 6)]
)
def test_little_is_kept_while_a_run_goes_on(fidelity: dict, most: int) -> None:
    stage, seen = Stage(), list[int]()
    # Results stay until the end: they are small, and say of each job that it is done.
    stage.clock.alarms.append(lambda _: seen.append(sum(_large(stage.blobs).values())))
    stage.evolve(seconds=240, fidelity=fidelity, keep_weights=3, population=8)
    births = len(stage.tables.individuals("r1"))
    assert births > 30
    assert max(seen) >= 3
    assert max(seen) <= most


def test_weights_that_another_run_has_too_stay_for_that_one() -> None:
    stage = Stage()
    same = {"seconds": None, "evaluations": 8, "workers": 1}
    stage.evolve(**same, keep_weights=4)
    before = set(stage.blobs.held)
    stage.tables.add(queued_run("r2", **same, keep_weights=1))
    stage.runner().run_next()
    assert before <= set(stage.blobs.held)
    kept = [
        known.weights
        for each in stage.tables.individuals("r1")
        for known in each.evaluations
        if known.weights
    ]
    assert sorted(kept) == sorted(before)


def test_what_a_killed_worker_never_told_of_is_cleared_away() -> None:
    stage = Stage()
    for name in ("weights/r1/1/1/torn.npz", "checkpoints/r1/1/1/torn.npz", "weights/r2/1/1/x.npz"):
        stage.blobs.put(name, b"numbers")
    stage.evolve(seconds=30)
    assert "weights/r2/1/1/x.npz" in stage.blobs.held
    assert not [name for name in stage.blobs.held if name.endswith("torn.npz")]


def test_the_files_of_published_networks_are_nobodys_to_clear() -> None:
    stage = Stage()
    stage.blobs.put("networks/ab/abc.onnx", b"a network")
    stage.evolve(seconds=30)
    assert "networks/ab/abc.onnx" in stage.blobs.held


def test_a_storage_that_deletes_nothing_ends_no_run() -> None:
    class Stubborn(MemoryBlobs):
        def delete(self, name: str) -> bool:
            raise UnavailableError("the storage cannot be reached")

    stage = Stage(blobs=Stubborn())
    assert stage.evolve(seconds=30).state == "complete"
    found = stage.tables.individuals("r1")
    assert all(
        known.weights for each in found for known in each.evaluations if known.outcome == "ok"
    )

"""What a watcher is told of a run as it changes."""

import pytest

from commons.messages import Evaluation, RunState
from evolver.runs import Runs
from evolver.watching import Watching
from tests.evolver_builders import FakeClock, MemoryRuns, individual, nobody_is_dead, queued_run
from tests.memory_blobs import MemoryBlobs


@pytest.mark.parametrize("state", ["stopped", "complete", "failed"])
def test_trainings_that_the_end_of_a_run_cancels_are_told(state: RunState) -> None:
    clock = FakeClock()
    tables = MemoryRuns(clock)
    tables.add(queued_run("r1"))
    run = tables.claim("one")
    assert run is not None
    tables.add_individual("r1", individual(1), "one")
    runs = Runs(tables, tables, clock, lambda: "r2", nobody_is_dead, MemoryBlobs())
    happenings = Watching(runs, clock, slots=1, longest_s=20.0).watch("r1", 0.0)
    assert next(happenings).message == run
    cancelled = Evaluation(rung="1", state="finished", outcome="cancelled", ended=clock.now())
    tables.put_evaluation("r1", 1, cancelled, "one")
    # Nobody counts it: the state is all that changes.
    tables.save(run.model_copy(update={"state": state}), "one")
    assert [each.kind for each in happenings] == ["training", "run"]

"""A fleet's beats in the words of the API."""

from collections.abc import Mapping, Sequence

from commons.fleet import WorkerBeat
from commons.worker_messages import Trainer, WorkerPage, WorkerSlot


def page_of(
    workers: Sequence[WorkerBeat], ready: Mapping[str, int], dead: Mapping[str, int]
) -> WorkerPage:
    """Return what is told of a fleet, its workers by machine and name.

    Args:
        workers: The latest beat of each.
        ready: The messages that wait in each queue.
        dead: Those in the queues of its dead letters.
    """
    ordered = sorted(workers, key=lambda worker: (worker.machine, worker.name))
    return WorkerPage(
        engine="celery",
        workers=[_trainer(worker) for worker in ordered],
        ready=dict(ready),
        dead=dict(dead),
    )


def _trainer(beat: WorkerBeat) -> Trainer:
    return Trainer(
        name=beat.name,
        machine=beat.machine,
        kind=beat.kind,
        cpu=beat.cpu,
        slots=[
            WorkerSlot(number=slot.number, job=slot.job, since=slot.since, card=slot.card)
            for slot in beat.slots
        ],
        started=beat.started,
        done=beat.done,
        failed=beat.failed,
        per_minute=beat.per_minute,
        last_failure=beat.last_failure,
        leaving=beat.leaving,
    )

"""What several modules of faults share: a broker and workers that each of them may break."""

from collections.abc import Iterator

import pytest

from benchmarks.light_worker import LightWorkers
from tests.fleet import started_light_workers
from tests.servers import Rabbit, started_rabbit


@pytest.fixture(scope="module")
def broker() -> Iterator[Rabbit]:
    """Give a broker that no other module uses: it is killed, and started again."""
    with started_rabbit() as rabbit:
        yield rabbit


@pytest.fixture(scope="module")
def light() -> Iterator[tuple[LightWorkers, str]]:
    """Give what starts light workers, and the mark of all its processes."""
    with started_light_workers() as workers:
        yield workers

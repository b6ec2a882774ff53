"""Jobs on RabbitMQ and PostgreSQL, whose workers die."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from classification_service.app import Settings
from tests.job_processes import JobHouse, check_that_kills_cost_nothing, opened_job_house
from tests.servers import Postgres, Rabbit

pytestmark = pytest.mark.integration
KILLS = 20 if os.environ.get("DICEBOX_CAMPAIGN") == "full" else 1


@pytest.fixture
def house(tmp_path: Path, rabbit: Rabbit, postgres: Postgres) -> Iterator[JobHouse]:
    settings = Settings(data=tmp_path, broker_url=rabbit.url, database_url=postgres.new_database())
    with opened_job_house(settings) as house:
        yield house


def test_workers_and_the_database_are_killed_and_others_share_the_rest(
    house: JobHouse, postgres: Postgres, tell: Callable[[str], None]
) -> None:
    def restart() -> None:
        postgres.kill()
        postgres.start()

    check_that_kills_cost_nothing(house, KILLS, tell, at_once=2, meanwhile=restart)

"""The real neighbours of a whole test session, each started when a test first asks for it."""

from collections.abc import Iterator

import pytest

from tests.servers import S3, Postgres, Rabbit, started_postgres, started_rabbit, started_s3


@pytest.fixture(scope="session")
def rabbit() -> Iterator[Rabbit]:
    with started_rabbit() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with started_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with started_s3() as server:
        yield server

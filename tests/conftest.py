"""What a whole test session shares: its real neighbours, and the counts that it tells at its end.

A neighbour is started when a test first asks for it.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.servers import S3, Postgres, Rabbit, started_postgres, started_rabbit, started_s3

_COUNTS = pytest.StashKey[list[str]]()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Give a function that takes a line of counts: of faults that were, of what they cost."""
    lines = request.config.stash.setdefault(_COUNTS, [])
    return lambda line: lines.append(f"{request.node.name}: {line}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the counts, also where the output of tests is kept back."""
    if lines := config.stash.get(_COUNTS, []):
        terminalreporter.section("counts")
        for line in lines:
            terminalreporter.line(line)


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

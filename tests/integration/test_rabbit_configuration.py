"""The broker's file that is shipped, read by a real broker."""

from pathlib import Path

import pytest

from tests.servers import started_rabbit

pytestmark = pytest.mark.integration
SHIPPED = Path(__file__).parents[2] / "deploy" / "rabbitmq" / "rabbitmq.conf"
LONGEST_RUN_MS = 30 * 24 * 3600 * 1000


def test_a_broker_starts_with_the_file_that_is_shipped_and_takes_its_word() -> None:
    settings = ", ".join(
        f"element(2, application:get_env(rabbit, {name}))"
        for name in ("consumer_timeout", "heartbeat", "disk_free_limit")
    )
    with started_rabbit(SHIPPED.read_text(encoding="utf-8")) as rabbit:
        said = rabbit.evaluate(f"{{{settings}}}.")
    assert said == f'{{{LONGEST_RUN_MS},60,"1GB"}}'


def test_what_stands_in_the_advanced_file_counts_too() -> None:
    with started_rabbit(advanced="[{rabbit, [{channel_tick_interval, 500}]}].") as rabbit:
        assert rabbit.evaluate("application:get_env(rabbit, channel_tick_interval).") == "{ok,500}"

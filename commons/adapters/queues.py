"""Opens the queue that a service was told of: RabbitMQ, or the table of one machine."""

from collections.abc import Mapping

from commons.adapters.database import create_database
from commons.adapters.table_queue import TableQueue
from commons.ports import Clock, Queue


def open_queue(
    broker_url: str | None,
    tables_url: str,
    clock: Clock,
    *,
    lease_s: float = 60.0,
    expiring: Mapping[str, float] | None = None,
) -> Queue:
    """Return the queue, ready for use; a broker is waited for later.

    Args:
        broker_url: RabbitMQ, as `amqp://user:password@host:port/vhost`.
        tables_url: The database in which messages are kept without it.
        clock: Says when to ask again.
        lease_s: A message in the table that nobody acknowledged for this long comes again.
        expiring: Prefixes of queues that expire, with the seconds after which they do.

    Raises:
        InvalidInputError: An address is none.
        StorageFullError: No space is left for the table.
        UnavailableError: The database cannot be reached.
    """
    if broker_url:
        # Without a broker nobody needs pika, which is in an extra of its own.
        from commons.adapters.rabbit_queue import RabbitQueue  # noqa: PLC0415

        return RabbitQueue(broker_url, clock, expiring=expiring)
    queue = TableQueue(create_database(tables_url), clock, lease_s=lease_s, expiring=expiring)
    queue.create_tables()
    return queue

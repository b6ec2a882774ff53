"""Celery as both ends of the job queues need it: who submits, and who runs.

A job is one message of the task `dicebox.job` with the keyword arguments `spec` (a `JobSpec` as
JSON values), `reply_to` (the queue of whoever submitted it), `sent` (unix seconds) and `starts`
(those that count of earlier messages of it). Celery carries it and calls it; what became of it
stands in the blobs, never in Celery's results.
"""

import socket
from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from commons.adapters.rabbit_declarations import Declarations
from commons.fleet import DEVICES, MOST_DELIVERIES, jobs_queue
from commons.jobs import Device

JOB_TASK = "dicebox.job"
_JOBS = Declarations(MOST_DELIVERIES, {})


def create_celery(broker_url: str, *, heartbeat_s: int = 10) -> Celery:
    """Return the app with its two job queues; it connects when it is used.

    Args:
        broker_url: RabbitMQ, as `amqp://user:password@host:port/vhost`.
        heartbeat_s: After two of these without a word, a peer is taken for dead. A busy machine
            needs 5 or more.
    """
    app = Celery("dicebox", broker=broker_url, set_as_current=False, fixups=[])
    app.conf.update(_settings(heartbeat_s))
    return app


def job_queues() -> list[Queue]:
    """Return all queues of jobs with their dead letters, in the order they must be declared."""
    return [queue for kind in DEVICES for queue in _declared(jobs_queue(kind))]


def dead_letters(kind: Device) -> str:
    """Return the queue of the jobs of a kind that nobody could handle."""
    return jobs_queue(kind) + ".dead"


def _declared(name: str) -> list[Queue]:
    return [
        Queue(queue, Exchange(""), routing_key=queue, queue_arguments=arguments)
        for queue, arguments in _JOBS.of(name)
    ]


def _socket_settings(heartbeat_s: int) -> dict[int, int]:
    """Return how long a network may lose what is sent, which py-amqp puts at one second."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return {}
    return {socket.TCP_USER_TIMEOUT: 2000 * heartbeat_s}


def _settings(heartbeat_s: int) -> dict[str, Any]:
    return {
        # The last that is declared is the queue itself; nobody consumes dead letters.
        "task_queues": [_declared(jobs_queue(kind))[-1] for kind in DEVICES],
        "task_default_queue": jobs_queue("cpu"),
        # A typing error must not make a queue that can lose messages.
        "task_create_missing_queues": False,
        # The message stays until the result is stored; one that raised goes to the dead letters.
        "task_acks_late": True,
        "task_acks_on_failure_or_timeout": False,
        "task_ignore_result": True,
        "result_backend": None,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_publish_retry": False,
        "worker_pool": "commons.adapters.celery_consumer:SlotPool",
        "worker_consumer": "commons.adapters.celery_consumer:JobConsumer",
        "worker_prefetch_multiplier": 1,
        # RabbitMQ refuses a prefetch of the whole channel on quorum queues.
        "worker_detect_quorum_queues": True,
        "worker_enable_prefetch_count_reduction": False,
        # A training outlives its connection.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # A channel that the broker closed, after its `consumer_timeout`, is opened again.
        "broker_channel_error_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": 4,
        "broker_heartbeat": heartbeat_s,
        "broker_heartbeat_checkrate": 3,
        "broker_transport_options": {
            "confirm_publish": True,
            "socket_settings": _socket_settings(heartbeat_s),
        },
        "broker_pool_limit": None,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "task_send_sent_event": False,
        "worker_disable_rate_limits": True,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "timezone": "UTC",
        "enable_utc": True,
    }

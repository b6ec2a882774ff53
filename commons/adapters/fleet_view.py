"""Who works for whom on a broker right now, for people who ask; no run and no engine needed."""

from commons.adapters.broker_link import BrokerLink
from commons.adapters.celery_app import create_celery, dead_letters
from commons.adapters.clock import SystemClock
from commons.fleet import ASKS, BEATS, DEVICES, Ask, Fleet, Word, WorkerBeat, jobs_queue


def ask_fleet(broker_url: str, wait_s: float = 0.7) -> Fleet:
    """Return the workers that answer in time, and how many jobs wait.

    Args:
        broker_url: RabbitMQ, as `amqp://user:password@host:port/vhost`.
        wait_s: How long to collect answers.

    Raises:
        UnavailableError: The broker cannot be reached.
    """
    answers: dict[str, WorkerBeat] = {}

    def heard(word: Word) -> None:
        if isinstance(word, WorkerBeat):
            answers[word.name] = word

    link = BrokerLink(create_celery(broker_url))
    try:
        link.listen(None, heard, exchange=BEATS)
        link.announce(ASKS, Ask())
        ready = {jobs_queue(kind): _messages(link, jobs_queue(kind)) for kind in DEVICES}
        dead = {jobs_queue(kind): _messages(link, dead_letters(kind)) for kind in DEVICES}
        SystemClock().sleep(wait_s)
    finally:
        link.close()
    return Fleet(workers=tuple(answers[name] for name in sorted(answers)), ready=ready, dead=dead)


def reach_broker(broker_url: str) -> None:
    """Return when a broker has answered.

    Raises:
        UnavailableError: It cannot be reached.
    """
    link = BrokerLink(create_celery(broker_url))
    try:
        link.ready(jobs_queue(DEVICES[0]))
    finally:
        link.close()


def _messages(link: BrokerLink, queue: str) -> int:
    counts = link.ready(queue)
    return counts[0] if counts else 0

"""What the link to the broker promises, on RabbitMQ."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from commons.adapters.broker_link import BrokerLink
from commons.adapters.celery_app import create_celery, dead_letters
from commons.adapters.fleet_view import ask_fleet
from commons.errors import TooLargeError, UnavailableError
from commons.fleet import (
    ASKS,
    BEATS,
    MOST_BYTES,
    Ask,
    Report,
    Stop,
    TellToo,
    Word,
    jobs_queue,
    running_queue,
)
from commons.jobs import JobSpec
from tests.servers import Rabbit, free_port, started_rabbit
from tests.unit.test_fleet import beat

pytestmark = pytest.mark.integration

WAIT_S = 30.0
JOB = "run/1/a"


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)
    return value


@pytest.fixture
def links(rabbit: Rabbit) -> Iterator[Callable[..., BrokerLink]]:
    """Return a function that connects as another process would."""
    yield from _links(rabbit)


def _links(rabbit: Rabbit) -> Iterator[Callable[..., BrokerLink]]:
    made: list[BrokerLink] = []

    def connect(heartbeat_s: int = 10, **options: Any) -> BrokerLink:
        made.append(BrokerLink(create_celery(rabbit.url, heartbeat_s=heartbeat_s), **options))
        return made[-1]

    yield connect
    for link in made:
        link.close()


def spec(job_id: str = JOB, **arguments: Any) -> JobSpec:
    return JobSpec(id=job_id, function="a.b:c", arguments=arguments)


def test_words_come_to_a_queue_in_order_and_one_that_nobody_has_is_said(
    links: Callable[..., BrokerLink],
) -> None:
    one, other = links(), links()
    heard: list[Word] = []
    name = one.listen("dicebox.replies.words", heard.append, expires_s=60.0)
    assert name == "dicebox.replies.words"
    words = [Report(job=JOB, worker="w", time=float(n), data={"n": n}) for n in range(100)]
    assert all(other.tell(name, word) for word in words)
    eventually(lambda: heard == words)
    one.stop_listening(name)
    assert not other.tell(name, words[0])
    assert not other.tell("dicebox.replies.nobody", words[0])


def test_a_word_to_an_exchange_comes_to_all_who_listen(links: Callable[..., BrokerLink]) -> None:
    heard: tuple[list[Word], list[Word]] = ([], [])
    for each in heard:
        links().listen(None, each.append, exchange=BEATS)
    links().announce(BEATS, beat())
    eventually(lambda: heard == ([beat()], [beat()]))


def test_one_link_alone_holds_a_job_and_hears_what_is_said_to_it(
    links: Callable[..., BrokerLink],
) -> None:
    one, other = links(), links()
    heard: list[Word] = []
    assert one.hold(JOB, heard.append)
    assert not other.hold(JOB, heard.append)
    assert other.tell(running_queue(JOB), Stop(job=JOB))
    eventually(lambda: heard == [Stop(job=JOB)])
    one.let_go(JOB)
    assert not other.tell(running_queue(JOB), Stop(job=JOB))
    assert other.hold(JOB, heard.append)
    other.let_go(JOB)
    other.let_go(JOB)


def test_a_lock_ends_with_its_connection(links: Callable[..., BrokerLink]) -> None:
    one, other = links(), links()
    assert one.hold(JOB, lambda _: None)
    one.close()
    assert other.hold(JOB, lambda _: None)
    with pytest.raises(UnavailableError, match="closed"):
        one.hold(JOB, lambda _: None)


def test_whoever_hears_a_word_may_answer_on_the_link(links: Callable[..., BrokerLink]) -> None:
    one, other = links(), links()
    answers: list[Word] = []
    other.listen("dicebox.replies.answers", answers.append, expires_s=60.0)

    def answer(word: Word) -> None:
        assert isinstance(word, TellToo)
        one.tell(word.reply_to, Stop(job=word.job))

    assert one.hold(JOB, answer)
    other.tell(running_queue(JOB), TellToo(job=JOB, reply_to="dicebox.replies.answers"))
    eventually(lambda: answers == [Stop(job=JOB)])
    other.stop_listening("dicebox.replies.answers")


def test_a_job_waits_in_its_queue_and_is_counted(
    links: Callable[..., BrokerLink], rabbit: Rabbit
) -> None:
    link = links()
    queue = jobs_queue("gpu")
    before = link.ready(queue)
    assert before is not None
    link.submit(spec(number=1), "dicebox.replies.x", queue)
    eventually(lambda: link.ready(queue) == (before[0] + 1, 0))
    assert link.ready(dead_letters("gpu")) == (0, 0)
    assert link.ready("dicebox.jobs.nothing") is None
    fleet = ask_fleet(rabbit.url, wait_s=0.0)
    assert fleet.ready[queue] == before[0] + 1
    assert fleet.dead == {jobs_queue("cpu"): 0, queue: 0}


def test_a_job_with_a_very_long_id_is_published(links: Callable[..., BrokerLink]) -> None:
    links().submit(spec("run/" + "x" * 1000), "dicebox.replies.x", jobs_queue("gpu"))


def test_what_would_carry_data_is_refused(links: Callable[..., BrokerLink]) -> None:
    link = links()
    with pytest.raises(TooLargeError, match=f"at most {MOST_BYTES} bytes"):
        link.submit(spec(pixels="x" * MOST_BYTES), "dicebox.replies.x", jobs_queue("cpu"))
    with pytest.raises(TooLargeError, match=f"at most {MOST_BYTES} bytes"):
        link.tell("x", Report(job=JOB, worker="w", time=1.0, data={"p": "x" * MOST_BYTES}))


def test_a_link_that_has_nothing_to_say_stays_connected(links: Callable[..., BrokerLink]) -> None:
    connected: list[float] = []
    link = links(heartbeat_s=1, on_connected=lambda: connected.append(time.monotonic()))
    assert link.hold(JOB, lambda _: None)
    time.sleep(4.0)  # the silence: the broker would give up a silent peer after two seconds
    assert link.away_s() == 0.0
    assert len(connected) == 1
    assert not links().hold(JOB, lambda _: None)


def test_everything_is_as_it_was_after_the_broker_was_killed() -> None:
    with started_rabbit() as rabbit:
        connect = _links(rabbit)
        links = next(connect)
        connected: list[None] = []
        fenced: list[str] = []
        heard: list[Word] = []
        holder = links(on_connected=lambda: connected.append(None), on_fenced=fenced.append)
        other = links()
        holder.listen("dicebox.replies.kept", heard.append, expires_s=60.0)
        holder.listen(None, heard.append, exchange=BEATS)
        assert holder.hold(JOB, heard.append)
        other.submit(spec(), "dicebox.replies.kept", jobs_queue("cpu"))
        rabbit.kill()
        with pytest.raises(UnavailableError, match="away"):
            holder.tell("x", Ask())
        assert holder.away_s() > 0.0
        holder.announce(BEATS, beat())
        assert holder.listen("dicebox.replies.later", heard.append, expires_s=60.0)
        rabbit.start()
        eventually(lambda: len(connected) == 2)
        eventually(lambda: other.away_s() == 0.0 and holder.away_s() == 0.0)
        assert not other.hold(JOB, lambda _: None)
        words: list[Word] = [Stop(job="a"), Stop(job="b"), Stop(job="c"), beat(time=9.0)]
        queues = [running_queue(JOB), "dicebox.replies.kept", "dicebox.replies.later"]
        for queue, word in zip(queues, words, strict=False):
            assert other.tell(queue, word)
        other.announce(BEATS, words[3])
        eventually(lambda: sorted(map(str, heard)) == sorted(map(str, words)))
        eventually(lambda: other.ready(jobs_queue("cpu")) == (1, 0))
        assert fenced == []
        for _ in connect:
            pass


def test_who_finds_his_lock_taken_is_told_and_holds_it_no_more(
    links: Callable[..., BrokerLink],
) -> None:
    fenced: list[str] = []
    loser = links(heartbeat_s=1, on_fenced=fenced.append)
    other = links()
    assert loser.hold(JOB, lambda _: None)
    back = threading.Event()

    def taken() -> bool:
        return other.hold(JOB, lambda _: None)

    # Its connection breaks, and it is held up until another has the lock.
    def end(session: Any) -> None:
        session._connection.sock.shutdown(socket.SHUT_RDWR)
        eventually(taken)
        back.set()

    loser._loop.ask(end)
    assert back.wait(WAIT_S)
    eventually(lambda: fenced == [JOB])
    loser.let_go(JOB)
    assert other.tell(running_queue(JOB), Stop(job=JOB))


def test_a_broker_that_was_never_there_is_waited_for() -> None:
    link = BrokerLink(create_celery(f"amqp://guest:guest@127.0.0.1:{free_port()}/%2F"))
    link.listen("dicebox.replies.early", lambda _: None, expires_s=60.0)
    with pytest.raises(UnavailableError, match="the broker is away: ConnectionRefusedError"):
        link.ready(jobs_queue("cpu"))
    assert link.away_s() > 0.0
    link.close()
    link.close()


def test_whoever_asks_for_the_fleet_gets_the_workers_that_answer(
    links: Callable[..., BrokerLink], rabbit: Rabbit
) -> None:
    worker = links()
    worker.listen(None, lambda _: worker.announce(BEATS, beat("m-7")), exchange=ASKS)
    assert [each.name for each in ask_fleet(rabbit.url).workers] == ["m-7"]

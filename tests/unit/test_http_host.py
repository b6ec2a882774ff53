"""The HTTP side of the hot path: what clients may do, and what is done to those who may not."""

import json
import socket
import struct
import tempfile
import threading
import time
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classification_service.adapters.http_host import NoHotRoute
from classification_service.adapters.http_limits import Limits
from tests.dicebox_processes import until
from tests.http_hosts import post, read_reply, read_to_end, served

QUICK = Limits(head_s=0.2, body_s=0.2, idle_s=0.3, linger_s=0.3, write_s=0.3, drain_idle_s=0.1)


@pytest.fixture(scope="module")
def here():
    with served() as host:
        yield host


def statuses(data: bytes) -> list[int]:
    return [int(line.split()[1]) for line in data.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


# What is answered


def test_requests_are_answered_on_one_connection_one_after_another(here):
    with here.connect() as connection:
        for body in (b"one", b"two", b"three", b"", b"five"):
            connection.sendall(post(body))
            status, headers, said, _ = read_reply(connection)
            assert (status, said) == (200, body)
            assert "connection" not in headers
            assert headers["x-request-id"] == "id-1"
            assert headers["date"].endswith("GMT")


def test_a_head_that_came_before_is_known_again_and_a_like_one_is_not_taken_for_it(here):
    with here.connect() as connection:
        for query, header, body in [
            ("", "X-A: 1", b"same"),
            ("", "X-A: 1", b"head"),
            ("?step=reply", "X-A: 1", b"new!"),
            ("", "X-A: 2", b"else"),
            ("", "X-A: 2", b"longer body"),
        ]:
            connection.sendall(post(body, query, header))
            assert read_reply(connection)[2] == body
            environ = here.route.errands[-1].environ
            assert environ["HTTP_X_A"] == header[-1]
            assert environ["QUERY_STRING"] == query[1:]


@pytest.mark.parametrize("step", ["reply", "answer", "wait"])
def test_every_way_to_an_answer_leads_there(here, step):
    with here.connect() as connection:
        connection.sendall(post(b"picture", f"?step={step}"))
        assert read_reply(connection)[2] == b"picture"


def test_until_a_host_has_a_hot_route_its_views_answer_everything():
    with served() as here, here.connect() as connection:
        here.host.hot = NoHotRoute()
        connection.sendall(post(b"early"))
        assert read_reply(connection)[::2] == (404, b"none")
        counted = []
        here.host.open(here.route, lambda status, kind: counted.append((status, kind)))
        connection.sendall(post(b"now"))
        assert read_reply(connection)[::2] == (200, b"now")
        connection.sendall(b"GARBAGE\r\n\r\n")
        assert read_reply(connection)[0] == 400
        assert [status for status, _ in counted] == [400]
        assert here.refusals == []


def test_a_request_may_come_byte_by_byte(here):
    with here.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(b"slow"):
            connection.sendall(bytes([byte]))
        assert read_reply(connection)[2] == b"slow"


def test_requests_sent_without_waiting_are_answered_in_their_order():
    with served() as here, here.connect() as connection:
        # The first takes the slow way; the others must not overtake it.
        connection.sendall(
            post(b"first", "?step=submit") + post(b"second") + post(b"third", "?step=reply")
        )
        until(lambda: len(here.route.errands) == 1)
        here.route.gate.set()
        rest = b""
        for expected in (b"first", b"second", b"third"):
            _, _, said, rest = read_reply(connection, rest)
            assert said == expected


def test_many_that_are_sent_without_waiting_are_all_answered(here):
    many = post(b"x" * 100) * 500
    # What comes together is more than a head may be, and ends in the middle of one.
    cut = len(many) - len(post(b"x" * 100)) + 20
    with here.connect() as connection:
        connection.sendall(many[:cut])
        rest = b""
        for _ in range(499):
            status, _, _, rest = read_reply(connection, rest)
            assert status == 200
        connection.sendall(many[cut:])
        assert read_reply(connection, rest)[0] == 200


def test_a_body_in_chunks_is_put_together(here):
    head = b"POST /hot HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    with here.connect() as connection:
        connection.sendall(head + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n" + post(b"next"))
        _, _, said, rest = read_reply(connection)
        assert said == b"abcde"
        assert read_reply(connection, rest)[2] == b"next"


def test_a_client_that_asks_whether_to_go_on_is_told_so(here):
    with here.connect() as connection:
        connection.sendall(post(b"", "", "Expect: 100-continue").replace(b": 0", b": 4"))
        assert read_reply(connection)[0] == 100
        connection.sendall(b"body")
        assert read_reply(connection)[2] == b"body"


def test_a_client_that_has_ended_its_side_gets_its_answer(here):
    with here.connect() as connection:
        connection.sendall(post(b"half", "?step=wait"))
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection).endswith(b"half")


def test_connection_close_is_honoured(here):
    with here.connect() as connection:
        connection.sendall(post(b"bye", "", "Connection: close"))
        said = read_to_end(connection)
        assert b"connection: close\r\n" in said
        assert said.endswith(b"bye")


def test_nobody_is_upgraded_to_another_protocol(here):
    upgrade = post(b"here", "", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
    with here.connect() as connection:
        connection.sendall(upgrade)
        said = read_to_end(connection)
        assert statuses(said) == [200]
        assert b"connection: close" in said


def test_what_asks_nothing_hot_goes_to_the_application():
    def app(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("201 Created", [("Content-Type", "text/plain")])
        yield f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode()
        yield body

    with served(app) as here, here.connect() as connection:
        connection.sendall(b"PUT /a%20b HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nhi")
        status, headers, said, _ = read_reply(connection)
        assert (status, said) == (201, b"PUT /a b hi")
        assert headers["content-length"] == "11"


def test_a_long_body_of_the_application_comes_whole_in_chunks_and_with_a_length():
    parts = [bytes([number]) * 100_000 for number in range(20)]

    def app(environ, start_response):
        length = [("Content-Length", "2000000")] if environ["PATH_INFO"] == "/length" else []
        start_response("200 OK", [("Content-Type", "x/y"), *length])
        return iter(parts)

    with served(app) as here:
        for path, size in (("/chunks", None), ("/length", 2_000_000)):
            with here.connect() as connection:
                connection.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode()
                )
                head, _, said = read_to_end(connection).partition(b"\r\n\r\n")
                assert (b"chunked" in head) == (size is None)
                for part in parts:
                    assert part in said or size is None
                assert said.count(parts[7][:1000]) >= 90
                assert size is None or len(said) == size
                assert size is not None or said.endswith(b"\r\n0\r\n\r\n")


def test_an_application_that_fails_ends_its_connection_and_no_other(caplog):
    def app(environ, start_response):
        raise RuntimeError("a bug")

    with served(app) as here, here.connect() as other:
        with here.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            with pytest.raises(AssertionError, match="ended"):
                read_reply(connection)
        other.sendall(post(b"fine"))
        assert read_reply(other)[2] == b"fine"
    assert "a bug" in caplog.text


def test_what_waits_in_one_turn_is_answered_together():
    with served() as here:
        here.route.batches.clear()
        connections = [here.connect() for _ in range(20)]
        until(lambda: here.host.open_connections == 20)
        blocked = threading.Event()
        # While the loop is busy, all of them send.
        here.host.loop.call_soon_threadsafe(lambda: (blocked.set(), time.sleep(0.2)))
        assert blocked.wait(5)
        for connection in connections:
            connection.sendall(post(b"x"))
        for connection in connections:
            assert read_reply(connection)[0] == 200
            connection.close()
        assert max(here.route.batches) > 1
        assert sum(here.route.batches) == 20


def test_whoever_has_gone_is_not_worked_for():
    with served() as here:
        with here.connect() as connection:
            connection.sendall(post(b"gone", "?step=submit"))
            until(lambda: here.route.errands)
            # Reset when it is closed: one that only ends its side still wants its answer.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: here.route.errands[0].given_up)


# What is refused


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\nHost: here\r\n\r\n",
        b"GET /\r\n\r\n",
        b"POST /hot HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"POST /hot HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /hot HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /hot HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"POST /hot HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /hot HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST /hot HTTP/1.1\r\nHost : h\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT here:80 HTTP/1.1\r\nHost: h\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_as_a_problem_and_ends(here, data):
    with here.connect() as connection:
        connection.sendall(data)
        status, headers, said, _ = read_reply(connection)
        assert status == 400
        assert headers["connection"] == "close"
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(said)["type"] == "bad-request"
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b""


@pytest.mark.parametrize(
    "headers",
    [
        b"".join(b"X-%d: y\r\n" % number for number in range(10_000)),
        b"X-Long: " + b"y" * 100_000 + b"\r\n",
        b"X-Never-Ends: " + b"y" * 1_000_000,
    ],
    ids=["many", "long", "endless"],
)
def test_a_flood_of_headers_is_refused(here, headers):
    with here.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n" + headers)
        status, _, said, _ = read_reply(connection)
        assert status == 431
        assert json.loads(said)["status"] == 431


def test_an_address_without_end_is_refused(here):
    with here.connect() as connection:
        connection.sendall(b"GET /" + b"a" * 1_000_000)
        assert read_reply(connection)[0] == 431


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused_and_its_client_sees_why(here, chunked):
    size = 3_000_000
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    with here.connect() as connection:
        connection.sendall(f"POST /hot HTTP/1.1\r\nHost: here\r\n{length}\r\n\r\n".encode())
        # All of it is sent before anything is read, as simple clients do.
        connection.sendall((b"%x\r\n" % size if chunked else b"") + b"x" * size)
        status, _, said, _ = read_reply(connection)
        assert status == 413
        assert "1,000 bytes" in json.loads(said)["detail"]
    assert here.host.body_bytes == 0


def test_a_refusal_waits_for_the_answers_before_it(here):
    with here.connect() as connection:
        connection.sendall(post(b"good", "?step=wait") + b"no request\r\n\r\n")
        status, _, said, rest = read_reply(connection)
        assert (status, said) == (200, b"good")
        assert read_reply(connection, rest)[0] == 400


def test_what_is_refused_is_refused_once(here):
    bad = b"POST /hot HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n"
    flood = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n"
    with here.connect() as connection:
        connection.sendall(bad + b"x" * 5000 + flood + bad)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_to_end(connection)) == [413]


def test_a_head_that_comes_too_slowly_ends():
    with served(limits=QUICK) as here, here.connect() as connection:
        connection.sendall(b"POST /hot HT")
        assert statuses(read_to_end(connection)) == [408]


def test_a_body_that_comes_too_slowly_ends():
    with served(limits=QUICK) as here, here.connect() as connection:
        connection.sendall(post(b"x" * 100)[:-50])
        said = read_to_end(connection)
        assert statuses(said) == [408]
        assert b"slow-request" in said


def test_a_body_that_keeps_coming_may_take_its_time():
    limits = Limits(body_s=0.2, body_bytes_per_s=50.0)
    with served(limits=limits) as here, here.connect() as connection:
        data = post(b"x" * 100)
        for at in range(0, len(data), 10):
            connection.sendall(data[at : at + 10])
            time.sleep(0.04)
        assert read_reply(connection)[0] == 200


def test_a_connection_that_says_nothing_ends():
    with served(limits=QUICK) as here, here.connect() as connection:
        assert read_to_end(connection) == b""


def test_a_client_that_reads_nothing_is_let_go():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "x/y")])
        return iter([b"x" * 1_000_000] * 100)

    with served(app, limits=QUICK) as here, here.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        until(lambda: here.host.open_connections == 1)
        until(lambda: here.host.open_connections == 0)


def endless(closed: list[str]):
    """Return an application with pages as long as anybody reads, and a short one."""

    def parts(path):
        try:
            while True:
                yield b"x" * 1_000_000
        finally:
            closed.append(path)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "x/y")])
        path = environ["PATH_INFO"]
        return [b"short"] if path == "/short" else parts(path)

    return app


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


def test_clients_that_do_not_read_hold_no_threads():
    closed: list[str] = []
    with served(endless(closed)) as here, ExitStack() as lazy:
        for _ in range(10):
            lazy.enter_context(here.connect()).sendall(get("/long"))
        with here.connect() as connection:
            connection.sendall(get("/short"))
            assert read_reply(connection)[2] == b"short"
        until(lambda: here.views.stalled == 10)
        lazy.close()
        until(lambda: len(closed) == 10)


def test_who_has_not_read_for_longest_makes_room_for_others():
    closed: list[str] = []
    with served(endless(closed), most_stalled=2) as here, ExitStack() as lazy:
        for number in range(2):
            lazy.enter_context(here.connect()).sendall(get(f"/{number}"))
            until(lambda number=number: here.views.stalled == number + 1)
        lazy.enter_context(here.connect()).sendall(get("/2"))
        until(lambda: closed == ["/0"])
        until(lambda: here.views.stalled == here.host.open_connections == 2)


def test_bodies_on_their_way_have_a_bound_together():
    with served(limits=Limits(bodies_bytes=900)) as here, here.connect() as first:
        first.sendall(post(b"x" * 800)[:-10])
        until(lambda: here.host.body_bytes == 790)
        with here.connect() as second:
            second.sendall(post(b"x" * 800))
            status, headers, _, _ = read_reply(second)
            assert status == 503
            assert headers["retry-after"] == "1"
        first.sendall(b"x" * 10)
        assert read_reply(first)[0] == 200
        assert here.host.body_bytes == 0


@pytest.mark.parametrize("room", ["/dev/full", "/nowhere/at/all"])
def test_a_body_for_which_no_room_is_left_is_refused_and_counted_no_more(monkeypatch, room):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open(room, "w+b"))  # noqa: SIM115
    with served(most_bytes=5_000_000) as here:
        with here.connect() as connection:
            connection.sendall(post(b"x" * 3_000_000))
            status, _, said, _ = read_reply(connection)
            assert (status, json.loads(said)["type"]) == (507, "storage-full")
        assert here.refusals == [(507, "storage-full")]
        until(lambda: here.host.body_bytes == 0)
        with here.connect() as connection:
            connection.sendall(post(b"small"))
            assert read_reply(connection)[2] == b"small"
        assert here.host.body_bytes == 0


def test_there_are_only_so_many_connections():
    with served(limits=Limits(connections=1)) as here, here.connect():
        until(lambda: here.host.open_connections == 1)
        with here.connect() as second:
            assert statuses(read_to_end(second)) == [503]


def test_a_host_that_drains_answers_and_lets_go():
    with served(limits=QUICK) as here, here.connect() as idle, here.connect() as busy:
        until(lambda: here.host.open_connections == 2)
        here.host.is_draining = True
        busy.sendall(post(b"last"))
        _, headers, said, _ = read_reply(busy)
        assert (headers["connection"], said) == ("close", b"last")
        assert read_to_end(idle) == b""
        until(lambda: here.host.open_connections == 0)


# What is counted

FLOOD = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n"


@pytest.mark.parametrize(
    ("data", "counted"),
    [
        (b"no request\r\n\r\n", (400, "bad-request")),
        (b"GET / HTTP/1.1\r\n\r\n", (400, "bad-request")),
        (FLOOD, (431, "request-header-fields-too-large")),
        (b"POST /hot HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n", (413, "too-large")),
        (b"POST /hot HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\n", (408, "slow-request")),
        (b"POST /hot HT", (408, "slow-request")),
        (post(b"x" * 950), (503, "overloaded")),
    ],
)
def test_a_refusal_is_counted_once_by_status_and_kind(data, counted):
    limits = Limits(head_s=0.2, body_s=0.2, bodies_bytes=900)
    with served(limits=limits) as here, here.connect() as connection:
        connection.sendall(data)
        assert read_reply(connection)[0] == counted[0]
        connection.sendall(FLOOD)
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b""
        assert here.refusals == [counted]


def test_what_a_route_answers_is_counted_by_it_alone(here):
    here.refusals.clear()
    with here.connect() as connection:
        connection.sendall(post(b"x") + b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        _, _, _, rest = read_reply(connection)
        assert read_reply(connection, rest)[0] == 404
    assert here.refusals == []


def test_connections_and_requests_for_which_there_is_no_room_are_counted():
    held = threading.Event()

    def app(environ, start_response):
        held.wait(10)
        start_response("204 No Content", [])
        return []

    limits = Limits(connections=3)
    view = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    with (
        served(app, limits=limits, most_waiting=0) as here,
        here.connect() as one,
        here.connect() as two,
        here.connect() as third,
    ):
        until(lambda: here.host.open_connections == 3)
        with here.connect() as too_many:
            assert statuses(read_to_end(too_many)) == [503]
        assert here.refusals == [(503, "overloaded")]
        for busy in (one, two):
            busy.sendall(view)
        third.sendall(view)
        # Two threads are there for views, and nobody may wait: whoever comes last is refused.
        until(lambda: len(here.refusals) == 2)
        held.set()
        assert here.refusals == [(503, "overloaded")] * 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(
            [
                *(b"POST ", b"GET ", b"/hot", b" HTTP/1.1", b"\r\n", b"\n", b"Host: h", b"\x00"),
                *(b"Content-Length: ", b"5", b"0", b"Transfer-Encoding: chunked", b"abcde"),
                *(b"Connection: close", b"Expect: 100-continue", b"Upgrade: x", b":", b" "),
                post(b"fine"),
            ]
        )
        | st.binary(max_size=20),
        max_size=20,
    )
)
def test_whatever_bytes_come_the_next_client_is_answered(here, parts):
    with here.connect() as connection:
        connection.sendall(b"".join(parts))
        connection.shutdown(socket.SHUT_WR)
        said = read_to_end(connection)
        assert all(status in {100, 200, 400, 404, 431} for status in statuses(said))
    with here.connect() as connection:
        connection.sendall(post(b"next"))
        assert read_reply(connection)[2] == b"next"

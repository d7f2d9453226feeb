"""Load and hostility: many connections, slow ones, floods, tricks. Each asks three things: does memory stay bounded, is the attack ended or
answered as it should be, and is somebody else served all the while?

HOSTILE=1 runs them in full size (10,000 idle connections, 2,000 busy ones, 2,500 tables ...; `make torture ARGS=hostile`) and tells what
was measured; without it they are as small as what they show allows.
"""

import gzip
import json
import os
import pathlib
import re
import resource
import select
import socket
import struct
import subprocess
import time

import pytest

from dax_client import GET as GET_ITEM
from dax_client import DaxClient, encode
from dax_drivers import PREAMBLE, RawDax, authorization
from power import is_sanitized
from raw_http import Connection, request_bytes
from stator_server import binary

FULL = bool(int(os.environ.get("HOSTILE") or 0))
KIB, MIB = 1024, 1024 * 1024


def size(short, full):
    """How many: a sanitizer's server gets a quarter."""
    return full if FULL else max(2, short // 4) if is_sanitized() else short


def tell(text):
    if FULL:
        print(f"\nmeasured: {text}", flush=True)


def resident(server):
    """Without the pages of mapped files."""
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * KIB


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def crowd():
    """crowd(count, port, first bytes) -> connected sockets; closed at the end."""
    sockets = []

    def make(count, server, data=b"", port=None, receive=None):
        made = []
        for _ in range(count):
            s = socket.socket()
            if receive:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
            s.settimeout(60)
            s.connect((server.host, port or server.port))
            if data:
                s.sendall(data)
            made.append(s)
            sockets.append(s)
        return made

    yield make
    for s in sockets:
        s.close()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def readable(sockets, seconds):
    """Those with something to read; select() knows no descriptor above 1,023."""
    poll, by_number = select.poll(), {s.fileno(): s for s in sockets}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(seconds * 1000)]


def dax_port(server):
    return int(server.health()["dax"].rsplit(":", 1)[1])


class Witness:
    """Somebody else, who must be served whatever happens: a table, an item, a connection of its own with its own key."""

    def __init__(self, server, secret="test"):
        self.server, self.secret = server, secret
        self.connection = Connection(server, timeout=60)
        self.call(
            "CreateTable",
            {
                "TableName": "witness",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            },
        )
        wait_for(lambda: self.call("DescribeTable", {"TableName": "witness"})["Table"]["TableStatus"] == "ACTIVE")
        self.count = 0

    def call(self, operation, body):
        answer = self.connection.call(operation, body, access_key="witness", secret=self.secret)
        assert answer.status == 200, answer.body
        return answer.json

    def is_served(self, times=1):
        for _ in range(times):
            self.count += 1
            item = {"pk": {"S": "w"}, "n": {"N": str(self.count)}}
            self.call("PutItem", {"TableName": "witness", "Item": item})
            read = self.call("GetItem", {"TableName": "witness", "Key": {"pk": {"S": "w"}}, "ConsistentRead": True})
            assert read["Item"] == item
        return True


@pytest.fixture
def attacked(start_server):
    """A small server and its witness."""

    def start(*options, **kwargs):
        secret = kwargs.pop("secret", "test")
        server = start_server("--ephemeral", "--control-plane-delay", "0", *options, **kwargs)
        return server, Witness(server, secret)

    return start


# ---- many connections ----


@pytest.mark.parametrize("front", ["http", "dax"])
def test_idle_connections_cost_little_and_keep_nobody_out(attacked, crowd, front):
    limit = size(400, 10000 if front == "http" else 6000)  # two fronts share the descriptors
    server, witness = attacked("--max-connections", limit, *(["--dax-listen", "127.0.0.1:0"] if front == "dax" else []))
    port = dax_port(server) if front == "dax" else None
    count = limit - 20
    crowd(1, server, PREAMBLE if front == "dax" else b"", port)
    witness.is_served()
    before = resident(server)
    crowd(count, server, PREAMBLE if front == "dax" else b"", port)
    name = "stator_dax_connections" if front == "dax" else "stator_http_connections"
    wait_for(lambda: server.metric(name) >= count)
    each = (resident(server) - before) / count
    tell(f"an idle {front} connection takes {each:.0f} bytes ({count} of them)")
    if not is_sanitized():
        assert each < 8 * KIB
    assert witness.is_served(5)
    # the next ones find no place: idle ones make room
    time.sleep(1.1)
    for s in crowd(40, server, PREAMBLE if front == "dax" else b"", port):
        if front == "http":
            s.sendall(request_bytes("x", "ListTables", {}))
            assert readable([s], 60)
    assert witness.is_served(5)
    assert server.metric(name) <= limit + 64  # each thread may let one in at the same moment


def test_busy_connections_are_all_served(attacked):
    server, witness = attacked()
    count = size(100, 2000)
    before = resident(server)
    load = subprocess.Popen(
        [binary(), "bench", "--endpoint", server.endpoint, "--connections", str(count), "--workload", "mix", "--items", "500",
         "--seconds", "10" if FULL else "1", "--warmup", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    most = before
    while load.poll() is None:
        assert witness.is_served()
        most = max(most, resident(server))
        time.sleep(0.05)
    result = json.loads(load.stdout.read())
    assert result["failures"] == 0
    tell(f"a busy connection takes {(most - before) / count:.0f} bytes at most ({count} of them, {result['requests']} requests)")
    if not is_sanitized():
        assert most - before < 120 * MIB + count * 96 * KIB  # item cache and memtables, then each one's request


# ---- slow ones ----


@pytest.mark.parametrize("front", ["http", "dax"])
def test_half_requests_are_bounded_and_let_go(attacked, crowd, front):
    server, witness = attacked("--dax-listen", "127.0.0.1:0", "--request-timeout", "3000")
    count = size(200, 5000)
    before = resident(server)
    if front == "http":
        half = request_bytes("x", "PutItem", b"x" * 100)[:-60]
        slow = crowd(count, server, half)
    else:
        slow = crowd(count, server, PREAMBLE[:-1], dax_port(server))
    each = (resident(server) - before) / count
    tell(f"a connection with half a {front} request takes {each:.0f} bytes")
    if not is_sanitized():
        assert each < 48 * KIB
    assert witness.is_served(5)
    for s in slow:  # each is told, or closed
        data = s.recv(1000) if readable([s], 60) else None
        assert data is not None and (data == b"" or data.startswith(b"HTTP/1.1 408"))
    assert witness.is_served()


def test_who_does_not_read_is_cut_off_before_memory_runs_out(attacked, crowd):
    server, witness = attacked("--answer-memory", "8M")
    put = {"TableName": "witness", "Item": {"pk": {"S": "big"}, "v": {"S": "x" * 350_000}}}
    witness.call("PutItem", put)
    ask = request_bytes("x", "GetItem", {"TableName": "witness", "Key": {"pk": {"S": "big"}}}) * 20
    before = resident(server)
    most = 0
    count = 400 if FULL else 40  # each may owe 1 MiB before it is looked at
    readers = []
    for _ in range(count):
        try:
            readers += crowd(1, server, ask, receive=4096)
        except OSError:
            pass  # cut off while it asked
        most = max(most, server.metric("stator_http_unsent_bytes"))
    assert witness.is_served(3)
    wait_for(lambda: server.metric("stator_http_closed_total", reason="answers_not_read") > 0)
    wait_for(lambda: server.metric("stator_http_unsent_bytes") <= 16 * MIB)
    tell(f"{count} clients that read nothing: {most / MIB:.1f} MiB unsent at most of 8, {(resident(server) - before) / MIB:.0f} MiB more memory")
    assert most <= 16 * MIB + 8 * MIB  # twice the limit, and what one turn of each thread makes


def test_who_does_not_read_from_dax_is_cut_off_before_memory_runs_out(attacked):
    """Each asks for a large answer and never reads; others, of DAX too, are served meanwhile."""
    server, witness = attacked("--dax-listen", "127.0.0.1:0", "--answer-memory", "8M", "--write-timeout", "600000")
    witness.call("PutItem", {"TableName": "witness", "Item": {"pk": {"S": "big"}, "v": {"S": "x" * 350_000}}})
    address = f"{server.host}:{dax_port(server)}"
    dax = DaxClient(address)
    assert len(dax.get("witness", "big")["v"]) == 350_000
    request = PREAMBLE + authorization() + b"".join(map(encode, (1, GET_ITEM, b"witness", b"big", {}))) * 200
    before, most, count, readers = resident(server), 0, 2000 if FULL else 60, []
    try:
        port = dax_port(server)
        for _ in range(count):
            s = socket.socket()
            readers.append(s)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(60)
            try:
                s.connect((server.host, port))
                s.sendall(request)
            except OSError:
                pass  # cut off while it asked
            most = max(most, server.metric("stator_dax_unsent_bytes"))
        assert witness.is_served(3)
        wait_for(lambda: server.metric("stator_dax_closed_total", reason="answers_not_read") > 0)
        wait_for(lambda: server.metric("stator_dax_unsent_bytes") <= 16 * MIB)
        assert len(dax.get("witness", "big")["v"]) == 350_000
        more = resident(server) - before
        tell(f"{count} clients of DAX that read nothing: {most / MIB:.1f} MiB unsent at most of 8, {more / MIB:.0f} MiB more memory")
        assert most <= 16 * MIB + 8 * MIB  # twice the limit, and what one turn of each thread makes
    finally:
        for s in readers:
            s.close()
    wait_for(lambda: server.metric("stator_dax_unsent_bytes") == 0)
    dax.close()


def test_large_bodies_that_come_slowly_keep_only_large_ones_out(attacked, crowd):
    server, witness = attacked("--request-memory", "4M")
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n"
    slow = crowd(8, server, head)
    for s in slow:
        try:
            s.sendall(b"x" * 700_000)
        except OSError:
            pass  # refused: there is no more room
    wait_for(lambda: server.metric("stator_http_refused_total", reason="memory") > 0)
    assert server.metric("stator_http_body_bytes") <= 8 * MIB
    assert witness.is_served(3)
    item = {"pk": {"S": "w"}, "v": {"S": "y" * 40_000}}  # more than a block, and still small
    witness.call("PutItem", {"TableName": "witness", "Item": item})


# ---- floods ----


def test_bad_signatures_change_nothing_for_the_others(attacked, crowd, tmp_path):
    (tmp_path / "keys").write_text("witness secret-of-the-witness\n")
    (tmp_path / "keys").chmod(0o600)
    server, witness = attacked("--auth", "sigv4", "--credentials", tmp_path / "keys", secret="secret-of-the-witness")
    bad = request_bytes("x", "GetItem", {"TableName": "witness", "Key": {"pk": {"S": "w"}}}, access_key="witness", secret="guess")
    rounds = size(20, 500)
    before = resident(server)
    for s in crowd(10, server):
        for _ in range(rounds):
            s.sendall(bad * 20)
            got = b""
            while got.count(b"HTTP/1.1 ") < 20 or not got.endswith(b"}"):
                data = s.recv(65536)
                assert data
                got += data
            assert got.count(b"HTTP/1.1 400") == 20 and got.count(b"InvalidSignatureException") == 20
        assert witness.is_served()
    tell(f"{10 * rounds * 20} bad signatures: {(resident(server) - before) / KIB:.0f} KiB more memory")
    if not is_sanitized():
        assert resident(server) - before < 16 * MIB


def test_overload_is_told_and_not_queued(attacked, crowd):
    """With room for 16 calls, half of them for one tenant, the rest of 20 scans at once is throttled, and the witness is not."""
    server, witness = attacked("--max-requests", "16", "--threads", "1", "--io-threads", "2")
    for n in range(20):
        witness.call("PutItem", {"TableName": "witness", "Item": {"pk": {"S": str(n)}, "v": {"S": "x" * 50_000}}})
    scan = request_bytes("x", "Scan", {"TableName": "witness"}, access_key="crowd")
    throttled = served = 0
    for _ in range(size(20, 200)):
        some = crowd(20, server, scan)
        assert witness.is_served()
        for s in some:
            got = b""
            while True:
                data = s.recv(MIB)
                assert data
                got += data
                head, found, body = got.partition(b"\r\n\r\n")
                if found and len(body) >= int(re.search(rb"Content-Length: (\d+)", head)[1]):
                    break
            status = int(head[9:12])
            assert status == 200 or (status == 400 and b"ThrottlingException" in body), body[:200]
            served += status == 200
            throttled += status == 400
            s.close()
        if throttled and served and not FULL:
            break
    tell(f"{served + throttled} scans with 16 calls allowed: {served} served, {throttled} told ThrottlingException")
    assert served and throttled


def test_a_crowd_does_not_come_before_one(attacked, crowd):
    """Of the requests that are answered between a witness's question and its answer few are the crowd's, though there is always much of
    it waiting. Counted, not timed: first come, first served would be all 64 requests of each of the connections."""
    server, witness = attacked("--threads", "1")
    one = request_bytes("x", "GetItem", {"TableName": "witness", "Key": {"pk": {"S": "none"}}}, access_key="crowd")
    sockets = crowd(size(40, 200), server)
    for s in sockets:
        s.setblocking(False)

    def feed():
        for s in sockets:
            for act in (lambda: s.send(one * 64), lambda: [s.recv(MIB) for _ in range(4)]):
                try:
                    act()
                except BlockingIOError:
                    pass

    def answered():
        return server.metric("stator_requests_total", operation="GetItem")

    for _ in range(5):
        feed()
    between = []
    for _ in range(size(40, 400)):
        feed()
        witness.connection.send(request_bytes("x", "GetItem", {"TableName": "witness", "Key": {"pk": {"S": "none"}}}, access_key="witness"))
        before = answered_of(server)
        assert witness.connection.read().status == 200
        between.append(answered_of(server) - before)
    between.sort()
    middle = between[len(between) // 2]
    tell(f"requests of others answered before one of the witness's: {middle} in the middle, {between[-1]} at most, of {64 * len(sockets)}")
    assert middle < 64 * len(sockets) / 4
    assert answered() > 0


def answered_of(server):
    """Figures on a connection that is its own tenant's: another address than the crowd's."""
    with socket.create_connection((server.host, server.port), timeout=60, source_address=("127.0.0.2", 0)) as s:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: s.recv(MIB), b"")).decode()
    return float(re.search(r'stator_requests_total\{operation="GetItem"\} (\d+)', text)[1])


# ---- HTTP/2 ----

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00" + bytes(4)
GET = b"\x82\x84\x86\x41\x01x"  # :method GET, :path /, :scheme http, :authority x


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def rapid_reset():
    for n in range(1, 20001, 2):
        yield frame(1, 0x5, n, GET) + frame(3, 0, n, struct.pack(">I", 8))


def made_to_reset():
    """The client makes the server reset its streams: a window update of nothing."""
    for n in range(1, 20001, 2):
        yield frame(1, 0x4, n, GET) + frame(8, 0, n, bytes(4))


def too_many_streams():
    """Never ended, so all beyond the first hundred are refused."""
    for n in range(1, 40001, 2):
        yield frame(1, 0x4, n, GET)


def pings():
    for _ in range(20000):
        yield frame(6, 0, 0, b"12345678")


def settings():
    for _ in range(20000):
        yield frame(4, 0, 0, struct.pack(">HI", 3, 100))


def priorities():
    for n in range(20000):
        yield frame(2, 0, 2 * n + 1, struct.pack(">IB", 0, 16))


def empty_data():
    yield frame(1, 0x4, 1, GET)
    for _ in range(20000):
        yield frame(0, 0, 1)


def tiny_windows():
    yield frame(4, 0, 0, struct.pack(">HI", 4, 0)) + frame(1, 0x5, 1, GET)
    for _ in range(20000):
        yield frame(8, 0, 1, struct.pack(">I", 1)) + frame(8, 0, 0, struct.pack(">I", 1))


def continuations():
    yield frame(1, 0, 1, GET)
    for _ in range(20000):
        yield frame(9, 0, 1, b"\x00\x01a\x01b" * 100)


def hpack_bomb():
    """A value of 3,900 bytes in the table, then a block of references to it: 16 KiB that mean 60 MiB."""
    yield frame(1, 0x5, 1, GET + b"\x40\x01a\x7f" + b"\xbd\x1d" + b"v" * 3900)
    for n in range(3, 403, 2):
        yield frame(1, 0x5, n, GET + b"\xbe" * 16000)


ENDED = {"rapid_reset", "made_to_reset", "too_many_streams", "pings", "settings", "priorities", "empty_data", "tiny_windows", "continuations"}


@pytest.mark.parametrize("read", [True, False], ids=["reading", "not-reading"])
@pytest.mark.parametrize(
    "attack",
    [rapid_reset, made_to_reset, too_many_streams, pings, settings, priorities, empty_data, tiny_windows, continuations, hpack_bomb],
    ids=lambda a: a.__name__,
)
def test_http2_floods_end(h2_server, crowd, attack, read):
    server, witness = h2_server
    before = resident(server)
    ended = False
    for s in crowd(size(2, 50), server, HELLO, receive=None if read else 4096):
        s.settimeout(60 if read else 0.2)
        try:
            piece = b""
            for data in attack():
                piece += data
                if len(piece) > 30000:
                    s.sendall(piece)
                    piece = b""
                    if read and readable([s], 0) and s.recv(MIB) == b"":
                        raise ConnectionResetError
            s.sendall(piece)
            if read and attack.__name__ in ENDED:
                while s.recv(MIB):
                    pass
                ended = True
        except ConnectionError:
            ended = True
        except TimeoutError:
            assert not read  # the server has stopped reading, as nothing of its answers is taken
        assert witness.is_served()
    if read and attack.__name__ in ENDED:
        assert ended
    more = resident(server) - before
    tell(f"{attack.__name__}, {'reading' if read else 'not reading'}, {size(2, 50)} connections: {more / KIB:.0f} KiB more memory")
    if not is_sanitized():
        assert more < 32 * MIB + size(2, 50) * MIB
    assert witness.is_served()


@pytest.fixture(scope="module")
def h2_server(start_server_session):
    server = start_server_session("--ephemeral", "--control-plane-delay", "0")
    return server, Witness(server)


# ---- requests with two meanings ----

INNER = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
TWO_MEANINGS = {
    "length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    "chunks and length": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + INNER,
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 33\r\n\r\n" + INNER,
    "lengths in a list": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 33\r\n\r\n" + INNER,
    "signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n" + INNER,
    "length of hex": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n" + INNER,
    "huge length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n" + INNER,
    "folded coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + INNER,
    "coding before a blank": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + INNER,
    "two codings": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + INNER,
    "strange coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + INNER,
    "coding of 1.0": b"POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    "tab for coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + INNER,
    "bare line ends": b"POST / HTTP/1.1\nHost: x\nContent-Length: 0\n\n" + INNER,
    "bare line end of a field": b"POST / HTTP/1.1\r\nHost: x\r\nX: y\nContent-Length: 33\r\n\r\n" + INNER,
    "chunk size with a sign": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + INNER,
    "chunk size of hex": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + INNER,
    "chunk size too large": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" + INNER,
    "chunk without its end": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + INNER,
    "chunk with a bare end": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n" + INNER,
    "endless extension": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 4_000_000,
    "endless trailers": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 700_000,
    "nul in a field": b"POST / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n" + INNER,
    "two hosts": b"POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 0\r\n\r\n" + INNER,
}


@pytest.mark.parametrize("name", TWO_MEANINGS)
def test_what_two_servers_may_read_differently_is_refused(h2_server, name):
    """One answer, a refusal, and the end: what is behind the request is never taken for another one."""
    server, witness = h2_server
    before = resident(server)
    with socket.create_connection((server.host, server.port), timeout=60) as s:
        try:
            s.sendall(TWO_MEANINGS[name])
            s.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # refused before all was sent
        got = b""
        try:
            while data := s.recv(65536):
                got += data
        except ConnectionError:
            pass
    assert got.count(b"HTTP/1.1 ") <= 1 and b'"status":"ok"' not in got, got
    assert got == b"" or re.match(rb"HTTP/1.1 (400|413|431|501|505) ", got), got
    assert is_sanitized() or resident(server) - before < 8 * MIB
    assert witness.is_served()


# ---- bombs ----


def test_bombs_are_refused_and_hold_nobody_up(attacked, crowd):
    server, witness = attacked("--threads", "1")
    bomb = gzip.compress(bytes(40 * MIB), 9)
    good = gzip.compress(json.dumps({"TableName": "witness", "Item": {"pk": {"S": "g"}, "v": {"S": "x" * 300_000}}}).encode())
    before = resident(server)
    attackers = crowd(size(8, 200), server, request_bytes("x", "PutItem", bomb, {"content-encoding": "gzip"}))
    assert witness.is_served(5)
    assert witness.connection.call("PutItem", good, headers={"content-encoding": "gzip"}).status == 200
    for s in attackers:
        assert s.recv(65536).startswith((b"HTTP/1.1 413", b"HTTP/1.1 503", b"HTTP/1.1 400"))
    tell(f"{len(attackers)} gzip bombs of 40 MiB: {(resident(server) - before) / MIB:.0f} MiB more memory")
    assert is_sanitized() or resident(server) - before < 200 * MIB


def test_a_table_hammered_at_one_key_leaves_the_others_alone(attacked):
    server, witness = attacked()
    load = subprocess.Popen(
        [binary(), "bench", "--endpoint", server.endpoint, "--connections", str(size(32, 256)), "--workload", "update", "--items", "1",
         "--seconds", "10" if FULL else "1", "--warmup", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while load.poll() is None:
        assert witness.is_served()
    assert json.loads(load.stdout.read())["failures"] == 0


# ---- many of everything ----


def test_many_tables_and_indexes(attacked):
    server, witness = attacked()
    count = size(60, 2400)
    before = resident(server)
    began = time.monotonic()
    attributes = [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "one", "two")]
    for n in range(count):
        witness.call(
            "CreateTable",
            {
                "TableName": f"many-{n}",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": attributes,
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "GlobalSecondaryIndexes": [
                    {"IndexName": name, "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
                    for name in ("one", "two")
                ],
            },
        )
    each = (resident(server) - before) / count
    took = time.monotonic() - began
    began = time.monotonic()
    text = server.get("/metrics")
    tell(f"{count} tables with two indexes: {each:.0f} bytes each, {took / count * 1000:.1f} ms to make one; "
         f"/metrics {len(text)} bytes in {(time.monotonic() - began) * 1000:.0f} ms")  # fmt: skip
    assert is_sanitized() or each < 256 * KIB
    names, start = [], None
    while True:
        page = witness.call("ListTables", {"Limit": 100, **({"ExclusiveStartTableName": start} if start else {})})
        names += page["TableNames"]
        start = page.get("LastEvaluatedTableName")
        if not start:
            break
    assert len(names) == count + 1 and names == sorted(names)
    assert witness.is_served(3)


def test_a_scan_in_a_thousand_parts_sees_each_item_once(attacked, crowd):
    server, witness = attacked()
    parts, items = size(200, 1000), size(500, 5000)
    for first in range(0, items, 25):
        puts = [{"PutRequest": {"Item": {"pk": {"S": f"item-{n}"}, "v": {"S": "x" * 500}}}} for n in range(first, min(first + 25, items))]
        witness.call("BatchWriteItem", {"RequestItems": {"witness": puts}})
    witness.is_served()
    sockets = crowd(min(parts, 500), server)
    waiting = {s: None for s in sockets}
    left, seen, throttled = list(range(parts)), [], 0
    buffers = {s: b"" for s in sockets}
    while left or any(part is not None for part in waiting.values()):
        for s, part in waiting.items():
            if part is None and left:
                waiting[s] = left.pop()
                s.sendall(request_bytes("x", "Scan", {"TableName": "witness", "Segment": waiting[s], "TotalSegments": parts}, access_key="crowd"))
        assert witness.is_served()
        for s in readable([s for s, part in waiting.items() if part is not None], 60):
            buffers[s] += s.recv(MIB)
            head, found, body = buffers[s].partition(b"\r\n\r\n")
            if not found or len(body) < int(re.search(rb"Content-Length: (\d+)", head)[1]):
                continue
            answer = json.loads(body)
            if head.startswith(b"HTTP/1.1 200"):
                assert "LastEvaluatedKey" not in answer
                seen += [item["pk"]["S"] for item in answer["Items"]]
            else:
                assert "ThrottlingException" in answer["__type"]
                throttled += 1
                left.append(waiting[s])
            buffers[s], waiting[s] = b"", None
    tell(f"{parts} segments at once: {throttled} throttled and tried again")
    assert sorted(seen) == sorted([f"item-{n}" for n in range(items)] + ["w"])


# ---- file descriptors ----


def limit_to(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_limit_of_open_files_is_raised(start_server):
    server = start_server("--ephemeral", preexec=limit_to(256, 4096))
    limits = pathlib.Path(f"/proc/{server.pid}/limits").read_text()
    assert re.search(r"Max open files\s+4096\s+4096", limits)
    assert "of 10000 connections only" in server.log()


def test_connections_do_not_take_the_engine_its_files(start_server, crowd, tmp_path):
    """More clients than descriptors: those beyond are told so, writes go on, and later all are served again."""
    server = start_server("--data", tmp_path / "data", "--control-plane-delay", "0", preexec=limit_to(400, 400))
    witness = Witness(server)
    told = 0
    sockets = crowd(420, server)
    for s in sockets:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            told += s.recv(1000)[:12] in (b"HTTP/1.1 503", b"")
        except ConnectionError:
            told += 1
    assert witness.is_served(3)

    def room_again():
        try:
            return server.metric("stator_http_closed_total", reason="room_for_others") is not None
        except OSError:
            for s in sockets[:20]:
                s.close()
            del sockets[:20]

    wait_for(room_again)
    assert told + server.metric("stator_http_closed_total", reason="room_for_others") > 0
    assert "Too many open files" not in server.log()


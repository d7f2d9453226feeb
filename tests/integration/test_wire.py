"""Bytes on the socket: every one gets an answer or a clean close."""

import base64
import gzip
import json
import os
import random
import socket
import subprocess
import time
import zlib

import pytest
from raw_http import Connection, request_bytes, sign


@pytest.fixture
def connection(server):
    with Connection(server) as c:
        yield c


def is_alive(server):
    with Connection(server) as c:
        return c.call("ListTables", {}).status == 200


def test_an_answer_has_the_headers_sdks_check(connection):
    answer = connection.call("ListTables", {})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)
    request_id = answer.headers["x-amzn-requestid"]
    assert len(request_id) == 52 and request_id.isalnum() and request_id.upper() == request_id
    assert connection.call("ListTables", {}).headers["x-amzn-requestid"] != request_id


def test_errors_have_them_too(connection):
    answer = connection.call("GetItem", {"TableName": "no-such-table", "Key": {"pk": {"S": "a"}}})
    assert answer.status == 400
    assert answer.json["__type"] == "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
    assert answer.json["message"] == "Requested resource not found"
    assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)


def test_a_connection_is_kept(connection):
    for _ in range(20):
        assert connection.call("ListTables", {}).status == 200


def test_http_1_0_and_close_end_it(server):
    with Connection(server) as c:
        answer = c.call("ListTables", {}, headers={"connection": "close"})
        assert answer.status == 200
        assert c.is_closed()
    with Connection(server) as c:
        c.send(request_bytes(c.host, "ListTables", {}).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert c.read().status == 200
        assert c.is_closed()


def test_pipelined_requests_are_answered_in_order(server, make_table, client):
    name = make_table()
    for i in range(10):
        client.put_item(TableName=name, Item={"pk": {"S": str(i)}})
    with Connection(server) as c:
        requests = []
        for i in range(50):
            if i % 5 == 4:  # writes wait for the disk, reads do not: the order stays
                requests.append(request_bytes(c.host, "PutItem", {"TableName": name, "Item": {"pk": {"S": str(i % 10)}}, "ReturnValues": "ALL_OLD"}))
            else:
                requests.append(request_bytes(c.host, "GetItem", {"TableName": name, "Key": {"pk": {"S": str(i % 10)}}}))
        c.send(b"".join(requests))
        for i in range(50):
            answer = c.read()
            assert answer.status == 200
            found = answer.json.get("Item") or answer.json["Attributes"]
            assert found["pk"] == {"S": str(i % 10)}


def test_one_byte_at_a_time(connection):
    for byte in request_bytes(connection.host, "ListTables", {}):
        connection.send(bytes([byte]))
    assert connection.read().status == 200


def test_chunked_bodies(connection):
    body = json.dumps({"Limit": 5}).encode()
    head = request_bytes(connection.host, "ListTables", body, length=False)[: -len(body)]
    head = head[:-2] + b"transfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
    connection.send(head + chunks + b"0\r\n\r\n")
    assert connection.read().status == 200
    assert connection.call("ListTables", {}).status == 200


def test_expect_100_continue(connection):
    whole = request_bytes(connection.host, "ListTables", {"Limit": 5}, headers={"expect": "100-continue"})
    head, _, body = whole.partition(b"\r\n\r\n")
    connection.send(head + b"\r\n\r\n")
    assert connection.socket.recv(1000).startswith(b"HTTP/1.1 100")
    connection.send(body)
    assert connection.read().status == 200


def test_gzip_both_ways(server, client, make_table):
    name = make_table()
    text = "compress me " * 1000
    with Connection(server) as c:
        body = gzip.compress(json.dumps({"TableName": name, "Item": {"pk": {"S": "a"}, "x": {"S": text}}}).encode())
        assert c.call("PutItem", body, headers={"content-encoding": "gzip"}).status == 200
        answer = c.call("GetItem", {"TableName": name, "Key": {"pk": {"S": "a"}}}, headers={"accept-encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)
        assert json.loads(gzip.decompress(answer.body))["Item"]["x"]["S"] == text
        assert c.call("ListTables", {}, headers={"accept-encoding": "identity"}).headers.get("content-encoding") is None


def test_a_gzip_bomb_is_refused(connection):
    bomb = gzip.compress(b"{" + b" " * (64 << 20) + b"}")
    answer = connection.call("ListTables", bomb, headers={"content-encoding": "gzip"})
    assert answer.status in (400, 413)


def test_broken_gzip_is_refused(server):
    for body in (b"", b"\x1f\x8b", gzip.compress(b"{}")[:-3], b"not gzip at all", gzip.compress(b"{}") + b"more"):
        with Connection(server) as c:
            assert c.call("ListTables", body, headers={"content-encoding": "gzip"}).status in (400, 413)


SERIALIZATION = [
    b"", b"{", b"}", b"[]", b"null", b"1", b'"a"', b"{}{}", b"{} x", b'{"TableName"}', b'{"TableName":}', b"{'TableName':1}",
    b'{"TableName":1}', b'{"TableName":["a"]}', b'{"TableName":"a","Key":[]}', b'{"Key":{"pk":"a"}}', b'{"Key":{"pk":{"S":1}}}',
    b'{"Key":{"pk":{"S":"\\ud800"}}}', b'{"Key":{"pk":{"S":"\xff"}}}', b'{"Key":{"pk":{"S":"a\x00"}}}', b'{"Key":{"pk":{"B":"not base64!"}}}',
    b'{"ConsistentRead":"yes"}', b'{"a":' * 5000, b"[" * 100000, b'{"Key":{"pk":' + b'{"M":{"a":' * 2000, b"\xef\xbb\xbf{}",
]


@pytest.mark.parametrize("body", SERIALIZATION, ids=range(len(SERIALIZATION)))
def test_malformed_bodies(connection, body):
    answer = connection.call("GetItem", body)
    assert answer.status == 400
    assert answer.error in ("SerializationException", "ValidationException")
    assert connection.call("ListTables", {}).status == 200


def test_unknown_operations(connection):
    for target in ("Nothing", "", "GetItemx", "getitem", "é"):
        answer = connection.call(None, {}, headers={"x-amz-target": "DynamoDB_20120810." + target}, signer=sign)
        assert (answer.status, answer.error) == (400, "UnknownOperationException")
    answer = connection.call(None, {}, headers={"x-amz-target": "Other_20120810.GetItem"})
    assert (answer.status, answer.error) == (400, "UnknownOperationException")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/x-amz-json-1.1", "application/cbor", "", None])
def test_a_wrong_content_type_is_no_operation(connection, kind):
    answer = connection.call("ListTables", {}, headers={"content-type": kind})
    assert (answer.status, answer.body) == (404, b"<UnknownOperationException/>\n")
    assert connection.call("ListTables", {}).status == 200


@pytest.mark.parametrize("kind", ["application/json", "application/x-amz-json-1.0; charset=utf-8"])
def test_both_content_types_are_taken(connection, kind):
    answer = connection.call("ListTables", {}, headers={"content-type": kind})
    assert answer.status == 200 and answer.headers["content-type"] == kind.split(";")[0]


def test_unknown_members_are_ignored_as_the_service_does(connection):
    assert connection.call("ListTables", {"NoSuchMember": {"a": [1, {"b": None}]}}).status == 200


def test_missing_signature(connection):
    answer = connection.call("ListTables", {}, signer=None)
    assert (answer.status, answer.error) == (400, "MissingAuthenticationTokenException")
    answer = connection.call("ListTables", {}, signer=None, headers={"authorization": "AWS4-HMAC-SHA256 nonsense"})
    assert (answer.status, answer.error) == (400, "IncompleteSignatureException")


def test_other_methods_and_paths(server):
    for method, path in (("PUT", "/"), ("DELETE", "/"), ("PATCH", "/x"), ("POST", "/x/y"), ("GET", "/nothing"), ("HEAD", "/health")):
        with Connection(server) as c:
            c.send(f"{method} {path} HTTP/1.1\r\nhost: {c.host}\r\ncontent-length: 0\r\n\r\n".encode())
            head = c.socket.recv(65536).split(b"\r\n")[0]
            assert head.startswith(b"HTTP/1.1 ") and int(head.split()[1]) < 500
    assert is_alive(server)


def test_browsers_may_call(server):
    with Connection(server) as c:
        c.send(
            f"OPTIONS / HTTP/1.1\r\nhost: {c.host}\r\norigin: http://page.example\r\n"
            "access-control-request-method: POST\r\naccess-control-request-headers: x-amz-target, authorization\r\n\r\n".encode()
        )
        answer = c.read()
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] in ("*", "http://page.example")
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"]
        answer = c.call("ListTables", {}, headers={"origin": "http://page.example"})
        assert answer.headers["access-control-allow-origin"] in ("*", "http://page.example")


BAD_HTTP = [
    b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", bytes(range(256)),
    b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"GET / HTTP/1.1\r\n: empty\r\n\r\n", b"GET " + b"/" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 20000 + b"\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 100000 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
]


@pytest.mark.parametrize("data", BAD_HTTP, ids=range(len(BAD_HTTP)))
def test_what_is_not_http_gets_a_refusal_or_a_close(server, data):
    with Connection(server, timeout=60) as c:
        try:
            c.send(data)
            c.socket.shutdown(socket.SHUT_WR)
            answer = b""
            while part := c.socket.recv(65536):
                answer += part
        except ConnectionError:
            answer = b""
        if answer.startswith(b"HTTP/"):
            assert 200 <= int(answer.split()[1]) < 500 or b" 505 " in answer[:20]
    assert is_alive(server)


def test_random_bytes_do_no_harm(server):
    dice = random.Random(1)
    good = request_bytes(f"{server.host}:{server.port}", "ListTables", {})
    for i in range(150):
        data = bytearray(good if i % 2 else os.urandom(dice.randrange(1, 400)))
        for _ in range(dice.randrange(1, 10)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with Connection(server, timeout=60) as c:
            try:
                c.send(data)
                c.socket.shutdown(socket.SHUT_WR)
                while c.socket.recv(65536):
                    pass
            except ConnectionError:
                pass
    assert is_alive(server)


def test_half_a_request_is_dropped_quietly(server):
    whole = request_bytes(f"{server.host}:{server.port}", "ListTables", {"Limit": 1})
    for cut in (1, 10, len(whole) // 2, len(whole) - 1):
        with Connection(server) as c:
            c.send(whole[:cut])
    assert is_alive(server)


def test_a_body_too_large_is_refused(server):
    with Connection(server) as c:
        try:
            c.send(request_bytes(c.host, "ListTables", b"{" + b" " * (17 << 20) + b"}"))
            answer = c.read()
            assert answer.status in (400, 413)
        except (EOFError, ConnectionError):
            pass  # closed while we were still sending
    assert is_alive(server)


def test_sixteen_megabytes_minus_are_taken(server):
    with Connection(server) as c:
        assert c.call("ListTables", b"{" + b" " * (15 << 20) + b"}").status == 200


def test_slow_clients_are_let_go(start_server):
    server = start_server("--ephemeral", "--request-timeout", "300", "--idle-timeout", "600")
    with Connection(server) as slow, Connection(server) as idle, Connection(server) as good:
        slow.send(b"POST / HTTP/1.1\r\nhost: x\r\n")
        slow.socket.settimeout(60)
        idle.socket.settimeout(60)
        data = b""
        try:
            while part := slow.socket.recv(1000):
                data += part
        except ConnectionError:
            pass
        assert data == b"" or b" 408 " in data
        assert idle.is_closed()
        del good
    assert is_alive(server)


def test_a_client_that_does_not_read_costs_no_memory(start_server):
    import boto3  # noqa: F401
    from conftest import create, make_client

    server = start_server("--ephemeral", "--control-plane-delay", "0", "--write-timeout", "1500")
    client = make_client(server.endpoint)
    name = create(client, "pk:S")
    client.put_item(TableName=name, Item={"pk": {"S": "a"}, "x": {"S": "y" * 390_000}})
    before = server.memory_bytes()
    deaf = [Connection(server) for _ in range(10)]
    for c in deaf:
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.socket.settimeout(0.5)
        try:
            for _ in range(500):  # 195 MB of answers asked for on each
                c.send(request_bytes(c.host, "GetItem", {"TableName": name, "Key": {"pk": {"S": "a"}}}))
        except (TimeoutError, ConnectionError):
            pass
    assert client.list_tables()["TableNames"] == [name]
    grown = server.memory_bytes() - before
    assert grown < 400 << 20, f"{grown >> 20} MB more"  # of 1.9 GB; sanitizers hold back what was freed
    time.sleep(3)
    assert server.health()  # they were disconnected, the others are served
    for c in deaf:
        c.socket.close()


def test_many_connections(server):
    connections = [Connection(server) for _ in range(300)]
    for c in connections:
        c.send(request_bytes(c.host, "ListTables", {}))
    assert all(c.read().status == 200 for c in connections)
    for c in connections:
        c.socket.close()


def test_the_connection_limit_holds(start_server):
    server = start_server("--ephemeral", "--max-connections", "5", "--threads", "1")
    held = [Connection(server) for _ in range(5)]
    assert all(c.call("ListTables", {}).status == 200 for c in held)
    turned_away = 0
    for _ in range(20):
        with Connection(server) as sixth:
            try:  # unless one of the five has been idle for so long that it made room
                turned_away += sixth.call("ListTables", {}).status != 200
            except (EOFError, ConnectionError):
                turned_away += 1
    assert turned_away or server.metric("stator_http_closed_total", reason="room_for_others")
    held.pop().socket.close()
    deadline = time.monotonic() + 60
    while True:
        try:
            with Connection(server) as c:
                assert c.call("ListTables", {}).status == 200  # 503: it has not yet seen that one went
                break
        except (EOFError, ConnectionError, AssertionError):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    for c in held:
        c.socket.close()


# ---- HTTP/2 ----


class H2:
    def __init__(self, server):
        import h2.config
        import h2.connection

        self.server = server
        self.socket = socket.create_connection((server.host, server.port), timeout=60)
        self.c = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.c.initiate_connection()
        self.flush()
        self.headers, self.bodies, self.ended, self.events = {}, {}, set(), []

    def flush(self):
        self.socket.sendall(self.c.data_to_send())

    def start(self, operation, body):
        body = json.dumps(body).encode()
        host = f"{self.server.host}:{self.server.port}"
        headers = sign({"host": host, "content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810." + operation}, body)
        del headers["host"]
        stream = self.c.get_next_available_stream_id()
        self.c.send_headers(stream, [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", host), *headers.items()])
        self.c.send_data(stream, body, end_stream=True)
        return stream

    def wait(self, *streams):
        import h2.events

        while not set(streams) <= self.ended:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            for event in self.c.receive_data(data):
                self.events.append(event)
                if isinstance(event, h2.events.ResponseReceived):
                    self.headers[event.stream_id] = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                    self.c.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                    self.ended.add(event.stream_id)
            self.flush()


def test_http2_by_prior_knowledge(server, client, make_table):
    name = make_table()
    client.put_item(TableName=name, Item={"pk": {"S": "a"}, "x": {"S": "y" * 200_000}})
    h2 = H2(server)
    streams = [h2.start("GetItem", {"TableName": name, "Key": {"pk": {"S": "a"}}}) for _ in range(20)]
    h2.flush()
    h2.wait(*streams)
    for stream in streams:
        assert h2.headers[stream][":status"] == "200"
        assert int(h2.headers[stream]["x-amz-crc32"]) == zlib.crc32(h2.bodies[stream])
        assert len(json.loads(h2.bodies[stream])["Item"]["x"]["S"]) == 200_000
    h2.socket.close()


def test_http2_resets_are_limited(server):
    import h2.events
    import h2.exceptions

    h2c = H2(server)
    try:
        for _ in range(1000):  # all are made before the first is sent: the limit is one of so many in a second
            stream = h2c.start("ListTables", {})
            h2c.c.reset_stream(stream)
        h2c.flush()
        h2c.wait(h2c.start("ListTables", {}))
        closed = any(isinstance(e, h2.events.ConnectionTerminated) for e in h2c.events)
    except (EOFError, ConnectionError, h2.exceptions.ProtocolError):
        closed = True
    assert closed
    assert is_alive(server)


def test_curl_speaks_both(server):
    for flag in ("--http1.1", "--http2-prior-knowledge"):
        out = subprocess.run(
            ["curl", "-sS", flag, "-w", "%{http_version} %{http_code}", "-o", "/dev/null", server.endpoint + "/health"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert out in ("1.1 200", "2 200")


def test_binary_values_need_base64(connection, make_table, client):
    name = make_table()
    for good in (b"", b"a", b"ab", b"abc", bytes(range(256))):
        body = {"TableName": name, "Item": {"pk": {"S": "a"}, "b": {"B": base64.b64encode(good).decode()}}}
        assert connection.call("PutItem", body).status == 200
        assert client.get_item(TableName=name, Key={"pk": {"S": "a"}})["Item"]["b"]["B"] == good
    for bad in ("a", "a===", "YQ", "Y Q=", "YQ==YQ==", "é"):
        body = {"TableName": name, "Item": {"pk": {"S": "a"}, "b": {"B": bad}}}
        assert connection.call("PutItem", body).status == 400

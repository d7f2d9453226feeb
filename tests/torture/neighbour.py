"""A tenant that asks for as much as it can get, in one way, until it is killed.

    neighbour.py KIND HOST:PORT TABLE ACCESS_KEY SECRET_KEY CONNECTIONS

It is the client of tests/torture/fairness for what `stator bench` does not do. Requests are made and signed once, before the first is sent;
each connection has one of them under way (where answers are small several, or this client would be what is slow). It reads the
answers and throws them away. One line tells that it runs; an answer of another kind than expected ends it with a message.
"""

import pathlib
import selectors
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from raw_http import request_bytes  # noqa: E402

SEGMENTS = 1000
PUT_BYTES = 1000


def S(text):
    return {"S": text}


def scan_pages(table, i):
    return "Scan", {"TableName": f"{table}-query"}


def scan_segments(table, i):
    return "Scan", {"TableName": table, "TotalSegments": SEGMENTS, "Segment": i % SEGMENTS}


def transactions(table, i):
    return "TransactWriteItems", {"TransactItems": [
        {"Put": {"TableName": table, "Item": {"pk": S(f"transact-{i}-{n}"), "text": S("x" * PUT_BYTES)}}} for n in range(10)]}  # fmt: skip


def packed_pages(table, i):
    return "Query", {"TableName": f"{table}-query", "Limit": 100, "KeyConditionExpression": "pk = :p", "ConsistentRead": True,
                     "ExpressionAttributeValues": {":p": S("part-0000000000")}}  # fmt: skip


def one_read(table, i):
    return "GetItem", {"TableName": table, "Key": {"pk": S("nobody")}}


def one_item(table, i):
    return "UpdateItem", {"TableName": table, "Key": {"pk": S("hot")}, "UpdateExpression": "ADD n :one",
                          "ExpressionAttributeValues": {":one": {"N": "1"}}}  # fmt: skip


# what is asked, headers besides, requests under way on a connection, the status that is expected, is the key wrong
KINDS = {
    "scan": (scan_pages, {}, 1, 200, False),
    "segments": (scan_segments, {}, 1, 200, False),
    "transact": (transactions, {}, 1, 200, False),
    "gzip": (packed_pages, {"accept-encoding": "gzip"}, 1, 200, False),
    "badsignature": (one_read, {}, 16, 400, True),
    "hotkey": (one_item, {}, 1, 200, False),
}


class Answers:
    """Counts the answers in a stream of bytes."""

    def __init__(self, expected):
        self.expected = b"HTTP/1.1 %d " % expected
        self.head, self.left = b"", 0  # an answer's head that is not complete; bytes of its body that are to come

    def take(self, data):
        count, at = 0, 0
        data, self.head = self.head + data, b""
        while at < len(data):
            if self.left:
                step = min(self.left, len(data) - at)
                self.left -= step
                at += step
                count += self.left == 0
                continue
            end = data.find(b"\r\n\r\n", at)
            if end < 0:
                self.head = data[at:]
                break
            head = data[at:end].lower()
            if not data.startswith(self.expected, at):
                sys.exit(data[at:at + 1000].decode(errors="replace"))
            at = end + 4
            self.left = int(head[head.index(b"content-length:") + 15:].split(b"\r\n", 1)[0])
            count += self.left == 0
        return count


class Wire:
    def __init__(self, address, requests, depth, expected):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests, self.at, self.depth = requests, 0, depth
        self.answers, self.under_way = Answers(expected), 0

    def ask(self):
        count = self.depth - self.under_way
        if count < (self.depth + 1) // 2:
            return
        picked = [self.requests[(self.at + i) % len(self.requests)] for i in range(count)]
        self.at += count
        self.under_way += count
        self.socket.sendall(b"".join(picked))

    def ready(self):
        data = self.socket.recv(1 << 18)
        if not data:
            sys.exit("closed by the server")
        self.under_way -= self.answers.take(data)
        self.ask()


def main():
    kind, address, table, access_key, secret_key, connections = sys.argv[1:]
    make, headers, depth, expected, wrong = KINDS[kind]
    host, port = address.rsplit(":", 1)
    requests = []
    for i in range(SEGMENTS):
        operation, body = make(table, i)
        requests.append(request_bytes(address, operation, body, headers, access_key=access_key, secret=secret_key + "?" * wrong))
    selector = selectors.DefaultSelector()
    step = max(1, len(requests) // int(connections))  # each connection has its own, so that no transaction meets itself
    wires = [Wire((host, int(port)), requests[i * step % len(requests):][:step], depth, expected) for i in range(int(connections))]
    for wire in wires:
        selector.register(wire.socket, selectors.EVENT_READ, wire)
        wire.ask()
    print("runs", flush=True)
    while True:
        for key, _ in selector.select():
            key.data.ready()


if __name__ == "__main__":
    main()

"""A small DAX client: enough of the protocol to see what the caches do. Keys are strings, attributes strings and integers."""

import datetime
import hashlib
import hmac
import socket
import struct

GET, PUT, DELETE, UPDATE = 263244906, -2106490455, 1013539361, 1425579023
QUERY, SCAN, BATCH_GET, BATCH_WRITE = -931250863, -1875390620, -697851100, 116217951
AUTHORIZE, DEFINE_LIST_ID, DEFINE_LIST = 1489122155, -1230579644, 670678385
TRANSACT_WRITE, TRANSACT_GET = -1160037738, 1866287579
CONSISTENT, CONDITION, UPDATE_OPTION, RETURN_VALUES = 2, 4, 8, 7


class DaxError(Exception):
    def __init__(self, codes, message, details):
        super().__init__(message)
        self.codes, self.name = codes, (details or [None, None])[1]


def head(major, value):
    for extra, size, code in ((24, 1, None), (1 << 8, 1, 24), (1 << 16, 2, 25), (1 << 32, 4, 26), (1 << 64, 8, 27)):
        if value < extra:
            return bytes([major << 5 | (value if code is None else code)]) + (b"" if code is None else value.to_bytes(size, "big"))
    raise ValueError(value)


def encode(value):
    if value is None or isinstance(value, bool):
        return b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(map(encode, value))
    return b"\xbf" + b"".join(encode(k) + encode(v) for k, v in value.items()) + b"\xff"


class Reader:
    def __init__(self, read):
        self.read = read

    def item(self):
        first = self.read(1)[0]
        major, value = first >> 5, first & 31
        if major == 7:
            if value == 27:
                return struct.unpack(">d", self.read(8))[0]
            return {20: False, 21: True, 22: None}[value]
        if value >= 24:
            value = int.from_bytes(self.read(1 << value - 24), "big")
        if major < 2:
            return value if major == 0 else -1 - value
        if major < 4:
            data = self.read(value)
            return data if major == 2 else data.decode()
        if major == 4:
            return [self.item() for _ in range(value)]
        if major == 5:
            return {self.item(): self.item() for _ in range(value)}
        return self.item()  # a tag


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def __call__(self, count):
        self.at += count
        return self.data[self.at - count : self.at]


def sign(secret, time, region):
    scope = f"{time[:8]}/{region}/dax/aws4_request"
    canonical = f"POST\n/\n\nhost:dax.amazonaws.com\nx-amz-date:{time}\n\nhost;x-amz-date\n{hashlib.sha256(b'').hexdigest()}"
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return text, hmac.digest(key, text.encode(), "sha256").hex()


def cond_exists(name):
    """attribute_exists(name), compiled."""
    return encode([1, [11, [18, name]], []])


def set_value(name, value):
    """SET name = value, compiled."""
    return encode([1, [[19, [18, name], [17, 0]]], [value]])


class DaxClient:
    """Tables have one string key. Items are dictionaries of the other attributes."""

    def __init__(self, address, region="us-east-1", access_key="test", secret_key="test"):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.reader = Reader(self.file.read)
        self.lists, self.ids = {1: []}, {(): 1}
        time = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        text, signature = sign(secret_key, time, region)
        self.socket.sendall(
            b"".join(map(encode, ("J7yne5G", 0, None)))
            + b"\xa1" + encode("UserAgent") + encode("test") + encode(0)
            + b"".join(map(encode, (1, AUTHORIZE, access_key, signature, text.encode(), None, None)))
        )

    def close(self):
        self.file.close()
        self.socket.close()

    def call(self, method, *arguments, results=1):
        self.socket.sendall(b"".join(map(encode, (1, method, *arguments))))
        codes = self.reader.item()
        if codes:
            raise DaxError(codes, self.reader.item(), self.reader.item())
        found = [self.reader.item() for _ in range(results)]
        return found[0] if results == 1 else found

    def values(self, item):
        names = tuple(sorted(item))
        if names not in self.ids:
            self.ids[names] = self.call(DEFINE_LIST_ID, list(names))
            self.lists[self.ids[names]] = list(names)
        return encode(self.ids[names]) + b"".join(encode(item[name]) for name in names)

    def item(self, data):
        reader = Reader(Bytes(data))
        number = reader.item()
        if number not in self.lists:
            self.lists[number] = self.call(DEFINE_LIST, number)
        return {name: reader.item() for name in self.lists[number]}

    def get(self, table, key, consistent=False):
        """The item without its key, or None."""
        reply = self.call(GET, table.encode(), key.encode(), {CONSISTENT: True} if consistent else {}) or {}
        return self.item(reply[0]) if 0 in reply else None

    def put(self, table, key, item, condition=None):
        self.call(PUT, table.encode(), key.encode(), self.values(item), {CONDITION: condition} if condition else {})

    def update(self, table, key, name, value, return_values=None):
        options = {UPDATE_OPTION: set_value(name, value)}
        if return_values is not None:
            options[RETURN_VALUES] = return_values
        self.call(UPDATE, table.encode(), key.encode(), options)

    def delete(self, table, key):
        self.call(DELETE, table.encode(), key.encode(), {})

    def scan(self, table, **options):
        """{key: item} of one page."""
        reply = self.call(SCAN, table.encode(), {})
        return {key.decode(): self.item(data) for key, data in reply.get(7, [])}

    def query(self, table, name, key):
        condition = encode([1, [0, [18, name], [17, 0]], [key]])
        reply = self.call(QUERY, table.encode(), condition, {})
        return {k.decode(): self.item(data) for k, data in reply.get(7, [])}

    def batch_get(self, table, keys):
        found, _ = self.call(BATCH_GET, {table: [False, None, [key.encode() for key in keys]]}, {}, results=2)
        flat = found[0].get(table, [])
        return {flat[i].decode(): self.item(flat[i + 1]) for i in range(0, len(flat), 2)}

    def batch_write(self, table, items):
        """items: {key: item, or None to delete}"""
        flat = [part for key, item in items.items() for part in (key.encode(), None if item is None else self.values(item))]
        self.call(BATCH_WRITE, {table: flat}, {}, results=3)

    def transact_put(self, table, items):
        count = len(items)
        self.call(
            TRANSACT_WRITE, [2] * count, [table.encode()] * count, [k.encode() for k in items],
            [self.values(i) for i in items.values()], None, [1] * count, [None] * count, [None] * count, {},
        )

    def transact_get(self, table, keys):
        count = len(keys)
        found = self.call(TRANSACT_GET, [table.encode()] * count, [k.encode() for k in keys], [None] * count, {})
        return [self.item(data) if data is not None else None for data in found[0]]

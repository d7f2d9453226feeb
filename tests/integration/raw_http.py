"""HTTP by hand: what SDKs never send."""

import datetime
import hashlib
import hmac
import json
import socket

TARGET = "DynamoDB_20120810."
JSON = "application/x-amz-json-1.0"


def sign(headers, body, secret="test", access_key="test", region="us-east-1", method="POST", path="/", when=None, query=""):
    """The headers with x-amz-date and authorization added (names lower-case)."""
    now = when or datetime.datetime.now(datetime.timezone.utc)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {**headers, "x-amz-date": stamp}
    signed = sorted(name for name in headers if name == "host" or name == "content-type" or name.startswith("x-amz-"))
    canonical = "\n".join(
        [method, path, query, *(f"{n}:{headers[n].strip()}" for n in signed), "", ";".join(signed), hashlib.sha256(body).hexdigest()]
    )
    scope = f"{stamp[:8]}/{region}/dynamodb/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in (stamp[:8], region, "dynamodb", "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={';'.join(signed)}, Signature={key.hex()}"
    )
    return headers


def request_bytes(host, operation, body, headers=None, signer=sign, method="POST", path="/", length=True, **kwargs):
    """A whole signed request as bytes. body: bytes, or something for JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    all_headers = {"host": host, "content-type": JSON}
    if operation is not None:
        all_headers["x-amz-target"] = TARGET + operation
    all_headers.update(headers or {})
    all_headers = {k: v for k, v in all_headers.items() if v is not None}
    if signer:
        all_headers = signer(all_headers, body, method=method, path=path, **kwargs)
    if length:
        all_headers["content-length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in all_headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The exception's name without its name space."""
        return self.json["__type"].split("#")[-1]


class Connection:
    def __init__(self, server, timeout=60):
        self.server = server
        self.socket = socket.create_connection((server.host, server.port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    @property
    def host(self):
        return f"{self.server.host}:{self.server.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(self.buffer)
        self.buffer += data

    def read(self):
        """One answer; EOFError when the connection ends before it."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split(" ")[1])
        if status == 100:
            return self.read()
        length = int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(status, headers, body)

    def call(self, operation, body, **kwargs):
        self.send(request_bytes(self.host, operation, body, **kwargs))
        return self.read()

    def is_closed(self):
        """Wait for the other end's close."""
        try:
            return self.socket.recv(65536) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

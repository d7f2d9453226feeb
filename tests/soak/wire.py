"""Signed requests with as little work as possible: the load must cost the server more than the client."""

import datetime
import gzip
import hashlib
import hmac
import json
import os
import random
import socket
import ssl
import time

REGION = "us-east-1"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
VERSIONS = {"dynamodb": "DynamoDB_20120810", "streams": "DynamoDBStreams_20120810", "dax": "AmazonDAXV3"}
CONTROLS = "/_stator/test-controls"


class Refused(Exception):
    """The server answered, and not with 200."""

    def __init__(self, status, answer):
        try:
            body = json.loads(answer)
            self.code = body.get("__type", "").rsplit("#")[-1]
            self.message = body.get("message") or body.get("Message") or ""
            self.reasons = [reason.get("Code") for reason in body.get("CancellationReasons", [])]
        except ValueError:
            self.code, self.message, self.reasons = "", answer[:200].decode(errors="replace"), []
        self.status = status
        super().__init__(f"{status} {self.code} {self.message} {self.reasons}")


def secure(plain, *protocols):
    """That socket under TLS, when the server has a certificate (the soak puts its name where Python looks for authorities)."""
    if "SSL_CERT_FILE" not in os.environ:
        return plain
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


class Connection:
    """One keep-alive connection of one key. OSError: it broke; the next call opens it again.

    packed: how many of the requests are sent packed with gzip, and of the answers asked for so."""

    def __init__(self, address, access_key="admin", packed=0.0):
        self.address, self.access_key = address, access_key
        self.packed, self.dice = packed, random.Random(access_key)
        self.host = "%s:%d" % address
        self.socket = self.file = None
        self.used = 0.0
        self.day, self.signing_keys = None, {}

    def close(self):
        if self.socket:
            self.file.close()
            self.socket.close()
        self.socket = None

    def open(self):
        plain = socket.create_connection(self.address, timeout=120)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket = secure(plain)
        except OSError:
            plain.close()
            raise
        self.file = self.socket.makefile("rb")

    def signing_key(self, day, service):
        if day != self.day:
            self.day, self.signing_keys = day, {}
        if service not in self.signing_keys:
            key = b"AWS4" + SECRET.encode()
            for part in (day, REGION, service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self.signing_keys[service] = key
        return self.signing_keys[service]

    def headers(self, method, path, service, target, body):
        """What is signed, and the signature."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/{REGION}/{service}/aws4_request"
        canonical = (f"{method}\n{path}\n\nhost:{self.host}\nx-amz-date:{now}\nx-amz-target:{target}\n\n"
                     f"host;x-amz-date;x-amz-target\n{hashlib.sha256(body).hexdigest()}")
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self.signing_key(now[:8], service), text.encode(), "sha256").hex()
        return {"x-amz-date": now, "x-amz-target": target, "content-type": "application/x-amz-json-1.0", "authorization": (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders=host;x-amz-date;x-amz-target, Signature={signature}")}

    def sign(self, method, path, service, target, body):
        more = {}
        if self.dice.random() < self.packed:
            more["accept-encoding"] = "gzip"
        if self.dice.random() < self.packed and service == "dynamodb":
            more["content-encoding"] = "gzip"
            body = gzip.compress(body, 1)
        lines = {**self.headers(method, path, service, target, body), **more, "content-length": len(body)}
        return f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n".encode() + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n" + body

    def exchange(self, request):
        """(status, body) of raw bytes."""
        if time.monotonic() - self.used > 30:  # the server hangs up on who is idle
            self.close()
        self.used = time.monotonic()
        try:
            if self.socket is None:
                self.open()
            self.socket.sendall(request)
            line = self.file.readline()
            if not line:
                raise ConnectionError("closed by the server")
            length, last, packed = 0, False, False
            while (header := self.file.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                elif name.lower() == b"connection" and value.strip().lower() == b"close":
                    last = True
                elif name.lower() == b"content-encoding":
                    packed = value.strip().lower() == b"gzip"
            body = self.file.read(length)
            if len(body) != length:
                raise ConnectionError("cut by the server")
        except OSError:
            self.close()
            raise
        if last:
            self.close()
        return int(line.split()[1]), gzip.decompress(body) if packed else body

    def send(self, operation, body, service="dynamodb"):
        """What the operation answers; body: a dictionary, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        scope = "dax" if service == "dax" else "dynamodb"
        status, answer = self.exchange(self.sign("POST", "/", scope, f"{VERSIONS[service]}.{operation}", data))
        if status != 200:
            raise Refused(status, answer)
        return json.loads(answer or b"{}")

    def control(self, control, **parameters):
        body = json.dumps({"control": control, **parameters}).encode()
        status, answer = self.exchange(self.sign("POST", CONTROLS, "dynamodb", "", body))
        if status != 200:
            raise Refused(status, answer)
        return json.loads(answer or b"{}")

    def get(self, path):
        status, answer = self.exchange(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        if status != 200:
            raise Refused(status, answer)
        return answer.decode()

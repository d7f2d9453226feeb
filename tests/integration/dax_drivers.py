"""The unmodified DAX clients, each as a program that takes operations as lines of JSON (tests/dax), and raw connections."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from decimal import Decimal

from conftest import REGION, ROOT

BUILD = ROOT / "build"


def node():
    beside = BUILD / "venv" / "bin" / "node"
    return str(beside) if beside.exists() else shutil.which("node")


PROGRAMS = {
    "js3": lambda: [node(), ROOT / "tests/dax/js/driver.js", "v3"],
    "js2": lambda: [node(), ROOT / "tests/dax/js/driver.js", "v2"],
    "go1": lambda: [BUILD / "go/dax-go1"],
    "go2": lambda: [BUILD / "go/dax-go2"],
    "python": lambda: [BUILD / "venv/bin/python", ROOT / "tests/dax/python/driver.py"],
    "java": lambda: ["java", "-cp", f"{BUILD}/java/dax/*:{BUILD}/java/dax/lib/*", "Driver"],
}
CLIENTS = list(PROGRAMS)


class DaxError(Exception):
    def __init__(self, about):
        super().__init__(f"{about.get('code')}: {about.get('message')}")
        self.code = about.get("code") or about.get("name")
        # each client puts something of its own before the server's words
        self.message = re.sub(r"^\[[\d.]+\] ", "", (about.get("message") or "").split(f"{self.code}: ", 1)[-1])
        self.reasons = about.get("reasons")


class DaxClient:
    """client.call("getItem", {...}); results and errors as over HTTP."""

    def __init__(self, kind, url, parallel=1, access_key="test", secret_key="test", region=REGION, env=None, seconds=60):
        command = [str(part) for part in PROGRAMS[kind]()]
        self.kind = kind
        self.seconds = seconds
        self.process = subprocess.Popen(
            [*command, url, region, str(parallel)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "NODE_PATH": str(BUILD / "node" / "node_modules"),
                "DAX_ACCESS_KEY": access_key,
                "DAX_SECRET_KEY": secret_key,
                "AWS_EC2_METADATA_DISABLED": "true",
                **(env or {}),
            },
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def send(self, op, params, number=None):
        self.process.stdin.write(json.dumps({"op": op, "params": params, "id": number}) + "\n")
        self.process.stdin.flush()

    def receive(self):
        timer = threading.Timer(self.seconds, self.process.kill)
        timer.start()
        line = "-"
        while line and not line.startswith("{"):  # clients have words of their own
            line = self.process.stdout.readline()
        timer.cancel()
        assert line, f"{self.kind}: no answer"
        return json.loads(line)

    def call(self, op, params):
        self.send(op, params)
        answer = self.receive()
        if "error" in answer:
            raise DaxError(answer["error"])
        return answer["result"]

    def many(self, calls):
        """[(op, params)] at once, as far as `parallel` allows; the answers in order, errors among them."""
        writer = threading.Thread(target=lambda: [self.send(op, params, i) for i, (op, params) in enumerate(calls)])
        writer.start()
        answers = [self.receive() for _ in calls]
        writer.join()
        return sorted(answers, key=lambda a: a["id"])


def plain(value):
    """What boto3 gives, as JSON: bytes as base64."""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "ResponseMetadata"}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def number(text):
    sign, digits, exponent = Decimal(text).as_tuple()
    digits = "".join(map(str, digits)).lstrip("0")
    stripped = digits.rstrip("0")
    return f"{'-' * sign}{stripped}E{exponent + len(digits) - len(stripped)}" if stripped else "0"


def same(value):
    """A form in which equal answers of different clients are equal: numbers by value, sets sorted, nothing for nulls."""
    if isinstance(value, list):
        return [same(v) for v in value]
    if not isinstance(value, dict):
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if len(value) == 1:
        (kind, inner), = value.items()
        if kind == "N" and isinstance(inner, str):
            return {"N": number(inner)}
        if kind == "NS":
            return {"NS": sorted(map(number, inner))}
        if kind in ("SS", "BS"):
            return {kind: sorted(inner)}
    return {k: same(v) for k, v in value.items() if v is not None}


# --- the wire by hand ---

PREAMBLE = b"\x67J7yne5G\x00\x61\x30\xa0\x00"
ENDPOINTS = b"\x01\x1a\x1b\x2b\xcf\x02"


def bytes_of(b, major=2):
    n = len(b)
    if n < 24:
        return bytes([major << 5 | n]) + b
    size = 1 if n < 256 else 2 if n < 65536 else 4
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26}[size]]) + n.to_bytes(size, "big") + b


def text(s):
    return bytes_of(s.encode(), 3)


def authorization(access_key="test", secret="test", region=REGION, when=None, service="dax", token=None, signature=None):
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(when))
    request = (
        f"POST\n/\n\nhost:dax.amazonaws.com\nx-amz-date:{stamp}\n\nhost;x-amz-date\n" + hashlib.sha256(b"").hexdigest()
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    string = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}".encode()
    key = f"AWS4{secret}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = signature or hmac.new(key, string, "sha256").hexdigest()
    return (
        b"\x01\x1a\x58\xc2\x33\x6b" + text(access_key) + text(signature) + bytes_of(string)
        + (text(token) if token else b"\xf6") + b"\xf6"
    )


def get_item(table, key, options=b"\xf6"):
    return b"\x01\x1a\x0f\xb0\xcc\x6a" + bytes_of(table.encode()) + bytes_of(key) + options


class RawDax:
    def __init__(self, address, hello=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        hello = PREAMBLE + authorization() if hello is None else hello
        if hello:
            self.socket.sendall(hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, request):
        """The first bytes of the answer; empty when the connection was closed."""
        self.socket.sendall(request)
        return self.socket.recv(65536)

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

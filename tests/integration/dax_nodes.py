"""`stator dax` processes of a test, and what drives them."""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from stator_server import ROOT, binary, clean_environment

NODE_MODULES = ROOT / "build" / "node" / "node_modules"
LOAD = ROOT / "tests" / "dax" / "js" / "load.js"


def node_program():
    beside = ROOT / "build" / "venv" / "bin" / "node"
    return str(beside) if beside.exists() else shutil.which("node")


def is_free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def random_port():
    """Below those that the system gives to others by itself; tests that run beside this one in workers of their own get others."""
    worker, workers = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return 10000 + 8 * (random.randrange(1250 // workers) * workers + worker)


def free_ports(count, offset=10000):
    """Ports p for which p, the two after it and p + offset are free."""
    found = []
    while len(found) < count:
        port = random_port()
        if port not in found and all(is_free(p) for p in (port, port + 1, port + 2, port + offset)):
            found.append(port)
    return found


def free_range(count=8):
    """The first of so many free ports in a row."""
    while True:
        port = random_port()
        if all(is_free(port + i) for i in range(count)):
            return port


class DaxNode:
    def __init__(self, folder, upstream, *args, listen="127.0.0.1:0", env=None, seconds=60):
        self.folder = pathlib.Path(folder)
        self.log_path = self.folder / f"dax-{time.monotonic_ns()}.log"
        self.expected_code = 0
        self.log_file = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [binary(), "dax", "--upstream", upstream, "--listen", listen, "--http-listen", "127.0.0.1:0",
             "--log-format", "json", "--threads", "1", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=self.log_file,
            stdin=subprocess.DEVNULL,
            env=clean_environment({"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", **(env or {})}),
        )
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise AssertionError(f"the node did not start (exit code {self.process.wait()}):\n{self.log()}")
        self.ready = json.loads(line)
        self.address = self.ready["dax"]
        self.url = "dax://" + self.address

    def log(self):
        return self.log_path.read_text(errors="replace")

    def metrics(self):
        with urllib.request.urlopen(self.ready["endpoint"] + "/metrics", timeout=60) as answer:
            return answer.read().decode()

    def metric(self, name, *labels):
        """The sum of the samples that have these labels."""
        total = 0.0
        for line in self.metrics().splitlines():
            if line.startswith((name + "{", name + " ")) and all(label in line for label in labels):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def kill(self):
        self.expected_code = -signal.SIGKILL
        self.process.kill()
        self.process.wait()

    def finish(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = f"it did not stop ({self.process.wait()})"
        self.process.stdout.close()
        self.log_file.close()
        log = self.log()
        if code != self.expected_code or "Sanitizer" in log:
            return f"{self.process.args}: exit code {code}, expected {self.expected_code}; its log:\n{log[-4000:]}"
        return None


class Load:
    """tests/dax/js/load.js, running when the constructor returns."""

    def __init__(self, urls, table, seconds, version="v3", env=None):
        self.process = subprocess.Popen(
            [node_program(), str(LOAD), ",".join(urls), table, str(seconds), version],
            env={**os.environ, "NODE_PATH": str(NODE_MODULES), **(env or {})},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        line = self.process.stdout.readline()
        assert line == "ready\n", line + self.process.stderr.read()

    def result(self):
        out, err = self.process.communicate(timeout=200)
        assert self.process.returncode == 0, err
        return json.loads(out)


def run_js(script, *args, seconds=200):
    """A script around the JavaScript client `dax` (a Dax of the URL in args[0]); its output as JSON."""
    prologue = """
const { Dax } = require("@amazon-dax-sdk/client-dax");
const args = process.argv.slice(1);
const dax = new Dax({ endpoints: [args[0]], region: "us-east-1", requestTimeout: 8000, maxRetries: 0,
    credentials: async () => ({ accessKeyId: "test", secretAccessKey: "test" }) });
setInterval(() => {}, 1000);
const attempt = (p) => p.then((r) => r, (e) => ({ error: e.name + " " + e.message, code: e.code }));
(async () => {
"""
    epilogue = "\n})().then((r) => { console.log(JSON.stringify(r)); process.exit(0); }, (e) => { console.error(e); process.exit(1); });"
    done = subprocess.run(
        [node_program(), "-e", prologue + script + epilogue, "--", *map(str, args)],
        env={**os.environ, "NODE_PATH": str(NODE_MODULES)}, capture_output=True, text=True, timeout=seconds,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])

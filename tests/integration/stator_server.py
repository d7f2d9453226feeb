"""A server process of a test."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    return os.environ.get("STATOR_BIN") or str(ROOT / "build" / "stator")


def clean_environment(extra=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith("STATOR_")}
    env.update(extra or {})
    return env


class Server:
    """Started by the constructor: returns when it is ready to be used."""

    def __init__(self, folder, *args, listen="127.0.0.1:0", env=None, wait=True, preexec=None, seconds=60):
        self.folder = pathlib.Path(folder)
        self.log_path = self.folder / f"server-{time.monotonic_ns()}.log"
        self.expected_code = 0
        self.started = time.monotonic()
        self.log_file = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [binary(), "serve", "--listen", listen, "--log-format", "json", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=self.log_file,
            stdin=subprocess.DEVNULL,
            env=clean_environment({"TMPDIR": str(self.folder), **(env or {})}),  # what a kill leaves goes with the test
            preexec_fn=preexec,
        )
        self.ready = {}
        if wait:
            self._wait_ready(seconds)

    def _wait_ready(self, seconds):
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        self.ready_seconds = time.monotonic() - self.started
        if not line:
            raise AssertionError(f"the server did not start (exit code {self.process.wait()}):\n{self.log()}")
        self.read_ready(line)

    def read_ready(self, line):
        self.ready = json.loads(line)
        self.endpoint = self.ready["endpoint"]
        self.host, port = re.fullmatch(r"https?://(.*):(\d+)", self.endpoint).groups()
        self.port = int(port)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def get(self, path):
        with urllib.request.urlopen(self.endpoint + path, timeout=30) as answer:
            return answer.read().decode()

    def health(self):
        return json.loads(self.get("/health"))

    def metric(self, name, **labels):
        """The value of one sample, or None."""
        for line in self.get("/metrics").splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? ([-+.\w]+)(?: \d+)?", line)
            if match and match[1] == name and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")).items():
                return float(match[3])
        return None

    def memory_bytes(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=60):
        return self.process.wait(seconds)

    def stop(self, seconds=60):
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        self.expected_code = -signal.SIGKILL
        self.process.kill()
        self.process.wait()

    def finish(self):
        """End it when it still runs; what was wrong with it, or None."""
        try:
            code = self.stop() if self.process.poll() is None else self.process.returncode
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "it did not stop"
        self.process.stdout.close()
        self.log_file.close()
        log = self.log()
        if code != self.expected_code or "Sanitizer" in log:
            return f"{self.process.args}: exit code {code}, expected {self.expected_code}; its log:\n{log[-4000:]}"
        return None

#!/usr/bin/env python3
"""Mixed load with every feature on, for as long as one likes; whatever grows without end is found.

    build/venv/bin/python tests/soak/soak.py --seconds 1800                     the server of build/stator
    build/venv/bin/python tests/soak/soak.py --server build/asan/stator --seconds 300

A table of samples is printed as it runs: resident memory, file descriptors, threads, of the server and of a `stator dax` node in front of
it, and bytes on the disk. After a third of the time, when caches are full and tables have their size, a line is laid through what follows (the
median of all slopes); what it rises by may not exceed the bound of its row below. The disk may hold, at each moment, what follows from what
was written: DISK below. The server speaks TLS unless --cleartext is given. In the end the server is stopped, which must go well, and started again: every item that a client owned must be
there as it was acknowledged. Exit code 0: all of that held.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

from load import Client, set_up  # noqa: E402
from others import Administrator, CacheUser, Clock, Cluster, DAX, MAIN, Multiplexer, Reader, Trouble  # noqa: E402
from dax_nodes import DaxNode  # noqa: E402
from stator_server import Server  # noqa: E402
from wire import Connection, SECRET  # noqa: E402

MIB = 1 << 20
CLIENTS = 6

# Small enough that all of it is in use before the warm-up is over.
OPTIONS = ("--threads", 2, "--cache-bytes", "16M", "--item-cache-bytes", "8M", "--page-cache-bytes", "4M", "--write-buffer-bytes", "8M", "--dax-memory", "8M",
           "--dax-node-memory", "4M", "--throttling", "--test-controls", "--dax-listen", "127.0.0.1:0", "--dax-coherent",
           "--dax-ports", 0, "--auth", "sigv4", "--drain-timeout", 20000, "--min-free", "1M", "--log-level", "warn")

# What may rise between warm-up and end, by the line: so much, and so much of the median besides. A short run is still on
# its way up when it is measured, so it may rise more: it finds what is lost with every request, not what is lost now and then.
FIGURES = {
    #                unit    long run        short run
    "memory":      (MIB, (12 * MIB, 0.04), (64 * MIB, 0.30)),
    "files":       (1, (12, 0.10), (40, 0.30)),
    "threads":     (1, (3, 0.0), (6, 0.0)),
    "node memory": (MIB, (8 * MIB, 0.10), (48 * MIB, 0.50)),
    "node files":  (1, (12, 0.10), (40, 0.30)),
    "node threads": (1, (3, 0.0), (6, 0.0)),
}

# What may be on the disk at any moment, from what was written:
#     LOG times the bytes of change records that were written since the clock's last leap but LEAPS (a day of the streams is four; a shard is
#     closed and trimmed some leaps later),
#   + TABLES times the bytes of the items there are (index rows with all attributes, versions not yet compacted),
#   + REST: the write-ahead log (4 write buffers), the newest tables of four spaces before they are compacted (four files of a write buffer
#     each), and what a compaction writes anew before it removes the old.
LOG, LEAPS, TABLES, REST = 2.0, 7, 6.0, (4 + 16 + 4) * 8 * MIB
LONG = 240  # seconds from which on a run is a long one


def tree_bytes(folder):
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(at, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def make_certificate(folder, name):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def rise(samples):
    """What the median of all slopes rises by from the first to the last; samples: [(second, value)]."""
    step = max(1, len(samples) // 300)
    points = samples[::step]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0]]
    return statistics.median(slopes) * (samples[-1][0] - samples[0][0]) if slopes else 0.0


class Soak:
    def __init__(self, arguments, folder):
        self.seconds, self.seed, self.folder = arguments.seconds, arguments.seed, folder
        self.rate = arguments.rate
        self.stop, self.warm = threading.Event(), threading.Event()
        self.ahead = 0.0
        self.samples = {name: [] for name in FIGURES}
        self.leaps = []  # the seconds when the clock has leapt and the streams were trimmed
        self.disk = []  # (second, bytes on the disk, bytes of change records ever written, bytes of items)
        self.load = self.node = None
        self.tls = ()
        os.environ.pop("SSL_CERT_FILE", None)  # wire.py takes TLS by it; a machine may have one of its own
        if not arguments.cleartext:
            certificate, key = make_certificate(folder, "soak")
            self.tls = ("--tls-cert", certificate, "--tls-key", key)
            os.environ["SSL_CERT_FILE"] = str(certificate)  # all clients here trust it
        keys = {"Keys": [{"AccessKeyId": "admin", "SecretAccessKey": SECRET}, {
            "AccessKeyId": "guest", "SecretAccessKey": SECRET, "UserName": "guest", "Policies": []}]}
        (folder / "keys").write_text(json.dumps(keys))
        os.chmod(folder / "keys", 0o600)
        self.start()

    def start(self, **kwargs):
        self.server = Server(self.folder, "--data", self.folder / "data", "--credentials", self.folder / "keys", *OPTIONS, *self.tls,
                             seconds=300, **kwargs)
        self.address = self.server.host, self.server.port
        self.admin = Connection(self.address)

    def start_node(self):
        """A `stator dax` node in front of the server."""
        more = ("--upstream-ca", self.tls[1]) if self.tls else ()
        self.node = DaxNode(self.folder, self.server.endpoint, "--memory", "4M", *more,
                            env={"AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": SECRET}, seconds=300)

    def clock(self):
        return time.time() + self.ahead

    def sample(self):
        at = time.monotonic() - self.began
        found = {}
        for prefix, pid in (("", self.server.pid), ("node ", self.node.process.pid)):
            process = pathlib.Path("/proc") / str(pid)
            status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
            found[f"{prefix}memory"] = int(status["VmRSS"].split()[0]) * 1024
            found[f"{prefix}files"] = len(os.listdir(process / "fd"))
            found[f"{prefix}threads"] = int(status["Threads"])
        for name, value in found.items():
            self.samples[name].append((at, value))
        metrics = self.admin.get("/metrics")
        written, items = (sum(float(value) for value in re.findall(rf"^stator_{name}(?:\{{.*\}})? (\S+)$", metrics, re.MULTILINE))
                          for name in ("log_bytes_total", "table_bytes"))
        found["disk"] = tree_bytes(self.folder / "data")
        self.disk.append((at, found["disk"], written, items))
        return at, found

    def disk_allowed(self, i):
        """What the i-th sample may have on the disk."""
        at, _, written, items = self.disk[i]
        leaps = [leap for leap in self.leaps if leap <= at]  # as they were made: a busy machine makes fewer
        since = leaps[-LEAPS] if len(leaps) >= LEAPS else -1
        before = max((sample[2] for sample in self.disk[:i] if sample[0] <= since), default=0)
        return LOG * (written - before) + TABLES * items + REST

    def bench(self):
        """The C client adds what Python cannot: many requests of the common kinds."""
        return subprocess.Popen(
            [self.server.process.args[0], "bench", "--endpoint", self.server.endpoint, "--workload", "mix", "--connections", "16",
             "--items", "3000", "--rate", str(self.rate), "--seconds", str(self.seconds + 3600), "--access-key", "admin", "--secret-key", SECRET, *(["--insecure"] if self.tls else [])],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def run(self):
        set_up(self.admin, time.time())
        self.start_node()
        cluster = Cluster(self)
        clients = [Client(self, number, self.rate / CLIENTS) for number in range(CLIENTS)]
        built_in = lambda: self.server.health()["dax"]  # noqa: E731
        actors = [cluster, Reader(self, MAIN), Reader(self, DAX), CacheUser(self, built_in), CacheUser(self, cluster.address),
                  CacheUser(self, lambda: self.node.address), Multiplexer(self), Administrator(self), Trouble(self), Clock(self)]
        self.load = self.bench()
        self.began = time.monotonic()
        for thread in (*clients, *actors):
            thread.start()
        self.watch()
        self.stop.set()
        for thread in (*clients, *actors):
            thread.join(120)
        self.load.kill()
        self.load.wait()
        counts, refused = {}, {}
        for thread in (*clients, *actors):
            for name, number in thread.counts.items():
                counts[name] = counts.get(name, 0) + number
            for name, number in thread.refused.items():
                refused[name] = refused.get(name, 0) + number
        self.requests = self.server.metric("stator_http_requests_total")
        failures = [thread.failure for thread in (*clients, *actors) if thread.failure]
        failures += [f"{thread} did not end" for thread in (*clients, *actors) if thread.is_alive()]
        return counts, refused, failures, {place: text for client in clients for place, text in client.owned.items()}

    def watch(self):
        every = max(0.2, self.seconds / 600)
        shown = -1e9
        print(f"{'second':>7} {'memory MiB':>11} {'files':>6} {'threads':>8} {'disk MiB':>9} {'node MiB':>9}", flush=True)
        while not self.stop.is_set():
            at, found = self.sample()
            if at > self.seconds / 3:
                self.warm.set()
            if at - shown >= self.seconds / 30:
                shown = at
                print(f"{at:7.0f} {found['memory'] / MIB:11.1f} {found['files']:6} {found['threads']:8} "
                      f"{found['disk'] / MIB:9.1f} {found['node memory'] / MIB:9.1f}", flush=True)
            if at >= self.seconds:
                return
            self.stop.wait(every)

    def verdict(self, instrumented):
        """What grew too much."""
        print(f"\n{'':12} {'warm':>9} {'end':>9} {'median':>9} {'rise':>9} {'bound':>9}")
        problems = []
        for name, (unit, long, short) in FIGURES.items():
            settled = [sample for sample in self.samples[name] if sample[0] >= self.seconds / 3]
            if len(settled) < 8:
                return [*problems, "too few samples"]
            median = statistics.median(value for _, value in settled)
            most, share = long if self.seconds >= LONG else short
            bound, rose = most + share * median, rise(settled)
            print(f"{name:12} {settled[0][1] / unit:9.1f} {settled[-1][1] / unit:9.1f} {median / unit:9.1f} {rose / unit:9.1f} "
                  f"{bound / unit:9.1f}" + ("  (not judged: a sanitizer keeps what was freed)" if instrumented and "memory" in name else ""))
            if rose > bound and not (instrumented and "memory" in name):
                problems.append(f"{name} rose by {rose / unit:.1f}, more than {bound / unit:.1f}")
        worst = max(range(len(self.disk)), key=lambda i: self.disk[i][1] / self.disk_allowed(i))
        at, held, written, items = self.disk[worst]
        allowed = self.disk_allowed(worst)
        print(f"disk: at most {held / allowed:.0%} of what may be there by what was written: {held / MIB:.1f} of {allowed / MIB:.1f} MiB after {at:.0f} s, "
              f"with {items / MIB:.1f} MiB of items, {written / MIB:.1f} MiB of change records ever")
        if held > allowed:
            problems.append(f"{held / MIB:.1f} MiB on the disk after {at:.0f} s, more than {allowed / MIB:.1f}")
        return problems

    def again(self, owned):
        """Stopped and started: what the clients own is there."""
        problem = self.node.finish()
        code = self.server.stop(300)
        problems = [problem] if problem else []
        problems += [f"the server ended with {code}:\n{self.server.log()[-6000:]}"] if code != 0 else []
        log = self.server.log()
        if "Sanitizer" in log:
            problems.append(log[-6000:])
        (self.folder / "soak.log").write_text(log)
        self.start()
        checker = Client(self, 0, 1)
        checker.owned = owned
        for place in owned:
            checker.verify(self.admin, place)
        print(f"{len(owned)} items that clients own are there after a restart")
        self.server.expected_code = 0
        problem = self.server.finish()
        return problems + ([problem] if problem else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--server", help="build/stator without it")
    parser.add_argument("--rate", type=int, default=300, help="requests a second of the mixed clients, and as many of the fast one")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--cleartext", action="store_true", help="the server speaks HTTP without TLS")
    parser.add_argument("--folder", help="where data and logs are kept; a temporary folder, removed, without it")
    arguments = parser.parse_args()
    if arguments.server:
        os.environ["STATOR_BIN"] = os.path.abspath(arguments.server)
    folder = pathlib.Path(arguments.folder or tempfile.mkdtemp(prefix="stator-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    soak = Soak(arguments, folder)
    program = pathlib.Path(soak.server.process.args[0]).read_bytes()
    instrumented = b"__asan_init" in program or b"__tsan_init" in program
    print(f"soak of {arguments.seconds} s, seed {arguments.seed}")
    problems = []
    try:
        counts, refused, problems, owned = soak.run()
        print("\ndone:    " + ", ".join(f"{number} {name}" for name, number in sorted(counts.items())))
        print("refused: " + ", ".join(f"{number} {name}" for name, number in sorted(refused.items())))
        print(f"{soak.requests:.0f} HTTP requests in all" if soak.requests else "")
        problems += soak.verdict(instrumented)
        problems += soak.again(owned)
    finally:
        for process in (soak.load, soak.server.process, soak.node and soak.node.process):
            if process and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
    if not arguments.folder and not problems:
        shutil.rmtree(folder)
    print("\n".join(["", *problems, f"see {folder}"]) if problems else "\nflat")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

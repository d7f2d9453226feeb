"""How the cost of a request grows with the data, the tables, the connections, the items; and the tail of latencies."""

import http.client
import json
import pathlib
import re
import statistics
import sys
import threading
import time

from . import servers
from .servers import ACCESS_KEY, SECRET_KEY, Load, ROOT, Stator

sys.path.insert(0, str(ROOT / "tests" / "integration"))
import raw_http  # noqa: E402


class Point:
    """One place on an axis: a server of its own with that data, and the load."""

    def __init__(self, label, items=10000, item_bytes=1024, tables=1, connections=servers.CONNECTIONS, workloads=("get", "put", "query", "batchwrite")):
        self.label, self.items, self.item_bytes, self.tables = label, items, item_bytes, tables
        self.connections, self.workloads = connections, workloads

    def start(self, folder):
        server = Stator(folder, dax=False)
        server.items = self.items
        server.options = ["--item-bytes", self.item_bytes, "--tables", self.tables]
        return server


def axes(most_items, small):
    """small: the same shapes with next to no data, for a look whether it runs."""
    counts = [n for n in (10**4, 10**6, 10**7) if n <= most_items] if not small else [100, 200]
    tables = (1, 10, 100, 1000) if not small else (1, 3)
    spread = 100000 if not small else 300
    connections = (1, 8, 64, 512) if not small else (1, 8)
    sizes = ((100, "100 B"), (1024, "1 KB"), (10240, "10 KB"), (102400, "100 KB"), (409600, "400 KB")) if not small else ((100, "100 B"), (102400, "100 KB"))
    return {
        "items": {
            "title": "Items in the table", "column": "items",
            "what": "Items of 100 bytes; a Query reads 100 of them. The caches (256 MB of blocks, 64 MB of items, 32 MB of pages) stay as they "
                    "are: with 10,000 items every page that is asked for again is in memory, with 10^7 few are.",
            "points": [Point(f"{n:,}", items=n, item_bytes=100) for n in counts],
        },
        "tables": {
            "title": "Tables", "column": "tables",
            "what": f"{spread:,} items of 100 bytes in all, dealt out to the tables; each request goes to a random table.",
            "points": [Point(f"{n:,}", items=spread // n, item_bytes=100, tables=n) for n in tables],
        },
        "connections": {
            "title": "Connections", "column": "connections", "what": "10,000 items of 1 KB.",
            "points": [Point(str(n), items=10000 if not small else 100, connections=n) for n in connections],
        },
        "sizes": {
            "title": "Size of an item", "column": "item",
            "what": "16 connections, 10,000 items but at most 64 MB of them. A page of Query holds 1 MB, so 100 items are read in one only up to 10 KB.",
            "points": [
                Point(label, items=max(40, min(10000, (64 << 20) // n)) if not small else 50, item_bytes=n, connections=16,
                      workloads=("get", "put", "query", "batchwrite") if n <= 10240 else ("get", "put", "batchwrite"))
                for n, label in sizes
            ],
        },
    }


def measure_axis(axis, folder, rounds, seconds, warmup, tell):
    """The points are measured in turns, like the sides of a comparison."""
    running, began = [], time.monotonic()
    found = [{workload: [] for workload in point.workloads} for point in axis["points"]]
    remarks = []
    try:
        for i, point in enumerate(axis["points"]):
            server = point.start(folder / f"{axis['column']}-{i}")
            running.append(server)
            server.use_cpus({servers.SERVER_CPU, servers.CLIENT_CPU})  # it may take what it gets while it is filled
            for workload in ("get", "query"):  # these fill both tables
                if workload in point.workloads:
                    server.measure(workload, Load(0.1, 0, point.connections))
            server.use_cpus({servers.SERVER_CPU})
            server.sleep()
            tell(f"{axis['title']}: {point.label} is filled, {time.monotonic() - began:.0f} s")
        for r in range(rounds):
            turns = list(enumerate(axis["points"]))
            for i, point in turns if r % 2 == 0 else reversed(turns):
                running[i].wake()
                for workload in point.workloads:
                    result = running[i].measure(workload, Load(seconds, warmup, point.connections))
                    found[i][workload].append(result)
                    tell(f"round {r + 1} {axis['title']} {point.label:>12} {workload:10} {result['rate']:>11,.0f}/s {result['cpu_us']:>9.1f} us CPU  p99 {result['p99_us'] / 1000:.2f} ms")
                running[i].sleep()
        memory = [server.memory_bytes() for server in running]
        if axis["column"] in ("items", "tables"):
            remarks.append(restart_remark(axis, running, tell))
    finally:
        for server in running:
            server.stop()
    return {
        "title": axis["title"], "column": axis["column"], "what": axis["what"], "remarks": remarks,
        "points": [
            {"label": point.label, "items": point.items, "item_bytes": point.item_bytes, "tables": point.tables, "connections": point.connections,
             "memory_bytes": memory[i], "rounds": found[i]}
            for i, point in enumerate(axis["points"])
        ],
    }


def restart_remark(axis, running, tell):
    """Ended by SIGTERM and started again on what is there."""
    times = []
    for i, server in enumerate(running):
        server.stop()
        again = Stator(server.folder, dax=False)
        times.append(f"{again.ready_ms:,.0f} ms ({axis['points'][i].label})")
        again.stop()
    remark = "Started again with that data, until the first answer: " + ", ".join(times) + "."
    tell(remark)
    return remark


# ---- the tail ----

# The bound, in ms: p99.9 of the busy rounds, their median. Where one CPU does everything a request may meet a tick or two of Linux's clock (4 ms
# each) that background threads got, and the run of what had gathered meanwhile; a write a sync of the disk before and one after its own, too.
TAIL_MOST_MS = {"get": 50, "query": 50, "put": 100, "update": 100}


def beyond(tail):
    """What is beyond its bound, in words."""
    medians = {kind: statistics.median(r["by_kind"][kind]["p99_9"] for r in tail["rounds"]["busy"]) / 1000 for kind in TAIL_MOST_MS}
    return [f"{kind}: p99.9 {medians[kind]:.1f} ms, at most {most}" for kind, most in TAIL_MOST_MS.items() if medians[kind] > most]


class Trouble:
    """What goes on behind the load: the clock runs six hours a second, so what was written 4 seconds ago leaves the change log and items
    reach their time to live; the write buffer is small, so that flushes and compactions never end."""

    HOURS_A_SECOND = 6
    EXPIRIES_A_SECOND = 1000
    OPTIONS = ("--test-controls", "--write-buffer-bytes", "4M")

    def __init__(self, server):
        self.server = server
        self.ended = threading.Event()
        self.files = set()

    def post(self, path, body, operation=None):
        if not hasattr(self, "connection"):
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        text = json.dumps(body).encode()
        headers = {"host": f"127.0.0.1:{self.server.port}", "content-type": raw_http.JSON}
        if operation:
            headers["x-amz-target"] = raw_http.TARGET + operation
        self.connection.request("POST", path, text, raw_http.sign(headers, text, SECRET_KEY, ACCESS_KEY, path=path))
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise servers.Failed(f"{operation or body}: {answer.status} {text[:500]}")
        return json.loads(text)

    def call(self, operation, **body):
        return self.post("/", body, operation)

    def control(self, control, **parameters):
        return self.post("/_stator/test-controls", {"control": control, **parameters})

    def make_tables(self, table):
        """The tables of the load, with streams; and one whose items expire."""
        for name, keys in ((table, ["pk"]), (f"{table}-query", ["pk", "sk"]), ("expiring", ["pk"])):
            self.call(
                "CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in keys],
                KeySchema=[{"AttributeName": k, "KeyType": kind} for k, kind in zip(keys, ("HASH", "RANGE"))],
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            )
            while self.call("DescribeTable", TableName=name)["Table"]["TableStatus"] != "ACTIVE":
                time.sleep(0.02)
        self.call("UpdateTimeToLive", TableName="expiring", TimeToLiveSpecification={"Enabled": True, "AttributeName": "due"})

    def plan(self, seconds, small):
        """Items whose times lie in the coming seconds, which are hours on the server's clock."""
        now = self.control("clock-advance", seconds=0)["clock"]["now"]
        each = self.EXPIRIES_A_SECOND if not small else 25
        for second in range(int(seconds) + 1):
            due = int(now) + (second + 1) * 3600 * self.HOURS_A_SECOND
            for start in range(0, each, 25):
                puts = [
                    {"PutRequest": {"Item": {"pk": {"S": f"{due}-{n}"}, "due": {"N": str(due)}, "payload": {"S": "x" * 200}}}}
                    for n in range(start, start + 25)
                ]
                self.call("BatchWriteItem", RequestItems={"expiring": puts})

    def run(self):
        while not self.ended.wait(0.5):
            self.control("clock-advance", seconds=1800 * self.HOURS_A_SECOND)
            self.files |= table_files(self.server)

    def figures(self):
        """What has been done so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        metric = {name: sum(float(m[1]) for m in re.finditer(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))
                  for name in ("stator_ttl_deleted_total", "stator_log_trimmed_bytes_total")}
        self.files |= table_files(self.server)
        return {
            "expired": metric["stator_ttl_deleted_total"],
            "trimmed_bytes": metric["stator_log_trimmed_bytes_total"],
            "table_files": len(self.files),
        }


def table_files(server):
    """What flushes and compactions have written and not yet replaced."""
    return {path.name for path in pathlib.Path(server.folder).rglob("*.sst")}


def written_bytes(server):
    """To the disk, by the process: log, flushes and compactions."""
    text = pathlib.Path(f"/proc/{server.process.pid}/io").read_text()
    return int(re.search(r"^write_bytes: (\d+)", text, re.MULTILINE)[1])


def measure_tail(folder, rounds, seconds, small, tell):
    """A mix at half of what the server can do, with and without the trouble; {"rounds": {"quiet": [...], "busy": [...]}, ...}.

    The cache of pages is off: the mix queries a table that it does not write, so each Query would come from there.
    """
    unkept = ("--page-cache-bytes", 0)
    items = 10000 if not small else 200
    quiet, busy = Stator(folder / "quiet", *unkept, dax=False), Stator(folder / "busy", *unkept, *Trouble.OPTIONS, dax=False)
    trouble = Trouble(busy)
    found, before = {"quiet": [], "busy": []}, None
    try:
        trouble.make_tables("stator-bench")
        options = ["--workload", "mix", "--items", items]
        most = []
        for server in (quiet, busy):
            most.append(server.run("mix", [*server.endpoint(), *options], Load(2 if not small else 0.2, 0.5))["rate"])
            server.sleep()
        rate = max(50, int(most[0] / 2))
        tell(f"tail: the mix runs at up to {most[0]:,.0f}/s, so at {rate:,}/s")
        busy.wake()
        before = trouble.figures()
        busy.sleep()
        for i in range(rounds):
            for side, server in (("quiet", quiet), ("busy", busy)) if i % 2 == 0 else (("busy", busy), ("quiet", quiet)):
                server.wake()
                found[side].append(tail_round(server, trouble if side == "busy" else None, options, rate, seconds, small))
                server.sleep()
                tell(f"round {i + 1} tail {side:6}" + "".join(
                    f"  {kind} p99.9 {found[side][-1]['by_kind'][kind]['p99_9'] / 1000:.2f} ms" for kind in ("get", "put", "query")))
        busy.wake()
        after = trouble.figures()
    finally:
        quiet.stop()
        busy.stop()
    done = {name: after[name] - before[name] for name in after}
    spent = rounds * seconds
    written = {side: sum(r["written_bytes"] for r in found[side]) / spent / 1e6 for side in found}
    what = (
        f"A mix of half GetItem, a quarter PutItem, an eighth UpdateItem and an eighth Query at {rate:,} requests a second, half of what this server answers at most, "
        f"from {servers.CONNECTIONS} connections, {rounds} times {seconds:g} s. Busy, flushes and compactions made at least {done['table_files']:,} files meanwhile (the process wrote "
        f"{written['busy']:.1f} MB a second to the disk, against {written['quiet']:.1f} quiet), {done['expired'] / spent:,.0f} items a second expired and were deleted by the TTL "
        f"service, and {done['trimmed_bytes'] / spent / 1e6:.1f} MB of change records a second were trimmed, all on the one CPU that the server has."
    )
    return {"what": what, "rate": rate, "most": most, "done": done, "seconds": spent, "rounds": found}


def tail_round(server, trouble, options, rate, seconds, small):
    warmup = 1 if not small else 0
    thread = None
    if trouble is not None:
        trouble.plan(seconds + warmup + 1, small)
        trouble.ended.clear()
        thread = threading.Thread(target=trouble.run)
        thread.start()
    command = [servers.STATOR, "bench", *server.endpoint(), "--json", "--keep", "--no-fill", "--connections", servers.CONNECTIONS, "--rate", rate,
               "--seconds", seconds, "--warmup", warmup * 1000, "--pid", server.process.pid, *options]
    before = written_bytes(server)
    try:
        result = servers.run_bench(command)
    finally:
        if thread is not None:
            trouble.ended.set()
            thread.join()
    return {
        "written_bytes": written_bytes(server) - before, "rate": result["requests_per_second"], "unsent": result["unsent"], "cpu_us": result["pid_cpu_us_per_request"], "client_cores": result["client_cores"],
        "by_kind": {kind: figures["latency_us"] for kind, figures in result["by_kind"].items()},
    }

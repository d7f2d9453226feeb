"""What is compared with what, and the rounds in which that is done."""

import statistics
from dataclasses import dataclass
from typing import Optional

from . import servers
from .servers import Load


@dataclass(frozen=True)
class Row:
    """One comparison. `ours` is what Stator does; `theirs` a server and what it does.

    compared: "rate", where more is better and the ratio is ours by theirs; or "p50", where less is better.
    least, goal, stretch: of the ratio; None where nothing was promised.
    """

    title: str
    reference: str
    ours: str
    theirs: tuple
    least: Optional[float] = None
    goal: Optional[float] = None
    stretch: Optional[float] = None
    compared: str = "rate"
    connections: int = servers.CONNECTIONS
    unit: str = "requests"
    server: str = "stator"  # ours

    def ratio(self, ours, theirs):
        key = "rate" if self.compared == "rate" else "p50_us"
        return ours[key] / theirs[key]

    def reaches(self, ratio, bound):
        return bound is None or (ratio >= bound if self.compared == "rate" else ratio <= bound)


GET, PUT = "GetItem, consistent, 1 KB", "PutItem, 1 KB, fsync before the answer"
QUERY, BATCH = "Query, 100 items of 1 KB (101 KB)", "BatchWriteItem 25 x 1 KB, durable"
ROWS = {
    "get-nginx": Row(GET, "nginx `return 200`", "get", ("nginx", "/return"), 0.65, 0.80, 0.95),
    "get-redis": Row(GET, "redis GET 1 KiB, unpipelined", "get", ("redis", "get"), 0.50, 0.60, 0.72),
    "get-one": Row("GetItem, one connection, p50", "redis GET, one connection, p50", "get", ("redis", "get"), 1.25, 1.1, 1.0, "p50", 1),
    "put-redis": Row(PUT, "redis SET 1 KiB, appendfsync always", "put", ("redis", "put"), 0.60, 0.75, 1.0),
    "put-disk": Row(PUT, "4 KiB append + fdatasync, one after the other", "put", ("disk", None), 5, 8, 10),
    "query-nginx": Row(QUERY, "nginx, a file of 101 KB", "query", ("nginx", "/101k"), 0.20, 0.35, 0.50),
    "query-walked": Row(QUERY + ", pages not in the cache", "nginx, a file of 101 KB", "query", ("nginx", "/101k"), 0.20, server="stator-no-pages"),
    "batch-rocksdb": Row(BATCH, "RocksDB WriteBatch of 512 + sync", "batchwrite", ("rocksdb", None), 0.35, 0.50, 0.65, unit="items"),
    "dax-memcached": Row("DAX GetItem, a hit, 1 KB", "memcached get 1 KiB", "dax", ("memcached", "get"), 0.75, 0.90, 1.0),
    "dax-http": Row("DAX GetItem, a hit, 1 KB", "own GetItem over HTTP", "dax", ("stator", "get"), 1.3, 1.6, 1.8),
    "dax-one": Row("DAX GetItem, one connection, p50", "memcached get, one connection, p50", "dax", ("memcached", "get"), None, None, None, "p50", 1),
}

# The same requests to others who answer this API, both in memory; Stator on the disk as above.
PEERS = {
    f"{what}-{peer}": Row(title, f"{reference}, in memory", what, (peer, what), unit="items" if what == "batchwrite" else "requests")
    for peer, reference in (("dynalite", "dynalite"), ("dynamodb-local", "DynamoDB Local"))
    for what, title in (("get", GET), ("put", PUT), ("query", QUERY), ("batchwrite", BATCH))
}


def median(rounds, side, key):
    values = [r[side][key] for r in rounds if r[side].get(key) is not None]
    return statistics.median(values) if values else None


def median_ratio(rounds):
    return statistics.median(r["ratio"] for r in rounds)


def measure_rows(rows, running, rounds, seconds, warmup, tell):
    """{name: [round, ...]}. Each round goes through all rows, so that a slow minute spoils one round of many rows and not a row."""
    for row in rows.values():
        running.prepare(row.server, row.ours)
        running.prepare(*row.theirs)
    found = {name: [] for name in rows}
    for i in range(rounds):
        for name, row in rows.items():
            load = Load(seconds, warmup, row.connections)
            sides = {"ours": (row.server, row.ours), "theirs": row.theirs}
            order = ["ours", "theirs"] if i % 2 == 0 else ["theirs", "ours"]
            figures = {side: running.measure(*sides[side], load) for side in order}
            ratio = row.ratio(figures["ours"], figures["theirs"])
            found[name].append({"first": order[0], "ours": figures["ours"], "theirs": figures["theirs"], "ratio": ratio})
            key, unit = ("rate", "/s") if row.compared == "rate" else ("p50_us", " us")
            tell(f"round {i + 1} {name:24} {figures['ours'][key]:>11,.0f}{unit} {figures['theirs'][key]:>11,.0f}{unit}  ratio {ratio:.2f}")
    return found


# ---- start and memory ----

STARTS = {"stator": servers.Stator, "redis": servers.Redis, "dynalite": servers.Dynalite, "dynamodb-local": servers.DynamoDBLocal}


def measure_starts(names, folder, rounds, tell, idle_seconds=0.5):
    """{name: [{ready_ms, memory_bytes}]}: each on an empty directory, as it comes out of the box: no CPU is chosen for it."""
    import time

    found = {name: [] for name in names}
    for i in range(rounds):
        for name in names:
            more = {"threads": None, "dax": False} if name == "stator" else {}
            server = STARTS[name](folder / f"start-{name}-{i}", cpu=None, **more)
            try:
                time.sleep(idle_seconds)
                found[name].append({"ready_ms": server.ready_ms, "memory_bytes": server.memory_bytes()})
            finally:
                server.stop()
            tell(f"round {i + 1} start {name:18} {server.ready_ms:>11,.1f} ms {found[name][-1]['memory_bytes'] / 1e6:>11,.1f} MB")
    return found

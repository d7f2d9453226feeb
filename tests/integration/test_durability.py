"""Kill the server under load and look for everything it acknowledged.

Each round: threads put, update, delete and batch-write items of their own, while a reader reads them; the server is killed
with -9 and started again. Then every item must be in the state of its last acknowledged write (or of the one in flight), every
state the reader saw must still be there, each index must hold exactly what the table says, and counts must be right.

ROUNDS=200 pytest tests/integration/test_durability.py is the long form.
"""

import json
import os
import random
import threading
import time

from conftest import create, make_client, wait_active
from raw_http import Connection

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)
WORKERS = 8
KEYS = 40  # of each worker

INDEXES = dict(
    attributes={"g": "S", "l": "N"},
    GlobalSecondaryIndexes=[
        {"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}},
        {
            "IndexName": "by-gl",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
        },
    ],
    LocalSecondaryIndexes=[
        {
            "IndexName": "by-l",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
)
GONE = None


def key_of(worker, i):
    return {"pk": {"S": f"w{worker}"}, "sk": {"N": str(i)}}


def name_of(item):
    return item["pk"]["S"], item["sk"]["N"]


class Worker(threading.Thread):
    """Owns its items, so it knows what each of them must be. Every write of an item raises its version."""

    def __init__(self, number, table, states, versions):
        super().__init__()
        self.number, self.table = number, table
        self.states = states  # name -> item or GONE, as acknowledged
        self.versions = versions  # name -> number of the last write tried
        self.in_flight = {}  # name -> the item it may have become
        self.acknowledged = 0
        self.failure = None
        self.random = random.Random(SEED * 1000 + number + len(states))

    def fresh(self, i):
        dice = self.random
        name = name_of(key_of(self.number, i))
        self.versions[name] = version = self.versions.get(name, 0) + 1
        item = {**key_of(self.number, i), "v": {"N": str(version)}, "pad": {"S": "p" * dice.choice((0, 50, 900))}}
        if dice.random() < 0.7:
            item["g"] = {"S": f"g{dice.randrange(5)}"}
        if dice.random() < 0.7:
            item["l"] = {"N": str(dice.randrange(100))}
        return name, item

    def step(self, connection):
        """Announce what the items may become, write, and note the acknowledgement."""
        dice = self.random
        kind = dice.choice(("put", "put", "update", "update", "delete", "batch", "refused"))
        i = dice.randrange(KEYS)
        key = key_of(self.number, i)
        name = name_of(key)
        expected = 200
        if kind == "put":
            name, item = self.fresh(i)
            self.in_flight = {name: item}
            operation, body = "PutItem", {"TableName": self.table, "Item": item}
        elif kind == "update":
            self.versions[name] = version = self.versions.get(name, 0) + 1
            item = {**(self.states.get(name) or key), "v": {"N": str(version)}, "g": {"S": f"g{dice.randrange(5)}"}}
            item.pop("l", None)
            self.in_flight = {name: item}
            operation = "UpdateItem"
            body = {
                "TableName": self.table,
                "Key": key,
                "UpdateExpression": "SET v = :v, g = :g REMOVE l",
                "ExpressionAttributeValues": {":v": item["v"], ":g": item["g"]},
            }
        elif kind == "delete":
            self.versions[name] = self.versions.get(name, 0) + 1
            self.in_flight = {name: GONE}
            operation, body = "DeleteItem", {"TableName": self.table, "Key": key}
        elif kind == "batch":
            requests, self.in_flight = [], {}
            for j in dice.sample(range(KEYS), 8):
                if dice.random() < 0.3:
                    key = key_of(self.number, j)
                    self.versions[name_of(key)] = self.versions.get(name_of(key), 0) + 1
                    self.in_flight[name_of(key)] = GONE
                    requests.append({"DeleteRequest": {"Key": key}})
                else:
                    name, item = self.fresh(j)
                    self.in_flight[name] = item
                    requests.append({"PutRequest": {"Item": item}})
            operation, body = "BatchWriteItem", {"RequestItems": {self.table: requests}}
        else:
            expected = 400
            operation = "PutItem"
            body = {
                "TableName": self.table,
                "Item": {**key, "v": {"N": "-1"}},
                "ConditionExpression": "v = :never",
                "ExpressionAttributeValues": {":never": {"N": "-2"}},
            }
        answer = connection.call(operation, body)
        assert answer.status == expected, (operation, answer.status, answer.body)
        if kind == "batch":
            assert answer.json["UnprocessedItems"] == {}
        self.states.update(self.in_flight)
        self.in_flight = {}
        self.acknowledged += 1

    def run(self):
        try:
            with Connection(self.server) as connection:
                while True:
                    self.step(connection)
        except (EOFError, OSError, ValueError, IndexError):
            pass  # killed; what was in flight stays noted
        except Exception as failure:  # noqa: BLE001 - told by the main thread
            self.failure = failure


class Reader(threading.Thread):
    """What it was told must survive, acknowledged to the writer or not."""

    def __init__(self, table):
        super().__init__()
        self.table, self.seen = table, {}

    def run(self):
        dice = random.Random()
        try:
            with Connection(self.server) as connection:
                while True:
                    key = key_of(dice.randrange(WORKERS), dice.randrange(KEYS))
                    answer = connection.call("GetItem", {"TableName": self.table, "Key": key, "ConsistentRead": dice.random() < 0.5})
                    if item := answer.json.get("Item"):
                        self.seen[name_of(key)] = int(item["v"]["N"])
        except (EOFError, OSError, ValueError, IndexError):
            pass


def scan_all(client, **arguments):
    return [item for page in client.get_paginator("scan").paginate(**arguments) for item in page["Items"]]


def expected_rows(items, attributes, keep=None):
    rows = [item for item in items if all(a in item for a in attributes)]
    return sorted(json.dumps({k: v for k, v in item.items() if keep is None or k in keep}, sort_keys=True) for item in rows)


def check(client, table, workers, reader):
    items = {name_of(item): item for item in scan_all(client, TableName=table, ConsistentRead=True)}
    for worker in workers:
        for name in set(worker.states) | set(worker.in_flight):
            found, acknowledged = items.get(name), worker.states.get(name)
            allowed = [acknowledged] + ([worker.in_flight[name]] if name in worker.in_flight else [])
            assert found in allowed, f"{name}: found {found}, acknowledged {acknowledged}, in flight {worker.in_flight.get(name)}"
            seen = reader.seen.get(name, 0)
            if name in worker.in_flight and seen == worker.versions[name]:
                assert found == worker.in_flight[name], f"{name}: a reader was told version {seen}, found {found}"
            worker.states[name] = found
        worker.in_flight = {}
    strangers = set(items) - {name for worker in workers for name in worker.states}
    assert not strangers, strangers

    def rows(index):
        return sorted(json.dumps(item, sort_keys=True) for item in scan_all(client, TableName=table, IndexName=index))

    everything = list(items.values())
    assert rows("by-g") == expected_rows(everything, ["g"])
    assert rows("by-gl") == expected_rows(everything, ["g", "l"], {"pk", "sk", "g", "l", "v"})
    assert rows("by-l") == expected_rows(everything, ["l"], {"pk", "sk", "l"})
    described = client.describe_table(TableName=table)["Table"]
    assert described["ItemCount"] == len(items)
    by_index = {i["IndexName"]: i["ItemCount"] for i in described["GlobalSecondaryIndexes"] + described["LocalSecondaryIndexes"]}
    assert by_index == {name: len(rows(name)) for name in by_index}


def wait_for_writes(workers, count):
    """On a slow machine, too, there is something to be lost."""
    deadline = time.monotonic() + 60
    while sum(worker.acknowledged for worker in workers) < count and not any(worker.failure for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_everything_acknowledged_survives_kill_9(start_server, tmp_path):
    print(f"ROUNDS={ROUNDS} SEED={SEED}")
    dice = random.Random(SEED)
    options = ("--data", tmp_path / "data", "--control-plane-delay", "0", "--min-free", "1M", "--write-buffer-bytes", "256K")
    server = start_server(*options)
    client = make_client(server.endpoint)
    table = create(client, "pk:S,sk:N", name="crash", **INDEXES)
    states, versions = [{} for _ in range(WORKERS)], {}
    tables, acknowledged = {"crash"}, 0
    for round_number in range(ROUNDS):
        workers = [Worker(i, table, states[i], versions) for i in range(WORKERS)]
        reader = Reader(table)
        for thread in (*workers, reader):
            thread.server = server
            thread.start()
        time.sleep(dice.uniform(0.1, 0.6))
        wait_for_writes(workers, 60)
        fresh = create(client, "pk:S", name=f"round-{round_number}")  # control plane, too
        tables.add(fresh)
        if round_number >= 3:
            old = f"round-{round_number - 3}"
            client.delete_table(TableName=old)
            tables.discard(old)
        time.sleep(dice.uniform(0, 0.3))
        server.kill()
        for thread in (*workers, reader):
            thread.join()
        for worker in workers:
            assert worker.failure is None, worker.failure
        acknowledged += sum(worker.acknowledged for worker in workers)
        server = start_server(*options)
        client = make_client(server.endpoint)
        for name in tables:
            wait_active(client, name)
        listed = {name for page in client.get_paginator("list_tables").paginate() for name in page["TableNames"]}
        assert tables <= listed
        check(client, table, workers, reader)
    print(f"{acknowledged} acknowledged writes over {ROUNDS} kills, all there")


def test_a_clean_stop_loses_nothing(start_server, tmp_path):
    options = ("--data", tmp_path / "data", "--control-plane-delay", "0", "--min-free", "1M")
    server = start_server(*options)
    client = make_client(server.endpoint)
    table = create(client, "pk:S,sk:N", name="stop", **INDEXES)
    workers = [Worker(i, table, {}, {}) for i in range(WORKERS)]
    for worker in workers:
        worker.server = server
        worker.start()
    wait_for_writes(workers, 60)
    assert server.stop() == 0
    for worker in workers:
        worker.join()
        assert worker.failure is None, worker.failure
    reader = Reader(table)
    check(make_client(start_server(*options).endpoint), table, workers, reader)


def test_a_table_half_deleted_is_gone_after_the_crash(start_server, tmp_path):
    options = ("--data", tmp_path / "data", "--control-plane-delay", "300", "--min-free", "1M")
    server = start_server(*options)
    client = make_client(server.endpoint)
    create(client, "pk:S", name="half")
    for i in range(100):
        client.put_item(TableName="half", Item={"pk": {"S": str(i)}})
    client.delete_table(TableName="half")
    server.kill()
    client = make_client(start_server(*options).endpoint)
    deadline = time.monotonic() + 60
    while client.list_tables()["TableNames"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    create(client, "pk:S", name="half")
    assert client.scan(TableName="half")["Count"] == 0


def test_an_index_half_built_is_finished_after_the_crash(start_server, tmp_path):
    options = ("--data", tmp_path / "data", "--control-plane-delay", "200", "--min-free", "1M")
    server = start_server(*options)
    client = make_client(server.endpoint)
    create(client, "pk:S", name="late")
    with Connection(server) as c:
        for start in range(0, 5000, 25):
            requests = [{"PutRequest": {"Item": {"pk": {"S": str(i)}, "g": {"S": f"g{i % 7}"}}}} for i in range(start, start + 25)]
            assert c.call("BatchWriteItem", {"RequestItems": {"late": requests}}).status == 200
    client.update_table(
        TableName="late",
        AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {"Create": {"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}}
        ],
    )
    server.kill()
    client = make_client(start_server(*options).endpoint)
    wait_active(client, "late")
    assert len(scan_all(client, TableName="late", IndexName="by-g")) == 5000

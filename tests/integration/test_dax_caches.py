"""What the caches of a DAX node keep, seen through its protocol (docs/DAX-CACHES.md)."""

import json
import random
import subprocess
import time

import pytest

from conftest import create, make_client, unique_name
from controls import Controls
from dax_client import GET, DaxClient, DaxError, cond_exists, encode
from stator_server import binary

NONE = object()
NOTHING, ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATED_NEW = 1, 2, 3, 4, 5


def control(server, name, **parameters):
    Controls(server.endpoint)(name, **parameters)


@pytest.fixture
def node(start_server, tmp_path):
    """start(options...) -> (server, boto3 client, DAX client, table)"""
    clients = []

    def start(*options):
        server = start_server("--data", tmp_path / "data", "--test-controls", "--control-plane-delay", "0", "--dax-listen", "127.0.0.1:0", *options)
        client = make_client(server.endpoint)
        table = unique_name()
        client.create_table(
            TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
        clients.append(DaxClient(server.health()["dax"]))
        return server, client, clients[-1], table

    yield start
    for dax in clients:
        dax.close()


def put_directly(client, table, key, value):
    client.put_item(TableName=table, Item={"pk": {"S": key}, "v": {"N": str(value)}})


def test_a_direct_write_is_not_seen_until_the_time_to_live_ends(node):
    server, client, dax, table = node("--dax-record-ttl", "60000", "--dax-query-ttl", "120000")
    control(server, "clock-freeze")
    put_directly(client, table, "a", 1)
    assert dax.get(table, "a") == {"v": 1}
    assert dax.scan(table) == {"a": {"v": 1}}
    put_directly(client, table, "a", 2)
    assert dax.get(table, "a") == {"v": 1}
    assert dax.batch_get(table, ["a"]) == {"a": {"v": 1}}
    assert dax.get(table, "a", consistent=True) == {"v": 2}
    assert dax.transact_get(table, ["a"]) == [{"v": 2}]
    assert dax.get(table, "a") == {"v": 1}, "what passes through is not kept"
    control(server, "clock-advance", seconds=60)
    assert dax.get(table, "a") == {"v": 2}
    assert dax.scan(table) == {"a": {"v": 1}}
    control(server, "clock-advance", seconds=60)
    assert dax.scan(table) == {"a": {"v": 2}}


def test_a_missing_item_is_remembered_until_it_is_written_through_dax(node):
    server, client, dax, table = node()
    assert dax.get(table, "a") is None
    put_directly(client, table, "a", 1)
    assert dax.get(table, "a") is None
    dax.put(table, "a", {"v": 2})
    assert dax.get(table, "a") == {"v": 2}
    dax.delete(table, "a")
    put_directly(client, table, "a", 3)
    assert dax.get(table, "a") is None
    assert server.metric("stator_dax_cache_absent_hits_total", cache="item", table=table) == 2


def test_a_refused_write_changes_no_cache(node):
    _, client, dax, table = node()
    assert dax.get(table, "a") is None
    with pytest.raises(DaxError) as refused:
        dax.put(table, "a", {"v": 1}, condition=cond_exists("pk"))
    assert refused.value.name == "ConditionalCheckFailedException"
    put_directly(client, table, "a", 2)
    assert dax.get(table, "a") is None, "the entry is what it was"


def test_with_a_time_to_live_of_zero_queries_are_not_cached_and_items_stay(node):
    server, client, dax, table = node("--dax-record-ttl", "0", "--dax-query-ttl", "0")
    put_directly(client, table, "a", 1)
    assert (dax.get(table, "a"), dax.query(table, "pk", "a")) == ({"v": 1}, {"a": {"v": 1}})
    put_directly(client, table, "a", 2)
    control(server, "clock-advance", seconds=86400 * 30)
    assert (dax.get(table, "a"), dax.query(table, "pk", "a")) == ({"v": 1}, {"a": {"v": 2}})


class Model:
    """A table, and for each key and query what a cache would have. As simple as can be."""

    def __init__(self, ttl):
        self.ttl, self.now = ttl, 0
        self.table, self.items, self.pages = {}, {}, {}

    def read(self, cache, key, fresh):
        value, at = cache.get(key, (NONE, 0))
        if value is NONE or self.now - at >= self.ttl:
            cache[key] = value, at = fresh, self.now
        return value

    def write(self, key, item, through):
        if item is None:
            self.table.pop(key, None)
        else:
            self.table[key] = item
        if through:
            self.items[key] = item, self.now


def step(rng, model, server, client, dax, table):
    key, value = f"k{rng.randrange(8)}", rng.randrange(1000)
    what = rng.choices(
        ["get", "batch_get", "scan", "query", "put", "update", "delete", "batch_write", "direct", "direct_delete", "time", "consistent"],
        [30, 6, 6, 12, 6, 6, 4, 3, 12, 4, 4, 3],
    )[0]
    if what == "get":
        assert dax.get(table, key) == model.read(model.items, key, model.table.get(key))
    elif what == "consistent":
        assert dax.get(table, key, consistent=True) == model.table.get(key)
    elif what == "batch_get":
        keys = rng.sample([f"k{i}" for i in range(8)], 3)
        expected = {k: model.read(model.items, k, model.table.get(k)) for k in keys}
        assert dax.batch_get(table, keys) == {k: v for k, v in expected.items() if v is not None}
    elif what == "scan":
        assert dax.scan(table) == model.read(model.pages, "scan", dict(model.table))
    elif what == "query":
        fresh = {key: model.table[key]} if key in model.table else {}
        assert dax.query(table, "pk", key) == model.read(model.pages, key, fresh)
    elif what == "put":
        dax.put(table, key, {"v": value})
        model.write(key, {"v": value}, True)
    elif what == "update":
        asked = rng.choice([None, NOTHING, ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATED_NEW])
        dax.update(table, key, "w", value, return_values=asked)
        model.write(key, {**model.table.get(key, {}), "w": value}, True)
        if asked in (ALL_OLD, UPDATED_OLD, UPDATED_NEW):
            del model.items[key]  # the table does not tell the whole new item
    elif what == "delete":
        dax.delete(table, key)
        model.write(key, None, True)
    elif what == "batch_write":
        items = {k: rng.choice([None, {"v": value}]) for k in rng.sample([f"k{i}" for i in range(8)], 3)}
        dax.batch_write(table, items)
        for k, item in items.items():
            model.write(k, item, True)
    elif what == "direct":
        put_directly(client, table, key, value)
        model.write(key, {"v": value}, False)
    elif what == "direct_delete":
        client.delete_item(TableName=table, Key={"pk": {"S": key}})
        model.write(key, None, False)
    else:
        seconds = rng.randrange(1, 40)
        control(server, "clock-advance", seconds=seconds)
        model.now += seconds * 1000
    return what


def test_random_operations_find_what_the_documented_rules_say(node):
    server, client, dax, table = node("--dax-record-ttl", "60000", "--dax-query-ttl", "60000")
    control(server, "clock-freeze")
    rng, model = random.Random(5), Model(60000)
    done = [step(rng, model, server, client, dax, table) for _ in range(1500)]
    assert len(set(done)) == 12


def test_a_transaction_is_found_in_the_cache_a_moment_later(node):
    _, client, dax, table = node()
    assert dax.get(table, "a") is None
    dax.transact_put(table, {"a": {"v": 1}, "b": {"v": 2}})
    deadline = time.monotonic() + 60
    while dax.get(table, "a") != {"v": 1} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (dax.get(table, "a"), dax.get(table, "b")) == ({"v": 1}, {"v": 2})


def test_stats_tells_what_is_there(node):
    server, _, dax, table = node("--dax-record-ttl", "0", "--dax-query-ttl", "60000")
    dax.put(table, "a", {"v": 1})
    for key in "aaab":
        dax.get(table, key)
    dax.scan(table)
    command = [binary(), "dax", "stats", "--endpoint", server.endpoint]
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert [(n["node"], n["record_ttl_millis"], n["query_ttl_millis"]) for n in told["nodes"]] == [("serve", 0, 60000)]
    rows = {row["cache"]: row for row in told["tables"] if row["table"] == table}
    assert {k: rows["item"][k] for k in ("hits", "misses", "writes", "entries")} == {"hits": 3, "misses": 1, "writes": 1, "entries": 2}
    assert {k: rows["query"][k] for k in ("hits", "misses", "entries")} == {"hits": 0, "misses": 1, "entries": 1}
    assert rows["item"]["timed_hits"] == 3 and 0 < rows["item"]["hit_seconds"] < 60
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Node serve: " in text and "items live until evicted, queries live 60 s" in text
    assert [line.split()[:3] for line in text.splitlines() if f" {table} " in line] == [["item", table, "2"], ["query", table, "1"]]
    plain = subprocess.run([*command[:-1], "http://127.0.0.1:1"], capture_output=True, text=True)
    assert plain.returncode == 1 and "http://127.0.0.1:1" in plain.stderr


def test_hits_asked_for_all_at_once_are_answered_one_after_the_other(node):
    """Clients do not send a request before the last one is answered; whoever does makes the server keep no more for it."""
    server, _, dax, table = node()
    large, count = {"v": "x" * 200_000}, 1000
    dax.put(table, "a", large)
    before = server.memory_bytes()
    request = b"".join(map(encode, (1, GET, table.encode(), b"a", {})))
    dax.socket.sendall(request * count)
    time.sleep(0.5)
    assert server.memory_bytes() - before < 30_000_000
    for _ in range(count):
        assert dax.reader.item() == []
        assert dax.item(dax.reader.item()[0]) == large
    assert dax.get(table, "a") == large


# ---- coherent mode ----


def wait_passed(server, records):
    deadline = time.monotonic() + 60
    while (passed := server.metric("stator_dax_coherent_records_total")) < records and time.monotonic() < deadline:
        time.sleep(0.002)
    assert passed == records


def wait_covered(server, dax, table):
    dax.get(table, "nobody")
    deadline = time.monotonic() + 60
    while server.metric("stator_dax_coherent_tables") < 1 and time.monotonic() < deadline:
        time.sleep(0.01)


def test_coherent_no_read_is_stale_once_the_record_has_passed(node):
    server, client, dax, table = node("--dax-coherent")
    wait_covered(server, dax, table)
    rng, state, records = random.Random(7), {}, 0
    for _ in range(150):
        key, value = f"k{rng.randrange(6)}", rng.randrange(10**9)
        if rng.random() < 0.4:
            put_directly(client, table, key, value)
        elif rng.random() < 0.5:
            client.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": {"pk": {"S": key}, "v": {"N": str(value)}}}}])
        else:
            dax.put(table, key, {"v": value})
        state[key] = {"v": value}
        records += 1
        wait_passed(server, records)
        for k in rng.sample(sorted(state), min(3, len(state))):
            assert dax.get(table, k) == state[k]
            assert dax.query(table, "pk", k) == {k: state[k]}
        assert dax.scan(table) == state
    assert server.metric("stator_dax_cache_hits_total", cache="item", table=table) > 100


def test_coherent_what_was_written_through_stays_in_the_cache(node):
    server, _, dax, table = node("--dax-coherent")
    wait_covered(server, dax, table)
    for n in range(20):
        dax.put(table, "a", {"v": n})
    wait_passed(server, 20)
    misses = server.metric("stator_dax_cache_misses_total", cache="item", table=table)
    assert dax.get(table, "a") == {"v": 19}
    assert server.metric("stator_dax_cache_misses_total", cache="item", table=table) == misses


def test_coherent_clusters_of_the_control_plane(start_server):
    """Each node reads the log for itself; whichever is asked, nothing is stale once its record has passed there."""
    server = start_server("--ephemeral", "--dax-coherent", "--dax-ports", "0")
    client, control = make_client(server.endpoint), make_client(server.endpoint, service="dax")
    table = create(client, "pk:S")
    control.create_cluster(ClusterName="c", NodeType="dax.r5.large", ReplicationFactor=2,
                           IamRoleArn="arn:aws:iam::123456789012:role/dax")
    while (cluster := control.describe_clusters(ClusterNames=["c"])["Clusters"][0])["Status"] != "available":
        time.sleep(0.01)
    nodes = {n["NodeId"]: DaxClient(f"{n['Endpoint']['Address']}:{n['Endpoint']['Port']}") for n in cluster["Nodes"]}

    def metric(name, node):
        return server.metric(f"stator_dax_coherent_{name}", node=node) or 0

    def wait(name, value):
        deadline = time.monotonic() + 60
        while any(metric(name, node) < value for node in nodes):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    for node in nodes.values():
        node.get(table, "nobody")
    wait("tables", 1)
    for n in range(1, 41):
        if n % 2:
            client.put_item(TableName=table, Item={"pk": {"S": "a"}, "v": {"N": str(n)}})
        else:
            list(nodes.values())[n // 2 % 2].put(table, "a", {"v": n})
        wait("records_total", n)
        for node in nodes.values():
            for _ in range(2):
                assert node.get(table, "a") == {"v": n}
                assert node.query(table, "pk", "a") == {"a": {"v": n}}
    for node in nodes:
        assert server.metric("stator_dax_cache_hits_total", node=node, cache="item", table=table) >= 40
    for node in nodes.values():
        node.close()

"""The control plane at work while writers write (crash_world.py), and what must be left of it.

One thread makes, alters and deletes tables, rolls and splits shards, moves the clock and trims, and uses what DAX keeps on
the disk. It knows what was acknowledged; of the one call in flight either outcome is right.
"""

import random
import threading
import time

import controls
import crash_world
from crash_world import LEDGER, MAIN, Gone, Refused, Wire, check_in_step, name_of
from dax_client import DEFINE_LIST, DaxClient, DaxError

ITEMS = 150  # of a table that comes and goes: a backfill takes some steps
TABLES = 4
PARTITIONS = 10  # no more splits then
GROUPS = 6

# what passes a point, where chance alone would take long to get there
LEADS_TO = {
    "drop": ["delete"], "table-deleting": ["delete"], "table-created": ["make"], "table-updated": ["add_index", "stream"],
    "settle": ["stream"], "stream-ended": ["stream"], "stream-forgotten": ["stream", "stream", "trim"],
    "index-dropped": ["add_index", "drop_index"], "backfill": ["add_index", "drop_index"], "ttl-dropped": ["ttl", "ttl"],
    "shard-rolled": ["roll"], "shards-forgotten": ["roll", "trim"], "split": ["split"], "trim": ["trim"],
    "log-dropped": ["delete", "trim"], "tokens": ["trim"], "engine-range": ["delete"], "engine-files": ["delete"],
    "engine-reclaim": ["delete", "bulk", "trim"], "engine-manifest": ["delete", "bulk", "trim"], "fleet": ["group"], "list": ["list"], "catalog": ["alter"],
}


class Expected:
    """Of a table: what each of its properties may be. Two values: a change was in flight."""

    def __init__(self):
        self.properties = {"there": {False}, "indexes": {frozenset()}, "stream": {False}, "ttl": {False}, "tag": {None}}
        self.items = set()  # names acknowledged that do not expire
        self.switched = False  # TTL was, once: not again within the hour

    def known(self, name):
        (value,) = self.properties[name]
        return value


class Control(threading.Thread):
    """One life. `tables`, `groups` and `lists` are the world's and live on."""

    def __init__(self, world, server, commands, point=None):
        super().__init__(daemon=True)
        self.world, self.server, self.controls = world, server, commands
        self.random = random.Random(world.random.random())
        self.hints = next((ways for start, ways in LEADS_TO.items() if point and point.startswith(start)), [])
        self.failure = None
        self.hint = 0

    # ---- what is told and what is known ----

    def change(self, table, name, new, call):
        """Both are possible while it is in flight; a refusal leaves the old."""
        expected = self.world.tables[table]
        old = expected.known(name)
        expected.properties[name] = {old, new}
        try:
            call()
        except Refused as refused:
            if refused.status != 500:
                expected.properties[name] = {old}
            raise
        expected.properties[name] = {new}

    def pick(self, **wanted):
        tables = [t for t, e in self.world.tables.items()
                  if all(len(v) == 1 for v in e.properties.values()) and all(e.known(n) == v for n, v in {"there": True, **wanted}.items())]
        return self.random.choice(tables) if tables else None

    # ---- tables ----

    def make(self):
        world = self.world
        if sum(True in e.properties["there"] for e in world.tables.values()) >= TABLES:
            return self.delete()
        world.made += 1
        table = f"churn-{world.made}"
        world.tables[table] = expected = Expected()
        stream = self.random.random() < 0.5
        specification = {
            "TableName": table, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [{"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                                        "Projection": {"ProjectionType": "ALL"}}],
        }
        if stream:
            specification["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        expected.properties.update(indexes={frozenset(["by-g"])}, stream={stream})
        self.change(table, "there", True, lambda: self.wire("CreateTable", specification))
        world.wait_active(self.wire, table)
        self.fill(table, ITEMS, 20)
        return None

    def fill(self, table, count, pad):
        expected = self.world.tables[table]
        now = int(time.time())
        for start in range(0, count, 25):
            items = [{"pk": {"S": f"{table}-{pad}-{i}"}, "g": {"S": f"g{i % 7}"}, "h": {"N": str(i % 11)}, "pad": {"S": "x" * pad},
                      **({"expires": {"N": str(now - 60)}} if i % 3 == 0 else {})} for i in range(start, start + 25)]
            self.wire("BatchWriteItem", {"RequestItems": {table: [{"PutRequest": {"Item": item}} for item in items]}})
            expected.items |= {name_of(table, item) for item in items if "expires" not in item}

    def bulk(self):
        """Enough that dropping it leaves room to be taken back."""
        table = self.pick() or self.make() or self.pick()
        if table:
            self.fill(table, 100, 60_000)

    def delete(self):
        table = self.pick()
        if table:
            self.world.wait_active(self.wire, table)
            self.change(table, "there", False, lambda: self.wire("DeleteTable", {"TableName": table}))

    def add_index(self):
        table = self.pick(indexes=frozenset(["by-g"]))
        if table is None:
            return self.make()
        self.world.wait_active(self.wire, table)
        index = {"IndexName": "by-h", "KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}], "Projection": {"ProjectionType": "KEYS_ONLY"}}
        self.change(table, "indexes", frozenset(["by-g", "by-h"]), lambda: self.wire("UpdateTable", {
            "TableName": table, "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in (("g", "S"), ("h", "N"))],
            "GlobalSecondaryIndexUpdates": [{"Create": index}],
        }))
        if self.random.random() < 0.5:
            self.world.wait_active(self.wire, table)
        return None

    def drop_index(self):
        table = self.pick(indexes=frozenset(["by-g", "by-h"]))
        if table is None:
            return self.add_index()
        self.world.wait_active(self.wire, table)
        return self.change(table, "indexes", frozenset(["by-g"]), lambda: self.wire("UpdateTable", {
            "TableName": table, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-h"}}]}))

    def stream(self):
        table = self.pick()
        if table is None:
            return self.make()
        self.world.wait_active(self.wire, table)
        on = not self.world.tables[table].known("stream")
        specification = {"StreamEnabled": on, **({"StreamViewType": "KEYS_ONLY"} if on else {})}
        self.change(table, "stream", on, lambda: self.wire("UpdateTable", {"TableName": table, "StreamSpecification": specification}))
        if on:
            self.world.wait_active(self.wire, table)
            self.fill(table, 25, 10)
        return None

    def ttl(self):
        """TTL is switched on; where it is on, the clock passes the hour and it is switched off."""
        table = self.pick()
        if table is None:
            return self.make()
        self.world.wait_active(self.wire, table)
        expected = self.world.tables[table]
        on = not expected.known("ttl")
        if expected.switched:
            self.world.move_clock(self.controls, 2)
        expected.switched = True
        return self.change(table, "ttl", on, lambda: self.wire("UpdateTimeToLive", {
            "TableName": table, "TimeToLiveSpecification": {"Enabled": on, "AttributeName": "expires"}}))

    def alter(self):
        """Small changes of the catalog."""
        table = self.pick()
        if table is None:
            return self.make()
        arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}"
        value = str(self.random.randrange(1000))
        self.change(table, "tag", value, lambda: self.wire("TagResource", {"ResourceArn": arn, "Tags": [{"Key": "k", "Value": value}]}))
        self.wire("UpdateContributorInsights", {"TableName": table, "ContributorInsightsAction": self.random.choice(["ENABLE", "DISABLE"])})
        return None

    # ---- shards and time ----

    def roll(self):
        self.controls("shard-roll", table=self.random.choice([MAIN, LEDGER]))

    def split(self):
        table = self.random.choice([MAIN, LEDGER])
        if self.world.splits.get(table, 0) >= PARTITIONS:
            table = self.pick()
        if table:
            self.world.splits[table] = self.world.splits.get(table, 0) + 1
            self.controls("partition-split", table=table)

    def maintain(self):
        self.controls("stream-maintain")

    def sweep(self):
        self.controls("ttl-sweep")

    def trim(self):
        self.world.move_clock(self.controls, 25)
        self.controls("stream-maintain")

    # ---- DAX ----

    def group(self):
        world = self.world
        name = f"group-{self.random.randrange(GROUPS)}"
        there = world.groups.get(name, {False})
        if len(there) > 1:
            return
        new = not (True in there)
        world.groups[name] = {True, False}
        try:
            if new:
                self.wire("CreateParameterGroup", {"ParameterGroupName": name, "Description": "d"}, "DAX")
            else:
                self.wire("DeleteParameterGroup", {"ParameterGroupName": name}, "DAX")
        except Refused as refused:
            if refused.status != 500:
                world.groups[name] = there
            raise
        world.groups[name] = {new}

    def list(self):
        """An attribute list of DAX: an id that was told means the same names for ever."""
        if self.dax is None:
            self.dax = DaxClient(self.server.health()["dax"])
        self.world.listed += 1
        names = (f"a{self.world.listed}", f"b{self.random.randrange(100)}")
        try:
            self.dax.put(DAXED, "k", dict.fromkeys(names, "v"))
        except DaxError as error:
            raise Gone("dax") from error  # the disk fails
        except (OSError, EOFError, IndexError, KeyError):
            raise Gone("dax") from None
        finally:
            if tuple(sorted(names)) in self.dax.ids:
                self.world.lists[self.dax.ids[tuple(sorted(names))]] = sorted(names)

    # ---- the thread ----

    def once(self):
        ways = [self.make, self.make, self.delete, self.add_index, self.drop_index, self.stream, self.ttl, self.alter, self.roll,
                self.split, self.maintain, self.sweep, self.group, self.group, self.list, self.list]
        if self.hints and self.random.random() < 0.8:
            way = getattr(self, self.hints[self.hint % len(self.hints)])
            self.hint += 1
        else:
            way = self.random.choice(ways)
        try:
            way()
        except controls.Refused as refused:
            return refused.status != 500
        except Refused as refused:
            if refused.status == 500 or refused.code in ("ResourceInUseException", "LimitExceededException"):
                return refused.status != 500
            if "within a fixed interval" in refused.message:
                return True  # the clock is back since TTL was switched
            if refused.code == "ResourceNotFoundException" and way in (self.drop_index, self.add_index):
                return True
            raise
        return True

    def run(self):
        self.dax = None
        try:
            self.wire = Wire(self.server)
        except OSError:
            return
        try:
            while not self.world.stopping and self.once():
                pass
        except (Gone, OSError, EOFError):
            pass
        except BaseException as failure:  # noqa: BLE001 - told by the main thread
            self.failure = failure
        finally:
            self.wire.close()
            if self.dax:
                self.dax.close()


DAXED = "daxed"
DAXED_TABLE = {
    "TableName": DAXED, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}


class ControlledWorld(crash_world.World):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tables, self.groups, self.lists, self.splits = {}, {}, {}, {}
        self.made = self.listed = 0
        self.control = None

    def create(self, wire):
        super().create(wire)
        if wire.ask("DescribeTable", {"TableName": DAXED}).status != 200:
            wire("CreateTable", DAXED_TABLE)
        self.wait_active(wire, DAXED)

    def start_control(self, server, commands, point=None):
        self.control = Control(self, server, commands, point)
        self.control.start()

    def end_control(self):
        self.stopping = True
        if self.control:
            self.control.join()
            if self.control.failure:
                raise self.control.failure

    def check(self, wire, control, live=False):
        """live: in the life in which a call failed. What it was to do may be found after the next start all the same."""
        for table, expected in self.tables.items():
            before = {name: set(values) for name, values in expected.properties.items()}
            self.check_table(wire, control, table, expected)
            if live:
                expected.properties.update((name, values) for name, values in before.items() if len(values) > 1)
        self.tables = {t: e for t, e in self.tables.items() if e.properties["there"] != {False}}
        groups = {name: set(there) for name, there in self.groups.items()}
        self.check_dax(wire)
        if live:
            self.groups.update((name, there) for name, there in groups.items() if len(there) > 1)
        super().check(wire, control, live)

    def wait_gone(self, wire, table):
        until = time.monotonic() + 60
        while wire.ask("DescribeTable", {"TableName": table}).status == 200:
            assert time.monotonic() < until, f"{table} was deleted and stays"
            time.sleep(0.01)

    def check_table(self, wire, control, table, expected):
        there = expected.properties["there"]
        answer = wire.ask("DescribeTable", {"TableName": table})
        if answer.status == 200 and answer.json["Table"]["TableStatus"] == "DELETING":
            assert False in there, f"{table}: is being deleted by itself"
            self.wait_gone(wire, table)
            answer = wire.ask("DescribeTable", {"TableName": table})
        found = answer.status == 200
        assert found in there, f"{table}: there {found}, expected {there}"
        expected.properties["there"] = {found}
        if not found:
            return
        described = self.wait_active(wire, table)
        arn = described["TableArn"]
        ttl = self.wait_ttl(wire, table)
        facts = {
            "indexes": frozenset(i["IndexName"] for i in described.get("GlobalSecondaryIndexes", [])),
            "stream": described.get("StreamSpecification", {}).get("StreamEnabled", False),
            "ttl": ttl == "ENABLED",
            "tag": next((t["Value"] for t in wire("ListTagsOfResource", {"ResourceArn": arn})["Tags"] if t["Key"] == "k"), None),
        }
        for name, value in facts.items():
            assert value in expected.properties[name], f"{table}: {name} is {value}, expected {expected.properties[name]}"
            expected.properties[name] = {value}
        if facts["ttl"]:
            control("ttl-sweep", table=table)
        items = check_in_step(wire, table)
        names = {name_of(table, item) for item in items}
        assert expected.items <= names, f"{table}: {len(expected.items - names)} acknowledged items are missing"
        if facts["ttl"]:
            assert not any("expires" in item for item in items), f"{table}: items that are due stay"

    def wait_ttl(self, wire, table):
        until = time.monotonic() + 60
        while True:
            state = wire("DescribeTimeToLive", {"TableName": table})["TimeToLiveDescription"]["TimeToLiveStatus"]
            if state in ("ENABLED", "DISABLED"):
                return state
            assert time.monotonic() < until, f"TTL of {table} stays {state}"
            time.sleep(0.01)

    def check_dax(self, wire):
        if self.groups:
            listed = {g["ParameterGroupName"] for g in wire("DescribeParameterGroups", {}, "DAX")["ParameterGroups"]}
            for name, there in self.groups.items():
                assert (name in listed) in there, f"{name}: {name in listed}, expected {there}"
                self.groups[name] = {name in listed}
        if self.lists:
            client = DaxClient(wire.connection.server.health()["dax"])
            try:
                for number in self.random.sample(sorted(self.lists), min(len(self.lists), 20)):
                    told = client.call(DEFINE_LIST, number)
                    assert sorted(told) == self.lists[number], f"list {number} is {told}, it was {self.lists[number]}"
            finally:
                client.close()

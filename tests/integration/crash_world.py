"""A server with everything going on, and what must be true of it after whatever cut it short.

Writers put, update, delete, batch-write and transact items of their own, so each knows what its items must be, which change
records their stream must hold and which transactions were done. A World outlives the server's lives: restart() and check()
compare all of it with what is found. crash_control.py adds the control plane.
"""

import collections
import json
import random
import threading
import time

from raw_http import Connection, sign

WRITERS = 6
KEYS = 24  # of each writer
HOUR = 3600
MAIN, LEDGER = "main", "ledger"

Change = collections.namedtuple("Change", "event old new hours")  # hours: how far the clock was ahead when it was sent
TARGETS = {"DynamoDB": "DynamoDB_20120810.", "Streams": "DynamoDBStreams_20120810.", "DAX": "AmazonDAXV3."}


class Refused(Exception):
    def __init__(self, operation, answer):
        super().__init__(f"{operation}: {answer.status} {answer.body[:300]!r}")
        self.status, self.code = answer.status, answer.json.get("__type", "").split("#")[-1]
        self.message = answer.json.get("message", "")


class Gone(Exception):
    """The server went away in the middle of a call: it was done, or it was not."""


class Wire:
    """Calls by hand. Any signature will do, so one is made and used again: most of a client's time goes into those."""

    def __init__(self, server):
        self.connection = Connection(server, timeout=60)
        headers = {"host": self.connection.host, "content-type": "application/x-amz-json-1.0"}
        self.head = "".join(f"{k}: {v}\r\n" for k, v in sign(headers, b"").items()).encode()

    def close(self):
        self.connection.socket.close()

    def send(self, operation, body, service="DynamoDB"):
        data = json.dumps(body).encode()
        self.connection.send(b"POST / HTTP/1.1\r\nx-amz-target: %s\r\ncontent-length: %d\r\n%s\r\n%s" % (
            (TARGETS[service] + operation).encode(), len(data), self.head, data))

    def ask(self, operation, body, service="DynamoDB"):
        """The answer, whatever it is."""
        try:
            self.send(operation, body, service)
            return self.connection.read()
        except (EOFError, OSError, ValueError, IndexError):
            raise Gone(operation) from None

    def __call__(self, operation, body, service="DynamoDB"):
        answer = self.ask(operation, body, service)
        if answer.status != 200:
            raise Refused(operation, answer)
        return answer.json if answer.body else None

    def pages(self, operation, body, start="ExclusiveStartKey", last="LastEvaluatedKey", service="DynamoDB"):
        while True:
            page = self(operation, body, service)
            yield page
            if last not in page:
                return
            body = {**body, start: page[last]}

    def scan(self, table, index=None):
        body = {"TableName": table, **({"IndexName": index} if index else {"ConsistentRead": True})}
        return [item for page in self.pages("Scan", body) for item in page["Items"]]


def name_of(table, item):
    return table, item["pk"]["S"], item["sk"]["N"] if "sk" in item else ""


def key_of(name):
    return {"pk": {"S": name[1]}, **({"sk": {"N": name[2]}} if name[2] else {})}


MAIN_TABLE = {
    "TableName": MAIN,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in (("pk", "S"), ("sk", "N"), ("g", "S"), ("l", "N"))],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}},
        {
            "IndexName": "by-gl",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
        },
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-l",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "VectorIndexes": [
        {
            "IndexName": "near",
            "VectorAttribute": {"AttributeName": "e"},
            "Dimensions": 3,
            "DistanceFunction": "EUCLIDEAN",
            "SearchSchema": [{"AttributeName": "g", "SearchSchemaElementType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
LEDGER_TABLE = {
    "TableName": LEDGER,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


class Flight:
    """What was sent and not answered. changes: name -> what the item became, if it was done."""

    def __init__(self, changes, hours, together=False, again=None):
        self.changes, self.hours, self.together, self.again = changes, hours, together, again


class Book:
    """What one writer knows, over all lives of the server."""

    def __init__(self, number, seed):
        self.number = number
        self.random = random.Random(seed * 100 + number)
        self.now = {}  # name -> item; missing: not there
        self.news = collections.defaultdict(list)  # name -> changes since the streams were last compared
        self.due = {}  # name -> (item, hours): expired when written; acknowledged
        self.flight = None
        self.last_transaction = None  # its request, to be sent again; with the clock's generation
        self.version = 0
        self.transactions = 0
        self.expired = 0
        self.acknowledged = 0

    def became(self, name, new, hours):
        old = self.now.get(name)
        if new is None:
            self.now.pop(name, None)
        else:
            self.now[name] = new
        if old != new:
            event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
            self.news[name].append(Change(event, old, new, hours))


class Writer(threading.Thread):
    """One life. Ends with the server, or with the first answer that is no answer (InternalServerError)."""

    def __init__(self, world, book, server):
        super().__init__(daemon=True)
        self.world, self.book, self.server = world, book, server
        self.failure = self.ended = None
        self.idle = self.resting = False
        self.done = 0  # written in this life

    def name(self, i):
        return MAIN, f"w{self.book.number}", str(i)

    def fresh(self, name):
        dice, book = self.book.random, self.book
        book.version += 1
        item = {**key_of(name), "v": {"N": str(book.version)}, "pad": {"S": "p" * dice.choice((0, 30, 900))}}
        if dice.random() < 0.7:
            item["g"] = {"S": f"g{dice.randrange(5)}"}
        if dice.random() < 0.7:
            item["l"] = {"N": str(dice.randrange(100))}
        if dice.random() < 0.5:
            item["e"] = {"L": [{"N": str(dice.randrange(9))} for _ in range(3)]}
        return item

    def put(self):
        name = self.name(self.book.random.randrange(KEYS))
        item = self.fresh(name)
        return "PutItem", {"TableName": MAIN, "Item": item}, Flight({name: item}, self.world.hours)

    def update(self):
        dice, book = self.book.random, self.book
        name = self.name(dice.randrange(KEYS))
        book.version += 1
        item = {**book.now.get(name, key_of(name)), "v": {"N": str(book.version)}, "g": {"S": f"g{dice.randrange(5)}"}}
        item.pop("l", None)
        return "UpdateItem", {
            "TableName": MAIN, "Key": key_of(name), "UpdateExpression": "SET v = :v, g = :g REMOVE l",
            "ExpressionAttributeValues": {":v": item["v"], ":g": item["g"]},
        }, Flight({name: item}, self.world.hours)

    def delete(self):
        name = self.name(self.book.random.randrange(KEYS))
        return "DeleteItem", {"TableName": MAIN, "Key": key_of(name)}, Flight({name: None}, self.world.hours)

    def batch(self):
        requests, changes = [], {}
        for i in self.book.random.sample(range(KEYS), 6):
            name = self.name(i)
            if self.book.random.random() < 0.3:
                changes[name] = None
                requests.append({"DeleteRequest": {"Key": key_of(name)}})
            else:
                changes[name] = self.fresh(name)
                requests.append({"PutRequest": {"Item": changes[name]}})
        return "BatchWriteItem", {"RequestItems": {MAIN: requests}}, Flight(changes, self.world.hours)

    def transact(self):
        """Three counters and an item, all or none; with a token, so that sending it again does not count again."""
        book = self.book
        book.transactions += 1
        changes, actions = {}, []
        for account in "abc":
            name = LEDGER, f"w{book.number}-{account}", ""
            n = int(book.now[name]["n"]["N"]) if name in book.now else 0
            changes[name] = {**key_of(name), "n": {"N": str(n + 1)}}
            actions.append({"Update": {"TableName": LEDGER, "Key": key_of(name), "UpdateExpression": "ADD n :one",
                                       "ExpressionAttributeValues": {":one": {"N": "1"}}}})
        name = self.name(book.random.randrange(KEYS))
        changes[name] = self.fresh(name)
        actions.append({"Put": {"TableName": MAIN, "Item": changes[name]}})
        body = {"TransactItems": actions, "ClientRequestToken": f"w{book.number}-{book.transactions}-{self.world.seed}"}
        return "TransactWriteItems", body, Flight(changes, self.world.hours, together=True, again=body)

    def refused(self):
        name = self.name(self.book.random.randrange(KEYS))
        return "PutItem", {
            "TableName": MAIN, "Item": {**key_of(name), "v": {"N": "-1"}}, "ConditionExpression": "v = :never",
            "ExpressionAttributeValues": {":never": {"N": "-2"}},
        }, None

    def expire(self):
        book = self.book
        book.expired += 1
        name = MAIN, f"t{book.number}", str(book.expired)
        item = {**key_of(name), "expires": {"N": str(int(time.time()) - 5)}, "g": {"S": "due"}}
        return "PutItem", {"TableName": MAIN, "Item": item}, Flight({name: item}, self.world.hours)

    def again(self):
        """The last acknowledged transaction once more: answered, and nothing happens."""
        return "TransactWriteItems", self.book.last_transaction[0], Flight({}, self.world.hours)

    def choose(self):
        dice = self.book.random
        ways = [self.put] * 3 + [self.update] * 3 + [self.delete, self.batch, self.batch, self.refused, self.expire]
        ways += [self.transact] * 3
        if self.book.last_transaction and self.book.last_transaction[1] == self.world.clock_moves:
            ways.append(self.again)
        return dice.choice(ways)()

    def answered(self, flight):
        book = self.book
        book.flight = None
        if flight is None:
            return
        for name, new in flight.changes.items():
            if name[1].startswith("t"):
                book.due[name] = new, flight.hours
            else:
                book.became(name, new, flight.hours)
        if flight.again:
            book.last_transaction = flight.again, self.world.clock_moves
        book.acknowledged += 1
        self.done += 1

    def step(self, wire):
        operation, body, flight = self.choose()
        self.book.flight = flight
        answer = wire.ask(operation, body)
        if answer.status == 400 and flight is None and answer.error == "ConditionalCheckFailedException":
            self.book.flight = None
            return True
        if answer.status == 500:
            self.ended = answer.body
            return False
        assert answer.status == 200 and flight is not None, (operation, answer.status, answer.body)
        if operation == "BatchWriteItem" and answer.json["UnprocessedItems"]:
            self.ended = answer.body  # what was not done is not known here: found out with what was in flight
            return False
        self.answered(flight)
        return True

    def run(self):
        try:
            wire = Wire(self.server)
        except OSError:
            return
        try:
            while not (self.world.stopping or self.resting) and self.step(wire):
                self.idle = self.world.clock_moving  # the clock moves between two writes, never during one
                while self.world.clock_moving and not self.world.stopping:
                    time.sleep(0.002)
                self.idle = False
        except Gone:
            pass
        except BaseException as failure:  # noqa: BLE001 - told by the main thread
            self.failure = failure
        finally:
            wire.close()


class Tail:
    """Reads the streams of a table from where it was, over restarts: positions given out stay good."""

    def __init__(self, table):
        self.table = table
        self.positions = {}  # shard -> last sequence number read
        self.finished = set()
        self.outlived = set()  # shards whose position may have been trimmed
        self.records = 0

    def new_records(self, wire, may_be_trimmed):
        """item -> [(event, old, new, ttl)] since the last call, in the order of its shards."""
        arn = wire("DescribeTable", {"TableName": self.table})["Table"]["LatestStreamArn"]
        shards = {}
        request = {"StreamArn": arn}
        while True:
            page = wire("DescribeStream", request, "Streams")["StreamDescription"]
            shards.update((s["ShardId"], s) for s in page["Shards"])
            if "LastEvaluatedShardId" not in page:
                break
            request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]
        seen = collections.defaultdict(list)
        waiting = {s: shards[s] for s in shards if s not in self.finished}
        read = set()
        while waiting:
            ready = [s for s in waiting if waiting[s].get("ParentShardId") not in waiting]
            assert ready, "shards that are each other's parents"
            for shard in ready:
                self.read_shard(wire, arn, waiting.pop(shard), seen, may_be_trimmed)
                read.add(shard)
        self.finished &= set(shards)
        return seen

    def read_shard(self, wire, arn, shard, seen, may_be_trimmed):
        """A position may lie in what was trimmed: then what is left of the shard is all new."""
        name, at = shard["ShardId"], self.positions.get(shard["ShardId"])
        starts = [{"ShardIteratorType": "TRIM_HORIZON"}]
        if at:
            starts.insert(0, {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": at})
        for start in starts:
            try:
                iterator = wire("GetShardIterator", {"StreamArn": arn, "ShardId": name, **start}, "Streams")["ShardIterator"]
                self.read_from(wire, iterator, shard, seen)
                break
            except Refused as refused:
                if refused.code not in ("TrimmedDataAccessException", "ResourceNotFoundException"):
                    raise
                if not may_be_trimmed and name not in self.outlived:
                    raise
        if self.positions.get(name) != at:
            self.outlived.discard(name)
        elif may_be_trimmed:
            self.outlived.add(name)

    def read_from(self, wire, iterator, shard, seen):
        closed = "EndingSequenceNumber" in shard["SequenceNumberRange"]
        while iterator:
            page = wire("GetRecords", {"ShardIterator": iterator}, "Streams")
            for record in page["Records"]:
                change = record["dynamodb"]
                number = change["SequenceNumber"]
                before = self.positions.get(shard["ShardId"])
                assert before is None or int(number) > int(before), f"{number} comes after {before}"
                self.positions[shard["ShardId"]] = number
                ttl = record.get("userIdentity", {}).get("PrincipalId") == "dynamodb.amazonaws.com"
                seen[name_of(self.table, change["Keys"])].append(
                    (record["eventName"], change.get("OldImage"), change.get("NewImage"), ttl))
                self.records += 1
            iterator = page.get("NextShardIterator")
            if not closed and not page["Records"]:
                return
        self.finished.add(shard["ShardId"])


def rows_of(items, attributes, keep=None):
    rows = [item for item in items if all(a in item for a in attributes)]
    return sorted(json.dumps({k: v for k, v in item.items() if keep is None or k in keep}, sort_keys=True) for item in rows)


def check_in_step(wire, table):
    """Index rows, vectors and counts are what the items say. -> the items"""
    described = wire("DescribeTable", {"TableName": table})["Table"]
    items = wire.scan(table)
    if described["ItemCount"] != len(items):
        time.sleep(1)
        later = wire("DescribeTable", {"TableName": table})["Table"]["ItemCount"], len(wire.scan(table))
        raise AssertionError(f"{table}: counted {described['ItemCount']}, found {len(items)}; a second later {later}")
    keys = [k["AttributeName"] for k in described["KeySchema"]]
    for index in described.get("GlobalSecondaryIndexes", []) + described.get("LocalSecondaryIndexes", []):
        own = [k["AttributeName"] for k in index["KeySchema"]]
        projection = index["Projection"]
        keep = None if projection["ProjectionType"] == "ALL" else {*keys, *own, *projection.get("NonKeyAttributes", [])}
        found = sorted(json.dumps(row, sort_keys=True) for row in wire.scan(table, index["IndexName"]))
        expected = rows_of(items, own, keep)
        assert found == expected, f"{table} {index['IndexName']}: {set(found) ^ set(expected)}"
        assert index["ItemCount"] == len(found), f"{table} {index['IndexName']}: counted {index['ItemCount']}, found {len(found)}"
    for index in described.get("VectorIndexes", []):
        check_vectors(wire, table, index, items)
    return items


def check_vectors(wire, table, index, items):
    vector, group = index["VectorAttribute"]["AttributeName"], index["SearchSchema"][0]["AttributeName"]
    expected = collections.defaultdict(set)
    for item in items:
        if vector in item and group in item:
            expected[item[group]["S"]].add(name_of(table, item))
    assert index["ItemCount"] == sum(map(len, expected.values())), f"{table} {index['IndexName']}: counts"
    for value in {item[group]["S"] for item in items if group in item}:
        found = wire("SearchVectors", {
            "TableName": table, "IndexName": index["IndexName"], "TopK": 100, "SearchVector": [{"N": "0"}] * 3,
            "SearchConditionExpression": f"{group} = :g", "ExpressionAttributeValues": {":g": {"S": value}},
        })["SearchResults"]
        assert len(expected[value]) <= 100, "more than a search tells"
        names = {name_of(table, result["Item"]) for result in found}
        assert names == expected[value], f"{table} {index['IndexName']} {value}: {names ^ expected[value]}"


class World:
    """start(options) makes a server; check(wire) compares it with the books."""

    def __init__(self, seed, writers=WRITERS):
        self.seed = seed
        self.random = random.Random(seed)
        self.books = [Book(i, seed) for i in range(writers)]
        self.tails = [Tail(MAIN), Tail(LEDGER)]
        self.hours = 0  # the clock is so far ahead, in this life
        self.clock_moves = 0  # how often it was moved, in all lives
        self.most_hours = 0  # since the streams were last compared
        self.stopping = self.clock_moving = False
        self.writers = []
        self.checks = 0

    # ---- one life ----

    def create(self, wire):
        for table in (MAIN_TABLE, LEDGER_TABLE):
            try:
                wire("CreateTable", table)
            except Refused as refused:
                if refused.code != "ResourceInUseException":
                    raise
        for table in (MAIN, LEDGER):
            self.wait_active(wire, table)
        try:
            wire("UpdateTimeToLive", {"TableName": MAIN, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"}})
        except Refused as refused:
            if "TimeToLive" not in refused.message:
                raise

    def wait_active(self, wire, table):
        until = time.monotonic() + 60
        while True:
            described = wire("DescribeTable", {"TableName": table})["Table"]
            states = {described["TableStatus"]}
            states |= {i["IndexStatus"] for i in described.get("GlobalSecondaryIndexes", []) + described.get("VectorIndexes", [])}
            if states == {"ACTIVE"}:
                return described
            assert time.monotonic() < until, f"{table} stays {states}"
            time.sleep(0.01)

    def start_writers(self, server):
        self.stopping = False
        self.writers = [Writer(self, book, server) for book in self.books]
        for writer in self.writers:
            writer.start()

    def rest(self, book):
        """Its writer ends now, with everything answered."""
        (writer,) = [w for w in self.writers if w.book is book]
        writer.resting = True
        writer.join()

    def end_writers(self):
        """After the server's end, or to let it live."""
        self.stopping = True
        for writer in self.writers:
            writer.join()
            if writer.failure:
                raise writer.failure

    def server_ended(self):
        self.hours = 0  # the next one begins with the machine's time

    def move_clock(self, control, hours):
        """While no writer writes: so it is known by which clock each write was made."""
        self.clock_moving = True
        try:
            while any(w.is_alive() and not w.idle for w in self.writers):
                if self.stopping:
                    return  # they may be in the middle of a write, and are not waited for
                time.sleep(0.002)
            self.clock_moves += 1
            self.most_hours = max(self.most_hours, self.hours + hours)
            control("clock-advance", seconds=hours * HOUR)
            self.hours += hours
        finally:
            self.clock_moving = False

    @property
    def acknowledged(self):
        return sum(book.acknowledged for book in self.books)

    # ---- afterwards ----

    def check(self, wire, control, live=False):
        """live: the server is the one that wrote."""
        for table in (MAIN, LEDGER):
            self.wait_active(wire, table)
        before = {name_of(table, item): item for table in (MAIN, LEDGER) for item in wire.scan(table)}
        control("ttl-sweep", table=MAIN)
        due = {}
        for book in self.books:
            self.land(wire, book, before)
            due.update(book.due)
            book.due = {}
        found = {name_of(table, item): item for table in (MAIN, LEDGER) for item in check_in_step(wire, table)}
        expected = {name: item for book in self.books for name, item in book.now.items()}
        for name in {*found, *expected}:
            assert found.get(name) == expected.get(name), f"{name}: found {found.get(name)}, expected {expected.get(name)}"
        self.check_tokens(wire)
        self.check_streams(wire, due)
        self.checks += 1

    def land(self, wire, book, found):
        """What was in flight happened or not: the items tell. A transaction that did not is sent again, once more."""
        flight, book.flight = book.flight, None
        for name in book.now:
            if flight is None or name not in flight.changes:
                assert found.get(name) == book.now[name], f"{name}: found {found.get(name)}, acknowledged {book.now[name]}"
        if flight is None:
            return
        done = {name: found.get(name) == new for name, new in flight.changes.items()}
        for name, new in flight.changes.items():
            if name[1].startswith("t"):
                # gone again by now, if it was there: what its stream tells is compared all the same
                book.due[name] = new, flight.hours
                if not done[name]:
                    book.due[name] = new, None
                return
            assert done[name] or found.get(name) == book.now.get(name), (
                f"{name}: found {found.get(name)}, acknowledged {book.now.get(name)}, in flight {new}")
        if flight.together and flight.changes:
            counted = {done[name] for name in flight.changes}
            assert len(counted) == 1, f"half a transaction: {done}"
        for name, new in flight.changes.items():
            if done[name]:
                book.became(name, new, flight.hours)
        if flight.again and self.most_hours == 0:
            wire("TransactWriteItems", flight.again)
            if not all(done.values()):
                for name, new in flight.changes.items():
                    book.became(name, new, flight.hours)
            book.last_transaction = flight.again, self.clock_moves

    def check_tokens(self, wire):
        """The last acknowledged transactions are known: sent again they change nothing, another request is refused."""
        for book in self.books:
            if book.last_transaction is None or book.last_transaction[1] != self.clock_moves:
                continue
            request = book.last_transaction[0]
            wire("TransactWriteItems", request)
            other = {**request, "TransactItems": request["TransactItems"][:-1]}
            answer = wire.ask("TransactWriteItems", other)
            assert answer.error == "IdempotentParameterMismatchException", answer.body
            names = [(LEDGER, f"w{book.number}-{account}", "") for account in "abc"]
            for name in names:
                item = wire("GetItem", {"TableName": LEDGER, "Key": key_of(name), "ConsistentRead": True})["Item"]
                assert item == book.now[name], f"a token was forgotten: {item}, expected {book.now[name]}"

    def check_streams(self, wire, due):
        trimmed = self.most_hours >= 23
        seen = collections.defaultdict(list)
        for tail in self.tails:
            seen.update(tail.new_records(wire, trimmed))
        for book in self.books:
            for name, changes in book.news.items():
                self.compare(name, changes, [(e, o, n) for e, o, n, _ in seen.pop(name, [])])
            book.news.clear()
        for name, (item, hours) in due.items():
            records = seen.pop(name, [])
            whole = [("INSERT", None, item, False), ("REMOVE", item, None, True)]
            if hours is None and not records:
                continue  # it was in flight and never came to be
            allowed = [whole] + ([whole[1:], []] if self.may_be_trimmed(hours or 0) else [])
            assert records in allowed, f"{name}: {records}"
        assert not seen, f"records that nobody wrote: {dict(seen)}"
        self.most_hours = self.hours

    def may_be_trimmed(self, hours):
        return self.most_hours - hours >= 23

    def compare(self, name, changes, records):
        expected = [change[:3] for change in changes]
        if records == expected:
            return
        missing = len(expected) - len(records)
        told = f"{name}: the stream tells {records[-3:]} ({len(records)}), it was {expected[-3:]} ({len(expected)})"
        assert missing > 0 and expected[missing:] == records, told
        assert all(self.may_be_trimmed(change.hours) for change in changes[:missing]), told

"""What the clients of a soak do: every operation there is, on tables whose size is bounded.

Each client also owns items that nobody else touches. It remembers what it wrote to them and finds it when it reads them back.
"""

import random
import socket
import threading
import time
import traceback

from wire import Connection, Refused, secure

MAIN, VECTORS, SMALL, DAX = "soak-main", "soak-vectors", "soak-small", "soak-dax"
KEYS, SORTS, DIMENSIONS = 200, 10, 16

# What the server may answer under throttling, conflicts and injected errors; anything else ends the run.
EXPECTED = {
    "ConditionalCheckFailedException", "TransactionCanceledException", "TransactionConflictException",
    "ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError", "DuplicateItemException",
}


def S(text):
    return {"S": text}


def N(number):
    return {"N": str(number)}


def key_of(pk, sk):
    return {"pk": S(pk), "sk": N(sk)}


def set_up(admin, now):
    """The tables that live as long as the run."""
    admin.send("CreateTable", {
        "TableName": MAIN, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in
                                 (("pk", "S"), ("sk", "N"), ("g", "S"), ("l", "N"))],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "LocalSecondaryIndexes": [{"IndexName": "by-l", "Projection": {"ProjectionType": "ALL"}, "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}]}],
        "GlobalSecondaryIndexes": [
            {"IndexName": "by-g", "Projection": {"ProjectionType": "ALL"}, "KeySchema": [
                {"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}]},
            {"IndexName": "keys", "Projection": {"ProjectionType": "KEYS_ONLY"}, "KeySchema": [
                {"AttributeName": "l", "KeyType": "HASH"}]}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    })
    admin.send("CreateTable", {
        "TableName": VECTORS, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "tenant", "kind")],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "VectorIndexes": [{
            "IndexName": "near", "VectorAttribute": {"AttributeName": "v"}, "Dimensions": DIMENSIONS,
            "DistanceFunction": "COSINE", "Projection": {"ProjectionType": "ALL"}, "SearchSchema": [
                {"AttributeName": "tenant", "SearchSchemaElementType": "HASH"},
                {"AttributeName": "kind", "SearchSchemaElementType": "INLINE_FILTER"}]}],
    })
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    admin.send("CreateTable", {
        "TableName": SMALL, "ProvisionedThroughput": units,
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    })
    admin.send("CreateTable", {
        "TableName": DAX, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    })
    for name in (MAIN, VECTORS, SMALL, DAX):
        wait_active(admin, name)
        admin.send("UpdateContributorInsights", {"TableName": name, "ContributorInsightsAction": "ENABLE"})
    admin.send("UpdateContributorInsights", {"TableName": MAIN, "IndexName": "by-g", "ContributorInsightsAction": "ENABLE"})
    admin.send("UpdateTimeToLive", {"TableName": MAIN, "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "due"}})
    arn = admin.send("DescribeTable", {"TableName": MAIN})["Table"]["TableArn"]
    admin.send("PutResourcePolicy", {"ResourceArn": arn, "Policy": (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/guest"},'
        '"Action":["dynamodb:GetItem","dynamodb:Query"],"Resource":"*"}]}')})


def wait_active(admin, name):
    while True:
        try:
            table = admin.send("DescribeTable", {"TableName": name})["Table"]
            indexes = table.get("GlobalSecondaryIndexes", []) + table.get("VectorIndexes", [])
            if table["TableStatus"] == "ACTIVE" and all(i["IndexStatus"] == "ACTIVE" for i in indexes):
                return table
        except Refused as refused:
            if refused.code != "ResourceNotFoundException":
                raise
        time.sleep(0.01)


def wait_gone(admin, name):
    while True:
        try:
            admin.send("DescribeTable", {"TableName": name})
        except Refused as refused:
            if refused.code == "ResourceNotFoundException":
                return
            raise
        time.sleep(0.01)


class Client(threading.Thread):
    """Does what the dice say, at most `rate` times a second, until told to stop."""

    def __init__(self, soak, number, rate):
        super().__init__(daemon=True)
        self.soak, self.number, self.rate = soak, number, rate
        self.dice = random.Random(soak.seed * 100 + number)
        self.wire = Connection(soak.address, packed=0.2)
        self.guest = Connection(soak.address, "guest")
        self.counts, self.refused, self.failure = {}, {}, None
        self.owned = {}  # (pk, sk) -> text
        self.tokens = 0
        self.ways = [way for way, weight in self.weights() for _ in range(weight)]

    def weights(self):
        return [
            (self.put, 8), (self.update, 8), (self.delete, 3), (self.get, 8), (self.query, 5), (self.scan, 2),
            (self.batch_write, 3), (self.batch_get, 3), (self.transact_write, 4), (self.transact_get, 3),
            (self.partiql, 5), (self.partiql_transaction, 2), (self.partiql_batch, 2), (self.vector_put, 3),
            (self.vector_search, 3), (self.small, 4), (self.legacy, 2), (self.mistake, 4), (self.stranger, 2),
            (self.hang_up, 1), (self.own, 4), (self.look_back, 4), (self.expiring, 4), (self.large, 1), (self.describe, 1),
        ]

    def run(self):
        due = time.monotonic()
        try:
            while not self.soak.stop.is_set():
                way = self.dice.choice(self.ways)
                self.counts[way.__name__] = self.counts.get(way.__name__, 0) + 1
                try:
                    way()
                except Refused as refused:
                    if refused.code not in EXPECTED:
                        raise
                    self.refused[refused.code] = self.refused.get(refused.code, 0) + 1
                due = max(due + 1 / self.rate, time.monotonic() - 1)
                time.sleep(max(0, due - time.monotonic()))
        except Exception:  # whatever it is, the run must know of it
            self.failure = traceback.format_exc()
            self.soak.stop.set()
        finally:
            self.wire.close()
            self.guest.close()

    # -- what is written

    def key(self):
        return key_of(f"k{self.dice.randrange(KEYS)}", self.dice.randrange(SORTS))

    def item(self):
        return {
            **self.key(), "g": S(f"g{self.dice.randrange(20)}"), "l": N(self.dice.randrange(50)),
            "text": S("x" * self.dice.randrange(1000)), "n": N(self.dice.randrange(1000)),
            "set": {"SS": sorted({f"e{self.dice.randrange(9)}" for _ in range(3)})},
            "list": {"L": [N(1), S("two"), {"M": {"deep": {"BOOL": True}}}]},
        }

    def put(self):
        body = {"TableName": MAIN, "Item": self.item()}
        if self.dice.random() < 0.3:
            body.update(ReturnValues="ALL_OLD", ReturnConsumedCapacity="INDEXES")
        if self.dice.random() < 0.3:
            body.update(ConditionExpression="attribute_not_exists(pk) OR n < :n", ExpressionAttributeValues={":n": N(500)},
                        ReturnValuesOnConditionCheckFailure="ALL_OLD")
        self.wire.send("PutItem", body)

    def update(self):
        text, values = self.dice.choice((
            ("SET #t = :a, l = if_not_exists(l, :n) ADD n :n", {":a": S("y" * self.dice.randrange(500)), ":n": N(1)}),
            ("SET g = :g REMOVE #t", {":g": S(f"g{self.dice.randrange(20)}")}),
            ("ADD #s :s", {":s": {"SS": [f"e{self.dice.randrange(9)}"]}}),
            ("SET #l = :l", {":l": {"L": [N(self.dice.randrange(9))] * 3}}),
            ("REMOVE g, l", {}),
        ))
        names = {name: full for name, full in (("#t", "text"), ("#s", "set"), ("#l", "list")) if name in text}
        body = {"TableName": MAIN, "Key": self.key(), "UpdateExpression": text,
                "ReturnValues": self.dice.choice(("NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"))}
        if values:
            body["ExpressionAttributeValues"] = values
        if names:
            body["ExpressionAttributeNames"] = names
        self.wire.send("UpdateItem", body)

    def delete(self):
        self.wire.send("DeleteItem", {"TableName": MAIN, "Key": self.key(), "ReturnValues": "ALL_OLD"})

    def batch_write(self):
        requests = {}
        for _ in range(12):
            item = self.item()
            made = {"DeleteRequest": {"Key": key_of(item["pk"]["S"], item["sk"]["N"])}} if self.dice.random() < 0.3 else \
                {"PutRequest": {"Item": item}}
            requests[(item["pk"]["S"], item["sk"]["N"])] = made
        self.wire.send("BatchWriteItem", {"RequestItems": {MAIN: list(requests.values())}})

    def transact_write(self):
        chosen = {}
        while len(chosen) < 3:
            item = self.item()
            chosen[(item["pk"]["S"], item["sk"]["N"])] = item
        items = list(chosen.values())
        actions = [{"Put": {"TableName": MAIN, "Item": items[0]}},
                   {"Update": {"TableName": MAIN, "Key": key_of(items[1]["pk"]["S"], items[1]["sk"]["N"]),
                               "UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": N(1)}}},
                   {"Delete": {"TableName": MAIN, "Key": key_of(items[2]["pk"]["S"], items[2]["sk"]["N"])}}]
        body = {"TransactItems": actions}
        if self.dice.random() < 0.8:
            self.tokens += 1
            body["ClientRequestToken"] = f"{self.number}-{self.tokens}-{self.soak.seed}"
        self.wire.send("TransactWriteItems", body)
        if "ClientRequestToken" in body and self.dice.random() < 0.3:
            try:
                self.wire.send("TransactWriteItems", body)
            except Refused as refused:  # the clock may have leapt over the token's ten minutes
                if refused.code not in EXPECTED:
                    raise

    def expiring(self):
        item = self.item()
        item["pk"] = S(f"ttl{self.dice.randrange(2000)}")
        item["due"] = N(int(self.soak.clock() + self.dice.choice((-5, 3, 3600, 12 * 3600))))
        self.wire.send("PutItem", {"TableName": MAIN, "Item": item})

    def large(self):
        item = {**key_of(f"large{self.dice.randrange(5)}", 0), "blob": S("z" * self.dice.randrange(390000))}
        self.wire.send("PutItem", {"TableName": MAIN, "Item": item})

    # -- what is read

    def get(self):
        body = {"TableName": MAIN, "Key": self.key(), "ConsistentRead": self.dice.random() < 0.5}
        if self.dice.random() < 0.3:
            body["ProjectionExpression"] = "pk, n"
        self.wire.send("GetItem", body)

    def query(self):
        body = {"TableName": MAIN, "KeyConditionExpression": "pk = :p AND sk >= :s", "ConsistentRead": True,
                "ExpressionAttributeValues": {":p": S(f"k{self.dice.randrange(KEYS)}"), ":s": N(3)},
                "ScanIndexForward": self.dice.random() < 0.5}
        pick = self.dice.randrange(4)
        if pick == 1:
            body.update(IndexName="by-l", KeyConditionExpression="pk = :p AND l BETWEEN :s AND :t")
            body["ExpressionAttributeValues"][":t"] = N(30)
        elif pick == 2:
            body.update(IndexName="by-g", KeyConditionExpression="g = :p", ConsistentRead=False, Limit=20,
                        ExpressionAttributeValues={":p": S(f"g{self.dice.randrange(20)}")})
        elif pick == 3:
            body.update(FilterExpression="n > :n AND contains(#t, :x)", ExpressionAttributeNames={"#t": "text"})
            body["ExpressionAttributeValues"].update({":n": N(100), ":x": S("xx")})
        for _ in range(3):
            answer = self.wire.send("Query", body)
            if "LastEvaluatedKey" not in answer:
                break
            body["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def scan(self):
        body = {"TableName": MAIN, "Limit": 100, "TotalSegments": 5, "Segment": self.dice.randrange(5)}
        if self.dice.random() < 0.3:
            body = {"TableName": MAIN, "IndexName": "keys", "Limit": 100}
        for _ in range(2):
            answer = self.wire.send("Scan", body)
            if "LastEvaluatedKey" not in answer:
                break
            body["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def some_keys(self, count):
        return list({(k["pk"]["S"], k["sk"]["N"]): k for k in (self.key() for _ in range(count))}.values())

    def batch_get(self):
        self.wire.send("BatchGetItem", {"RequestItems": {MAIN: {"Keys": self.some_keys(10), "ConsistentRead": True}}})

    def transact_get(self):
        self.wire.send("TransactGetItems", {"TransactItems": [
            {"Get": {"TableName": MAIN, "Key": key}} for key in self.some_keys(4)]})

    def describe(self):
        self.wire.send(*self.dice.choice((
            ("DescribeTable", {"TableName": MAIN}), ("ListTables", {}), ("DescribeTimeToLive", {"TableName": MAIN}),
            ("DescribeLimits", {}), ("ListContributorInsights", {}), ("DescribeContinuousBackups", {"TableName": MAIN}),
        )))

    # -- PartiQL

    def statement(self, key, read=False):
        where = "WHERE pk = ? AND sk = ?"
        parameters = [key["pk"], key["sk"]]
        pick = 0 if read else self.dice.randrange(1, 4)
        if pick == 0:
            return {"Statement": f'SELECT * FROM "{MAIN}" {where}', "Parameters": parameters}
        if pick == 1:
            return {"Statement": f'UPDATE "{MAIN}" SET n = ? {where}', "Parameters": [N(self.dice.randrange(1000)), *parameters]}
        if pick == 2:
            return {"Statement": f'DELETE FROM "{MAIN}" {where}', "Parameters": parameters}
        return {"Statement": f"INSERT INTO \"{MAIN}\" VALUE {{'pk': ?, 'sk': ?, 'n': {self.dice.randrange(1000)}}}",
                "Parameters": parameters}

    def partiql(self):
        self.wire.send("ExecuteStatement", self.statement(self.key(), self.dice.random() < 0.4))
        if self.dice.random() < 0.3:
            answer = self.wire.send("ExecuteStatement", {
                "Statement": f'SELECT pk, n FROM "{MAIN}" WHERE pk IN [?, ?] AND n > 10', "Limit": 3,
                "Parameters": [S(f"k{number}") for number in self.dice.sample(range(KEYS), 2)]})
            assert "Items" in answer

    def partiql_transaction(self):
        self.tokens += 1
        self.wire.send("ExecuteTransaction", {
            "TransactStatements": [self.statement(key) for key in self.some_keys(3)],
            "ClientRequestToken": f"p{self.number}-{self.tokens}-{self.soak.seed}"})

    def partiql_batch(self):
        read = self.dice.random() < 0.5
        self.wire.send("BatchExecuteStatement", {"Statements": [self.statement(key, read) for key in self.some_keys(5)]})

    # -- vectors, a table that is throttled, the old parameters

    def vector(self):
        return [N(round(self.dice.gauss(0, 1), 4)) for _ in range(DIMENSIONS)]

    def vector_put(self):
        self.wire.send("PutItem", {"TableName": VECTORS, "Item": {
            "pk": S(f"v{self.dice.randrange(2000)}"), "tenant": S(f"t{self.dice.randrange(10)}"),
            "kind": S(self.dice.choice("ab")), "v": {"L": self.vector()}}})

    def vector_search(self):
        self.wire.send("SearchVectors", {
            "TableName": VECTORS, "IndexName": "near", "SearchVector": self.vector(), "TopK": 10,
            "SearchConditionExpression": "tenant = :t AND kind = :k",
            "ExpressionAttributeValues": {":t": S(f"t{self.dice.randrange(10)}"), ":k": S("a")}})

    def small(self):
        key = {"pk": S(f"s{self.dice.randrange(50)}")}
        if self.dice.random() < 0.5:
            self.wire.send("PutItem", {"TableName": SMALL, "Item": {**key, "text": S("x" * 900)}})
        else:
            self.wire.send("GetItem", {"TableName": SMALL, "Key": key, "ConsistentRead": True})

    def legacy(self):
        self.wire.send("UpdateItem", {"TableName": MAIN, "Key": self.key(), "AttributeUpdates": {
            "n": {"Action": "ADD", "Value": N(1)}, "old": {"Action": "PUT", "Value": S("style")}}})
        self.wire.send("Query", {"TableName": MAIN, "KeyConditions": {
            "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [S(f"k{self.dice.randrange(KEYS)}")]}}})

    # -- what should not be

    def mistake(self):
        code, call = self.dice.choice((
            ("ValidationException", lambda: self.wire.send("GetItem", {"TableName": MAIN, "Key": {"pk": S("only")}})),
            ("ValidationException", lambda: self.wire.send("PutItem", {"TableName": MAIN, "Item": {**self.key(), "n": N("1e999")}})),
            ("ValidationException", lambda: self.wire.send("UpdateItem", {
                "TableName": MAIN, "Key": self.key(), "UpdateExpression": "SET a = b +" + "(" * self.dice.randrange(200)})),
            ("ValidationException", lambda: self.wire.send("Query", {"TableName": MAIN, "KeyConditionExpression": "pk = :p"})),
            ("ResourceNotFoundException", lambda: self.wire.send(
                "GetItem", {"TableName": f"none-{self.dice.randrange(10**9)}", "Key": self.key()})),
            ("SerializationException", lambda: self.wire.send("PutItem", b'{"TableName":"soak-main","Item":{"pk":')),
            ("ValidationException", lambda: self.wire.send(
                "ExecuteStatement", {"Statement": f"SELEKT {self.dice.randrange(10**9)} FROM nowhere"})),
            ("UnknownOperationException", lambda: self.wire.send(f"Fly{self.dice.randrange(10**6)}", {})),
        ))
        try:
            call()
        except Refused as refused:
            if refused.code not in (code, "InternalServerError"):
                raise
            return
        raise AssertionError(f"was taken; {code} expected")

    def stranger(self):
        """A key with policies: it may read one table by the table's own policy, and write nowhere."""
        self.guest.send("GetItem", {"TableName": MAIN, "Key": self.key()})
        try:
            self.guest.send("PutItem", {"TableName": MAIN, "Item": self.item()})
        except Refused as refused:
            if refused.code in ("AccessDeniedException", "InternalServerError"):
                return
            raise
        raise AssertionError("a guest could write")

    def hang_up(self):
        """Connections end in every way."""
        pick = self.dice.randrange(4)
        if pick == 0:
            self.wire.close()
            self.guest.close()
            return
        plain = socket.create_connection(self.soak.address, timeout=120)
        if pick == 1:
            with plain:  # of another protocol than the server's
                plain.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n" if not self.soak.tls else b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                try:
                    plain.recv(1000)
                except ConnectionResetError:
                    pass
            return
        with plain, secure(plain) as half:
            if pick == 2:
                half.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
            else:
                request = self.wire.sign("POST", "/", "dynamodb", "DynamoDB_20120810.Scan", b'{"TableName":"soak-main"}')
                half.sendall(request)  # and nobody takes the answer

    # -- what is one's own

    def own(self):
        place = f"own{self.number}-{self.dice.randrange(100)}", self.dice.randrange(5)
        text = "%x" % self.dice.getrandbits(self.dice.randrange(8, 800))
        before = self.owned.pop(place, None)
        try:
            self.wire.send("PutItem", {"TableName": MAIN, "Item": {**key_of(*place), "text": S(text)}})
        except Refused as refused:
            if before is not None and refused.code != "InternalServerError":
                self.owned[place] = before
            raise
        self.owned[place] = text

    def look_back(self):
        if self.owned:
            place = self.dice.choice(list(self.owned))
            self.verify(self.wire, place)

    def verify(self, wire, place):
        item = wire.send("GetItem", {"TableName": MAIN, "Key": key_of(*place), "ConsistentRead": True}).get("Item", {})
        assert item.get("text") == S(self.owned[place]), f"{place}: {item.get('text')}, written: {self.owned[place]}"

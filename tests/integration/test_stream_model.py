"""The stream of each item is the history of its acknowledged writes, images included, whatever happens meanwhile.

Several clients write in every way there is; each has items of its own, so it knows what each of its writes makes of them.
Meanwhile shards are rolled and split and the server is killed and started again. In the end the streams are read from
their beginning and compared.

RUNS (2) runs; SEED names the first one's seed. A failing run prints its seed.
"""

import collections
import os
import random
import threading
import time

import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError
from conftest import make_client
from test_kcl import control

RUNS = int(os.environ.get("RUNS", "2"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
CLIENTS = 4
WRITES = 60  # of each client
KILLS = 1
TABLES = {"plain": None, "ranged": "r", "indexed": None}

Change = collections.namedtuple("Change", "event old new ttl")


class Unknown(Exception):
    """The server went away: the write may have been done or not."""


def create_tables(client):
    for name, sort in TABLES.items():
        definitions = [{"AttributeName": "k", "AttributeType": "S"}]
        schema = [{"AttributeName": "k", "KeyType": "HASH"}]
        more = {}
        if sort:
            definitions.append({"AttributeName": sort, "AttributeType": "N"})
            schema.append({"AttributeName": sort, "KeyType": "RANGE"})
        if name == "indexed":
            definitions.append({"AttributeName": "g", "AttributeType": "S"})
            more["GlobalSecondaryIndexes"] = [{
                "IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }]
        client.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=definitions, KeySchema=schema,
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}, **more,
        )
    for name in TABLES:
        client.get_waiter("table_exists").wait(TableName=name)
        client.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
        )


class Client(threading.Thread):
    def __init__(self, number, endpoint, seed):
        super().__init__(daemon=True)
        self.random = random.Random(seed * 1000 + number)
        self.client = make_client(endpoint)
        self.items = [
            (table, {"k": {"S": f"c{number}-{i}"}, **({sort: {"N": str(i)}} if sort else {})})
            for table, sort in TABLES.items() for i in range(4)
        ]
        self.now = {}  # item -> its attributes, None: not there
        self.history = collections.defaultdict(list)
        self.error = None
        self.done = 0

    # -- one write and what becomes known of it

    def value(self):
        pick = self.random.randrange(5)
        if pick == 0:
            return {"S": "x" * self.random.randrange(300)}
        if pick == 1:
            return {"L": [{"N": str(self.random.randrange(9))}, {"BOOL": True}]}
        if pick == 2:
            return {"SS": sorted({str(self.random.randrange(9)) for _ in range(3)})}
        return {"N": str(self.random.randrange(3))}  # often the same again: no change, no record

    def identity(self, item):
        return item[0], item[1]["k"]["S"]

    def read(self, item):
        while True:
            try:
                answer = self.client.get_item(TableName=item[0], Key=item[1], ConsistentRead=True)
                return answer.get("Item")
            except BotoCoreError:
                time.sleep(0.02)

    def became(self, item, new, ttl=False):
        """The item is `new` now; a change makes a record."""
        old = self.now.get(self.identity(item))
        if comparable(old) != comparable(new):
            event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
            self.history[self.identity(item)].append(Change(event, comparable(old), comparable(new), ttl))
        self.now[self.identity(item)] = new

    def write(self, call, expected):
        """expected: [(item, what it is after)]. All of them happen or, for one call's items, none."""
        try:
            call()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code in ("ConditionalCheckFailedException", "TransactionCanceledException", "DuplicateItemException",
                            "InternalServerError"), error
            if code != "InternalServerError":
                return
            for item, _ in expected:
                self.became(item, self.read(item))
            return
        except BotoCoreError:  # the server was killed; afterwards it tells whether it was done
            for item, _ in expected:
                self.became(item, self.read(item))
            return
        for item, new in expected:
            self.became(item, new)

    # -- the ways to write

    def put(self, item):
        new = {**item[1], "a": self.value(), "g": {"S": str(self.random.randrange(3))}}
        self.write(lambda: self.client.put_item(TableName=item[0], Item=new), [(item, new)])

    def put_if_absent(self, item):
        new = {**item[1], "a": self.value()}
        self.write(
            lambda: self.client.put_item(TableName=item[0], Item=new, ConditionExpression="attribute_not_exists(k)"),
            [(item, new)],
        )

    def update(self, item):
        value = self.value()
        old = self.now.get(self.identity(item))
        new = {**(old or item[1]), "b": value}
        new.pop("c", None)
        self.write(
            lambda: self.client.update_item(
                TableName=item[0], Key=item[1], UpdateExpression="SET b = :b REMOVE c",
                ExpressionAttributeValues={":b": value},
            ),
            [(item, new)],
        )

    def delete(self, item):
        self.write(lambda: self.client.delete_item(TableName=item[0], Key=item[1]), [(item, None)])

    def batch(self, _):
        items = self.random.sample(self.items, 5)
        requests, expected = collections.defaultdict(list), []
        for item in items:
            if self.random.random() < 0.3:
                requests[item[0]].append({"DeleteRequest": {"Key": item[1]}})
                expected.append((item, None))
            else:
                new = {**item[1], "c": self.value()}
                requests[item[0]].append({"PutRequest": {"Item": new}})
                expected.append((item, new))
        self.write(lambda: self.client.batch_write_item(RequestItems=dict(requests)), expected)

    def transact(self, _):
        items = self.random.sample(self.items, 4)
        actions, expected = [], []
        for item in items[:3]:
            new = {**item[1], "t": self.value()}
            actions.append({"Put": {"TableName": item[0], "Item": new}})
            expected.append((item, new))
        actions.append({"Delete": {"TableName": items[3][0], "Key": items[3][1]}})
        expected.append((items[3], None))
        self.write(lambda: self.client.transact_write_items(TransactItems=actions), expected)

    def statement(self, item):
        old = self.now.get(self.identity(item))
        where = "k = ?" + (" AND r = ?" if "r" in item[1] else "")
        keys = [item[1][name] for name in ("k", "r") if name in item[1]]
        if old is None:
            new = {**item[1], "p": {"N": "1"}}
            text = f"INSERT INTO \"{item[0]}\" VALUE {{'k': ?, " + ("'r': ?, " if "r" in item[1] else "") + "'p': 1}"
            self.write(lambda: self.client.execute_statement(Statement=text, Parameters=keys), [(item, new)])
            return
        value = {"N": str(self.random.randrange(3))}
        self.write(
            lambda: self.client.execute_statement(
                Statement=f'UPDATE "{item[0]}" SET p = ? WHERE {where}', Parameters=[value, *keys]
            ),
            [(item, {**old, "p": value})],
        )

    def expire(self, item):
        """An item that is due when it is written; the TTL service removes it."""
        new = {**item[1], "expires": {"N": str(int(time.time()) - 5)}}
        before = len(self.history[self.identity(item)])
        self.write(lambda: self.client.put_item(TableName=item[0], Item=new), [(item, new)])
        if self.now.get(self.identity(item)) is None and len(self.history[self.identity(item)]) == before:
            return
        # the answer may be lost and the item gone already: then the put and the removal both happened, or neither
        while self.read(item) is not None and self.now[self.identity(item)] is not None:
            time.sleep(0.01)
        if self.now[self.identity(item)] is not None:
            self.became(item, None, ttl=True)

    def run(self):
        ways = [self.put] * 4 + [self.update] * 4 + [self.delete] * 2 + [self.put_if_absent, self.batch, self.transact,
                                                                         self.statement, self.statement]
        try:
            for self.done in range(WRITES):
                self.random.choice(ways)(self.random.choice(self.items))
        except BaseException as error:
            self.error = error
            raise


def comparable(image):
    """An image, sets without order."""
    return image and {name: TypeDeserializer().deserialize(value) for name, value in image.items()}


def read_streams(endpoint, client):
    """item -> its changes, in the order of its shards and records."""
    streams = make_client(endpoint, service="dynamodbstreams")
    seen = collections.defaultdict(list)
    numbers = collections.defaultdict(list)
    for table in TABLES:
        arn = client.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        shards, request = {}, {"StreamArn": arn, "Limit": 3}
        while True:
            description = streams.describe_stream(**request)["StreamDescription"]
            shards.update((shard["ShardId"], shard) for shard in description["Shards"])
            if "LastEvaluatedShardId" not in description:
                break
            request["ExclusiveStartShardId"] = description["LastEvaluatedShardId"]
        finished = set()
        while len(finished) < len(shards):
            ready = [s for s in shards if s not in finished and shards[s].get("ParentShardId") not in set(shards) - finished]
            assert ready, "shards that are each other's parents"
            for shard in ready:
                read_shard(streams, arn, table, shards[shard], seen, numbers)
                finished.add(shard)
    for item, of_item in numbers.items():
        assert of_item == sorted(set(of_item)), f"sequence numbers of {item} do not rise: {of_item}"
    return seen


def read_shard(streams, arn, table, shard, seen, numbers):
    open_end = "EndingSequenceNumber" not in shard["SequenceNumberRange"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    iterator = iterator["ShardIterator"]
    while iterator:
        answer = streams.get_records(ShardIterator=iterator, Limit=random.choice([1, 7, 1000]))
        for record in answer["Records"]:
            change = record["dynamodb"]
            item = table, change["Keys"]["k"]["S"]
            ttl = record.get("userIdentity") == {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
            seen[item].append(Change(record["eventName"], comparable(change.get("OldImage")),
                                     comparable(change.get("NewImage")), ttl))
            numbers[item].append(int(change["SequenceNumber"]))
        iterator = answer.get("NextShardIterator")
        if open_end and not answer["Records"]:
            return


def chaos(server, restart, clients, rng):
    """Rolls, splits and kills until the clients are done; the server that runs then."""
    kills = KILLS
    while any(client.is_alive() for client in clients):
        time.sleep(rng.random() * 0.2)
        if not any(client.is_alive() for client in clients):
            break
        pick = rng.random()
        if pick < 0.3 and kills > 0:
            kills -= 1
            server.kill()
            server = restart(server)
        elif pick < 0.7:
            control(server, "shard-roll", table=rng.choice(list(TABLES)))
        else:
            control(server, "partition-split", table=rng.choice(list(TABLES)))
    return server


@pytest.mark.parametrize("run", range(RUNS))
def test_streams_are_the_history_of_their_items(start_server, tmp_path, run):
    seed = SEED + run
    print(f"SEED={seed}")
    rng = random.Random(seed)
    options = ["--data", tmp_path / "data", "--test-controls", "--min-free", "1M"]
    server = start_server(*options)
    client = make_client(server.endpoint)
    create_tables(client)
    clients = [Client(number, server.endpoint, seed) for number in range(CLIENTS)]
    for each in clients:
        each.start()
    server = chaos(server, lambda old: start_server(*options, listen=f"127.0.0.1:{old.port}"), clients, rng)
    for each in clients:
        each.join()
        assert each.error is None
    for each in clients:  # what is due goes by itself; each is its owner's last change
        for item in rng.sample(each.items, 3):
            each.expire(item)
    expected = {item: changes for each in clients for item, changes in each.history.items() if changes}
    seen = read_streams(server.endpoint, client)
    assert set(seen) == set(expected)
    for item, changes in expected.items():
        assert seen[item] == changes, f"{item}, seed {seed}"
    assert sum(map(len, seen.values())) > CLIENTS * WRITES / 2
    assert sum(change.ttl for changes in seen.values() for change in changes) == 3 * CLIENTS

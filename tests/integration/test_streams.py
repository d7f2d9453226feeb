"""DynamoDB Streams through boto3: what records tell, how shards come and go, what iterators are worth."""

import base64
import json
import random
import threading
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError

from conftest import WhileItLasts, make_client
from stator_server import Server

DAY = 24 * 3600
VIEWS = ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]


class Region:
    """A server of its own with both clients, and its commanded clock."""

    def __init__(self, server):
        self.server = server
        self.db = make_client(server.endpoint)
        self.streams = make_client(server.endpoint, service="dynamodbstreams")

    def control(self, name, **parameters):
        body = json.dumps({"control": name, **parameters}).encode()
        request = urllib.request.Request(self.server.endpoint + "/_stator/test-controls", body, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def create(self, name, view="NEW_AND_OLD_IMAGES", **more):
        self.db.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}} if view else {}),
            **more,
        )
        self.db.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        return self.table(name).get("LatestStreamArn")

    def table(self, name):
        return self.db.describe_table(TableName=name)["Table"]

    def put(self, table, pk, **attributes):
        item = {"pk": {"S": pk}} | {k: {"N": str(v)} for k, v in attributes.items()}
        self.db.put_item(TableName=table, Item=item)

    def shards(self, arn, **more):
        found, start = [], {}
        while True:
            d = self.streams.describe_stream(StreamArn=arn, **start, **more)["StreamDescription"]
            found += d["Shards"]
            if "LastEvaluatedShardId" not in d:
                return found
            start = {"ExclusiveStartShardId": d["LastEvaluatedShardId"]}

    def iterator(self, arn, shard, kind="TRIM_HORIZON", **more):
        return self.streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)[
            "ShardIterator"
        ]

    def read(self, iterator, **more):
        """To the end of what is there: records, and the iterator that goes on (None: the shard has ended)."""
        records = []
        while iterator:
            page = self.streams.get_records(ShardIterator=iterator, **more)
            records += page["Records"]
            iterator = page.get("NextShardIterator")
            if not page["Records"]:
                break
        return records, iterator

    def records(self, arn, **more):
        """All of them; shard ids sort by time, so parents come first."""
        return [r for s in self.shards(arn) for r in self.read(self.iterator(arn, s["ShardId"]), **more)[0]]

    def close(self):
        self.db.close()
        self.streams.close()


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("streams"), "--ephemeral", "--test-controls")
    region = Region(server)
    yield region
    region.close()
    assert server.finish() is None


@pytest.fixture
def name(request):
    return request.node.originalname[:200] + base64.b32encode(str(id(request)).encode()).decode()[:8]


@pytest.fixture
def clock(region):
    yield lambda seconds: region.control("clock-advance", seconds=seconds)
    region.control("clock-reset")


def refused(code, message, call, **parameters):
    with pytest.raises(ClientError) as failure:
        call(**parameters)
    error = failure.value.response["Error"]
    assert (error["Code"], error["Message"]) == (code, message)


# ---- records ----


def test_a_record_has_what_the_service_tells(region, name):
    arn = region.create(name)
    region.db.put_item(TableName=name, Item={"pk": {"S": "k"}, "Message": {"S": "New item!"}})
    region.db.update_item(
        TableName=name,
        Key={"pk": {"S": "k"}},
        UpdateExpression="SET Message = :m",
        ExpressionAttributeValues={":m": {"S": "This item has changed"}},
    )
    region.db.delete_item(TableName=name, Key={"pk": {"S": "k"}})
    inserted, modified, removed = region.records(arn)
    for record, kind in ((inserted, "INSERT"), (modified, "MODIFY"), (removed, "REMOVE")):
        assert record["eventName"] == kind
        assert record["eventVersion"] == "1.1"
        assert record["eventSource"] == "aws:dynamodb"
        assert record["awsRegion"] == "us-east-1"
        assert len(record["eventID"]) == 32 and int(record["eventID"], 16)
        assert "userIdentity" not in record
        change = record["dynamodb"]
        assert change["Keys"] == {"pk": {"S": "k"}}
        assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        assert 21 <= len(change["SequenceNumber"]) <= 40 and change["SequenceNumber"].isdigit()
        assert change["ApproximateCreationDateTime"].microsecond == 0
        assert abs(change["ApproximateCreationDateTime"].timestamp() - time.time()) < 60
    first = {"pk": {"S": "k"}, "Message": {"S": "New item!"}}
    second = {"pk": {"S": "k"}, "Message": {"S": "This item has changed"}}
    assert inserted["dynamodb"]["NewImage"] == first and "OldImage" not in inserted["dynamodb"]
    assert modified["dynamodb"]["OldImage"] == first and modified["dynamodb"]["NewImage"] == second
    assert removed["dynamodb"]["OldImage"] == second and "NewImage" not in removed["dynamodb"]
    # by the size rule: keys and images
    assert [r["dynamodb"]["SizeBytes"] for r in (inserted, modified, removed)] == [3 + 19, 3 + 19 + 31, 3 + 31]
    assert len({r["eventID"] for r in (inserted, modified, removed)}) == 3
    numbers = [int(r["dynamodb"]["SequenceNumber"]) for r in (inserted, modified, removed)]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("view", VIEWS)
def test_the_view_type_decides_the_images(region, name, view):
    arn = region.create(name + view, view)
    region.put(name + view, "k", n=1)
    region.put(name + view, "k", n=2)
    change = region.records(arn)[1]["dynamodb"]
    assert ("NewImage" in change) == (view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"))
    assert ("OldImage" in change) == (view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"))
    assert change["StreamViewType"] == view


def test_writes_that_change_nothing_make_no_record(region, name):
    arn = region.create(name)
    region.put(name, "k", n=1)
    region.put(name, "k", n=1)
    region.db.update_item(
        TableName=name, Key={"pk": {"S": "k"}}, UpdateExpression="SET n = :n", ExpressionAttributeValues={":n": {"N": "1.0"}}
    )
    region.db.delete_item(TableName=name, Key={"pk": {"S": "none"}})
    with pytest.raises(ClientError):
        region.db.put_item(TableName=name, Item={"pk": {"S": "k"}}, ConditionExpression="attribute_not_exists(pk)")
    assert [r["eventName"] for r in region.records(arn)] == ["INSERT"]


def test_each_way_to_write_makes_records(region, name):
    arn = region.create(name)
    region.db.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": {"pk": {"S": f"b{i}"}}}} for i in range(3)]})
    region.db.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": name, "Item": {"pk": {"S": "t"}}}},
            {"Delete": {"TableName": name, "Key": {"pk": {"S": "b0"}}}},
            {
                "Update": {
                    "TableName": name,
                    "Key": {"pk": {"S": "b1"}},
                    "UpdateExpression": "SET n = :n",
                    "ExpressionAttributeValues": {":n": {"N": "1"}},
                }
            },
        ]
    )
    region.db.execute_statement(Statement=f"INSERT INTO \"{name}\" VALUE {{'pk': 'p'}}")
    region.db.execute_statement(Statement=f"DELETE FROM \"{name}\" WHERE pk = 'p'")
    seen = sorted((r["dynamodb"]["Keys"]["pk"]["S"], r["eventName"]) for r in region.records(arn))
    assert seen == sorted(
        [("b0", "INSERT"), ("b1", "INSERT"), ("b2", "INSERT"), ("t", "INSERT"), ("b0", "REMOVE"), ("b1", "MODIFY")]
        + [("p", "INSERT"), ("p", "REMOVE")]
    )
    removed = next(r for r in region.records(arn) if (r["eventName"], r["dynamodb"]["Keys"]["pk"]["S"]) == ("REMOVE", "b0"))
    assert removed["dynamodb"]["OldImage"] == {"pk": {"S": "b0"}}


def test_what_time_to_live_deletes_is_marked(region, name, clock):
    arn = region.create(name)
    region.db.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "due"}
    )
    region.put(name, "k", due=int(time.time()) + 60)
    clock(3 * 3600)
    region.control("ttl-sweep", table=name)
    inserted, removed = region.records(arn)
    assert removed["eventName"] == "REMOVE"
    assert removed["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    assert removed["dynamodb"]["OldImage"]["pk"] == {"S": "k"}
    assert "userIdentity" not in inserted


def test_records_are_there_at_once(region, name):
    arn = region.create(name)
    iterators = {s["ShardId"]: region.iterator(arn, s["ShardId"], "LATEST") for s in region.shards(arn)}
    for i in range(20):
        region.put(name, "k", n=i)
        acknowledged = time.monotonic()
        found = []
        while not found:
            assert time.monotonic() - acknowledged < 60
            for shard, iterator in iterators.items():
                records, iterators[shard] = region.read(iterator)
                found += records
        assert found[0]["dynamodb"]["NewImage"]["n"] == {"N": str(i)}


# ---- pages ----


def test_pages_end_at_limit_and_at_a_megabyte(region, name):
    arn = region.create(name, "NEW_IMAGE")
    for i in range(30):
        region.db.put_item(TableName=name, Item={"pk": {"S": "k"}, "n": {"N": str(i)}, "fill": {"S": "x" * 100_000}})
    shard = max(region.shards(arn), key=lambda s: len(region.read(region.iterator(arn, s["ShardId"]), Limit=1)[0]))
    page = region.streams.get_records(ShardIterator=region.iterator(arn, shard["ShardId"]))
    assert 10 <= len(page["Records"]) <= 12
    numbers, iterator = [], region.iterator(arn, shard["ShardId"])
    while True:
        page = region.streams.get_records(ShardIterator=iterator, Limit=4)
        assert len(page["Records"]) <= 4
        if not page["Records"]:
            break
        numbers += [int(r["dynamodb"]["NewImage"]["n"]["N"]) for r in page["Records"]]
        iterator = page["NextShardIterator"]
    assert numbers == list(range(30))


# ---- switching streams ----


def test_a_stream_is_told_with_its_table(region, name):
    arn = region.create(name, "OLD_IMAGE")
    table = region.table(name)
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"}
    assert arn == f"{table['TableArn']}/stream/{table['LatestStreamLabel']}"
    d = region.streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert d["StreamStatus"] == "ENABLED" and d["StreamViewType"] == "OLD_IMAGE"
    assert d["StreamLabel"] == table["LatestStreamLabel"] and d["TableName"] == name
    assert d["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert abs(d["CreationRequestDateTime"].timestamp() - time.time()) < 60
    assert all("EndingSequenceNumber" not in s["SequenceNumberRange"] for s in d["Shards"])
    assert [s["ShardId"] for s in d["Shards"]] == sorted(s["ShardId"] for s in d["Shards"])


def test_a_stream_is_switched_off_and_on(region, name):
    first = region.create(name)
    region.put(name, "k", n=1)
    region.db.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    table = region.table(name)
    assert "StreamSpecification" not in table and table["LatestStreamArn"] == first
    d = region.streams.describe_stream(StreamArn=first)["StreamDescription"]
    assert d["StreamStatus"] == "DISABLED"
    assert all("EndingSequenceNumber" in s["SequenceNumberRange"] for s in d["Shards"])
    region.put(name, "k", n=2)
    region.db.update_table(TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    second = region.table(name)["LatestStreamArn"]
    assert second != first
    region.put(name, "k", n=3)
    assert len(region.records(first)) == 1 and len(region.records(second)) == 1
    listed = region.streams.list_streams(TableName=name)["Streams"]
    assert [s["StreamArn"] for s in listed] == sorted([first, second])
    for shard in region.shards(first):
        assert region.read(region.iterator(first, shard["ShardId"], "LATEST")) == ([], None)


def slow_stream_is_followed(region, delay_ms):
    """-> whether its states were looked at while they lasted"""

    def status(arn):
        return region.streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"]

    def wait_until(arn, last, before):
        while (now := status(arn)) != last:
            assert now == before
            time.sleep(0.01)
        while region.table("slow")["TableStatus"] != "ACTIVE":
            time.sleep(0.01)

    with WhileItLasts(delay_ms) as enabling:
        region.db.create_table(
            TableName="slow",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
        assert status(region.table("slow")["LatestStreamArn"]) == "ENABLING"
    arn = region.table("slow")["LatestStreamArn"]
    wait_until(arn, "ENABLED", "ENABLING")
    region.put("slow", "k", n=1)
    with WhileItLasts(delay_ms) as disabling:
        reply = region.db.update_table(TableName="slow", StreamSpecification={"StreamEnabled": False})
        assert reply["TableDescription"]["TableStatus"] == "UPDATING"
        assert status(arn) == "DISABLING"
        region.put("slow", "k", n=2)  # it is not over before it is DISABLED
        assert status(arn) == "DISABLING"
    wait_until(arn, "DISABLED", "DISABLING")
    region.put("slow", "k", n=3)
    if enabling.too_late or disabling.too_late:
        return False
    assert len(region.records(arn)) == 2
    return True


def test_a_stream_takes_the_time_its_table_takes(start_server):
    for delay_ms in (500, 5000, 50000):
        region = Region(start_server("--ephemeral", "--control-plane-delay", delay_ms))
        in_time = slow_stream_is_followed(region, delay_ms)
        region.close()
        if in_time:
            break
    assert in_time


def test_the_rules_of_switching(region, name):
    invalid = "One or more parameter values were invalid: "
    update, on = region.db.update_table, {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    region.create(name, None)
    refused("ValidationException", f"Table has no stream to disable: TableName: {name}", update, TableName=name,
            StreamSpecification={"StreamEnabled": False})
    refused("ValidationException", invalid + "If stream is being enabled then UpdateViewType is required", update,
            TableName=name, StreamSpecification={"StreamEnabled": True})
    refused("ValidationException", invalid + "If stream is being disabled, then UpdateViewType must not be specified",
            update, TableName=name, StreamSpecification={**on, "StreamEnabled": False})
    refused("ValidationException", invalid + "You cannot modify stream status while updating table IOPS", update,
            TableName=name, StreamSpecification=on, BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    update(TableName=name, StreamSpecification=on)
    for view in ("KEYS_ONLY", "NEW_IMAGE"):
        refused("ValidationException", f"Table already has an enabled stream: TableName: {name}", update, TableName=name,
                StreamSpecification={**on, "StreamViewType": view})
    refused("ValidationException",
            "1 validation error detected: Value 'x' at 'streamSpecification.streamViewType' failed to satisfy constraint: Member must "
            "satisfy enum value set: [OLD_IMAGE, KEYS_ONLY, NEW_AND_OLD_IMAGES, NEW_IMAGE]", update, TableName=name,
            StreamSpecification={**on, "StreamViewType": "x"})
    for specification, message in (
        ({"StreamEnabled": True}, "Table is being created with a stream enabled, UpdateViewType is required"),
        ({**on, "StreamEnabled": False}, "Table is being created with a stream disabled, UpdateViewType should not be specified"),
    ):
        refused("ValidationException", invalid + message, region.db.create_table, TableName=name + "x",
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                StreamSpecification=specification)


def test_streams_are_listed_in_pages(region, name):
    arns = sorted(region.create(f"{name}-{i}") for i in range(5))
    listed, start = [], {}
    while True:
        page = region.streams.list_streams(Limit=2, **start)
        assert len(page["Streams"]) <= 2
        listed += [s["StreamArn"] for s in page["Streams"]]
        if "LastEvaluatedStreamArn" not in page:
            break
        start = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert listed == sorted(listed) and set(arns) <= set(listed)
    assert region.streams.list_streams(TableName="no-such-table")["Streams"] == []


# ---- shards ----


def follow(region, arn):
    """Every record by lineage: a shard is read when its parents have been read to their end."""
    shards = {s["ShardId"]: s for s in region.shards(arn)}
    done, records = set(), []
    while len(done) < len(shards):
        ready = [i for i, s in shards.items() if i not in done and (s.get("ParentShardId") in done or s.get("ParentShardId") not in shards)]
        assert ready
        for shard in ready:
            found, iterator = region.read(region.iterator(arn, shard))
            assert (iterator is None) == ("EndingSequenceNumber" in shards[shard]["SequenceNumberRange"])
            records += found
            done.add(shard)
    return records


def test_shards_split_and_roll_with_their_lineage(region, name):
    arn = region.create(name)
    for i in range(400):
        region.put(name, f"k{i % 20}", n=i)
        if i % 50 == 49:
            region.control("partition-split", table=name)
        if i % 90 == 89:
            region.control("shard-roll", table=name)
    shards = region.shards(arn)
    assert shards == sorted(shards, key=lambda s: s["ShardId"])
    by_id = {s["ShardId"]: s for s in shards}
    assert sum("EndingSequenceNumber" not in s["SequenceNumberRange"] for s in shards) == 4 + 8
    for shard in shards:
        if parent := shard.get("ParentShardId"):
            ended = int(by_id[parent]["SequenceNumberRange"]["EndingSequenceNumber"])
            assert int(shard["SequenceNumberRange"]["StartingSequenceNumber"]) // 100000 > ended // 100000
            children = region.streams.describe_stream(
                StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent}
            )["StreamDescription"]["Shards"]
            assert shard in children and len(children) <= 2
    history = {}
    for record in follow(region, arn):
        change = record["dynamodb"]
        pk = change["Keys"]["pk"]["S"]
        assert change.get("OldImage") == history.get(pk)
        history[pk] = change["NewImage"]
    assert {pk: image["n"]["N"] for pk, image in history.items()} == {f"k{i % 20}": str(i) for i in range(380, 400)}


def test_shards_are_described_in_pages(region, name):
    arn = region.create(name)
    for i in range(3):
        region.control("partition-split", table=name)
    whole = region.shards(arn)
    assert len(whole) == 4 + 2 * 3
    paged, start = [], {}
    while True:
        d = region.streams.describe_stream(StreamArn=arn, Limit=3, **start)["StreamDescription"]
        assert len(d["Shards"]) <= 3
        paged += d["Shards"]
        if "LastEvaluatedShardId" not in d:
            break
        start = {"ExclusiveStartShardId": d["LastEvaluatedShardId"]}
    assert paged == whole
    last = region.streams.describe_stream(StreamArn=arn, ExclusiveStartShardId=whole[-1]["ShardId"])["StreamDescription"]
    assert last["Shards"] == [] and "LastEvaluatedShardId" not in last


def test_old_shards_roll_and_trimmed_ones_go(region, name, clock):
    arn = region.create(name)
    region.put(name, "k", n=1)
    clock(5 * 3600)
    region.control("stream-maintain")
    assert len(region.shards(arn)) == 5
    region.put(name, "k", n=2)
    clock(20 * 3600)
    region.control("stream-maintain")
    assert len(region.shards(arn)) == 6  # trimmed, but not closed for a day yet
    clock(5 * 3600)
    region.control("stream-maintain")
    shards = region.shards(arn)
    assert len(shards) == 5
    assert region.records(arn) == []
    orphan = next(s for s in shards if "ParentShardId" in s)
    assert orphan["ParentShardId"] not in [s["ShardId"] for s in shards]


# ---- iterators ----


EXPIRED = (
    "The shard iterator has expired and can no longer be used to retrieve stream records. A shard iterator expires 15 minutes "
    "after it is retrieved using the GetShardIterator action."
)


def one_shard(region, name):
    """A stream, its shard that has records, and those."""
    arn = region.create(name)
    for i in range(5):
        region.put(name, "k", n=i)
    for shard in region.shards(arn):
        records, _ = region.read(region.iterator(arn, shard["ShardId"]))
        if records:
            return arn, shard["ShardId"], records
    raise AssertionError("no records")


def test_iterators_begin_at_their_place(region, name):
    arn, shard, records = one_shard(region, name)
    third = records[2]["dynamodb"]["SequenceNumber"]
    assert region.read(region.iterator(arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=third))[0] == records[2:]
    assert region.read(region.iterator(arn, shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=third))[0] == records[3:]
    assert region.read(region.iterator(arn, shard))[0] == records
    latest = region.iterator(arn, shard, "LATEST")
    assert region.read(latest)[0] == []
    region.put(name, "k", n=9)
    assert len(region.read(latest)[0]) == 1


def test_iterators_end_after_a_quarter_of_an_hour(region, name, clock):
    arn, shard, _ = one_shard(region, name)
    iterator = region.iterator(arn, shard)
    clock(14 * 60)
    _, iterator = region.read(iterator)
    clock(14 * 60)
    _, iterator = region.read(iterator)
    clock(16 * 60)
    with pytest.raises(ClientError) as failure:
        region.streams.get_records(ShardIterator=iterator)
    assert failure.value.response["Error"]["Code"] == "ExpiredIteratorException"
    iterator = region.iterator(arn, shard)
    clock(-3600)  # a clock that steps back ends none, and none lives longer for it
    assert region.read(region.iterator(arn, shard))[0]
    _, iterator = region.read(iterator)
    clock(16 * 60)
    refused("ExpiredIteratorException", EXPIRED, region.streams.get_records, ShardIterator=iterator)


def test_iterators_of_a_clock_that_was_ahead_end_with_a_restart(tmp_path):
    server = Server(tmp_path, "--data", tmp_path / "data", "--test-controls")
    region = Region(server)
    arn, shard, _ = one_shard(region, "ahead")
    region.control("clock-advance", seconds=3600)
    iterator = region.iterator(arn, shard)
    region.close()
    assert server.finish() is None
    server = Server(tmp_path, "--data", tmp_path / "data", "--test-controls")
    region = Region(server)
    refused("ExpiredIteratorException", EXPIRED, region.streams.get_records, ShardIterator=iterator)
    assert region.read(region.iterator(arn, shard))[0]
    region.close()
    assert server.finish() is None


def test_forged_iterators_are_refused(region, name):
    arn, shard, _ = one_shard(region, name)
    other, other_shard, _ = one_shard(region, name + "2")
    iterator = region.iterator(arn, shard)
    foreign = region.iterator(other, other_shard)
    prefix, token = iterator.rsplit("|", 1)
    raw = base64.b64decode(token)
    forged = ["x", "x" * 2048, iterator[:-1], iterator[1:], iterator + "A", prefix + "|", token, "|1|" + token]
    forged += [prefix + "|" + foreign.rsplit("|", 1)[1], foreign.rsplit("|", 1)[0] + "|" + token]
    forged += [prefix + "|" + base64.b64encode(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]).decode() for i in range(len(raw))]
    forged += [iterator.replace("|1|", "|2|"), iterator.replace("us-east-1", "us-east-2")]
    for text in forged:
        refused("ValidationException", "Invalid ShardIterator", region.streams.get_records, ShardIterator=text)
    assert len(region.read(iterator)[0]) == 5


def test_what_is_not_there_is_told(region, name):
    arn, shard, records = one_shard(region, name)
    get = region.streams.get_shard_iterator
    latest = {"ShardIteratorType": "LATEST"}
    missing = arn[:-3] + "999"
    refused("ResourceNotFoundException", f"Requested resource not found: Stream: {missing} not found", get,
            StreamArn=missing, ShardId=shard, **latest)
    refused("ResourceNotFoundException", f"Requested resource not found: Stream: {missing} not found",
            region.streams.describe_stream, StreamArn=missing)
    unknown = "shardId-00000000000000000001-00000000"
    refused("ResourceNotFoundException", f"Requested resource not found: Shard: {unknown} in Stream: {arn} not found", get,
            StreamArn=arn, ShardId=unknown, **latest)
    for bad in ("x" * 40, "arn:aws:dynamodb:us-east-1:123456789012:table/t", "arn:aws:s3:::bucket/stream/" + "x" * 40):
        with pytest.raises(ClientError) as failure:
            get(StreamArn=bad, ShardId=shard, **latest)
        assert failure.value.response["Error"]["Code"] == "ValidationException"
    number = records[0]["dynamodb"]["SequenceNumber"]
    for kind, sequence in (
        ("AT_SEQUENCE_NUMBER", None),
        ("AFTER_SEQUENCE_NUMBER", None),
        ("LATEST", number),
        ("TRIM_HORIZON", number),
        ("AT_SEQUENCE_NUMBER", "1" * 21),
        ("AT_SEQUENCE_NUMBER", "9" * 40),
        ("AT_SEQUENCE_NUMBER", "x" * 30),
        ("AT_SEQUENCE_NUMBER", str(int(number) + 1)),
        ("NEVER", None),
    ):
        with pytest.raises(ClientError) as failure:
            get(StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **({"SequenceNumber": sequence} if sequence else {}))
        assert failure.value.response["Error"]["Code"] == "ValidationException", (kind, sequence)
    for call, limit in ((region.streams.get_records, 1001), (region.streams.list_streams, 101)):
        with pytest.raises(ClientError) as failure:
            call(Limit=limit, **({"ShardIterator": region.iterator(arn, shard)} if limit > 1000 else {}))
        assert failure.value.response["Error"]["Code"] == "ValidationException"


def test_trimmed_records_are_told(region, name, clock):
    arn, shard, records = one_shard(region, name)
    number = records[1]["dynamodb"]["SequenceNumber"]
    clock(25 * 3600 - 60)
    old = region.iterator(arn, shard, "AT_SEQUENCE_NUMBER", SequenceNumber=number)
    clock(120)
    region.put(name, "k", n=99)
    region.control("stream-maintain")
    message = "The operation attempted to read past the oldest stream record in a shard."
    refused("TrimmedDataAccessException", message, region.streams.get_records, ShardIterator=old)
    refused("TrimmedDataAccessException", message, region.streams.get_shard_iterator, StreamArn=arn, ShardId=shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER", SequenceNumber=number)
    assert [r["dynamodb"]["NewImage"]["n"]["N"] for r in region.records(arn)] == ["99"]


def test_a_patient_reader_never_meets_trimming(region, name, clock):
    arn, shard, _ = one_shard(region, name)
    _, iterator = region.read(region.iterator(arn, shard))
    followed = 0
    for _ in range(200):  # almost two days
        clock(14 * 60)
        page = region.streams.get_records(ShardIterator=iterator)
        assert page["Records"] == []
        iterator = page.get("NextShardIterator")
        if iterator is None:
            found = region.streams.describe_stream(StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": shard})
            shard = found["StreamDescription"]["Shards"][0]["ShardId"]
            iterator = region.iterator(arn, shard)
            followed += 1
        region.control("stream-maintain")
    assert followed == 1  # a shard without records stays open
    region.put(name, "k", n=7)
    assert len(region.read(iterator)[0]) == 1


# ---- tables that go, servers that stop ----


def test_a_stream_outlives_its_table(region, name, clock):
    arn = region.create(name)
    region.put(name, "k", n=1)
    iterators = [region.iterator(arn, s["ShardId"]) for s in region.shards(arn)]
    region.db.delete_table(TableName=name)
    region.db.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    again = region.create(name)
    region.put(name, "k", n=2)
    assert again != arn
    assert sum(len(region.read(i)[0]) for i in iterators) == 1
    assert [r["dynamodb"]["NewImage"]["n"]["N"] for r in region.records(arn)] == ["1"]
    assert [r["dynamodb"]["NewImage"]["n"]["N"] for r in region.records(again)] == ["2"]
    assert region.streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    clock(DAY + 60)
    region.control("stream-maintain")
    refused("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found",
            region.streams.describe_stream, StreamArn=arn)
    assert region.streams.describe_stream(StreamArn=again)["StreamDescription"]["StreamStatus"] == "ENABLED"


def test_iterators_survive_a_restart_and_records_a_kill(start_server, tmp_path):
    def start():
        return Region(start_server("--data", tmp_path / "data", "--test-controls"))

    region = start()
    arn = region.create("tab")
    acknowledged, stop = {}, threading.Event()

    def write(worker):
        client = make_client(region.server.endpoint)
        for n in range(100000):
            key = f"{worker}-{n % 7}"
            try:
                client.put_item(TableName="tab", Item={"pk": {"S": key}, "n": {"N": str(n)}})
            except Exception:
                return
            acknowledged[key] = n
            if stop.is_set():
                return

    workers = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(3):
        time.sleep(0.2)
        region.control("partition-split", table="tab")
        region.control("shard-roll", table="tab")
    iterators = {s["ShardId"]: region.iterator(arn, s["ShardId"]) for s in region.shards(arn)}
    region.server.kill()
    stop.set()
    for worker in workers:
        worker.join()
    region.close()
    region = start()
    history = {}
    for record in follow(region, arn):
        change = record["dynamodb"]
        pk, old = change["Keys"]["pk"]["S"], change.get("OldImage")
        assert (old and int(old["n"]["N"])) == history.get(pk)
        history[pk] = int(change["NewImage"]["n"]["N"])
    assert set(acknowledged) <= set(history)
    for pk, n in acknowledged.items():
        # the one that was not acknowledged may be there or not
        assert history[pk] in (n, n + 7)
        assert int(region.db.get_item(TableName="tab", Key={"pk": {"S": pk}})["Item"]["n"]["N"]) == history[pk]
    for shard, iterator in iterators.items():
        assert region.read(iterator)[0] == region.read(region.iterator(arn, shard))[0]
    region.close()


def test_a_log_that_nobody_reads_stays_bounded(start_server, tmp_path):
    server = start_server("--data", tmp_path / "data", "--test-controls")
    region = Region(server)

    def held():
        return server.metric("stator_log_held_bytes", region="us-east-1")

    region.create("tab", "NEW_IMAGE")
    filler = {"S": base64.b64encode(bytes(range(256)) * 1100).decode()}
    for day in range(5):
        for i in range(60):
            region.db.put_item(TableName="tab", Item={"pk": {"S": "k"}, "n": {"N": f"{day}.{i}"}, "fill": filler})
        region.control("clock-advance", seconds=DAY / 2 + 60)  # some stay, and are on the disk when they go
        region.control("stream-maintain")
        assert server.metric("stator_log_oldest_record_seconds", region="us-east-1") <= DAY
    assert server.metric("stator_log_trimmed_bytes_total", region="us-east-1") > 0
    assert server.metric("stator_log_records_total", region="us-east-1") == 300
    assert held() < 3 * 60 * 380_000
    region.close()


# ---- room on the disk ----


def bytes_held(folder):
    return sum(f.stat().st_blocks * 512 for f in folder.rglob("*") if f.is_file())


@pytest.mark.parametrize("gone", ["records", "table"])
def test_room_on_the_disk_returns_when_nothing_more_is_written(tmp_path, gone):
    server = Server(tmp_path, "--data", tmp_path / "data", "--test-controls")
    region = Region(server)
    try:
        region.create("room", "NEW_AND_OLD_IMAGES" if gone == "records" else None)
        for i in range(250):
            key = str(i % 4 if gone == "records" else i)
            region.db.put_item(TableName="room", Item={"pk": {"S": key}, "v": {"B": random.randbytes(100_000)}})
        assert bytes_held(tmp_path) > 20_000_000
        if gone == "records":
            region.control("clock-advance", seconds=DAY + 3600)
        else:
            region.db.delete_table(TableName="room")
            region.db.get_waiter("table_not_exists").wait(TableName="room", WaiterConfig={"Delay": 1})
        region.control("stream-maintain")
        until = time.monotonic() + 120
        while bytes_held(tmp_path) > 8_000_000:  # files go in the background
            assert time.monotonic() < until, bytes_held(tmp_path)
            time.sleep(0.02)
    finally:
        region.close()
        problem = server.finish()
    assert problem is None

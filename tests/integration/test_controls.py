"""Test controls: what they do, who may use them, and what they say to nonsense."""

import json
import random
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from conftest import ROOT, create, make_client
from controls import PATH, Controls, Refused
from stator_server import binary, clean_environment

REGION = "us-east-1"


@pytest.fixture(scope="module")
def served(start_server_session):
    return start_server_session("--ephemeral", "--test-controls", "--region", REGION)


@pytest.fixture
def control(served):
    controls = Controls(served.endpoint)
    yield controls
    controls("reset")


@pytest.fixture
def db(served):
    return make_client(served.endpoint)


def code(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
        return None
    except ClientError as e:
        return e.response["Error"]["Code"]


def refusal(call, *args, **kwargs):
    with pytest.raises(Refused) as refused:
        call(*args, **kwargs)
    assert refused.value.status == 400
    return json.loads(refused.value.answer)["message"]


def key(pk="a"):
    return {"pk": {"S": pk}}


def put(table, pk="a", **more):
    return {"Put": {"TableName": table, "Item": {**key(pk), **more}}}


# ---- the clock ----


def test_the_clock_is_set_stopped_and_goes_on(control):
    at = control("clock-set", time=2_000_000_000.5)["clock"]
    assert 2_000_000_000.5 <= at["now"] < 2_000_000_060 and not at["frozen"]
    frozen = control("clock-freeze")["clock"]
    assert frozen["frozen"]
    time.sleep(0.01)
    assert control.describe()["clock"]["now"] == frozen["now"]
    assert control("clock-advance", seconds=-1000.25)["clock"]["now"] == pytest.approx(frozen["now"] - 1000.25, abs=1e-6)
    running = control("clock-run")["clock"]
    assert not running["frozen"] and 0 <= running["now"] - (frozen["now"] - 1000.25) < 60
    time.sleep(0.01)
    assert control.describe()["clock"]["now"] >= running["now"] + 0.01
    real = control("clock-reset")["clock"]
    assert abs(real["now"] - time.time()) < 60 and real["ahead"] == 0


def test_the_ends_of_time(control):
    assert control("clock-set", time=0)["clock"]["now"] < 60
    assert "1970 to 9999" in refusal(control, "clock-advance", seconds=-100)
    control("clock-freeze")
    assert control("clock-set", time=253402300799)["clock"]["now"] == 253402300799
    assert "1970 to 9999" in refusal(control, "clock-advance", seconds=0.000001)
    assert "at most 253402300799" in refusal(control, "clock-set", time=253402300799.5)
    assert "before 1970" in refusal(control, "clock-set", time=-1)
    assert "six decimals" in refusal(control, "clock-set", time=1.0000001)


def test_tables_are_made_while_the_clock_stands_and_tell_its_time(control, db):
    control("clock-freeze")
    control("clock-set", time=1_234_567_890)
    name = create(db, "pk:S")
    assert db.describe_table(TableName=name)["Table"]["CreationDateTime"].timestamp() == 1_234_567_890
    control("clock-set", time=1_000_000_000)  # back: nothing is lost
    db.put_item(TableName=name, Item=key())
    assert db.get_item(TableName=name, Key=key())["Item"] == key()


def test_tokens_of_transactions_age(control, db):
    name = create(db, "pk:S")
    control("clock-freeze")
    call = dict(TransactItems=[put(name)], ClientRequestToken="token")
    other = dict(TransactItems=[put(name, "b")], ClientRequestToken="token")
    db.transact_write_items(**call)
    assert code(db.transact_write_items, **other) == "IdempotentParameterMismatchException"
    control("clock-advance", seconds=601)
    assert code(db.transact_write_items, **other) is None


def test_a_stopped_clock_fills_no_bucket(start_server):
    server = start_server("--ephemeral", "--test-controls", "--throttling")
    control, client = Controls(server.endpoint), make_client(server.endpoint)
    control("clock-freeze")
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    name = create(client, "pk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units)

    def puts():
        done = 0
        while code(client.put_item, TableName=name, Item=key()) is None:
            done += 1
        return done

    assert puts() == 1  # one second's worth is there at first
    assert puts() == 0
    control("clock-advance", seconds=10)
    assert puts() == 10
    control("clock-advance", seconds=-10)
    assert puts() == 0
    control("clock-advance", seconds=86400)
    assert puts() == 300  # 300 seconds are kept


# ---- trouble ----


def test_throttling_of_a_table(control, db):
    name, other = create(db, "pk:S"), create(db, "pk:S")
    control("throttle", table=name, count=2)
    assert code(db.get_item, TableName=other, Key=key()) is None
    assert [code(db.get_item, TableName=name, Key=key()) for _ in range(3)] == ["ThrottlingException"] * 2 + [None]
    with pytest.raises(ClientError) as e:
        db.put_item(TableName=name, Item=key())
    arn = db.describe_table(TableName=name)["Table"]["TableArn"]
    assert e.value.response["throttlingReasons"] == [{"reason": "TableWriteKeyRangeThroughputExceeded", "resource": arn}]
    control("throttle", table=name, count=0)
    assert code(db.put_item, TableName=name, Item=key()) is None


def test_throttling_of_one_side_and_of_an_index(control, db):
    units = {"ReadCapacityUnits": 50, "WriteCapacityUnits": 50}
    gsi = {
        "IndexName": "by-g",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": units,
    }
    name = create(
        db, "pk:S", attributes={"g": "S"}, BillingMode="PROVISIONED", ProvisionedThroughput=units, GlobalSecondaryIndexes=[gsi]
    )
    exceeded = "ProvisionedThroughputExceededException"
    control("throttle", table=name, capacity="read", count=1)
    assert code(db.put_item, TableName=name, Item=key()) is None
    assert [code(db.scan, TableName=name) for _ in range(2)] == [exceeded, None]
    control("throttle", table=name, index="by-g", capacity="write", count=1)
    assert code(db.put_item, TableName=name, Item=key("not in the index")) is None
    assert [code(db.put_item, TableName=name, Item={**key("b"), "g": {"S": "g"}}) for _ in range(2)] == [exceeded, None]
    assert "no global secondary index" in refusal(control, "throttle", table=name, index="by-x", count=1)
    assert "read" in refusal(control, "throttle", table=name, capacity="both", count=1)


def test_throttling_in_a_batch_leaves_items_to_the_client(control, db):
    name = create(db, "pk:S")
    requests = [{"PutRequest": {"Item": key(str(i))}} for i in range(5)]
    control("throttle", table=name, capacity="write", count=2)
    left = db.batch_write_item(RequestItems={name: requests})["UnprocessedItems"][name]
    assert len(left) == 2
    assert db.scan(TableName=name)["Count"] == 3
    assert db.batch_write_item(RequestItems={name: left})["UnprocessedItems"] == {}
    control("throttle", table=name, count=100)
    assert code(db.batch_write_item, RequestItems={name: requests}) == "ThrottlingException"
    control("throttle", table=name, capacity="write", count=0)
    control("throttle", table=name, capacity="read", count=1)
    keys = {name: {"Keys": [key(str(i)) for i in range(5)]}}
    assert code(db.batch_get_item, RequestItems=keys) == "ThrottlingException"  # of the first one: none was read
    assert len(db.batch_get_item(RequestItems=keys)["Responses"][name]) == 5


def test_conflicts_with_a_transaction(control, db):
    name = create(db, "pk:S")
    control("conflict", table=name, count=3)
    assert code(db.get_item, TableName=name, Key=key()) is None
    assert code(db.put_item, TableName=name, Item=key()) == "TransactionConflictException"
    assert code(db.execute_statement, Statement=f"DELETE FROM \"{name}\" WHERE pk = 'a'") == "TransactionConflictException"
    assert db.batch_write_item(RequestItems={name: [{"DeleteRequest": {"Key": key()}}]})["UnprocessedItems"] != {}
    assert code(db.update_item, TableName=name, Key=key()) is None
    control("conflict", table=name, count=1)
    with pytest.raises(ClientError) as e:
        db.transact_write_items(TransactItems=[put(name, "x"), put(name, "y")])
    assert [r["Code"] for r in e.value.response["CancellationReasons"]] == ["TransactionConflict", "None"]
    assert "[TransactionConflict, None]" in e.value.response["Error"]["Message"]
    control("conflict", table=name, count=1)
    with pytest.raises(ClientError) as e:
        db.transact_get_items(TransactItems=[{"Get": {"TableName": name, "Key": key()}}])
    assert [r["Code"] for r in e.value.response["CancellationReasons"]] == ["TransactionConflict"]
    assert {i["pk"]["S"] for i in db.scan(TableName=name)["Items"]} == {"a"}


def test_sdk_retries_get_through(served, control):
    patient = boto3.client(
        "dynamodb",
        endpoint_url=served.endpoint,
        region_name=REGION,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=boto3.session.Config(retries={"mode": "standard", "total_max_attempts": 4}),
    )
    name = create(patient, "pk:S")
    control("throttle", table=name, capacity="write", count=2)
    assert patient.put_item(TableName=name, Item=key())["ResponseMetadata"]["RetryAttempts"] == 2
    control("fail", operation="GetItem", error="InternalServerError", count=1)
    assert patient.get_item(TableName=name, Key=key())["ResponseMetadata"]["RetryAttempts"] == 1


def test_errors_of_an_operation_and_of_a_table(control, db):
    name, other = create(db, "pk:S"), create(db, "pk:S")
    control("fail", operation="Query", error="InternalServerError", count=1)
    assert code(db.scan, TableName=name) is None
    query = dict(TableName=name, KeyConditionExpression="pk = :a", ExpressionAttributeValues={":a": {"S": "a"}})
    assert [code(db.query, **query) for _ in range(2)] == ["InternalServerError", None]
    control("fail", operation="*", table=name, error="RequestLimitExceeded", count=3)
    assert code(db.list_tables) is None
    assert code(db.scan, TableName=other) is None
    arn = db.describe_table(TableName=other)["Table"]["TableArn"].replace(other, name)
    assert [code(call, TableName=table) for call, table in ((db.scan, name), (db.scan, arn), (db.describe_table, name))] == [
        "RequestLimitExceeded"
    ] * 3
    assert code(db.scan, TableName=name) is None
    control("fail", operation="PutItem", error="ThrottlingException", count=5)
    control("fail", operation="PutItem", error="ThrottlingException", count=0)
    assert code(db.put_item, TableName=name, Item=key()) is None


def test_a_failing_disk_is_an_internal_error_and_loses_nothing(control, db):
    name = create(db, "pk:S")
    db.put_item(TableName=name, Item=key())
    control("fault", points="engine-apply:io:1")
    assert code(db.put_item, TableName=name, Item=key("b")) == "InternalServerError"
    assert code(db.put_item, TableName=name, Item=key("c")) is None
    control("fault", points="")
    assert {i["pk"]["S"] for i in db.scan(TableName=name)["Items"]} == {"a", "c"}


def test_reset_ends_all_trouble(control, db):
    name = create(db, "pk:S")
    control("throttle", table=name, count=100)
    control("conflict", table=name, count=100)
    control("fail", operation="*", error="InternalServerError", count=100)
    control("fault", points="engine-apply:io")
    control("clock-set", time=1)
    assert control("reset")["clock"]["ahead"] == 0
    assert code(db.put_item, TableName=name, Item=key()) is None
    assert code(db.get_item, TableName=name, Key=key()) is None


# ---- streams ----


def test_shards_are_rolled_and_split_and_iterators_age(control, db, served):
    streams = boto3.client(
        "dynamodbstreams", endpoint_url=served.endpoint, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
    )
    name = create(db, "pk:S", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    arn = db.describe_table(TableName=name)["Table"]["LatestStreamArn"]

    def shards():
        return {s["ShardId"]: s for s in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]}

    first = shards()
    db.put_item(TableName=name, Item=key())
    control("shard-roll", table=name)
    rolled = shards()
    children = [s for s in rolled.values() if "ParentShardId" in s]
    assert len(children) == 1 and children[0]["ParentShardId"] in first
    assert "EndingSequenceNumber" in rolled[children[0]["ParentShardId"]]["SequenceNumberRange"]
    control("partition-split", table=name, partition=0)
    parents = [s["ParentShardId"] for s in shards().values() if "ParentShardId" in s]
    assert any(parents.count(p) == 2 for p in parents)
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=children[0]["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    assert code(streams.get_records, ShardIterator=iterator) is None
    control("iterators-age", seconds=899)
    assert code(streams.get_records, ShardIterator=iterator) is None
    control("iterators-age", seconds=2)
    assert code(streams.get_records, ShardIterator=iterator) == "ExpiredIteratorException"
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=children[0]["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    assert code(streams.get_records, ShardIterator=iterator) is None
    # a day later everything is trimmed
    old = streams.get_shard_iterator(StreamArn=arn, ShardId=children[0]["ParentShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    assert len(streams.get_records(ShardIterator=old)["Records"]) == 1
    control("clock-advance", seconds=25 * 3600)
    control("stream-maintain")
    assert children[0]["ParentShardId"] not in shards()


def test_maintenance_by_command_bears_itself_and_the_background(db, control):
    """Several at once, beside writes: with the thread sanitizer this found a race of two passes over one log."""
    table = create(db, "pk:S", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})

    def work(number):
        for i in range(15):
            db.put_item(TableName=table, Item={"pk": {"S": f"{number}-{i}"}})
            if number == 0:
                control("clock-advance", seconds=25 * 3600)  # all that is there is to go
            control("stream-maintain")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arn = db.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    assert arn and len(db.scan(TableName=table)["Items"]) == 60


# ---- who may, and what is said to nonsense ----


def test_without_the_option_there_is_nothing(server):
    plain = Controls(server.endpoint)
    for body, method in ((b'{"control":"reset"}', "POST"), (None, "GET")):
        with pytest.raises(Refused) as refused:
            plain.send(body, method)
        assert refused.value.status == 404


def test_the_list_names_every_control(control):
    listed = {c["control"]: c for c in control.describe()["controls"]}
    assert {"clock-set", "ttl-sweep", "throttle", "conflict", "fail", "reset"} <= listed.keys()
    assert [p["name"] for p in listed["throttle"]["parameters"]] == ["table", "count", "capacity", "index"]


@pytest.mark.parametrize(
    "body, words",
    [
        (b"", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b'"reset"', "must be a JSON object"),
        (b"{", "must be a JSON object"),
        (b'{"control":"reset"}x', "must be a JSON object"),
        (b'{"control":"\xff"}', "must be a JSON object"),
        (b'{"control":' + b"[" * 5000, "must be a JSON object"),
        (b"{}", '"control" is missing'),
        (b'{"control":null}', "must be a JSON object"),
        (b'{"control":"clock"}', 'no control "clock"; there is clock-set'),
        (b'{"control":"' + b"x" * 1000 + b'"}', "no control"),
        (b'{"control":"ttl-sweep","tabel":"x"}', 'no parameter "tabel"; there is table'),
        (b'{"control":"reset","now":true}', 'no parameter "now"; there is none'),
        (b'{"control":"clock-advance"}', "seconds: is missing"),
        (b'{"control":"clock-advance","seconds":null}', "seconds: must be a number"),
        (b'{"control":"clock-advance","seconds":"60"}', "seconds: must be a number"),
        (b'{"control":"clock-advance","seconds":1e400}', "seconds: must be seconds"),
        (b'{"control":"clock-advance","seconds":-1e-7}', "seconds: must be seconds"),
        (b'{"control":"clock-advance","seconds":' + b"9" * 60000 + b"}", "seconds: must be seconds"),
        (b'{"control":"clock-advance","seconds":1,"seconds":2}', "seconds: is given twice"),
        (b'{"control":"conflict","table":"x","count":1.5}', "count: must be a whole number"),
        (b'{"control":"conflict","table":"x","count":-1}', "count: must be a whole number"),
        (b'{"control":"conflict","table":"x","count":4294967296}', "count: must be a whole number"),
        (b'{"control":"conflict","table":["x"],"count":1}', "table: must be a string"),
        (b'{"control":"reset","region":"mars-1"}', 'region: "mars-1" is not served here'),
        (b'{"control":"fail","operation":"Nothing","error":"InternalServerError","count":1}', 'operation: there is no "Nothing"'),
        (b'{"control":"fail","operation":"*","error":"Bad","count":1}', "error: must be one of ProvisionedThroughputExceeded"),
        (b'{"control":"fail","operation":"*","error":"ThrottlingException","count":1,"table":"' + b"t" * 300 + b'"}', "table: no name"),
        (b'{"control":"fault","points":"engine-apply"}', "points:"),
        (b'{"control":"iterators-age","seconds":-1}', "nothing grows younger"),
        (b" " * 70000 + b'{"control":"reset"}', "longer than 65536 bytes"),
    ],
)
def test_nonsense_is_told_so(control, body, words):
    assert words in refusal(control.send, body)


def test_missing_tables(control):
    for name, more in (("throttle", {"count": 1}), ("conflict", {"count": 1}), ("ttl-sweep", {}), ("shard-roll", {}), ("partition-split", {})):
        with pytest.raises(Refused) as refused:
            control(name, table="no-such-table", **more)
        assert "ResourceNotFoundException" in refused.value.answer


def test_random_bodies_do_no_harm(control, served):
    dice = random.Random(7)
    names = [c["control"] for c in control.describe()["controls"] if c["control"] not in ("fault",)]
    for _ in range(300):
        body = bytearray(json.dumps({"control": dice.choice(names), "table": "x", "seconds": dice.choice([1, -1, 1e18]), "count": 3}).encode())
        for _ in range(dice.randrange(4)):
            at = dice.randrange(len(body))
            body[at : at + dice.randrange(3)] = bytes(dice.randrange(256) for _ in range(dice.randrange(4)))
        try:
            control.send(bytes(body))
        except Refused as e:
            assert e.status == 400
    assert served.process.poll() is None


def test_controls_and_requests_at_once(control, db):
    name = create(db, "pk:S")
    stop = threading.Event()
    seen = set()

    def write():
        while not stop.is_set():
            seen.add(code(db.put_item, TableName=name, Item=key()))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for w in writers:
        w.start()
    for i in range(100):
        control("throttle", table=name, count=i % 3)
        control("conflict", table=name, count=i % 2)
        control("clock-advance", seconds=(-1) ** i * 100)
    control("reset")
    stop.set()
    for w in writers:
        w.join()
    assert seen == {None, "ThrottlingException", "TransactionConflictException"}
    assert code(db.put_item, TableName=name, Item=key()) is None


def signed(endpoint, body, access=None, secret=None):
    request = AWSRequest("POST", endpoint + PATH, data=body, headers={"Content-Type": "application/json"})
    if access:
        SigV4Auth(Credentials(access, secret), "dynamodb", REGION).add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(request.url, body, dict(request.headers))) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def test_with_verified_signatures_only_administrators(start_server, tmp_path):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    keys = tmp_path / "keys.json"
    keys.write_text(
        json.dumps(
            {
                "Keys": [
                    {"AccessKeyId": "ADMINADMINADMINADMIN", "SecretAccessKey": "s" * 40, "UserName": "admin"},
                    {"AccessKeyId": "USERUSERUSERUSERUSER", "SecretAccessKey": "t" * 40, "UserName": "user", "Policies": ["all"]},
                ],
                "Policies": {"all": policy},
            }
        )
    )
    keys.chmod(0o600)
    server = start_server("--ephemeral", "--test-controls", "--auth", "sigv4", "--credentials", keys, listen="0.0.0.0:0")
    port = server.port

    def send(*who):
        return signed(f"http://127.0.0.1:{server.port}", b'{"control":"clock-freeze"}', *who)

    assert send(None, None)[1]["__type"].endswith("MissingAuthenticationTokenException")
    assert send("ADMINADMINADMINADMIN", "wrong" * 8)[1]["__type"].endswith("InvalidSignatureException")
    assert send("USERUSERUSERUSERUSER", "t" * 40) == (
        400,
        {"__type": "com.amazon.coral.service#AccessDeniedException", "message": "Only administrators may use test controls"},
    )
    assert send("ADMINADMINADMINADMIN", "s" * 40)[0] == 200
    assert "test controls are on" in server.log()


def test_signatures_are_judged_by_the_real_time(start_server, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("ADMINADMINADMINADMIN " + "s" * 40 + "\n")
    keys.chmod(0o600)
    server = start_server("--ephemeral", "--test-controls", "--auth", "sigv4", "--credentials", keys)
    client = make_client(server.endpoint, access_key="ADMINADMINADMINADMIN", secret_key="s" * 40)
    assert signed(server.endpoint, b'{"control":"clock-advance","seconds":86400}', "ADMINADMINADMINADMIN", "s" * 40)[0] == 200
    name = create(client, "pk:S")
    assert client.describe_table(TableName=name)["Table"]["CreationDateTime"].timestamp() > time.time() + 80000


def test_the_example_of_the_documentation(control, db, served):
    text = (ROOT / "docs" / "TEST-CONTROLS.md").read_text()
    create(db, "id:S", name="Sessions")
    db.update_time_to_live(TableName="Sessions", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1].replace("http://127.0.0.1:8000", served.endpoint)
    exec(compile(code, "TEST-CONTROLS.md", "exec"), {})
    assert db.scan(TableName="Sessions")["Count"] == 1
    for listed in control.describe()["controls"]:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{listed['control']}` |"))
        for parameter in listed["parameters"]:
            assert f"`{parameter['name']}`" in row, row


def test_the_option_is_in_the_help():
    done = subprocess.run([binary(), "serve", "--help"], capture_output=True, text=True, env=clean_environment())
    assert "--test-controls" in done.stdout

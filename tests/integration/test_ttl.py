"""Time to live, on a clock that stands still unless it is moved."""

import os
import random
import time

import pytest
from botocore.exceptions import ClientError

from conftest import create, make_client, unique_name
from controls import Controls

NOW = 1_900_000_000
YEAR = 365 * 86400
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)
TOO_SOON = "Time to live has been modified multiple times within a fixed interval"


@pytest.fixture(scope="module")
def moved(start_server_session):
    server = start_server_session("--ephemeral", "--test-controls", "--region", "us-east-1", "--region", "eu-west-1")
    server.control = Controls(server.endpoint)
    return server


@pytest.fixture
def control(moved):
    moved.control("reset")
    moved.control("clock-freeze")
    moved.control("clock-set", time=NOW)
    yield moved.control
    moved.control("reset")


@pytest.fixture
def db(moved):
    return make_client(moved.endpoint)


def enable(client, name, attribute="due", enabled=True):
    return client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute}
    )["TimeToLiveSpecification"]


def status(client, name):
    return client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]


def item(pk, due=None, **more):
    return {"pk": {"S": pk}, **({"due": {"N": str(due)}} if due is not None else {}), **more}


def names(client, table, **kwargs):
    return {i["pk"]["S"] for page in client.get_paginator("scan").paginate(TableName=table, **kwargs) for i in page["Items"]}


def refused(call, *args, **kwargs):
    with pytest.raises(ClientError) as failure:
        call(*args, **kwargs)
    error = failure.value.response["Error"]
    return error["Code"], error["Message"]


# ---- the two operations; would pass against the original but for the hour ----


def test_statuses_and_answers(db, control):
    name = create(db, "pk:S")
    assert status(db, name) == {"TimeToLiveStatus": "DISABLED"}
    assert enable(db, name) == {"Enabled": True, "AttributeName": "due"}
    assert status(db, name) == {"TimeToLiveStatus": "ENABLED", "AttributeName": "due"}
    control("clock-advance", seconds=3600)
    assert enable(db, name, enabled=False) == {"Enabled": False, "AttributeName": "due"}
    assert status(db, name) == {"TimeToLiveStatus": "DISABLED"}
    arn = db.describe_table(TableName=name)["Table"]["TableArn"]
    assert status(db, arn) == {"TimeToLiveStatus": "DISABLED"}


def test_wrong_wishes(db, control, moved):
    name = create(db, "pk:S")
    loose = make_client(moved.endpoint, parameter_validation=False)
    validation = "ValidationException"
    assert refused(enable, db, name, enabled=False) == (validation, "TimeToLive is already disabled")
    enable(db, name)
    active = "TimeToLive is active on a different AttributeName: current AttributeName is due"
    assert refused(enable, db, name) == (validation, "TimeToLive is already enabled")
    assert refused(enable, db, name, "x") == (validation, active)
    assert refused(enable, db, name, "x", False) == (validation, active)
    assert refused(enable, db, name, "due", False) == (validation, TOO_SOON)
    control("clock-advance", seconds=3599.999)
    assert refused(enable, db, name, "due", False) == (validation, TOO_SOON)
    control("clock-advance", seconds=0.001)
    enable(db, name, "due", False)
    assert refused(enable, db, name, "due", False) == (validation, "TimeToLive is already disabled")
    assert refused(enable, db, name, "other") == (validation, TOO_SOON)
    missing = ("ResourceNotFoundException", "Requested resource not found: Table: no-such-table not found")
    assert refused(enable, db, "no-such-table") == missing
    assert refused(status, db, "no-such-table") == missing
    for specification, member in [
        ({"Enabled": True}, "timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must not be null"),
        ({"AttributeName": "a"}, "timeToLiveSpecification.enabled' failed to satisfy constraint: Member must not be null"),
        (
            {"Enabled": True, "AttributeName": "a" * 256},
            "timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have length less than or equal "
            "to 255",
        ),
        (
            {"Enabled": True, "AttributeName": ""},
            "timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have length greater than or "
            "equal to 1",
        ),
    ]:
        code, message = refused(loose.update_time_to_live, TableName=name, TimeToLiveSpecification=specification)
        assert (code, member in message) == (validation, True), message
    code, message = refused(loose.update_time_to_live, TableName=name)
    assert "timeToLiveSpecification' failed to satisfy constraint: Member must not be null" in message


@pytest.mark.parametrize("attribute", ["name", "ttl", "a.b", "a[0]", "#x", ":x", "ü☃ ", "a" * 255, "pk"])
def test_any_name_is_a_top_level_attribute(db, control, attribute):
    name = create(db, "pk:S")
    enable(db, name, attribute)
    assert status(db, name)["AttributeName"] == attribute
    db.put_item(TableName=name, Item={**item("nested"), "a": {"M": {"b": {"N": str(NOW - 1)}}}})
    if attribute != "pk":
        db.put_item(TableName=name, Item={**item("goes"), attribute: {"N": str(NOW - 1)}})
    control("ttl-sweep", table=name)
    assert names(db, name) == {"nested"}


def test_a_key_attribute_may_be_the_time(db, control):
    name = create(db, "pk:S,when:N")
    enable(db, name, "when")
    db.put_item(TableName=name, Item={"pk": {"S": "a"}, "when": {"N": str(NOW - 1)}})
    db.put_item(TableName=name, Item={"pk": {"S": "a"}, "when": {"N": str(NOW + 1)}})
    control("ttl-sweep")
    assert [i["when"]["N"] for i in db.scan(TableName=name)["Items"]] == [str(NOW + 1)]


# ---- what expires ----


def test_what_expires_and_what_does_not(db, control):
    name = create(db, "pk:S")
    enable(db, name)
    kept = {
        "now": {"N": str(NOW)},
        "later": {"N": str(NOW + 1)},
        "fraction": {"N": f"{NOW}.25"},
        "milliseconds": {"N": str((NOW - 1) * 1000)},
        "text": {"S": str(NOW - 1)},
        "set": {"NS": [str(NOW - 1)]},
        "list": {"L": [{"N": str(NOW - 1)}]},
        "map": {"M": {"due": {"N": str(NOW - 1)}}},
        "null": {"NULL": True},
        "true": {"BOOL": True},
        "negative": {"N": str(-NOW)},
        "ancient": {"N": str(NOW - 5 * YEAR - 86400 * 3)},
        "zero": {"N": "0"},
        "huge": {"N": "9.9E125"},
    }
    gone = {
        "past": {"N": str(NOW - 1)},
        "just": {"N": f"{NOW - 1}.999"},
        "exponent": {"N": f"{(NOW - 10) // 10}E1"},
        "years": {"N": str(NOW - 4 * YEAR)},
    }
    for pk, due in {**kept, **gone}.items():
        db.put_item(TableName=name, Item={"pk": {"S": pk}, "due": due})
    db.put_item(TableName=name, Item=item("none"))
    control("ttl-sweep")
    assert names(db, name) == {*kept, "none"}
    control("clock-advance", seconds=0.251)
    control("ttl-sweep")
    assert names(db, name) == {*kept, "none"} - {"now", "fraction"}


def test_expired_items_are_there_until_they_are_deleted_and_can_be_saved(start_server):
    """The clock runs; nobody sweeps by command."""
    server = start_server("--ephemeral")
    client = make_client(server.endpoint)
    while True:
        name = create(client, "pk:S")
        enable(client, name)
        due = int(time.time()) + 2
        client.put_item(TableName=name, Item=item("saved", due))
        client.put_item(TableName=name, Item=item("goes", due))
        client.update_item(
            TableName=name, Key=item("saved"), UpdateExpression="SET due = :d", ExpressionAttributeValues={":d": {"N": str(due + 999)}}
        )
        before = names(client, name)
        if time.time() < due:  # else it took so long that either may be gone
            break
    assert before == {"saved", "goes"}
    deadline = due + 60
    while names(client, name) != {"saved"}:
        assert time.time() < deadline
        time.sleep(0.02)
    gone = time.time()
    assert gone > due
    while server.metric("stator_ttl_deleted_total", table=name) == 0:  # the books are kept after the commit
        assert time.time() < deadline
        time.sleep(0.02)
    assert server.metric("stator_ttl_deleted_total", table=name) == 1
    assert server.metric("stator_ttl_backlog", table=name) == 0
    assert server.metric("stator_ttl_lag_seconds", table=name) == 0
    assert server.metric("stator_ttl_delay_seconds_bucket", table=name, le="1") == 1 or gone > due + 1


def test_every_way_to_write(db, control):
    name = create(db, "pk:S")
    enable(db, name)
    due = NOW + 5
    db.put_item(TableName=name, Item=item("put", due))
    db.update_item(TableName=name, Key=item("update"), UpdateExpression="SET due = :d", ExpressionAttributeValues={":d": {"N": str(due)}})
    db.update_item(TableName=name, Key=item("add"), AttributeUpdates={"due": {"Action": "ADD", "Value": {"N": str(due)}}})
    db.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item("batch", due)}}]})
    db.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": name, "Item": item("transact", due)}},
            {
                "Update": {
                    "TableName": name,
                    "Key": item("transact-update"),
                    "UpdateExpression": "SET due = :d",
                    "ExpressionAttributeValues": {":d": {"N": str(due)}},
                }
            },
        ]
    )
    db.execute_statement(Statement=f"INSERT INTO \"{name}\" VALUE {{'pk': 'partiql', 'due': {due}}}")
    db.batch_execute_statement(Statements=[{"Statement": f"INSERT INTO \"{name}\" VALUE {{'pk': 'partiql-batch', 'due': {due}}}"}])
    db.execute_transaction(TransactStatements=[{"Statement": f"INSERT INTO \"{name}\" VALUE {{'pk': 'partiql-transact', 'due': {due}}}"}])
    all_names = {"put", "update", "add", "batch", "transact", "transact-update", "partiql", "partiql-batch", "partiql-transact"}
    control("ttl-sweep")
    assert names(db, name) == all_names
    # each of them made later by the same means
    db.execute_statement(Statement=f"UPDATE \"{name}\" SET due = {due + 100} WHERE pk = 'put'")
    db.execute_statement(Statement=f"UPDATE \"{name}\" REMOVE due WHERE pk = 'update'")
    db.put_item(TableName=name, Item=item("batch"))
    control("clock-advance", seconds=6)
    control("ttl-sweep")
    assert names(db, name) == {"put", "update", "batch"}
    control("clock-advance", seconds=100)
    control("ttl-sweep")
    assert names(db, name) == {"update", "batch"}


def test_index_rows_go_and_no_capacity_is_used(start_server):
    server = start_server("--ephemeral", "--test-controls", "--throttling")
    control, client = Controls(server.endpoint), make_client(server.endpoint)
    control("clock-freeze")
    control("clock-set", time=NOW)
    units = {"ReadCapacityUnits": 1000, "WriteCapacityUnits": 100}
    name = create(
        client,
        "pk:S,sk:S",
        attributes={"g": "S"},
        BillingMode="PROVISIONED",
        ProvisionedThroughput=units,
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": units,
            }
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-l",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    enable(client, name)
    control("clock-advance", seconds=10)  # a second's worth of units is there at first
    for i in range(100):
        client.put_item(TableName=name, Item={**item(f"p{i % 7}", NOW), "sk": {"S": str(i)}, "g": {"S": "g"}})
    control("ttl-sweep")
    table = client.describe_table(TableName=name)["Table"]
    assert (table["ItemCount"], table["TableSizeBytes"]) == (0, 0)
    assert table["GlobalSecondaryIndexes"][0]["ItemCount"] == table["LocalSecondaryIndexes"][0]["ItemCount"] == 0
    assert client.scan(TableName=name, IndexName="by-g")["Count"] == client.scan(TableName=name, IndexName="by-l")["Count"] == 0
    for i in range(500):  # of 1000 units 500 are left, for the index 400: the deletes took none
        client.put_item(TableName=name, Item={"pk": {"S": "x"}, "sk": {"S": "y"}})


def test_stream_records_tell_who_deleted(db, control, moved):
    import boto3

    streams = boto3.client(
        "dynamodbstreams", endpoint_url=moved.endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    name = create(db, "pk:S", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    arn = db.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    enable(db, name)
    db.put_item(TableName=name, Item=item("by-time", NOW - 1, v={"S": "x"}))
    db.put_item(TableName=name, Item=item("by-hand", NOW + 1))
    db.delete_item(TableName=name, Key=item("by-hand"))
    control("ttl-sweep")
    removed = {}
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        for record in streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]:
            if record["eventName"] == "REMOVE":
                removed[record["dynamodb"]["Keys"]["pk"]["S"]] = record
    assert removed.keys() == {"by-time", "by-hand"}
    assert removed["by-time"]["userIdentity"] == {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    assert removed["by-time"]["dynamodb"]["OldImage"] == item("by-time", NOW - 1, v={"S": "x"})
    assert "userIdentity" not in removed["by-hand"]


def test_each_region_for_itself(moved, control):
    east, west = make_client(moved.endpoint), make_client(moved.endpoint, region="eu-west-1")
    name = create(east, "pk:S")
    create(west, "pk:S", name=name)
    for client in (east, west):
        enable(client, name)
        client.put_item(TableName=name, Item=item("a", NOW + 1))
    enabled = {"TimeToLiveStatus": "ENABLED", "AttributeName": "due"}
    assert status(east, name) == status(west, name) == enabled
    control("clock-advance", seconds=2)
    control("ttl-sweep", region="eu-west-1", table=name)
    assert names(west, name) == set()
    control("ttl-sweep", table=name)
    assert names(east, name) == set()


def test_a_new_table_of_the_name_knows_nothing_of_the_old_one(db, control):
    name = create(db, "pk:S")
    enable(db, name)
    db.put_item(TableName=name, Item=item("a", NOW + 1))
    db.delete_table(TableName=name)
    db.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    create(db, "pk:S", name=name)
    assert status(db, name) == {"TimeToLiveStatus": "DISABLED"}
    db.put_item(TableName=name, Item=item("a", NOW + 1))
    control("clock-advance", seconds=2)
    control("ttl-sweep")
    assert names(db, name) == {"a"}
    enable(db, name)


# ---- the model, with kill -9 ----


def test_items_are_those_of_a_model_through_kills(start_server, tmp_path):
    """Random writes under a moving clock; after each kill the items are those of the model, and only those expire that must."""
    dice = random.Random(SEED)
    name, model, now = unique_name(), {}, NOW
    data = tmp_path / "data"
    enabled = False

    def begin():
        server = start_server("--data", data, "--test-controls")
        control = Controls(server.endpoint)
        control("clock-freeze")
        control("clock-set", time=now)
        return server, control, make_client(server.endpoint)

    server, control, client = begin()
    create(client, "pk:S", name=name)
    for turn in range(ROUNDS):
        for step in range(120):
            pk, due, kind = f"i{dice.randrange(40)}", now + dice.randrange(-20, 60), dice.randrange(12)
            expires = model[pk] < now if pk in model and model[pk] is not None and enabled else False
            if kind < 5:
                client.put_item(TableName=name, Item=item(pk, due))
                model[pk] = due
            elif kind == 5:
                client.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item(pk)}}]})
                model[pk] = None
            elif kind == 6:
                client.delete_item(TableName=name, Key=item(pk))
                model.pop(pk, None)
            elif kind == 7 and not expires:  # else it may be gone already, and comes back as a new item
                client.update_item(
                    TableName=name,
                    Key=item(pk),
                    UpdateExpression="SET due = :d",
                    ExpressionAttributeValues={":d": {"N": str(due)}},
                )
                model[pk] = due
            elif kind == 8:
                now += dice.randrange(0, 20)
                control("clock-set", time=now)
            elif kind == 9 and turn > 0 and not enabled:
                enable(client, name)
                enabled = True
            elif kind == 10:
                control("ttl-sweep", table=name)
                model = {k: d for k, d in model.items() if not enabled or d is None or d >= now}
                assert names(client, name, ConsistentRead=True) == model.keys(), f"SEED={SEED} turn {turn} step {step}"
        server.kill()
        server, control, client = begin()
        assert status(client, name)["TimeToLiveStatus"] == ("ENABLED" if enabled else "DISABLED")
        control("ttl-sweep")
        model = {k: d for k, d in model.items() if not enabled or d is None or d >= now}
        items = {i["pk"]["S"]: i.get("due", {}).get("N") for i in client.scan(TableName=name)["Items"]}
        assert items == {k: str(d) if d is not None else None for k, d in model.items()}, f"SEED={SEED} turn {turn}"
        assert client.describe_table(TableName=name)["Table"]["ItemCount"] == len(model)

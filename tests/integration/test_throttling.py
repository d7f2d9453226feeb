"""Provisioned capacity and on-demand maxima as limits: --throttling. The clock stands, so that no slow call finds a bucket filled."""

import pytest
from botocore.exceptions import ClientError

from conftest import create, make_client, wait_active
from controls import Controls

TABLE_WORDS = (
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning "
    "level with the UpdateTable API."
)


def units(read, write):
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def key(i=1):
    return {"pk": {"S": str(i)}}


@pytest.fixture
def throttling_server(start_server):
    server = start_server("--ephemeral", "--throttling", "--control-plane-delay", "10", "--test-controls")
    Controls(server.endpoint)("clock-freeze")
    return server


@pytest.fixture
def pass_seconds(throttling_server):
    return lambda seconds: Controls(throttling_server.endpoint)("clock-advance", seconds=seconds)


@pytest.fixture
def throttling(throttling_server):
    return make_client(throttling_server.endpoint)


def provisioned(client, read, write, **kwargs):
    return create(client, "pk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units(read, write), **kwargs)


def until_throttled(call, most=200):
    """How many calls went through before one was refused, and what it was told."""
    for done in range(most):
        try:
            call()
        except ClientError as e:
            return done, e.response
    raise AssertionError("nothing was refused")


def arn(client, name):
    return client.describe_table(TableName=name)["Table"]["TableArn"]


def test_writes_above_the_rate_are_refused_with_reasons(throttling, pass_seconds):
    name = provisioned(throttling, 5, 3)
    done, answer = until_throttled(lambda: throttling.put_item(TableName=name, Item=key()))
    assert 3 <= done <= 30
    assert answer["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert answer["Error"]["Message"] == TABLE_WORDS
    assert answer["ThrottlingReasons"] == [
        {"reason": "TableWriteProvisionedThroughputExceeded", "resource": arn(throttling, name)}
    ]
    throttling.get_item(TableName=name, Key=key())  # reads have a bucket of their own
    pass_seconds(1.1)
    throttling.put_item(TableName=name, Item=key())  # and it fills again


def test_a_refused_write_changes_nothing(throttling):
    name = provisioned(throttling, 100, 1)
    throttling.put_item(TableName=name, Item={**key(), "v": {"S": "x" * 20_000}})  # 20 seconds' worth
    for call in (
        lambda: throttling.put_item(TableName=name, Item=key()),
        lambda: throttling.delete_item(TableName=name, Key=key()),
        lambda: throttling.update_item(TableName=name, Key=key(2), UpdateExpression="REMOVE a"),
        lambda: throttling.execute_statement(Statement=f"INSERT INTO \"{name}\" VALUE {{'pk': 'z'}}"),
    ):
        with pytest.raises(throttling.exceptions.ProvisionedThroughputExceededException):
            call()
    assert [len(item["v"]["S"]) for item in throttling.scan(TableName=name)["Items"]] == [20_000]


def test_reads_are_charged_by_what_they_read(throttling):
    name = provisioned(throttling, 1, 1000)
    throttling.put_item(TableName=name, Item={**key(), "v": {"S": "x" * 100_000}})
    throttling.get_item(TableName=name, Key=key())  # 12.5 units
    for call in (
        lambda: throttling.get_item(TableName=name, Key=key()),
        lambda: throttling.scan(TableName=name),
        lambda: throttling.query(
            TableName=name, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "1"}}
        ),
        lambda: throttling.execute_statement(Statement=f"SELECT * FROM \"{name}\" WHERE pk = '1'"),
    ):
        with pytest.raises(throttling.exceptions.ProvisionedThroughputExceededException) as e:
            call()
        assert e.value.response["ThrottlingReasons"][0]["reason"] == "TableReadProvisionedThroughputExceeded"


def test_an_index_without_capacity_holds_up_the_table(throttling):
    name = provisioned(
        throttling,
        100,
        1000,
        attributes={"g": "S"},
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": units(1, 1),
            }
        ],
    )
    throttling.put_item(TableName=name, Item={**key(), "g": {"S": "a"}, "v": {"S": "x" * 20_000}})
    throttling.put_item(TableName=name, Item=key(2))  # not in the index
    with pytest.raises(throttling.exceptions.ProvisionedThroughputExceededException) as e:
        throttling.put_item(TableName=name, Item={**key(3), "g": {"S": "a"}})
    assert "global secondary indexes" in e.value.response["Error"]["Message"]
    assert e.value.response["ThrottlingReasons"] == [
        {"reason": "IndexWriteProvisionedThroughputExceeded", "resource": arn(throttling, name) + "/index/by-g"}
    ]
    with pytest.raises(throttling.exceptions.ProvisionedThroughputExceededException) as e:
        for _ in range(100):
            throttling.scan(TableName=name, IndexName="by-g")
    assert e.value.response["ThrottlingReasons"][0]["reason"] == "IndexReadProvisionedThroughputExceeded"


def test_batches_hand_back_what_was_refused(throttling):
    name = provisioned(throttling, 2, 5)
    requests = [{"PutRequest": {"Item": key(i)}} for i in range(25)]
    answer = throttling.batch_write_item(RequestItems={name: requests}, ReturnConsumedCapacity="TOTAL")
    left = answer["UnprocessedItems"][name]
    assert 5 <= 25 - len(left) < 25
    assert all(request in requests for request in left)
    assert answer["ConsumedCapacity"][0]["CapacityUnits"] == 25 - len(left)
    with pytest.raises(throttling.exceptions.ProvisionedThroughputExceededException):
        for _ in range(5):  # 5 a second: the first may still find something
            throttling.batch_write_item(RequestItems={name: left})

    keys = {name: {"Keys": [key(i) for i in range(50)], "ConsistentRead": True}}
    answer = throttling.batch_get_item(RequestItems=keys)
    unread = answer["UnprocessedKeys"][name]
    assert unread["ConsistentRead"] is True
    assert 2 <= 50 - len(unread["Keys"]) < 50
    with pytest.raises(throttling.exceptions.ProvisionedThroughputExceededException):
        for _ in range(5):
            throttling.batch_get_item(RequestItems=keys)


def test_transactions_are_cancelled_with_reasons(throttling):
    dry, wet = provisioned(throttling, 1, 1), provisioned(throttling, 1000, 1000)
    throttling.put_item(TableName=dry, Item={**key(), "v": {"S": "x" * 30_000}})
    with pytest.raises(throttling.exceptions.TransactionCanceledException) as e:
        throttling.transact_write_items(
            TransactItems=[{"Put": {"TableName": t, "Item": key(2)}} for t in (wet, dry)]
        )
    first, second = e.value.response["CancellationReasons"]
    assert first["Code"] == "None"
    assert (second["Code"], second["Message"]) == ("ProvisionedThroughputExceeded", TABLE_WORDS)
    assert "Item" not in throttling.get_item(TableName=wet, Key=key(2))
    gets = {"TransactItems": [{"Get": {"TableName": t, "Key": key()}} for t in (wet, dry)]}
    throttling.transact_get_items(**gets)  # 16 units
    with pytest.raises(throttling.exceptions.TransactionCanceledException) as e:
        throttling.transact_get_items(**gets)
    assert [r["Code"] for r in e.value.response["CancellationReasons"]] == ["None", "ProvisionedThroughputExceeded"]


def test_partiql_batches_tell_it_statement_by_statement(throttling):
    name = provisioned(throttling, 100, 1)
    throttling.put_item(TableName=name, Item={**key(), "v": {"S": "x" * 20_000}})
    statements = [{"Statement": f"INSERT INTO \"{name}\" VALUE {{'pk': '{i}'}}"} for i in "ab"]
    answers = throttling.batch_execute_statement(Statements=statements)["Responses"]
    assert [a["Error"]["Code"] for a in answers] == ["ProvisionedThroughputExceeded"] * 2


def test_on_demand_tables_have_only_their_maxima(throttling):
    free = create(throttling, "pk:S")
    for i in range(200):
        throttling.put_item(TableName=free, Item=key(i))
    name = create(
        throttling, "pk:S", OnDemandThroughput={"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 100}
    )
    throttling.put_item(TableName=name, Item={**key(), "v": {"S": "x" * 50_000}})
    throttling.get_item(TableName=name, Key=key())
    with pytest.raises(ClientError) as e:
        throttling.get_item(TableName=name, Key=key())
    answer = e.value.response
    assert answer["Error"]["Code"] == "ThrottlingException"
    assert answer["Error"]["Message"] == "Throughput exceeds the maximum OnDemandThroughput configured on table or index"
    assert answer["throttlingReasons"] == [
        {"reason": "TableReadMaxOnDemandThroughputExceeded", "resource": arn(throttling, name)}
    ]


def test_more_capacity_helps_at_once(throttling, pass_seconds):
    name = provisioned(throttling, 1, 1)
    until_throttled(lambda: throttling.put_item(TableName=name, Item=key()))
    throttling.update_table(TableName=name, ProvisionedThroughput=units(1, 10_000))
    wait_active(throttling, name)
    pass_seconds(1.1)
    for _ in range(50):
        throttling.put_item(TableName=name, Item=key())


def test_refusals_are_counted(throttling, throttling_server):
    name = provisioned(throttling, 1, 1)
    throttling.put_item(TableName=name, Item={**key(), "v": {"S": "x" * 20_000}})
    for _ in range(3):
        with pytest.raises(throttling.exceptions.ProvisionedThroughputExceededException):
            throttling.put_item(TableName=name, Item=key())
    labels = {"region": "us-east-1", "table": name, "index": ""}
    assert throttling_server.metric("stator_throttled_requests_total", **labels, capacity="write") == 3
    assert throttling_server.metric("stator_throttled_requests_total", **labels, capacity="read") == 0


def test_statements_of_a_transaction_are_cancelled_with_reasons(throttling):
    name = provisioned(throttling, 1, 1)
    throttling.put_item(TableName=name, Item={**key(), "v": {"S": "x" * 20_000}})
    with pytest.raises(throttling.exceptions.TransactionCanceledException) as e:
        throttling.execute_transaction(
            TransactStatements=[{"Statement": f"INSERT INTO \"{name}\" VALUE {{'pk': '{i}'}}"} for i in "ab"]
        )
    assert {r["Code"] for r in e.value.response["CancellationReasons"]} == {"ProvisionedThroughputExceeded"}


def test_nothing_is_refused_without_the_option(client):
    name = provisioned(client, 1, 1)
    for _ in range(100):
        client.put_item(TableName=name, Item={**key(), "v": {"S": "x" * 2000}})
    client.delete_table(TableName=name)


# ---- streams ----


def test_reading_a_stream_has_limits(throttling, throttling_server):
    """Ten descriptions a second and stream, five pages a second and shard."""
    streams = make_client(throttling_server.endpoint, service="dynamodbstreams")
    name = create(throttling, "pk:S", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    stream = throttling.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    shards = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    done, answer = until_throttled(lambda: streams.describe_stream(StreamArn=stream))
    assert done >= 9
    assert answer["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
    iterators = [
        streams.get_shard_iterator(StreamArn=stream, ShardId=s["ShardId"], ShardIteratorType="LATEST")["ShardIterator"]
        for s in shards[:2]
    ]
    done, answer = until_throttled(lambda: streams.get_records(ShardIterator=iterators[0]))
    assert done >= 5
    assert answer["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
    streams.get_records(ShardIterator=iterators[1])  # another shard


def test_a_large_page_of_a_stream_is_paid_for(start_server):
    server = start_server("--ephemeral", "--throttling", "--test-controls", "--partitions", "1")
    db, streams = make_client(server.endpoint), make_client(server.endpoint, service="dynamodbstreams")
    control = Controls(server.endpoint)
    name = create(db, "pk:S", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    for i in range(3):
        db.put_item(TableName=name, Item={**key(i), "v": {"S": "x" * 390_000}})
    stream = db.describe_table(TableName=name)["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    control("clock-freeze")
    for _ in range(2):  # a second's worth at once, 2 MB, and what goes over it
        assert len(streams.get_records(ShardIterator=iterator)["Records"]) == 3
    with pytest.raises(ClientError) as refused:
        streams.get_records(ShardIterator=iterator)
    assert refused.value.response["Error"]["Code"] == "ThrottlingException"
    control("clock-advance", seconds=1)
    assert len(streams.get_records(ShardIterator=iterator)["Records"]) == 3

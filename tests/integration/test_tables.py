"""CreateTable, DescribeTable, ListTables, DeleteTable, UpdateTable, tags, limits."""

import time

import pytest
from conftest import WhileItLasts, create, make_client, unique_name, wait_active, wait_gone

GSI = {
    "IndexName": "by-owner",
    "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


def test_new_table_is_described_as_asked(client, make_table):
    name = make_table("pk:S,sk:N", Tags=[{"Key": "team", "Value": "blue"}])
    table = client.describe_table(TableName=name)["Table"]
    assert table["TableName"] == name
    assert table["TableStatus"] == "ACTIVE"
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert sorted(table["AttributeDefinitions"], key=lambda a: a["AttributeName"]) == [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
    ]
    assert table["TableArn"].startswith("arn:aws:dynamodb:us-east-1:")
    assert table["TableArn"].endswith(f":table/{name}")
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["ItemCount"] == 0 and table["TableSizeBytes"] == 0
    assert abs(table["CreationDateTime"].timestamp() - time.time()) < 60
    assert len(table["TableId"]) == 36


def test_a_new_table_is_creating_first(client, start_server):
    for delay_ms in (500, 5000, 50000):
        own = make_client(start_server("--ephemeral", "--control-plane-delay", delay_ms).endpoint)
        name = unique_name()
        with WhileItLasts(delay_ms) as creating:
            answer = own.create_table(
                TableName=name,
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )
            assert answer["TableDescription"]["TableStatus"] == "CREATING"
            with pytest.raises(own.exceptions.ResourceNotFoundException):
                own.put_item(TableName=name, Item={"pk": {"S": "a"}})
        wait_active(own, name)
        own.put_item(TableName=name, Item={"pk": {"S": "a"}})
        with WhileItLasts(delay_ms) as deleting:
            assert own.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
            assert own.describe_table(TableName=name)["Table"]["TableStatus"] == "DELETING"
            with pytest.raises(own.exceptions.ResourceNotFoundException):
                own.get_item(TableName=name, Key={"pk": {"S": "a"}})
        wait_gone(own, name)
        if not creating.too_late and not deleting.too_late:
            return
    raise AssertionError("looked too late every time")


def test_waiters_find_it_done_at_their_first_look(start_server):
    """They look at once, and then sleep 20 s."""
    found = 0
    own = make_client(start_server("--ephemeral").endpoint)
    for i in range(12):
        began = time.monotonic()
        answer = own.create_table(
            TableName=f"wait-{i}",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        )
        assert answer["TableDescription"]["TableStatus"] == "CREATING"
        own.get_waiter("table_exists").wait(TableName=f"wait-{i}")
        own.update_table(TableName=f"wait-{i}", ProvisionedThroughput={"ReadCapacityUnits": 9, "WriteCapacityUnits": 5})
        own.get_waiter("table_exists").wait(TableName=f"wait-{i}")
        assert own.delete_table(TableName=f"wait-{i}")["TableDescription"]["TableStatus"] == "DELETING"
        own.get_waiter("table_not_exists").wait(TableName=f"wait-{i}")
        found += time.monotonic() - began < 19
        if found == 3:
            break  # else the machine was held up for longer than the server waits with its answer
    assert found == 3


def test_a_name_is_taken_once(client, make_table):
    name = make_table()
    with pytest.raises(client.exceptions.ResourceInUseException):
        create(client, "pk:S", name=name)


def test_missing_tables_are_not_found(client, failing):
    with failing("ResourceNotFoundException", "Requested resource not found: Table: no-such-table not found"):
        client.describe_table(TableName="no-such-table")
    with failing("ResourceNotFoundException", "Requested resource not found: Table: no-such-table not found"):
        client.delete_table(TableName="no-such-table")
    with failing("ResourceNotFoundException", "Requested resource not found"):
        client.get_item(TableName="no-such-table", Key={"pk": {"S": "a"}})


@pytest.mark.parametrize("name", ["ab", "with space", "ä" * 5, "x" * 256])
def test_bad_table_names_are_refused(loose_client, failing, name):
    with failing("ValidationException"):
        create(loose_client, "pk:S", name=name)


def test_key_attributes_must_be_defined(client, failing):
    with failing("ValidationException", "Some index key attributes are not defined in AttributeDefinitions"):
        client.create_table(
            TableName=unique_name(),
            AttributeDefinitions=[{"AttributeName": "other", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )


def test_superfluous_definitions_are_refused(client, failing):
    with failing("ValidationException"):
        create(client, "pk:S", attributes={"unused": "S"})


def test_list_tables_pages_in_name_order(start_server):
    own = make_client(start_server("--ephemeral", "--control-plane-delay", "0").endpoint)
    names = sorted(f"table-{i:02}" for i in range(7))
    for name in reversed(names):
        create(own, "pk:S", name=name)
    first = own.list_tables(Limit=3)
    assert first["TableNames"] == names[:3]
    assert first["LastEvaluatedTableName"] == names[2]
    rest = own.list_tables(ExclusiveStartTableName=names[2])
    assert rest["TableNames"] == names[3:]
    assert "LastEvaluatedTableName" not in rest
    assert [n for page in own.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2}) for n in page["TableNames"]] == names


def test_deletion_protection_protects(client, make_table, failing):
    name = make_table(DeletionProtectionEnabled=True)
    with failing("ValidationException", "protected against deletion"):
        client.delete_table(TableName=name)
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    wait_active(client, name)
    client.delete_table(TableName=name)
    wait_gone(client, name)


def test_a_deleted_table_takes_its_items_along(client, make_table):
    name = make_table()
    for i in range(50):
        client.put_item(TableName=name, Item={"pk": {"S": str(i)}})
    client.delete_table(TableName=name)
    wait_gone(client, name)
    create(client, "pk:S", name=name)
    assert client.scan(TableName=name)["Items"] == []


def test_provisioned_throughput_is_described_and_changed(client, make_table):
    name = make_table(
        BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    )
    figures = client.describe_table(TableName=name)["Table"]["ProvisionedThroughput"]
    assert (figures["ReadCapacityUnits"], figures["WriteCapacityUnits"]) == (5, 6)
    client.update_table(TableName=name, ProvisionedThroughput={"ReadCapacityUnits": 7, "WriteCapacityUnits": 8})
    figures = wait_active(client, name)["ProvisionedThroughput"]
    assert (figures["ReadCapacityUnits"], figures["WriteCapacityUnits"]) == (7, 8)


def test_billing_mode_changes(client, make_table):
    name = make_table(
        BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    )
    client.update_table(TableName=name, BillingMode="PAY_PER_REQUEST")
    table = wait_active(client, name)
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 0


def test_table_class_changes(client, make_table):
    name = make_table(TableClass="STANDARD_INFREQUENT_ACCESS")
    assert client.describe_table(TableName=name)["Table"]["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    client.update_table(TableName=name, TableClass="STANDARD")
    assert wait_active(client, name)["TableClassSummary"]["TableClass"] == "STANDARD"


def test_an_index_is_added_with_what_the_table_holds(client, make_table):
    name = make_table("pk:S")
    for i in range(120):
        item = {"pk": {"S": str(i)}, "n": {"N": str(i)}}
        if i % 2 == 0:
            item["owner"] = {"S": f"owner-{i % 10}"}
        client.put_item(TableName=name, Item=item)
    client.update_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "owner", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": GSI}],
    )
    wait_active(client, name)
    assert client.scan(TableName=name, IndexName="by-owner")["Count"] == 60
    found = client.query(
        TableName=name,
        IndexName="by-owner",
        KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"},
        ExpressionAttributeValues={":o": {"S": "owner-4"}},
    )
    assert sorted(int(item["n"]["N"]) for item in found["Items"]) == list(range(4, 120, 10))


def test_an_index_is_deleted(client, make_table, failing):
    name = make_table("pk:S", attributes={"owner": "S"}, GlobalSecondaryIndexes=[GSI])
    client.update_table(TableName=name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-owner"}}])
    deadline = time.monotonic() + 60
    while "GlobalSecondaryIndexes" in (table := client.describe_table(TableName=name)["Table"]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with failing("ValidationException", "The table does not have the specified index: by-owner"):
        client.scan(TableName=name, IndexName="by-owner")


def test_update_table_needs_something_to_do(client, make_table, failing):
    with failing("ValidationException"):
        client.update_table(TableName=make_table())


def test_tags_come_and_go(client, make_table):
    arn = client.describe_table(TableName=make_table())["Table"]["TableArn"]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "3"}])
    tags = {t["Key"]: t["Value"] for t in client.list_tags_of_resource(ResourceArn=arn)["Tags"]}
    assert tags == {"a": "1", "b": "3"}
    client.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert client.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "3"}]


def test_limits_and_endpoints_are_told(client):
    limits = client.describe_limits()
    assert limits["TableMaxReadCapacityUnits"] > 0
    assert client.describe_endpoints()["Endpoints"][0]["CachePeriodInMinutes"] > 0


def test_regions_have_their_own_tables(client, endpoint, make_table):
    name = make_table()
    elsewhere = make_client(endpoint, region="eu-west-1")
    assert name not in elsewhere.list_tables()["TableNames"]
    create(elsewhere, "pk:S", name=name)
    assert ":eu-west-1:" in elsewhere.describe_table(TableName=name)["Table"]["TableArn"]
    elsewhere.put_item(TableName=name, Item={"pk": {"S": "there"}})
    assert client.scan(TableName=name)["Count"] == 0
    elsewhere.delete_table(TableName=name)


# Operations of the model that are not served yet: a refusal from the model, never a pretence and never a 500.
UNSERVED = [
    ("create_backup", dict(TableName="some-table", BackupName="some-backup")),
    ("describe_continuous_backups", dict(TableName="some-table")),
    ("describe_time_to_live", dict(TableName="some-table")),
    ("execute_statement", dict(Statement="SELECT * FROM \"some-table\"")),
    ("describe_contributor_insights", dict(TableName="some-table")),
    ("describe_kinesis_streaming_destination", dict(TableName="some-table")),
]


def test_lists_of_what_cannot_be_made_are_empty(client):
    assert client.list_backups()["BackupSummaries"] == []
    assert client.list_global_tables()["GlobalTables"] == []
    assert client.list_exports()["ExportSummaries"] == []
    assert client.list_imports()["ImportSummaryList"] == []


@pytest.mark.parametrize("operation, arguments", UNSERVED, ids=[row[0] for row in UNSERVED])
def test_unserved_operations_are_refused(client, operation, arguments):
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as failure:
        getattr(client, operation)(**arguments)
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400

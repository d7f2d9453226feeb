"""How many, how much, how often: each limit at its value and one over."""

import pytest
from botocore.exceptions import ClientError

from conftest import create, make_client, unique_name, wait_active
from controls import Controls

DAY = 86400


def units(read, write):
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def index(name, key="g", **more):
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
        **more,
    }


@pytest.fixture(scope="module")
def quick(start_server_session):
    """A server on a clock that stands still, with statuses that pass at once."""
    server = start_server_session("--ephemeral", "--test-controls", "--control-plane-delay", "0")
    return make_client(server.endpoint), Controls(server.endpoint)


@pytest.fixture
def timed(quick):
    client, control = quick
    control("clock-set", time=1_791_504_000 + 13 * 3600 + 5 * 60)  # Friday, October 9, 2026, 1:05 PM
    control("clock-freeze")
    yield client, control
    control("clock-reset")


def update(client, name, **kwargs):
    wait_active(client, name)
    client.update_table(TableName=name, **kwargs)
    wait_active(client, name)


def refusal(client, name, **kwargs):
    wait_active(client, name)
    with pytest.raises(ClientError) as failure:
        client.update_table(TableName=name, **kwargs)
    assert failure.value.response["Error"]["Code"] == "LimitExceededException"
    return failure.value.response["Error"]["Message"]


# ---- how often ----


def test_four_switches_to_on_demand_in_a_day(timed):
    client, control = timed
    name = create(client, "pk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units(5, 5))

    def back():
        update(client, name, BillingMode="PROVISIONED", ProvisionedThroughput=units(5, 5))

    for _ in range(4):
        update(client, name, BillingMode="PAY_PER_REQUEST")
        back()  # as often as one likes
        control("clock-advance", seconds=3600)
    assert refusal(client, name, BillingMode="PAY_PER_REQUEST") == (
        "Subscriber limit exceeded: Update to PayPerRequest mode are limited to 4 times in 1 day(s). Last update at "
        "Fri Oct 09 16:05:00 UTC 2026. Next update can be made at Sat Oct 10 13:05:00 UTC 2026"
    )
    table = client.describe_table(TableName=name)["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    control("clock-advance", seconds=20 * 3600 - 1)
    refusal(client, name, BillingMode="PAY_PER_REQUEST")
    control("clock-advance", seconds=1)  # the first one is a day ago
    update(client, name, BillingMode="PAY_PER_REQUEST")
    update(client, name, BillingMode="PAY_PER_REQUEST")  # no switch
    back()
    refusal(client, name, BillingMode="PAY_PER_REQUEST")  # until the second one is


def test_two_changes_of_class_in_thirty_days(timed):
    client, control = timed
    name = create(client, "pk:S")
    for _ in range(3):
        update(client, name, TableClass="STANDARD")  # as it is: costs nothing
    update(client, name, TableClass="STANDARD_INFREQUENT_ACCESS")
    update(client, name, TableClass="STANDARD_INFREQUENT_ACCESS")
    control("clock-advance", seconds=DAY)
    update(client, name, TableClass="STANDARD")
    words = "Subscriber limit exceeded: Updates to TableClass are limited to 2 times in 30 day(s)."
    assert refusal(client, name, TableClass="STANDARD_INFREQUENT_ACCESS") == words
    assert refusal(client, name, TableClass="STANDARD") == words
    control("clock-advance", seconds=29 * DAY - 1)
    assert refusal(client, name, TableClass="STANDARD_INFREQUENT_ACCESS") == words
    control("clock-advance", seconds=1)
    update(client, name, TableClass="STANDARD_INFREQUENT_ACCESS")


def test_quotas_outlive_a_restart_and_go_with_the_table(start_server, tmp_path):
    arguments = ("--data", tmp_path / "data", "--control-plane-delay", "0")
    server = start_server(*arguments)
    client = make_client(server.endpoint)
    name = create(client, "pk:S")
    update(client, name, TableClass="STANDARD_INFREQUENT_ACCESS")
    update(client, name, TableClass="STANDARD")
    server.kill()
    server = start_server(*arguments)
    client = make_client(server.endpoint)
    refusal(client, name, TableClass="STANDARD_INFREQUENT_ACCESS")
    client.delete_table(TableName=name)
    client.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    create(client, "pk:S", name=name)
    update(client, name, TableClass="STANDARD_INFREQUENT_ACCESS")


def test_four_decreases_a_day_then_one_an_hour(timed):
    client, control = timed
    name = create(client, "pk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units(20, 20))
    for i in range(1, 4):
        update(client, name, ProvisionedThroughput=units(20 - i, 20 - i))  # both at once are one
    update(client, name, ProvisionedThroughput=units(10, 30))  # down and up is one, too
    told = client.describe_table(TableName=name)["Table"]["ProvisionedThroughput"]
    assert told["NumberOfDecreasesToday"] == 4
    words = (
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
        "first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 "
        "seconds. Number of decreases today: {}. Last decrease at {} Coordinated Universal Time. Next decrease can be "
        "made at {} Coordinated Universal Time"
    )
    assert refusal(client, name, ProvisionedThroughput=units(9, 9)) == words.format(
        4, "Friday, October 9, 2026 at 1:05:00 PM", "Friday, October 9, 2026 at 2:05:00 PM"
    )
    update(client, name, ProvisionedThroughput=units(11, 31))  # up is always possible
    control("clock-advance", seconds=3599)
    refusal(client, name, ProvisionedThroughput=units(9, 9))
    control("clock-advance", seconds=1)
    update(client, name, ProvisionedThroughput=units(9, 9))
    refusal(client, name, ProvisionedThroughput=units(8, 8))
    control("clock-advance", seconds=9 * 3600 + 50 * 60)  # 11:55 PM
    update(client, name, ProvisionedThroughput=units(8, 8))
    assert refusal(client, name, ProvisionedThroughput=units(7, 7)) == words.format(
        6, "Friday, October 9, 2026 at 11:55:00 PM", "Saturday, October 10, 2026 at 12:00:00 AM"
    )
    control("clock-advance", seconds=300)  # another day
    update(client, name, ProvisionedThroughput=units(7, 7))
    assert client.describe_table(TableName=name)["Table"]["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 1


# ---- how much ----


def test_the_limits_that_are_told_hold(start_server):
    client = make_client(start_server("--ephemeral", "--control-plane-delay", "0").endpoint)
    limits = client.describe_limits()
    most, account = limits["TableMaxReadCapacityUnits"], limits["AccountMaxReadCapacityUnits"]
    assert (most, account) == (40000, 80000)
    assert (limits["TableMaxWriteCapacityUnits"], limits["AccountMaxWriteCapacityUnits"]) == (most, account)
    name = create(client, "pk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units(most, 1))
    refer = " Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    for read, write, kind in ((most + 1, 1, "Read"), (1, most + 1, "Write")):
        with pytest.raises(ClientError) as failure:
            create(client, "pk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units(read, write))
        assert failure.value.response["Error"] == {
            "Code": "LimitExceededException",
            "Message": f"The requested {kind}CapacityUnits, {most + 1}, is above the per table maximum for the account "
            f"in us-east-1. Per table maximum: {most}." + refer,
        }
    assert "per table maximum" in refusal(client, name, ProvisionedThroughput=units(most + 1, 1))
    with pytest.raises(ClientError) as failure:
        create(client, "pk:S", attributes={"g": "S"}, BillingMode="PROVISIONED", ProvisionedThroughput=units(1, 1),
               GlobalSecondaryIndexes=[index("by-g", ProvisionedThroughput=units(1, most + 1))])
    assert failure.value.response["Error"]["Message"] == (
        f"The requested WriteCapacityUnits for index by-g, {most + 1}, is above the per index maximum for the account in "
        f"us-east-1. Per index maximum: {most}." + refer
    )
    # table and index together are what the account has
    second = create(client, "pk:S", attributes={"g": "S"}, BillingMode="PROVISIONED",
                    ProvisionedThroughput=units(most - 10, 1),
                    GlobalSecondaryIndexes=[index("by-g", ProvisionedThroughput=units(10, 1))])
    with pytest.raises(ClientError) as failure:
        create(client, "pk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units(1, 1))
    assert failure.value.response["Error"]["Message"] == (
        f"This request would have caused the ReadCapacityUnits limit to be exceeded for the account in us-east-1. Current "
        f"ReadCapacityUnits reserved by the account: {account}. Limit: {account}. Requested: 1." + refer
    )
    update(client, second, ProvisionedThroughput=units(most - 11, 1))
    create(client, "pk:S", BillingMode="PROVISIONED", ProvisionedThroughput=units(1, 1))


def test_maxima_and_warm_units_have_the_same_limit(client, make_table, failing):
    name = make_table("pk:S")
    client.update_table(TableName=name, OnDemandThroughput={"MaxReadRequestUnits": 40000, "MaxWriteRequestUnits": 40000})
    wait_active(client, name)
    with failing("LimitExceededException", "Subscriber limit exceeded: Requested MaxReadRequestUnits for "
                 "OnDemandThroughput for table exceeds TableMaxReadCapacityUnits of the account in region us-east-1"):
        client.update_table(TableName=name, OnDemandThroughput={"MaxReadRequestUnits": 40001})
    with failing("LimitExceededException", "Subscriber limit exceeded: Requested WriteUnitsPerSecond for WarmThroughput "
                 "for table exceeds TableMaxWriteCapacityUnits of the account in region us-east-1"):
        client.update_table(TableName=name, WarmThroughput={"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 40001})


# ---- how many ----


def test_twenty_global_indexes(client, make_table, failing):
    names = [f"index-{i:02}" for i in range(20)]
    name = make_table("pk:S", attributes={"g": "S"}, GlobalSecondaryIndexes=[index(n) for n in names])
    assert len(client.describe_table(TableName=name)["Table"]["GlobalSecondaryIndexes"]) == 20
    definitions = [{"AttributeName": "g", "AttributeType": "S"}]
    with failing("LimitExceededException",
                 "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20"):
        client.update_table(TableName=name, AttributeDefinitions=definitions,
                            GlobalSecondaryIndexUpdates=[{"Create": index("one-more")}])
    with failing("ValidationException", "One or more parameter values were invalid: GlobalSecondaryIndex count exceeds the "
                 "per-table limit of 20"):
        make_table("pk:S", attributes={"g": "S"}, GlobalSecondaryIndexes=[index(n) for n in [*names, "one-more"]])


def local(name):
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def test_five_local_indexes(client, make_table, failing):
    name = make_table("pk:S,sk:S", attributes={"g": "S"}, LocalSecondaryIndexes=[local(f"local-{i}") for i in range(5)])
    assert len(client.describe_table(TableName=name)["Table"]["LocalSecondaryIndexes"]) == 5
    with failing("ValidationException", "One or more parameter values were invalid: Number of LocalSecondaryIndexes "
                 "exceeds per-table limit of 5"):
        make_table("pk:S,sk:S", attributes={"g": "S"}, LocalSecondaryIndexes=[local(f"local-{i}") for i in range(6)])


@pytest.mark.parametrize("length, good", [(2, False), (3, True), (255, True), (256, False)])
def test_lengths_of_names(client, loose_client, length, good):
    name = (unique_name() + "x" * 255)[:length]
    request = dict(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    if good:
        loose_client.create_table(**request)
        wait_active(client, name)
        client.delete_table(TableName=name)
        return
    with pytest.raises(ClientError) as failure:
        loose_client.create_table(**request)
    assert failure.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize("length, good", [(2, False), (3, True), (255, True), (256, False)])
def test_lengths_of_index_names(loose_client, make_table, length, good):
    name = make_table("pk:S")
    request = dict(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[{"Create": index("i" * length)}],
    )
    if good:
        loose_client.update_table(**request)
        wait_active(loose_client, name)
        return
    with pytest.raises(ClientError) as failure:
        loose_client.update_table(**request)
    assert failure.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize("length, good", [(255, True), (256, False)])
def test_lengths_of_key_attribute_names(make_table, length, good):
    if good:
        assert make_table("p" * length + ":S")
        return
    with pytest.raises(ClientError) as failure:
        make_table("p" * length + ":S")
    assert failure.value.response["Error"]["Code"] == "ValidationException"


def tags(count, key="k", value="v"):
    return [{"Key": f"{key}{i}", "Value": value} for i in range(count)]


def test_fifty_tags(client, make_table):
    name = make_table("pk:S", Tags=tags(50))
    arn = client.describe_table(TableName=name)["Table"]["TableArn"]
    assert len(client.list_tags_of_resource(ResourceArn=arn)["Tags"]) == 50
    client.tag_resource(ResourceArn=arn, Tags=tags(50, value="w"))  # the same keys
    with pytest.raises(ClientError) as failure:
        client.tag_resource(ResourceArn=arn, Tags=tags(1, key="other"))
    assert failure.value.response["Error"]["Code"] == "ValidationException"
    client.untag_resource(ResourceArn=arn, TagKeys=["k0"])
    client.tag_resource(ResourceArn=arn, Tags=tags(1, key="other"))
    with pytest.raises(ClientError):
        make_table("pk:S", Tags=tags(51))


@pytest.mark.parametrize("key, value, good", [(128, 256, True), (129, 1, False), (1, 257, False), (0, 1, False), (1, 0, True)])
def test_lengths_of_tags(loose_client, client, make_table, key, value, good):
    name = make_table("pk:S")
    arn = client.describe_table(TableName=name)["Table"]["TableArn"]
    request = dict(ResourceArn=arn, Tags=[{"Key": "k" * key, "Value": "v" * value}])
    if good:
        loose_client.tag_resource(**request)
        return
    with pytest.raises(ClientError) as failure:
        loose_client.tag_resource(**request)
    assert failure.value.response["Error"]["Code"] == "ValidationException"


def test_a_protected_table_stays(client, make_table, failing):
    name = make_table("pk:S", DeletionProtectionEnabled=True)
    with failing("ValidationException", "Resource cannot be deleted as it is currently protected against deletion."):
        client.delete_table(TableName=name)
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    assert client.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"


@pytest.mark.parametrize(
    "specification, good",
    [
        ({"Enabled": False}, True),
        ({"Enabled": True}, False),
        ({"Enabled": True, "SSEType": "KMS"}, False),
        ({"Enabled": True, "SSEType": "AES256"}, False),
        ({"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/x"}, False),
        ({"KMSMasterKeyId": "alias/x"}, False),
    ],
)
def test_encryption_that_is_not_done_is_not_promised(make_table, client, specification, good):
    if good:
        name = make_table("pk:S", SSESpecification=specification)
        assert "SSEDescription" not in client.describe_table(TableName=name)["Table"]
        return
    with pytest.raises(ClientError) as failure:
        make_table("pk:S", SSESpecification=specification)
    assert failure.value.response["Error"]["Code"] == "ValidationException"
    name = make_table("pk:S")
    with pytest.raises(ClientError) as failure:
        client.update_table(TableName=name, SSESpecification=specification)
    assert failure.value.response["Error"]["Code"] == "ValidationException"

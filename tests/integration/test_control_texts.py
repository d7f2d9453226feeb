"""The words and rules of the control plane, as the service was measured to have them in October 2026."""

import pytest
from botocore.exceptions import ClientError
from conftest import make_client, unique_name, wait_active

INVALID = "One or more parameter values were invalid: "
NULL = "Value null at '%s' failed to satisfy constraint: Member must not be null"
DEFINITIONS = [{"AttributeName": "pk", "AttributeType": "S"}]
WITH_G = DEFINITIONS + [{"AttributeName": "g", "AttributeType": "S"}]
KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}]
INDEX = {
    "IndexName": "gsi1",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}


@pytest.fixture(scope="module")
def tables(start_server_session):
    """A client that checks nothing, an on-demand table without and one with an index, a provisioned one."""
    client = make_client(start_server_session("--ephemeral").endpoint, parameter_validation=False)
    for name, more in (
        ("plain", {}),
        ("indexed", {"AttributeDefinitions": WITH_G, "GlobalSecondaryIndexes": [INDEX]}),
        ("units", {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS}),
    ):
        client.create_table(**new_table(name, **more))
        wait_active(client, name)
    return client


def new_table(name, **more):
    return {
        "TableName": name,
        "AttributeDefinitions": DEFINITIONS,
        "KeySchema": KEYS,
        "BillingMode": "PAY_PER_REQUEST",
    } | more


def refusal(call, **request):
    with pytest.raises(ClientError) as refused:
        call(**request)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def indexed(**index):
    return {"AttributeDefinitions": WITH_G, "GlobalSecondaryIndexes": [INDEX | index]}


def keys(*pairs):
    return [{"AttributeName": name, "KeyType": kind} for name, kind in pairs]


WARM_INITIAL = (
    INVALID + "Requested ReadUnitsPerSecond for WarmThroughput for table is lower than initial throughput for OnDemand. "
    "See: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"
    "#on-demand-capacity-mode-initial"
)
OUT_OF_RANGE = INVALID + "Requested MaxReadRequestUnits for OnDemandThroughput for %s is outside of valid range"

CREATE = {
    "definition of nothing": (
        {"AttributeDefinitions": [{}]},
        "2 validation errors detected: "
        + NULL % "attributeDefinitions.1.member.attributeType"
        + "; "
        + NULL % "attributeDefinitions.1.member.attributeName",
    ),
    "definition twice": ({"AttributeDefinitions": DEFINITIONS * 2}, "Attribute Name is duplicated: pk"),
    "tag of nothing": ({"Tags": [{}]}, "The Tag Key provided is invalid, Key: null"),
    "warm below zero": ({"WarmThroughput": {"ReadUnitsPerSecond": -1, "WriteUnitsPerSecond": -1}}, WARM_INITIAL),
    "warm of one": ({"WarmThroughput": {"ReadUnitsPerSecond": 1}}, WARM_INITIAL),
    "warm below the units": (
        {
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": UNITS,
            "WarmThroughput": {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 4},
        },
        INVALID + "Requested WriteUnitsPerSecond for WarmThroughput for table is lower than WriteCapacityUnits of "
        "ProvisionedThroughput",
    ),
    "no maximum of zero": ({"OnDemandThroughput": {"MaxReadRequestUnits": 0}}, OUT_OF_RANGE % "table"),
    "no maximum taken away": ({"OnDemandThroughput": {"MaxReadRequestUnits": -1}}, OUT_OF_RANGE % "table"),
    "index without a maximum": (
        indexed(OnDemandThroughput={"MaxReadRequestUnits": 0}),
        OUT_OF_RANGE % "index : gsi1",
    ),
    "maximum and units": (
        {
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": UNITS,
            "OnDemandThroughput": {"MaxReadRequestUnits": 5},
        },
        INVALID + "MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED",
    ),
    "projected twice": (
        indexed(Projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "a"]}),
        INVALID + "Duplicate element in NonKeyAttributes: a",
    ),
    "index without units": (
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS} | indexed(),
        INVALID + "ProvisionedThroughput is not specified for index: gsi1",
    ),
    "partition key behind the sort key": (
        indexed(KeySchema=keys(("g", "HASH"), ("pk", "RANGE"), ("h", "HASH")))
        | {"AttributeDefinitions": WITH_G + [{"AttributeName": "h", "AttributeType": "S"}]},
        INVALID + "All HASH key attributes must precede RANGE key attributes in the KeySchema",
    ),
    "five partition keys": (
        indexed(KeySchema=keys(*((f"g{i}", "HASH") for i in range(5))))
        | {"AttributeDefinitions": DEFINITIONS + [{"AttributeName": f"g{i}", "AttributeType": "S"} for i in range(5)]},
        INVALID + "The KeySchema exceeds the maximum allowed number of HASH key attributes",
    ),
}


@pytest.mark.parametrize("case", CREATE)
def test_create_table_says(tables, case):
    request, message = CREATE[case]
    assert refusal(tables.create_table, **new_table("fresh", **request)) == ("ValidationException", message)


def change(kind, **index):
    return {"GlobalSecondaryIndexUpdates": [{kind: index}]}


NOTHING = (
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
    "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "
    "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
)
COOLER = (
    INVALID + "Requested ReadUnitsPerSecond for WarmThroughput for %s is lower than current WarmThroughput, decreasing "
    "WarmThroughput is not supported"
)
WARM_NOTHING = (
    INVALID + "WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for index: %s"
)
ONLY_ON_DEMAND = (
    INVALID + "The only Updates for index: gsi1 when TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, "
    "WarmThroughput"
)
ALONE = INVALID + "%s must be the only operation in the request"
PROTECT = {"DeletionProtectionEnabled": True}
MAXIMUM = {"OnDemandThroughput": {"MaxReadRequestUnits": 5}}
WARM = {"WarmThroughput": {"ReadUnitsPerSecond": 20000}}
DEFAULT_KEY = {"SSESpecification": {"Enabled": False}}
RARE = {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
NEW_INDEX = {"AttributeDefinitions": WITH_G} | change("Create", **(INDEX | {"IndexName": "other"}))

UPDATE = {
    "nothing": ("plain", {}, NOTHING),
    "definitions alone": ("plain", {"AttributeDefinitions": DEFINITIONS}, NOTHING),
    "structures of nothing": ("plain", {"WarmThroughput": {}, "OnDemandThroughput": {}}, NOTHING),
    "default encryption": ("plain", DEFAULT_KEY, INVALID + "Table is already encrypted by default"),
    "encryption and protection": ("plain", DEFAULT_KEY | PROTECT, ALONE % "Server-Side Encryption modification"),
    "class and protection": ("plain", RARE | PROTECT, ALONE % "TableClass modification"),
    "protection and warmth": ("plain", PROTECT | WARM, ALONE % "DeletionProtection modification"),
    "protection and an index": ("plain", PROTECT | NEW_INDEX, ALONE % "DeletionProtection modification"),
    "warmth and billing": ("plain", WARM | {"BillingMode": "PAY_PER_REQUEST"}, ALONE % "WarmThroughput"),
    "warmth and maxima": (
        "plain",
        WARM | MAXIMUM,
        INVALID + "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request",
    ),
    "warmth and an index": (
        "plain",
        WARM | NEW_INDEX,
        INVALID + "Create global secondary index cannot be specified when updating WarmThroughput",
    ),
    "units and an index": (
        "units",
        {"ProvisionedThroughput": UNITS} | NEW_INDEX,
        INVALID + "You cannot create or delete index while updating table IOPS",
    ),
    "no maximum of zero": ("plain", {"OnDemandThroughput": {"MaxReadRequestUnits": 0}}, OUT_OF_RANGE % "table"),
    "maximum and units": (
        "units",
        MAXIMUM,
        INVALID + "MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED",
    ),
    "cooler": ("plain", {"WarmThroughput": {"ReadUnitsPerSecond": 0}}, COOLER % "table"),
    "cooler index": ("indexed", change("Update", IndexName="gsi1", WarmThroughput={"ReadUnitsPerSecond": -1}), COOLER % "index gsi1"),
    "index's warmth of nothing": ("indexed", change("Update", IndexName="ghost", WarmThroughput={}), WARM_NOTHING % "ghost"),
    "warmth of nothing, nowhere": ("missing", change("Update", IndexName="ghost", WarmThroughput={}), WARM_NOTHING % "ghost"),
    "index by name": ("indexed", change("Update", IndexName="gsi1"), ONLY_ON_DEMAND),
    "index's maxima of nothing": ("indexed", change("Update", IndexName="gsi1", OnDemandThroughput={}), ONLY_ON_DEMAND),
    "no changes of indexes": (
        "indexed",
        {"GlobalSecondaryIndexUpdates": []},
        INVALID + "List of GlobalSecondaryIndexUpdates is empty",
    ),
    "two actions": (
        "indexed",
        {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "gsi1"}, "Delete": {"IndexName": "gsi1"}}]},
        INVALID + "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
    ),
    "index without definitions": (
        "indexed",
        change("Create", **(INDEX | {"IndexName": "other"})),
        INVALID + "AttributeDefinitions is not specified for index: other",
    ),
}


@pytest.mark.parametrize("case", UPDATE)
def test_update_table_says(tables, case):
    table, request, message = UPDATE[case]
    assert refusal(tables.update_table, TableName=table, **request) == ("ValidationException", message)


def test_an_index_that_is_not_there_is_named(tables):
    assert refusal(
        tables.update_table, TableName="indexed", **change("Update", IndexName="ghost", OnDemandThroughput={})
    ) == ("ResourceNotFoundException", "Requested resource not found: Index ghost for table indexed")


def test_definitions_of_an_update_mean_nothing_without_a_new_index(tables):
    tables.update_table(
        TableName="indexed",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "N"}],
        DeletionProtectionEnabled=False,
    )
    defined = tables.describe_table(TableName="indexed")["Table"]["AttributeDefinitions"]
    assert {"AttributeName": "pk", "AttributeType": "S"} in defined


TAG = {
    "nothing": ([{}], "The Tag Key provided is invalid, Key: null"),
    "no value": ([{"Key": "k"}], "The Tag Value provided is invalid, Value: null"),
    "no key": ([{"Value": "v"}], "The Tag Key provided is invalid, Key: null"),
    "empty key": ([{"Key": "", "Value": "v"}], "The Tag Key provided is invalid, Key: "),
    "long key": ([{"Key": "k" * 129, "Value": "v"}], "The Tag Key provided is invalid, Key: " + "k" * 129),
    "long value": ([{"Key": "k", "Value": "v" * 257}], "The Tag Value provided is invalid, Value: " + "v" * 257),
    "reserved": ([{"Key": "aws:x", "Value": "v"}], "Tag Key cannot be prefixed with aws:, Key: aws:x"),
    "twice": (
        [{"Key": "x", "Value": "v"}, {"Key": "x", "Value": "w"}],
        "Duplicate Tag Keys provided as input: Duplicate Tag Key found x",
    ),
    "too many": (
        [{"Key": f"k{i}", "Value": "v"} for i in range(51)],
        "Number of Tags exceed the current limit for the provided ResourceArn",
    ),
}


@pytest.mark.parametrize("case", TAG)
def test_tag_resource_says(tables, case):
    tags, message = TAG[case]
    arn = tables.describe_table(TableName="plain")["Table"]["TableArn"]
    assert refusal(tables.tag_resource, ResourceArn=arn, Tags=tags) == ("ValidationException", message)


def test_tags_of_two_requests_count_together(tables):
    arn = tables.describe_table(TableName="units")["Table"]["TableArn"]
    tables.tag_resource(ResourceArn=arn, Tags=[{"Key": f"k{i}", "Value": "é" * 256} for i in range(50)])
    assert refusal(tables.tag_resource, ResourceArn=arn, Tags=[{"Key": "one more", "Value": ""}]) == (
        "ValidationException",
        "Number of Tags exceed the current limit for the provided ResourceArn",
    )


def test_an_empty_tag_key_cannot_be_removed(tables):
    arn = tables.describe_table(TableName="plain")["Table"]["TableArn"]
    assert refusal(tables.untag_resource, ResourceArn=arn, TagKeys=["k", ""]) == (
        "ValidationException",
        "The Tag Key provided is invalid, Key: ",
    )


ARNS = {
    "no ARN": ("abc", INVALID + "ARNs must start with 'arn:': abc"),
    "another service's": (
        "arn:aws:s3:::bucket",
        INVALID + "Provided Arn is not a DynamoDB resource arn: arn:aws:s3:::bucket",
    ),
    "an index's": (
        "arn:aws:dynamodb:us-east-1:123456789012:table/indexed/index/gsi1",
        INVALID + "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: "
        "arn:aws:dynamodb:us-east-1:123456789012:table/indexed/index/gsi1",
    ),
}


@pytest.mark.parametrize("case", ARNS)
def test_what_cannot_have_tags(tables, case):
    arn, message = ARNS[case]
    assert refusal(tables.list_tags_of_resource, ResourceArn=arn) == ("ValidationException", message)


def test_an_empty_name_is_too_short_and_no_name(tables):
    assert refusal(tables.describe_table, TableName="") == (
        "ValidationException",
        "2 validation errors detected: Value '' at 'tableName' failed to satisfy constraint: Member must have length "
        "greater than or equal to 3; Value '' at 'tableName' failed to satisfy constraint: Member must satisfy regular "
        "expression pattern: [a-zA-Z0-9_.-]+",
    )


def test_a_table_may_be_warmer_than_it_would_be(client):
    name = unique_name()
    client.create_table(**new_table(name, WarmThroughput={"ReadUnitsPerSecond": 12001}))
    wait_active(client, name)
    warm = client.describe_table(TableName=name)["Table"]["WarmThroughput"]
    assert (warm["ReadUnitsPerSecond"], warm["WriteUnitsPerSecond"]) == (12001, 4000)


def test_only_a_description_tells_warmth_nobody_asked_for(client):
    name = unique_name()
    created = client.create_table(**new_table(name, **indexed()))["TableDescription"]
    assert "WarmThroughput" not in created and "WarmThroughput" not in created["GlobalSecondaryIndexes"][0]
    wait_active(client, name)
    table = client.describe_table(TableName=name)["Table"]
    assert table["WarmThroughput"]["ReadUnitsPerSecond"] == 12000
    assert table["GlobalSecondaryIndexes"][0]["WarmThroughput"]["ReadUnitsPerSecond"] == 12000


def test_what_was_provisioned_stays_warm(client):
    def warm():
        wait_active(client, name)
        told = client.describe_table(TableName=name)["Table"]["WarmThroughput"]
        return told["ReadUnitsPerSecond"], told["WriteUnitsPerSecond"]

    def units(reads, writes):
        return {"ReadCapacityUnits": reads, "WriteCapacityUnits": writes}

    name = unique_name()
    client.create_table(**new_table(name, BillingMode="PROVISIONED", ProvisionedThroughput=units(3, 3)))
    assert warm() == (3, 3)
    client.update_table(TableName=name, ProvisionedThroughput=units(1, 5))
    assert warm() == (3, 5)
    client.update_table(TableName=name, BillingMode="PAY_PER_REQUEST")
    assert warm() == (12000, 4000)
    client.update_table(TableName=name, BillingMode="PROVISIONED", ProvisionedThroughput=units(2, 2))
    assert warm() == (12000, 4000)


def test_maxima_and_warmth_change_while_the_table_is_active(start_server):
    own = make_client(start_server("--ephemeral", "--control-plane-delay", "1000").endpoint)
    name = unique_name()
    own.create_table(**new_table(name))
    wait_active(own, name)
    for change in ({"OnDemandThroughput": {"MaxReadRequestUnits": 9}}, {"WarmThroughput": {"ReadUnitsPerSecond": 13000}}):
        assert own.update_table(TableName=name, **change)["TableDescription"]["TableStatus"] == "ACTIVE"
    table = own.describe_table(TableName=name)["Table"]
    assert table["OnDemandThroughput"]["MaxReadRequestUnits"] == 9
    assert table["WarmThroughput"] == {"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"}

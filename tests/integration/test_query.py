"""Query: key conditions, order, pages, filters, select."""

from decimal import Decimal

import pytest
from boto3.dynamodb.conditions import Attr, Key


@pytest.fixture(scope="module")
def numbers(client, resource):
    """pk "a": sk -50..49, pk "b": sk 0..9."""
    from conftest import create

    name = create(client, "pk:S,sk:N")
    table = resource.Table(name)
    with table.batch_writer() as batch:
        for i in range(-50, 50):
            batch.put_item(Item={"pk": "a", "sk": i, "even": i % 2 == 0, "text": f"item {i}"})
        for i in range(10):
            batch.put_item(Item={"pk": "b", "sk": i})
    yield table
    client.delete_table(TableName=name)


def sks(answer):
    return [int(item["sk"]) for item in answer["Items"]]


CONDITIONS = [
    (Key("sk").eq(7), [7]),
    (Key("sk").eq(1000), []),
    (Key("sk").lt(-47), [-50, -49, -48]),
    (Key("sk").lte(-48), [-50, -49, -48]),
    (Key("sk").gt(47), [48, 49]),
    (Key("sk").gte(48), [48, 49]),
    (Key("sk").between(-1, 1), [-1, 0, 1]),
    (Key("sk").between(Decimal("0.5"), Decimal("1.5")), [1]),
]


@pytest.mark.parametrize("condition, expected", CONDITIONS, ids=range(len(CONDITIONS)))
def test_sort_key_conditions(numbers, condition, expected):
    assert sks(numbers.query(KeyConditionExpression=Key("pk").eq("a") & condition)) == expected
    backward = numbers.query(KeyConditionExpression=Key("pk").eq("a") & condition, ScanIndexForward=False)
    assert sks(backward) == expected[::-1]


def test_numbers_come_in_their_order(numbers):
    assert sks(numbers.query(KeyConditionExpression=Key("pk").eq("a"))) == list(range(-50, 50))


def test_partitions_do_not_mix(numbers):
    assert sks(numbers.query(KeyConditionExpression=Key("pk").eq("b"))) == list(range(10))
    assert sks(numbers.query(KeyConditionExpression=Key("pk").eq("c"))) == []


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [1, 7, 50, 100, 101])
def test_pages_join_without_gap_or_overlap(numbers, limit, forward):
    found, start = [], {}
    while True:
        page = numbers.query(KeyConditionExpression=Key("pk").eq("a"), Limit=limit, ScanIndexForward=forward, **start)
        assert page["Count"] <= limit
        found += sks(page)
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == sorted(range(-50, 50), reverse=not forward)


def test_a_filter_counts_what_it_looked_at(numbers):
    answer = numbers.query(KeyConditionExpression=Key("pk").eq("a"), FilterExpression=Attr("even").eq(True), Limit=10)
    assert (answer["Count"], answer["ScannedCount"]) == (5, 10)
    assert answer["LastEvaluatedKey"] == {"pk": "a", "sk": -41}


def test_select_count_has_no_items(numbers):
    answer = numbers.query(KeyConditionExpression=Key("pk").eq("a"), Select="COUNT")
    assert answer["Count"] == 100
    assert "Items" not in answer


def test_projection_picks_attributes(numbers):
    answer = numbers.query(KeyConditionExpression=Key("pk").eq("b"), ProjectionExpression="sk", Limit=2)
    assert answer["Items"] == [{"sk": 0}, {"sk": 1}]


def test_a_page_ends_at_one_megabyte(client, make_table, resource):
    table = resource.Table(make_table("pk:S,sk:N"))
    with table.batch_writer() as batch:
        for i in range(30):
            batch.put_item(Item={"pk": "a", "sk": i, "x": "y" * 100_000})
    first = table.query(KeyConditionExpression=Key("pk").eq("a"))
    assert first["Count"] == 11  # the one that crosses the line is the last
    assert first["LastEvaluatedKey"] == {"pk": "a", "sk": 10}
    found, start = sks(first), first["LastEvaluatedKey"]
    while start:
        page = table.query(KeyConditionExpression=Key("pk").eq("a"), ExclusiveStartKey=start)
        found += sks(page)
        start = page.get("LastEvaluatedKey")
    assert found == list(range(30))


def test_strings_sort_by_their_bytes(client, make_table, resource):
    table = resource.Table(make_table("pk:S,sk:S"))
    texts = ["", "A", "B", "a", "aa", "ab", "b", "é", "ü", "€", "\U0001f600", "a\x00", "a\x00b", "~"]
    texts.remove("")  # a key is never empty
    for text in reversed(texts):
        table.put_item(Item={"pk": "a", "sk": text})
    got = [item["sk"] for item in table.query(KeyConditionExpression=Key("pk").eq("a"))["Items"]]
    assert got == sorted(texts, key=lambda text: text.encode())
    begins = table.query(KeyConditionExpression=Key("pk").eq("a") & Key("sk").begins_with("a"))["Items"]
    assert [item["sk"] for item in begins] == ["a", "a\x00", "a\x00b", "aa", "ab"]


def test_binaries_sort_unsigned(client, make_table):
    name = make_table("pk:S,sk:B")
    keys = [b"\x00", b"\x00\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff\x00", b"\xff\xff"]
    for key in reversed(keys):
        client.put_item(TableName=name, Item={"pk": {"S": "a"}, "sk": {"B": key}})
    answer = client.query(
        TableName=name, KeyConditionExpression="pk = :a", ExpressionAttributeValues={":a": {"S": "a"}}
    )
    assert [item["sk"]["B"] for item in answer["Items"]] == keys


REFUSED = [
    ("sk = :n", "Query condition missed key schema element: pk"),
    ("pk = :s AND even = :n", "Query condition missed key schema element: sk"),
    ("pk > :s", "Query key condition not supported"),
    ("pk = :s AND sk <> :n", "Invalid operator used in KeyConditionExpression: <>"),
    ("pk = :s OR sk = :n", "Invalid operator used in KeyConditionExpression: OR"),
    ("pk = :n", "Condition parameter type does not match schema type"),
    ("pk = :s AND begins_with(sk, :n)", "begins_with, operand type: N"),
]


@pytest.mark.parametrize("condition, message", REFUSED, ids=[c for c, _ in REFUSED])
def test_bad_key_conditions_are_refused(client, numbers, failing, condition, message):
    values = {k: v for k, v in {":s": {"S": "a"}, ":n": {"N": "1"}}.items() if k in condition}
    with failing("ValidationException", message):
        client.query(TableName=numbers.name, KeyConditionExpression=condition, ExpressionAttributeValues=values)


def test_filters_cannot_use_the_key(numbers, failing):
    with failing("ValidationException", "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"):
        numbers.query(KeyConditionExpression=Key("pk").eq("a"), FilterExpression=Attr("sk").eq(1))


def test_legacy_key_conditions(client, numbers):
    answer = client.query(
        TableName=numbers.name,
        KeyConditions={
            "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]},
            "sk": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "3"}, {"N": "5"}]},
        },
        QueryFilter={"even": {"ComparisonOperator": "EQ", "AttributeValueList": [{"BOOL": False}]}},
    )
    assert [item["sk"]["N"] for item in answer["Items"]] == ["3", "5"]


def test_consumed_capacity_of_a_page(numbers):
    answer = numbers.query(KeyConditionExpression=Key("pk").eq("a"), ReturnConsumedCapacity="TOTAL", ConsistentRead=True)
    # 100 items of 30-odd bytes: one 4 KB step
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 1.0

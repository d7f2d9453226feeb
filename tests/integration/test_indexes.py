"""Secondary indexes: what is in them, in which order, and always with the table."""

import threading

import pytest
from boto3.dynamodb.conditions import Attr, Key
from conftest import create, wait_active

INDEXES = dict(
    attributes={"g": "S", "h": "N", "l": "S"},
    GlobalSecondaryIndexes=[
        {
            "IndexName": "g-all",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "h", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": "g-some",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
        },
    ],
    LocalSecondaryIndexes=[
        {
            "IndexName": "l-keys",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
)


@pytest.fixture
def indexed(resource, make_table):
    return resource.Table(make_table("pk:S,sk:N", **INDEXES))


def test_an_item_is_in_the_indexes_whose_keys_it_has(indexed):
    indexed.put_item(Item={"pk": "a", "sk": 1, "g": "G", "h": 1, "l": "L", "x": "X", "y": "Y"})
    indexed.put_item(Item={"pk": "a", "sk": 2, "g": "G"})
    indexed.put_item(Item={"pk": "a", "sk": 3})
    assert indexed.scan(IndexName="g-all")["Items"] == [
        {"pk": "a", "sk": 1, "g": "G", "h": 1, "l": "L", "x": "X", "y": "Y"}
    ]
    some = sorted(indexed.scan(IndexName="g-some")["Items"], key=lambda item: item["sk"])
    assert some == [{"pk": "a", "sk": 1, "g": "G", "x": "X"}, {"pk": "a", "sk": 2, "g": "G"}]
    assert indexed.scan(IndexName="l-keys")["Items"] == [{"pk": "a", "sk": 1, "l": "L"}]


def test_index_rows_follow_the_item(indexed):
    def owners(g):
        return [int(i["sk"]) for i in indexed.query(IndexName="g-some", KeyConditionExpression=Key("g").eq(g))["Items"]]

    indexed.put_item(Item={"pk": "a", "sk": 1, "g": "one"})
    assert owners("one") == [1]
    indexed.update_item(
        Key={"pk": "a", "sk": 1}, UpdateExpression="SET g = :g", ExpressionAttributeValues={":g": "two"}
    )
    assert owners("one") == [] and owners("two") == [1]
    indexed.update_item(Key={"pk": "a", "sk": 1}, UpdateExpression="REMOVE g")
    assert owners("two") == []
    indexed.put_item(Item={"pk": "a", "sk": 1, "g": "three"})
    indexed.delete_item(Key={"pk": "a", "sk": 1})
    assert owners("three") == []


def test_index_order_and_pages(indexed):
    with indexed.batch_writer() as batch:
        for i in range(40):
            batch.put_item(Item={"pk": f"p{i % 7}", "sk": i, "g": "G", "h": (i * 17) % 10})
    found, start = [], {}
    while True:
        page = indexed.query(IndexName="g-all", KeyConditionExpression=Key("g").eq("G"), Limit=7, **start)
        found += [(int(item["h"]), int(item["sk"])) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        assert set(page["LastEvaluatedKey"]) == {"pk", "sk", "g", "h"}
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert [h for h, _ in found] == sorted((i * 17) % 10 for i in range(40))
    assert sorted(sk for _, sk in found) == list(range(40))
    backward = indexed.query(IndexName="g-all", KeyConditionExpression=Key("g").eq("G") & Key("h").gt(7), ScanIndexForward=False)
    assert [int(item["h"]) for item in backward["Items"]] == [9] * 4 + [8] * 4


def test_a_local_index_fetches_what_it_does_not_hold(indexed):
    indexed.put_item(Item={"pk": "a", "sk": 1, "l": "L", "x": "X"})
    condition = Key("pk").eq("a") & Key("l").begins_with("L")
    keys = indexed.query(IndexName="l-keys", KeyConditionExpression=condition)
    assert keys["Items"] == [{"pk": "a", "sk": 1, "l": "L"}]
    whole = indexed.query(IndexName="l-keys", KeyConditionExpression=condition, Select="ALL_ATTRIBUTES", ConsistentRead=True)
    assert whole["Items"] == [{"pk": "a", "sk": 1, "l": "L", "x": "X"}]


def test_a_page_of_a_local_index_counts_what_it_fetches(indexed):
    for i in range(12):
        indexed.put_item(Item={"pk": "a", "sk": i, "l": str(i), "x": "x" * 200_000})
    query = dict(IndexName="l-keys", KeyConditionExpression=Key("pk").eq("a"), Select="ALL_ATTRIBUTES")
    page = indexed.query(**query)
    assert page["Count"] == 6  # the sixth reaches 1 MB
    rest = indexed.query(**query, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert rest["Count"] == 6
    assert indexed.query(**query, FilterExpression=Attr("y").exists())["ScannedCount"] == 6
    assert indexed.query(**{**query, "Select": "COUNT"})["Count"] == 12  # reads index rows only


def test_global_indexes_have_no_consistent_reads(indexed, failing):
    with failing("ValidationException", "Consistent reads are not supported on global secondary indexes"):
        indexed.query(IndexName="g-all", KeyConditionExpression=Key("g").eq("G"), ConsistentRead=True)
    with failing("ValidationException", "Select type ALL_ATTRIBUTES is not supported for global secondary index g-some"):
        indexed.query(IndexName="g-some", KeyConditionExpression=Key("g").eq("G"), Select="ALL_ATTRIBUTES")


def test_index_keys_have_types(indexed, failing):
    with failing("ValidationException", "Type mismatch for Index Key g Expected: S Actual: N IndexName: g-all"):
        indexed.put_item(Item={"pk": "a", "sk": 1, "g": 5})
    with failing("ValidationException", "Type mismatch for Index Key g Expected: S Actual: N IndexName: g-all"):
        indexed.update_item(Key={"pk": "a", "sk": 1}, UpdateExpression="SET g = :g", ExpressionAttributeValues={":g": 5})


def test_keys_of_several_attributes(client, resource, make_table):
    """A global index whose partition key is two attributes and whose sort key is two."""
    name = make_table(
        "pk:S",
        attributes={"country": "S", "city": "S", "year": "N", "name": "S"},
        GlobalSecondaryIndexes=[
            {
                "IndexName": "place",
                "KeySchema": [
                    {"AttributeName": "country", "KeyType": "HASH"},
                    {"AttributeName": "city", "KeyType": "HASH"},
                    {"AttributeName": "year", "KeyType": "RANGE"},
                    {"AttributeName": "name", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    rows = [("ES", "Bilbao", 2001, "c"), ("ES", "Bilbao", 2001, "a"), ("ES", "Bilbao", 1999, "z"), ("ES", "Vigo", 2001, "a")]
    table = resource.Table(name)
    for i, (country, city, year, who) in enumerate(rows):
        table.put_item(Item={"pk": str(i), "country": country, "city": city, "year": year, "name": who})

    def query(condition, **values):
        names = {k: v for k, v in {"#y": "year", "#n": "name"}.items() if k in condition}
        answer = client.query(
            TableName=name,
            IndexName="place",
            KeyConditionExpression=condition,
            ExpressionAttributeValues={f":{k}": v for k, v in values.items()},
            **({"ExpressionAttributeNames": names} if names else {}),
        )
        return [(int(item["year"]["N"]), item["name"]["S"]) for item in answer["Items"]]

    place = dict(c={"S": "ES"}, t={"S": "Bilbao"})
    assert query("country = :c AND city = :t", **place) == [(1999, "z"), (2001, "a"), (2001, "c")]
    assert query("country = :c AND city = :t AND #y > :y", **place, y={"N": "2000"}) == [(2001, "a"), (2001, "c")]
    assert query("country = :c AND city = :t AND #y = :y AND begins_with(#n, :n)", **place, y={"N": "2001"}, n={"S": "c"}) == [(2001, "c")]


def test_an_index_added_while_writing_is_complete(client, resource, make_table):
    name = make_table("pk:S")
    table = resource.Table(name)
    stop = threading.Event()
    written = []

    def write():
        i = 0
        own = resource.Table(name)
        while not stop.is_set():
            own.put_item(Item={"pk": f"live-{i}", "g": f"g{i % 5}"})
            if i % 3 == 0:
                own.delete_item(Key={"pk": f"live-{i}"})
            else:
                written.append(f"live-{i}")
            i += 1

    with table.batch_writer() as batch:
        for i in range(1000):
            batch.put_item(Item={"pk": f"old-{i}", "g": f"g{i % 5}"})
    writer = threading.Thread(target=write)
    writer.start()
    try:
        client.update_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
            GlobalSecondaryIndexUpdates=[
                {
                    "Create": {
                        "IndexName": "late",
                        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    }
                }
            ],
        )
        wait_active(client, name)
    finally:
        stop.set()
        writer.join()
    found, start = [], {}
    while True:
        page = table.scan(IndexName="late", **start)
        found += [item["pk"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sorted(found) == sorted([f"old-{i}" for i in range(1000)] + written)


def test_a_key_of_a_wrong_type_from_before_the_index_is_not_put_again(client, resource, make_table, failing):
    table = resource.Table(make_table("pk:S"))
    old = {"pk": "a", "n": "no number"}
    table.put_item(Item=old)
    client.update_table(
        TableName=table.name,
        AttributeDefinitions=[{"AttributeName": "n", "AttributeType": "N"}],
        GlobalSecondaryIndexUpdates=[
            {"Create": {"IndexName": "by-n", "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}}
        ],
    )
    wait_active(client, table.name)
    assert table.scan(IndexName="by-n")["Count"] == 0
    with failing("ValidationException", "Type mismatch for Index Key n Expected: N Actual: S IndexName: by-n"):
        table.put_item(Item=old)
    table.update_item(Key={"pk": "a"}, UpdateExpression="SET x = :x", ExpressionAttributeValues={":x": 1})  # does not touch it
    assert table.get_item(Key={"pk": "a"})["Item"] == {**old, "x": 1}


def test_filters_and_counts_on_an_index(indexed):
    for i in range(10):
        indexed.put_item(Item={"pk": "a", "sk": i, "g": "G", "h": i, "even": i % 2 == 0})
    answer = indexed.query(
        IndexName="g-all", KeyConditionExpression=Key("g").eq("G"), FilterExpression=Attr("even").eq(True), Select="COUNT"
    )
    assert (answer["Count"], answer["ScannedCount"]) == (5, 10)

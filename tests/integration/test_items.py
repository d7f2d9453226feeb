"""PutItem, GetItem, UpdateItem, DeleteItem."""

from decimal import Decimal

import pytest
from boto3.dynamodb.conditions import Attr
from boto3.dynamodb.types import Binary

EVERY_TYPE = {
    "string": "text with \u00fc, \U0001f600, \"quotes\", \\ and \n",
    "number": Decimal("-1234567890.0123456789"),
    "binary": Binary(bytes(range(256))),
    "true": True,
    "false": False,
    "null": None,
    "list": [Decimal(1), "two", [Decimal(3), {"four": Decimal(4)}], []],
    "map": {"a": {"b": {"c": Decimal("1E-130")}}},
    "strings": {"a", "b", "c"},
    "numbers": {Decimal(1), Decimal("2.5"), Decimal("-3E+10")},
    "binaries": {Binary(b"\x00"), Binary(b"\xff\xfe")},
    "empty string": "",
    "empty binary": Binary(b""),
    "empty map": {},
    "empty list": [],
}


def test_every_type_comes_back_as_it_was(table):
    table.put_item(Item={"pk": "a", **EVERY_TYPE})
    assert table.get_item(Key={"pk": "a"}, ConsistentRead=True)["Item"] == {"pk": "a", **EVERY_TYPE}


def test_a_missing_item_is_no_item(table):
    assert "Item" not in table.get_item(Key={"pk": "nobody"})


def test_put_replaces_the_whole_item(table):
    table.put_item(Item={"pk": "a", "x": 1, "y": 2})
    old = table.put_item(Item={"pk": "a", "z": 3}, ReturnValues="ALL_OLD")["Attributes"]
    assert old == {"pk": "a", "x": 1, "y": 2}
    assert table.get_item(Key={"pk": "a"})["Item"] == {"pk": "a", "z": 3}


def test_put_of_a_new_item_has_no_old_attributes(table):
    assert "Attributes" not in table.put_item(Item={"pk": "a"}, ReturnValues="ALL_OLD")


def test_delete_removes_and_returns(table):
    table.put_item(Item={"pk": "a", "x": 1})
    assert table.delete_item(Key={"pk": "a"}, ReturnValues="ALL_OLD")["Attributes"] == {"pk": "a", "x": 1}
    assert "Item" not in table.get_item(Key={"pk": "a"})
    assert "Attributes" not in table.delete_item(Key={"pk": "a"}, ReturnValues="ALL_OLD")


def test_failed_condition_leaves_the_item(table, failing):
    table.put_item(Item={"pk": "a", "n": 1})
    with failing("ConditionalCheckFailedException", "The conditional request failed"):
        table.put_item(Item={"pk": "a", "n": 2}, ConditionExpression=Attr("pk").not_exists())
    assert table.get_item(Key={"pk": "a"}, ConsistentRead=True)["Item"]["n"] == 1


def test_failed_condition_can_return_the_item(client, table, failing):
    table.put_item(Item={"pk": "a", "n": 1})
    with failing("ConditionalCheckFailedException") as failure:
        client.delete_item(
            TableName=table.name,
            Key={"pk": {"S": "a"}},
            ConditionExpression="n > :n",
            ExpressionAttributeValues={":n": {"N": "5"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert failure.value.response["Item"] == {"pk": {"S": "a"}, "n": {"N": "1"}}


@pytest.mark.parametrize(
    "wanted, expected",
    [
        ("NONE", None),
        ("ALL_OLD", {"pk": "a", "n": 1, "kept": "k"}),
        ("ALL_NEW", {"pk": "a", "n": 2, "kept": "k", "fresh": "f"}),
        ("UPDATED_OLD", {"n": 1}),
        ("UPDATED_NEW", {"n": 2, "fresh": "f"}),
    ],
)
def test_update_returns_what_is_asked_for(table, wanted, expected):
    table.put_item(Item={"pk": "a", "n": 1, "kept": "k"})
    answer = table.update_item(
        Key={"pk": "a"},
        UpdateExpression="SET n = n + :one, fresh = :f",
        ExpressionAttributeValues={":one": 1, ":f": "f"},
        ReturnValues=wanted,
    )
    assert answer.get("Attributes") == expected


def test_update_creates_a_missing_item(table):
    table.update_item(Key={"pk": "new"}, UpdateExpression="SET n = :n", ExpressionAttributeValues={":n": 1})
    assert table.get_item(Key={"pk": "new"})["Item"] == {"pk": "new", "n": 1}
    table.update_item(Key={"pk": "bare"})
    assert table.get_item(Key={"pk": "bare"})["Item"] == {"pk": "bare"}


def test_key_attributes_cannot_be_updated(table, failing):
    with failing("ValidationException", "Cannot update attribute pk. This attribute is part of the key"):
        table.update_item(Key={"pk": "a"}, UpdateExpression="SET pk = :x", ExpressionAttributeValues={":x": "b"})


NUMBERS = {
    "1": "1",
    "007": "7",
    "1.50": "1.5",
    "-0": "0",
    "1e3": "1000",
    "+5": "5",
    ".5": "0.5",
    "1E-130": "1E-130",
    "9.9999999999999999999999999999999999999E+125": "9.9999999999999999999999999999999999999E+125",
    "-9.9999999999999999999999999999999999999E+125": "-9.9999999999999999999999999999999999999E+125",
    "12345678901234567890123456789012345678": "12345678901234567890123456789012345678",
    "0.000000000000000000000000000000000001": "0.000000000000000000000000000000000001",
}


@pytest.mark.parametrize("sent", NUMBERS)
def test_numbers_keep_their_value(client, table, sent):
    client.put_item(TableName=table.name, Item={"pk": {"S": "a"}, "n": {"N": sent}})
    got = client.get_item(TableName=table.name, Key={"pk": {"S": "a"}})["Item"]["n"]["N"]
    assert Decimal(got) == Decimal(NUMBERS[sent])


@pytest.mark.parametrize(
    "sent, message",
    [
        ("", "The parameter cannot be converted to a numeric value"),
        ("x", "The parameter cannot be converted to a numeric value: x"),
        ("1 ", "The parameter cannot be converted to a numeric value: 1 "),
        ("NaN", "The parameter cannot be converted to a numeric value"),
        ("1e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"),
        ("1e-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
        ("1" * 39, "Attempting to store more than 38 significant digits in a Number"),
    ],
)
def test_bad_numbers_are_refused(client, table, failing, sent, message):
    with failing("ValidationException", message):
        client.put_item(TableName=table.name, Item={"pk": {"S": "a"}, "n": {"N": sent}})


def test_arithmetic_is_exact(table):
    table.put_item(Item={"pk": "a", "n": Decimal("0.1")})
    for _ in range(9):
        table.update_item(
            Key={"pk": "a"}, UpdateExpression="ADD n :d", ExpressionAttributeValues={":d": Decimal("0.1")}
        )
    assert table.get_item(Key={"pk": "a"})["Item"]["n"] == Decimal("1")
    table.put_item(Item={"pk": "b", "n": Decimal("9007199254740993")})
    table.update_item(Key={"pk": "b"}, UpdateExpression="SET n = n - :one", ExpressionAttributeValues={":one": 1})
    assert table.get_item(Key={"pk": "b"})["Item"]["n"] == 9007199254740992


BAD_VALUES = [
    ({"SS": []}, "An string set  may not be empty"),
    ({"NS": []}, "An number set  may not be empty"),
    ({"SS": ["a", "a"]}, "Input collection [a, a] contains duplicates."),
    ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
    ({"NULL": False}, "Null attribute value types must have the value of true"),
    ({}, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    ({"S": "a", "N": "1"}, "Supplied AttributeValue has more than one datatypes set"),
]


@pytest.mark.parametrize("value, message", BAD_VALUES, ids=[str(v) for v, _ in BAD_VALUES])
def test_bad_values_are_refused(loose_client, table, failing, value, message):
    with failing("ValidationException", message):
        loose_client.put_item(TableName=table.name, Item={"pk": {"S": "a"}, "x": value})


def test_items_hold_400_kb_to_the_byte(client, table, failing):
    room = 400 * 1024 - len("pk") - len("a") - len("x")
    client.put_item(TableName=table.name, Item={"pk": {"S": "a"}, "x": {"S": "y" * room}})
    assert len(client.get_item(TableName=table.name, Key={"pk": {"S": "a"}})["Item"]["x"]["S"]) == room
    with failing("ValidationException", "Item size has exceeded the maximum allowed size"):
        client.put_item(TableName=table.name, Item={"pk": {"S": "a"}, "x": {"S": "y" * (room + 1)}})
    with failing("ValidationException", "Item size to update has exceeded the maximum allowed size"):
        client.update_item(
            TableName=table.name,
            Key={"pk": {"S": "a"}},
            UpdateExpression="SET z = :z",
            ExpressionAttributeValues={":z": {"S": "z"}},
        )


def test_deep_items(client, table, failing):
    def nested(depth):
        value = {"S": "bottom"}
        for _ in range(depth):
            value = {"M": {"m": value}}
        return {"pk": {"S": "a"}, "x": value}

    client.put_item(TableName=table.name, Item=nested(31))
    assert client.get_item(TableName=table.name, Key={"pk": {"S": "a"}})["Item"] == nested(31)
    with failing("ValidationException", "Nesting Levels have exceeded supported limits"):
        client.put_item(TableName=table.name, Item=nested(32))


BAD_KEYS = [
    ({}, "The number of conditions on the keys is invalid"),
    ({"pk": {"N": "1"}}, "The provided key element does not match the schema"),
    ({"other": {"S": "a"}}, "The provided key element does not match the schema"),
    ({"pk": {"S": "a"}, "x": {"S": "b"}}, "The provided key element does not match the schema"),
]


@pytest.mark.parametrize("key, message", BAD_KEYS, ids=[str(k) for k, _ in BAD_KEYS])
def test_keys_must_match_the_schema(client, table, failing, key, message):
    with failing("ValidationException"):
        client.get_item(TableName=table.name, Key=key)
    with failing("ValidationException"):
        client.delete_item(TableName=table.name, Key=key)


def test_keys_must_not_be_empty_or_too_long(client, table, failing):
    with failing("ValidationException", "empty string value. Key: pk"):
        client.put_item(TableName=table.name, Item={"pk": {"S": ""}})
    client.put_item(TableName=table.name, Item={"pk": {"S": "k" * 2048}})
    with failing("ValidationException", "Size of hashkey has exceeded the maximum size limit of2048 bytes"):
        client.put_item(TableName=table.name, Item={"pk": {"S": "k" * 2049}})


def test_an_item_needs_its_key(client, table, failing):
    with failing("ValidationException", "One or more parameter values were invalid: Missing the key pk in the item"):
        client.put_item(TableName=table.name, Item={"x": {"S": "a"}})
    with failing("ValidationException", "Type mismatch for key pk expected: S actual: N"):
        client.put_item(TableName=table.name, Item={"pk": {"N": "1"}})


@pytest.mark.parametrize("kind, keys", [("S", ["a", "ab", "é", "z" * 500]), ("N", ["-1", "0", "1.5", "1E100"]), ("B", [b"\0", b"\xff", b"\0\0"])])
def test_keys_of_every_type(client, make_table, kind, keys):
    name = make_table(f"pk:{kind}")
    for i, key in enumerate(keys):
        client.put_item(TableName=name, Item={"pk": {kind: key}, "i": {"N": str(i)}})
    for i, key in enumerate(keys):
        assert client.get_item(TableName=name, Key={"pk": {kind: key}})["Item"]["i"]["N"] == str(i)
    assert client.scan(TableName=name)["Count"] == len(keys)


def test_equal_numbers_are_one_key(client, make_table):
    name = make_table("pk:N")
    for text in ("1", "1.0", "01", "1E0", "0.1E1"):
        client.put_item(TableName=name, Item={"pk": {"N": text}, "text": {"S": text}})
    assert client.scan(TableName=name)["Items"] == [{"pk": {"N": "1"}, "text": {"S": "0.1E1"}}]


def test_consumed_capacity_follows_the_byte_rules(client, make_table):
    name = make_table(
        "pk:S",
        attributes={"g": "S"},
        GlobalSecondaryIndexes=[
            {"IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )
    answer = client.put_item(
        TableName=name,
        Item={"pk": {"S": "a"}, "g": {"S": "b"}, "x": {"S": "y" * 2500}},
        ReturnConsumedCapacity="INDEXES",
    )
    used = answer["ConsumedCapacity"]
    assert used["TableName"] == name
    assert used["CapacityUnits"] == 4
    assert used["Table"]["CapacityUnits"] == 3
    assert used["GlobalSecondaryIndexes"]["by-g"]["CapacityUnits"] == 1
    for consistent, units in ((True, 1.0), (False, 0.5)):
        answer = client.get_item(
            TableName=name, Key={"pk": {"S": "a"}}, ConsistentRead=consistent, ReturnConsumedCapacity="TOTAL"
        )
        assert answer["ConsumedCapacity"] == {"TableName": name, "CapacityUnits": units}


def test_item_collections_are_measured(client, make_table):
    name = make_table(
        "pk:S,sk:S",
        attributes={"l": "S"},
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-l",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    answer = client.put_item(
        TableName=name,
        Item={"pk": {"S": "a"}, "sk": {"S": "b"}, "l": {"S": "c"}},
        ReturnItemCollectionMetrics="SIZE",
    )
    metrics = answer["ItemCollectionMetrics"]
    assert metrics["ItemCollectionKey"] == {"pk": {"S": "a"}}
    assert metrics["SizeEstimateRangeGB"][0] == 0.0


def test_attributes_to_get(client, table):
    client.put_item(TableName=table.name, Item={"pk": {"S": "a"}, "n": {"N": "1"}, "x": {"N": "2"}})
    got = client.get_item(TableName=table.name, Key={"pk": {"S": "a"}}, AttributesToGet=["n", "nothing"])["Item"]
    assert got == {"n": {"N": "1"}}

"""Programs written before expressions: AttributeUpdates, Expected, KeyConditions, filters, as their clients used them."""

from decimal import Decimal

import pytest


def condition(operator, *values):
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


def test_a_counter_that_nobody_created(table):
    for expected in (1, 2, 3):
        answer = table.update_item(
            Key={"pk": "visits"},
            AttributeUpdates={"n": {"Action": "ADD", "Value": 1}},
            ReturnValues="UPDATED_NEW",
        )
        assert answer["Attributes"] == {"n": expected}


def test_optimistic_locking_by_a_version(table, failing):
    table.put_item(Item={"pk": "a", "version": 1, "text": "first"}, Expected={"pk": {"Exists": False}})
    with failing("ConditionalCheckFailedException"):
        table.put_item(Item={"pk": "a", "version": 1}, Expected={"pk": {"Exists": False}})

    def save(seen, text):
        table.update_item(
            Key={"pk": "a"},
            AttributeUpdates={"version": {"Value": seen + 1}, "text": {"Value": text}},
            Expected={"version": {"Exists": True, "Value": seen}},
        )

    save(1, "second")
    with failing("ConditionalCheckFailedException"):
        save(1, "lost")
    save(2, "third")
    assert table.get_item(Key={"pk": "a"}, ConsistentRead=True)["Item"] == {"pk": "a", "version": 3, "text": "third"}
    with failing("ConditionalCheckFailedException"):
        table.delete_item(Key={"pk": "a"}, Expected={"version": {"Value": 1}})
    table.delete_item(Key={"pk": "a"}, Expected={"version": condition("BETWEEN", 3, 4)})
    assert "Item" not in table.get_item(Key={"pk": "a"}, ConsistentRead=True)


def test_sets_and_lists_grow_and_shrink(table):
    def update(action, value, **kwargs):
        updates = {"v": {"Action": action, "Value": value}}
        return table.update_item(Key={"pk": "s"}, AttributeUpdates=updates, ReturnValues="ALL_NEW", **kwargs)["Attributes"]

    assert update("PUT", {"a", "b"})["v"] == {"a", "b"}
    assert update("ADD", {"b", "c"})["v"] == {"a", "b", "c"}
    assert update("DELETE", {"a", "x"})["v"] == {"b", "c"}
    assert update("DELETE", {"b", "c"}) == {"pk": "s"}  # no set is empty
    assert update("PUT", [1])["v"] == [1]
    assert update("ADD", [1, "x"])["v"] == [1, 1, "x"]


def test_an_update_that_only_removes_makes_no_item(table):
    for updates in ({"a": {"Action": "DELETE"}}, {"a": {"Action": "DELETE", "Value": {1, 2}}}):
        answer = table.update_item(Key={"pk": "none"}, AttributeUpdates=updates, ReturnValues="ALL_NEW")
        assert "Attributes" not in answer
        assert "Item" not in table.get_item(Key={"pk": "none"}, ConsistentRead=True)
    table.update_item(Key={"pk": "none"}, UpdateExpression="REMOVE a")
    assert "Item" not in table.get_item(Key={"pk": "none"}, ConsistentRead=True)
    table.update_item(Key={"pk": "none"}, AttributeUpdates={})
    assert table.get_item(Key={"pk": "none"}, ConsistentRead=True)["Item"] == {"pk": "none"}


@pytest.mark.parametrize("value", [{"x"}, [1], 2])
def test_add_needs_the_type_that_is_there(table, failing, value):
    table.put_item(Item={"pk": "t", "v": {1, 2}})
    with failing("ValidationException", "Type mismatch for attribute to update"):
        table.update_item(Key={"pk": "t"}, AttributeUpdates={"v": {"Action": "ADD", "Value": value}})
    assert table.get_item(Key={"pk": "t"}, ConsistentRead=True)["Item"]["v"] == {1, 2}


def test_updated_new_is_what_the_paths_lead_to(table):
    """An element behind a list's end is not there by its index, and what moves up is."""
    table.put_item(Item={"pk": "l", "c": [1, 2, 3]})

    def update(expression, **values):
        values = {"ExpressionAttributeValues": {f":{k}": v for k, v in values.items()}} if values else {}
        return table.update_item(Key={"pk": "l"}, UpdateExpression=expression, ReturnValues="UPDATED_NEW", **values)

    assert update("SET c[1] = :v", v=7)["Attributes"] == {"c": [7]}
    assert "Attributes" not in update("SET c[100] = :v", v=70)
    assert update("REMOVE c[1]")["Attributes"] == {"c": [3]}
    assert table.get_item(Key={"pk": "l"}, ConsistentRead=True)["Item"]["c"] == [1, 3, 70]


def test_queries_of_a_partition(sorted_table, failing):
    with sorted_table.batch_writer() as batch:
        for i in range(20):
            batch.put_item(Item={"pk": "p", "sk": i, "even": i % 2 == 0, "tags": {f"t{i % 3}"}})
        batch.put_item(Item={"pk": "other", "sk": 3})

    def found(sk=None, **kwargs):
        keys = {"pk": condition("EQ", "p"), **({"sk": sk} if sk else {})}
        answer = sorted_table.query(KeyConditions=keys, ConsistentRead=True, **kwargs)
        return [int(item["sk"]) for item in answer["Items"]]

    assert found() == list(range(20))
    assert found(condition("GE", Decimal("17.5"))) == [18, 19]
    assert found(condition("BETWEEN", 3, 5), ScanIndexForward=False) == [5, 4, 3]
    assert found(condition("LT", 6), QueryFilter={"even": condition("EQ", True)}) == [0, 2, 4]
    assert found(condition("LT", 4), QueryFilter={"tags": condition("CONTAINS", "t0")}) == [0, 3]
    assert found(condition("LT", 4), QueryFilter={"none": condition("NE", 1)}) == [0, 1, 2, 3]
    assert found(condition("LT", 4), QueryFilter={"none": condition("NOT_CONTAINS", 1)}) == []
    either = {"even": condition("EQ", True), "tags": condition("CONTAINS", "t1")}
    assert found(condition("LT", 6), QueryFilter=either) == [4]
    assert found(condition("LT", 6), QueryFilter=either, ConditionalOperator="OR") == [0, 1, 2, 4]
    first = sorted_table.query(KeyConditions={"pk": condition("EQ", "p")}, Limit=5)
    assert found(ExclusiveStartKey=first["LastEvaluatedKey"])[:2] == [5, 6]
    with failing("ValidationException", "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk"):
        found(QueryFilter={"sk": condition("EQ", 1)})
    with failing("ValidationException", "Attempted conditional constraint is not an indexable operation"):
        found(condition("NE", 1))


def test_scans_with_filters(table):
    with table.batch_writer() as batch:
        for i in range(30):
            batch.put_item(Item={"pk": str(i), "n": i, **({"odd": "yes"} if i % 2 else {})})

    def found(**kwargs):
        answer = table.scan(ConsistentRead=True, **kwargs)
        assert answer["ScannedCount"] == 30
        return sorted(int(item["pk"]) for item in answer["Items"])

    assert found(ScanFilter={"odd": condition("NULL"), "n": condition("LT", 5)}) == [0, 2, 4]
    assert found(ScanFilter={"pk": condition("IN", "3", "5", "x")}, AttributesToGet=["pk"]) == [3, 5]
    assert found(ScanFilter={"pk": condition("IN", *map(str, range(10, 10000)))}) == list(range(10, 30))


def test_attributes_to_get_in_every_read(client, table):
    table.put_item(Item={"pk": "a", "a.b": 1, "c": 2})
    assert table.get_item(Key={"pk": "a"}, AttributesToGet=["a.b", "none"])["Item"] == {"a.b": 1}
    assert table.scan(AttributesToGet=["c"])["Items"] == [{"c": 2}]
    assert table.query(KeyConditions={"pk": condition("EQ", "a")}, AttributesToGet=["c"])["Items"] == [{"c": 2}]
    keys = {table.name: {"Keys": [{"pk": {"S": "a"}}], "AttributesToGet": ["pk"]}}
    assert client.batch_get_item(RequestItems=keys)["Responses"][table.name] == [{"pk": {"S": "a"}}]


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"AttributeUpdates": {"n": {}}}, "Only DELETE action is allowed when no attribute value is specified"),
        ({"AttributeUpdates": {"pk": {"Value": "x"}}}, "Cannot update attribute pk. This attribute is part of the key"),
        ({"AttributeUpdates": {"n": {"Action": "SET", "Value": 1}}}, "'attributeUpdates.n.member.action'"),
        ({"Expected": {"n": {}}}, "Value must be provided when Exists is null for Attribute: n"),
        ({"Expected": {"n": condition("EQ", 1)}, "ConditionalOperator": "OR"}, "has two or more elements"),
        ({"ConditionalOperator": "OR"}, "ConditionalOperator cannot be used without Filter or Expected"),
        (
            {"AttributeUpdates": {}, "Expected": {}, "ConditionExpression": "attribute_exists(pk)"},
            "Non-expression parameters: {AttributeUpdates, Expected} Expression parameters: {ConditionExpression}",
        ),
    ],
)
def test_refusals(table, failing, request_, message):
    with failing("ValidationException", message):
        table.update_item(Key={"pk": "r"}, **request_)
    assert "Item" not in table.get_item(Key={"pk": "r"}, ConsistentRead=True)

"""Condition, filter, projection and update expressions through a real SDK."""

from decimal import Decimal

import pytest

ITEM = {
    "pk": "a",
    "n": 5,
    "s": "hello world",
    "b": b"bytes",
    "t": True,
    "nul": None,
    "list": [1, "two", {"three": [3]}],
    "map": {"x": {"y": 1}, "z": "zz"},
    "ss": {"red", "green"},
    "ns": {1, 2, 3},
    "with space": 1,
    "dot.ted": 2,
}

NAMES = {
    "#n": "n", "#s": "s", "#b": "b", "#t": "t", "#nul": "nul", "#list": "list", "#map": "map", "#ss": "ss",
    "#ns": "ns", "#sp": "with space", "#dot": "dot.ted", "#no": "nothing", "#x": "x", "#y": "y", "#three": "three",
}
VALUES = {
    ":5": 5, ":4": 4, ":6": 6, ":1": 1, ":2": 2, ":3": 3, ":11": 11, ":hello": "hello", ":world": "world", ":red": "red",
    ":S": "S", ":N": "N", ":BOOL": "BOOL", ":NULL": "NULL", ":L": "L", ":M": "M", ":SS": "SS", ":B": "B", ":t": True,
    ":a": "a", ":zz": "zz",
}

HOLDS = [
    "#n = :5", "#n <> :4", "#n < :6", "#n <= :5", "#n > :4", "#n >= :5", "#n BETWEEN :4 AND :6", "#n IN (:1, :5)",
    "attribute_exists(#n)", "attribute_not_exists(#no)", "attribute_exists(#map.#x.#y)", "attribute_exists(#list[2].#three[0])",
    "attribute_not_exists(#list[9])", "attribute_type(#n, :N)", "attribute_type(#s, :S)", "attribute_type(#t, :BOOL)",
    "attribute_type(#nul, :NULL)", "attribute_type(#list, :L)", "attribute_type(#map, :M)", "attribute_type(#ss, :SS)",
    "attribute_type(#b, :B)", "begins_with(#s, :hello)", "contains(#s, :world)", "contains(#ss, :red)", "contains(#ns, :2)",
    "contains(#list, :1)", "size(#s) = :11", "size(#b) = :5", "size(#ss) = :2", "size(#list) = :3", "size(#map) > :1",
    "#list[0] = :1", "#map.#x.#y = :1", "#sp = :1", "#dot = :2", "NOT #n = :4", "NOT attribute_exists(#no)",
    "#n = :4 OR #n = :5", "#n = :5 AND #s > :hello", "#n = :5 OR #n = :4 AND #n = :1", "(#n = :5 OR #n = :4) AND NOT #n = :1",
    "NOT (#n = :4 OR #n = :6)", "#n <> :hello", "#no <> :4", "#t = :t", "#n in (:4,:5,:6) and not contains(#s, :zz)",
    "pk = :a", "#map.z = :zz",
]

FAILS = [
    "#n = :4", "#n <> :5", "#n < :hello", "#no = :5", "#no < :5", "attribute_exists(#no)", "attribute_exists(#map.#x.#three)",
    "attribute_type(#n, :S)", "begins_with(#s, :world)", "contains(#s, :zz)", "contains(#ns, :red)", "size(#n) = :1",
    "#n BETWEEN :6 AND :11", "#n IN (:1, :2)", "NOT #n = :5", "#n = :5 AND #n = :4", "(#n = :5 OR #n = :4) AND #n = :1",
]


def used(expression, mapping):
    import re

    words = set(re.findall(r"[#:]\w+", expression))
    return {k: v for k, v in mapping.items() if k in words}


@pytest.fixture(scope="module")
def item_table(client, resource):
    from conftest import create

    name = create(client, "pk:S")
    made = resource.Table(name)
    made.put_item(Item=ITEM)
    yield made
    client.delete_table(TableName=name)


def arguments(expression, key):
    found = {key: expression}
    if names := used(expression, NAMES):
        found["ExpressionAttributeNames"] = names
    if values := used(expression, VALUES):
        found["ExpressionAttributeValues"] = values
    return found


@pytest.mark.parametrize("expression", [(e, True) for e in HOLDS] + [(e, False) for e in FAILS], ids=lambda e: e[0])
def test_a_condition_and_a_filter_mean_the_same(client, item_table, expression):
    text, holds = expression
    try:
        item_table.update_item(Key={"pk": "a"}, **arguments(text, "ConditionExpression"))
        passed = True
    except client.exceptions.ConditionalCheckFailedException:
        passed = False
    assert passed == holds
    if not text.startswith("pk"):
        assert item_table.scan(**arguments(text, "FilterExpression"))["Count"] == holds


REFUSED = [
    ("", "Invalid ConditionExpression: The expression can not be empty;"),
    ("#n =", "Invalid ConditionExpression: Syntax error; token: \"<EOF>\", near: \"=\""),
    ("#n = :5 :5", "Invalid ConditionExpression: Syntax error; token: \":5\", near: \":5 :5\""),
    ("size = :5", "Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: size"),
    ("#undefined = :5", "An expression attribute name used in the document path is not defined; attribute name: #undefined"),
    ("#n = :undefined", "An expression attribute value used in expression is not defined; attribute value: :undefined"),
    ("nofunction(#n)", "Invalid function name; function: nofunction"),
    ("attribute_exists(#n, #s)", "Incorrect number of operands for operator or function"),
    ("begins_with(#n, :5)", "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"),
    ("#n BETWEEN :6 AND :4", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"),
    ("((#n = :5))", "The expression has redundant parentheses"),
    ("size(#n)", "The function is not allowed to be used this way in an expression; function: size"),
]


@pytest.mark.parametrize("expression, message", REFUSED, ids=[e for e, _ in REFUSED])
def test_bad_conditions_are_refused(item_table, failing, expression, message):
    names = used(expression, NAMES) or {"#n": "n"}
    values = used(expression, VALUES) or {":5": 5}
    with failing("ValidationException", message):
        item_table.update_item(
            Key={"pk": "a"},
            ConditionExpression=expression,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )


def test_unused_substitutes_are_refused(item_table, failing):
    with failing("ValidationException", "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}"):
        item_table.get_item(Key={"pk": "a"}, ProjectionExpression="n", ExpressionAttributeNames={"#x": "y"})
    with failing("ValidationException", "Value provided in ExpressionAttributeValues unused in expressions: keys: {:u}"):
        item_table.update_item(
            Key={"pk": "a"},
            ConditionExpression="n = :v",
            ExpressionAttributeValues={":v": 5, ":u": 1},
        )


UPDATES = [
    ("SET n = :v", {":v": 1}, {"n": 1}),
    ("SET n = n + :v", {":v": 3}, {"n": 8}),
    ("SET n = n - :v", {":v": Decimal("0.5")}, {"n": Decimal("4.5")}),
    ("SET fresh = if_not_exists(fresh, :v)", {":v": 1}, {"fresh": 1}),
    ("SET n = if_not_exists(n, :v)", {":v": 1}, {}),
    ("SET #l = list_append(#l, :v)", {":v": [9]}, {"list": [1, "two", {"three": [3]}, 9]}),
    ("SET #l = list_append(:v, #l)", {":v": [9]}, {"list": [9, 1, "two", {"three": [3]}]}),
    ("SET #l[0] = :v", {":v": "first"}, {"list": ["first", "two", {"three": [3]}]}),
    ("SET #l[50] = :v", {":v": "last"}, {"list": [1, "two", {"three": [3]}, "last"]}),
    ("SET #m.x.y = :v, #m.w = :v", {":v": 7}, {"map": {"x": {"y": 7}, "z": "zz", "w": 7}}),
    ("SET n = s, s = n", {}, {"n": "hello world", "s": 5}),
    ("REMOVE n, s", {}, {"n": ..., "s": ...}),
    ("REMOVE #l[1], #m.x.y", {}, {"list": [1, {"three": [3]}], "map": {"x": {}, "z": "zz"}}),
    ("ADD n :v", {":v": -5}, {"n": 0}),
    ("ADD fresh :v", {":v": 5}, {"fresh": 5}),
    ("ADD ss :v", {":v": {"blue", "red"}}, {"ss": {"red", "green", "blue"}}),
    ("DELETE ss :v", {":v": {"red", "black"}}, {"ss": {"green"}}),
    ("DELETE ss :v", {":v": {"red", "green"}}, {"ss": ...}),
    ("SET n = :v REMOVE s ADD fresh :v DELETE ss :r", {":v": 1, ":r": {"red"}}, {"n": 1, "s": ..., "fresh": 1, "ss": {"green"}}),
]


@pytest.mark.parametrize("expression, values, changes", UPDATES, ids=[f"{i}-{row[0]}" for i, row in enumerate(UPDATES)])
def test_updates(table, expression, values, changes):
    table.put_item(Item=ITEM)
    extra = {"ExpressionAttributeValues": values} if values else {}
    names = {k: v for k, v in {"#l": "list", "#m": "map"}.items() if k in expression}
    if names:
        extra["ExpressionAttributeNames"] = names
    got = table.update_item(Key={"pk": "a"}, UpdateExpression=expression, ReturnValues="ALL_NEW", **extra)["Attributes"]
    expected = {**ITEM, **changes}
    expected = {k: v for k, v in expected.items() if v is not ...}
    expected["b"] = got["b"]
    assert got == expected
    assert table.get_item(Key={"pk": "a"}, ConsistentRead=True)["Item"] == got


BAD_UPDATES = [
    ("SET n = :v, n = :v", "Two document paths overlap with each other"),
    ("SET #m.x = :v, #m.x.y = :v", "Two document paths overlap with each other"),
    ("SET n = :v SET s = :v", 'The "SET" section can only be used once in an update expression;'),
    ("SET n.x = :v", "The document path provided in the update expression is invalid for update"),
    ("SET absent.x = :v", "The document path provided in the update expression is invalid for update"),
    ("SET n = absent", "The provided expression refers to an attribute that does not exist in the item"),
    ("SET n = s + :v", "An operand in the update expression has an incorrect data type"),
    ("ADD s :v", "An operand in the update expression has an incorrect data type"),
    ("ADD n :str", "Incorrect operand type for operator or function; operator: ADD, operand type: STRING"),
    ("n = :v", "Syntax error; token: \"n\""),
]


@pytest.mark.parametrize("expression, message", BAD_UPDATES, ids=[e for e, _ in BAD_UPDATES])
def test_bad_updates_change_nothing(table, failing, expression, message):
    table.put_item(Item=ITEM)
    before = table.get_item(Key={"pk": "a"})["Item"]
    extra = {"ExpressionAttributeNames": {"#m": "map"}} if "#m" in expression else {}
    values = {k: v for k, v in {":v": 1, ":str": "text"}.items() if k in expression}
    if values:
        extra["ExpressionAttributeValues"] = values
    with failing("ValidationException", message.split(";")[0].split(' "')[0]):
        table.update_item(Key={"pk": "a"}, UpdateExpression=expression, **extra)
    assert table.get_item(Key={"pk": "a"})["Item"] == before


def test_projections_reach_into_documents(table):
    table.put_item(Item=ITEM)
    got = table.get_item(
        Key={"pk": "a"},
        ProjectionExpression="n, #l[2].three, #l[0], #m.x, nothing, #sp",
        ExpressionAttributeNames={"#l": "list", "#m": "map", "#sp": "with space"},
    )["Item"]
    assert got == {"n": 5, "list": [1, {"three": [3]}], "map": {"x": {"y": 1}}, "with space": 1}


def test_overlapping_projections_are_refused(table, failing):
    with failing("ValidationException", "Two document paths overlap with each other"):
        table.get_item(Key={"pk": "a"}, ProjectionExpression="m, m.x")


def test_the_largest_expressions(table, failing):
    table.put_item(Item={"pk": "a", "n": 1})
    values = {f":v{i}": i for i in range(100)}
    table.update_item(
        Key={"pk": "a"},
        ConditionExpression=f"n IN ({','.join(values)})",
        ExpressionAttributeValues=values,
    )
    with failing("ValidationException"):
        table.update_item(
            Key={"pk": "a"},
            ConditionExpression=f"n IN ({','.join([*values, ':w'])})",
            ExpressionAttributeValues={**values, ":w": 1},
        )
    with failing("ValidationException", "Expression size has exceeded the maximum allowed size"):
        table.update_item(Key={"pk": "a"}, ConditionExpression=" OR ".join(["attribute_exists(n)"] * 200))

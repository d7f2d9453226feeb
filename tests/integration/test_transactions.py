"""TransactWriteItems and TransactGetItems."""

import threading
import uuid

import pytest
from botocore.exceptions import ClientError
from conftest import create, make_client

CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons [%s]"
FAILED = "The conditional request failed"
EMPTY_KEY = (
    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
    "string value. Key: pk"
)
ONE_ITEM = "Transaction request cannot include multiple operations on one item"


def put(table, pk, condition=None, **attributes):
    action = {"TableName": table, "Item": {"pk": {"S": pk}, **attributes}}
    return {"Put": {**action, **({} if condition is None else {"ConditionExpression": condition})}}


def delete(table, pk, **more):
    return {"Delete": {"TableName": table, "Key": {"pk": {"S": pk}}, **more}}


def check(table, pk, condition="attribute_exists(pk)", **more):
    return {"ConditionCheck": {"TableName": table, "Key": {"pk": {"S": pk}}, "ConditionExpression": condition, **more}}


def add(table, pk, n=1, **more):
    return {
        "Update": {
            "TableName": table,
            "Key": {"pk": {"S": pk}},
            "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": {":n": {"N": str(n)}},
            **more,
        }
    }


def get(table, pk, **more):
    return {"Get": {"TableName": table, "Key": {"pk": {"S": pk}}, **more}}


def item(client, table, pk):
    return client.get_item(TableName=table, Key={"pk": {"S": pk}}, ConsistentRead=True).get("Item")


def count(client, table, pk):
    found = item(client, table, pk)
    return int(found["n"]["N"]) if found else None


def token():
    return str(uuid.uuid4())


def cancelled(client, actions, **more):
    """The reasons; nothing may have been written."""
    with pytest.raises(client.exceptions.TransactionCanceledException) as failure:
        client.transact_write_items(TransactItems=actions, **more)
    response = failure.value.response
    codes = [reason["Code"] for reason in response["CancellationReasons"]]
    assert response["Error"]["Message"] == CANCELLED % ", ".join(codes)
    assert "ConsumedCapacity" not in response
    return response["CancellationReasons"]


def refused(client, actions, **more):
    with pytest.raises(ClientError) as failure:
        client.transact_write_items(TransactItems=actions, **more)
    assert failure.value.response["Error"]["Code"] == "ValidationException"
    return failure.value.response["Error"]["Message"]


# ---- writing ----


def test_all_kinds_in_several_tables(client, make_table):
    one, two = make_table(), make_table()
    for name in (one, two):
        client.put_item(TableName=name, Item={"pk": {"S": "old"}, "n": {"N": "1"}})
    answer = client.transact_write_items(
        TransactItems=[put(one, "new"), add(one, "old", 4), delete(two, "old"), check(two, "x", "attribute_not_exists(pk)"), put(two, "new")]
    )
    assert set(answer) == {"ResponseMetadata"}
    assert item(client, one, "new") and count(client, one, "old") == 5
    assert item(client, two, "old") is None and item(client, two, "x") is None and item(client, two, "new")


def test_reasons_are_told_in_order(client, make_table):
    name = make_table()
    there = {"pk": {"S": "there"}, "n": {"N": "7"}}
    client.put_item(TableName=name, Item=there)
    all_old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    reasons = cancelled(
        client,
        [
            put(name, "fresh"),
            check(name, "there", "n = :n", ExpressionAttributeValues={":n": {"N": "8"}}, **all_old),
            check(name, "missing", **all_old),
            delete(name, "there2", ConditionExpression="attribute_not_exists(pk)"),
            add(name, "there3", ConditionExpression="n = :n"),
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    assert reasons == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": FAILED, "Item": there},
        {"Code": "ConditionalCheckFailed", "Message": FAILED},
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": FAILED},
    ]
    assert item(client, name, "fresh") is None


def test_an_update_that_cannot_be_made_is_a_reason(client, make_table):
    name = make_table()
    client.put_item(TableName=name, Item={"pk": {"S": "a"}, "n": {"S": "text"}, "big": {"S": "x" * 400_000}})
    client.put_item(TableName=name, Item={"pk": {"S": "b"}, "n": {"N": "1"}})
    grow = {
        "Update": {
            "TableName": name,
            "Key": {"pk": {"S": "a"}},
            "UpdateExpression": "SET more = :x",
            "ExpressionAttributeValues": {":x": {"S": "x" * 10_000}},
        }
    }
    assert cancelled(client, [put(name, "c"), grow]) == [
        {"Code": "None"},
        {"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum allowed size"},
    ]
    reasons = cancelled(client, [add(name, "a"), check(name, "missing"), add(name, "b")])
    assert [reason["Code"] for reason in reasons] == ["ValidationError", "ConditionalCheckFailed", "None"]
    assert reasons[0]["Message"] == "An operand in the update expression has an incorrect data type"
    assert count(client, name, "b") == 1


def test_100_actions_and_the_longest_reasons(client, make_table):
    name = make_table()
    client.transact_write_items(TransactItems=[put(name, str(i)) for i in range(100)])
    assert client.scan(TableName=name, Select="COUNT")["Count"] == 100
    reasons = cancelled(client, [put(name, str(i), "attribute_not_exists(pk)") for i in range(100)])
    assert len(reasons) == 100 and all(reason["Code"] == "ConditionalCheckFailed" for reason in reasons)


# ---- what is refused, and what cancels ----


def test_two_actions_on_one_item(client, make_table):
    one, two = make_table(), make_table()
    for actions in (
        [put(one, "a"), delete(one, "a")],
        [put(one, "a"), check(one, "a")],
        [put(one, "b"), put(two, "a"), put(one, "a"), add(two, "a")],
    ):
        assert refused(client, actions) == ONE_ITEM
    arn = client.describe_table(TableName=one)["Table"]["TableArn"]
    assert refused(client, [put(one, "a"), add(arn, "a")]) == ONE_ITEM
    client.transact_write_items(TransactItems=[put(one, "a"), put(two, "a"), put(arn, "b")])


def test_requests_that_say_nothing_or_too_much(loose_client, make_table):
    name = make_table()
    assert refused(loose_client, [{}]) == "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"
    assert refused(loose_client, [{**put(name, "a"), **delete(name, "b")}]) == "TransactItems can only contain one of Check, Put, Update or Delete"
    at = "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: "
    assert refused(loose_client, []) == at % ("[]", "transactItems") + "Member must have length greater than or equal to 1"
    message = refused(loose_client, [put(name, str(i)) for i in range(101)])
    assert message.startswith("1 validation error detected: Value '[") and message.endswith("Member must have length less than or equal to 100")
    pattern = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    assert refused(loose_client, [put("bad!name", "a")]) == at % ("bad!name", "transactItems.1.member.put.tableName") + pattern
    assert refused(loose_client, [put(name, "a"), check("bad!name", "b")]) == at % ("bad!name", "transactItems.2.member.conditionCheck.tableName") + pattern
    message = refused(loose_client, [put(name, "a")], ReturnConsumedCapacity="X", ReturnItemCollectionMetrics="Y", ClientRequestToken="t" * 37)
    assert message == (
        "3 validation errors detected: Value '%s' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than "
        "or equal to 36; Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: "
        "[INDEXES, TOTAL, NONE]; Value 'Y' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value "
        "set: [SIZE, NONE]" % ("t" * 37)
    )
    assert item(loose_client, name, "a") is None


def test_a_condition_check_needs_its_condition(loose_client, make_table):
    name = make_table()
    message = refused(loose_client, [{"ConditionCheck": {"TableName": name, "Key": {"pk": {"S": "a"}}}}])
    assert message == (
        "1 validation error detected: Value null at 'transactItems.1.member.conditionCheck.conditionExpression' failed to satisfy "
        "constraint: Member must not be null"
    )


def test_expressions_are_checked_before_tables_and_in_order(client, make_table):
    """The first wrong action is told, whatever is wrong with the others; in one action the expression comes before its values."""
    name = make_table()
    syntax = 'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("'
    broken = check(name, "a", "attribute_exists(")
    deep = {"S": "leaf"}
    for _ in range(40):
        deep = {"M": {"n": deep}}
    nesting = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
    unused = check(name, "a", "attribute_exists(pk)", ExpressionAttributeValues={":v": {"S": "x"}})
    assert refused(client, [put("missing-table", "b"), broken]) == syntax
    assert refused(client, [broken, put(name, "b", d=deep)]) == syntax
    assert refused(client, [put(name, "b", d=deep), broken]) == nesting
    assert refused(client, [{"Delete": {"TableName": name, "Key": {"pk": deep}, "ConditionExpression": "attribute_exists("}}]) == syntax
    assert refused(client, [put(name, "a"), unused]) == "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"
    assert refused(client, [put(name, "a", "")]) == "Invalid ConditionExpression: The expression can not be empty;"
    names = {"Put": {**put(name, "a")["Put"], "ExpressionAttributeNames": {"#n": "n"}}}
    assert refused(client, [names]) == "ExpressionAttributeNames can only be specified when using expressions"
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Requested resource not found"):
        client.transact_write_items(TransactItems=[put(name, "a"), put("missing-table", "b")])


def test_an_empty_key_refuses_and_a_wrong_one_cancels(client, make_table):
    name = make_table()
    number = {"pk": {"N": "5"}}
    mismatch = "The provided key element does not match the schema"
    wrong_type = "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"
    for empty in (put(name, ""), add(name, ""), delete(name, ""), check(name, "")):
        assert refused(client, [empty]) == EMPTY_KEY
    reasons = cancelled(client, [{"Put": {"TableName": name, "Item": number}}, check(name, "missing"), {"Put": {"TableName": name, "Item": number}}])
    assert reasons == [{"Code": "ValidationError", "Message": wrong_type}, {"Code": "None"}, {"Code": "None"}]
    for kind, more in (
        ("Delete", {}),
        ("ConditionCheck", {"ConditionExpression": "attribute_exists(pk)"}),
        ("Update", {"UpdateExpression": "REMOVE n"}),
    ):
        reasons = cancelled(client, [put(name, "a"), {kind: {"TableName": name, "Key": number, **more}}])
        assert reasons == [{"Code": "None"}, {"Code": "ValidationError", "Message": mismatch}]
    key = {"Update": {"TableName": name, "Key": {"pk": {"S": "a"}}, "UpdateExpression": "REMOVE pk"}}
    (reason,) = cancelled(client, [key])
    assert reason["Code"] == "ValidationError"
    assert reason["Message"] == "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key"


def indexed(make_table):
    return make_table(
        "pk:S,sk:S",
        attributes={"g": "S", "l": "S"},
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["proj"]},
            }
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-l",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def test_index_keys(client, make_table):
    name = indexed(make_table)
    key = {"pk": {"S": "a"}, "sk": {"S": "b"}}

    def update(value):
        return {
            "Update": {
                "TableName": name,
                "Key": key,
                "UpdateExpression": "SET g = :v",
                "ExpressionAttributeValues": {":v": value},
            }
        }

    wrong = "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: by-g"
    assert cancelled(client, [{"Put": {"TableName": name, "Item": {**key, "g": {"N": "5"}}}}]) == [{"Code": "ValidationError", "Message": wrong}]
    assert cancelled(client, [update({"N": "5"})]) == [{"Code": "ValidationError", "Message": wrong}]
    assert refused(client, [{"Put": {"TableName": name, "Item": {**key, "g": {"S": ""}}}}]) == (
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue "
        "for a key attribute cannot contain an empty string value. IndexName: by-g, IndexKey: g"
    )
    assert refused(client, [update({"S": ""})]) == (
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is "
        "not supported. The AttributeValue for a key attribute cannot contain an empty string value."
    )


def test_four_megabytes_of_request(client, make_table):
    """The request counts, not what it touches."""
    name = make_table()
    big = {"S": "x" * 350_000}
    client.transact_write_items(TransactItems=[put(name, str(i), x=big) for i in range(11)])
    client.put_item(TableName=name, Item={"pk": {"S": "11"}, "x": big})
    assert refused(client, [put(name, f"n{i}", x=big) for i in range(12)]) == "Transaction payload size cannot exceed 4194304 bytes"
    client.transact_write_items(TransactItems=[delete(name, str(i)) for i in range(12)])
    assert client.scan(TableName=name, Select="COUNT")["Count"] == 0


def test_an_item_that_is_too_big(client, make_table):
    name = make_table()
    assert refused(client, [put(name, "a", x={"S": "x" * 409_600})]) == "Item size has exceeded the maximum allowed size"
    client.transact_write_items(TransactItems=[put(name, "a", x={"S": "x" * (409_600 - 4)})])


# ---- capacity ----


def capacity(answer):
    """{table: (CapacityUnits, of the table, {index: units})}, having checked that the figures by kind are the same."""
    ret = {}
    for entry in answer["ConsumedCapacity"]:
        (kind,) = {"ReadCapacityUnits", "WriteCapacityUnits"} & set(entry)
        parts = {**entry.get("GlobalSecondaryIndexes", {}), **entry.get("LocalSecondaryIndexes", {})}
        for part in [entry, entry.get("Table", entry), *parts.values()]:
            assert part[kind] == part["CapacityUnits"]
        ret[entry["TableName"]] = (entry["CapacityUnits"], entry.get("Table", {}).get("CapacityUnits"), {n: p["CapacityUnits"] for n, p in parts.items()})
    return ret


def test_writes_cost_twice_on_the_table_and_once_on_its_indexes(client, make_table):
    name, other = indexed(make_table), make_table()

    def cost(*actions, detail="INDEXES"):
        return capacity(client.transact_write_items(TransactItems=list(actions), ReturnConsumedCapacity=detail))[name]

    def key(pk):
        return {"pk": {"S": pk}, "sk": {"S": "1"}}

    def put_in(pk, **attributes):
        return {"Put": {"TableName": name, "Item": {**key(pk), **attributes}}}

    g, l = {"g": {"S": "g1"}}, {"l": {"S": "l1"}}
    assert cost(put_in("a", **g)) == (3, 2, {"by-g": 1})
    assert cost(put_in("b", o={"S": "o"})) == (2, 2, {})
    assert cost(put_in("c", **g, **l)) == (4, 2, {"by-g": 1, "by-l": 1})
    assert cost(put_in("c", **g, **l)) == (2, 2, {})
    assert cost(put_in("d", **g, **l), put_in("e", **g, **l)) == (8, 4, {"by-g": 2, "by-l": 2})
    move = {"UpdateExpression": "SET g = :g", "ExpressionAttributeValues": {":g": {"S": "g2"}}}
    assert cost({"Update": {"TableName": name, "Key": key("c"), **move}}) == (5, 2, {"by-g": 2, "by-l": 1})
    assert cost({"Delete": {"TableName": name, "Key": key("c")}}) == (4, 2, {"by-g": 1, "by-l": 1})
    assert cost({"Delete": {"TableName": name, "Key": key("none")}}) == (2, 2, {})
    big = {"proj": {"S": "x" * 3000}}
    assert cost(put_in("f", **g, **big)) == (9, 6, {"by-g": 3})
    assert cost({"ConditionCheck": {"TableName": name, "Key": key("f"), "ConditionExpression": "attribute_exists(pk)"}}) == (6, 6, {})
    assert cost(put_in("f")) == (9, 6, {"by-g": 3})
    assert cost(put_in("g", **g, **l), detail="TOTAL") == (4, None, {})
    answer = client.transact_write_items(TransactItems=[put(other, "a"), put_in("h"), put(other, "b")], ReturnConsumedCapacity="TOTAL")
    assert [(c["TableName"], c["CapacityUnits"], c["WriteCapacityUnits"]) for c in answer["ConsumedCapacity"]] == [(other, 4, 4), (name, 2, 2)]


def test_a_repeated_transaction_costs_what_reading_it_would(client, make_table):
    name = make_table()
    client.put_item(TableName=name, Item={"pk": {"S": "big"}, "x": {"S": "x" * 9000}})
    for actions, first, again in (
        ([put(name, "a", x={"S": "x" * 1536})], 4, 2),
        ([check(name, "big")], 18, 6),
        ([delete(name, "big"), put(name, "b")], 20, 8),
    ):
        request = dict(TransactItems=actions, ClientRequestToken=token(), ReturnConsumedCapacity="INDEXES")
        (entry,) = client.transact_write_items(**request)["ConsumedCapacity"]
        assert (entry["CapacityUnits"], entry["WriteCapacityUnits"], entry["Table"]["WriteCapacityUnits"]) == (first,) * 3
        assert "ReadCapacityUnits" not in entry
        (entry,) = client.transact_write_items(**request)["ConsumedCapacity"]
        assert (entry["CapacityUnits"], entry["ReadCapacityUnits"], entry["Table"]["ReadCapacityUnits"]) == (again,) * 3
        assert "WriteCapacityUnits" not in entry


def test_item_collections_are_told(client, make_table):
    name, plain = indexed(make_table), make_table()

    def put_in(pk, sk):
        return {"Put": {"TableName": name, "Item": {"pk": {"S": pk}, "sk": {"S": sk}}}}

    looked_at = {"ConditionCheck": {"TableName": name, "Key": {"pk": {"S": "c"}, "sk": {"S": "1"}}, "ConditionExpression": "attribute_not_exists(pk)"}}
    metrics = client.transact_write_items(
        TransactItems=[put(plain, "a"), put_in("a", "1"), looked_at, put_in("b", "1"), put_in("a", "2")], ReturnItemCollectionMetrics="SIZE"
    )["ItemCollectionMetrics"]
    assert list(metrics) == [name]
    assert [m["ItemCollectionKey"] for m in metrics[name]] == [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}]
    assert all(m["SizeEstimateRangeGB"] == [0, 1] for m in metrics[name])


# ---- tokens ----


def test_a_token_makes_it_happen_once(client, make_table):
    name = make_table()
    request = dict(TransactItems=[add(name, "a"), add(name, "b", 10)], ClientRequestToken=token())
    for _ in range(3):
        client.transact_write_items(**request)
    assert (count(client, name, "a"), count(client, name, "b")) == (1, 10)
    client.transact_write_items(**{**request, "ClientRequestToken": token()})
    assert (count(client, name, "a"), count(client, name, "b")) == (2, 20)


def test_a_token_stands_for_one_request(client, make_table):
    name = make_table()
    the_token = token()
    names = {"#a": "a", "#b": "b"}
    values = {":a": {"N": "1"}, ":b": {"M": {"x": {"N": "1.50"}, "y": {"S": "z"}}}}

    def update(names, values, expression="SET #a = :a, #b = :b"):
        return {
            "Update": {
                "TableName": name,
                "Key": {"pk": {"S": "a"}},
                "UpdateExpression": expression,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
        }

    client.transact_write_items(TransactItems=[update(names, values)], ClientRequestToken=the_token)
    # the same in another order and spelling is the same
    values_again = {":b": {"M": {"y": {"S": "z"}, "x": {"N": "1.5"}}}, ":a": {"N": "1"}}
    same = update(dict(reversed(names.items())), values_again)
    client.transact_write_items(TransactItems=[same], ClientRequestToken=the_token, ReturnConsumedCapacity="TOTAL")
    for other in (
        [update(names, {**values, ":a": {"N": "2"}})],
        [update(names, values, "SET #b = :b, #a = :a")],
        [update(names, values), put(name, "b")],
        [put(name, "a")],
    ):
        with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
            client.transact_write_items(TransactItems=other, ClientRequestToken=the_token)
    assert item(client, name, "b") is None


def test_the_token_of_a_cancelled_transaction_may_be_used_again(client, make_table):
    name = make_table()
    request = dict(TransactItems=[check(name, "a"), put(name, "b")], ClientRequestToken=token())
    cancelled(client, request["TransactItems"], ClientRequestToken=request["ClientRequestToken"])
    client.put_item(TableName=name, Item={"pk": {"S": "a"}})
    client.transact_write_items(**request)
    assert item(client, name, "b")
    client.delete_item(TableName=name, Key={"pk": {"S": "a"}})
    client.transact_write_items(**request)  # done already: its condition is not looked at


def test_a_check_alone_with_a_token_is_remembered(client, make_table):
    name = make_table()
    request = dict(TransactItems=[check(name, "a", "attribute_not_exists(pk)")], ClientRequestToken=token())
    client.transact_write_items(**request)
    client.put_item(TableName=name, Item={"pk": {"S": "a"}})
    client.transact_write_items(**request)


def test_one_token_used_by_many_at_once_happens_once(client, make_table, endpoint):
    name = make_table()
    for _ in range(5):
        request = dict(TransactItems=[add(name, "a"), add(name, "b")], ClientRequestToken=token())
        before = count(client, name, "a") or 0
        threads = [threading.Thread(target=lambda: make_client(endpoint).transact_write_items(**request)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (count(client, name, "a"), count(client, name, "b")) == (before + 1, before + 1)


def test_tokens_outlive_the_server(start_server, tmp_path):
    server = start_server("--data", tmp_path / "data")
    client = make_client(server.endpoint)
    name = create(client, "pk:S")
    requests = [dict(TransactItems=[add(name, str(i))], ClientRequestToken=token()) for i in range(20)]
    for request in requests:
        client.transact_write_items(**request)
    server.kill()
    server = start_server("--data", tmp_path / "data")
    client = make_client(server.endpoint)
    for request in requests:
        client.transact_write_items(**request)
    server.stop()
    client = make_client(start_server("--data", tmp_path / "data").endpoint)
    for i, request in enumerate(requests):
        client.transact_write_items(**request)
        assert count(client, name, str(i)) == 1
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        client.transact_write_items(TransactItems=[add(name, "x")], ClientRequestToken=requests[0]["ClientRequestToken"])


# ---- reading ----


def test_items_come_in_order_and_missing_ones_are_empty(client, make_table):
    one, two = make_table(), make_table()
    client.put_item(TableName=one, Item={"pk": {"S": "a"}, "x": {"N": "1"}, "y": {"N": "2"}})
    client.put_item(TableName=two, Item={"pk": {"S": "a"}})
    answer = client.transact_get_items(
        TransactItems=[
            get(two, "a"),
            get(one, "missing"),
            get(one, "a", ProjectionExpression="#x", ExpressionAttributeNames={"#x": "x"}),
            get(two, "none", ProjectionExpression="x"),
        ]
    )
    assert answer["Responses"] == [{"Item": {"pk": {"S": "a"}}}, {}, {"Item": {"x": {"N": "1"}}}, {}]
    assert client.transact_get_items(TransactItems=[get(one, "a", ProjectionExpression="nothing")])["Responses"] == [{}]


def test_reads_cost_twice(client, make_table):
    one, two = make_table(), make_table()
    client.put_item(TableName=one, Item={"pk": {"S": "a"}, "x": {"S": "x" * 5000}})
    request = dict(TransactItems=[get(one, "a", ProjectionExpression="pk"), get(two, "a"), get(one, "missing")])
    assert capacity(client.transact_get_items(**request, ReturnConsumedCapacity="INDEXES")) == {one: (6, 6, {}), two: (2, 2, {})}
    assert capacity(client.transact_get_items(**request, ReturnConsumedCapacity="TOTAL")) == {one: (6, None, {}), two: (2, None, {})}
    assert "ConsumedCapacity" not in client.transact_get_items(**request, ReturnConsumedCapacity="NONE")


def test_reads_that_are_refused(client, make_table):
    name = make_table()

    def read(*gets, **more):
        with pytest.raises(ClientError) as failure:
            client.transact_get_items(TransactItems=list(gets), **more)
        error = failure.value.response["Error"]
        return error["Code"], error["Message"]

    assert read(get(name, "a"), get(name, "a")) == ("ValidationException", ONE_ITEM)
    assert read(get(name, "")) == ("ValidationException", EMPTY_KEY)
    assert read(get("missing-table", "a")) == ("ResourceNotFoundException", "Requested resource not found")
    wrong = {"Get": {"TableName": name, "Key": {}}}
    assert read(get(name, "a"), wrong) == ("TransactionCanceledException", CANCELLED % "None, ValidationError")
    syntax = 'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"'
    assert read(get("missing-table", "a", ProjectionExpression="!!!")) == ("ValidationException", syntax)
    assert "unused in expressions: keys: {#q}" in read(get(name, "a", ProjectionExpression="x", ExpressionAttributeNames={"#q": "q"}))[1]
    assert "less than or equal to 100" in read(*(get(name, str(i)) for i in range(101)))[1]
    for i in range(12):
        client.put_item(TableName=name, Item={"pk": {"S": str(i)}, "x": {"S": "x" * 350_000}})
    assert len(client.transact_get_items(TransactItems=[get(name, str(i)) for i in range(11)])["Responses"]) == 11
    assert read(*(get(name, str(i)) for i in range(12))) == ("ValidationException", "Transaction payload size cannot exceed 4194304 bytes")


# ---- isolation ----


def test_a_sum_is_never_seen_to_change(client, make_table, endpoint):
    """Money moves between accounts of two tables while it is counted."""
    accounts = [(name, str(i)) for name in (make_table(), make_table()) for i in range(3)]
    for table, pk in accounts:
        client.put_item(TableName=table, Item={"pk": {"S": pk}, "n": {"N": "100"}})
    stop = threading.Event()
    sums, moved, failures = set(), [], []

    def move(shift):
        mine = make_client(endpoint)
        try:
            for i in range(150):
                a, b = accounts[(i + shift) % 6], accounts[(i * 5 + shift + 1) % 6]
                if a != b:
                    mine.transact_write_items(TransactItems=[add(*a, -1), add(*b, 1)])
                    moved.append(1)
        except Exception as failure:
            failures.append(failure)

    def look():
        mine = make_client(endpoint)
        while not stop.is_set():
            found = mine.transact_get_items(TransactItems=[get(*account) for account in accounts])["Responses"]
            sums.add(sum(int(response["Item"]["n"]["N"]) for response in found))

    movers = [threading.Thread(target=move, args=(i,)) for i in range(3)]
    lookers = [threading.Thread(target=look) for _ in range(2)]
    for thread in movers + lookers:
        thread.start()
    for thread in movers:
        thread.join()
    stop.set()
    for thread in lookers:
        thread.join()
    assert not failures and moved and sums == {600}


# ---- meeting one that runs ----


def test_who_meets_a_running_transaction_is_told(start_server):
    """One of those that meet goes on, the others are refused; nothing is done that was refused."""
    server = start_server("--partitions", "1", env={"STATOR_FAULT": "engine-before-sync:sleep:20"})
    table = create(make_client(server.endpoint), "pk:S")
    seen, done, ended = set(), [], threading.Event()

    def transact(client):
        client.transact_write_items(TransactItems=[put(table, "other"), add(table, "a")])

    def update(client):
        client.update_item(**add(table, "a")["Update"])

    def batch(client):
        items = [{"PutRequest": {"Item": {"pk": {"S": pk}}}} for pk in ("other", "free")]
        left = client.batch_write_item(RequestItems={table: items})["UnprocessedItems"]
        assert left in ({}, {table: items[:1]})
        return "unprocessed" if left else None

    def ask(call):
        client, count = make_client(server.endpoint), 0
        while not ended.is_set():
            try:
                told = call(client)
                count += call is not batch
            except ClientError as e:
                error = e.response["Error"]
                told = error["Code"]
                if told == "TransactionConflictException":
                    assert error["Message"] == "Transaction is ongoing for the item"
                else:
                    codes = [r["Code"] for r in e.response["CancellationReasons"]]
                    assert "TransactionConflict" in codes and set(codes) <= {"TransactionConflict", "None"}
                    assert error["Message"] == CANCELLED % ", ".join(codes)
            if told:
                seen.add((call.__name__, told))
            if len(seen) == 3:
                ended.set()
        done.append(count)
        client.close()

    threads = [threading.Thread(target=ask, args=(call,)) for call in (transact, transact, update, update, batch)]
    for t in threads:
        t.start()
    ended.wait(120)
    ended.set()
    for t in threads:
        t.join()
    assert seen == {("transact", "TransactionCanceledException"), ("update", "TransactionConflictException"),
                    ("batch", "unprocessed")}
    item = make_client(server.endpoint).get_item(TableName=table, Key={"pk": {"S": "a"}}, ConsistentRead=True)["Item"]
    assert int(item["n"]["N"]) == sum(done) > 0

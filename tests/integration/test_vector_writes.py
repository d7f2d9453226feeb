"""Writes into vector indexes: what fits, what is found afterwards, what it costs."""

import random

import pytest
from botocore.exceptions import ClientError
from vectors import (
    SCHEMA,
    describe,
    index,
    keys_of,
    make_vectors,
    nearest,
    number_list,
    refused,
    search,
    stored,
    tenants,
)


# ---- writes ----

WRITES = [
    ({"embedding": stored([1, 0])}, "One or more parameter values were invalid. Invalid size for parameter embedding, "
                                    "Expected: 3, Actual: 2 IndexName: plain"),
    ({"embedding": stored([1, 0, 0, 0])}, "One or more parameter values were invalid. Invalid size for parameter embedding, "
                                          "Expected: 3, Actual: 4 IndexName: plain"),
    ({"embedding": {"L": [{"N": "1"}, {"S": "oops"}, {"N": "0"}]}},
     "One or more parameter values were invalid. Invalid type for parameter embedding[1], Expected: 32-bit floating point "
     "number, Actual: S. IndexName: plain"),
    ({"embedding": {"S": "no"}}, "One or more parameter values were invalid. Invalid type for parameter embedding, "
                                 "Expected: 32-bit floating point number list IndexName: plain"),
    ({"embedding": {"NS": ["1", "2", "3"]}}, "One or more parameter values were invalid. Invalid type for parameter "
                                             "embedding, Expected: 32-bit floating point number list IndexName: plain"),
    ({"embedding": stored(["1", "0", "-1e39"])},
     "One or more parameter values were invalid. Invalid value for parameter embedding[2], Value: -1.0E39 is outside valid "
     "range [-3.4028235E38, 3.4028235E38]. IndexName: plain"),
    ({"tenant": {"S": ""}}, "One or more parameter values are not valid. A value specified for a secondary index key is not "
                            "supported. The AttributeValue for a key attribute cannot contain an empty string value. "
                            "IndexName: schema, IndexKey: tenant"),
    ({"tenant": {"N": "7"}}, "One or more parameter values were invalid. Attribute 'tenant' type mismatch. Expected: S, "
                             "Actual: N. IndexName: schema"),
    ({"year": {"S": "7"}}, "One or more parameter values were invalid. Attribute 'year' type mismatch. Expected: N, "
                           "Actual: S. IndexName: schema"),
    ({"category": {"S": "x" * 10241}}, "One or more parameter values were invalid: Size limit exceeded for SearchSchema "
                                       "attribute 'category': maximum 10240 bytes"),
]  # fmt: skip


@pytest.mark.parametrize("change, message", WRITES)
def test_writes_that_do_not_fit_are_refused(client, tenants, change, message):
    whole = {"pk": {"S": "w"}, "tenant": {"S": "t1"}, "category": {"S": "c"}, "embedding": stored([1, 0, 0])}
    bad = {**whole, **change}
    refused(lambda: client.put_item(TableName=tenants, Item=bad), message)
    refused(lambda: client.put_item(TableName=tenants, Item=bad, ConditionExpression="attribute_exists(absent)"), message)
    refused(lambda: client.batch_write_item(RequestItems={tenants: [{"PutRequest": {"Item": bad}}]}), message)
    client.put_item(TableName=tenants, Item=whole)
    name, value = next(iter(change.items()))
    with pytest.raises(ClientError) as failure:
        client.update_item(
            TableName=tenants, Key={"pk": {"S": "w"}}, UpdateExpression="SET #a = :a",
            ExpressionAttributeNames={"#a": name}, ExpressionAttributeValues={":a": value},
        )  # fmt: skip
    assert failure.value.response["Error"]["Code"] == "ValidationException"
    if value != {"S": ""}:
        assert failure.value.response["Error"]["Message"] == message
    assert client.get_item(TableName=tenants, Key={"pk": {"S": "w"}})["Item"] == whole
    assert "w" in keys_of(search(client, tenants, [1, 0, 0], name="plain"))


def test_a_refused_vector_cancels_its_transaction(client, tenants):
    with pytest.raises(client.exceptions.TransactionCanceledException) as failure:
        client.transact_write_items(TransactItems=[
            {"Put": {"TableName": tenants, "Item": {"pk": {"S": "ok"}, "embedding": stored([1, 0, 0])}}},
            {"Put": {"TableName": tenants, "Item": {"pk": {"S": "bad"}, "embedding": stored([1, 0])}}},
        ])  # fmt: skip
    reasons = failure.value.response["CancellationReasons"]
    assert [r["Code"] for r in reasons] == ["None", "ValidationError"]
    assert "Invalid size for parameter embedding" in reasons[1]["Message"]
    assert "ok" not in keys_of(search(client, tenants, [1, 0, 0], name="plain"))


def test_items_come_and_go_with_their_attributes(client, tenants):
    def found(name="schema", tenant="t1"):
        more = dict(condition="tenant = :t", values={":t": {"S": tenant}}) if name == "schema" else {}
        return sorted(keys_of(search(client, tenants, [0, 0, 1], name=name, **more)))

    def update(pk, expression, **values):
        more = {"ExpressionAttributeValues": {":" + n: v for n, v in values.items()}} if values else {}
        client.update_item(TableName=tenants, Key={"pk": {"S": pk}}, UpdateExpression=expression, **more)

    assert found() == ["p1", "p2", "p4"]
    update("p1", "REMOVE tenant")  # in silence
    assert found() == ["p2", "p4"] and "p1" in found("plain")
    update("p1", "SET tenant = :t", t={"S": "t2"})
    assert found() == ["p2", "p4"] and found(tenant="t2") == ["p1", "p3"]
    update("p2", "REMOVE embedding")
    assert found() == ["p4"] and "p2" not in found("plain")
    update("p2", "SET embedding = :v", v=stored([0, 0, 1]))
    assert found() == ["p2", "p4"]
    assert search(client, tenants, [0, 0, 1], 1, "plain")[0]["Score"] == 0
    update("p2", "SET embedding[2] = :n", n={"N": "-1"})
    assert search(client, tenants, [0, 0, 1], 10, "plain")[-1]["Score"] == 2
    client.delete_item(TableName=tenants, Key={"pk": {"S": "p4"}})
    assert found() == ["p2"]
    update("p2", "REMOVE category")
    assert found() == ["p2"]
    assert describe(client, tenants, "schema")["ItemCount"] == 3
    assert describe(client, tenants, "plain")["ItemCount"] == 4


def test_random_writes_leave_what_the_reference_has(client, make_vectors):
    random.seed(7)
    table = make_vectors(index(dimensions=5, distance="EUCLIDEAN", SearchSchema=SCHEMA), keys="pk:S,sk:N")
    model = {}
    for _ in range(400):
        key = {"pk": {"S": random.choice("ab\0c")}, "sk": {"N": str(random.randrange(12))}}
        at = (key["pk"]["S"], key["sk"]["N"])
        action = random.random()
        if action < 0.2:
            client.delete_item(TableName=table, Key=key)
            model.pop(at, None)
            continue
        item = dict(key)
        if random.random() < 0.8:
            item["embedding"] = stored([round(random.uniform(-1, 1), 3) for _ in range(5)])
        for name, choices in [("tenant", "tu"), ("category", "cd")]:
            if random.random() < 0.8:
                item[name] = {"S": random.choice(choices)}
        if action < 0.6:
            client.put_item(TableName=table, Item=item)
            model[at] = item
        else:
            names = [n for n in item if n not in key]
            if not names:
                continue
            client.update_item(
                TableName=table, Key=key, UpdateExpression="SET " + ", ".join(f"{n} = :{n}" for n in names),
                ExpressionAttributeValues={":" + n: item[n] for n in names},
            )  # fmt: skip
            model[at] = {**model.get(at, {}), **item}
    for tenant in "tu":
        for category in (None, "c", "d"):
            condition, values = "tenant = :t", {":t": {"S": tenant}}
            if category:
                condition, values = condition + " AND category = :c", {**values, ":c": {"S": category}}
            query = [random.uniform(-1, 1) for _ in range(5)]
            results = search(client, table, query, 100, condition=condition, values=values)
            expected = {
                at: [float(n["N"]) for n in item["embedding"]["L"]]
                for at, item in model.items()
                if "embedding" in item and item.get("tenant") == {"S": tenant}
                and (not category or item.get("category") == {"S": category})
            }  # fmt: skip
            assert {(r["Item"]["pk"]["S"], r["Item"]["sk"]["N"]) for r in results} == set(expected)
            ranked = nearest("EUCLIDEAN", query, expected, 100)
            assert [r["Score"] for r in results] == pytest.approx([s for _, s in ranked], rel=1e-6)
            for found in results:
                at = (found["Item"]["pk"]["S"], found["Item"]["sk"]["N"])
                assert found["Item"] == {n: v for n, v in model[at].items() if n != "embedding"}
    indexed = [i for i in model.values() if "embedding" in i and "tenant" in i]
    assert describe(client, table)["ItemCount"] == len(indexed)


# ---- capacity ----


def test_what_a_write_costs(client, make_vectors):
    table = make_vectors(
        index("vall", 1024, attribute="emb", SearchSchema=SCHEMA[:1]),
        index("vkeys", 1024, attribute="emb", projection="KEYS_ONLY", SearchSchema=SCHEMA[:1]),
        index("small", 8, attribute="tiny"),
    )

    def item(pk, blob=0, **more):
        whole = {"pk": {"S": pk}, "tenant": {"S": "t1"}, "emb": stored(["0.1"] * 1024), **more}
        return {**whole, **({"blob": {"S": "x" * blob}} if blob else {})}

    def cost(call, **more):
        capacity = call(TableName=table, ReturnConsumedCapacity="INDEXES", **more)["ConsumedCapacity"]
        return {n: c["VectorWriteRequestBytes"] for n, c in capacity.get("VectorIndexes", {}).items()}

    assert cost(client.put_item, Item=item("b1")) == {"vall": 4111, "vkeys": 4111}
    assert cost(client.put_item, Item=item("b1")) == {}, "nothing changed"
    assert cost(client.put_item, Item=item("b2", 2000)) == {"vall": 6115, "vkeys": 4111}
    assert cost(client.put_item, Item=item("b2", 2001)) == {"vall": 6116}
    assert cost(client.put_item, Item=item("mv1")) == {"vall": 4112, "vkeys": 4112}
    moved = {**item("mv1"), "tenant": {"S": "t9"}}
    assert cost(client.put_item, Item=moved) == {"vall": 8224, "vkeys": 8224}
    assert cost(client.put_item, Item=item("del1")) == {"vall": 4113, "vkeys": 4113}
    assert cost(client.delete_item, Key={"pk": {"S": "del1"}}) == {"vall": 4113, "vkeys": 4113}
    plain = {"pk": {"S": "a1"}, "tenant": {"S": "t1"}}
    assert cost(client.put_item, Item={**plain, "tiny": stored([1] * 8)}) == {"small": 1024}
    assert cost(client.put_item, Item={**plain, "pk": {"S": "a2"}, "tiny": stored([1] * 8), "b": {"S": "x" * 2000}}) == {
        "small": 4 * 8 + 4 + 4 + 8 + 2001
    }
    assert cost(client.put_item, Item={**plain, "pk": {"S": "a3"}}) == {}
    assert cost(client.delete_item, Key={"pk": {"S": "a3"}}) == {}
    total = client.put_item(TableName=table, Item=item("t1"), ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert "VectorIndexes" not in total
    batch = client.batch_write_item(
        RequestItems={table: [{"PutRequest": {"Item": item(pk)}} for pk in ("c1", "c2")]}, ReturnConsumedCapacity="INDEXES"
    )["ConsumedCapacity"][0]
    assert batch["VectorIndexes"] == {n: {"VectorWriteRequestBytes": 8222.0} for n in ("vall", "vkeys")}
    transaction = client.transact_write_items(
        TransactItems=[{"Put": {"TableName": table, "Item": item("d1")}}], ReturnConsumedCapacity="INDEXES"
    )["ConsumedCapacity"][0]
    assert transaction["VectorIndexes"] == {n: {"VectorWriteRequestBytes": 4111.0} for n in ("vall", "vkeys")}


WIDE = "12345678901234567890123456789012345678"


def test_a_vector_is_billed_at_four_bytes_a_dimension_on_writes(client, make_vectors):
    table = make_vectors(index(dimensions=6))

    def item(key, billed):
        fixed = 2 + len(key) + len("embedding") + 24 + 3
        return {"pk": {"S": key}, "embedding": {"L": [{"N": WIDE}] * 6}, "pad": {"S": "x" * (billed - fixed)}}

    def units(call, **more):
        return call(TableName=table, ReturnConsumedCapacity="TOTAL", **more)["ConsumedCapacity"]["CapacityUnits"]

    assert units(client.put_item, Item=item("a6", 1024)) == 1
    assert units(client.put_item, Item=item("b6", 1025)) == 2
    assert units(client.delete_item, Key={"pk": {"S": "a6"}}) == 1
    client.put_item(TableName=table, Item=item("r6", 4096))
    assert units(client.get_item, Key={"pk": {"S": "r6"}}, ConsistentRead=True) == 2
    stored_bytes = 3 + 6 * 21
    gate = 400 * 1024 - stored_bytes + 24
    client.put_item(TableName=table, Item=item("g0", gate))
    refused(lambda: client.put_item(TableName=table, Item=item("g1", gate + 1)),
            "Item size has exceeded the maximum allowed size")  # fmt: skip


def test_what_a_search_costs(client, make_vectors):
    table = make_vectors(index("tiny"), index("wide", 1024, attribute="wide"))
    client.put_item(TableName=table, Item={"pk": {"S": "a"}, "embedding": stored([1, 0, 0])})
    client.put_item(TableName=table, Item={"pk": {"S": "b"}, "wide": stored([1] * 1024)})

    def cost(name, detail, dimensions=3, **more):
        answer = client.search_vectors(
            TableName=table, IndexName=name, SearchVector=number_list([1] * dimensions), TopK=1,
            ReturnConsumedCapacity=detail, **more,
        )  # fmt: skip
        return answer.get("ConsumedCapacity")

    assert cost("tiny", "NONE") is None
    assert cost("tiny", "TOTAL") == {"VectorSearchRequestBytes": 1024.0} == cost("tiny", "INDEXES")
    without = cost("wide", "TOTAL", 1024)["VectorSearchRequestBytes"]
    assert without > 1024 * 17
    assert cost("wide", "TOTAL", 1024, ProjectionExpression="wide")["VectorSearchRequestBytes"] > without

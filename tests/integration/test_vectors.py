"""SearchVectors, against a reference in plain Python."""

import json
import math
import random
import threading

import pytest
from botocore.exceptions import ClientError
from vectors import (
    ABSENT,
    FLOAT_MAX,
    SCHEMA,
    describe,
    f32,
    index,
    keys_of,
    make_vectors,
    nearest,
    number_list,
    raw,
    refused,
    score,
    search,
    stored,
    tenants,
)


# ---- scores ----

FIXTURE = {"a": [1, 0, 0], "b": [0, 1, 0], "c": [-1, 0, 0], "d": [0.6, 0.8, 0]}


@pytest.mark.parametrize(
    "distance, expected",
    [
        ("COSINE", {"a": 0.0, "d": 0.4, "b": 1.0, "c": 2.0}),
        ("EUCLIDEAN", {"a": 0.0, "d": math.sqrt(0.8), "b": math.sqrt(2), "c": 2.0}),
        ("DOT_PRODUCT", {"a": 1.0, "d": 0.6, "b": 0.0, "c": -1.0}),
    ],
)
def test_scores_are_the_distances_and_the_nearest_comes_first(client, make_vectors, distance, expected):
    table = make_vectors(index(distance=distance))
    for pk, vector in FIXTURE.items():
        client.put_item(TableName=table, Item={"pk": {"S": pk}, "label": {"S": "L" + pk}, "embedding": stored(vector)})
    results = search(client, table, [1, 0, 0])
    assert keys_of(results) == ["a", "d", "b", "c"]
    for found in results:
        wanted = expected[found["Item"]["pk"]["S"]]
        assert found["Score"] == pytest.approx(wanted, abs=1e-6)
        assert found["Score"] == f32(found["Score"])
        if wanted in (0, 1, 2, -1):
            assert found["Score"] == wanted
        assert found["Item"] == {"pk": found["Item"]["pk"], "label": {"S": "L" + found["Item"]["pk"]["S"]}}


@pytest.mark.parametrize("distance", ["COSINE", "EUCLIDEAN", "DOT_PRODUCT"])
@pytest.mark.parametrize("dimensions", [1, 2, 15, 16, 17, 100])
def test_a_search_finds_what_the_reference_finds(client, make_vectors, distance, dimensions):
    random.seed(dimensions)
    table = make_vectors(index(dimensions=dimensions, distance=distance))
    items = {f"i{n}": [random.uniform(-2, 2) for _ in range(dimensions)] for n in range(120)}
    writes = [
        {"PutRequest": {"Item": {"pk": {"S": pk}, "embedding": stored(vector)}}} for pk, vector in items.items()
    ]
    for at in range(0, len(writes), 25):
        client.batch_write_item(RequestItems={table: writes[at : at + 25]})
    for top in (1, 7, 100):
        query = [random.uniform(-2, 2) for _ in range(dimensions)]
        expected = nearest(distance, query, items, top)
        results = search(client, table, query, top)
        assert len(results) == top
        for found, (pk, wanted) in zip(results, expected):
            assert found["Score"] == pytest.approx(wanted, rel=1e-6, abs=1e-6)
            actual = score(distance, query, items[found["Item"]["pk"]["S"]])
            assert actual == pytest.approx(wanted, rel=1e-6, abs=1e-9), "as near, when not the same"
    if distance != "DOT_PRODUCT":
        assert search(client, table, items["i5"], 1)[0]["Score"] == 0


def test_extreme_vectors_have_finite_scores(client, make_vectors):
    table = make_vectors(
        index("cos", 2), index("euc", 2, "EUCLIDEAN"), index("dot", 2, "DOT_PRODUCT")
    )
    items = {"big": ["3.4e38", "-3.4e38"], "tiny": ["1e-23", "0"], "zero": ["0", "0"], "far": ["-3.4e38", "0"]}
    for pk, vector in items.items():
        client.put_item(TableName=table, Item={"pk": {"S": pk}, "embedding": stored(vector)})

    def scores(name, query):
        return {r["Item"]["pk"]["S"]: r["Score"] for r in search(client, table, query, name=name)}

    assert scores("dot", ["3.4e38", "3.4e38"])["big"] == 0
    assert scores("dot", ["3.4e38", "0"])["far"] == -FLOAT_MAX
    assert scores("euc", ["3.4e38", "0"])["far"] == FLOAT_MAX
    assert scores("cos", ["1e-23", "0"])["tiny"] == 0
    assert scores("cos", ["1", "0"])["zero"] == 1
    assert set(scores("cos", ["0", "0"]).values()) == {1}


def test_the_wide_boundary(client, make_vectors):
    table = make_vectors(index(dimensions=4096))
    assert describe(client, table)["Dimensions"] == 4096
    one = [1] + [0] * 4095
    other = [0] * 4095 + [1]
    client.put_item(TableName=table, Item={"pk": {"S": "one"}, "embedding": stored(one)})
    client.put_item(TableName=table, Item={"pk": {"S": "other"}, "embedding": stored(other)})
    assert [(r["Item"]["pk"]["S"], r["Score"]) for r in search(client, table, one)] == [("one", 0.0), ("other", 1.0)]


def test_equal_scores_come_in_one_order(client, make_vectors):
    table = make_vectors(index())
    for n in range(30):
        client.put_item(TableName=table, Item={"pk": {"S": f"{n}"}, "embedding": stored([1, n % 2, 0])})
    first = search(client, table, [1, 0, 0], 20)
    assert first == search(client, table, [1, 0, 0], 20)
    assert [r["Score"] for r in first] == sorted(r["Score"] for r in first)
    assert keys_of(first)[:15] == keys_of(search(client, table, [1, 0, 0], 15))


# ---- what comes back ----


def test_the_vector_is_told_only_when_it_is_named_and_projected(client, make_vectors):
    table = make_vectors(
        index("all"), index("keys", projection="KEYS_ONLY"), index("with", projection="INCLUDE", include=["embedding"])
    )
    precise = ["0.1", "16777217", "1.000000059604644775390625"]
    client.put_item(TableName=table, Item={"pk": {"S": "a"}, "x": {"S": "X"}, "embedding": stored(precise)})

    def item(name, **more):
        return search(client, table, precise, name=name, **more)[0]["Item"]

    assert item("all") == {"pk": {"S": "a"}, "x": {"S": "X"}}
    assert item("keys") == {"pk": {"S": "a"}}
    assert item("with") == {"pk": {"S": "a"}}
    assert item("keys", ProjectionExpression="pk, embedding, x") == {"pk": {"S": "a"}}
    for name in ("all", "with"):
        told = item(name, ProjectionExpression="embedding")
        assert list(told) == ["embedding"]
        values = [float(v["N"]) for v in told["embedding"]["L"]]
        assert [f32(v) for v in values] == [f32(float(v)) for v in precise], "the index's own copy"
        assert values[1] == 16777216
    assert [v["N"] for v in item("all", ProjectionExpression="embedding")["embedding"]["L"]][0] == "0.1"
    got = client.get_item(TableName=table, Key={"pk": {"S": "a"}})["Item"]
    assert [v["N"] for v in got["embedding"]["L"]] == precise, "the table keeps what was written"


def test_projections(client, make_vectors):
    table = make_vectors(
        index("all", SearchSchema=SCHEMA),
        index("keys", projection="KEYS_ONLY", SearchSchema=SCHEMA),
        index("some", projection="INCLUDE", include=["x", "m"], SearchSchema=SCHEMA),
        keys="pk:S,sk:N",
    )
    everything = {
        "pk": {"S": "a"}, "sk": {"N": "1"}, "tenant": {"S": "t"}, "category": {"S": "c"}, "x": {"S": "X"},
        "m": {"M": {"deep": {"L": [{"S": "1"}, {"S": "2"}]}}}, "extra": {"BOOL": True},
    }  # fmt: skip
    client.put_item(TableName=table, Item={**everything, "embedding": stored([1, 2, 3])})

    def item(name, **more):
        return search(client, table, [1, 2, 3], name=name, condition="tenant = :t", values={":t": {"S": "t"}}, **more)[
            0
        ]["Item"]

    keys = {n: everything[n] for n in ("pk", "sk", "tenant", "category")}
    assert item("all") == everything
    assert item("keys") == keys
    assert item("some") == {**keys, "x": everything["x"], "m": everything["m"]}
    assert item("some", ProjectionExpression="m.deep[1], extra, #p", ExpressionAttributeNames={"#p": "pk"}) == {
        "pk": {"S": "a"},
        "m": {"M": {"deep": {"L": [{"S": "2"}]}}},
    }


def test_fewer_items_than_asked_for(client, make_vectors):
    table = make_vectors(index())
    assert search(client, table, [1, 0, 0]) == []
    answer = client.search_vectors(TableName=table, IndexName="vix", SearchVector=number_list([1, 0, 0]), TopK=100)
    assert "NextToken" not in answer and "LastEvaluatedKey" not in answer and "Count" not in answer
    client.put_item(TableName=table, Item={"pk": {"S": "a"}, "embedding": stored([1, 1, 1])})
    assert keys_of(search(client, table, [1, 0, 0], 100)) == ["a"]


def test_a_search_by_the_tables_arn(client, make_vectors):
    table = make_vectors(index())
    client.put_item(TableName=table, Item={"pk": {"S": "a"}, "embedding": stored([1, 1, 1])})
    arn = client.describe_table(TableName=table)["Table"]["TableArn"]
    assert keys_of(search(client, arn, [1, 0, 0])) == ["a"]


def test_more_than_16_mb_are_refused(client, make_vectors):
    table = make_vectors(index())
    for n in range(45):
        item = {"pk": {"S": f"{n}"}, "embedding": stored([1, n, 0]), "bulk": {"S": "x" * 390_000}}
        client.put_item(TableName=table, Item=item)
    assert len(search(client, table, [1, 0, 0], 40)) == 40
    assert len(search(client, table, [1, 0, 0], 45, ProjectionExpression="pk")) == 45
    with pytest.raises(ClientError, match="16 MB"):
        search(client, table, [1, 0, 0], 45)


# ---- conditions ----


def test_conditions_scope_and_filter(client, tenants):
    def found(condition, values, **more):
        return sorted(keys_of(search(client, tenants, [1, 0, 0], name="schema", condition=condition, values=values, **more)))

    one, two = {":t": {"S": "t1"}}, {":t": {"S": "t2"}}
    assert found("tenant = :t", one) == ["p1", "p2", "p4"]
    assert found("tenant = :t", two) == ["p3"]
    assert found("tenant = :t", {":t": {"S": "nobody"}}) == []
    assert found("tenant = :t AND category = :c", {**one, ":c": {"S": "c1"}}) == ["p1"]
    assert found("(tenant = :t AND (category = :c)) AND #y = :y",
                 {**one, ":c": {"S": "c2"}, ":y": {"N": "1.0"}}, ExpressionAttributeNames={"#y": "year"}) == ["p2"]  # fmt: skip
    assert found(":t = tenant AND #y = :y", {**one, ":y": {"N": "2"}}, ExpressionAttributeNames={"#y": "year"}) == ["p4"]
    assert sorted(keys_of(search(client, tenants, [1, 0, 0], name="plain"))) == ["p1", "p2", "p3", "p4", "p5"]


def test_hash_values_are_numbers_and_binaries_too(client, make_vectors):
    def schema(name):
        return [{"AttributeName": name, "SearchSchemaElementType": "HASH"}]

    table = make_vectors(
        index("by-n", SearchSchema=schema("n")), index("by-b", SearchSchema=schema("b")), attributes={"n": "N", "b": "B"}
    )
    for pk, n, b in [("x", "1", b"\x00"), ("y", "2", b"\x00\x01"), ("z", "100E-2", b"")]:
        item = {"pk": {"S": pk}, "n": {"N": n}, "embedding": stored([1, 0, 0])}
        client.put_item(TableName=table, Item={**item, **({"b": {"B": b}} if b else {})})
    for value, expected in [("1.0", ["x", "z"]), ("2", ["y"]), ("3", [])]:
        results = search(client, table, [1, 0, 0], name="by-n", condition="n = :n", values={":n": {"N": value}})
        assert sorted(keys_of(results)) == expected
    for value, expected in [(b"\x00", ["x"]), (b"\x00\x01", ["y"]), (b"\x01", [])]:
        results = search(client, table, [1, 0, 0], name="by-b", condition="b = :b", values={":b": {"B": value}})
        assert keys_of(results) == expected


PREFIX = "Invalid SearchConditionExpression: "
COMPARATOR = PREFIX + "Invalid comparator used in SearchConditionExpression"
OPERATOR = PREFIX + "Invalid operator used in SearchConditionExpression"


@pytest.mark.parametrize(
    "condition, values, message",
    [
        (None, None, "SearchConditionExpression must be provided when SearchSchema has a HASH key"),
        ("category = :a", "a", "SearchConditionExpression must have all HASH attributes"),
        ("tenant < :a", "a", COMPARATOR),
        ("tenant = :a AND category >= :b", "ab", COMPARATOR),
        ("tenant = :a AND category <> :b", "ab", COMPARATOR),
        ("tenant = :a AND category BETWEEN :b AND :c", "abc", OPERATOR),
        ("tenant = :a AND category IN (:b, :c)", "abc", OPERATOR),
        ("tenant = :a OR category = :b", "ab", OPERATOR),
        ("NOT tenant = :a", "a", OPERATOR),
        ("tenant = :a AND begins_with(category, :b)", "ab", OPERATOR),
        ("tenant = :a AND attribute_exists(category)", "a", OPERATOR),
        ("tenant = :a AND category.x = :b", "ab", "SearchConditionExpression cannot have conditions on nested attributes"),
        ("tenant = :a AND tenant = :b", "ab", "SearchConditionExpression must only contain one condition per attribute"),
        ("tenant = :a AND label = :b", "ab", "SearchConditionExpression must not contain any attributes that is not in "
                                             "SearchSchema. Invalid attribute: label"),
        ("tenant = :a AND category = :missing", "a", PREFIX + "An expression attribute value used in expression is not "
                                                              "defined; attribute value: :missing"),
        ("bucket = :a", "a", PREFIX + "Attribute name is a reserved keyword; reserved keyword: bucket"),
        ("", None, PREFIX + "The expression can not be empty;"),
        ("tenant = ", None, PREFIX + 'Syntax error; token: "<EOF>", near: "="'),
    ],
)  # fmt: skip
def test_bad_conditions(client, tenants, condition, values, message):
    more = {"SearchConditionExpression": condition} if condition is not None else {}
    if values:
        more["ExpressionAttributeValues"] = {f":{v}": {"S": v} for v in values}
    call = dict(TableName=tenants, IndexName="schema", SearchVector=number_list([1, 0, 0]), TopK=1, **more)
    refused(lambda: client.search_vectors(**call), message)


def test_operands_must_fit_the_schema(client, tenants):
    def call(condition="tenant = :t", name="schema", **values):
        more = {"ExpressionAttributeValues": {":" + n: v for n, v in values.items()}} if values else {}
        return lambda: search(client, tenants, [1, 0, 0], name=name, condition=condition, **more)

    for value, letter in [({"N": "1"}, "N"), ({"BOOL": True}, "BOOL"), ({"L": []}, "L"), ({"M": {}}, "M")]:
        refused(call(t=value), f"Type of 'tenant' attribute in SearchConditionExpression ({letter}) does not match type "
                               "in search schema (S)")  # fmt: skip
    refused(call(t={"S": ""}), "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
                               "contain an empty string value. Key: tenant")  # fmt: skip
    refused(call(name="plain", t={"S": "t1"}), "SearchConditionExpression must not contain any attributes that is not in "
                                               "SearchSchema. Invalid attribute: tenant")  # fmt: skip
    refused(call(t={"S": "a"}, spare={"S": "b"}),
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:spare}")  # fmt: skip
    refused(lambda: search(client, tenants, [1, 0, 0], name="plain", values={":t": {"S": "a"}}),
            "ExpressionAttributeValues can only be specified when using expressions: SearchConditionExpression is null")  # fmt: skip


# ---- requests ----


def test_bad_searches(client, make_vectors):
    table = make_vectors(index())

    def body(**changes):
        whole = {"TableName": table, "IndexName": "vix", "SearchVector": number_list([1, 0, 0]), "TopK": 1, **changes}
        return {k: v for k, v in whole.items() if v is not ABSENT}

    def message(sent, code="ValidationException"):
        answer = raw(client, "SearchVectors", sent)
        assert answer["__type"].endswith("#" + code), answer
        return answer.get("message", answer.get("Message"))

    detected = "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have %s"
    assert message(body(TopK=101)) == (
        "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive"
    )
    assert message(body(TopK=0)) == detected % ("TopK", "value greater than or equal to 1")
    assert message(body(TopK=-5)) == detected % ("TopK", "value greater than or equal to 1")
    assert message(body(IndexName="ab")) == detected % ("IndexName", "length greater than or equal to 3")
    assert message(body(IndexName="x" * 256)) == detected % ("IndexName", "length less than or equal to 255")
    assert message(body(SearchVector=[])) == detected % ("SearchVector", "length greater than or equal to 1")
    assert message(body(SearchVector=[{"N": "1"}] * 4097)) == (
        detected % ("SearchVector", "length less than or equal to 4096")
    )
    assert message(body(SearchVector=number_list([1, 0]))) == (
        "Input search vector dimension 2 does not match vector index dimension 3"
    )
    values = (
        "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number "
        "attribute"
    )
    for bad in ({"L": number_list([1, 0, 0])}, {"S": "1"}, {"N": "1E+39"}, {"N": "x"}, {"NULL": True}):
        assert message(body(SearchVector=[bad])) == values
    assert message(body(IndexName="absent")) == "The table does not have the specified index: absent"
    assert message(body(TableName="no-such-table"), "ResourceNotFoundException") == "Requested resource not found"

    for sent in (body(TableName=ABSENT), body(TableName=ABSENT, IndexName="ab")):
        told = message(sent)
        assert told == f"missing field `TableName` at line 1 column {len(json.dumps(sent))}"
    assert message(body(TopK=ABSENT)).startswith("missing field `TopK` at line 1 column ")
    wanted = {"TableName": "a string", "IndexName": "a string", "SearchVector": "a sequence", "TopK": "i32"}
    for member, kind in wanted.items():
        text = json.dumps(body(**{member: None}))
        column = text.index("null") + 4
        told = message(text.encode(), "SerializationException")
        assert told == f"invalid type: null, expected {kind} at line 1 column {column}"
    assert message(b"{\n}").endswith("at line 2 column 1")


def test_other_reads_of_a_vector_index_are_refused(client, make_vectors):
    table = make_vectors(index(), GlobalSecondaryIndexes=[
        {"IndexName": "gsi", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
    ], attributes={"g": "S"})  # fmt: skip
    client.put_item(TableName=table, Item={"pk": {"S": "a"}, "g": {"S": "g"}, "embedding": stored([1, 0, 0])})
    query = dict(
        TableName=table, IndexName="vix", KeyConditionExpression="pk = :v", ExpressionAttributeValues={":v": {"S": "a"}}
    )
    refused(lambda: client.query(**query), "Query operation not supported on this index type.")
    refused(lambda: client.query(ConsistentRead=True, **query),
            "Consistent reads are not supported on global secondary indexes")  # fmt: skip
    refused(lambda: client.query(TableName=table, IndexName="vix"),
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")  # fmt: skip
    refused(lambda: client.scan(TableName=table, IndexName="vix"), "Scan operation not supported on this index type")
    refused(lambda: client.scan(TableName=table, IndexName="vix", ConsistentRead=True),
            "Scan operation not supported on this index type")  # fmt: skip
    refused(lambda: client.execute_statement(Statement=f'SELECT * FROM "{table}"."vix"'),
            "Scan operation not supported on this index type")  # fmt: skip
    rows = client.execute_statement(Statement=f"SELECT * FROM \"{table}\" WHERE pk = 'a'")["Items"]
    assert rows[0]["embedding"] == stored([1, 0, 0])
    refused(lambda: search(client, table, [1, 0, 0], name="gsi"), "The table does not have the specified index: gsi")
    assert client.query(**{**query, "IndexName": "gsi", "KeyConditionExpression": "g = :v",
                           "ExpressionAttributeValues": {":v": {"S": "g"}}})["Count"] == 1  # fmt: skip
    assert client.scan(TableName=table)["Count"] == 1


def test_a_search_sees_what_was_written_before_it(client, make_vectors):
    table = make_vectors(index(distance="EUCLIDEAN"))
    stop, problems = threading.Event(), []

    def churn():
        n = 0
        while not stop.is_set():
            client.put_item(TableName=table, Item={"pk": {"S": "churn"}, "embedding": stored([n % 50, 5, 5])})
            n += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for n in range(100):
            client.put_item(TableName=table, Item={"pk": {"S": f"{n}"}, "embedding": stored([n, 0, 0]), "n": {"N": str(n)}})
            best = search(client, table, [n, 0, 0], 1)[0]
            if best["Score"] != 0 or best["Item"] != {"pk": {"S": f"{n}"}, "n": {"N": str(n)}}:
                problems.append(best)
    finally:
        stop.set()
        thread.join()
    assert problems == []

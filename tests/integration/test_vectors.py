"""Vector indexes and SearchVectors, against a reference in plain Python."""

import json
import math
import random
import struct
import threading
import time

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
import urllib.request
from botocore.exceptions import ClientError
from conftest import WhileItLasts, create, wait_active

FLOAT_MAX = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def number_list(values):
    return [{"N": repr(v) if isinstance(v, float) else str(v)} for v in values]


def stored(values):
    return {"L": number_list(values)}


def score(distance, a, b):
    a, b = [f32(float(x)) for x in a], [f32(float(x)) for x in b]
    if distance == "EUCLIDEAN":
        return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b)))
    dot = math.fsum(x * y for x, y in zip(a, b))
    if distance == "DOT_PRODUCT":
        return dot
    lengths = math.sqrt(math.fsum(x * x for x in a) * math.fsum(x * x for x in b))
    return 1.0 if lengths == 0 else 1 - dot / lengths


def nearest(distance, query, items, top):
    """items: {key: vector} -> [(key, score)], the nearest first."""
    ranked = [(key, score(distance, query, vector)) for key, vector in items.items()]
    ranked.sort(key=lambda pair: -pair[1] if distance == "DOT_PRODUCT" else pair[1])
    return ranked[:top]


def index(name="vix", dimensions=3, distance="COSINE", projection="ALL", attribute="embedding", **more):
    include = more.pop("include", None)
    spec = {"ProjectionType": projection, **({"NonKeyAttributes": include} if include else {})}
    return {
        "IndexName": name,
        "VectorAttribute": {"AttributeName": attribute},
        "Dimensions": dimensions,
        "DistanceFunction": distance,
        "Projection": spec,
        **more,
    }


SCHEMA = [
    {"AttributeName": "tenant", "SearchSchemaElementType": "HASH"},
    {"AttributeName": "category", "SearchSchemaElementType": "INLINE_FILTER"},
    {"AttributeName": "year", "SearchSchemaElementType": "INLINE_FILTER"},
]
SCHEMA_TYPES = {"tenant": "S", "category": "S", "year": "N"}


@pytest.fixture
def make_vectors(client, make_table):
    """make_vectors(index(...), ...) -> the name of a table with these vector indexes."""

    def make(*indexes, keys="pk:S", attributes=None, **more):
        names = {e["AttributeName"] for i in indexes for e in i.get("SearchSchema", [])}
        types = {n: t for n, t in SCHEMA_TYPES.items() if n in names}
        return make_table(keys, attributes={**types, **(attributes or {})}, VectorIndexes=list(indexes), **more)

    return make


def describe(client, table, name="vix"):
    found = client.describe_table(TableName=table)["Table"]
    return next((i for i in found.get("VectorIndexes", []) if i["IndexName"] == name), None)


def wait_index(client, table, name="vix", gone=False):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = describe(client, table, name)
        if gone and found is None:
            return None
        if not gone and found and found["IndexStatus"] == "ACTIVE" and not found.get("Backfilling"):
            return found
        time.sleep(0.01)
    raise AssertionError(f"{name} of {table}: {found}")


def search(client, table, query, top=10, name="vix", condition=None, values=None, **more):
    if condition:
        more["SearchConditionExpression"] = condition
    if values:
        more["ExpressionAttributeValues"] = values
    return client.search_vectors(
        TableName=table, IndexName=name, SearchVector=number_list(query), TopK=top, **more
    )["SearchResults"]


def keys_of(results):
    return [r["Item"]["pk"]["S"] for r in results]


def refused(call, message, code="ValidationException"):
    with pytest.raises(ClientError) as failure:
        call()
    assert failure.value.response["Error"]["Code"] == code
    assert failure.value.response["Error"]["Message"] == message
    return failure.value


def invalid(what):
    return "One or more parameter values were invalid: " + what


ABSENT = object()


def raw(client, operation, body):
    """What an SDK would not send."""
    url = client.meta.endpoint_url
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    request = botocore.awsrequest.AWSRequest(method="POST", url=url, data=data, headers=headers)
    credentials = botocore.credentials.Credentials("test", "test")
    botocore.auth.SigV4Auth(credentials, "dynamodb", client.meta.region_name).add_auth(request)
    sent = urllib.request.Request(url, data=data, headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(sent) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


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


@pytest.fixture
def tenants(client, make_vectors):
    table = make_vectors(index("schema", SearchSchema=SCHEMA), index("plain"))
    rows = [
        ("p1", "t1", "c1", 1), ("p2", "t1", "c2", 1), ("p3", "t2", "c1", 2), ("p4", "t1", None, 2), ("p5", None, "c1", 1),
    ]  # fmt: skip
    for pk, tenant, category, year in rows:
        item = {"pk": {"S": pk}, "embedding": stored([1, 0, 0]), "year": {"N": str(year)}}
        item.update({"tenant": {"S": tenant}} if tenant else {})
        item.update({"category": {"S": category}} if category else {})
        client.put_item(TableName=table, Item=item)
    return table


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


# ---- the control plane ----


def test_a_description_tells_the_index(client, make_vectors):
    table = make_vectors(index(SearchSchema=SCHEMA, projection="INCLUDE", include=["x"], distance="DOT_PRODUCT"))
    found = describe(client, table)
    arn = found.pop("IndexArn")
    assert arn.endswith(f":table/{table}/index/vix")
    assert found == {
        "IndexName": "vix",
        "SearchSchema": SCHEMA,
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
        "VectorAttribute": {"AttributeName": "embedding"},
        "Dimensions": 3,
        "DistanceFunction": "DOT_PRODUCT",
        "IndexStatus": "ACTIVE",
        "IndexSizeBytes": 0,
        "ItemCount": 0,
    }
    description = client.describe_table(TableName=table)["Table"]
    assert "GlobalSecondaryIndexes" not in description
    assert {d["AttributeName"] for d in description["AttributeDefinitions"]} == {"pk", "tenant", "category", "year"}


def table_of(*indexes, definitions=(), **more):
    return {
        "TableName": "vectors-refused",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", *definitions)],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "VectorIndexes": list(indexes),
        **more,
    }


def elements(kind, *names):
    return [{"AttributeName": n, "SearchSchemaElementType": kind} for n in names]


FILTERS = [f"f{n}" for n in range(19)]
CREATES = [
    (table_of(), invalid("List of VectorIndexes is empty")),
    (table_of(index(), BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}),
     invalid("Vector indexes are only supported for PAY_PER_REQUEST tables")),
    (table_of(*[index(f"vix-{n}") for n in range(6)]), invalid("VectorIndex count exceeds the per-table limit of 5")),
    (table_of(index(dimensions=4097)), invalid("Number of dimensions must be between 1 and 4096 inclusive.")),
    (table_of(index(dimensions=2**40)), invalid("Number of dimensions must be between 1 and 4096 inclusive.")),
    (table_of(index(dimensions=0)), "1 validation error detected: Value '0' at 'vectorIndexes.1.member.dimensions' failed to "
                                    "satisfy constraint: Member must have value greater than or equal to 1"),
    (table_of(index("vx")), "1 validation error detected: Value 'vx' at 'vectorIndexes.1.member.indexName' failed to satisfy "
                            "constraint: Member must have length greater than or equal to 3"),
    (table_of(index(distance="MANHATTAN")),
     "1 validation error detected: Value 'MANHATTAN' at 'vectorIndexes.1.member.distanceFunction' failed to satisfy "
     "constraint: Member must satisfy enum value set: [DOT_PRODUCT, COSINE, EUCLIDEAN]"),
    (table_of(index(SearchSchema=[*elements("HASH", "a"), *elements("RANGE", "b")]), definitions=("a", "b")),
     "1 validation error detected: Value 'RANGE' at 'vectorIndexes.1.member.searchSchema.2.member.searchSchemaElementType' "
     "failed to satisfy constraint: Member must satisfy enum value set: [HASH, INLINE_FILTER]"),
    (table_of({k: v for k, v in index().items() if k != "Projection"}),
     "1 validation error detected: Value null at 'vectorIndexes.1.member.projection' failed to satisfy constraint: Member "
     "must not be null"),
    (table_of(index(), index()), invalid("Duplicate index name: vix")),
    (table_of(index(), index("vix2", 4)),
     invalid("Conflicting attribute definition for 'embedding'. All VectorIndexes on the same vector attribute must use the "
             "same dimensions.")),
    (table_of(index(attribute="pk")),
     invalid("Conflicting attribute definition for 'pk'. An attribute cannot be defined in AttributeDefinitions when used as "
             "a VectorAttribute.")),
    (table_of(index(), definitions=("embedding",)),
     invalid("Conflicting attribute definition for 'embedding'. An attribute cannot be defined in AttributeDefinitions when "
             "used as a VectorAttribute.")),
    (table_of(index(SearchSchema=elements("HASH", "tenant"))),
     invalid("One element in SearchSchema is not defined in attribute definitions")),
    (table_of(index(SearchSchema=elements("HASH", "a", "b")), definitions=("a", "b")),
     invalid("Value '2' at 'SearchSchema' failed to satisfy constraint: Member must have HASH count less than or equal to 1")),
    (table_of(index(SearchSchema=elements("INLINE_FILTER", *FILTERS)), definitions=FILTERS),
     invalid("Value '19' at 'SearchSchema' failed to satisfy constraint: Member must have INLINE_FILTER count less than or "
             "equal to 18")),
    (table_of(index(SearchSchema=[*elements("HASH", "a"), *elements("INLINE_FILTER", "a")]), definitions=("a",)),
     invalid("SearchSchema contains a duplicate AttributeName")),
    (table_of(index(projection="INCLUDE")), invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")),
    (table_of(index(include=["x"])), invalid("ProjectionType is ALL, but NonKeyAttributes is specified")),
    (table_of(index(), definitions=("spare",)),
     invalid("Some AttributeDefinitions are not used. AttributeDefinitions: [pk, spare], keys used: [pk]")),
]  # fmt: skip


@pytest.mark.parametrize("body, message", CREATES, ids=[str(n) for n in range(len(CREATES))])
def test_tables_that_are_refused(client, body, message):
    answer = raw(client, "CreateTable", body)
    assert answer.get("message", answer.get("Message")) == message, answer
    assert answer["__type"].endswith("ValidationException")


def test_names_are_unique_over_all_indexes(client):
    gsi = {"IndexName": "vix", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
    body = table_of(index(), definitions=("g",), GlobalSecondaryIndexes=[gsi])
    refused(lambda: client.create_table(**body), invalid("Duplicate index name: vix"))


def test_fractions_of_dimensions_are_cut_off(client, make_table):
    answer = raw(client, "CreateTable", {**table_of({**index(), "Dimensions": 3.5}), "TableName": "vectors-fraction"})
    assert answer["TableDescription"]["VectorIndexes"][0]["Dimensions"] == 3
    assert "Backfilling" not in answer["TableDescription"]["VectorIndexes"][0]
    assert answer["TableDescription"]["VectorIndexes"][0]["IndexStatus"] == "CREATING"
    wait_active(client, "vectors-fraction")
    client.delete_table(TableName="vectors-fraction")


def test_five_indexes_and_eighteen_filters(client, make_vectors, make_table):
    table = make_vectors(*[index(f"vix-{n}") for n in range(5)])
    client.put_item(TableName=table, Item={"pk": {"S": "a"}, "embedding": stored([1, 2, 3])})
    for n in range(5):
        assert keys_of(search(client, table, [1, 2, 3], name=f"vix-{n}")) == ["a"]
    refused(lambda: client.update_table(TableName=table, VectorIndexUpdates=[{"Create": index("vix-5")}]),
            "Subscriber limit exceeded: Number of vector secondary indexes exceeds per-table limit of 5",
            "LimitExceededException")  # fmt: skip
    names = FILTERS[:18]
    wide = make_table("pk:S", attributes={n: "S" for n in names},
                      VectorIndexes=[index(SearchSchema=elements("INLINE_FILTER", *names))])  # fmt: skip
    client.put_item(TableName=wide, Item={"pk": {"S": "a"}, "embedding": stored([1, 2, 3]), **{n: {"S": n} for n in names}})
    values = {":" + n: {"S": n} for n in names}
    condition = " AND ".join(f"{n} = :{n}" for n in names)
    assert keys_of(search(client, wide, [1, 2, 3], condition=condition, values=values)) == ["a"]
    values[":f17"] = {"S": "other"}
    assert search(client, wide, [1, 2, 3], condition=condition, values=values) == []


def test_an_index_is_added_filled_and_deleted(client, make_table):
    table = make_table("pk:S")
    for n in range(300):
        item = {"pk": {"S": f"{n}"}, "tenant": {"S": "t" if n % 3 else "u"}}
        if n % 10:
            item["embedding"] = stored([n, 1, 0]) if n % 7 else stored([n, 1])  # some do not fit: passed over
        client.put_item(TableName=table, Item=item)
    client.put_item(TableName=table, Item={"pk": {"S": "odd"}, "tenant": {"N": "1"}, "embedding": stored([1, 1, 1])})
    made = client.update_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "tenant", "AttributeType": "S"}],
        VectorIndexUpdates=[{"Create": index(SearchSchema=SCHEMA[:1])}],
    )["TableDescription"]
    assert made["TableStatus"] == "UPDATING"
    assert made["VectorIndexes"][0]["IndexStatus"] == "CREATING" and made["VectorIndexes"][0]["Backfilling"] is False
    seen = set()
    while True:
        table_now = client.describe_table(TableName=table)["Table"]
        found = table_now["VectorIndexes"][0]
        seen.add((found["IndexStatus"], found.get("Backfilling")))
        if found["IndexStatus"] == "ACTIVE":
            break
        try:
            search(client, table, [1, 0, 0], condition="tenant = :t", values={":t": {"S": "t"}})
        except ClientError as failure:
            assert failure.response["Error"]["Message"] in (
                "Cannot search backfilling vector index: vix",
                "The table does not have the specified index: vix",
            )
        else:
            assert describe(client, table)["IndexStatus"] == "ACTIVE", "it has become active meanwhile"
    assert seen <= {("CREATING", False), ("CREATING", True), ("ACTIVE", None)}
    expected = {str(n) for n in range(300) if n % 10 and n % 7 and n % 3}
    everything = set()
    for query in ([1, 0, 0], [0, 1, 0]):
        everything |= set(keys_of(search(client, table, query, 100, condition="tenant = :t", values={":t": {"S": "t"}})))
    assert everything <= expected
    found = wait_index(client, table)
    assert found["ItemCount"] == len([n for n in range(300) if n % 10 and n % 7])
    # an item that does not fit may be changed as long as the misfit is left alone
    client.update_item(TableName=table, Key={"pk": {"S": "odd"}}, UpdateExpression="SET x = :x",
                       ExpressionAttributeValues={":x": {"S": "x"}})  # fmt: skip
    client.update_item(TableName=table, Key={"pk": {"S": "odd"}}, UpdateExpression="SET tenant = :t",
                       ExpressionAttributeValues={":t": {"S": "v"}})  # fmt: skip
    assert keys_of(search(client, table, [1, 1, 1], condition="tenant = :t", values={":t": {"S": "v"}})) == ["odd"]
    client.update_table(TableName=table, VectorIndexUpdates=[{"Delete": {"IndexName": "vix"}}])
    wait_index(client, table, gone=True)
    wait_active(client, table)
    description = client.describe_table(TableName=table)["Table"]
    assert "VectorIndexes" not in description
    assert [d["AttributeName"] for d in description["AttributeDefinitions"]] == ["pk"]
    refused(lambda: search(client, table, [1, 0, 0]), "The table does not have the specified index: vix")
    client.put_item(TableName=table, Item={"pk": {"S": "free"}, "embedding": {"S": "anything"}})


def test_updates_that_are_refused(client, make_vectors, make_table):
    table = make_vectors(index(), GlobalSecondaryIndexes=[
        {"IndexName": "gsi", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
    ], attributes={"g": "S"})  # fmt: skip

    def update(*changes, **more):
        return lambda: client.update_table(TableName=table, VectorIndexUpdates=list(changes), **more)

    one = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    refused(update({"Create": index("aaa")}, {"Create": index("bbb")}), one, "LimitExceededException")
    refused(update({"Create": index("aaa")}, {"Delete": {"IndexName": "vix"}}), one, "LimitExceededException")
    refused(update({"Create": index("aaa")}, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "gsi"}}]), one,
            "LimitExceededException")  # fmt: skip
    refused(update({"Create": index()}), "Attempting to create an index which already exists")
    refused(update({"Create": index("gsi")}), "Attempting to create an index which already exists")
    refused(update({"Delete": {"IndexName": "none"}}), "Requested resource not found", "ResourceNotFoundException")
    refused(update({"Delete": {"IndexName": "gsi"}}), "Requested resource not found", "ResourceNotFoundException")
    refused(lambda: client.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "vix"}}]),
            "Requested resource not found", "ResourceNotFoundException")  # fmt: skip
    refused(update({"Create": index("aaa", 4)}),
            invalid("Conflicting attribute definition for 'embedding'. All VectorIndexes on the same vector attribute must "
                    "use the same dimensions."))  # fmt: skip
    refused(update({"Create": index("aaa", attribute="pk")}),
            invalid("Attributes cannot be redefined. Please check that your attribute has the same type as previously "
                    "defined. Existing schema: Schema:[SchemaElement: key{pk:S:HASH}] New schema: "
                    "VectorIndexSchema:[VectorAttribute: key{pk:L:3}]"))  # fmt: skip
    refused(update({"Create": index("aaa", SearchSchema=elements("HASH", "g"))}),
            invalid("One element in SearchSchema is not defined in attribute definitions"))  # fmt: skip
    refused(update({}), invalid("One of VectorIndexUpdate.Create, VectorIndexUpdate.Delete must not be null"))
    refused(lambda: client.update_table(TableName=table, BillingMode="PROVISIONED",
                                        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}),
            invalid("Vector indexes are only supported for PAY_PER_REQUEST tables"))  # fmt: skip
    provisioned = make_table("pk:S", BillingMode="PROVISIONED",
                             ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})  # fmt: skip
    refused(lambda: client.update_table(TableName=provisioned, VectorIndexUpdates=[{"Create": index()}]),
            invalid("Vector indexes are only supported for PAY_PER_REQUEST tables"))  # fmt: skip
    answer = raw(client, "UpdateTable", {"TableName": table, "VectorIndexUpdates": [
        {"Create": {**index("aaa"), "DistanceFunction": "L1"}}]})  # fmt: skip
    assert "'vectorIndexUpdates.1.member.create.distanceFunction'" in answer.get("message", "")


def test_phases_of_a_creation(start_server):
    """Slow control plane: what is allowed while an index is allocated, and while it is filled."""
    from conftest import make_client

    for delay_ms in (700, 7000, 50000):
        client = make_client(start_server("--ephemeral", "--control-plane-delay", delay_ms).endpoint)
        in_time = slow_creation_is_followed(client, delay_ms)
        if in_time:
            break
    assert in_time


def slow_creation_is_followed(client, delay_ms):
    """-> whether its states were looked at while they lasted"""
    client.create_table(**{k: v for k, v in table_of().items() if k != "VectorIndexes"})
    table = "vectors-refused"
    wait_active(client, table)
    in_use = "Attempt to change a resource which is still in use: "
    with WhileItLasts(delay_ms) as look:
        client.update_table(TableName=table, VectorIndexUpdates=[{"Create": index()}])
        refused(lambda: client.update_table(TableName=table, VectorIndexUpdates=[{"Delete": {"IndexName": "vix"}}]),
                in_use + "Index creation is in resource allocation phase. Retry deletion during backfilling phase or when the "
                f"index is active. Table: {table} Index: vix", "ResourceInUseException")  # fmt: skip
        refused(lambda: client.update_table(TableName=table, VectorIndexUpdates=[{"Create": index("vix2")}]),
                "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
                "LimitExceededException")  # fmt: skip
        refused(lambda: client.update_table(TableName=table, VectorIndexUpdates=[{"Create": index()}]),
                in_use + f"Index is being created.  Table: {table} Index: vix", "ResourceInUseException")  # fmt: skip
        refused(lambda: search(client, table, [1, 0, 0]), "The table does not have the specified index: vix")
    if look.too_late:
        return False
    wait_index(client, table)
    client.update_table(TableName=table, VectorIndexUpdates=[{"Delete": {"IndexName": "vix"}}])
    refused(lambda: search(client, table, [1, 0, 0]), "The table does not have the specified index: vix")
    wait_index(client, table, gone=True)
    return True


def test_writes_while_an_index_is_filled(client, make_table):
    table = make_table("pk:S")
    for n in range(0, 1500, 25):
        client.batch_write_item(RequestItems={table: [
            {"PutRequest": {"Item": {"pk": {"S": f"{i}"}, "embedding": stored([i, 1, 1])}}} for i in range(n, n + 25)
        ]})  # fmt: skip
    model = {f"{i}": [i, 1, 1] for i in range(1500)}
    client.update_table(TableName=table, VectorIndexUpdates=[{"Create": index(distance="EUCLIDEAN")}])
    for i in range(0, 1500, 5):
        if i % 2:
            client.delete_item(TableName=table, Key={"pk": {"S": f"{i}"}})
            del model[f"{i}"]
        else:
            client.put_item(TableName=table, Item={"pk": {"S": f"{i}"}, "embedding": stored([i, 2, 2])})
            model[f"{i}"] = [i, 2, 2]
    found = wait_index(client, table)
    assert found["ItemCount"] == len(model)
    for start in (0, 300, 777, 1400):
        results = search(client, table, [start, 0, 0], 100)
        expected = nearest("EUCLIDEAN", [start, 0, 0], model, 100)
        assert [r["Score"] for r in results] == pytest.approx([s for _, s in expected], rel=1e-6)


def test_vectors_survive_a_killed_server(start_server, tmp_path):
    from conftest import make_client

    folder = tmp_path / "data"
    server = start_server("--data", folder)
    client = make_client(server.endpoint)
    client.create_table(**{**table_of(index(SearchSchema=SCHEMA[:1]), definitions=("tenant",)), "TableName": "kept"})
    wait_active(client, "kept")
    done, stop = {}, threading.Event()

    def write(worker):
        mine = make_client(server.endpoint)
        n = 0
        while not stop.is_set():
            pk, vector = f"{worker}-{n}", [worker, n, 1]
            try:
                mine.put_item(TableName="kept", Item={"pk": {"S": pk}, "tenant": {"S": "t"}, "embedding": stored(vector)})
            except Exception:
                return
            done[pk] = vector
            n += 1

    writers = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for writer in writers:
        writer.start()
    until = time.monotonic() + 60
    time.sleep(0.5)
    while len(done) <= 10:
        assert time.monotonic() < until
        time.sleep(0.02)
    server.kill()
    stop.set()
    for writer in writers:
        writer.join()
    server = start_server("--data", folder)
    client = make_client(server.endpoint)
    for pk in random.sample(sorted(done), min(len(done), 150)):
        results = search(client, "kept", done[pk], 1, condition="tenant = :t", values={":t": {"S": "t"}})
        assert results[0]["Score"] == pytest.approx(0, abs=1e-6)
    count = describe(client, "kept")["ItemCount"]
    assert count == client.scan(TableName="kept", Select="COUNT")["Count"] >= len(done)


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

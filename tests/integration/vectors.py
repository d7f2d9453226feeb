"""What the tests of vector indexes share: a reference in plain Python, tables with vectors, searches."""

import json
import math
import struct
import time
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.exceptions import ClientError

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

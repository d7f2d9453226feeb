"""The DAX data protocol: unmodified clients of six kinds get the answers that HTTP gives; and what is no client."""

import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest
from botocore.exceptions import ClientError
from conftest import create, make_client
from dax_drivers import CLIENTS, ENDPOINTS, PREAMBLE, DaxClient, DaxError, RawDax, authorization, get_item, plain, same
from stator_server import binary, clean_environment
from test_tls import make_certificate

DAX = ("--ephemeral", "--dax-listen", "127.0.0.1:0", "--control-plane-delay", "0")


@pytest.fixture(scope="module")
def node_server(start_server_session):
    return start_server_session(*DAX)


@pytest.fixture(scope="module")
def http(node_server):
    return make_client(node_server.endpoint)


@pytest.fixture(scope="module")
def address(node_server):
    return node_server.health()["dax"]


@pytest.fixture(params=CLIENTS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def started_clients():
    clients = {}
    yield clients
    for client in clients.values():
        client.__exit__()


@pytest.fixture
def dax(kind, address, http, started_clients):
    """This kind of client, connected; one for all tests, as some take long to start."""
    if kind not in started_clients:
        client = started_clients[kind] = DaxClient(kind, f"dax://{address}", parallel=16)
        # the older Go client closes the connections it has when it learns the cluster, and fails what waits for one
        client.call("getItem", {"TableName": create(http, "pk:S"), "Key": {"pk": {"S": "0"}}})
    return started_clients[kind]


GSI = dict(
    attributes={"gpk": "S", "gsk": "N"},
    GlobalSecondaryIndexes=[
        {
            "IndexName": "gsi1",
            "KeySchema": [{"AttributeName": "gpk", "KeyType": "HASH"}, {"AttributeName": "gsk", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
)
TABLES = {"users": "pk:S", "nums": "pk:N", "orders": "pk:S,sk:N", "blobs": "pk:B,sk:B", "events": "pk:S,sk:S", "numstr": "pk:N,sk:S"}


def make_tables(http, prefix):
    for name, keys in TABLES.items():
        create(http, keys, name=f"{prefix}-{name}", **(GSI if name == "orders" else {}))


ALL_TYPES = {
    "pk": {"S": "types"}, "s": {"S": "text \u00e4\u20ac\U0001f600"}, "empty": {"S": ""}, "n": {"N": "42"}, "neg": {"N": "-7"},
    "deci": {"N": "3.14159"}, "big": {"N": "99999999999999999999999999999999999999"}, "tiny": {"N": "1E-130"},
    "huge": {"N": "9.99E125"}, "exact": {"N": "0.30000000000000004"}, "long": {"N": "1234567890123456789"},
    "b": {"B": "AAEC/w=="}, "t": {"BOOL": True}, "f": {"BOOL": False}, "nil": {"NULL": True},
    "ss": {"SS": ["b", "a"]}, "ns": {"NS": ["2", "1.5", "-3"]}, "bs": {"BS": ["AQ==", "Ag=="]},
    "l": {"L": [{"S": "x"}, {"N": "1"}, {"L": []}, {"M": {}}]},
    "m": {"M": {"nested": {"M": {"deep": {"L": [{"N": "1"}, {"N": "2"}]}}}, "a.b": {"S": "dot"}}},
}


def story():
    """(operation, parameters); tables without their prefix. Each operation in many of its ways, mistakes among them."""
    yield "PutItem", {"TableName": "users", "Item": ALL_TYPES}
    key = {"pk": {"S": "types"}}
    yield "GetItem", {"TableName": "users", "Key": key, "ConsistentRead": True, "ReturnConsumedCapacity": "INDEXES"}
    yield "GetItem", {"TableName": "users", "Key": key}
    yield "GetItem", {"TableName": "users", "Key": {"pk": {"S": "nobody"}}}
    for consistent in (True, False):
        yield "GetItem", {
            "TableName": "users", "Key": key, "ConsistentRead": consistent,
            "ProjectionExpression": "pk, #m.nested.deep[1], l[0], nope, #m.#ab",
            "ExpressionAttributeNames": {"#m": "m", "#ab": "a.b"},
        }
        yield "GetItem", {"TableName": "users", "Key": key, "ConsistentRead": consistent, "ProjectionExpression": "m.nested, m"}
    yield "PutItem", {
        "TableName": "users", "Item": {"pk": {"S": "types"}, "v": {"N": "1"}}, "ReturnValues": "ALL_OLD",
        "ConditionExpression": "attribute_exists(pk) AND size(ss) = :two AND contains(s, :t) AND deci BETWEEN :three AND :four",
        "ExpressionAttributeValues": {":two": {"N": "2"}, ":t": {"S": "text"}, ":three": {"N": "3"}, ":four": {"N": "4"}},
    }
    yield "PutItem", {"TableName": "users", "Item": {"pk": {"S": "types"}}, "ConditionExpression": "attribute_not_exists(pk)"}
    yield "PutItem", {"TableName": "users", "Item": {"pk": {"S": "only"}}}
    yield "GetItem", {"TableName": "users", "Key": {"pk": {"S": "only"}}}
    for values in ("NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"):
        yield "UpdateItem", {
            "TableName": "users", "Key": key, "ReturnValues": values,
            "UpdateExpression": "SET v = if_not_exists(v, :one) + :one, l = list_append(if_not_exists(l, :none), :list), #s = :s "
            "REMOVE gone ADD cnt :one, tags :tags",
            "ConditionExpression": "(attribute_exists(pk) OR v > :one) AND NOT #s IN (:list, :none)",
            "ExpressionAttributeNames": {"#s": "status"},
            "ExpressionAttributeValues": {
                ":one": {"N": "1"}, ":none": {"L": []}, ":list": {"L": [{"S": values}]}, ":s": {"S": values},
                ":tags": {"SS": [values]},
            },
        }
        yield "GetItem", {"TableName": "users", "Key": key}
    yield "UpdateItem", {
        "TableName": "users", "Key": key, "UpdateExpression": "DELETE tags :t SET l[0] = :z", "ReturnValues": "UPDATED_NEW",
        "ExpressionAttributeValues": {":t": {"SS": ["NONE"]}, ":z": {"S": "zero"}},
    }
    yield "UpdateItem", {"TableName": "users", "Key": {"pk": {"S": "made"}}, "UpdateExpression": "SET a = :a, b = :b",
                         "ExpressionAttributeValues": {":a": {"S": "1"}, ":b": {"B": "AQ=="}}, "ReturnValues": "ALL_NEW"}
    yield "UpdateItem", {"TableName": "users", "Key": key, "UpdateExpression": "SET v = v + :s",
                         "ExpressionAttributeValues": {":s": {"S": "no number"}}}
    yield "UpdateItem", {"TableName": "users", "Key": key, "UpdateExpression": "SET pk = :s",
                         "ExpressionAttributeValues": {":s": {"S": "x"}}}
    for n in ("1", "-1.5", "1000000", "10.25", "0", "-5", "7", "1e20", "0.001"):
        yield "PutItem", {"TableName": "orders", "Item": {"pk": {"S": "c1"}, "sk": {"N": n}, "gpk": {"S": "G"}, "gsk": {"N": n},
                                                         "amt": {"N": n}}}
        yield "GetItem", {"TableName": "orders", "Key": {"pk": {"S": "c1"}, "sk": {"N": n}}}
        yield "PutItem", {"TableName": "nums", "Item": {"pk": {"N": n}, "x": {"S": n}}}
        yield "GetItem", {"TableName": "nums", "Key": {"pk": {"N": n}}}
        yield "PutItem", {"TableName": "numstr", "Item": {"pk": {"N": n}, "sk": {"S": "s" + n}, "x": {"N": n}}}
        yield "GetItem", {"TableName": "numstr", "Key": {"pk": {"N": n}, "sk": {"S": "s" + n}}}
    yield "PutItem", {"TableName": "blobs", "Item": {"pk": {"B": "AAE="}, "sk": {"B": "/w=="}, "x": {"B": "AA=="}}}
    yield "GetItem", {"TableName": "blobs", "Key": {"pk": {"B": "AAE="}, "sk": {"B": "/w=="}}}
    for i in range(5):
        yield "PutItem", {"TableName": "events", "Item": {"pk": {"S": "e"}, "sk": {"S": f"2024-0{i}"}, "i": {"N": str(i)}}}
    partition = {":p": {"S": "c1"}}
    yield "Query", {"TableName": "orders", "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": partition,
                    "ReturnConsumedCapacity": "INDEXES"}
    for condition in ("sk > :k", "sk >= :k", "sk < :k", "sk <= :k", "sk = :k", "sk BETWEEN :k AND :l"):
        yield "Query", {
            "TableName": "orders", "KeyConditionExpression": f"pk = :p AND {condition}", "ScanIndexForward": "<" in condition,
            "ExpressionAttributeValues": {**partition, ":k": {"N": "0"}, **({":l": {"N": "10"}} if ":l" in condition else {})},
        }
    yield "Query", {"TableName": "events", "KeyConditionExpression": "pk = :p AND begins_with(sk, :b)",
                    "ExpressionAttributeValues": {":p": {"S": "e"}, ":b": {"S": "2024-0"}}, "Select": "COUNT"}
    yield "Query", {
        "TableName": "orders", "KeyConditionExpression": "pk = :p", "FilterExpression": "amt > :a OR attribute_type(amt, :t)",
        "ProjectionExpression": "sk, amt", "ConsistentRead": True,
        "ExpressionAttributeValues": {**partition, ":a": {"N": "5"}, ":t": {"S": "S"}},
    }
    yield "Query", {"TableName": "orders", "IndexName": "gsi1", "KeyConditionExpression": "gpk = :g AND gsk > :z",
                    "ExpressionAttributeValues": {":g": {"S": "G"}, ":z": {"N": "0"}}, "ReturnConsumedCapacity": "TOTAL"}
    yield "Query", {"TableName": "orders", "KeyConditionExpression": "sk = :p", "ExpressionAttributeValues": partition}
    yield "Query", {"TableName": "orders", "IndexName": "none", "KeyConditionExpression": "pk = :p",
                    "ExpressionAttributeValues": partition}
    yield "Scan", {"TableName": "events", "ReturnConsumedCapacity": "TOTAL"}
    yield "Scan", {"TableName": "events", "FilterExpression": "i <> :i", "ExpressionAttributeValues": {":i": {"N": "3"}}}
    yield "Scan", {"TableName": "events", "Select": "COUNT"}
    yield "Scan", {"TableName": "orders", "IndexName": "gsi1", "ProjectionExpression": "gsk"}
    yield "Scan", {"TableName": "events", "Segment": 0, "TotalSegments": 1, "ConsistentRead": True}
    yield "BatchWriteItem", {
        "RequestItems": {
            "users": [
                {"PutRequest": {"Item": {"pk": {"S": "b1"}, "x": {"N": "1"}}}},
                {"PutRequest": {"Item": {"pk": {"S": "b2"}, "y": {"S": "2"}}}},
                {"DeleteRequest": {"Key": {"pk": {"S": "only"}}}},
            ],
            "nums": [{"PutRequest": {"Item": {"pk": {"N": "77"}}}}],
        }
    }
    yield "BatchGetItem", {
        "RequestItems": {
            "users": {"Keys": [{"pk": {"S": k}} for k in ("b1", "b2", "only", "types")]},
            "nums": {"Keys": [{"pk": {"N": "77"}}, {"pk": {"N": "-5"}}], "ConsistentRead": True},
            "orders": {"Keys": [{"pk": {"S": "c1"}, "sk": {"N": "7"}}], "ProjectionExpression": "amt"},
        }
    }
    yield "TransactWriteItems", {
        "TransactItems": [
            {"Put": {"TableName": "users", "Item": {"pk": {"S": "t1"}, "x": {"N": "1"}}}},
            {"Update": {"TableName": "users", "Key": {"pk": {"S": "b1"}}, "UpdateExpression": "SET x = :y",
                        "ExpressionAttributeValues": {":y": {"N": "9"}}}},
            {"Delete": {"TableName": "users", "Key": {"pk": {"S": "b2"}}, "ConditionExpression": "y = :y",
                        "ExpressionAttributeValues": {":y": {"S": "2"}}}},
            {"ConditionCheck": {"TableName": "nums", "Key": {"pk": {"N": "77"}}, "ConditionExpression": "attribute_exists(pk)"}},
        ],
        "ReturnConsumedCapacity": "TOTAL",
    }
    for k in ("t1", "b1", "b2"):
        yield "GetItem", {"TableName": "users", "Key": {"pk": {"S": k}}}
    yield "TransactGetItems", {
        "TransactItems": [
            {"Get": {"TableName": "users", "Key": {"pk": {"S": "t1"}}}},
            {"Get": {"TableName": "users", "Key": {"pk": {"S": "absent"}}}},
            {"Get": {"TableName": "nums", "Key": {"pk": {"N": "7"}}, "ProjectionExpression": "x"}},
        ]
    }
    yield "DeleteItem", {"TableName": "users", "Key": {"pk": {"S": "t1"}}, "ReturnValues": "ALL_OLD",
                         "ConditionExpression": "x = :x", "ExpressionAttributeValues": {":x": {"N": "1"}}}
    yield "DeleteItem", {"TableName": "users", "Key": {"pk": {"S": "t1"}}, "ConditionExpression": "attribute_exists(pk)"}
    yield "GetItem", {"TableName": "users", "Key": {"pk": {"S": "t1"}}}
    yield "PutItem", {"TableName": "users", "Item": {"pk": {"S": ""}}}
    yield "PutItem", {"TableName": "users", "Item": {"pk": {"S": "big"}, "x": {"S": "x" * 420_000}}}
    yield "PutItem", {"TableName": "users", "Item": {"pk": {"S": "20k"}, "x": {"S": "x" * 20_000}}}
    yield "GetItem", {"TableName": "users", "Key": {"pk": {"S": "20k"}}}


def prefixed(value, prefix):
    if isinstance(value, list):
        return [prefixed(v, prefix) for v in value]
    if not isinstance(value, dict):
        return value
    return {
        (f"{prefix}-{k}" if k in TABLES else k): (f"{prefix}-{v}" if k == "TableName" else prefixed(v, prefix))
        for k, v in value.items()
    }


def bytes_in(value):
    import base64

    if isinstance(value, list):
        return [bytes_in(v) for v in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["B"] and isinstance(value["B"], str):
        return {"B": base64.b64decode(value["B"])}
    if list(value) == ["BS"]:
        return {"BS": [base64.b64decode(b) for b in value["BS"]]}
    return {k: bytes_in(v) for k, v in value.items()}


def over_http(http, op, params):
    method = getattr(http, "".join("_" + c.lower() if c.isupper() else c for c in op).lstrip("_"))
    try:
        return plain(method(**bytes_in(params))), None
    except ClientError as error:
        return None, error.response["Error"]


def comparable(answer, prefix, op, params):
    """Without what may differ: capacity where a cache answers, the order of what has none, members that are empty."""
    answer = same(answer)
    cached = op in ("BatchGetItem", "Query", "Scan", "GetItem") and not params.get("ConsistentRead")
    if cached:
        answer.pop("ConsumedCapacity", None)
    if "ConsumedCapacity" in answer and isinstance(answer["ConsumedCapacity"], list):
        answer["ConsumedCapacity"].sort(key=lambda v: json.dumps(v, sort_keys=True))
    for found in answer.get("Responses", {}).values() if isinstance(answer.get("Responses"), dict) else ():
        found.sort(key=lambda v: json.dumps(v, sort_keys=True))
    if params.get("Select") == "COUNT" and not answer.get("Items"):
        answer.pop("Items", None)
    return eval(repr({k: v for k, v in answer.items() if v not in ({}, [])}).replace(f"{prefix}-", ""))  # noqa: S307




def test_the_same_answers_as_over_http(kind, http, dax):
    make_tables(http, f"h-{kind}")
    make_tables(http, f"d-{kind}")
    wrong, compared = [], 0
    for op, params in story():
        expected, failure = over_http(http, op, prefixed(params, f"h-{kind}"))
        try:
            got = dax.call(op[0].lower() + op[1:], prefixed(params, f"d-{kind}"))
        except DaxError as error:
            if failure is None or error.code != failure["Code"]:
                wrong.append((op, params, expected or failure, str(error)))
            elif error.message.replace("d-" + kind, "h-" + kind) != failure["Message"] and error.code != "ValidationException":
                wrong.append((op, params, failure, str(error)))
            continue
        compared += 1
        if failure is not None:
            wrong.append((op, params, failure, got))
        elif comparable(expected, f"h-{kind}", op, params) != comparable(got, f"d-{kind}", op, params):
            wrong.append((op, params, comparable(expected, f"h-{kind}", op, params), comparable(got, f"d-{kind}", op, params)))
    assert not wrong, "\n\n".join("\n  ".join(map(str, w)) for w in wrong[:4])[:3000]
    assert compared > 90


def test_pages(http, dax):
    table = create(http, "pk:S,sk:N", **GSI)
    items = [{"pk": {"S": "p"}, "sk": {"N": str(i * 7 - 300)}, "gpk": {"S": "g"}, "gsk": {"N": str(i % 10)}} for i in range(60)]
    for i in range(0, 60, 25):
        http.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items[i : i + 25]]})
    ways = [
        ("query", {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}}),
        ("query", {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}, "ScanIndexForward": False}),
        ("query", {"IndexName": "gsi1", "KeyConditionExpression": "gpk = :p", "ExpressionAttributeValues": {":p": {"S": "g"}}}),
        ("scan", {}),
        ("scan", {"IndexName": "gsi1"}),
    ]
    for op, params in ways:
        seen, start, pages = [], None, 0
        while pages < 100:
            page = dax.call(op, {"TableName": table, "Limit": 7, **params, **({"ExclusiveStartKey": start} if start else {})})
            seen += [int(float(item["sk"]["N"])) for item in page["Items"]]
            pages += 1
            start = page.get("LastEvaluatedKey")
            if not start:
                break
        assert sorted(seen) == [i * 7 - 300 for i in range(60)], (op, params)
        if op == "query" and "IndexName" not in params:
            assert seen == sorted(seen, reverse=params.get("ScanIndexForward") is False)
        assert pages >= 9


def test_many_requests_at_once(http, dax):
    table = create(http, "pk:S")
    puts = dax.many(
        [("putItem", {"TableName": table, "Item": {"pk": {"S": str(i)}, f"a{i % 7}": {"N": str(i)}}}) for i in range(150)]
    )
    assert [p for p in puts if "error" in p] == []
    gets = dax.many([("getItem", {"TableName": table, "Key": {"pk": {"S": str(i)}}}) for i in range(150)])
    assert [g["result"]["Item"][f"a{i % 7}"]["N"] for i, g in enumerate(gets)] == [str(i) for i in range(150)]


def test_canceled_transactions_tell_their_reasons(kind, http, dax):
    table = create(http, "pk:S")
    http.put_item(TableName=table, Item={"pk": {"S": "old"}, "x": {"N": "1"}})
    with pytest.raises(DaxError) as failure:
        dax.call("transactWriteItems", {"TransactItems": [
            {"Put": {"TableName": table, "Item": {"pk": {"S": "new"}}}},
            {"Put": {"TableName": table, "Item": {"pk": {"S": "old"}}, "ConditionExpression": "attribute_not_exists(pk)",
                     "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
        ]})
    assert failure.value.code == "TransactionCanceledException"
    assert "[None, ConditionalCheckFailed]" in failure.value.message
    reasons = failure.value.reasons
    if kind != "python":  # which hands none on
        assert [r["Code"] for r in reasons] == ["None", "ConditionalCheckFailed"]
        assert reasons[1]["Item"]["x"] == {"N": "1"}
    assert "Item" not in http.get_item(TableName=table, Key={"pk": {"S": "new"}})


def test_no_such_table(dax):
    with pytest.raises(DaxError) as failure:
        dax.call("getItem", {"TableName": "missing", "Key": {"pk": {"S": "x"}}})
    assert failure.value.code == "ResourceNotFoundException"
    assert "Requested resource not found" in failure.value.message


def test_over_tls(kind, start_server, tmp_path):
    cert, key = make_certificate(tmp_path, "dax")
    server = start_server("--ephemeral", "--tls-cert", cert, "--tls-key", key, "--dax-tls-listen", "127.0.0.1:0",
                          "--control-plane-delay", "0")
    import ssl
    import urllib.request

    context = ssl.create_default_context(cafile=str(cert))
    address = json.loads(urllib.request.urlopen(server.endpoint + "/health", context=context).read())["dax_tls"]
    http = make_client(server.endpoint, verify=str(cert))
    table = create(http, "pk:S")
    trust = {"NODE_EXTRA_CA_CERTS": str(cert), "SSL_CERT_FILE": str(cert)}
    if kind == "java":
        store = tmp_path / "trust.p12"
        subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "dax", "-file", cert, "-keystore", store, "-storepass", "changeit"],
                       check=True, capture_output=True)
        trust["JAVA_TOOL_OPTIONS"] = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"
    with DaxClient(kind, f"daxs://{address}", env=trust) as dax:
        item = {"pk": {"S": "a"}, "x": {"S": "y" * 30_000}}
        dax.call("putItem", {"TableName": table, "Item": item})
        assert dax.call("getItem", {"TableName": table, "Key": {"pk": {"S": "a"}}})["Item"] == item


# --- signatures ---

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def secured(start_server, tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{KEY} {SECRET}\n")
    os.chmod(path, 0o600)
    server = start_server(*DAX, "--auth", "sigv4", "--credentials", path)
    server.keys_path = path
    server.address = server.health()["dax"]
    server.http = make_client(server.endpoint, access_key=KEY, secret_key=SECRET)
    return server


def test_signatures_are_verified(kind, secured):
    table = create(secured.http, "pk:S")
    with DaxClient(kind, f"dax://{secured.address}", access_key=KEY, secret_key=SECRET) as dax:
        dax.call("putItem", {"TableName": table, "Item": {"pk": {"S": "a"}}})
        assert dax.call("getItem", {"TableName": table, "Key": {"pk": {"S": "a"}}})["Item"] == {"pk": {"S": "a"}}


def test_a_tables_policy_decides_also_what_is_cached(secured):
    table = create(secured.http, "pk:S")
    arn = secured.http.describe_table(TableName=table)["Table"]["TableArn"]
    get = {"TableName": table, "Key": {"pk": {"S": "a"}}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "dynamodb:GetItem", "Resource": arn}
    with DaxClient(CLIENTS[0], f"dax://{secured.address}", access_key=KEY, secret_key=SECRET) as dax:
        dax.call("putItem", {"TableName": table, "Item": {"pk": {"S": "a"}}})
        assert dax.call("getItem", get)["Item"] == {"pk": {"S": "a"}}
        secured.http.put_resource_policy(
            ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        )
        with pytest.raises(DaxError) as failure:
            dax.call("getItem", get)
        assert "AccessDenied" in str(failure.value)
        secured.http.delete_resource_policy(ResourceArn=arn)
        assert dax.call("getItem", get)["Item"] == {"pk": {"S": "a"}}


@pytest.mark.parametrize(
    ("change", "exception"),
    [
        ({"secret": "wrong"}, b"InvalidSignatureException"),
        ({"access_key": "stranger"}, b"UnrecognizedClientException"),
        ({"token": "unasked"}, b"UnrecognizedClientException"),
        ({"region": "mars-north-1"}, b"InvalidSignatureException"),
        ({"service": "dynamodb"}, b"InvalidSignatureException"),
        ({"when": time.time() - 3600}, b"InvalidSignatureException"),
        ({"when": time.time() + 3600}, b"InvalidSignatureException"),
        ({"signature": "0" * 64}, b"InvalidSignatureException"),
        ({"signature": "short"}, b"IncompleteSignatureException"),
    ],
)
def test_bad_authorizations_are_told_with_the_next_request(secured, change, exception):
    with RawDax(secured.address, PREAMBLE + authorization(**{"access_key": KEY, "secret": SECRET, **change})) as dax:
        answer = dax.ask(ENDPOINTS)
        assert answer.startswith(b"\x84\x04\x17\x18\x1f\x18\x20")
        assert exception in answer
        # the connection goes on, and a good one is as good as at first
        assert dax.ask(authorization(KEY, SECRET) + ENDPOINTS)[:1] == b"\x80"


def test_without_authorization_nothing_is_answered(secured):
    with RawDax(secured.address, PREAMBLE) as dax:
        answer = dax.ask(ENDPOINTS)
        assert answer.startswith(b"\x84\x04\x17\x18\x1f\x18\x21")
        assert b"MissingAuthenticationTokenException" in answer


def test_other_keys_must_authorize_again(secured):
    with RawDax(secured.address, PREAMBLE + authorization(KEY, SECRET)) as dax:
        assert dax.ask(ENDPOINTS)[:1] == b"\x80"
        secured.keys_path.write_text("another secret\n")
        secured.signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while (answer := dax.ask(ENDPOINTS))[:1] == b"\x80" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert answer.startswith(b"\x84\x04\x17\x18\x1f\x18\x21")
        assert b"Unrecognized" in dax.ask(authorization(KEY, SECRET) + ENDPOINTS)
        assert dax.ask(authorization("another", "secret") + ENDPOINTS)[:1] == b"\x80"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dax-listen", "0.0.0.0:0"], "--dax-listen 0.0.0.0:0 can be reached from other machines"),
        (["--dax-tls-listen", "127.0.0.1:0"], "--dax-tls-listen needs --tls-cert and --tls-key"),
        (["--dax-listen", "nowhere"], "nowhere"),
    ],
)
def test_options_that_cannot_be(options, words):
    run = subprocess.run([binary(), "serve", "--ephemeral", "--listen", "127.0.0.1:0", *options],
                         capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert run.returncode != 0
    assert words in run.stderr


# --- what is no client ---


def test_half_requests_cost_little_and_hurt_nobody(http, address, node_server):
    table = create(http, "pk:S")
    before = node_server.memory_bytes()
    halves = []
    for i in range(400):
        half = RawDax(address)
        half.socket.sendall(get_item(table, b"k" * 20)[: 1 + i % 30])
        halves.append(half)
    with RawDax(address) as whole:
        assert whole.ask(get_item(table, b"x"))[:1] == b"\x80"
    assert node_server.memory_bytes() - before < 60 << 20
    for half in halves:
        half.socket.close()


def test_other_protocols_are_closed(address):
    for greeting in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"\x00" * 100, b"\x67J7yne5G\x02\x00\xa0\x00"):
        with RawDax(address, greeting) as other:
            assert other.is_closed()


def test_an_unknown_method_is_answered_and_closed(address):
    with RawDax(address) as dax:
        assert dax.ask(b"\x01\x1a\x2e\xcb\x30\xe7").startswith(b"\x84\x04\x18\x25\x18\x26\x18\x2c")
        assert dax.is_closed()


def test_requests_byte_by_byte(http, address):
    table = create(http, "pk:S")
    with RawDax(address, b"") as dax:
        dax.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREAMBLE + authorization() + get_item(table, b"nobody"):
            dax.socket.sendall(bytes([byte]))
        assert dax.socket.recv(100) == b"\x80\xa0"


def test_a_slow_request_is_ended(start_server):
    server = start_server(*DAX, "--request-timeout", "1500", "--idle-timeout", "600000")
    with RawDax(server.health()["dax"]) as dax:
        assert dax.ask(ENDPOINTS)[:1] == b"\x80"
        dax.socket.sendall(ENDPOINTS[:3])
        assert dax.is_closed()
    assert server.metric("stator_dax_closed_total", reason="slow") == 1


def test_idle_connections_are_ended(start_server):
    server = start_server(*DAX, "--idle-timeout", "1500")
    with RawDax(server.health()["dax"]) as dax:
        assert dax.ask(ENDPOINTS)[:1] == b"\x80"
        assert dax.is_closed()


def test_connections_beyond_the_limit_are_closed(start_server):
    server = start_server(*DAX, "--max-connections", "10")
    address = server.health()["dax"]
    some = [RawDax(address) for _ in range(10)]
    assert all(dax.ask(ENDPOINTS)[:1] == b"\x80" for dax in some)
    with RawDax(address, b"") as one_more:  # it, or who has been idle for so long that it makes room
        assert select.select([one_more.socket, *(dax.socket for dax in some)], [], [], 60)[0]
    for dax in some:
        dax.socket.close()


def test_stop_with_connections_open(start_server):
    server = start_server(*DAX, "--drain-timeout", "600000")
    address = server.health()["dax"]
    some = [RawDax(address) for _ in range(20)]
    some[0].socket.sendall(ENDPOINTS[:2])
    assert some[1].ask(ENDPOINTS)[:1] == b"\x80"
    assert server.stop() == 0  # and does not wait for them
    assert all(dax.is_closed() for dax in some)


# --- what lasts, and what is cached ---


def test_attribute_lists_outlive_a_kill(start_server, tmp_path):
    options = ("--data", tmp_path / "data", "--dax-listen", "127.0.0.1:0", "--control-plane-delay", "0")
    server = start_server(*options)
    define = b"\x01\x3a\x49\x59\x27\xbb\x82\x61b\x61a"
    with RawDax(server.health()["dax"]) as dax:
        answer = dax.ask(define)
        assert answer[:2] == b"\x80\x1b"
    server.kill()
    server = start_server(*options)
    with RawDax(server.health()["dax"]) as dax:
        assert dax.ask(b"\x01\x1a\x27\xf9\xbd\x71" + answer[1:]) == b"\x80\x82\x61b\x61a"
        assert dax.ask(define) == answer
        # the order belongs to a list
        assert dax.ask(b"\x01\x3a\x49\x59\x27\xbb\x82\x61a\x61b") != answer


def test_writes_around_dax_are_seen_by_consistent_reads_only(http, address):
    table = create(http, "pk:S")
    key = {"pk": {"S": "k"}}
    with DaxClient("js3", f"dax://{address}") as dax:
        dax.call("putItem", {"TableName": table, "Item": {**key, "v": {"N": "1"}}})
        http.put_item(TableName=table, Item={**key, "v": {"N": "2"}})
        read = lambda **more: dax.call("getItem", {"TableName": table, "Key": key, **more})["Item"]["v"]["N"]  # noqa: E731
        assert read() == "1"
        assert read(ConsistentRead=True) == "2"
        assert read() == "1"
        dax.call("updateItem", {"TableName": table, "Key": key, "UpdateExpression": "ADD v :one",
                                "ExpressionAttributeValues": {":one": {"N": "1"}}})
        assert read() == "3"


def test_a_table_made_anew_has_nothing_of_the_old_one(http, address):
    table = create(http, "pk:S")
    with DaxClient("js3", f"dax://{address}") as dax:
        dax.call("putItem", {"TableName": table, "Item": {"pk": {"S": "k"}, "v": {"N": "1"}}})
        assert "Item" in dax.call("getItem", {"TableName": table, "Key": {"pk": {"S": "k"}}})
        http.delete_table(TableName=table)
        create(http, "pk:S", name=table)
        time.sleep(1.1)  # as long as a key schema is believed
        assert "Item" not in dax.call("getItem", {"TableName": table, "Key": {"pk": {"S": "k"}}})

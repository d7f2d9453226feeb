"""Pages of queries that are asked for again are told from memory: as they were, and never after something was written."""

import gzip
import time
import zlib

import pytest
from boto3.dynamodb.types import TypeSerializer

from conftest import create, make_client
from controls import Controls
from raw_http import Connection, request_bytes
from test_tls import make_certificate
from test_wire import H2

LOCAL_INDEX = {
    "IndexName": "by-rev",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "rev", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
ALWAYS = {"FilterExpression": "attribute_not_exists(nothing)"}  # pages with a filter are not kept
SHAPES = {
    "all": {},
    "backward": {"ScanIndexForward": False},
    "limit": {"Limit": 7},
    "consistent": {"ConsistentRead": True},
    "count": {"Select": "COUNT"},
    "range": {
        "KeyConditionExpression": "pk = :p AND sk BETWEEN :a AND :b",
        "ExpressionAttributeValues": {":p": {"S": "a"}, ":a": {"N": "5"}, ":b": {"N": "9"}},
    },
    "start": {"ExclusiveStartKey": {"pk": {"S": "a"}, "sk": {"N": "30"}}},
    "nothing": {"ExpressionAttributeValues": {":p": {"S": "nobody"}}},
    "index": {"IndexName": "by-rev"},
    "index-fetch": {"IndexName": "by-rev", "Select": "ALL_ATTRIBUTES", "ConsistentRead": True},
    "total": {"ReturnConsumedCapacity": "TOTAL"},
    "indexes": {"IndexName": "by-rev", "Select": "ALL_ATTRIBUTES", "ReturnConsumedCapacity": "INDEXES"},
}


def row(sk, **more):
    to = TypeSerializer().serialize
    return {name: to(value) for name, value in {"pk": "a", "sk": sk, "rev": 1000 - sk, "text": "é" * 350, **more}.items()}


def key(sk):
    return {"pk": {"S": "a"}, "sk": {"N": str(sk)}}


@pytest.fixture(scope="module")
def own(start_server_session):
    return start_server_session("--ephemeral", "--test-controls", "--control-plane-delay", "0")


@pytest.fixture
def name(own):
    client = make_client(own.endpoint)
    name = create(client, "pk:S,sk:N", attributes={"rev": "N"}, LocalSecondaryIndexes=[LOCAL_INDEX])
    for first in range(0, 60, 20):
        client.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": row(sk)}} for sk in range(first, first + 20)]})
    yield name
    client.delete_table(TableName=name)


def body_of(name, **shape):
    return {"TableName": name, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}, **shape}


def hits(server):
    return server.metric("stator_page_cache_hits_total")


def asked_until_kept(server, connection, body, **kwargs):
    """Three answers; the last one came from memory."""
    answers = [connection.call("Query", body, **kwargs) for _ in range(2)]
    before = hits(server)
    answers.append(connection.call("Query", body, **kwargs))
    assert hits(server) == before + 1
    return answers


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_answer_from_memory_is_the_first_one_again(own, name, shape):
    with Connection(own) as c:
        body = body_of(name, **shape)
        plain = c.call("Query", {**body, **ALWAYS})
        for answer in asked_until_kept(own, c, body):
            assert answer.status == 200
            assert answer.body == plain.body
            assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)
            assert answer.headers["content-type"] == plain.headers["content-type"]


def test_what_is_told_beside_the_items_is_each_requests_own(own, name):
    with Connection(own) as c:
        asked_until_kept(own, c, body_of(name, Limit=9))
        total = {"ReturnConsumedCapacity": "TOTAL"}
        for more in (total, {"ReturnConsumedCapacity": "INDEXES"}, {"ConsistentRead": True, **total}):
            before = hits(own)
            answer = c.call("Query", body_of(name, Limit=9, **more))
            assert hits(own) == before + 1
            assert answer.body == c.call("Query", body_of(name, Limit=9, **more, **ALWAYS)).body
            assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)


def test_it_can_be_packed(own, name):
    with Connection(own) as c:
        plain = c.call("Query", body_of(name, **ALWAYS))
        for answer in asked_until_kept(own, c, body_of(name), headers={"accept-encoding": "gzip"}):
            assert answer.headers["content-encoding"] == "gzip"
            assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)
            assert gzip.decompress(answer.body) == plain.body


def test_it_goes_through_http2_and_tls(own, name, start_server, tmp_path):
    with Connection(own) as c:
        plain = asked_until_kept(own, c, body_of(name))[2].body
    h2 = H2(own)
    before = hits(own)
    streams = [h2.start("Query", body_of(name)) for _ in range(20)]
    h2.flush()
    h2.wait(*streams)
    for stream in streams:
        assert h2.headers[stream][":status"] == "200"
        assert h2.bodies[stream] == plain
        assert int(h2.headers[stream]["x-amz-crc32"]) == zlib.crc32(plain)
    assert hits(own) == before + 20
    h2.socket.close()
    cert, tls_key = make_certificate(tmp_path, "one")
    client = make_client(start_server("--ephemeral", "--tls-cert", cert, "--tls-key", tls_key).endpoint, verify=str(cert))
    other = create(client, "pk:S,sk:N")
    for first in range(0, 60, 20):
        client.batch_write_item(RequestItems={other: [{"PutRequest": {"Item": row(sk)}} for sk in range(first, first + 20)]})
    for _ in range(6):
        assert client.query(**body_of(other))["Items"] == [row(sk) for sk in range(60)]


def test_who_reads_late_gets_what_was_asked_for(own, name):
    client = make_client(own.endpoint)
    with Connection(own) as c, Connection(own) as other:
        old = asked_until_kept(own, other, body_of(name))[2].body
        for _ in range(3):
            c.send(request_bytes(c.host, "Query", body_of(name)) * 100)  # 14 MB: more than the system takes
            client.update_item(TableName=name, Key=key(1), UpdateExpression="ADD n :n", ExpressionAttributeValues={":n": {"N": "1"}})
            new = other.call("Query", body_of(name, **ALWAYS)).body
            told = []
            for _ in range(100):
                answer = c.read()
                assert int(answer.headers["x-amz-crc32"]) == zlib.crc32(answer.body)
                told.append(answer.body)
            assert set(told) <= {old, new} and told == sorted(told, key=[old, new].index)
            old = new


def test_many_in_one_go_are_answered_in_order(own, name):
    with Connection(own) as c:
        bodies = [body_of(name, Limit=limit) for limit in range(1, 9)]
        wanted = [asked_until_kept(own, c, body)[0].body for body in bodies]
        c.send(b"".join(request_bytes(c.host, "Query", body) for body in bodies * 4))
        for body in wanted * 4:
            assert c.read().body == body


def statement(client, name, text):
    return client.execute_statement(Statement=text.replace("TABLE", f'"{name}"'))


WRITES = {
    "PutItem": lambda c, t: c.put_item(TableName=t, Item=row(3, n="put")),
    "PutItem, new": lambda c, t: c.put_item(TableName=t, Item=row(1000)),
    "UpdateItem": lambda c, t: c.update_item(
        TableName=t, Key=key(4), UpdateExpression="SET n = :n", ExpressionAttributeValues={":n": {"S": "updated"}}
    ),
    "UpdateItem, legacy": lambda c, t: c.update_item(
        TableName=t, Key=key(5), AttributeUpdates={"n": {"Value": {"N": "1"}, "Action": "ADD"}}
    ),
    "UpdateItem of an index key": lambda c, t: c.update_item(
        TableName=t, Key=key(6), UpdateExpression="SET rev = :n", ExpressionAttributeValues={":n": {"N": "-1"}}
    ),
    "DeleteItem": lambda c, t: c.delete_item(TableName=t, Key=key(7)),
    "BatchWriteItem": lambda c, t: c.batch_write_item(
        RequestItems={t: [{"DeleteRequest": {"Key": key(8)}}, {"PutRequest": {"Item": row(9, n="batch")}}]}
    ),
    "TransactWriteItems": lambda c, t: c.transact_write_items(
        TransactItems=[{"Put": {"TableName": t, "Item": row(10, n="transaction")}}, {"Delete": {"TableName": t, "Key": key(11)}}]
    ),
    "INSERT": lambda c, t: statement(c, t, "INSERT INTO TABLE VALUE {'pk': 'a', 'sk': 2000, 'rev': 5}"),
    "UPDATE": lambda c, t: statement(c, t, "UPDATE TABLE SET n = 'updated' WHERE pk = 'a' AND sk = 12"),
    "DELETE": lambda c, t: statement(c, t, "DELETE FROM TABLE WHERE pk = 'a' AND sk = 13"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_after_a_write_all_pages_are_new(own, name, write):
    client = make_client(own.endpoint)
    shapes = [SHAPES[shape] for shape in ("all", "backward", "index-fetch", "indexes", "consistent")]
    with Connection(own) as c:
        before = [asked_until_kept(own, c, body_of(name, **shape))[2].body for shape in shapes]
        write(client, name)
        for shape, old in zip(shapes, before):
            now = c.call("Query", body_of(name, **shape))
            assert now.body == c.call("Query", body_of(name, **shape, **ALWAYS)).body
            assert now.body != old


def test_items_that_expired_are_told_until_they_are_deleted(own, name):
    client = make_client(own.endpoint)
    client.put_item(TableName=name, Item=row(0, expires=int(time.time()) - 3600))
    with Connection(own) as c:
        assert asked_until_kept(own, c, body_of(name))[2].json["Count"] == 60
        client.update_time_to_live(TableName=name, TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True})
        while client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] != "ENABLED":
            time.sleep(0.01)
        Controls(own.endpoint)("ttl-sweep", table=name)
        answer = c.call("Query", body_of(name))
        assert answer.json["Count"] == 59
        assert answer.body == c.call("Query", body_of(name, **ALWAYS)).body


def test_memory_of_none_keeps_nothing(start_server):
    server = start_server("--ephemeral", "--page-cache-bytes", "0")
    client = make_client(server.endpoint)
    name = create(client, "pk:S,sk:N")
    client.put_item(TableName=name, Item=row(1))
    for _ in range(5):
        assert client.query(**body_of(name))["Count"] == 1
    assert hits(server) == 0

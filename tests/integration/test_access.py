"""--auth sigv4 with policies: who may do what. Runs real clients; requests are signed by botocore and tampered with."""

import datetime
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request

import pytest
from botocore import xform_name
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from conftest import REGION, ROOT, create, make_client, wait_gone

ACCOUNT = "123456789012"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions="*", resources="*", **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def deny(actions="*", resources="*", **more):
    return {"Effect": "Deny", "Action": actions, "Resource": resources, **more}


def key(name, *statements, **more):
    return {"AccessKeyId": name, "SecretAccessKey": SECRET, "UserName": name, "Policies": [document(*statements)] if statements else [], **more}


ADMIN = {"AccessKeyId": "admin", "SecretAccessKey": SECRET}


def write_keys(path, *keys, policies=None):
    path.write_text(json.dumps({"Keys": [ADMIN, *keys], **({"Policies": policies} if policies else {})}))
    os.chmod(path, 0o600)
    return path


@pytest.fixture
def secured(start_server, tmp_path):
    """secured(key, ...) -> a server that knows them and an administrator."""

    def start(*keys, args=("--ephemeral",), **kwargs):
        path = write_keys(tmp_path / "keys", *keys, **kwargs)
        server = start_server(*args, "--auth", "sigv4", "--credentials", path, "--control-plane-delay", "10")
        server.keys = path
        return server

    return start


def client_of(server, name, **kwargs):
    return make_client(server.endpoint, access_key=name, secret_key=SECRET, **kwargs)


def refused(call, **kwargs):
    with pytest.raises(ClientError) as failure:
        call(**kwargs)
    return failure.value.response["Error"]


# ---- every operation ----


def minimal(shape):
    """The smallest value the model allows."""
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_tagged_union", False) or shape.name == "AttributeValue":
            return {"S": "a"}
        return {name: minimal(shape.members[name]) for name in shape.required_members}
    if kind == "list":
        return [minimal(shape.member)] * max(1, shape.metadata.get("min", 0))
    if kind == "map":
        return {"a-key": minimal(shape.value)}
    if kind == "string":
        return shape.enum[0] if shape.enum else "a" * max(3, shape.metadata.get("min", 0))
    if kind in ("integer", "long"):
        return max(1, shape.metadata.get("min", 0))
    return {"boolean": True, "timestamp": datetime.datetime(2026, 1, 1), "double": 1.0, "blob": b"a"}[kind]


# what the smallest request of the model cannot say
REQUESTS = {
    "BatchExecuteStatement": {"Statements": [{"Statement": "SELECT * FROM music WHERE pk = 'a'"}]},
    "ExecuteStatement": {"Statement": "SELECT * FROM music"},
    "ExecuteTransaction": {"TransactStatements": [{"Statement": "DELETE FROM music WHERE pk = 'a'"}]},
    "BatchWriteItem": {"RequestItems": {"music": [{"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}]}},
    "TransactWriteItems": {"TransactItems": [{"Delete": {"TableName": "music", "Key": {"pk": {"S": "a"}}}}]},
    "CreateTable": {"TableName": "music", "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"},
}


SERVICES = {"dynamodb": "dynamodb", "dynamodbstreams": "dynamodb", "dax": "dax"}  # and its name in actions


def operations(service):
    """What the service's own model has."""
    import boto3

    model = boto3.client(service, region_name=REGION).meta.service_model
    for name in model.operation_names:
        shape = model.operation_model(name).input_shape
        yield name, (service == "dynamodb" and REQUESTS.get(name)) or (minimal(shape) if shape else {})


def served():
    """The rows of the program's own tables of operations."""
    names = set()
    for path in (ROOT / "src" / "api").glob("op*.c"):
        for table in re.findall(r"const struct op \w*ops\[\] = \{(.*?)^\};", path.read_text(), re.DOTALL | re.MULTILINE):
            names.update(re.findall(r'^    [A-Z]+\("?(\w+)"?[,)]', table, re.MULTILINE))
            names.update(re.findall(r'^    \{"(\w+)"', table, re.MULTILINE))
    return names


def test_no_operation_is_allowed_without_a_right(secured):
    server = secured(key("nobody"))
    checked = set()
    for service, action in SERVICES.items():
        client = client_of(server, "nobody", parameter_validation=False, service=service)
        for name, request in operations(service):
            method = xform_name(name)
            if name == "BatchExecuteStatement":
                error = client.batch_execute_statement(**request)["Responses"][0]["Error"]
                assert error["Code"] == "AccessDenied", error
            else:
                error = refused(getattr(client, method), **request)
                assert error["Code"] == "AccessDeniedException", (name, error)
            assert f"User: arn:aws:iam::{ACCOUNT}:user/nobody is not authorized to perform: {action}:" in error["Message"], (name, error)
            assert f"because no identity-based policy allows the {action}:" in error["Message"], (name, error)
            checked.add(name)
    missing = served() - checked
    # newer than the model of the clients: each has its row in tests/unit/api/test_access.c
    assert missing <= {"SearchVectors", "StartBulkPutItems", "CancelBulkOperation", "DescribeBulkOperation", "ListBulkOperations"}
    assert len(served()) > 80


def test_rights_are_by_table_and_index(secured):
    server = secured(
        key("reader", allow(["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Describe*"], [TABLE + "music", TABLE + "music/index/by-year"])),
    )
    admin, reader = client_of(server, "admin"), client_of(server, "reader")
    index = [{"IndexName": n, "KeySchema": [{"AttributeName": "year", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}} for n in ("by-year", "other")]
    create(admin, "pk:S", name="music", attributes={"year": "N"}, GlobalSecondaryIndexes=index)
    create(admin, "pk:S", name="books")
    query = dict(TableName="music", KeyConditionExpression="#y = :y", ExpressionAttributeNames={"#y": "year"}, ExpressionAttributeValues={":y": {"N": "1"}})
    reader.get_item(TableName="music", Key={"pk": {"S": "a"}})
    reader.query(IndexName="by-year", **query)
    reader.describe_table(TableName="music")
    error = refused(reader.query, IndexName="other", **query)
    assert error == {
        "Code": "AccessDeniedException",
        "Message": f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: dynamodb:Query on resource: {TABLE}music/index/other "
        "because no identity-based policy allows the dynamodb:Query action",
    }
    assert refused(reader.get_item, TableName="books", Key={"pk": {"S": "a"}})["Code"] == "AccessDeniedException"
    assert refused(reader.scan, TableName="music")["Code"] == "AccessDeniedException"
    assert refused(reader.put_item, TableName="music", Item={"pk": {"S": "a"}})["Code"] == "AccessDeniedException"


def test_each_has_his_own_items(secured):
    own = allow("dynamodb:*", TABLE + "notes", Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "${aws:username}"}})
    server = secured(
        {"AccessKeyId": "alice", "SecretAccessKey": SECRET, "UserName": "alice", "Policies": ["own"]},
        {"AccessKeyId": "bob", "SecretAccessKey": SECRET, "UserName": "bob", "Policies": ["own"]},
        policies={"own": document(own, deny("dynamodb:Scan"))},
    )
    create(client_of(server, "admin"), "pk:S", name="notes")
    for name, other in (("alice", "bob"), ("bob", "alice")):
        client = client_of(server, name)
        client.put_item(TableName="notes", Item={"pk": {"S": name}, "text": {"S": "mine"}})
        assert refused(client.put_item, TableName="notes", Item={"pk": {"S": other}})["Code"] == "AccessDeniedException"
        assert client.get_item(TableName="notes", Key={"pk": {"S": name}})["Item"]["text"] == {"S": "mine"}
        batch = {"notes": {"Keys": [{"pk": {"S": name}}, {"pk": {"S": other}}]}}
        assert refused(client.batch_get_item, RequestItems=batch)["Code"] == "AccessDeniedException"
        assert "explicit deny in an identity-based policy" in refused(client.scan, TableName="notes")["Message"]


def test_a_denied_write_writes_nothing(secured):
    server = secured(key("writer", allow("dynamodb:PutItem", TABLE + "one")))
    admin, writer = client_of(server, "admin"), client_of(server, "writer")
    for name in ("one", "two"):
        create(admin, "pk:S", name=name)
    items = [{"Put": {"TableName": name, "Item": {"pk": {"S": "a"}}}} for name in ("one", "two")]
    assert refused(writer.transact_write_items, TransactItems=items)["Code"] == "AccessDeniedException"
    assert admin.scan(TableName="one")["Count"] == 0
    writer.transact_write_items(TransactItems=items[:1])
    assert admin.scan(TableName="one")["Count"] == 1


# ---- signatures ----


def signed(server, name="admin", secret=SECRET, token=None, region=REGION, service="dynamodb", body=b"{}", auth=None):
    request = AWSRequest(
        method="POST",
        url=server.endpoint + "/",
        data=body,
        headers={"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"},
    )
    (auth or SigV4Auth)(Credentials(name, secret, token), service, region).add_auth(request)
    return request


class Presign(SigV4QueryAuth):
    """botocore's moves the body of a POST into the query; DynamoDB's stays where it is."""

    def _modify_request_before_signing(self, request):
        body, request.data = request.data, b""
        super()._modify_request_before_signing(request)
        request.data = body


def send(request, body=None, headers=None, url=None):
    """(200 or the exception's name, its message)"""
    prepared = request.prepare()
    all_headers = {**{k: v.decode() if isinstance(v, bytes) else v for k, v in prepared.headers.items() if k.lower() != "content-length"}, **(headers or {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(url or prepared.url, data=prepared.body if body is None else body, headers=all_headers, method="POST"), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        answer = json.loads(error.read())
        return answer["__type"].split("#")[-1], answer.get("message")


def test_what_botocore_signs_is_verified(secured):
    server = secured(key("alice", allow()))
    assert send(signed(server))[0] == 200
    assert send(signed(server, "alice"))[0] == 200
    assert send(signed(server, "alice", secret="wrong"))[0] == "InvalidSignatureException"
    assert send(signed(server, "stranger")) == ("UnrecognizedClientException", "The security token included in the request is invalid.")


def test_a_scope_must_fit(secured):
    server = secured()
    assert send(signed(server, region="eu-west-1")) == ("InvalidSignatureException", "Credential should be scoped to a valid region, not 'eu-west-1'. ")
    assert send(signed(server, service="s3")) == ("InvalidSignatureException", "Credential should be scoped to correct service: 'dynamodb'. ")

    def rescoped(old, new):
        request = signed(server)
        return send(request, headers={"Authorization": request.headers["Authorization"].replace(old, new)})

    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")
    assert "terminator" in rescoped("/aws4_request", "/aws5_request")[1]
    assert "Date in Credential scope does not match" in rescoped(f"/{today}/", "/20200101/")[1]
    assert rescoped("SignedHeaders=content-type;host;", "SignedHeaders=content-type;")[1].startswith("'Host' must be a 'SignedHeader'")
    assert rescoped(";x-amz-target", "")[1] == "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."


def test_nothing_signed_can_be_changed(secured):
    server = secured()
    assert send(signed(server), body=b'{"Limit":1}')[0] == "InvalidSignatureException"
    assert send(signed(server), headers={"X-Amz-Target": "DynamoDB_20120810.DescribeLimits"})[0] == "InvalidSignatureException"
    assert send(signed(server), headers={"Content-Type": "application/json"})[0] == "InvalidSignatureException"
    assert send(signed(server), url=server.endpoint + "/?a=b")[0] == "InvalidSignatureException"
    request = signed(server)
    signature = request.headers["Authorization"][-64:]
    flipped = ("0" if signature[0] != "0" else "1") + signature[1:]
    assert send(request, headers={"Authorization": request.headers["Authorization"].replace(signature, flipped)})[0] == "InvalidSignatureException"
    assert send(request, headers={"Authorization": request.headers["Authorization"].replace(signature, "")})[0] == "IncompleteSignatureException"
    assert send(request)[0] == 200


def test_session_tokens_belong_to_their_key(secured):
    server = secured(
        {"AccessKeyId": "ASIA", "SecretAccessKey": SECRET, "SessionToken": "a+token/=", "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/night", "Policies": [document(allow("dynamodb:ListTables"))]},
    )
    unknown = ("UnrecognizedClientException", "The security token included in the request is invalid.")
    assert send(signed(server, "ASIA", token="a+token/="))[0] == 200
    assert send(signed(server, "ASIA", token="another")) == unknown
    assert send(signed(server, "ASIA")) == unknown
    assert send(signed(server, "admin", token="a+token/=")) == unknown
    request = signed(server, "ASIA", token="a+token/=", auth=lambda *args: Presign(*args, expires=60))
    assert send(request)[0] == 200
    message = refused(client_of(server, "ASIA", aws_session_token="a+token/=").describe_limits)["Message"]
    assert message.startswith(f"User: arn:aws:sts::{ACCOUNT}:assumed-role/ops/night is not authorized")


def test_presigned_urls_are_verified_and_expire(secured):
    server = secured()

    def presigned(expires=60):
        return signed(server, auth=lambda *args: Presign(*args, expires=expires))

    assert send(presigned())[0] == 200
    url = presigned().prepare().url
    for old, new in (("X-Amz-Expires=60", "X-Amz-Expires=600"), ("%2Fdynamodb%2F", "%2Fs3%2F"), ("X-Amz-Signature=", "X-Amz-Signature=0"), ("X-Amz-SignedHeaders=content-type%3Bhost", "X-Amz-SignedHeaders=host")):
        assert old in url
        assert send(presigned(), url=url.replace(old, new))[0] == "InvalidSignatureException", new
    assert send(presigned(), body=b'{"Limit":1}')[0] == "InvalidSignatureException"
    assert send(presigned(expires=604801))[0] == "IncompleteSignatureException"
    request = presigned(expires=1)
    time.sleep(2.1)
    error, message = send(request)
    assert error == "InvalidSignatureException" and message.startswith("Signature expired:")


# ---- the file ----


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_sighup_reads_the_keys_again(secured):
    server = secured(key("alice", allow("dynamodb:ListTables")), key("bob"))
    alice, bob = client_of(server, "alice"), client_of(server, "bob")
    alice.list_tables()
    assert refused(bob.list_tables)["Code"] == "AccessDeniedException"
    write_keys(server.keys, key("bob", allow("dynamodb:ListTables")))
    server.signal(signal.SIGHUP)
    wait_for(lambda: "is in use, with 2 keys" in server.log())
    bob.list_tables()
    assert refused(alice.list_tables)["Code"] == "UnrecognizedClientException"
    # a broken file changes nothing
    server.keys.write_text('{"Keys":[{"AccessKeyId":"x"}]}')
    server.signal(signal.SIGHUP)
    wait_for(lambda: "the old credentials stay in use" in server.log())
    assert "key 1: AccessKeyId and SecretAccessKey are needed" in server.log()
    bob.list_tables()
    os.chmod(server.keys, 0o644)
    server.signal(signal.SIGHUP)
    wait_for(lambda: "chmod 600" in server.log())
    bob.list_tables()


def test_keys_change_while_requests_run(secured):
    import threading

    server = secured(key("alice", allow("dynamodb:ListTables")))
    stop, failures = threading.Event(), []

    def work():
        client = client_of(server, "alice")
        while not stop.is_set():
            try:
                client.list_tables()
            except Exception as failure:
                failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(8):  # of more like lines the log tells the number only
        write_keys(server.keys, key("alice", allow("dynamodb:ListTables")), *(key(f"other{i}") for i in range(n)))
        server.signal(signal.SIGHUP)
        wait_for(lambda: f"with {n + 2} keys" in server.log())
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures


# ---- resource policies ----


def table_policy(*statements):
    return json.dumps(document(*statements))


def test_a_table_lets_others_in_and_keeps_some_out(secured):
    server = secured(key("alice"), key("bob", allow()))
    admin, alice, bob = (client_of(server, name) for name in ("admin", "alice", "bob"))
    create(admin, "pk:S", name="music")
    get = dict(TableName="music", Key={"pk": {"S": "a"}})
    assert refused(alice.get_item, **get)["Code"] == "AccessDeniedException"
    admin.put_resource_policy(
        ResourceArn=TABLE + "music",
        Policy=table_policy(
            allow("dynamodb:GetItem", TABLE + "music", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}),
            deny("dynamodb:GetItem", TABLE + "music", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}),
        ),
    )
    alice.get_item(**get)
    assert refused(alice.scan, TableName="music")["Code"] == "AccessDeniedException"
    assert "with an explicit deny in a resource-based policy" in refused(bob.get_item, **get)["Message"]
    bob.scan(TableName="music")
    admin.delete_resource_policy(ResourceArn=TABLE + "music")
    assert refused(alice.get_item, **get)["Code"] == "AccessDeniedException"
    bob.get_item(**get)


def test_policies_outlive_a_kill(secured, tmp_path):
    data = ("--data", tmp_path / "data")
    server = secured(key("alice"), args=data)
    admin = client_of(server, "admin")
    for name in ("music", "gone"):
        create(admin, "pk:S", name=name)
    revision = {}
    for name in ("music", "gone"):
        statement = allow(["dynamodb:Scan"], TABLE + name, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"})
        revision[name] = admin.put_resource_policy(ResourceArn=TABLE + name, Policy=table_policy(statement))["RevisionId"]
    admin.delete_table(TableName="gone")
    wait_gone(admin, "gone")
    server.kill()
    server = secured(key("alice"), args=data)
    admin, alice = client_of(server, "admin"), client_of(server, "alice")
    alice.scan(TableName="music")
    assert admin.get_resource_policy(ResourceArn=TABLE + "music") | {"ResponseMetadata": 0} == {
        "Policy": '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:user/alice"},"Action":"dynamodb:Scan","Resource":"%smusic"}]}' % (ACCOUNT, TABLE),
        "RevisionId": revision["music"],
        "ResponseMetadata": 0,
    }
    create(admin, "pk:S", name="gone")
    assert refused(admin.get_resource_policy, ResourceArn=TABLE + "gone")["Code"] == "PolicyNotFoundException"
    assert refused(alice.scan, TableName="gone")["Code"] == "AccessDeniedException"


def test_resource_policies_have_revisions(client, make_table, failing):
    """As measured at the original; needs no signatures."""
    name = make_table("pk:S")
    arn = client.describe_table(TableName=name)["Table"]["TableArn"]
    not_found = "Resource-based policy not found for the provided ResourceArn: "

    def put(action, **more):
        statement = allow([action], "*", Principal={"AWS": ACCOUNT})
        return client.put_resource_policy(ResourceArn=arn, Policy=table_policy(statement), **more)["RevisionId"]

    with failing("PolicyNotFoundException", not_found + arn):
        client.get_resource_policy(ResourceArn=arn)
    first = put("dynamodb:*", ExpectedRevisionId="NO_POLICY")
    assert put("dynamodb:*") == first
    with failing("PolicyNotFoundException", not_found + f"Requested policy update expecting none to be present for table {name}, but a policy exists with revision id {first}."):
        put("dynamodb:*", ExpectedRevisionId="NO_POLICY")
    second = put("dynamodb:PutItem", ExpectedRevisionId=first)
    assert second > first
    with failing("PolicyNotFoundException", not_found + f"Requested update for policy with revision id {first}, but the policy associated to target table {name} has revision id {second}."):
        put("dynamodb:GetItem", ExpectedRevisionId=first)
    with failing("PolicyNotFoundException", f"has revision id {second}."):
        client.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId="unknown")
    read = client.get_resource_policy(ResourceArn=arn)
    assert read["RevisionId"] == second
    assert json.loads(read["Policy"])["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    # the same in another form is the same
    same = '{ "Statement": { "Resource": "*", "Action": "dynamodb:PutItem",\n"Principal": {"AWS": ["%s"]}, "Effect": "Allow" }, "Version": "2012-10-17" }' % ACCOUNT
    assert client.put_resource_policy(ResourceArn=arn, Policy=same)["RevisionId"] == second
    assert client.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=second)["RevisionId"] == second
    with failing("PolicyNotFoundException"):
        client.get_resource_policy(ResourceArn=arn)
    assert "RevisionId" not in client.delete_resource_policy(ResourceArn=arn)


def test_other_accounts_have_nothing_here(client, failing):
    foreign = f"arn:aws:dynamodb:{REGION}:000000000000:table/nonexistent_table_xyz"
    with failing("AccessDeniedException"):
        client.list_tags_of_resource(ResourceArn=foreign)
    with failing("AccessDeniedException"):
        client.describe_table(TableName=foreign)


def test_the_account_can_be_chosen(start_server, failing):
    server = start_server("--ephemeral", "--account", "111122223333", "--control-plane-delay", "10")
    client = make_client(server.endpoint)
    create(client, "pk:S", name="music")
    assert client.describe_table(TableName="music")["Table"]["TableArn"] == f"arn:aws:dynamodb:{REGION}:111122223333:table/music"
    with failing("AccessDeniedException"):
        client.describe_table(TableName=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/music")


# ---- streams ----


def test_streams_need_rights_of_their_own(secured):
    one, two = TABLE + "one/stream/*", TABLE + "two/stream/*"
    server = secured(
        key("reader", allow(["dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"], one)),
        key("taker", allow("dynamodb:GetRecords", two)),
        key("lister", allow("dynamodb:ListStreams")),
        key("nobody", allow("dynamodb:*", [TABLE + "one", TABLE + "two"])),
    )
    admin = client_of(server, "admin")
    for name in ("one", "two"):
        create(admin, "pk:S", name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    arns = {name: admin.describe_table(TableName=name)["Table"]["LatestStreamArn"] for name in ("one", "two")}
    streams = {k: client_of(server, k, service="dynamodbstreams") for k in ("admin", "reader", "taker", "lister", "nobody")}

    def iterator(client, name):
        shard = streams["admin"].describe_stream(StreamArn=arns[name])["StreamDescription"]["Shards"][0]["ShardId"]
        return client.get_shard_iterator(StreamArn=arns[name], ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]

    mine, theirs = iterator(streams["reader"], "one"), iterator(streams["admin"], "two")
    assert streams["reader"].get_records(ShardIterator=mine)["Records"] == []
    assert streams["taker"].get_records(ShardIterator=theirs)["Records"] == []
    assert len(streams["lister"].list_streams()["Streams"]) == 2
    for client, call, parameters, action, resource in (
        ("reader", "get_records", {"ShardIterator": theirs}, "GetRecords", arns["two"]),
        ("reader", "describe_stream", {"StreamArn": arns["two"]}, "DescribeStream", arns["two"]),
        ("reader", "list_streams", {}, "ListStreams", TABLE + "*/stream/*"),
        ("taker", "get_records", {"ShardIterator": mine}, "GetRecords", arns["one"]),
        ("nobody", "describe_stream", {"StreamArn": arns["one"]}, "DescribeStream", arns["one"]),
        ("nobody", "get_records", {"ShardIterator": mine}, "GetRecords", arns["one"]),
    ):
        error = refused(getattr(streams[client], call), **parameters)
        assert error["Code"] == "AccessDeniedException"
        assert f"is not authorized to perform: dynamodb:{action} on resource: {resource} because" in error["Message"]
    # an iterator's owner cannot be changed with its beginning
    forged = arns["one"] + theirs[len(arns["two"]) :]
    assert refused(streams["reader"].get_records, ShardIterator=forged)["Message"] == "Invalid ShardIterator"


def test_a_streams_policy_decides_with_the_callers(secured):
    stranger = "arn:aws:iam::210987654321:user/stranger"
    server = secured(
        key("nobody", UserName="nobody"),
        {"AccessKeyId": "stranger", "SecretAccessKey": SECRET, "Arn": stranger, "Policies": [document(allow("dynamodb:*"))]},
        key("reader", allow("dynamodb:*")),
    )
    admin = client_of(server, "admin")
    create(admin, "pk:S", "one", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    arn = admin.describe_table(TableName="one")["Table"]["LatestStreamArn"]
    streams = {k: client_of(server, k, service="dynamodbstreams") for k in ("admin", "reader", "stranger", "nobody")}

    def describes(who):
        try:
            streams[who].describe_stream(StreamArn=arn)
            return True
        except ClientError as e:
            assert e.response["Error"]["Code"] == "AccessDeniedException"
            return False

    def put(*statements, **more):
        return admin.put_resource_policy(ResourceArn=arn, Policy=json.dumps(document(*statements)), **more)

    assert [describes(k) for k in ("reader", "stranger", "nobody")] == [True, False, False]
    error = refused(streams["stranger"].describe_stream, StreamArn=arn)
    assert "because no resource-based policy allows the dynamodb:DescribeStream action" in error["Message"]
    actions = ["dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"]
    everyone = {"AWS": [stranger, f"arn:aws:iam::{ACCOUNT}:user/nobody"]}
    assert refused(admin.get_resource_policy, ResourceArn=arn)["Code"] == "PolicyNotFoundException"
    first = put({**allow(actions, arn), "Principal": everyone})["RevisionId"]
    assert [describes(k) for k in ("reader", "stranger", "nobody")] == [True, True, True]
    shard = streams["stranger"].describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams["stranger"].get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="LATEST")
    streams["nobody"].get_records(ShardIterator=iterator["ShardIterator"])
    # the table's rights are others
    assert refused(client_of(server, "nobody").describe_table, TableName="one")["Code"] == "AccessDeniedException"
    assert refused(client_of(server, "nobody").get_resource_policy, ResourceArn=arn)["Code"] == "AccessDeniedException"
    put({**allow(actions, arn), "Effect": "Deny", "Principal": "*"}, ExpectedRevisionId=first)
    assert [describes(k) for k in ("admin", "reader", "stranger", "nobody")] == [False] * 4
    error = refused(streams["reader"].describe_stream, StreamArn=arn)
    assert error["Message"].endswith("with an explicit deny in a resource-based policy")
    assert refused(admin.put_resource_policy, ResourceArn=arn, ExpectedRevisionId=first, Policy=json.dumps(
        document({**allow(actions, arn), "Principal": everyone})))["Code"] == "PolicyNotFoundException"
    for bad, words in (
        ({**allow("dynamodb:GetItem", arn), "Principal": everyone}, "action names are invalid"),
        ({**allow(actions, TABLE + "one"), "Principal": everyone}, "relative-id"),
    ):
        assert words in refused(admin.put_resource_policy, ResourceArn=arn, Policy=json.dumps(document(bad)))["Message"]
    locks = {**allow("dynamodb:PutResourcePolicy", arn), "Effect": "Deny", "Principal": "*"}
    assert refused(admin.put_resource_policy, ResourceArn=arn, Policy=json.dumps(document(locks)))["Code"] == "AccessDeniedException"
    missing = arn[:-1] + ("0" if arn[-1] != "0" else "1")
    for call in (admin.get_resource_policy, admin.delete_resource_policy):
        error = refused(call, ResourceArn=missing)
        assert error["Code"] == "ResourceNotFoundException"
        assert error["Message"] == f"Requested resource not found: Stream: {missing.rsplit('/', 1)[1]} not found for Table: one"
    assert "RevisionId" in admin.delete_resource_policy(ResourceArn=arn)
    assert [describes(k) for k in ("admin", "reader", "stranger", "nobody")] == [True, True, False, False]


def test_a_streams_policy_is_kept_with_the_stream(start_server, tmp_path):
    statement = {**allow("dynamodb:GetRecords"), "Principal": {"AWS": ACCOUNT}}
    server = start_server("--data", tmp_path / "kept", "--test-controls")
    client = make_client(server.endpoint)
    create(client, "pk:S", "kept", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    arn = client.describe_table(TableName="kept")["Table"]["LatestStreamArn"]
    statement["Resource"] = arn
    revision = client.put_resource_policy(ResourceArn=arn, Policy=json.dumps(document(statement)))["RevisionId"]
    client.delete_table(TableName="kept")
    server.process.kill()
    server.process.wait()
    server.expected_code = -9
    server = start_server("--data", tmp_path / "kept", "--test-controls")
    client = make_client(server.endpoint)
    assert client.get_resource_policy(ResourceArn=arn)["RevisionId"] == revision  # a stream outlives its table
    create(client, "pk:S", "kept", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    new = client.describe_table(TableName="kept")["Table"]["LatestStreamArn"]
    assert refused(client.get_resource_policy, ResourceArn=new)["Code"] == "PolicyNotFoundException"
    client.delete_resource_policy(ResourceArn=arn)
    assert refused(client.get_resource_policy, ResourceArn=arn)["Code"] == "PolicyNotFoundException"

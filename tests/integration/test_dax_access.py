"""What a caller may do through DAX: dax: rights on the cluster, as Amazon's own, and without them those on the tables."""

import json

import pytest

import dax_client
from conftest import create, make_client
from test_access import ACCOUNT, REGION, SECRET, TABLE, allow, deny, key, secured, write_keys  # noqa: F401

CLUSTER = f"arn:aws:dax:{REGION}:{ACCOUNT}:cache/stator"
READS = ["dax:GetItem", "dax:BatchGetItem", "dax:Query", "dax:Scan"]


@pytest.fixture
def node(secured):  # noqa: F811
    """node(key, ...) -> connect(name, secret): a DAX connection as one of the keys; tables users and other hold an item a."""
    clients = []

    def start(*keys, args=()):
        server = secured(*keys, args=("--ephemeral", "--dax-listen", "127.0.0.1:0", *args))
        admin = make_client(server.endpoint, access_key="admin", secret_key=SECRET)
        for name in ("users", "other"):
            create(admin, "pk:S", name)
            admin.put_item(TableName=name, Item={"pk": {"S": "a"}, "v": {"S": "x"}})

        def connect(name, address=None):
            client = dax_client.DaxClient(address or server.health()["dax"], access_key=name, secret_key=SECRET)
            clients.append(client)
            return client

        connect.server, connect.admin = server, admin
        return connect

    yield start
    for client in clients:
        client.close()


def refused(call, *arguments):
    with pytest.raises(dax_client.DaxError) as failure:
        call(*arguments)
    assert failure.value.codes == [4, 37, 38, 42], failure.value
    return str(failure.value)


def hits(connect):
    return connect.server.metric("stator_dax_cache_hits_total", node="serve", cache="item", table="users") or 0


def test_rights_on_the_cluster_are_enough_and_served_from_the_cache(node):
    connect = node(key("reader", allow(READS, CLUSTER)), key("writer", allow(["dax:PutItem", "dax:ConditionCheckItem"], CLUSTER)))
    reader, writer = connect("reader"), connect("writer")
    before = hits(connect)
    for _ in range(3):
        assert reader.get("users", "a") == {"v": "x"}
    assert hits(connect) == before + 2
    assert reader.batch_get("users", ["a"]) == {"a": {"v": "x"}}
    assert reader.scan("other") == {"a": {"v": "x"}}
    writer.put("users", "b", {"v": "y"})
    assert reader.get("users", "b") == {"v": "y"}
    for call, action in (
        (lambda: reader.put("users", "a", {}), "PutItem"),
        (lambda: reader.delete("users", "a"), "DeleteItem"),
        (lambda: reader.batch_write("users", {"a": None}), "BatchWriteItem"),
        (lambda: writer.get("users", "a"), "GetItem"),
        (lambda: writer.update("users", "a", "v", "z"), "UpdateItem"),
        (lambda: writer.scan("users"), "Scan"),
    ):
        assert f"is not authorized to perform: dynamodb:{action} on resource: {TABLE}users because" in refused(call)
    assert connect.admin.get_item(TableName="users", Key={"pk": {"S": "a"}})["Item"]["v"] == {"S": "x"}
    writer.transact_put("users", {"c": {"v": "1"}})
    refused(reader.transact_put, "users", {"c": {"v": "2"}})
    # a policy of the table is of those who come to the table
    with pytest.raises(connect.admin.exceptions.ClientError):
        make_client(connect.server.endpoint, access_key="reader", secret_key=SECRET).scan(TableName="users")


def test_a_denied_right_on_the_cluster_denies_whatever_is_allowed_on_the_table(node):
    connect = node(key("both", allow("dynamodb:*"), deny("dax:GetItem", CLUSTER)), key("other", allow(READS, CLUSTER + "2")))
    both, other = connect("both"), connect("other")
    assert refused(both.get, "users", "a") == (
        f"User: arn:aws:iam::{ACCOUNT}:user/both is not authorized to perform: dax:GetItem on resource: {CLUSTER} "
        "with an explicit deny in an identity-based policy"
    )
    assert both.scan("users") == {"a": {"v": "x"}}
    refused(other.get, "users", "a")  # of another cluster


def test_conditions_of_rights_on_the_cluster(node):
    within = {"Condition": {"StringEquals": {"dax:EnclosingOperation": "TransactWriteItems"}}}
    connect = node(
        key("near", allow(READS, CLUSTER, Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}})),
        key("far", allow(READS, CLUSTER, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})),
        key("soon", allow(READS, CLUSTER, Condition={"DateLessThan": {"aws:CurrentTime": "2126-01-01T00:00:00Z"}})),
        key("inside", allow("dax:PutItem", CLUSTER, **within)),
    )
    near, far, soon, inside = (connect(name) for name in ("near", "far", "soon", "inside"))
    before = hits(connect)
    assert near.get("users", "a") == near.get("users", "a") == {"v": "x"}
    assert hits(connect) == before + 1
    refused(far.get, "users", "a")
    assert soon.get("users", "a") == {"v": "x"}
    assert hits(connect) == before + 1  # what depends on the time is asked each time
    inside.transact_put("users", {"t": {"v": "1"}})
    refused(inside.put, "users", "t", {"v": "2"})


def test_keys_of_tables_are_told_only_to_those_who_may_use_them(node):
    connect = node(
        key("one", allow("dynamodb:GetItem", TABLE + "users")),
        key("index", allow("dynamodb:Query", TABLE + "users/index/by")),
        key("cluster", allow("dax:Query", CLUSTER)),
        key("tables", allow("dynamodb:DescribeTable")),
    )
    schema = lambda client, table: client.call(-742646399, table.encode())  # noqa: E731
    for name in ("one", "index", "cluster", "admin"):
        assert schema(connect(name), "users") == {"pk": "S"}
    assert schema(connect("cluster"), "other") == {"pk": "S"}
    for name, table in (("one", "other"), ("index", "other"), ("tables", "users")):
        assert "not authorized" in refused(schema, connect(name), table)
    arn = TABLE + "other"
    statement = allow("dynamodb:GetItem", arn, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/one"})
    connect.admin.put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert schema(connect("one"), "other") == {"pk": "S"}


def test_clusters_of_the_control_plane_have_their_names(node):
    connect = node(key("orders", allow(READS, f"arn:aws:dax:{REGION}:{ACCOUNT}:cache/orders")), args=("--dax-ports", "0"))
    dax = make_client(connect.server.endpoint, access_key="admin", secret_key=SECRET, service="dax")
    addresses = []
    for name in ("orders", "others"):
        cluster = dax.create_cluster(ClusterName=name, NodeType="dax.r5.large", ReplicationFactor=1,
                                     IamRoleArn=f"arn:aws:iam::{ACCOUNT}:role/dax")["Cluster"]
        while cluster["Status"] != "available":
            cluster = dax.describe_clusters(ClusterNames=[name])["Clusters"][0]
        endpoint = cluster["ClusterDiscoveryEndpoint"]
        addresses.append(f"{endpoint['Address']}:{endpoint['Port']}")
    assert connect("orders", addresses[0]).get("users", "a") == {"v": "x"}
    refused(connect("orders", addresses[1]).get, "users", "a")

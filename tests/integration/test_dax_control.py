"""The DAX control plane by boto3's `dax` client: what it says, and that nodes really start, stop and change."""

import datetime
import json
import time

import boto3
import pytest
from botocore.exceptions import ClientError

from conftest import make_client
from dax_nodes import Load, free_range, run_js
from test_dax_cluster import PUT_GET, check_put_get, hardly_noticed, make_users, until, went_on

ROLE = "arn:aws:iam::123456789012:role/dax"


@pytest.fixture(scope="module")
def server(start_server_session):
    return start_server_session("--ephemeral", "--dax-ports", "0")


@pytest.fixture(scope="module")
def dax(server):
    return make_client(server.endpoint, service="dax")


@pytest.fixture
def make_cluster(dax):
    names = []

    def make(name, nodes=1, **kwargs):
        names.append(name)
        dax.create_cluster(ClusterName=name, NodeType="dax.r5.large", ReplicationFactor=nodes, IamRoleArn=ROLE, **kwargs)
        return available(dax, name)

    yield make
    for name in names:
        try:
            available(dax, name)
            dax.delete_cluster(ClusterName=name)
        except ClientError as e:
            assert e.response["Error"]["Code"] == "ClusterNotFoundFault"


def describe(dax, name):
    return dax.describe_clusters(ClusterNames=[name])["Clusters"][0]


def available(dax, name):
    until(lambda: describe(dax, name)["Status"] == "available")
    return describe(dax, name)


def gone(dax, name):
    try:
        describe(dax, name)
        return False
    except ClientError as e:
        return e.response["Error"]["Code"] == "ClusterNotFoundFault"


def refused(code, call, **kwargs):
    with pytest.raises(ClientError) as failure:
        call(**kwargs)
    assert failure.value.response["Error"]["Code"] == code, failure.value
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return failure.value.response["Error"]["Message"]


def create_args(**kwargs):
    return {"ClusterName": "x", "NodeType": "dax.r5.large", "ReplicationFactor": 1, "IamRoleArn": ROLE, **kwargs}


# ---- clusters ----


def test_a_cluster_is_made_described_and_used(server, dax, make_cluster):
    made = dax.create_cluster(**create_args(ClusterName="Orders", ReplicationFactor=3, Description="d",
                                            Tags=[{"Key": "k", "Value": "v"}]))["Cluster"]
    assert made["ClusterName"] == "orders" and made["Status"] == "creating" and made["ActiveNodes"] == 0
    assert "Nodes" not in made
    cluster = available(dax, "ORDERS")
    assert cluster["ClusterArn"] == "arn:aws:dax:us-east-1:123456789012:cache/orders"
    assert cluster["TotalNodes"] == cluster["ActiveNodes"] == 3 and cluster["Description"] == "d"
    assert cluster["ParameterGroup"] == {"ParameterGroupName": "default.dax1.0", "ParameterApplyStatus": "in-sync",
                                         "NodeIdsToReboot": []}
    assert cluster["SubnetGroup"] == "default" and cluster["IamRoleArn"] == ROLE
    assert cluster["SSEDescription"] == {"Status": "DISABLED"} and cluster["ClusterEndpointEncryptionType"] == "NONE"
    assert [n["NodeId"] for n in cluster["Nodes"]] == ["orders-a", "orders-b", "orders-c"]
    assert len({n["AvailabilityZone"] for n in cluster["Nodes"]}) == 3
    assert len({n["Endpoint"]["Port"] for n in cluster["Nodes"]} | {cluster["ClusterDiscoveryEndpoint"]["Port"]}) == 4
    make_users(make_client(server.endpoint))
    check_put_get(run_js(PUT_GET, cluster["ClusterDiscoveryEndpoint"]["URL"]))
    # what went through one node is in the caches of all
    for node in ("orders-a", "orders-b", "orders-c"):
        until(lambda: server.metric("stator_dax_cache_entries", node=node, cache="item") >= 1)
    dax.delete_cluster(ClusterName="orders")
    until(lambda: gone(dax, "orders"))
    assert server.metric("stator_dax_cache_entries", node="orders-a", cache="item") is None


def test_nodes_are_added_and_removed(dax, make_cluster):
    make_cluster("grow", 1)
    refused("InvalidParameterValueException", dax.increase_replication_factor, ClusterName="grow", NewReplicationFactor=1)
    answer = dax.increase_replication_factor(ClusterName="grow", NewReplicationFactor=3,
                                             AvailabilityZones=["us-east-1b", "us-east-1c"])["Cluster"]
    assert answer["Status"] == "modifying" and answer["TotalNodes"] == 3
    cluster = available(dax, "grow")
    assert [n["AvailabilityZone"] for n in cluster["Nodes"]][1:] == ["us-east-1b", "us-east-1c"]
    refused("NodeNotFoundFault", dax.decrease_replication_factor, ClusterName="grow", NewReplicationFactor=2,
            NodeIdsToRemove=["grow-z"])
    refused("InvalidParameterValueException", dax.decrease_replication_factor, ClusterName="grow", NewReplicationFactor=0)
    answer = dax.decrease_replication_factor(ClusterName="grow", NewReplicationFactor=2, NodeIdsToRemove=["grow-a"])
    assert answer["Cluster"]["NodeIdsToRemove"] == ["grow-a"]
    cluster = available(dax, "grow")
    assert [n["NodeId"] for n in cluster["Nodes"]] == ["grow-b", "grow-c"]
    dax.increase_replication_factor(ClusterName="grow", NewReplicationFactor=3)
    assert [n["NodeId"] for n in available(dax, "grow")["Nodes"]] == ["grow-b", "grow-c", "grow-d"]


def restart_under_load(server, dax, make_cluster, name):
    """What clients saw meanwhile."""
    make_users(make_client(server.endpoint), name)
    cluster = make_cluster(name, 3)
    load = Load([cluster["ClusterDiscoveryEndpoint"]["URL"]], name, 9)
    time.sleep(1)
    before = server.metric("stator_dax_cache_entries", node=f"{name}-a", cache="item")
    answer = dax.reboot_node(ClusterName=name, NodeId=f"{name}-a")["Cluster"]
    assert [n["NodeStatus"] for n in answer["Nodes"]] == ["rebooting", "available", "available"]
    refused("InvalidClusterStateFault", dax.reboot_node, ClusterName=name, NodeId=f"{name}-b")
    assert describe(dax, name)["ActiveNodes"] == 2
    available(dax, name)
    seen = load.result()
    print(seen)
    assert server.metric("stator_dax_cache_entries", node=f"{name}-a", cache="item") >= before  # it keeps what it has
    messages = [e["Message"] for e in dax.describe_events(SourceName=name)["Events"]]
    assert f"Restarted node {name}-a" in messages
    refused("NodeNotFoundFault", dax.reboot_node, ClusterName=name, NodeId=f"{name}-z")
    return seen


def test_a_node_restarts_while_clients_go_on(server, dax, make_cluster):
    seen = restart_under_load(server, dax, make_cluster, "boot")
    assert seen["wrong"] == 0 and went_on(seen), seen


@pytest.mark.figures
def test_clients_hardly_notice_a_restart(server, dax, make_cluster):
    hardly_noticed(restart_under_load(server, dax, make_cluster, "again"))


def test_clusters_come_back_with_the_server(start_server, tmp_path):
    port = free_range()  # not from those that others get by chance while the server is gone
    options = ("--data", tmp_path / "data", "--control-plane-delay", "20", "--dax-ports", f"{port}-{port + 7}")
    server = start_server(*options)
    dax = make_client(server.endpoint, service="dax")
    dax.create_parameter_group(ParameterGroupName="mine", Description="d")
    dax.update_parameter_group(ParameterGroupName="mine", ParameterNameValues=[
        {"ParameterName": "record-ttl-millis", "ParameterValue": "0"}])
    dax.create_subnet_group(SubnetGroupName="nets", SubnetIds=["subnet-1", "subnet-2"])
    dax.create_cluster(**create_args(ClusterName="kept", ReplicationFactor=2, ParameterGroupName="mine",
                                     SubnetGroupName="nets", Tags=[{"Key": "k", "Value": "v"}]))
    before = available(dax, "kept")
    make_users(make_client(server.endpoint))
    check_put_get(run_js(PUT_GET, before["ClusterDiscoveryEndpoint"]["URL"]))
    dax.create_cluster(**create_args(ClusterName="dying"))
    available(dax, "dying")
    dax.delete_cluster(ClusterName="dying")
    server.kill()
    again = start_server(*options)
    dax = make_client(again.endpoint, service="dax")
    assert available(dax, "kept") == before  # its ports, too
    assert dax.list_tags(ResourceName=before["ClusterArn"])["Tags"] == [{"Key": "k", "Value": "v"}]
    values = {p["ParameterName"]: (p["ParameterValue"], p["Source"])
              for p in dax.describe_parameters(ParameterGroupName="mine")["Parameters"]}
    assert values == {"record-ttl-millis": ("0", "user"), "query-ttl-millis": ("300000", "system")}
    assert [g["SubnetGroupName"] for g in dax.describe_subnet_groups()["SubnetGroups"]] == ["default", "nets"]
    until(lambda: gone(dax, "dying"))
    item = run_js('return await dax.getItem({ TableName: "users", Key: { pk: { S: "a" } } });',
                  before["ClusterDiscoveryEndpoint"]["URL"])["Item"]
    assert item["n"] == {"N": "1"}


@pytest.mark.parametrize("code, change", [
    ("InvalidParameterValueException", {"ClusterName": "1x"}),
    ("InvalidParameterValueException", {"ClusterName": "x--y"}),
    ("InvalidParameterValueException", {"ClusterName": "x-"}),
    ("InvalidParameterValueException", {"ClusterName": "x" * 21}),
    ("InvalidParameterValueException", {"ClusterName": "x_y"}),
    ("InvalidParameterValueException", {"NodeType": "dax.r5.tiny"}),
    ("InvalidParameterValueException", {"ReplicationFactor": 0}),
    ("NodeQuotaForClusterExceededFault", {"ReplicationFactor": 11}),
    ("InvalidParameterCombinationException", {"AvailabilityZones": ["us-east-1a", "us-east-1b"]}),
    ("InvalidParameterValueException", {"AvailabilityZones": ["eu-west-1a"]}),
    ("InvalidParameterValueException", {"IamRoleArn": "n/a"}),
    ("InvalidParameterValueException", {"PreferredMaintenanceWindow": "sun:05:00-sun:05:30"}),
    ("InvalidParameterValueException", {"PreferredMaintenanceWindow": "someday"}),
    ("InvalidParameterValueException", {"NotificationTopicArn": "arn:aws:sns:us-east-1:123456789012:t"}),
    ("InvalidParameterValueException", {"NetworkType": "ipv6"}),
    ("InvalidParameterValueException", {"SecurityGroupIds": ["nonsense"]}),
    ("InvalidParameterCombinationException", {"ClusterEndpointEncryptionType": "TLS"}),
    ("SubnetGroupNotFoundFault", {"SubnetGroupName": "nowhere"}),
    ("ParameterGroupNotFoundFault", {"ParameterGroupName": "nowhere"}),
    ("TagQuotaPerResourceExceeded", {"Tags": [{"Key": f"k{i}", "Value": ""} for i in range(51)]}),
])
def test_a_cluster_that_cannot_be_is_refused(dax, code, change):
    refused(code, dax.create_cluster, **create_args(**change))
    assert gone(dax, "x")


def test_words_known_of_the_original(dax):
    assert refused("InvalidParameterValueException", dax.create_cluster, **create_args(IamRoleArn="arn:sth")) == (
        "Second colon partition not found: arn:sth")
    assert refused("ClusterNotFoundFault", dax.describe_clusters, ClusterNames=["unknown"]) == "Cluster unknown not found."
    assert refused("ClusterNotFoundFault", dax.delete_cluster, ClusterName="unknown") == "Cluster not found."


def test_the_name_is_taken_and_states_are_kept_to(dax, make_cluster):
    make_cluster("twice")
    refused("ClusterAlreadyExistsFault", dax.create_cluster, **create_args(ClusterName="TWICE"))
    for call in (dax.update_cluster, dax.delete_cluster):
        refused("ClusterNotFoundFault", call, ClusterName="unknown")


def test_a_cluster_is_changed(dax, make_cluster):
    make_cluster("chg")
    dax.create_parameter_group(ParameterGroupName="chg-group")
    cluster = dax.update_cluster(ClusterName="chg", Description="new", PreferredMaintenanceWindow="sun:23:30-mon:00:30",
                                 ParameterGroupName="chg-group", SecurityGroupIds=["sg-1", "sg-2"])["Cluster"]
    assert cluster["Description"] == "new" and cluster["PreferredMaintenanceWindow"] == "sun:23:30-mon:00:30"
    assert cluster["ParameterGroup"]["ParameterGroupName"] == "chg-group"
    assert [g["SecurityGroupIdentifier"] for g in cluster["SecurityGroups"]] == ["sg-1", "sg-2"]
    refused("ParameterGroupNotFoundFault", dax.update_cluster, ClusterName="chg", ParameterGroupName="nowhere")
    refused("InvalidParameterValueException", dax.update_cluster, ClusterName="chg", NotificationTopicStatus="active")
    refused("InvalidParameterGroupStateFault", dax.delete_parameter_group, ParameterGroupName="chg-group")
    dax.delete_cluster(ClusterName="chg")
    until(lambda: gone(dax, "chg"))
    assert dax.delete_parameter_group(ParameterGroupName="chg-group")["DeletionMessage"] == (
        "Parameter group chg-group has been deleted.")


def test_clusters_are_told_in_pages(dax, make_cluster):
    for i in range(21):
        make_cluster(f"page-{i:02}")
    first = dax.describe_clusters(MaxResults=20)
    second = dax.describe_clusters(MaxResults=20, NextToken=first["NextToken"])
    names = [c["ClusterName"] for c in first["Clusters"] + second["Clusters"]]
    assert len(first["Clusters"]) == 20 and "NextToken" not in second and names == sorted(names)
    assert {f"page-{i:02}" for i in range(21)} <= set(names)
    refused("InvalidParameterValueException", dax.describe_clusters, MaxResults=19)
    refused("InvalidParameterValueException", dax.describe_clusters, MaxResults=101)


# ---- parameters ----


def test_parameters_act_at_once(server, dax, make_cluster):
    try:
        make_users(make_client(server.endpoint), "ttls")
    except ClientError:
        pass
    dax.create_parameter_group(ParameterGroupName="fast")
    url = make_cluster("ttl", ParameterGroupName="fast")["ClusterDiscoveryEndpoint"]["URL"]
    seen = run_js("""
        const key = { pk: { S: "a" } };
        await dax.putItem({ TableName: "ttls", Item: { ...key, n: { N: "1" } } });
        await dax.query({ TableName: "ttls", KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": key.pk } });
        return 1;
    """, url)
    make_client(server.endpoint).put_item(TableName="ttls", Item={"pk": {"S": "a"}, "n": {"N": "2"}})  # past the cache
    read = """
        const key = { pk: { S: "a" } };
        const item = await dax.getItem({ TableName: "ttls", Key: key });
        const page = await dax.query({ TableName: "ttls", KeyConditionExpression: "pk = :p",
            ExpressionAttributeValues: { ":p": key.pk } });
        return [item.Item.n.N, page.Items[0].n.N];
    """
    assert run_js(read, url) == ["1", "1"]
    dax.update_parameter_group(ParameterGroupName="fast", ParameterNameValues=[
        {"ParameterName": "query-ttl-millis", "ParameterValue": "0"}])
    assert run_js(read, url) == ["1", "2"]
    dax.update_parameter_group(ParameterGroupName="fast", ParameterNameValues=[
        {"ParameterName": "record-ttl-millis", "ParameterValue": "1"}])
    assert run_js(read, url) == ["2", "2"]
    dax.delete_cluster(ClusterName="ttl")
    until(lambda: gone(dax, "ttl"))
    dax.delete_parameter_group(ParameterGroupName="fast")


def test_parameter_groups(dax):
    default = dax.describe_default_parameters()["Parameters"]
    assert {p["ParameterName"]: p["ParameterValue"] for p in default} == {"query-ttl-millis": "300000",
                                                                        "record-ttl-millis": "300000"}
    assert all(p["ChangeType"] == "IMMEDIATE" and p["IsModifiable"] == "TRUE" and p["Source"] == "system" for p in default)
    assert dax.create_parameter_group(ParameterGroupName="Pg-1", Description="d")["ParameterGroup"] == {
        "ParameterGroupName": "pg-1", "Description": "d"}
    refused("ParameterGroupAlreadyExistsFault", dax.create_parameter_group, ParameterGroupName="pg-1")
    refused("InvalidParameterValueException", dax.create_parameter_group, ParameterGroupName="-")
    for bad in ("-1", "x", "", "2147483648", "1.5", "99999999999999999999999"):
        refused("InvalidParameterValueException", dax.update_parameter_group, ParameterGroupName="pg-1",
                ParameterNameValues=[{"ParameterName": "query-ttl-millis", "ParameterValue": bad}])
    refused("InvalidParameterValueException", dax.update_parameter_group, ParameterGroupName="pg-1",
            ParameterNameValues=[{"ParameterName": "nothing", "ParameterValue": "1"}])
    dax.update_parameter_group(ParameterGroupName="pg-1", ParameterNameValues=[
        {"ParameterName": "query-ttl-millis", "ParameterValue": "5"}])
    user = dax.describe_parameters(ParameterGroupName="pg-1", Source="user")["Parameters"]
    assert [(p["ParameterName"], p["ParameterValue"]) for p in user] == [("query-ttl-millis", "5")]
    refused("InvalidParameterGroupStateFault", dax.update_parameter_group, ParameterGroupName="default.dax1.0",
            ParameterNameValues=[{"ParameterName": "query-ttl-millis", "ParameterValue": "5"}])
    refused("InvalidParameterGroupStateFault", dax.delete_parameter_group, ParameterGroupName="default.dax1.0")
    assert dax.describe_parameters(ParameterGroupName="default.dax.1.0")["Parameters"] == default
    refused("ParameterGroupNotFoundFault", dax.describe_parameters, ParameterGroupName="nowhere")
    refused("ParameterGroupNotFoundFault", dax.describe_parameter_groups, ParameterGroupNames=["pg-1", "nowhere"])
    dax.delete_parameter_group(ParameterGroupName="pg-1")
    names = [g["ParameterGroupName"] for g in dax.describe_parameter_groups()["ParameterGroups"]]
    assert "default.dax1.0" in names and "pg-1" not in names


def test_a_region_has_twenty_parameter_groups(dax):
    room = 20 - (len(dax.describe_parameter_groups()["ParameterGroups"]) - 1)
    for i in range(room):
        dax.create_parameter_group(ParameterGroupName=f"many-{i}")
    refused("ParameterGroupQuotaExceededFault", dax.create_parameter_group, ParameterGroupName="one-more")
    for i in range(room):
        dax.delete_parameter_group(ParameterGroupName=f"many-{i}")


# ---- subnet groups, tags, events ----


def test_subnet_groups(dax, make_cluster):
    group = dax.create_subnet_group(SubnetGroupName="Nets", Description="d", SubnetIds=["subnet-a1", "subnet-b2"])["SubnetGroup"]
    assert group["SubnetGroupName"] == "nets" and group["Description"] == "d"
    assert [s["SubnetIdentifier"] for s in group["Subnets"]] == ["subnet-a1", "subnet-b2"]
    assert all(s["SubnetAvailabilityZone"].startswith("us-east-1") for s in group["Subnets"])
    refused("SubnetGroupAlreadyExistsFault", dax.create_subnet_group, SubnetGroupName="nets", SubnetIds=["subnet-a1"])
    refused("InvalidSubnet", dax.create_subnet_group, SubnetGroupName="other", SubnetIds=["net"])
    refused("SubnetQuotaExceededFault", dax.create_subnet_group, SubnetGroupName="other",
            SubnetIds=[f"subnet-{i}" for i in range(21)])
    group = dax.update_subnet_group(SubnetGroupName="nets", SubnetIds=["subnet-c3"])["SubnetGroup"]
    assert [s["SubnetIdentifier"] for s in group["Subnets"]] == ["subnet-c3"] and group["Description"] == "d"
    make_cluster("in-nets", SubnetGroupName="NETS")
    assert describe(dax, "in-nets")["SubnetGroup"] == "nets"
    refused("SubnetGroupInUseFault", dax.delete_subnet_group, SubnetGroupName="nets")
    dax.delete_cluster(ClusterName="in-nets")
    until(lambda: gone(dax, "in-nets"))
    assert dax.delete_subnet_group(SubnetGroupName="nets")["DeletionMessage"] == "Subnet group nets has been deleted."
    refused("SubnetGroupNotFoundFault", dax.delete_subnet_group, SubnetGroupName="nets")
    refused("SubnetGroupNotFoundFault", dax.describe_subnet_groups, SubnetGroupNames=["nets"])


def test_tags(dax, make_cluster):
    arn = make_cluster("tagged", Tags=[{"Key": "a", "Value": "1"}])["ClusterArn"]
    dax.tag_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    assert dax.list_tags(ResourceName=arn)["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    assert dax.untag_resource(ResourceName=arn, TagKeys=["a", "z"])["Tags"] == [{"Key": "a", "Value": "2"}]
    assert dax.list_tags(ResourceName=arn)["Tags"] == [{"Key": "b", "Value": ""}]
    refused("TagNotFoundFault", dax.untag_resource, ResourceName=arn, TagKeys=["z"])
    refused("TagQuotaPerResourceExceeded", dax.tag_resource, ResourceName=arn,
            Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])
    refused("InvalidParameterValueException", dax.tag_resource, ResourceName=arn, Tags=[{"Key": "aws:x", "Value": ""}])
    refused("InvalidARNFault", dax.list_tags, ResourceName="arn:aws:dax:eu-west-1:123456789012:cache/tagged")
    refused("ClusterNotFoundFault", dax.list_tags, ResourceName=arn + "x")


def test_events_by_source_and_time(dax, make_cluster):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    make_cluster("eventful", 2)
    dax.create_parameter_group(ParameterGroupName="event-group")
    dax.delete_parameter_group(ParameterGroupName="event-group")
    mine = dax.describe_events(SourceName="eventful", SourceType="CLUSTER")["Events"]
    assert [e["Message"] for e in mine][0] == "Cluster created."
    assert sum("Added node eventful-" in e["Message"] for e in mine) == 2
    assert all(e["SourceName"] == "eventful" and e["Date"] >= before for e in mine)
    assert dax.describe_events(SourceName="eventful", SourceType="PARAMETER_GROUP")["Events"] == []
    groups = dax.describe_events(SourceName="event-group")["Events"]
    assert [e["SourceType"] for e in groups] == ["PARAMETER_GROUP"] * 2
    assert dax.describe_events(EndTime=before - datetime.timedelta(hours=1))["Events"] == []
    assert len(dax.describe_events(StartTime=before, Duration=5, SourceName="eventful")["Events"]) == 3
    refused("InvalidParameterCombinationException", dax.describe_events, StartTime=before, EndTime=before, Duration=5)
    refused("InvalidParameterValueException", dax.describe_events, StartTime=before + datetime.timedelta(hours=1))
    pages, token = [], {}
    while True:
        page = dax.describe_events(MaxResults=20, **token)
        pages += page["Events"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert pages[:100] == dax.describe_events(MaxResults=100)["Events"][: len(pages)]


# ---- where it stops ----


def test_ports_that_are_used_up(start_server):
    from dax_nodes import free_ports

    (port,) = free_ports(1, 2)
    server = start_server("--ephemeral", "--dax-ports", f"{port}-{port + 2}")
    dax = make_client(server.endpoint, service="dax")
    refused("InsufficientClusterCapacityFault", dax.create_cluster, **create_args(ClusterName="big", ReplicationFactor=3))
    dax.create_cluster(**create_args(ClusterName="big", ReplicationFactor=2))  # nothing of the other one is left
    ports = [n["Endpoint"]["Port"] for n in available(dax, "big")["Nodes"]]
    assert set(ports) <= {port, port + 1, port + 2}
    refused("InsufficientClusterCapacityFault", dax.increase_replication_factor, ClusterName="big", NewReplicationFactor=3)
    assert available(dax, "big")["TotalNodes"] == 2


def test_rights_on_clusters(start_server, tmp_path):
    credentials = tmp_path / "keys"
    credentials.write_text(json.dumps({"Keys": [
        {"AccessKeyId": "ROOT", "SecretAccessKey": "root-secret"},
        {"AccessKeyId": "SOME", "SecretAccessKey": "some-secret", "UserName": "some", "Policies": [{
            "Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["dax:CreateCluster", "dax:DescribeClusters"],
                 "Resource": "arn:aws:dax:us-east-1:123456789012:cache/team-*"},
                {"Effect": "Allow", "Action": "dax:DescribeEvents", "Resource": "*"}]}]},
    ]}))
    credentials.chmod(0o600)
    server = start_server("--ephemeral", "--dax-ports", "0", "--auth", "sigv4", "--credentials", credentials)
    some = make_client(server.endpoint, service="dax", access_key="SOME", secret_key="some-secret")
    root = make_client(server.endpoint, service="dax", access_key="ROOT", secret_key="root-secret")
    some.create_cluster(**create_args(ClusterName="Team-1"))
    available(some, "team-1")
    some.describe_events()
    message = refused("AccessDeniedException", some.create_cluster, **create_args(ClusterName="other"))
    assert "not authorized to perform: dax:CreateCluster on resource: arn:aws:dax:us-east-1:123456789012:cache/other" in message
    refused("AccessDeniedException", some.delete_cluster, ClusterName="team-1")
    refused("AccessDeniedException", some.describe_clusters)
    refused("AccessDeniedException", some.describe_clusters, ClusterNames=["team-1", "other"])
    refused("AccessDeniedException", some.create_parameter_group, ParameterGroupName="g")
    root.delete_cluster(ClusterName="team-1")
    wrong = boto3.client("dax", endpoint_url=server.endpoint, region_name="us-east-1", aws_access_key_id="ROOT",
                         aws_secret_access_key="no")
    refused("InvalidSignatureException", wrong.describe_clusters)

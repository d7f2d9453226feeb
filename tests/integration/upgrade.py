"""A database with something of everything, and all that can be asked of it: what scripts/upgrade-fixture keeps of a
program's data directory, and what test_upgrade.py looks for when a later program opens it."""

import json
import re

from botocore.exceptions import ClientError

from conftest import make_client, wait_active
from controls import Controls, Refused

FULL_INDEXES = {
    "LocalSecondaryIndexes": [
        {"IndexName": "local", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
         "Projection": {"ProjectionType": "ALL"}},
    ],
    "GlobalSecondaryIndexes": [
        {"IndexName": "keys", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
         "Projection": {"ProjectionType": "KEYS_ONLY"}},
        {"IndexName": "some", "KeySchema": [{"AttributeName": "l", "KeyType": "HASH"}],
         "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["text"]}},
    ],
}
EVERY_TYPE = {
    "s": {"S": "text \u00e4 \U0001f600\x00"}, "empty": {"S": ""}, "n": {"N": "-1.2345678901234567890123456789012345678E-100"},
    "b": {"B": b"\x00\xff"}, "t": {"BOOL": True}, "f": {"BOOL": False}, "z": {"NULL": True}, "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2.5", "-3"]}, "bs": {"BS": [b"\x01", b"\x02"]},
    "m": {"M": {"deep": {"L": [{"N": "1"}, {"M": {}}, {"L": []}]}}},
}


def forms(source):
    """What the source of a program, a checkout, says about what it writes: every number of a format that it names."""
    def find(path, pattern):
        return re.search(pattern, (source / path).read_text())[1]

    rows = {}
    for room in ("model", "table", "fleet", "dax", "engine", "main"):
        for path in sorted((source / "src" / room).rglob("*.[ch]")):
            for name, number in re.findall(r"^#define (\w*VERSION) +(\d+)\b", path.read_text(), re.MULTILINE):
                rows[f"{path.stem} {name}"] = number
    rows.pop("record RECORD_VERSION", None)
    return {
        **rows,
        "catalog": find("src/table/catalog.c", r"CATALOG_VERSION +'(\d)'"),
        "record": find("src/table/record.c", r"define RECORD_VERSION +(\d+)"),
        "data": find("src/main/datadir.h", r"DATA_FORMAT +(\d+)"),
    }


def is_of(told, today):
    """Does a fixture that tells these forms have everything in today's? What the first fixtures do not name was 1 then."""
    return all(told.get(name, "1") == number for name, number in today.items())


class Features:
    """Calls what the program may not have yet; what it refuses is left out."""

    def __init__(self):
        self.had, self.missing = [], []

    def __call__(self, name, call):
        for _ in range(200):
            try:
                call()
                self.had.append(name)
                return
            except (ClientError, Refused) as e:
                if "ResourceInUse" not in str(e):
                    self.missing.append(f"{name}: {e}")
                    return


def full_item(i):
    item = {"pk": {"S": f"p{i % 5}"}, "sk": {"N": str(i * 37 % 100 - 50)}, "text": {"S": f"number {i}"}}
    if i % 3:
        item["g"] = {"S": f"g{i % 4}"}
    if i % 2:
        item["l"] = {"N": f"{i}.5"}
    if i % 4 == 0:
        item["expires"] = {"N": "4102444800"}
    return item


def fill_first(endpoint, features):
    client = make_client(endpoint)
    provisioned = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8}
    client.create_table(
        TableName="plain", BillingMode="PAY_PER_REQUEST", Tags=[{"Key": "team", "Value": "\u00e4"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}], KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    indexes = json.loads(json.dumps(FULL_INDEXES))
    for index in indexes["GlobalSecondaryIndexes"]:
        index["ProvisionedThroughput"] = provisioned
    client.create_table(
        TableName="full", BillingMode="PROVISIONED", ProvisionedThroughput=provisioned,
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in (("pk", "S"), ("sk", "N"), ("l", "N"), ("g", "S"))],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}], **indexes)
    client.create_table(
        TableName="binary", BillingMode="PAY_PER_REQUEST", DeletionProtectionEnabled=True,
        AttributeDefinitions=[{"AttributeName": "b", "AttributeType": "B"}], KeySchema=[{"AttributeName": "b", "KeyType": "HASH"}])
    for name in ("plain", "full", "binary"):
        wait_active(client, name)
    features("stream", lambda: client.update_table(
        TableName="full", StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}))
    wait_active(client, "full")
    features("ttl", lambda: client.update_time_to_live(
        TableName="full", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}))
    features("insights", lambda: client.update_contributor_insights(TableName="full", ContributorInsightsAction="ENABLE"))
    arn = client.describe_table(TableName="plain")["Table"]["TableArn"]
    features("policy", lambda: client.put_resource_policy(ResourceArn=arn, Policy=json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "dynamodb:GetItem", "Resource": arn}]})))
    features("vectors", lambda: client.create_table(
        TableName="vectors", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        VectorIndexes=[{"IndexName": "near", "VectorAttribute": {"AttributeName": "v"}, "Dimensions": 2,
                        "DistanceFunction": "EUCLIDEAN", "Projection": {"ProjectionType": "ALL"}}]))
    features("dax", lambda: make_client(endpoint, service="dax").create_cluster(
        ClusterName="kept", NodeType="dax.t3.small", ReplicationFactor=1, IamRoleArn="arn:aws:iam::123456789012:role/r"))
    for i in range(10):
        client.put_item(TableName="plain", Item={"id": {"N": str(i * i - 20)}, **EVERY_TYPE})
    client.put_item(TableName="plain", Item={"id": {"N": "1000000"}, "large": {"S": "long " * 800}})
    for i in range(30):
        client.put_item(TableName="full", Item=full_item(i))
    for byte in range(0, 256, 16):
        client.put_item(TableName="binary", Item={"b": {"B": bytes((byte, 0, byte))}})


def fill_second(endpoint, features):
    """After a restart: so the first part is in tables on the disk, and this in the log alone."""
    client = make_client(endpoint)
    features("split", lambda: Controls(endpoint)("partition-split", table="full", partition=0))
    for i in range(30, 45):
        client.put_item(TableName="full", Item=full_item(i))
    for i in range(5):
        item = full_item(i)
        client.delete_item(TableName="full", Key={"pk": item["pk"], "sk": item["sk"]})
        item = full_item(i + 10)
        client.update_item(TableName="full", Key={"pk": item["pk"], "sk": item["sk"]},
                           UpdateExpression="SET changed = :c REMOVE g", ExpressionAttributeValues={":c": {"BOOL": True}})
    if "vectors" in features.had:
        for i in range(6):
            client.put_item(TableName="vectors", Item={"id": {"S": f"v{i}"}, "v": {"L": [{"N": str(i)}, {"N": "0.5"}]}})
    item = full_item(40)
    client.transact_write_items(ClientRequestToken="once", TransactItems=[
        {"Put": {"TableName": "plain", "Item": {"id": {"N": "77"}, "by": {"S": "a transaction"}}}},
        {"ConditionCheck": {"TableName": "full", "Key": {"pk": item["pk"], "sk": item["sk"]}, "ConditionExpression": "attribute_exists(pk)"}}])


# ---- everything that can be asked ----

def plain(value):
    """As JSON has it: bytes as their hexadecimal digits, sets in order."""
    if isinstance(value, bytes):
        return "bytes " + value.hex()
    if isinstance(value, dict):
        return {k: sorted(map(plain, v)) if k in ("SS", "NS", "BS") else plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def all_items(client, **request):
    items, start = [], {}
    while True:
        page = client.scan(ConsistentRead="IndexName" not in request, **request, **start)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return sorted(map(plain, items), key=json.dumps)
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def tell_table(client, name):
    table = client.describe_table(TableName=name)["Table"]
    told = {key: table[key] for key in ("AttributeDefinitions", "TableStatus", "KeySchema", "ItemCount", "TableSizeBytes", "TableId",
                                        "DeletionProtectionEnabled", "LatestStreamArn", "StreamSpecification") if key in table}
    told["Throughput"] = {k: table["ProvisionedThroughput"][k] for k in ("ReadCapacityUnits", "WriteCapacityUnits")}
    told["Items"] = all_items(client, TableName=name)
    told["Tags"] = client.list_tags_of_resource(ResourceArn=table["TableArn"]).get("Tags", [])
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        for index in table.get(kind, []):
            told[f"index {index['IndexName']}"] = {
                **{k: index[k] for k in ("KeySchema", "Projection", "ItemCount", "IndexSizeBytes")},
                "Items": all_items(client, TableName=name, IndexName=index["IndexName"])}
    return plain(told)


def tell_stream(streams, arn):
    """The stream's shards, and of each partition its records in order."""
    told, shards, start = {}, [], {}
    while True:
        page = streams.describe_stream(StreamArn=arn, **start)["StreamDescription"]
        shards += page["Shards"]
        if "LastEvaluatedShardId" not in page:
            break
        start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}
    for key in ("StreamStatus", "StreamViewType", "KeySchema"):
        told[key] = page[key]
    told["Shards"] = {}
    for shard in shards:
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        records = []
        for _ in range(100):
            answer = streams.get_records(ShardIterator=iterator)
            records += [{"eventName": r["eventName"], **{k: r["dynamodb"][k] for k in ("Keys", "OldImage", "NewImage", "SequenceNumber")
                                                         if k in r["dynamodb"]}} for r in answer["Records"]]
            iterator = answer.get("NextShardIterator")
            if iterator is None or not answer["Records"]:
                break
        told["Shards"][shard["ShardId"]] = {
            "parent": shard.get("ParentShardId"), "closed": "EndingSequenceNumber" in shard["SequenceNumberRange"], "records": records}
    return plain(told)


def tell(endpoint, features):
    """What the program has, by features; a later one must tell the same."""
    client = make_client(endpoint)
    told = {"tables": {name: tell_table(client, name) for name in client.list_tables()["TableNames"]}}
    if "stream" in features:
        arn = told["tables"]["full"]["LatestStreamArn"]
        told["stream"] = tell_stream(make_client(endpoint, service="dynamodbstreams"), arn)
    if "ttl" in features:
        told["ttl"] = client.describe_time_to_live(TableName="full")["TimeToLiveDescription"]
    if "insights" in features:
        told["insights"] = client.describe_contributor_insights(TableName="full")["ContributorInsightsStatus"]
    if "policy" in features:
        told["policy"] = client.get_resource_policy(ResourceArn=client.describe_table(TableName="plain")["Table"]["TableArn"])["Policy"]
    if "vectors" in features:
        found = client.search_vectors(TableName="vectors", IndexName="near", SearchVector=[{"N": "3.1"}, {"N": "0.5"}], TopK=3)
        told["nearest"] = plain(found["SearchResults"])
    if "dax" in features:
        clusters = make_client(endpoint, service="dax").describe_clusters()["Clusters"]
        told["clusters"] = [[c["ClusterName"], c["NodeType"], c["TotalNodes"], c["IamRoleArn"]] for c in clusters]
    return told

"""The control plane of vector indexes: what is refused, phases, backfill, restarts."""

import random
import threading
import time

import pytest
from botocore.exceptions import ClientError
from conftest import WhileItLasts, wait_active
from vectors import (
    SCHEMA,
    describe,
    index,
    invalid,
    keys_of,
    make_vectors,
    nearest,
    raw,
    refused,
    search,
    stored,
    wait_index,
)


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
